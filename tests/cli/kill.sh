#!/bin/sh
# kill -9 at random moments of a training (FT_ROUNDS, else 20): the cache stays sound, an older model stays whole, the last run's model is the undisturbed one.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
mkdir set
for class in cat dog; do
    mkdir set/$class
    for i in 1 2; do
        for f in "$sample"/train/$class/*; do
            { cat "$f"; echo $i; } >"set/$class/$i-$(basename "$f")"
        done
    done
done

begin "kill -9 again and again"
rounds=${FT_ROUNDS:-20}
status 0 finetune train set -q --no-cache -o undisturbed.h5
finetune train "$sample/train" -q --no-cache -o old.h5
cp old.h5 model.h5
killed=0
round=0
longest=0.8 # seconds until the kill, at most: follows how long a run takes here
while [ "$killed" -lt "$rounds" ] && [ $round -lt 4000 ]; do
    round=$((round + 1))
    "$FINETUNE" train set -q -o model.h5 &
    pid=$!
    nap "$longest"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    if [ $? = 137 ]; then
        killed=$((killed + 1))
        factor=1.05
    else
        finetune cache clear -q >cleared # so that the next one has something to write
        factor=0.9
    fi
    longest=$(awk "BEGIN { print $factor * $longest }")
    cmp -s model.h5 old.h5 || cmp -s model.h5 undisturbed.h5 || complain "model.h5 is neither the old one nor the new one"
done
[ "$killed" = "$rounds" ] || complain "only $killed of $round were killed in time"
status 0 finetune cache info --json
has out '"damaged":0'
status 0 finetune train set -q -o model.h5
cmp -s model.h5 undisturbed.h5 || complain "models differ"
status 0 finetune train set --json
has out '"hits":88,"computed":0'
end
