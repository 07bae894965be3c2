#!/usr/bin/env python3
"""A model that gives several labels, measured by scikit-learn: tests/golden/labels, for tests/cli/foreign.sh and tests/unit/metrics.c.

PICTURE.png, truth.csv   small pictures and a table with a column of 0 and 1 for each label
rows.txt                 n and k; then for each picture what tf_keras gives (tests/golden/heads/labels.h5), and its marks
expected-T.txt           with the threshold T: for each label, and for the micro and macro average: precision, recall, F1, ROC AUC, average precision
                         (nan: not defined); then exact match and Hamming loss
"""
import os
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import tf_keras
from PIL import Image
from sklearn import metrics

ROOT = Path(__file__).resolve().parent.parent / "tests" / "golden"
OUT = ROOT / "labels"
NAMES = ["cat", "dog", "red"]


def measures(p, marks, answer):
    rows = []
    for c in range(len(NAMES)):
        three = metrics.precision_recall_fscore_support(marks[:, c], answer[:, c], average="binary", zero_division=0)[:3]
        rows.append([*three, metrics.roc_auc_score(marks[:, c], p[:, c]), metrics.average_precision_score(marks[:, c], p[:, c])])
    for average in ("micro", "macro"):
        three = metrics.precision_recall_fscore_support(marks, answer, average=average, zero_division=0)[:3]
        macro = average == "macro"
        rows.append([*three, metrics.roc_auc_score(marks, p, average="macro") if macro else np.nan,
                     metrics.average_precision_score(marks, p, average="macro") if macro else np.nan])
    return rows + [[metrics.accuracy_score(marks, answer), metrics.hamming_loss(marks, answer)]]


def main():
    OUT.mkdir(exist_ok=True)
    rng = np.random.default_rng(12)
    net = tf_keras.models.load_model(ROOT / "heads" / "labels.h5", compile=False)
    size = net.input_shape[1]
    pictures = [np.clip(rng.normal(rng.integers(0, 256, 3), 60, (size, size, 3)), 0, 255).astype("uint8") for _ in range(14)]
    p = np.asarray(net(np.stack(pictures).astype("float32")))
    marks = (p + rng.normal(0, 0.1, p.shape) > np.median(p, axis=0)).astype(int)
    marks[3] = 0
    lines = ["image,width," + ",".join(NAMES)]
    for i, (picture, mark) in enumerate(zip(pictures, marks)):
        Image.fromarray(picture).save(OUT / f"{i:02}.png")
        lines.append(f"{i:02}.png,{300 + i}," + ",".join(map(str, mark)))
    (OUT / "truth.csv").write_text("\n".join(lines) + "\n")
    (OUT / "rows.txt").write_text(f"{len(p)} {len(NAMES)}\n" + "".join(
        " ".join(f"{v:.9g}" for v in a) + " " + " ".join(map(str, b)) + "\n" for a, b in zip(p, marks)))
    warnings.simplefilter("ignore")
    for threshold in (0.5, 0.2):
        (OUT / f"expected-{threshold}.txt").write_text("".join(
            " ".join(f"{v:.9f}" for v in row) + "\n" for row in measures(p, marks, (p >= threshold).astype(int))))


if __name__ == "__main__":
    main()
