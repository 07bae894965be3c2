#!/bin/sh
# What surrounds the program is against it: closed descriptors, FIFOs without a writer, unreadable and deep directories, long and
# deceptive names, temporary files of dead processes.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
network=$FT_TESTS/golden/containers/keras3-teachable.h5
one=$(ls -d "$sample"/test/cat/* | head -1)
finetune train "$sample/train" -q --no-cache -b "$network" -o model.h5

# try COMMAND...: without standard output, error or input, where a file could get descriptor 0, 1 or 2.
begin "closed descriptors: the same model, and messages go nowhere"
for closed in '<&-' '>&-' '2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
    eval '"$FINETUNE" train "$sample/train" -v --no-cache --memory 0 -b "$network" -o closed.h5 >out 2>err '"$closed"
    equal "$?" 0
    cmp -s model.h5 closed.h5 || complain "the model differs with $closed"
    rm -f closed.h5
done

begin "a FIFO without a writer: the first signal ends the program"
mkfifo fifo
for signal in TERM INT; do
    env --default-signal=INT "$FINETUNE" predict -m model.h5 --files-from fifo >out 2>err &
    pid=$!
    sleep 0.5
    kill -$signal $pid
    ( sleep 5 && kill -KILL $pid ) 2>/dev/null &
    wait $pid
    equal "$?" "$([ $signal = TERM ] && echo 143 || echo 130)"
done
"$FINETUNE" predict -m model.h5 --files-from fifo >out 2>err &
pid=$!
sleep 0.3
(echo "$one"; sleep 0.3; echo "$one") >fifo
wait $pid
equal "$?" 0
equal "$(wc -l <out)" 2

begin "what is empty: lists, tables, labels.txt"
: >empty
status 0 finetune predict -m model.h5 --files-from empty
has err "there was no picture to classify"
status 1 finetune train --labels empty
mkdir tm
cp "$network" tm/keras_model.h5
: >tm/labels.txt
status 1 finetune predict -m tm/keras_model.h5 "$one"
has err "has 0 names for 2 classes"

begin "a temporary file of a process that died is removed, others are not"
dead=$(sh -c 'echo $$')
stale=model.h5.tmp-$(printf %x "$dead")-0000ab
live=model.h5.tmp-$(printf %x $$)-0000ab
touch -d '2 minutes ago' "$stale" "$live" model.h5.tmp-notes
status 0 finetune train "$sample/train" -q --no-cache -b "$network" -o model.h5
[ ! -e "$stale" ] || complain "$stale is still there"
[ -e "$live" ] || complain "$live has gone"
[ -e model.h5.tmp-notes ] || complain "model.h5.tmp-notes has gone"
rm -f "$live" model.h5.tmp-notes

begin "a model is written whole or not at all when SIGTERM comes"
round=0
while [ $round -lt 20 ]; do
    round=$((round + 1))
    "$FINETUNE" train "$sample/train" -q --no-cache -b "$network" -o model.h5 &
    pid=$!
    sleep "$(awk -v seed="$round$$" 'BEGIN { srand(seed); printf "%.4f", 0.2 * rand() }')"
    kill -TERM $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ "$(ls -A | grep -c '\.tmp-')" = 0 ] || complain "a temporary file is left"
done

begin "names that steer the direction of text do not reach a message or the terminal"
picture=$(printf 'a\342\200\256gpj.exe\342\201\246b')
printf x >"$picture"
status 3 finetune predict -m model.h5 "$picture"
has err "'a?gpj.exe?b'"
status 1 finetune info "$picture"
has err "'a?gpj.exe?b'"
end
