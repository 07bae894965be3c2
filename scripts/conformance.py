#!/usr/bin/env python3
"""Does finetune compute what Keras computes? conformance.py [--only PREFIX,...] [--list] [--binary PATH] [--keep DIR] [--pictures DIR]

Builds networks of keras.applications with seeded random weights, saves them in every container that Keras can write, runs
`finetune features` on PNG pictures of exactly the network's input size and compares with Keras on the same pixels. One row a network
and container: the largest difference, relative to how far the features of different pictures lie apart (the root mean square over
features of their standard deviation over pictures). 1e-3 is allowed, 1e-4 with FINETUNE_EXACT=1. Exit status: 0 all within, 1 not.

Random weights are not naive ones: batch-norm statistics are those of real pictures, layer by layer, then perturbed; biases, gammas
and betas are noise. So features of different pictures differ, and a program that ignored the picture would fail.

Containers: h5 (Keras 3, whole model), h5k2 (tf_keras stands in for Keras 2), and with --containers others that this version of
finetune opens: keras (.keras zip), k2keras, weights. `back` rows: a model trained on the backbone opens in Keras 3 and tf_keras and gives the
probabilities of `finetune predict`.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
ROOT = Path(__file__).resolve().parent.parent

# name, size, and how large: 0 small enough for a slice, 1 the rest, 2 the largest of each family
NETWORKS = [
    ("VGG16", 96, 0), ("VGG19", 96, 1),
    ("ResNet50", 128, 0), ("ResNet101", 128, 1), ("ResNet152", 128, 1),
    ("ResNet50V2", 128, 0), ("ResNet101V2", 128, 1), ("ResNet152V2", 128, 1),
    ("InceptionV3", 139, 0), ("InceptionResNetV2", 139, 1), ("Xception", 128, 0),
    ("MobileNet", 128, 0), ("MobileNetV2", 128, 0), ("MobileNetV3Small", 128, 0), ("MobileNetV3Large", 128, 0),
    ("DenseNet121", 128, 0), ("DenseNet169", 128, 1), ("DenseNet201", 128, 1),
    ("NASNetMobile", 128, 0), ("NASNetLarge", 331, 2),
    ("EfficientNetB0", 128, 0), ("EfficientNetB1", 128, 1), ("EfficientNetB2", 128, 1), ("EfficientNetB3", 128, 1),
    ("EfficientNetB4", 128, 1), ("EfficientNetB5", 128, 1), ("EfficientNetB6", 128, 1), ("EfficientNetB7", 160, 2),
    ("EfficientNetV2B0", 128, 0), ("EfficientNetV2B1", 128, 1), ("EfficientNetV2B2", 128, 1), ("EfficientNetV2B3", 128, 1),
    ("EfficientNetV2S", 128, 1), ("EfficientNetV2M", 128, 1), ("EfficientNetV2L", 128, 2),
    ("ConvNeXtTiny", 96, 0), ("ConvNeXtSmall", 96, 1), ("ConvNeXtBase", 96, 1), ("ConvNeXtLarge", 96, 2), ("ConvNeXtXLarge", 96, 2),
]
# Families whose graph holds no normalisation get the one that their preprocess_input stands for, as layers.
TF = ("ResNet50V2", "ResNet101V2", "ResNet152V2", "Inception", "Xception", "NASNet", "MobileNetV2")
INSIDE = ("EfficientNet", "MobileNetV3", "ConvNeXt")
N_PICTURES = 6


def pictures(folder, size, out):
    """N_PICTURES real pictures as PNG of size x size, and their pixels [n, size, size, 3]."""
    import numpy as np
    from PIL import Image
    found = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if len(found) < 2 * N_PICTURES:
        sys.exit("conformance: '%s': fewer than %d pictures" % (folder, 2 * N_PICTURES))
    chosen = [found[i * len(found) // (2 * N_PICTURES)] for i in range(2 * N_PICTURES)]
    pixels = []
    for i, path in enumerate(chosen):
        image = Image.open(path).convert("RGB").resize((size, size), Image.BICUBIC)
        if i % 2 == 0:
            image.save(out / ("%02d.png" % i))
        pixels.append(np.asarray(image, np.float32))
    return np.stack(pixels[::2]), np.stack(pixels[1::2])


def shape_of(model):
    return tuple(model.inputs[0].shape[1:])


def randomise(keras, model, seed, calibrating):
    """Seeded weights everywhere; then, layer by layer, batch-norm statistics from `calibrating` pictures, perturbed."""
    import numpy as np
    rng = np.random.default_rng(seed)
    for w in model.weights:
        name, shape = w.name.split("/")[-1].split(":")[0], tuple(w.shape)
        layer = w.path if hasattr(w, "path") else w.name
        if name == "count" or "seed" in name:
            continue
        if name in ("mean", "variance"):
            value = rng.uniform(0.4, 0.5, shape) if name == "mean" else rng.uniform(0.05, 0.06, shape)
        elif len(shape) >= 2:
            depthwise = len(shape) == 4 and ("depthwise" in name or 1 in shape[2:])
            fan = np.prod(shape[:2]) if depthwise else np.prod(shape[:-1])
            value = rng.normal(0, (1.6 / fan) ** 0.5, shape)
        elif name in ("gamma", "moving_variance"):
            value = rng.uniform(0.7, 1.3, shape)
        elif "layer_scale" in layer or name.startswith("variable"):
            value = rng.uniform(0.2, 0.5, shape)
        else:
            value = rng.normal(0, 0.1, shape)
        w.assign(value.astype(np.float32))
    for layer in model.layers: # what the layer really uses is made from its variables
        if type(layer).__name__ == "Normalization" and layer.input_mean is None:
            layer.finalize_state()
    norms = [l for l in model.layers if type(l).__name__ == "BatchNormalization"]
    calibrate(keras, model, norms, calibrating, rng)


def calibrate(keras, model, norms, calibrating, rng):
    """Momentum 0 makes one pass in training mode store the batch's own statistics, which later layers already see normalised."""
    import numpy as np
    if not norms:
        return
    before = [l.momentum for l in norms]
    for l in norms:
        l.momentum = 0.0
    model([calibrating], training=True)
    for l, momentum in zip(norms, before):
        l.momentum = momentum
        mean, variance = np.asarray(l.moving_mean), np.asarray(l.moving_variance)
        deviation = np.sqrt(variance + 1e-3)
        l.moving_mean.assign(mean + deviation * rng.normal(0, 0.1, mean.shape).astype(np.float32))
        l.moving_variance.assign((variance + 1e-3) * rng.uniform(0.8, 1.25, mean.shape).astype(np.float32))


