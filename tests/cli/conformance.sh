#!/bin/sh
# A slice of scripts/conformance.py, and scripts/check_keras.py on a small transformer, where there is a Python with Keras (FT_PYTHON, or python3).
. "$(dirname "$0")/tap.sh"
python=${FT_PYTHON:-python3}
if ! "$python" -c 'import keras, h5py, PIL' 2>/dev/null; then
    echo "ok 1 - conformance # SKIP no Keras for $python"
    echo "ok 2 - a trained transformer in Keras # SKIP"
    echo 1..2
    exit 0
fi
if "$python" "$FT_TESTS/../scripts/conformance.py" --binary "$FINETUNE" --only MobileNetV3Small --containers h5 >rows.txt 2>/dev/null; then
    echo "ok 1 - conformance"
else
    sed 's/^/# /' rows.txt
    echo "not ok 1 - conformance"
fi
# photographs are reduced to 32 px, so they are decoded at a reduced scale
photos=$FT_TESTS/data/cats-vs-dogs
"$FINETUNE" train -q "$photos/train" -b "$FT_TESTS/golden/presets/vit" -o vit.h5 2>/dev/null
if FINETUNE=$FINETUNE "$python" "$FT_TESTS/../scripts/check_keras.py" vit.h5 "$photos"/test/*/*.jpg >rows.txt 2>&1 || [ $? = 77 ]; then
    echo "ok 2 - a trained transformer in Keras"
else
    sed 's/^/# /' rows.txt
    echo "not ok 2 - a trained transformer in Keras"
fi
echo 1..2
