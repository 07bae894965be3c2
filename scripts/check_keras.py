#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens a model file in Keras 3 and in tf_keras and compares their probabilities with those of `finetune predict`.
tf_keras is left out if the network has attention: its MultiHeadAttention has settings that Keras 3 refuses, and it has no
keras.ops, which attention in windows needs.

    scripts/check_keras.py MODEL.h5 PICTURE...      exit status 77: Keras is not installed

Pillow crops and resizes the pictures by the rule in the model's `finetune` attribute.
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

TOLERANCE = 2e-3  # probabilities are printed with 3 digits; decoders of JPEG and resizers may differ by a grey level


def entry(path, geometry, channels):
    """A picture as the input of the network."""
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    size = geometry["width"], geometry["height"]
    box = (0, 0, *picture.size)
    if geometry["resize"] == "crop":
        scale = geometry["crop"] * min(picture.width / size[0], picture.height / size[1])
        w, h = size[0] * scale, size[1] * scale
        box = ((picture.width - w) / 2, (picture.height - h) / 2, (picture.width + w) / 2, (picture.height + h) / 2)
    pixels = np.asarray(picture.resize(size, getattr(Image, geometry["filter"].upper()), box), "float32")
    return pixels if channels == 3 else pixels @ np.array([[0.299], [0.587], [0.114]], "float32")


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
    sys.exit(1 if worst > TOLERANCE else 0)


if __name__ == "__main__":
    main()
