#!/bin/sh
# What surrounds the program is against it: closed descriptors, FIFOs without a writer, unreadable and deep directories, long and
# deceptive names, temporary files of dead processes.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
network=$FT_TESTS/golden/containers/keras3-teachable.h5
one=$(ls -d "$sample"/test/cat/* | head -1)
finetune train "$sample/train" -q --no-cache -b "$network" -o model.h5

# In each run a file could get descriptor 0, 1 or 2.
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
has err "there are no pictures to classify"
status 1 finetune train --labels empty
mkdir tm
cp "$network" tm/keras_model.h5
: >tm/labels.txt
status 1 finetune predict -m tm/keras_model.h5 "$one"
has err "0 names for 2 classes"

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

begin "names that steer the direction of text do not reach a message or the terminal"
picture=$(printf 'a\342\200\256gpj.exe\342\201\246b')
printf x >"$picture"
status 3 finetune predict -m model.h5 "$picture"
has err "'a?gpj.exe?b'"
status 1 finetune info "$picture"
has err "'a?gpj.exe?b'"

# A user for whom permissions count.
as_user() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
    else
        "$@"
    fi
}
begin "a directory that cannot be read is reported and counted, and the rest is done"
chmod 755 .
mkdir open set set/cat set/dog set/cat/locked
chmod 777 open
cp "$sample"/train/cat/* set/cat/
cp "$sample"/train/dog/* set/dog/
cp "$one" set/cat/locked/
if [ "$(id -u)" = 0 ] && ! as_user test -x "$FINETUNE" 2>/dev/null; then
    skip="permissions do not count for this user"
else
    chmod 000 set/cat/locked
    for command in "train -o open/m.h5" "doctor --json" "features -o open/f.h5" "evaluate -m model.h5"; do
        network_option="-b $network"
        case $command in evaluate*) network_option= ;; esac
        status 3 as_user "$FINETUNE" ${command%% *} set --no-cache $network_option ${command#* }
        cat out err >both
        has both "set/cat/locked"
        has both "permission denied"
    done
    [ -s open/m.h5 ] || complain "no model was made"
    status 3 as_user "$FINETUNE" predict -m model.h5 set --format csv
    equal "$(grep -c ',ok,' out)" "$(ls -d set/*/*.jpg | wc -l)"
    has out "set/cat/locked,,,bad,"
    chmod 755 set/cat/locked
    mkdir -m 000 weights
    status 3 as_user env FINETUNE_WEIGHTS="$PWD/weights" "$FINETUNE" backbones --seconds 0.01 --json
    has err "names are missing"
    rmdir weights
fi

