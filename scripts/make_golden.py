#!/usr/bin/env python3
"""Writes tests/golden and tests/bad: expected values from Keras, Pillow and scikit-learn, never from this program.

    scripts/make_golden.py [ROOM ...]      rooms: the golden_ROOM.py in this folder; default all

Needs numpy, h5py, pillow, scikit-learn, scipy, keras, tensorflow and tf_keras.
"""
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

known = {p.stem.removeprefix("golden_"): p for p in sorted(HERE.glob("golden_*.py"))}
for room in sys.argv[1:] or known:
    if room not in known:
        sys.exit(f"make_golden.py: no room '{room}': {', '.join(known)}")
    print(room, flush=True)
    subprocess.run([sys.executable, str(known[room])], check=True)
