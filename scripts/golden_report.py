#!/usr/bin/env python3
"""Expected figures for the evaluation tests from scikit-learn and SciPy: tests/golden/head/ranking.txt.

The probabilities are those of metrics.f32 (scripts/golden_head.py). Lines: Wilson's interval; balanced accuracy, Brier score, top-2
and top-3 accuracy; ROC AUC and average precision of each class (nan for a class without rows); McNemar's table and p for two
columns of correct and wrong.

cam.jpg, cam.txt: a photograph of 256 x 256 pixels, of which the bundled network uses the middle 224 unchanged, and class activation
maps that NumPy computes from Keras's activations, for a head of two classes drawn from SplitMix64: 49 lines of two shares, then the
two logits.
"""
import os
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import keras

import numpy as np
from PIL import Image
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, brier_score_loss, roc_auc_score, top_k_accuracy_score

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
OUT = os.path.join(ROOT, "tests", "golden", "head")


def unit(n, seed):
    """ft_random_unit of lib/base/random.h"""
    values, state, mask = [], seed, (1 << 64) - 1
    for _ in range(n):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
        values.append(((z ^ z >> 31) >> 11) * 2.0**-53)
    return np.array(values)


def write_cam():
    photo = os.path.join(ROOT, "tests", "data", "cats-vs-dogs", "test", "cat", "cat.52.jpg")
    path = os.path.join(OUT, "cam.jpg")
    Image.open(photo).convert("RGB").resize((256, 256), Image.BICUBIC).save(path, quality=85)
    pixels = np.asarray(Image.open(path))[16:240, 16:240].astype(np.float32)
    network = keras.saving.load_model(os.path.join(ROOT, "weights", "efficientnet-lite0.h5"), compile=False)
    pooling = [layer for layer in network.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D)][-1]
    activations = np.asarray(keras.Model(network.input, pooling.input)(pixels[None]))[0].astype(np.float64)
    height, width, d = activations.shape
    w = ((unit(d * 2, 3) - 0.5) * 0.2).astype(np.float32).reshape(d, 2).astype(np.float64)
    shares = activations.reshape(-1, d) @ w / (height * width)
    logits = activations.mean((0, 1)) @ w + [0.25, -0.5]
    with open(os.path.join(OUT, "cam.txt"), "w") as f:
        f.writelines(f"{a:.9g} {b:.9g}\n" for a, b in [*shares, logits])


def main():
    warnings.simplefilter("ignore")
    write_cam()
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
