#!/usr/bin/env python3
"""Accuracy against the number of training pictures, by the finetune binary: accuracy.py [--seeds N] [FINETUNE]

For each set below ../shared/data, draws training sets of 5, 10, 20 pictures per class and of all, trains with `--scale standard --layers last`,
with `--layers last` and with the default, and measures on pictures that were not drawn: those of test/, or for sets with fewer than 20 training pictures per class all the
others. Prints mean accuracies over the seeds with their standard errors, as the table of lib/head/README.md. Every size has the same draws
for all columns. Features are cached, so a run takes a fraction of a second.
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

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
DATA = os.path.join(ROOT, "..", "shared", "data")
SETS = "blood-cells", "omniglot40", "cats-vs-dogs"
SIZES = 5, 10, 20, None


def pictures(folder):
    """{class: sorted paths}"""
    return {c: sorted(os.path.abspath(os.path.join(folder, c, name)) for name in os.listdir(os.path.join(folder, c))) for c in sorted(os.listdir(folder))}


def draw(name, size, seed):
    """Training rows and test rows, [(path, class)]; None if the set has too few pictures."""
    train, test = pictures(os.path.join(DATA, name, "train")), pictures(os.path.join(DATA, name, "test"))
    rng = random.Random(f"{name} {seed}")
    pooled = min(map(len, train.values())) < 20
    if pooled and size is None:
        return None
    chosen, rest = [], []
    for c in train:
        pool = train[c] + test[c] * pooled
        count = len(train[c]) if size is None else size
        if count > len(train[c]):
            return None
        some = set(rng.sample(pool, count))
        chosen += [(path, c) for path in pool if path in some]
        rest += [(path, c) for path in (pool if pooled else test[c]) if path not in some]
    return chosen, rest


def write_table(path, rows):
    with open(path, "w", newline="") as f:
        csv.writer(f).writerows([("path", "label"), *rows])


def run(finetune, *arguments):
    result = subprocess.run([finetune, *arguments, "--json", "-q", "--threads", "1"], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"finetune {' '.join(arguments)}: {result.stderr}")
    return json.loads(result.stdout)


def trial(finetune, name, size, seed, options):
    """The accuracy that train reports, and the accuracy on the other pictures."""
    drawn = draw(name, size, seed)
    if not drawn:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        train, test, model = (os.path.join(scratch, leaf) for leaf in ("train.csv", "test.csv", "model.h5"))
        write_table(train, drawn[0])
        write_table(test, drawn[1])
        said = run(finetune, "train", "--labels", train, "-o", model, "--seed", str(seed), *options)
        return said, run(finetune, "evaluate", "--labels", test, "-m", model)


def mean_and_error(values):
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / max(1, len(values) - 1))
    return mean, spread / math.sqrt(len(values))


def label(size):
    return "all" if size is None else str(size)


def table(finetune, seeds, pool):
    columns = ["--scale", "standard", "--layers", "last"], ["--layers", "last"], []
    print("| set | per class | `--scale standard --layers last` | `--layers last` | default | default - first | default - second |\n|---|---|---|---|---|---|---|")
    for name in SETS:
        for size in SIZES:
            if not draw(name, size, 0):
                continue
            jobs = [[pool.submit(trial, finetune, name, size, seed, options) for seed in range(1, seeds + 1)] for options in columns]
            values = [[job.result()[1]["accuracy"] for job in column] for column in jobs]
            cells = ["%.3f ± %.3f" % mean_and_error(column) for column in values]
            gains = ["%+.3f ± %.3f" % mean_and_error([b - a for a, b in zip(column, values[-1])]) for column in values[:-1]]
            print(f"| {name} | {label(size)} | {' | '.join(cells + gains)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("finetune", nargs="?", default=os.path.join(ROOT, "build", "cli", "finetune"))
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        table(options.finetune, options.seeds, pool)


if __name__ == "__main__":
    main()
