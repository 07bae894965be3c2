#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small KerasHub presets of every supported family with random weights, for tests/unit/presets.c:
golden_presets.py [OUT_DIR], default tests/golden/presets. Needs keras-hub (pip install keras-hub).

FAMILY/config.json, model.weights.h5, image_converter.json    the preset, as save_to_preset writes it
FAMILY/expected.txt    seed of the pixels, then the features that go to the head, as in golden_layers.py
"""
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import keras_hub
import numpy as np

from golden_graph import Noise

ROOT = Path(__file__).resolve().parent.parent
M, C = keras_hub.models, keras_hub.layers
SHAPE = (32, 32, 3)
COMMON = dict(num_layers=2, num_heads=3, hidden_dim=24, image_shape=SHAPE)
TOWER = dict(patch_size=8, intermediate_dim=48, **COMMON)
TEXT = dict(vocabulary_size=16, embedding_dim=24, hidden_dim=24, num_layers=1, num_heads=3, intermediate_dim=24, max_sequence_length=4)
DINOV3 = dict(patch_size=8, num_layers=2, hidden_dim=24, intermediate_dim=48, image_shape=SHAPE)
META_TEXT = dict(vocabulary_size=16, embedding_dim=24, hidden_dim=24, num_layers=1, num_heads=3, intermediate_dim=24, max_sequence_length=4)
DINOV2 = dict(position_embedding_shape=(64, 64, 3), **TOWER)


def class_token(tokens, backbone):
    return tokens[:, 0]


def class_token_normed(tokens, backbone):
    return np.asarray(backbone.vision_post_layer_norm(tokens[:, 0]))


def class_and_mean(registers):
    return lambda tokens, backbone: np.concatenate([tokens[:, 0], tokens[:, 1 + registers :].mean(axis=1)], axis=1)


def pooled(vector, backbone):
    return vector


# name: backbone, image converter, features from the output of its pictures' part
FAMILIES = {
    "vit": (lambda: M.ViTBackbone(patch_size=8, mlp_dim=48, **COMMON), lambda: C.ViTImageConverter(image_size=SHAPE[:2], scale=1 / 127.5, offset=-1), class_token),
    "deit": (lambda: M.DeiTBackbone(**TOWER), None, class_token),
    "dinov2": (
        lambda: M.DINOV2Backbone(**DINOV2),
        lambda: C.DINOV2ImageConverter(image_size=SHAPE[:2], scale=[1 / 58.0, 1 / 57.0, 1 / 57.5], offset=[-2.1, -2.0, -1.8]),
        class_and_mean(0),
    ),
    "dinov2_gated": (lambda: M.DINOV2Backbone(num_register_tokens=4, use_swiglu_ffn=True, **DINOV2), None, class_and_mean(4)),
    "clip_vision": (lambda: M.CLIPVisionEncoder(**TOWER), None, class_token),
    "clip": (lambda: M.CLIPBackbone(vision_encoder=M.CLIPVisionEncoder(**TOWER), text_encoder=M.CLIPTextEncoder(**TEXT), projection_dim=8), None, class_token),
    "siglip_vision": (lambda: M.SigLIPVisionEncoder(**TOWER), None, pooled),
    "siglip": (lambda: M.SigLIPBackbone(vision_encoder=M.SigLIPVisionEncoder(**TOWER), text_encoder=M.SigLIPTextEncoder(**TEXT)), None, pooled),
    "dinov3": (
        lambda: M.DINOV3Backbone(num_heads=2, use_key_bias=False, **DINOV3),
        lambda: C.DINOV3ImageConverter(image_size=SHAPE[:2], scale=[1 / 58.0, 1 / 57.0, 1 / 57.5], offset=[-2.1, -2.0, -1.8]),
        class_and_mean(4),
    ),
    "dinov3_gated": (
        lambda: M.DINOV3Backbone(
            num_heads=3, num_register_tokens=0, use_mask_token=False, use_gated_mlp=True, hidden_activation="silu", use_query_bias=False,
            use_key_bias=False, use_value_bias=False, use_proj_bias=False, rope_theta=50.0, layer_norm_eps=1e-3, **DINOV3
        ),
        None,
        class_and_mean(0),
    ),
    "metaclip2_vision": (lambda: M.MetaCLIP2VisionEncoder(**TOWER), None, class_token),
    "metaclip2": (
        lambda: M.MetaCLIP2Backbone(vision_encoder=M.MetaCLIP2VisionEncoder(**TOWER), text_encoder=M.MetaCLIP2TextEncoder(**META_TEXT), projection_dim=8),
        None,
        class_token_normed,
    ),
    "vit_bfloat16": (lambda: M.ViTBackbone(patch_size=8, mlp_dim=48, dtype="bfloat16", **COMMON), None, class_token),
}


def draw(backbone, noise):
    for w in backbone.weights:
        name, shape = w.path.split("/")[-1], tuple(w.shape)
        n = int(np.prod(shape))
        if name == "position_ids":
            w.assign(np.arange(n).reshape(shape))
            continue
        bound = (3 / np.prod(shape[:-1])) ** 0.5 if name == "kernel" else 0.5
        lo, hi = (0.5, 1.5) if name == "gamma" else (-bound, bound)
        w.assign(noise.uniform(n, lo, hi).reshape(shape))


def golden(out, name, seed):
    make, converter, features = FAMILIES[name]
    backbone, folder = make(), out / name
    folder.mkdir(parents=True, exist_ok=True)
    draw(backbone, Noise(seed))
    backbone.save_to_preset(str(folder))
    (folder / "metadata.json").unlink()
    if converter:
        converter().save_to_preset(str(folder))
    loaded = type(backbone).from_preset(str(folder), dtype="float32")  # as users get it: DINOv2 interpolates its positions
    write(folder / "expected.txt", seed, SHAPE, loaded, features, converter)
    if name in ("dinov2", "dinov3"):  # keras_hub takes another size; a ratio whose weights are exact in the table of TensorFlow
        shape = (128, 128, 3)
        other = type(backbone).from_preset(str(folder), image_shape=shape)
        write(folder / "expected-128.txt", seed, shape, other, features, converter)


def write(path, seed, shape, backbone, features, converter):
    entry = Noise(seed + 1000).pixels((1, *shape))
    if converter:
        made = converter()
        entry = entry * np.float32(made.scale) + np.float32(made.offset)
    tower = getattr(backbone, "vision_encoder", backbone)
    y = features(np.asarray(tower({name: entry for name in tower.input} if isinstance(tower.input, dict) else entry, training=False)), backbone).ravel()
    places = np.unique(np.linspace(0, y.size - 1, 12).astype(int))
    last = "class_token" if features in (class_token, class_token_normed) else "features"
    line = "%s %d %.7g %d" % (last, y.size, np.abs(y).max(), len(places)) + "".join(" %d %.7g" % (p, y[p]) for p in places)
    path.write_text("%d %d %d %d\n%s\n" % (seed + 1000, *shape, line))


def main():
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "golden" / "presets"
    for i, name in enumerate(FAMILIES):
        golden(out, name, 700 + i)


if __name__ == "__main__":
    main()
