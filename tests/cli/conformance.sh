#!/bin/sh
# A slice of scripts/conformance.py, where a Python with Keras is at hand (FT_PYTHON, or python3).
. "$(dirname "$0")/tap.sh"
python=${FT_PYTHON:-python3}
if ! "$python" -c 'import keras, h5py, PIL' 2>/dev/null; then
    echo "ok 1 - conformance # SKIP no Keras for $python"
    echo 1..1
    exit 0
fi
if "$python" "$FT_TESTS/../scripts/conformance.py" --binary "$FINETUNE" --only MobileNetV3Small --containers h5 >rows.txt 2>/dev/null; then
    echo "ok 1 - conformance"
else
    sed 's/^/# /' rows.txt
    echo "not ok 1 - conformance"
fi
echo 1..1
