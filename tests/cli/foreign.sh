#!/bin/sh
# Models that other programs trained: heads of all kinds, their geometry, and what is said of assumed preprocessing. Expected values
# are Keras's (scripts/golden_heads.py).
. "$FT_TESTS/cli/tap.sh"
heads=$FT_TESTS/golden/heads

begin "heads: sigmoid, logits, an activation as a layer, an int8 kernel"
while read -r file expected; do
    status 0 finetune predict -m "$heads/$file" "$heads/wide.png" --probabilities --format csv
    # Keras rounds the inputs of an int8 layer to 8 bits, too, which this program does not do.
    case $file in int8*) close=2e-3 ;; *) close=1e-4 ;; esac
    tail -1 out | awk -F, -v want="$expected" -v near="$close" '{
        n = split(want, w, " ")
        for (i = 1; i <= n; i++) { d = $(5 + i) - w[i]; if (NF != 5 + n || d > near + 0 || d < -near) exit 1 }
    }' || complain "$file: $(tail -1 out), expected $expected"
done <"$heads/expected.txt"

begin "several sigmoids are refused by what they are"
status 1 finetune predict -m "$heads/labels.keras" "$heads/wide.png"
has err "3 independent sigmoids"

begin "class names from labels.txt with a byte order mark and CRLF"
cp "$heads/sigmoid.h5" keras_model.h5
printf '\357\273\277cat\r\ndog\r\n' >labels.txt
status 0 finetune predict -m keras_model.h5 "$heads/wide.png" --format csv
grep -q ',dog,\|,cat,' out || complain "no class name: $(cat out)"
rm labels.txt

begin "the whole picture by default, --resize for another rule, which an own model refuses"
status 0 finetune predict -m "$heads/logits.h5" "$heads/wide.png" --probabilities --format csv
cp out squash
status 0 finetune predict -m "$heads/logits.h5" "$heads/wide.png" --probabilities --format csv --resize squash
cmp -s out squash || complain "squash is not the default"
status 0 finetune predict -m "$heads/logits.h5" "$heads/wide.png" --probabilities --format csv --resize crop
cmp -s out squash && complain "--resize crop changes nothing"
status 0 finetune train "$FT_TESTS/data/cats-vs-dogs/train" -q --no-cache -b "$FT_TESTS/golden/containers/keras3-teachable.h5" -o own.h5
status 1 finetune predict -m own.h5 "$heads/wide.png" --resize squash
has err "the resize rule cannot be changed"
end
