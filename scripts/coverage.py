#!/usr/bin/env python3
"""Coverage of the interval that `finetune train` prints: coverage.py [--draws N] [--first SEED] [--subset K] [--raw FILE] [FINETUNE]

For each set below ../shared/data, draws N training sets of 5, 10 and 20 pictures per class from all its pictures, trains with the defaults, and
measures the head on all pictures that were not drawn. Prints, as the table of lib/head/README.md, in what share of the draws, with its standard error, the 95 % interval
contains the accuracy on the rest, the cross-validated accuracy and the accuracy on the rest, and the calibration error: as cross-validation
states it, and on the rest without and with the temperature. --subset K takes K random classes of a set, others for each draw.

Where a set is small, the accuracy on the rest is itself a sample, and its error adds to that of the interval: with as many pictures in the rest
as in the training set, an interval of exactly 95 % contains it in 83 %. The column "widened" therefore also counts how often the rest is in
the interval after its half width h has become sqrt(h^2 + e^2), where e is the 95 % sampling error of the rest.
"""
import argparse
import concurrent.futures
import csv
import json
import math
import os
import random
import subprocess
import sys
import tempfile

import h5py
import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
DATA = os.path.join(ROOT, "..", "shared", "data")
SETS = "blood-cells", "omniglot40", "cats-vs-dogs"
SIZES = 5, 10, 20
BINS = 15


def run(finetune, *arguments):
    result = subprocess.run([finetune, *arguments, "--json", "-q", "--threads", "1"], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"finetune {' '.join(arguments)}: {result.stderr}")
    return json.loads(result.stdout)


def load(finetune, name):
    """Paths, classes and features of all pictures of a set."""
    paths, classes, rows = [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        for part in "train", "test":
            output = os.path.join(scratch, "features.h5")
            folder = os.path.abspath(os.path.join(DATA, name, part))
            run(finetune, "features", folder, "--layers", "all", "-o", output)
            with h5py.File(output) as f:
                names = [c.decode() if isinstance(c, bytes) else c for c in f["classes"][:]]
                found = [p.decode() if isinstance(p, bytes) else p for p in f["paths"][:]]
                paths += [p if os.path.isabs(p) else os.path.join(folder, p) for p in found]
                classes += [names[i] for i in f["labels"][:]]
                rows.append(f["features"][:])
    return np.array(paths), np.array(classes), np.concatenate(rows)


def head_of(model, k):
    """Kernel and bias of the last Dense layer."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and item.shape[-1:] == (k,) and name.split("/")[-1].split(":")[0] in ("kernel", "bias"):
            found[name.split("/")[-1].split(":")[0]] = item[:]

    with h5py.File(model) as f:
        f["model_weights"].visititems(visit)
    return found["kernel"], found["bias"]


def calibration_error(logits, labels):
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    bins = np.clip(np.ceil(p.max(1) * BINS).astype(int) - 1, 0, BINS - 1)
    off = np.bincount(bins, p.max(1) - (p.argmax(1) == labels), BINS)
    return float(np.abs(off).sum() / len(labels))


def trial(finetune, data, classes, size, seed):
    """What train says, and the measurement on the rest."""
    paths, labels, features = data
    rng = random.Random(f"{' '.join(classes)} {size} {seed}")
    train, rest = [], []
    for c in classes:
        pool = list(np.flatnonzero(labels == c))
        some = set(rng.sample(pool, size))
        train += [i for i in pool if i in some]
        rest += [i for i in pool if i not in some]
    with tempfile.TemporaryDirectory() as scratch:
        table, model = os.path.join(scratch, "train.csv"), os.path.join(scratch, "model.h5")
        with open(table, "w", newline="", encoding="utf-8") as f:
            csv.writer(f).writerows([("path", "label"), *((paths[i], labels[i]) for i in train)])
        said = run(finetune, "train", "--labels", table, "-o", model, "--seed", str(seed))
        kernel, bias = head_of(model, len(classes))
    order = [c["label"] for c in said["classes"]]
    truth = np.array([order.index(c) for c in labels[rest]])
    logits = features[rest][:, -len(kernel):] @ kernel + bias
    return {"n": len(train), "rest": len(rest), "measured": float((logits.argmax(1) == truth).mean()),
            "ece_with": calibration_error(logits, truth), "ece_without": calibration_error(logits * said["temperature"], truth),
            **{key: said[key] for key in ("accuracy", "interval", "repeats", "depth", "ece", "l2", "temperature", "log_loss")}}


def widened(t):
    """Whether the accuracy on the rest is in the interval, with the sampling error of the rest."""
    low, high = t["interval"]
    error = 1.96 * math.sqrt(t["measured"] * (1 - t["measured"]) / t["rest"])
    return abs(t["measured"] - (low + high) / 2) <= math.hypot((high - low) / 2, error)


def report(name, size, trials):
    def mean(key):
        return sum(t[key] for t in trials) / len(trials)

    inside = sum(t["interval"][0] <= t["measured"] <= t["interval"][1] for t in trials) / len(trials)
    wide = sum(map(widened, trials)) / len(trials)
    above = sum(t["measured"] > t["interval"][1] for t in trials)
    below = sum(t["measured"] < t["interval"][0] for t in trials)
    width = sum(t["interval"][1] - t["interval"][0] for t in trials) / len(trials)
    error = math.sqrt(inside * (1 - inside) / len(trials))
    print(f"| {name} | {size} | {len(trials)} | {100 * inside:.1f} ± {100 * error:.1f} % | {100 * wide:.1f} % | {above}, {below} | {width:.3f} | {mean('accuracy'):.3f} | {mean('measured'):.3f} "
          f"| {mean('ece'):.3f} | {mean('ece_without'):.3f} | {mean('ece_with'):.3f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("finetune", nargs="?", default=os.path.join(ROOT, "build", "cli", "finetune"))
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--first", type=int, default=1, help="seed of the first draw")
    parser.add_argument("--subset", type=int, metavar="K", help="draw K classes for each draw (all)")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="pictures per class (%(default)s)")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--raw", help="append the results of all draws to this file, as JSON")
    options = parser.parse_args()
    print("| set | per class | draws | covered | widened | rest above, below | width | cross-validated | on the rest | calibration error, as printed | on the rest, without temperature | with |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name in options.sets.split(","):
            data = load(options.finetune, name)
            names = sorted(set(data[1]))
            least = min((data[1] == c).sum() for c in names)
            if options.subset and options.subset >= len(names):
                continue
            label = f"{name}, {options.subset} classes" if options.subset else name
            for size in map(int, options.sizes.split(",")):
                if size >= least:
                    continue
                jobs = []
                for seed in range(options.first, options.first + options.draws):
                    some = sorted(random.Random(seed).sample(names, options.subset)) if options.subset else names
                    jobs.append(pool.submit(trial, options.finetune, data, some, size, seed))
                trials = []
                for job in jobs:
                    trials.append(job.result())
                    if options.raw:
                        with open(options.raw, "a", encoding="utf-8") as f:
                            f.write(json.dumps({"set": label, "size": size, **trials[-1]}) + "\n")
                report(label, size, trials)


if __name__ == "__main__":
    main()
