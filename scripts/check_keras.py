#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens a model file in Keras 3 and in tf_keras and compares their probabilities with those of `finetune predict`.
tf_keras is left out if the network has attention: its MultiHeadAttention has settings that Keras 3 refuses, and it has no
keras.ops, which attention in windows needs.

    scripts/check_keras.py MODEL.h5 PICTURE...      exit status 77: Keras is not installed

Pillow crops and resizes the pictures by the rule in the model's `finetune` attribute. Large JPEGs are decoded at a reduced scale, as
the program does it (ft_image_eighths): the full decode is up to a grey level away, which networks with random weights amplify.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
try:
    import h5py
    import keras
    import numpy as np
    import tf_keras
    from PIL import Image, ImageOps
except ImportError as missing:
    print(f"check_keras.py: {missing}")
    sys.exit(77)

TOLERANCE = 1e-5
LOWER = 0.1  # of models that were trained with --precision bf16 or int8: Keras opens the float32 network
MARGIN = 2.0  # FT_REDUCTION_MARGIN: a JPEG is decoded at 1/2, 1/4 or 1/8 if it is still this much larger than what it becomes
FROM_RIGHT, FROM_BOTTOM = (2, 3, 6, 7), (3, 4, 7, 8)  # orientations: the last column or row of the file comes first


def place(geometry, width, height):
    """The box of the upright picture that is used, and the place in the input that it fills: left, top, width, height."""
    size = geometry["width"], geometry["height"]
    ratio = width / size[0], height / size[1]
    if geometry["resize"] == "crop":
        w, h = (geometry["crop"] * min(ratio) * s for s in size)
        return ((width - w) / 2, (height - h) / 2, (width + w) / 2, (height + h) / 2), (0, 0, *size)
    if geometry["resize"] == "pad":
        w, h = (max(1, round(side / max(ratio))) for side in (width, height))
        return (0, 0, width, height), (round((size[0] - w) / 2), round((size[1] - h) / 2), w, h)
    return (0, 0, width, height), (0, 0, *size)


def entry(path, geometry, channels):
    """A picture as the input of the network."""
    picture = Image.open(path)
    turn = picture.getexif().get(0x0112, 1)
    full = picture.size[::-1] if turn >= 5 else picture.size
    box, (left, top, w, h) = place(geometry, *full)
    shrink, scale = min((box[2] - box[0]) / w, (box[3] - box[1]) / h), 1
    while picture.format == "JPEG" and scale < 8 and 2 * scale * MARGIN <= shrink:
        scale *= 2
    picture.draft(None, [max(1, side // scale) for side in picture.size])
    picture = ImageOps.exif_transpose(picture).convert("RGB")
    first = picture.width - full[0] / scale if turn in FROM_RIGHT else 0, picture.height - full[1] / scale if turn in FROM_BOTTOM else 0
    box = [min(max(first[i % 2] + b / scale, 0), picture.size[i % 2]) for i, b in enumerate(box)]
    resized = Image.new("RGB", (geometry["width"], geometry["height"]))
    resized.paste(picture.resize((w, h), getattr(Image, geometry["filter"].upper()), box), (left, top))
    return np.asarray(resized if channels == 3 else resized.convert("L"), "float32").reshape(geometry["height"], geometry["width"], channels)


def main():
    model, pictures = sys.argv[1], sys.argv[2:]
    program = os.environ.get("FINETUNE") or Path(__file__).resolve().parent.parent / "build/cli/finetune"
    with h5py.File(model) as f:
        said = json.loads(f.attrs["finetune"])
        attention = any(name in f.attrs["model_config"] for name in ("MultiHeadAttention", "EinsumDense"))
    ours = json.loads(subprocess.run([program, "predict", "-m", model, "--json", "--top", "1000", *pictures], check=True, capture_output=True).stdout)
    ours = np.array([[next(t["probability"] for t in row["top"] if t["label"] == c) for c in said["classes"]] for row in ours])
    worst = 0
    for library in (keras,) if attention else (keras, tf_keras):
        network = library.models.load_model(model, compile=False)
        channels = network.inputs[0].shape[-1]
        theirs = np.asarray(network(np.stack([entry(p, said["input"], channels) for p in pictures]), training=False))
        difference = np.abs(theirs - ours).max()
        worst = max(worst, difference)
        print(f"{library.__name__} {library.__version__}: probabilities differ by at most {difference:.2g}")
    lower = said["backbone"].get("precision")
    if lower:
        print(f"Keras computes in float32, the model in {lower}: its tolerance is {LOWER}")
    sys.exit(1 if worst > (LOWER if lower else TOLERANCE) else 0)


if __name__ == "__main__":
    main()