def build(keras, name, size, calibrating, seed=7):
    """The network without its top, average-pooled, taking RGB 0-255."""
    keras.utils.set_random_seed(seed)
    x = keras.Input((size, size, 3))
    y = x
    if not name.startswith(INSIDE):
        y = keras.layers.Rescaling(1 / 127.5, -1.0)(x) if name.startswith(TF) else keras.layers.Rescaling(1 / 58.0, -2.1)(x)
    extra = {"include_preprocessing": True} if name.startswith(("EfficientNetV2", "MobileNetV3", "ConvNeXt")) else {}
    model = getattr(keras.applications, name)(weights=None, include_top=False, pooling="avg", input_tensor=y, **extra)
    randomise(keras, model, seed, calibrating)
    return model


def run_finetune(binary, file, folder, out):
    """Features [n, d] in the order of the names, or an error's text."""
    import h5py
    import numpy as np
    done = subprocess.run([str(binary), "features", str(folder), "--backbone", str(file), "--resize", "squash", "--no-cache", "--output", str(out)],
                          capture_output=True, text=True, timeout=1800)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "exit status %d" % done.returncode
    with h5py.File(out) as f:
        order = np.argsort([os.path.basename(p.decode() if isinstance(p, bytes) else p) for p in f["paths"][:]])
        return f["features"][:][order]


def error(got, want):
    """Largest difference over how far pictures lie apart, and that distance over the size of the features."""
    import numpy as np
    apart = np.sqrt((want.std(axis=0) ** 2).mean())
    return float(np.abs(got - want).max() / apart), float(apart / np.sqrt((want**2).mean()))


