#!/usr/bin/env python3
"""Writes many small pictures for measurements: scripts/make_pictures.py DIR [N=100000]

N different JPEG files of 64 x 64 pixels, 1000 in a directory: random boxes of the sample photographs.
"""
import pathlib
import random
import sys

from PIL import Image

SAMPLE = pathlib.Path(__file__).parent.parent / "tests/data/cats-vs-dogs/train"


def main():
    out, n = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100000
    rng = random.Random(1)
    photographs = [Image.open(path).convert("RGB") for path in sorted(SAMPLE.glob("*/*.jpg"))]
    for i in range(n):
        photograph = rng.choice(photographs)
        side = rng.randint(64, min(photograph.size))
        x, y = rng.randint(0, photograph.width - side), rng.randint(0, photograph.height - side)
        folder = out / f"{i // 1000:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        photograph.resize((64, 64), Image.BILINEAR, (x, y, x + side, y + side)).save(folder / f"{i:06d}.jpg", quality=80)


if __name__ == "__main__":
    main()
