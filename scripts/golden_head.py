#!/usr/bin/env python3
"""Expected values for tests/unit/fits.c and metrics.c from scikit-learn, in float64: tests/golden/head.

fit_*.f32 / .i32   features [n, d] and labels [n]
blocks.txt         name n d k, three widths of blocks, depth, l2, and the probabilities [n, k] of the rows of fit_name: features of several layers
fits.txt           name n d k scale l2 weighted objective   (the minimum of (1/n) sum c(y) loss + l2/2 |W|^2 on centred features times
                   1 / sqrt(v + mean v) for scale "floor", 1 / sqrt(v) for "standard", v their variances)
metrics.f32/.i32   probabilities [n, k]; labels [n] then folds [n]
metrics.txt        n k accuracy accuracy_sd log_loss ece, the confusion matrix, a line of figures a class
temperature.*      logits [n, k], labels [n]; n k T
wilson.txt         right n low high
mcnemar.txt        only_a only_b p

Our l2 is scikit-learn's C = 1 / (l2 n); with two classes scikit-learn has one weight vector v where we have the pair (-v/2, v/2), whose
squared length is |v|^2 / 2, hence C = 2 / (l2 n).
"""
import os
import warnings

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_recall_fscore_support

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "head")
L2 = 10, 1, 0.1, 0.01, 0.001, 0.0001


def features(rng, d, counts, awkward=True):
    """Skewed, correlated, partly uninformative, like the pooled activations of a network. The last three may be difficult cases."""
    y = np.repeat(np.arange(len(counts)), counts)
    rng.shuffle(y)
    n = len(y)
    centres = rng.normal(size=(len(counts), 6)) * 1.2
    latent = centres[y] + rng.normal(size=(n, 6))
    x = np.maximum(latent @ rng.normal(size=(6, d)) * 0.5 + rng.normal(size=(n, d)) * 0.7, 0) * np.exp(rng.normal(size=d))
    if awkward:
        x[:, -1] = 3.25
        x[:, -2] = x[:, -2] * 10 + 1000
        x[:, -3] *= 1e8
    return x.astype(np.float32), y.astype(np.int32)


def objective(z, y, weight, w, b, l2):
    logits = z @ w.T + b
    logits -= logits.max(1, keepdims=True)
    loss = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(y)), y]
    return (weight * loss).mean() + l2 / 2 * (w**2).sum()


def minimum(x, y, scale, l2, weighted):
    x = x.astype(np.float64)
    v = x.var(0)
    sd = np.sqrt(v + (v.mean() if scale == "floor" else 0))
    z = np.where(v > 0, (x - x.mean(0)) / np.where(v > 0, sd, 1), 0)
    k, n = y.max() + 1, len(y)
    weight = n / (k * np.bincount(y))[y] if weighted else np.ones(n)
    found = []
    for solver in "lbfgs", "newton-cg":
        fit = LogisticRegression(C=(2 if k == 2 else 1) / (l2 * n), solver=solver, tol=1e-11, max_iter=50000)
        fit.fit(z, y, sample_weight=weight)
        w, b = fit.coef_, fit.intercept_
        if k == 2:
            w, b = np.vstack([-w, w]) / 2, np.array([-b[0], b[0]]) / 2
        found.append(objective(z, y, weight, w, b, l2))
    assert max(found) < min(found) * (1 + 1e-7), found
    return min(found)


def blocks_minimum(x, y, blocks, depth, l2):
    """The minimum on features of several layers: each block scaled with a floor of its own, and weighted (lib/head/design.h)."""
    x = x.astype(np.float64)
    z, edges = np.zeros_like(x), np.cumsum([0, *blocks])
    scale, total = [], []
    for a, b in zip(edges, edges[1:]):
        v = x[:, a:b].var(0)
        scale.append(1 / np.sqrt(v + v.mean()))
        total.append((v / (v + v.mean())).sum())
        z[:, a:b] = (x[:, a:b] - x[:, a:b].mean(0)) * scale[-1]
    others = edges[-2]
    for i, (a, b) in enumerate(zip(edges[:-1], edges[1:-1])):
        z[:, a:b] *= np.sqrt(depth * total[-1] / total[i] * (b - a) / others)
    k, n = y.max() + 1, len(y)
    fit = LogisticRegression(C=(2 if k == 2 else 1) / (l2 * n), solver="newton-cg", tol=1e-11, max_iter=50000).fit(z, y)
    p = fit.predict_proba(z)
    w, b = fit.coef_, fit.intercept_
    if k == 2:
        w, b = np.vstack([-w, w]) / 2, np.array([-b[0], b[0]]) / 2
    return objective(z, y, np.ones(n), w, b, l2), p