def back_in_keras(binary, file, folder, work, name, pixels):
    """Trains on the backbone, opens the model in Keras 3 and tf_keras: the largest difference of a probability."""
    import numpy as np
    model, worst = work / "model.h5", 0.0
    sides = work / "sides"
    for i, png in enumerate(sorted(folder.glob("*.png"))):
        (sides / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        (sides / "ab"[i % 2] / png.name).write_bytes(png.read_bytes())
    done = subprocess.run([str(binary), "train", str(sides), "--backbone", str(file), "--resize", "squash", "--folds", "2", "--no-cache", "--output", str(model)],
                          capture_output=True, text=True, timeout=1800)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    done = subprocess.run([str(binary), "predict", "--model", str(model), "--top", "2", "--json"] + [str(p) for p in sorted(folder.glob("*.png"))], capture_output=True,
                          text=True, timeout=1800)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    mine = np.array([[{t["label"]: t["probability"] for t in row["top"]}[c] for c in "ab"] for row in json.loads(done.stdout)])
    code = ("import os,sys,numpy as np; os.environ['TF_CPP_MIN_LOG_LEVEL']='3'; import %s as keras; "
            "load=getattr(keras,'saving',keras.models).load_model; m=load(sys.argv[1],compile=False); "
            "np.save(sys.argv[3], np.asarray(m(np.load(sys.argv[2]),training=False)))")
    np.save(work / "pixels.npy", pixels)
    for module in ("keras", "tf_keras"):
        out = work / ("back-%s.npy" % module)
        done = subprocess.run([sys.executable, "-c", code % module, str(model), str(work / "pixels.npy"), str(out)], capture_output=True, text=True)
        if done.returncode:
            return module + ": " + done.stderr.strip().splitlines()[-1]
        worst = max(worst, float(np.abs(np.load(out) - mine).max()))
    return worst


def save(model, container, path):
    """Writes the file and returns its path."""
    path = path.with_suffix({"h5": ".h5", "keras": ".keras", "weights": ".weights.h5"}[container.replace("k2", "")])
    if container.endswith("weights"):
        model.save_weights(path)
    else:
        model.save(path)
    return path


def measure(name, size, containers, args):
    """Rows (network, container, error or text, apart, seconds) for one network."""
    import numpy as np
    with tempfile.TemporaryDirectory(dir=args.keep) as work:
        work = Path(work)
        folder = work / "pictures"
        folder.mkdir()
        pixels, calibrating = pictures(args.pictures, size, folder)
        for generation in ("", "k2"):
            wanted = [c for c in containers if c.startswith("k2") == bool(generation)]
            if not wanted:
                continue
            if generation:
                import tf_keras as keras
            else:
                import keras
            model = build(keras, name, size, calibrating)
            want = np.concatenate([np.asarray(model([pixels[i:i + 1]], training=False)) for i in range(len(pixels))])
            for container in wanted:
                start = time.time()
                if container.endswith("back"):
                    file = save(model, container.replace("back", "h5"), work / name)
                    got = back_in_keras(args.binary, file, folder, work, name, pixels)
                    yield name, container, got, 1.0, time.time() - start
                    continue
                file = save(model, container, work / name)
                got = run_finetune(args.binary, file, folder, work / "features.h5")
                file.unlink()
                value, apart = (got, 0.0) if isinstance(got, str) else error(got, want)
                yield name, container, value, apart, time.time() - start
            keras.backend.clear_session()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="beginnings of names, with commas; default: all but the largest")
    parser.add_argument("--containers", default="h5,k2h5,back", help="of h5, k2h5, keras, k2keras, weights, back, k2back")
    parser.add_argument("--largest", action="store_true", help="the largest networks as well")
    parser.add_argument("--small", action="store_true", help="one or two of each family")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--binary", default=ROOT / "build" / "cli" / "finetune")
    parser.add_argument("--pictures", default=ROOT / "tests" / "data")
    parser.add_argument("--keep", help="folder for temporary files")
    args = parser.parse_args()
    only = [o.lower() for o in args.only.split(",") if o]
    level = 2 if args.largest or only else 0 if args.small else 1
    chosen = [(n, s) for n, s, l in NETWORKS if l <= level and (not only or any(n.lower().startswith(o) for o in only))]
    if args.list:
        print("\n".join(n for n, _ in chosen))
        return 0
    limit = 1e-4 if os.environ.get("FINETUNE_EXACT") == "1" else 1e-3
    bad = 0
    print("%-20s %-8s %10s %8s %6s" % ("network", "file", "error", "apart", "s"), flush=True)
    for name, size in chosen:
        for row in measure(name, size, args.containers.split(","), args):
            good = not isinstance(row[2], str) and row[2] <= (1e-5 if row[1].endswith("back") else limit)
            bad += not good
            text = row[2] if isinstance(row[2], str) else "%.1e" % row[2]
            print("%-20s %-8s %10s %8.3f %6.1f%s" % (row[0], row[1], text, row[3], row[4], "" if good else "  <-- too far"), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
