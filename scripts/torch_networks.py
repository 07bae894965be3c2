#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Networks of torchvision and timm, exported to ONNX, against PyTorch in float64 on the same pixels: the table in lib/onnx/README.md.

    scripts/torch_networks.py [NAME...] [--exporter torchscript|dynamo|both] [--keep FOLDER] [--pictures FOLDER]

The weights are random. The statistics of the normalisations are those of real pictures, so that the features of different pictures
differ. Prints the largest difference, relative to the distance between features of different pictures (as conformance.py does), that of
PyTorch in float32, and the former relative to the largest feature. Needs: pip install torch torchvision timm onnx onnxscript h5py pillow (the CPU build of PyTorch is
enough). Exit status 1: a difference is larger than 1e-4 of the distance and 1.5 times that of PyTorch in float32.
"""
import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision

from conformance import ROOT, features_of, pictures, spread

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


def make(name, size, seen):
    torch.manual_seed(1)
    if name in TORCHVISION:
        inception = dict(init_weights=True, aux_logits=True) if name in ("googlenet", "inception_v3") else {}
        network = torchvision.models.get_model(name, weights=None, **inception)
    else:
        network = timm.create_model(name, pretrained=False)
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    scaled = Scaled(network).train()
    with torch.no_grad():
        for norm in norms:
            norm.momentum = None  # the statistics become those of the pictures below
            if norm.affine:
                norm.weight.uniform_(0.7, 1.3)
                norm.bias.uniform_(-0.3, 0.3)
        for weight in network.parameters():
            if not weight.any():  # biases that begin as zeros
                torch.nn.init.normal_(weight, 0, 0.02)
            elif weight.abs().max() < 1e-3:  # layer scales that begin as nearly zeros
                weight.uniform_(0.3, 1)
        scaled(seen)
        for norm in norms:
            # no channel is enlarged by much, as in trained networks, and few vanish
            norm.running_var += 0.5 * norm.running_var.mean()
            if norm.affine:
                norm.weight *= 1.19
    return scaled.eval()


def features(network, x, whole):
    """What finetune takes: the input of the classifier, or the output if it has none or is `whole`."""
    inputs = []
    ends = [m for m in network.modules() if isinstance(m, torch.nn.Linear)]
    if hasattr(network.network, "get_classifier"):  # timm: it may be a convolution
        ends = [m for m in [network.network.get_classifier()] if isinstance(m, torch.nn.Module)]
    hooks = [m.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0].squeeze())) for m in ends]
    with torch.no_grad():
        output = network(x)
    for hook in hooks:
        hook.remove()
    return (inputs[-1] if inputs and inputs[-1].ndim == 2 and not whole else output).detach().numpy().reshape(len(x), -1)


def export(network, x, exporter, path):
    if exporter == "dynamo":
        torch.onnx.export(network, (x,), path, dynamo=True, input_names=["image"], external_data=False, verbose=False)
    else:
        torch.onnx.export(network, (x,), path, dynamo=False, opset_version=17, input_names=["image"])


def compare(name, exporters, given, folder):
    """Prints a row for each exporter. Returns how many differ too much."""
    size, wrong = SIZES.get(name, 224), 0
    shown, seen = (torch.from_numpy(np.ascontiguousarray(p.transpose(0, 3, 1, 2))) for p in pictures(given.pictures, size, folder / "pictures"))
    network = make(name, size, seen)
    expected = features(network.double(), shown.double(), name in WHOLE)
    own = np.abs(features(network.float(), shown, name in WHOLE) - expected).max() / spread(expected)
    for exporter in exporters:
        path = Path(given.keep or folder) / f"{name}.{exporter}.onnx"
        try:
            export(network, shown[:1], exporter, path)
            got = features_of(given.binary, path, folder / "pictures", folder / "features.h5", ["--preprocess", "none"])
            if isinstance(got, str) or got.shape != expected.shape:
                raise RuntimeError(got if isinstance(got, str) else f"there are {got.shape[1]} features instead of {expected.shape[1]}")
            most = np.abs(got - expected).max()
            wrong += most > max(1e-4, 1.5 * own) * spread(expected)
            print(f"{name:28s} {exporter:12s} {most / spread(expected):.1e} {own:.1e} {most / np.abs(expected).max():.1e}", flush=True)
        except Exception as error:
            print(f"{name:28s} {exporter:12s} {error}", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="default: all")
    parser.add_argument("--exporter", choices=["torchscript", "dynamo", "both"], default="both")
    parser.add_argument("--keep", help="folder for the ONNX files")
    parser.add_argument("--pictures", default=ROOT / "tests" / "data")
    parser.add_argument("--binary", default=ROOT / "build" / "cli" / "finetune")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    exporters = ["torchscript", "dynamo"] if given.exporter == "both" else [given.exporter]
    wrong = 0
    for name in given.names or TORCHVISION + TIMM:
        with tempfile.TemporaryDirectory() as temporary:
            wrong += compare(name, exporters, given, Path(temporary))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
