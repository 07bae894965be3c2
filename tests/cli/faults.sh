#!/bin/sh
# Every command with failing system and library calls (tests/faults/faults.c): the result is the right answer with exit status 0,
# or an error; never a crash, never another model. FT_FAULTS_POINTS says at how many moments each kind fails; "all" is every call.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
points=${FT_FAULTS_POINTS:-12}
only=${FT_FAULTS_ONLY:-}
export ASAN_OPTIONS=allocator_may_return_null=1 OPENBLAS_NUM_THREADS=1 TMPDIR="$PWD/temporary"
mkdir set set/cat set/dog large large/cat large/dog temporary
for class in cat dog; do
    for f in $(ls "$sample/train/$class" | head -12); do
        cp "$sample/train/$class/$f" large/$class/
    done
    for f in $(ls "$sample/train/$class" | head -4); do
        cp "$sample/train/$class/$f" set/$class/
    done
done
one=$(ls set/cat/* | head -1)
network=$FT_TESTS/golden/containers/keras3-teachable.h5
finetune train set -q --no-cache -b "$network" -o trained.h5 || echo "# the training set cannot be trained on"
echo old >old

# moments COUNT: the numbers of the calls that fail, spread over COUNT.
moments() {
    awk -v n="$1" -v points="$points" 'BEGIN {
        if (points == "all" || n <= points) { for (i = 1; i <= n; i++) print i; exit }
        for (i = 0; i < points; i++) print 1 + int(i * (n - 1) / (points - 1))
    }'
}

# same FILE: it is the right one, up to times that are measured; or it lacks a picture that could not be read, and that is said.
same() {
    sed 's/"[a-z]*_ms":[^,}]*//g; s/"ms_per_image":[^,]*//' "right.$1" >wanted
    sed 's/"[a-z]*_ms":[^,}]*//g; s/"ms_per_image":[^,]*//' "$1" | cmp -s - wanted || grep -q "skipped '" err || grep -q "the file can no longer be read" "$1"
}

# try FAULT STATUS FILES COMMAND...: one run. STATUS: those that are permitted beside 1; FILES: outputs.
try() {
    fault=$1
    permitted=$2
    files=$3
    shift 3
    for f in $files; do
        [ "$f" = out ] || cp old "$f"
    done
    rm -rf cache
    [ ! -d cache.full ] || cp -r cache.full cache
    timeout 20 env "FT_FAULTS=$fault" "LD_PRELOAD=$FT_FAULTS_LIBRARY" "$FINETUNE" "$@" >out 2>err </dev/null
    got=$?
    runs=$((runs + 1))
    case " 1 $permitted " in
    *" $got "*) ;;
    *) complain "$fault: exit status $got: $* # $(tail -1 err)" ;;
    esac
    [ $got = 0 ] || [ $got = 3 ] || [ -s err ] || complain "$fault: exit status $got without a message: $*"
    for f in $files; do
        if [ $got = 0 ]; then
            same "$f" || complain "$fault: exit status 0, but $f differs: $* # $(tail -1 err)"
        elif [ "$f" != out ]; then
            same "$f" || cmp -s "$f" old || complain "$fault: exit status $got, and $f is neither old nor new: $*"
        fi
    done
    left=$(ls -A | grep -c '\.tmp-')
    [ "$left" = 0 ] || { complain "$fault: a temporary file is left"; rm -f ./*.tmp-*; }
}

# command NAME FILES COMMAND...: all kinds of faults, over all calls of one command.
command() {
    title=$1
    files=$2
    shift 2
    case "$only" in
    "" | " $title ") ;;
    *) return ;;
    esac
    begin "$title"
    runs=0
    rm -rf counts cache
    for f in $files; do
        [ "$f" = out ] || cp old "$f"
    done
    [ ! -d cache.full ] || cp -r cache.full cache
    LD_PRELOAD=$FT_FAULTS_LIBRARY FT_FAULTS_COUNT=$PWD/counts "$FINETUNE" "$@" >out 2>err </dev/null || complain "failed without faults: $(cat err)"
    for f in $files; do
        cp "$f" "right.$f"
    done
    [ "$(awk '$1 == "alloc" { print $2 }' counts)" -gt 10 ] || complain "allocations are not counted"
    for row in "alloc::0" "alloc:+:0" "open:EMFILE:0 3" "open:+EMFILE:0 3" "read:EIO:0 3" "write:ENOSPC:0" "write:+ENOSPC:0" "short:+:0" \
        "eintr:EINTR:0" "thread:+:0 3"; do
        kind=${row%%:*}
        permitted=${row##*:}
        how=${row#*:}
        how=${how%:*}
        plus=
        case $how in +*) plus=+ how=${how#+} ;; esac
        # the included network: 14 MB, one byte at a time
        [ "$title $kind" != "backbones short" ] || continue
        # a network whose reader crashes inside HDF5, and a description that cannot be read, are left out
        case "$title $kind" in "backbones alloc" | "backbones read") permitted="0 3" ;; esac
        for n in $(moments "$(awk -v kind="$kind" '$1 == kind { print $2 }' counts)"); do
            try "$kind=$n$plus${how:+:$how}" "$permitted" "$files" "$@"
            [ "$kind" = short ] && break
        done
    done
    echo "# $title: $runs runs"
}

command train "model.h5" train set --no-cache -b "$network" -o model.h5
command "train with a cache" "model.h5" train set --cache cache -b "$network" -o model.h5
mkdir cache.full
finetune train set -q --cache cache.full -b "$network" -o unused.h5
command "train from a cache" "model.h5" train set --cache cache -b "$network" -o model.h5
# what cannot be read is damaged, and removed: the counts differ
command "cache prune" "" cache prune --json --cache cache
rm -rf cache.full
# the heat map of a picture that cannot be read a second time is left out: the page differs
command "train with a report" "model.h5" train set --no-cache -b "$network" -o model.h5 --report report.html
command "train in little memory" "model.h5" train set --no-cache --memory 0 -b "$network" -o model.h5
command predict "out" predict -m trained.h5 --format csv --probabilities set
command "predict a lone picture" "out" predict -m trained.h5 "$one"
command evaluate "out" evaluate set -m trained.h5 --no-cache --json
command explain "out why.png" explain "$one" -m trained.h5 -o why.png --json
command doctor "out" doctor set --no-cache -b "$network" --json
command features "set.features" features set --no-cache -b "$network" -o set.features
command info "out" info trained.h5 --json
command import "imported.h5" import "$FT_TESTS/golden/containers/keras3-shared.keras" -q -o imported.h5
if finetune --version | grep -q ONNX; then
    command export "exported.onnx" export trained.h5 -q -o exported.onnx
fi
command curve "out" curve large --no-cache -b "$network" --json
mkdir weights weights/architectures
cp "$network" weights
cp "$FT_TESTS/../weights/architectures/vgg16.txt" weights/architectures
export FINETUNE_WEIGHTS="$PWD/weights"
command backbones "out" backbones --seconds 0.01 --json
unset FINETUNE_WEIGHTS
# what it measures differs from run to run
command bench "" bench "$network" --seconds 0.01
command "cache info" "out" cache info --json --cache cache
end
