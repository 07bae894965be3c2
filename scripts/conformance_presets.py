#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares finetune with keras_hub. conformance_presets.py [--only NAME,...] [--full] [--list] [--size N] [--back] [--binary PATH] [--pictures DIR]

Makes a KerasHub preset of each family with seeded random weights (golden_presets.py; --full: one member of full size of the main
families), runs `finetune features` on PNG pictures of exactly the input size, and compares with keras_hub in double precision on the
same pixels. Prints one row for each preset: the largest difference, relative to the distance between features of different pictures
(conformance.py), and the same for keras_hub in single precision. The limit is 1e-4. --size: another input size. keras_hub opens the
preset for it; of families for which it has no rule, the positions are interpolated as DINOv2 does it.
--back also trains a model on each preset and opens it in Keras 3 without keras_hub: the largest difference of a probability, at most
1e-5. Exit status: 0 all within the limits, 1 not. Needs keras-hub.
"""
import argparse
import json
import sys
import tempfile
from pathlib import Path

from conformance import ROOT, call, error, features_of, pictures, probabilities, spread, train
import golden_presets as golden
from golden_graph import Noise
from keras_hub.src.utils.timm.convert_mobilenetv5 import convert_backbone_config

M = golden.M
LIMIT, BACK = 1e-4, 1e-5
SCALE, OFFSET = 1 / 64, -2.0  # of the pixels, for all presets
BASE = dict(patch_size=16, num_layers=12, num_heads=12, hidden_dim=768, image_shape=(224, 224, 3))
SMALL = dict(num_layers=12, num_heads=6, hidden_dim=384, intermediate_dim=1536, image_shape=(224, 224, 3))
FULL = {
    "vit_base": (lambda: M.ViTBackbone(mlp_dim=3072, **BASE), golden.class_token),
    "dinov2_small": (lambda: M.DINOV2Backbone(patch_size=14, position_embedding_shape=(518, 518, 3), **SMALL), golden.class_and_mean(0)),
    "dinov3_small": (lambda: M.DINOV3Backbone(patch_size=16, **SMALL), golden.class_and_mean(4)),
    "siglip_base": (lambda: M.SigLIPVisionEncoder(intermediate_dim=3072, **BASE), golden.pooled),
    "clip_base": (lambda: M.CLIPVisionEncoder(intermediate_dim=3072, **BASE), golden.class_token),
    "swin_tiny": (
        lambda: M.SwinTransformerBackbone(embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], window_size=7, image_shape=(224, 224, 3)),
        golden.map_of("norm_after"),
    ),
    "mit_b0": (
        lambda: M.MiTBackbone(
            layerwise_depths=[2, 2, 2, 2], num_layers=4, layerwise_num_heads=[1, 2, 5, 8], layerwise_sr_ratios=[8, 4, 2, 1], max_drop_path_rate=0.1,
            layerwise_patch_sizes=[7, 3, 3, 3], layerwise_strides=[4, 2, 2, 2], hidden_dims=[32, 64, 160, 256], image_shape=(224, 224, 3)
        ),
        golden.map_of("stage_4_norm"),
    ),
    "csp_darknet_53": (
        lambda: M.CSPNetBackbone(
            stem_filters=32, stem_kernel_size=3, stem_strides=1, stackwise_depth=[1, 2, 8, 8, 4], stackwise_strides=[2, 2, 2, 2, 2],
            stackwise_num_filters=[64, 128, 256, 512, 1024], bottle_ratio=[0.5, 1.0], block_ratio=[1.0, 0.5], expand_ratio=[2.0, 1.0], down_growth=True,
            stage_type="csp", block_type="dark_block", image_shape=(224, 224, 3)
        ),
        golden.map_of("stage5_transition_act"),
    ),
    "mobilenet_v5_300m": (
        lambda: M.MobileNetV5Backbone(**convert_backbone_config({"architecture": "mobilenetv5_300m"}), image_shape=(224, 224, 3)),
        golden.map_of("fusion_norm"),
    ),
}


JOINT = ("clip", "siglip", "metaclip2")  # their image towers are families of their own


def no_rule(name):
    """keras_hub has no rule for another input size of these."""
    return name.split("_")[0] in ("vit", "deit", "clip", "siglip", "metaclip2")


def resized(backbone, side, dtype):
    """The same network for another input size: positions of patches are interpolated (bicubic, no antialiasing), tokens keep theirs."""
    import numpy as np
    from keras import ops
    config = backbone.get_config()
    other = type(backbone).from_config({**config, "image_shape": (side, side, 3), "dtype": dtype})
    for to, w in zip(other.weights, backbone.weights):
        value = np.asarray(w)
        if to.path.endswith("position_ids"):
            to.assign(np.arange(np.prod(to.shape)).reshape(to.shape))
            continue
        if tuple(to.shape) != value.shape:
            table = value.reshape(-1, value.shape[-1])
            n, m = int(np.sqrt(len(table))), int(np.sqrt(np.prod(to.shape[:-1])))
            tokens = len(table) - n * n
            grid = np.asarray(ops.image.resize(table[tokens:].reshape(1, n, n, -1), (m, m), interpolation="bicubic", antialias=False))
            value = np.concatenate([table[:tokens], grid.reshape(m * m, -1)]).reshape(to.shape)
        to.assign(value)
    return other


def calibrate(backbone, pixels):
    """Batch normalisation gets the statistics of its inputs for these pictures, as after a training: with random ones the features of
    different pictures differ by a thousandth of their size, and rounding by more than LIMIT of that. Its outputs are moved up by one
    standard deviation, so that most units are active: with half of them at 0, rounding grows by a fifth in each layer of a deep network
    (G. Yang et al., A Mean Field Theory of Batch Normalization, 2019)."""
    import keras
    norms = [layer for layer in backbone._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        norm.beta.assign(norm.beta + norm.gamma)
    if norms:
        backbone(pixels * SCALE + OFFSET, training=True)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum


def opened(backbone, folder, dtype, other):
    """The preset as keras_hub opens it. Some of its layers ignore `dtype` and have the default, and the towers of joint models have
    that of config.json."""
    import keras
    config = folder / "config.json"
    text = config.read_text()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        config.write_text(text.replace('"float32"', '"%s"' % dtype))
        return type(backbone).from_preset(str(folder), dtype=dtype, **other)
    finally:
        config.write_text(text)
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def back(args, folder, pictures_folder, work, pixels):
    """A model that was trained on the preset, in Keras 3: the largest difference of a probability, or the text of an error"""
    import numpy as np
    model, names, wrong = train(args, folder, pictures_folder, work)
    out, wrong = (None, wrong) if wrong else call(args.binary, "predict", "--model", model, "--top", "2", "--json", *names)
    theirs = wrong or probabilities("keras", model, pixels, work, "float32")
    if isinstance(theirs, str):
        return theirs
    return float(np.abs(theirs - [[{t["label"]: t["probability"] for t in row["top"]}[c] for c in "ab"] for row in json.loads(out)]).max())


def features(features_of_output, backbone, pixels):
    import numpy as np
    tower = getattr(backbone, "vision_encoder", backbone)
    entry = (pixels * SCALE + OFFSET).astype(tower.compute_dtype)
    out = tower({name: entry for name in tower.input} if isinstance(tower.input, dict) else entry, training=False)
    y = np.asarray(features_of_output(out if isinstance(out, dict) else np.asarray(out), backbone))
    return y.reshape(len(y), -1, y.shape[-1]).mean(axis=1) if y.ndim > 2 else y


def measure(name, make, of, size, args, work):
    """[error of finetune, error of keras_hub in single precision, size], or the text of an error"""
    backbone, folder = make(), work / name
    folder.mkdir()
    golden.draw(backbone, Noise(sum(name.encode())))
    tower = getattr(backbone, "vision_encoder", backbone)
    own_side = (tower.image_shape[0] if hasattr(tower, "image_shape") else tower.input_shape[1]) or golden.SHAPE[0]
    side = size or own_side
    calibrate(backbone, pictures(args.pictures, own_side, work / "calibration")[1])
    backbone.save_to_preset(str(folder))
    (folder / "image_converter.json").write_text(json.dumps({"config": {"scale": SCALE, "offset": OFFSET, "image_size": [side, side]}}))
    other = {"image_shape": (side, side, 3)} if size else {}
    if size and type(backbone).__name__ == "EfficientNetBackbone":
        other = {"input_shape": (side, side, 3)}
    pixels, _ = pictures(args.pictures, side, work / "pictures")
    got = features_of(args.binary, folder, work / "pictures", work / "features.h5", ["--size", side] if size else [])
    if isinstance(got, str):
        return got
    own = bool(size) and no_rule(name)
    want, single = (features(of, resized(backbone, side, t) if own else opened(backbone, folder, t, other), pixels) for t in ("float64", "float32"))
    trained = back(args, folder, work / "pictures", work, pixels) if args.back else None
    return [error(got, want), error(single, want), side, float(spread(want) / (want**2).mean() ** 0.5), trained]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="names, with commas; default: all")
    parser.add_argument("--full", action="store_true", help="members of full size")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--size", type=int, help="another input size")
    parser.add_argument("--back", action="store_true", help="also a trained model in Keras 3")
    parser.add_argument("--binary", default=ROOT / "build" / "cli" / "finetune")
    parser.add_argument("--pictures", default=ROOT / "tests" / "data")
    args = parser.parse_args(arguments)
    table = FULL if args.full else {name: (make, of) for name, (make, _, of) in golden.FAMILIES.items() if name != "vit_bfloat16"}
    only = [o for o in args.only.split(",") if o]
    chosen = [n for n in table if (not only or n in only) and not (args.size and n in JOINT)]
    if args.list:
        print("\n".join(chosen))
        return 0
    print("%-18s %4s %9s %9s %7s%s" % ("preset", "size", "error", "keras_hub", "apart", "   trained" if args.back else ""), flush=True)
    bad = False
    for name in chosen:
        with tempfile.TemporaryDirectory() as work:
            row = measure(name, *table[name], args.size, args, Path(work))
        wrong = row if isinstance(row, str) else next((e for e in row[:2] if isinstance(e, str)), None)
        trained = None if isinstance(row, str) else row[4]
        wrong = wrong or (trained if isinstance(trained, str) else None)
        if not wrong and (row[0] > LIMIT or (trained or 0) > BACK):
            wrong = "too far"
        bad |= bool(wrong)
        numbers = "" if isinstance(row, str) or isinstance(row[0], str) else "%4d %9.1e %9.1e %7.3f" % (row[2], row[0], row[1], row[3]) + (" %9.1e" % trained if isinstance(trained, float) else "")
        print("%-18s %s%s" % (name, numbers, "  <-- " + wrong if wrong else ""), flush=True)
    return bad


if __name__ == "__main__":
    sys.exit(main())
