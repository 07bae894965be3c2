#!/usr/bin/env python3
"""Expected figures for the evaluation tests from scikit-learn and SciPy: tests/golden/head/ranking.txt.

The probabilities are those of metrics.f32 (scripts/golden_head.py). Lines: Wilson's interval; balanced accuracy, Brier score, top-2 and top-3
accuracy; ROC AUC and average precision a class (nan where a class has no rows); McNemar's table and p for two columns of right and wrong.
"""
import os
import warnings

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, brier_score_loss, roc_auc_score, top_k_accuracy_score

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "head")


def main():
    warnings.simplefilter("ignore")
    with open(os.path.join(OUT, "metrics.txt")) as f:
        n, k = map(int, f.readline().split())
    p = np.fromfile(os.path.join(OUT, "metrics.f32"), np.float32).reshape(n, k).astype(float)
    y = np.fromfile(os.path.join(OUT, "metrics.i32"), np.int32)[:n]
    labels = list(range(k))
    right = p.argmax(1) == y
    low, high = binomtest(int(right.sum()), n).proportion_ci(0.95, "wilson")
    onehot = np.eye(k)[y]
    brier = ((p - onehot) ** 2).sum(1).mean()
    assert abs(brier - brier_score_loss(y, p, labels=labels)) < 1e-6  # it renormalises rows
    lines = [f"{low:.17g} {high:.17g}", " ".join(f"{v:.17g}" for v in (
        balanced_accuracy_score(y, p.argmax(1)), brier, top_k_accuracy_score(y, p, k=2, labels=labels),
        top_k_accuracy_score(y, p, k=3, labels=labels)))]
    for c in labels:
        some = (y == c).any()
        lines.append(f"{roc_auc_score(y == c, p[:, c]) if some else np.nan:.17g} {average_precision_score(y == c, p[:, c]) if some else np.nan:.17g}")
    # coarse scores have ties
    coarse = np.round(p[:, 0], 1)
    lines.append(f"{roc_auc_score(y == 0, coarse):.17g} {average_precision_score(y == 0, coarse):.17g}")
    # the second classifier of the comparison: the same with its last two columns exchanged
    other = p[:, [0, 1, 2, 4, 3]].argmax(1) == y
    a, b = (right & ~other).sum(), (~right & other).sum()
    lines.append(f"{(right & other).sum()} {a} {b} {(~right & ~other).sum()} {binomtest(int(min(a, b)), int(a + b)).pvalue:.17g}")
    with open(os.path.join(OUT, "ranking.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