begin "directories more than 64 levels deep are entered"
deep=deep/cat
for i in $(seq 100); do deep=$deep/d; done
mkdir -p "$deep" deep/dog
cp "$one" "$deep/"
cp "$sample"/test/dog/* deep/dog/
status 0 finetune predict -m model.h5 deep/cat
equal "$(wc -l <out)" 1
status 0 finetune features deep --no-cache -b "$network" -o deep.features --json
has out "\"images\":$(find deep -type f | wc -l)"

begin "names as long as a file system permits are copied, moved and linked more than once"
long=$(printf 'x%.0s' $(seq 251)).jpg
mkdir a b
for how in copy move link; do
    cp "$one" "a/$long"
    cp "$one" "b/$long"
    status 0 finetune predict -m model.h5 "a/$long" "b/$long" --$how-to $how
    equal "$(find $how -type f -o -type l | wc -l)" 2
    equal "$(find $how -name 'xxx*-1.jpg' | wc -l)" 1
done
status 0 finetune predict -m model.h5 "$one" --copy-to copy
equal "$(find copy -name '.*' -type f | wc -l)" 0

begin "--move-to another file system: whole, with its time, and nothing else"
other=$(mktemp -d /dev/shm/finetune-test.XXXXXX 2>/dev/null)
if [ -z "$other" ] || [ "$(stat -c %d "$other")" = "$(stat -c %d .)" ]; then
    skip="there is no other file system"
else
    cp -p "$one" moved.jpg
    status 0 finetune predict -m model.h5 moved.jpg --move-to "$other"
    [ ! -e moved.jpg ] || complain "the original is still there"
    there=$(find "$other" -type f)
    cmp -s "$there" "$one" || complain "'$there' is not the picture"
    equal "$(stat -c %Y "$there")" "$(stat -c %Y "$one")"
fi
[ -z "$other" ] || rm -rf "$other"

begin "--csv-safe: no cell is a formula"
for mark in = + - @; do cp "$one" "./${mark}1+cmd.jpg"; done
for format in csv tsv; do
    status 0 finetune predict -m model.h5 --format $format --csv-safe -- =1+cmd.jpg +1+cmd.jpg -1+cmd.jpg @1+cmd.jpg
    equal "$(grep -c "^'[-=+@]1+cmd" out)" 4
    status 0 finetune predict -m model.h5 --format $format -- =1+cmd.jpg +1+cmd.jpg -1+cmd.jpg @1+cmd.jpg
    equal "$(grep -c "^[-=+@]1+cmd" out)" 4
done
mkdir "=f" "=f/cat" "=f/dog"
cp "$sample"/test/cat/* =f/cat/
cp "$sample"/test/dog/* =f/dog/
status 0 finetune evaluate =f -m model.h5 --csv tables --csv-safe
equal "$(grep -c "^'=f/" tables/predictions.csv)" "$(find "=f" -type f | wc -l)"

begin "a network whose weights are not finite is named by its layer"
status 1 finetune train "$sample/train" --no-cache -b "$FT_TESTS/bad/not-finite.h5" -o nan.h5
has err "layer 'block_project' has weights that are not finite"

# What a crafted HDF5 file does to HDF5 1.10: it crashes, loops or allocates without end. The files are in tests/bad.
begin "crafted models end with a message, in little memory and time"
for file in "$FT_TESTS"/bad/hostile-*; do
    for command in "info" "predict $one -m" "train $sample/train --no-cache -o hostile.model -b" "bench"; do
        (
            # shellcheck disable=SC3045 # dash and bash have it
            # the program's share, and that of the process that reads; the sanitizer reserves much more
            [ -n "${FT_SANITIZED:-}" ] || ulimit -v 1500000
            status 1 timeout 20 "$FINETUNE" $command "$file"
            [ -z "$wrong" ]
        ) || wrong=1
        has err "finetune: '$file': "
        hasnt err "core dumped"
    done
done
[ ! -e hostile.model ] || complain "a model was made"

begin "settings of a preset that need more memory than its reader may have: out of memory, not damage"
cp -r "$FT_TESTS/golden/presets/vit" preset
(printf '[' && yes '0,' | tr -d '\n' | head -c 4000000 && printf '0]') >preset/config.json
status 1 finetune info preset
[ -n "${FT_SANITIZED:-}" ] || has err "'preset/model.weights.h5': out of memory"
printf '[' >preset/config.json
status 1 finetune info preset
has err "'preset/model.weights.h5': 'config.json': it is not JSON"

# Of a large file only the tensors that are needed are read: 4 GB would take seconds and memory. Each command must read all
# that it uses.
begin "a network in a file that is mostly a hole: the same answers, in little memory and time"
finetune train "$sample/train" -q --no-cache -o big.h5
mkdir whole hole
for f in model big; do
    cp $f.h5 whole/$f.h5
    cp $f.h5 hole/$f.h5
    truncate -s 4G hole/$f.h5
done
for f in model big; do
    for command in "info --json $f.h5" "predict -m $f.h5 --probabilities $one" "evaluate $sample/test -m $f.h5 --no-cache --json" \
        "explain $one -m $f.h5 --json" "train $sample/train -b $f.h5 -q --no-cache -o new.h5" "import $f.h5 -o new.h5" "export $f.h5 -o new.h5"; do
        case $command in export*) finetune --version | grep -q ONNX || continue ;; esac
        for folder in whole hole; do
            (
                cd $folder || exit
                status 0 timeout 60 "$FINETUNE" $command
                sed 's/"[a-z_]*\(bytes\|ms\|seconds\|per_image\|size\)":[0-9.e+-]*//g' out >result
                [ -z "$wrong" ]
            ) || wrong=1
            [ ! -e $folder/new.h5 ] || mv $folder/new.h5 $folder/result
        done
        cmp -s whole/result hole/result || complain "another result: $command"
        rm -f whole/result hole/result
    done
done
# a hole alone
truncate -s 4G hole/empty.h5
status 1 timeout 20 "$FINETUNE" info hole/empty.h5
has err "not a Keras file"
rm -rf whole hole

begin "what is named like a picture but is no file is listed, in every command"
cp -r "$sample/train" odd
mkfifo odd/cat/fifo.jpg
ln -s /dev/zero odd/cat/device.jpg
ln -s loop.jpg odd/cat/loop.jpg
ln -s nowhere odd/cat/gone.jpg
ln -s nowhere odd/cat/gone
ln -s .. odd/cat/above
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("odd/cat/socket.jpg")' 2>/dev/null || mkfifo odd/cat/socket.jpg
for command in "predict -m model.h5 odd" "evaluate -m model.h5 odd --no-cache" "doctor -b $network odd --no-cache" "features -b $network odd --no-cache -o odd.features"; do
    # shellcheck disable=SC2086
    status 3 finetune $command
    cat out err >both
    for file in fifo.jpg device.jpg loop.jpg gone.jpg socket.jpg; do
        has both "odd/cat/$file"
    done
    hasnt both "odd/cat/gone "
    hasnt both "odd/cat/gone'"
done
status 0 finetune train odd -q --no-cache -b "$network" -o odd.h5
rm -f odd/cat/*.jpg
cp "$sample"/train/cat/*.jpg odd/cat
sed -i 's/"skipped":5/"skipped":0/' odd.h5 # what else it says about itself
cmp -s model.h5 odd.h5 || complain "another model"

begin "200 000 empty files: each is listed"
mkdir thousands
(cd thousands && seq -f %.0f.jpg 200000 | xargs touch)
status 3 finetune predict -m model.h5 thousands
equal "$(grep -c 'an empty file' err)" 200000
rm -rf thousands
end
