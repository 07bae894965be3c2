#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small KerasHub presets of every supported family with random weights, for tests/unit/presets.c:
golden_presets.py [OUT_DIR [FAMILY...]], default tests/golden/presets and all. Needs keras-hub (pip install keras-hub).

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


EFFICIENTNET = dict(
    stackwise_kernel_sizes=[3, 5], stackwise_num_repeats=[1, 2], stackwise_input_filters=[16, 8], stackwise_output_filters=[8, 12],
    stackwise_expansion_ratios=[1, 4], stackwise_squeeze_and_excite_ratios=[0.25, 0.25], stackwise_strides=[1, 2], stackwise_block_types=["v1", "v1"],
    stackwise_force_input_filters=[0, 0], stackwise_nores_option=[False, False], stackwise_width_coefficients=[1.0, 0.9],
    stackwise_depth_coefficients=[1.0, 0.8], input_shape=SHAPE, depth_divisor=4, min_depth=4, activation="silu",
)
EFFICIENTNET_V2 = dict(
    stackwise_kernel_sizes=[3, 3, 3, 5], stackwise_num_repeats=[1, 2, 2, 1], stackwise_input_filters=[8, 8, 8, 12], stackwise_output_filters=[8, 8, 12, 12],
    stackwise_expansion_ratios=[1, 1, 3, 2], stackwise_squeeze_and_excite_ratios=[0, 0, 0.25, 0.25], stackwise_strides=[1, 1, 2, 2],
    stackwise_block_types=["cba", "fused", "unfused", "fused"], stackwise_force_input_filters=[0] * 4, stackwise_nores_option=[False] * 4,
    stackwise_width_coefficients=[1.0] * 4, stackwise_depth_coefficients=[1.0] * 4, input_shape=SHAPE, activation="relu6",
    projection_activation="relu", stem_conv_padding="same", include_stem_padding=False, batch_norm_epsilon=1e-3, cap_round_filter_decrease=True,
)
MOBILENET = dict(
    stackwise_expansion=[[16, 24], [30]], stackwise_num_blocks=[2, 1], stackwise_num_filters=[[8, 8], [16]], stackwise_kernel_size=[[3, 3], [5]],
    stackwise_num_strides=[[2, 1], [1]], stackwise_se_ratio=[[None, 0.25], [0.5]], stackwise_activation=[["relu", "relu"], ["hard_swish"]],
    stackwise_padding=[[1, 1], [2]], output_num_filters=None, depthwise_filters=8, depthwise_stride=1, depthwise_residual=True, last_layer_filter=24,
    squeeze_and_excite=0.5, image_shape=SHAPE, input_num_filters=8,
)
HGNET = dict(
    depths=[1, 2], embedding_size=8, hidden_sizes=[12, 16], stem_channels=[3, 8, 8], hidden_act="relu",
    stackwise_stage_filters=[(8, 6, 12, 1, 2, 3), (12, 6, 16, 2, 2, 5)], apply_downsample=[False, True], use_lightweight_conv_block=[False, True], image_shape=SHAPE,
)


def mobilenet_v5(strides, **rows):
    """Settings of MobileNetV5 from one word a block: its type, its convolutions of each channel (a: before, k: between, p: after), and
    v: the stride of keys and values, c: positions by a convolution. Two heads of 8 channels for keys and 4 for values."""
    blocks = rows.pop("blocks")

    def each(of, kind=None):
        return [[of(word) if not kind or word.split("_")[0] == kind else 0 for word in stack.split()] for stack in blocks]

    def size(letter):
        return lambda word: next((int(part[1:]) for part in word.split("_")[1:] if part[0] == letter), 0)

    count = [len(stack.split()) for stack in blocks]
    return dict(
        stackwise_block_types=each(lambda word: word.split("_")[0]), stackwise_num_blocks=count, stackwise_num_filters=each(size("o")),
        stackwise_strides=[[s] + [1] * (n - 1) for s, n in zip(strides, count)], stackwise_act_layers=each(lambda word: rows["act_layer"]),
        stackwise_exp_ratios=each(lambda word: 2.0), stackwise_se_ratios=each(lambda word: 0.0), stackwise_dw_kernel_sizes=each(size("k"), "uir"),
        stackwise_dw_start_kernel_sizes=each(size("a")), stackwise_dw_end_kernel_sizes=each(size("p")), stackwise_exp_kernel_sizes=each(size("k"), "er"),
        stackwise_pw_kernel_sizes=each(lambda word: 1, "er"), stackwise_num_heads=each(lambda word: 2, "mqa"), stackwise_key_dims=each(lambda word: 8, "mqa"),
        stackwise_value_dims=each(lambda word: 4, "mqa"), stackwise_kv_strides=each(size("v"), "mqa"), stackwise_use_cpe=each(lambda word: "_c" in word),
        stem_size=8, **{"image_shape": SHAPE, **rows}
    )


