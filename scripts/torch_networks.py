#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Networks of torchvision and timm, exported to ONNX, against PyTorch in float64 on the same pixels: the table in lib/onnx/README.md.

    scripts/torch_networks.py [NAME...] [--exporter torchscript|dynamo|both] [--keep FOLDER]

The weights are random. The statistics of the normalisations are those of random pictures, so that the features of different pictures
differ. Needs: pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu, or from PyPI; timm onnx onnxscript
h5py pillow. Exit status 1: a difference is larger than 1e-4 of the largest output.
"""
import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import h5py
import numpy as np
import timm
import torch
import torchvision
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
TORCHVISION = """alexnet vgg11_bn resnet18 resnext50_32x4d wide_resnet50_2 regnet_y_400mf densenet121 squeezenet1_1 googlenet inception_v3 mobilenet_v2
mobilenet_v3_small shufflenet_v2_x1_0 mnasnet1_0 efficientnet_b0 efficientnet_v2_s convnext_tiny vit_b_16 swin_t maxvit_t""".split()
TIMM = """vit_small_patch14_dinov2 deit_tiny_patch16_224 mobileone_s0 ghostnet_100 repvgg_a0 resnetv2_50 hgnetv2_b0 fastvit_t8 levit_128s
mobilenetv4_conv_small mambaout_femto""".split()
WHOLE = ("levit_128s",)  # the output is the mean of two classifiers: it is compared, not their inputs
SIZES = {"inception_v3": 299, "vit_small_patch14_dinov2": 518}


class Scaled(torch.nn.Module):
    """The network with pixels 0-255 as its input."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image):
        return self.network((image - 118.0) / 60.0)


def make(name):
    torch.manual_seed(1)
    if name in TORCHVISION:
        inception = dict(init_weights=True, aux_logits=True) if name in ("googlenet", "inception_v3") else {}
        network = torchvision.models.get_model(name, weights=None, **inception)
    else:
        network = timm.create_model(name, pretrained=False)
    size = SIZES.get(name, 224)
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    network.train()
    with torch.no_grad():
        for norm in norms:
            norm.momentum = None  # the statistics become those of the pictures below
        network(torch.randn(4, 3, size, size))
        for norm in norms:
            norm.running_var += 0.1 * torch.rand_like(norm.running_var)
            if norm.affine:
                norm.weight.uniform_(0.7, 1.3)
                norm.bias.uniform_(-0.3, 0.3)
        for weight in network.parameters():
            if not weight.any():  # layer scales and biases that begin as zeros
                torch.nn.init.normal_(weight, 0, 0.02)
    return Scaled(network).eval(), size


def run(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(" ".join(done.stderr.split())[:160])
    return done.stdout


def features(network, x, whole):
    """What finetune takes: the input of the last Linear, or the output if there is none or if it is `whole`."""
    inputs = []
    hooks = [m.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0])) for m in network.modules() if isinstance(m, torch.nn.Linear)]
    with torch.no_grad():
        output = network(x)
    for hook in hooks:
        hook.remove()
    return (inputs[-1] if inputs and not whole else output).detach().numpy().ravel()


def difference(program, path, picture, expected, folder):
    """The largest difference of the features, as a share of the largest value."""
    out = folder / "features.h5"
    run(program, "features", picture, "-b", path, "--preprocess", "none", "--resize", "squash", "--no-cache", "-q", "-o", out)
    with h5py.File(out) as f:
        got = f["features"][0]
    if got.size != expected.size:
        raise RuntimeError(f"there are {got.size} features instead of {expected.size}")
    return np.abs(got - expected).max() / np.abs(expected).max()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="default: all")
    parser.add_argument("--exporter", choices=["torchscript", "dynamo", "both"], default="both")
    parser.add_argument("--keep", help="folder for the ONNX files")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    program = next((p for p in (ROOT / "build/cli/finetune",) if p.exists()), "finetune")
    exporters = ["torchscript", "dynamo"] if given.exporter == "both" else [given.exporter]
    wrong = 0
    for name in given.names or TORCHVISION + TIMM:
        network, size = make(name)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            pixels = np.random.default_rng(7).integers(0, 256, (size, size, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "picture.png")
            x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32))
            expected = features(network.double(), x.double(), name in WHOLE)
            network.float()
            for exporter in exporters:
                path = Path(given.keep or folder) / f"{name}.{exporter}.onnx"
                try:
                    if exporter == "dynamo":
                        torch.onnx.export(network, (x,), path, dynamo=True, input_names=["image"], external_data=False, verbose=False)
                    else:
                        torch.onnx.export(network, (x,), path, dynamo=False, opset_version=17, input_names=["image"])
                    share = difference(program, path, folder / "picture.png", expected, folder)
                    wrong += share > 1e-4
                    print(f"{name:28s} {exporter:12s} {share:.1e}", flush=True)
                except Exception as error:
                    print(f"{name:28s} {exporter:12s} {error}", flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
