#!/bin/sh
# One graph for each operator against ONNX Runtime (scripts/fuzz_onnx.py --each), and some random ones, where a Python with both is at
# hand (FT_PYTHON, or python3).
. "$(dirname "$0")/tap.sh"
python=${FT_PYTHON:-python3}
if ! "$python" -c 'import numpy, onnx, onnxruntime' 2>/dev/null; then
    echo "ok 1 - each operator # SKIP no ONNX Runtime for $python"
    echo "ok 2 - random graphs # SKIP"
    echo 1..2
    exit 0
fi

begin "each operator"
status 0 "$python" "$FT_TESTS/../scripts/fuzz_onnx.py" --each --binary "$FT_ONNX_TEST"

begin "random graphs"
status 0 "$python" "$FT_TESTS/../scripts/fuzz_onnx.py" --seed 5 --count 60 --binary "$FT_ONNX_TEST"
end