CSPNET = dict(stem_kernel_size=3, image_shape=SHAPE)


def last_stage(maps, backbone):
    return maps["stage2"]


last_stage.layer = "stage_2_block_2_add"


def class_token(tokens, backbone):
    return tokens[:, 0]


def class_token_normed(tokens, backbone):
    return np.asarray(backbone.vision_post_layer_norm(tokens[:, 0]))


def class_and_mean(registers):
    return lambda tokens, backbone: np.concatenate([tokens[:, 0], tokens[:, 1 + registers :].mean(axis=1)], axis=1)


def pooled(vector, backbone):
    return vector


def map_of(layer):
    """The last map of a convolutional network; `layer` is its name in this program."""

    def whole(y, backbone):
        return y

    whole.layer = layer
    return whole


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
    "vgg": (lambda: M.VGGBackbone([1, 2], [6, 8], image_shape=SHAPE), lambda: C.VGGImageConverter(image_size=SHAPE[:2], scale=0.01, offset=[-1.1, -1.2, -1.3]), map_of("block2_pool")),
    "resnet": (lambda: M.ResNetBackbone([64], [7], [64, 12], [1, 2], [1, 2], "basic_block", image_shape=SHAPE), None, map_of("stack1_block1_out")),
    "resnet_v2": (lambda: M.ResNetBackbone([8], [7], [64, 4], [1, 2], [1, 2], "bottleneck_block", use_pre_activation=True, image_shape=SHAPE), None, map_of("post_relu")),
    "resnet_vd": (lambda: M.ResNetBackbone([4, 4, 8], [3, 3, 3], [64, 5], [1, 2], [1, 2], "bottleneck_block_vd", image_shape=SHAPE), None, map_of("stack1_block1_out")),
    "densenet": (lambda: M.DenseNetBackbone([2, 3], compression_ratio=0.4, growth_rate=6, image_shape=SHAPE), None, map_of("last_relu")),
    "xception": (lambda: M.XceptionBackbone([[6, 8], [10, 10], [10, 10], [14, 16]], [False, True, False, False], image_shape=SHAPE), None, map_of("block4_conv2_act")),
    "efficientnet": (lambda: M.EfficientNetBackbone(**EFFICIENTNET), None, map_of("top_activation")),
    "efficientnet_v2": (lambda: M.EfficientNetBackbone(**EFFICIENTNET_V2), None, map_of("top_activation")),
    "mobilenet": (lambda: M.MobileNetBackbone(**MOBILENET), None, map_of("last_activation")),
    "hgnet": (lambda: M.HGNetV2Backbone(use_learnable_affine_block=True, **HGNET), lambda: C.HGNetV2ImageConverter(image_size=SHAPE[:2], scale=0.01, offset=[-1.1, -1.2, -1.3]), last_stage),
    "cspnet": (
        lambda: M.CSPNetBackbone(
            stem_filters=8, stem_strides=1, stackwise_depth=[1, 2], stackwise_strides=[2, 2], stackwise_num_filters=[12, 16], block_type="dark_block",
            stage_type="csp", down_growth=True, expand_ratio=[2.0, 1.0], bottle_ratio=[0.5, 1.0], block_ratio=[1.0, 0.5], **CSPNET
        ),
        None,
        map_of("stage2_transition_act"),
    ),
    "cspnet_cs3": (
        lambda: M.CSPNetBackbone(
            stem_filters=[6, 8], stem_strides=4, stem_pooling="max", stackwise_depth=[2, 1], stackwise_strides=[1, 2], stackwise_num_filters=[12, 16],
            block_type="bottleneck_block", stage_type="cs3", avg_down=True, cross_linear=True, activation="silu", groups=2, bottle_ratio=[1.0], block_ratio=[0.5],
            **CSPNET
        ),
        None,
        map_of("stage2_transition_act"),
    ),
    "darknet": (
        lambda: M.CSPNetBackbone(
            stem_filters=8, stem_strides=2, stem_padding="same", stackwise_depth=[1, 1], stackwise_strides=2, stackwise_num_filters=[12, 16], block_type="edge_block",
            stage_type="dark", activation="relu", bottle_ratio=0.5, **CSPNET
        ),
        None,
        map_of("stage2_block1_add"),
    ),
    "mit": (
        lambda: M.MiTBackbone(
            layerwise_depths=[1, 2], num_layers=2, layerwise_num_heads=[1, 2], layerwise_sr_ratios=[2, 1], max_drop_path_rate=0.1, layerwise_patch_sizes=[7, 3],
            layerwise_strides=[4, 2], hidden_dims=[8, 12], image_shape=SHAPE
        ),
        lambda: C.MiTImageConverter(image_size=SHAPE[:2], scale=[1 / 58.0, 1 / 57.0, 1 / 57.5], offset=[-2.1, -2.0, -1.8]),
        map_of("stage_2_norm"),
    ),
    "swin": (
        lambda: M.SwinTransformerBackbone(embed_dim=12, depths=[2, 1], num_heads=[3, 2], window_size=4, patch_size=2, image_shape=SHAPE),
        lambda: C.SwinTransformerImageConverter(image_size=SHAPE[:2], scale=[1 / 58.0, 1 / 57.0, 1 / 57.5], offset=[-2.1, -2.0, -1.8]),
        map_of("norm_after"),
    ),
    "swin_padded": (
        lambda: M.SwinTransformerBackbone(
            embed_dim=8, depths=[3, 2, 2], num_heads=[2, 2, 4], window_size=3, patch_size=2, qkv_bias=False, patch_norm=False, image_shape=SHAPE
        ),
        None,
        map_of("norm_after"),
    ),
    "vit_shards": (lambda: M.ViTBackbone(patch_size=8, mlp_dim=48, **COMMON), None, class_token),
    "mobilenet_v5": (
        lambda: M.MobileNetV5Backbone(
            **mobilenet_v5(
                [2, 2, 2], blocks=["er_k3_o8 er_k3_o8", "uir_a3_k5_o16 mqa_v2_c1_o16 uir_o16", "uir_k3_o16 uir_a5_p3_o16 mqa_v1_o16"], act_layer="gelu",
                num_features=24, msfa_output_resolution=2, layer_scale_init_value=0.1, image_shape=(None, None, 3)
            )
        ),
        lambda: C.MobileNetV5ImageConverter(image_size=SHAPE[:2], scale=1 / 127.5, offset=-1),
        map_of("fusion_norm"),
    ),
    "mobilenet_v5_batch_norm": (
        lambda: M.MobileNetV5Backbone(
            **mobilenet_v5(
                [1, 2, 2], blocks=["er_k3_o8", "uir_a3_o16 mqa_v2_o16 uir_p3_o16 mqa_v1_o8", "uir_o8"], act_layer="relu", norm_layer="batch_norm",
                stem_bias=False, num_features=16, msfa_indices=[0, 2], msfa_output_resolution=[6, 3], layer_scale_init_value=0.2
            )
        ),
        None,
        map_of("fusion_norm"),
    ),
    "vit_bfloat16_shards": (lambda: M.ViTBackbone(patch_size=8, mlp_dim=48, dtype="bfloat16", **COMMON), None, class_token),
}


