#!/bin/sh
# What happens at a random moment of a run: signals, files that change while they are read, directories that vanish, a clock that is set back.
# FT_ROUNDS: how often each test is repeated (`FT_ROUNDS=200 meson test -C build cli-moments cli-kill -t 0`).
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
network=$FT_TESTS/golden/containers/keras3-teachable.h5
one=$(ls -d "$sample"/test/cat/* | head -1)
finetune train "$sample/train" -q --no-cache -o big.h5

begin "a model is written whole or not at all when SIGTERM comes"
finetune train "$sample/train" -q --no-cache -b "$network" -o right.h5
for round in $(seq "${FT_ROUNDS:-20}"); do
    "$FINETUNE" train "$sample/train" -q --no-cache -b "$network" -o model.h5 &
    pid=$!
    nap 0.2
    kill -TERM $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ ! -e model.h5 ] || cmp -s model.h5 right.h5 || complain "another model"
    rm -f model.h5
    [ "$(ls -A | grep -c '\.tmp-')" = 0 ] || complain "a temporary file is left"
done

begin "a model that is cut short or rewritten while it is read: an error or the right answer"
finetune predict -m big.h5 "$one" >right
size=$(stat -c %s big.h5)
for round in $(seq "${FT_ROUNDS:-12}"); do
    cp big.h5 changing.h5
    "$FINETUNE" predict -m changing.h5 "$one" >out 2>err &
    pid=$!
    nap 0.06
    if [ $((round % 2)) = 0 ]; then
        truncate -s $((size / 3)) changing.h5
    else
        dd if=/dev/urandom of=changing.h5 bs=65536 count=$((size / 65536)) conv=notrunc 2>/dev/null
    fi
    wait $pid
    got=$?
    case $got in
    0) # the answer of the file as it was, or as it is, if it was changed before it was opened
        cmp -s out right || { cp out first && finetune predict -m changing.h5 "$one" >again 2>/dev/null && cmp -s first again; } ||
            complain "exit status 0 and a wrong answer: $(cat out)" ;;
    1) has err "finetune: 'changing.h5'" ;;
    *) complain "exit status $got: $(cat err)" ;;
    esac
done

begin "pictures that are cut short or rewritten while they are read: a row each, and the others are right"
mkdir many
for copy in 1 2; do
    for f in $(ls "$sample/train/cat" "$sample/train/dog" | grep 'jpg$'); do
        cp "$sample/train/${f%%.*}/$f" "many/$copy.$f"
    done
done
finetune predict -m big.h5 --format csv many | sed 's/^many//' | sort >right
for round in $(seq "${FT_ROUNDS:-4}"); do
    rm -rf changing
    cp -r many changing
    "$FINETUNE" predict -m big.h5 --format csv changing >out 2>err &
    pid=$!
    : >changed
    for f in $(ls changing | awk -v seed="$round" 'BEGIN { srand(seed) } rand() < 0.5'); do
        if [ $((round % 2)) = 0 ]; then
            truncate -s 3000 "changing/$f"
        else
            dd if=/dev/urandom of="changing/$f" bs=4096 count=3 conv=notrunc 2>/dev/null
        fi
        echo "/$f" >>changed
    done
    wait $pid
    got=$?
    [ $got = 0 ] || [ $got = 3 ] || complain "round $round: exit status $got: $(tail -1 err)"
    sed 's/^changing//' out | sort >rows
    [ "$(cut -d , -f 1 rows)" = "$(cut -d , -f 1 right)" ] || complain "round $round: not one row for each picture"
    # what was not touched has the answer that it had
    grep -vFf changed rows >kept
    grep -vFf changed right | cmp -s - kept || complain "round $round: another answer for a picture that was not touched"
done

begin "a cache that is cut short or rewritten while it is read: the same model"
finetune train "$sample/train" -q --cache full -o right.h5
for round in $(seq "${FT_ROUNDS:-4}"); do
    rm -rf cache changing.h5
    cp -r full cache
    "$FINETUNE" train "$sample/train" -q --cache cache -o changing.h5 >out 2>err &
    pid=$!
    nap 0.08
    find cache -type f -size +20k >large
    while read -r f; do
        if [ $((round % 2)) = 0 ]; then
            truncate -s 9000 "$f"
        else
            dd if=/dev/urandom of="$f" bs=4096 count=8 seek=1 conv=notrunc 2>/dev/null
        fi
    done <large
    wait $pid
    got=$?
    [ $got = 0 ] || complain "round $round: exit status $got: $(tail -1 err)"
    cmp -s changing.h5 right.h5 || complain "round $round: another model"
done

begin "directories that vanish while they are read: what is left has its answers"
finetune predict -m big.h5 --format csv "$sample/train" | sed "s,^$sample,," | sort >right
for round in $(seq "${FT_ROUNDS:-4}"); do
    rm -rf changing
    cp -r "$sample" changing
    "$FINETUNE" predict -m big.h5 --format csv changing/train >out 2>err &
    pid=$!
    nap 0.12
    [ $((round % 2)) = 0 ] && mv changing/train/dog changing/gone
    rm -rf changing/train/dog
    wait $pid
    got=$?
    [ $got = 0 ] || [ $got = 3 ] || complain "round $round: exit status $got: $(tail -1 err)"
    sed 's/^changing//' out | grep ',ok,' | sort >rows
    [ -z "$(comm -13 right rows)" ] || complain "round $round: another answer"
    equal "$(grep -c /cat/ rows)" "$(grep -c /cat/ right)"
done

begin "a clock that was set back: files of the future are files like others"
finetune train "$sample/train" -q --cache full -o right.h5
cp -r "$sample/train" future
cp -r full cache
find future cache -exec touch -d '2099-01-01' {} +
status 0 finetune train future -q --cache cache -o future.h5
cmp -s future.h5 right.h5 || complain "another model"
status 0 finetune cache info --json --cache cache
has out '"damaged":0'
status 0 finetune train future --json --cache cache -o future.h5
has out '"hits":44,"computed":0'
end