def write_blocks():
    """Probabilities of the training rows at the minimum, for three blocks of the features of a fit."""
    lines = []
    for name, n, d, blocks in ("plain4", 45, 40, (7, 21, 12)), ("wide3", 41, 60, (40, 12, 7)), ("wide2", 50, 90, (30, 29, 30)):
        x = np.fromfile(os.path.join(OUT, f"fit_{name}.f32"), np.float32).reshape(n, d)[:, : sum(blocks)]
        y = np.fromfile(os.path.join(OUT, f"fit_{name}.i32"), np.int32)
        for depth in 0.1, 3.0:
            for l2 in 0.1, 0.001:
                p = blocks_minimum(x, y, blocks, depth, l2)[1]
                lines.append(f"{name} {n} {d} {y.max() + 1} {' '.join(map(str, blocks))} {depth} {l2} {' '.join('%.9g' % v for v in p.ravel())}")
    with open(os.path.join(OUT, "blocks.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")


def write_fits(rng):
    rows = []
    sets = (rng, "wide2", 90, (25, 25)), (rng, "tall2", 12, (90, 30)), (rng, "wide3", 60, (20, 12, 9)), (rng, "tall10", 24, tuple(range(8, 28, 2)))
    for rng, name, d, counts in (*sets, (np.random.default_rng(21), "plain4", 40, (14, 12, 10, 9))):
        x, y = features(rng, d, counts, name != "plain4")
        x.tofile(os.path.join(OUT, f"fit_{name}.f32"))
        y.tofile(os.path.join(OUT, f"fit_{name}.i32"))
        for scale in "floor", "standard":
            for l2 in L2:
                for weighted in 0, 1:
                    rows.append(f"{name} {len(y)} {d} {len(counts)} {scale} {l2!r} {weighted} {minimum(x, y, scale, l2, weighted):.15g}")
    with open(os.path.join(OUT, "fits.txt"), "w") as f:
        f.write("\n".join(rows) + "\n")


def write_metrics(rng, n=300, k=5, bins=15):
    y = rng.integers(0, k - 1, n).astype(np.int32)  # the last class has no row
    fold = rng.integers(0, 4, n).astype(np.int32)
    z = rng.normal(size=(n, k)) * 1.5 - np.array([0, 0, 0, 9, 1])  # class 3 is never predicted
    z[np.arange(n), y] += 1.5 * (y != 3)
    e = np.exp(z)
    p = (e / e.sum(1, keepdims=True)).astype(np.float32)
    q = p.astype(np.float64)
    predicted, top = q.argmax(1), q.max(1)
    right = predicted == y
    which = np.clip(np.ceil(top * bins).astype(int) - 1, 0, bins - 1)
    ece = sum((which == b).mean() * abs(top[which == b].mean() - right[which == b].mean()) for b in set(which))
    sd = np.std([accuracy_score(y[fold == f], predicted[fold == f]) for f in range(4)], ddof=1)
    labels = list(range(k))
    precision, recall, f1, support = precision_recall_fscore_support(y, predicted, labels=labels, zero_division=0)
    p.tofile(os.path.join(OUT, "metrics.f32"))
    np.concatenate([y, fold]).tofile(os.path.join(OUT, "metrics.i32"))
    lines = [f"{n} {k}", " ".join(f"{v:.17g}" for v in (accuracy_score(y, predicted), sd, log_loss(y, q, labels=labels), ece))]
    lines += [" ".join(map(str, row)) for row in confusion_matrix(y, predicted, labels=labels)]
    lines += [f"{precision[c]:.17g} {recall[c]:.17g} {f1[c]:.17g} {support[c]} {(predicted == c).sum()}" for c in labels]
    with open(os.path.join(OUT, "metrics.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")


def write_temperature(rng, n=200, k=3):
    """The minimum of the sum of losses + 8 (ln T)^2."""
    y = rng.integers(0, k, n).astype(np.int32)
    z = (rng.normal(size=(n, k)) * 4).astype(np.float32)
    z[np.arange(n), y] += 5

    def total(t):
        s = z.astype(np.float64) / np.exp(t)
        s -= s.max(1, keepdims=True)
        return (np.log(np.exp(s).sum(1)) - s[np.arange(n), y]).sum() + 8 * t * t

    best = minimize_scalar(total, bounds=(-3, 3), method="bounded", options={"xatol": 1e-10})
    z.tofile(os.path.join(OUT, "temperature.f32"))
    y.tofile(os.path.join(OUT, "temperature.i32"))
    with open(os.path.join(OUT, "temperature.txt"), "w") as f:
        f.write(f"{n} {k} {np.exp(best.x):.9g}\n")


def write_tests():
    with open(os.path.join(OUT, "wilson.txt"), "w") as f:
        for right, n in (0, 1), (1, 1), (0, 20), (20, 20), (1, 2), (7, 9), (399, 399), (12345, 20000):
            low, high = binomtest(right, n).proportion_ci(method="wilson")
            f.write(f"{right} {n} {low:.17g} {high:.17g}\n")
    with open(os.path.join(OUT, "mcnemar.txt"), "w") as f:
        for a, b in (0, 0), (0, 5), (3, 3), (9, 1), (2, 30), (400, 350):
            p = binomtest(a, a + b).pvalue if a + b else 1
            f.write(f"{a} {b} {p:.17g}\n")


def main():
    warnings.simplefilter("ignore")  # the solvers grumble about tolerances below what they can reach
    os.makedirs(OUT, exist_ok=True)
    rng = np.random.default_rng(20)
    write_fits(rng)
    write_blocks()
    write_metrics(rng)
    write_temperature(rng)
    write_tests()


if __name__ == "__main__":
    main()