def draw(backbone, noise):
    for w in backbone.weights:
        name, shape = w.path.split("/")[-1], tuple(w.shape)
        n = int(np.prod(shape))
        if name == "position_ids":
            w.assign(np.arange(n).reshape(shape))
            continue
        if not shape:
            w.assign(noise.uniform(1, 0.5, 1.5)[0])
            continue
        bound = (3 / np.prod(shape[:-1])) ** 0.5 if name == "kernel" else 0.5
        if name in ("depthwise_kernel", "pointwise_kernel"):
            bound = (3 / np.prod(shape[:2] if name[0] == "d" else shape[:-1])) ** 0.5
        lo, hi = (0.5, 1.5) if name in ("gamma", "moving_variance") else (-bound, bound)
        w.assign(noise.uniform(n, lo, hi).reshape(shape))


def golden(out, name, seed):
    make, converter, features = FAMILIES[name]
    backbone, folder = make(), out / name
    folder.mkdir(parents=True, exist_ok=True)
    draw(backbone, Noise(seed))
    backbone.save_to_preset(str(folder), **({"max_shard_size": 2e-5} if name.endswith("_shards") else {}))
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
    out = tower({name: entry for name in tower.input} if isinstance(tower.input, dict) else entry, training=False)
    y = np.asarray(features(out if isinstance(out, dict) else np.asarray(out), backbone)).ravel()
    places = np.unique(np.linspace(0, y.size - 1, 12).astype(int))
    last = features.layer if hasattr(features, "layer") else "class_token" if features in (class_token, class_token_normed) else "features"
    line = "%s %d %.7g %d" % (last, y.size, np.abs(y).max(), len(places)) + "".join(" %d %.7g" % (p, y[p]) for p in places)
    path.write_text("%d %d %d %d\n%s\n" % (seed + 1000, *shape, line))


def main():
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "golden" / "presets"
    wanted = sys.argv[2:]
    for i, name in enumerate(FAMILIES):
        if wanted and name not in wanted:
            continue
        golden(out, name, 700 + i)


if __name__ == "__main__":
    main()
