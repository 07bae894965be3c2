#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does Keras open this file, and what does it say? Prints one line a picture: path, probabilities; then how far apart Keras 3 and
tf_keras are.

    scripts/check_keras.py model.h5 PICTURE...        # pictures must have the input's size already (PNG, say)
    scripts/check_keras.py model.h5 --random 4        # seeded random pixels
"""
import argparse
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np


def pixels(paths, count, shape):
    if count:
        return [f"random {i}" for i in range(count)], np.random.default_rng(0).integers(0, 256, (count, *shape)).astype("float32")
    from PIL import Image

    mode = {1: "L", 3: "RGB"}[shape[2]]
    batch = [np.asarray(Image.open(p).convert(mode), "float32").reshape(-1) for p in paths]
    wrong = [p for p, x in zip(paths, batch) if x.size != np.prod(shape)]
    if wrong:
        sys.exit(f"'{wrong[0]}' is not {shape[1]} x {shape[0]}")
    return paths, np.stack(batch).reshape(-1, *shape)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("pictures", nargs="*")
    parser.add_argument("--random", type=int, default=0, metavar="N")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    args = parser.parse_args()
    if bool(args.pictures) == bool(args.random):
        parser.error("give pictures or --random N")
    import keras
    import tf_keras

    models = [keras.saving.load_model(args.model, compile=False), tf_keras.models.load_model(args.model, compile=False)]
    names, batch = pixels(args.pictures, args.random, models[0].input_shape[1:])
    three, two = (m.predict(batch, verbose=0) for m in models)
    for name, row in zip(names, three):
        print(name, *(f"{p:.7f}" for p in row), sep="\t")
    apart = float(np.abs(three - two).max())
    print(f"keras {keras.__version__} and tf_keras {tf_keras.__version__} differ by at most {apart:.2g}")
    sys.exit(0 if apart <= args.tolerance else 1)


if __name__ == "__main__":
    main()
