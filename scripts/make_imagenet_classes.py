#!/usr/bin/env python3
"""Writes weights/imagenet-classes.txt: the names of ImageNet's 1000 classes in the order of the networks of
keras.applications, one a line. Needs keras_hub, which has the same list as Keras (decode_predictions)."""
import ast
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    source = Path(find_spec("keras_hub").origin).parent / "src" / "utils" / "imagenet" / "imagenet_utils.py"
    for node in ast.parse(source.read_text()).body:
        names = node.value if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) else None
        if names and len(names.keys) == 1000:
            table = ast.literal_eval(names)
            lines = [table[i][1] for i in range(1000)]
            (ROOT / "weights" / "imagenet-classes.txt").write_text("\n".join(lines) + "\n")
            return
    raise SystemExit("no table of 1000 classes in " + str(source))


if __name__ == "__main__":
    main()
