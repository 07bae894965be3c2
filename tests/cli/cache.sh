#!/bin/sh
# The feature cache: what hits, what misses, and what it survives.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
features=$XDG_CACHE_HOME/finetune/features
# cached HITS COMPUTED: what train --json said in ./out
cached() {
    has out "\"cache\":{\"hits\":$1,\"computed\":$2}"
}
entries() {
    finetune cache info --json "$@" | sed 's/.*"entries":\([0-9]*\).*/\1/'
}
mkdir set
cp -r "$sample"/train/* set

begin "an empty cache"
status 0 finetune cache info --json
has out "\"path\":\"$XDG_CACHE_HOME/finetune\",\"entries\":0,\"bytes\":0"

begin "the second training computes nothing and writes the same model"
status 0 finetune train set --json -o first.h5
cached 0 44
status 0 finetune train set --json -o second.h5
cached 44 0
cmp -s first.h5 second.h5 || complain "models differ"
status 0 finetune train set --no-cache --json -o third.h5
cached 0 44
cmp -s first.h5 third.h5 || complain "models differ"
status 0 finetune train set
has out "44/44 · 44 from the cache"
status 0 finetune cache info
has out "44 features in "

# The rest is about the cache alone: trainings on the last layer are ten times as fast.
last="--layers last"
status 0 finetune train set $last -q

begin "the key is the content: renamed pictures hit"
mv set/cat/"$(ls set/cat | head -1)" set/cat/renamed.jpeg
mv set/dog set/hound
status 0 finetune train set $last --json
cached 44 0

begin "an edited picture misses though its name, size and time stay"
one=set/hound/$(ls set/hound | head -1)
cp -p "$one" kept.jpg
size=$(wc -c <"$one")
printf '\001' | dd of="$one" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
touch -r kept.jpg "$one"
status 0 finetune train set $last --json
cached 43 1
cp -p kept.jpg "$one"

begin "more pictures compute only themselves"
set -- "$sample"/test/cat/*
cp "$1" "$2" "$3" set/cat
status 0 finetune train set $last --json
cached 44 3

begin "another geometry is another key"
status 0 finetune train set $last --json --resize squash
cached 0 47
status 0 finetune train set $last --json
cached 47 0
status 0 env FINETUNE_EXACT=1 "$FINETUNE" train set $last --json
cached 0 47
status 0 finetune cache info -q
has out "holds"

begin "--cache names a folder, shared by two trainings at a time"
"$FINETUNE" train set $last -q --cache here -o a.h5 &
finetune train set $last -q --cache here -o b.h5 || complain "failed"
wait $! || complain "failed"
cmp -s a.h5 b.h5 || complain "models differ"
status 0 finetune train set $last --json --cache here
cached 47 0
[ "$(entries --cache here)" -ge 47 ] || complain "$(entries --cache here) entries"

begin "a damaged segment is left out and built again"
finetune cache clear -q >cleared
status 0 finetune train set $last -q -o clean.h5
finetune cache prune -q >pruned # a slow machine has written several
segment=$(find "$features" -name '*.ftc')
cp "$segment" whole
printf 'x' | dd of="$segment" bs=1 seek=200 conv=notrunc 2>/dev/null
status 0 finetune cache info
has out "damaged"
status 0 finetune train set $last --json -o again.h5
cached 0 47
cmp -s clean.h5 again.h5 || complain "models differ"
equal "$(find "$features" -name '*.ftc' | wc -l)" 1

begin "so are a damaged row, half a segment and an empty one"
segment=$(find "$features" -name '*.ftc')
size=$(wc -c <"$segment")
printf 'xxxx' | dd of="$segment" bs=1 seek=$((size - 100)) conv=notrunc 2>/dev/null
status 0 finetune train set $last --json -o again.h5
cached 46 1
cmp -s clean.h5 again.h5 || complain "models differ"
status 0 finetune train set $last --json
cached 47 0
for bytes in 0 10 64 1000 100000; do
    finetune cache clear -q >cleared
    mkdir -p "$(dirname "$segment")"
    head -c $bytes whole >"$segment"
    status 0 finetune train set $last --json -o again.h5
    cached 0 47
    cmp -s clean.h5 again.h5 || complain "models differ"
done

begin "prune removes what is damaged, unfinished or of no use; clear removes all"
echo junk >"$(dirname "$segment")/000.ftc"
echo junk >"$(dirname "$segment")/tmp-1.ftc"
touch -d '1 hour ago' "$(dirname "$segment")/tmp-1.ftc"
echo mine >"$XDG_CACHE_HOME/finetune/notes.txt"
status 0 finetune cache prune --json
has out '"entries":47'
has out '"segments":1,"damaged":0'
equal "$(ls "$(dirname "$segment")" | wc -l)" 1
touch -d '100 days ago' "$(dirname "$segment")"/*.ftc
status 0 finetune train set $last -q
status 0 finetune cache prune --json
has out '"entries":47'
touch -d '100 days ago' "$(dirname "$segment")"/*.ftc
status 0 finetune cache prune --json
has out '"entries":0'
has out '"removed_entries":47'
status 0 finetune train set $last -q
status 0 finetune cache clear
has out "removed    47 features"
equal "$(entries)" 0
[ -f "$XDG_CACHE_HOME/finetune/notes.txt" ] || complain "a file that is not the cache's was removed"

begin "a folder that cannot be written only turns it off"
status 0 finetune train set $last --json --cache /dev/null/x -o off.h5
cached 0 47
has err "features are not stored"
cmp -s clean.h5 off.h5 || complain "models differ"
XDG_CACHE_HOME=/proc/none status 0 finetune train set $last -q
equal "$(cat err)" ""

begin "so does a full disk"
(
    ulimit -f 40
    status 0 finetune evaluate "$sample/test" -m first.h5 --cache full
    has err "features are not kept in the cache 'full': cannot write a segment"
    has out "accuracy"
    [ -z "$wrong" ]
) || wrong=1
equal "$(find full -type f | wc -l)" 0

begin "a run that is asked to stop keeps what is done; the next one goes on and says so"
mkdir many
for i in 1 2 3 4 5 6 7 8 9 10; do # the same pictures, other bytes: a comment after the end of the JPEG
    for class in cat dog; do
        mkdir -p many/$class
        for f in "$sample"/train/$class/*; do
            { cat "$f"; echo $i; } >"many/$class/$i-$(basename "$f")"
        done
    done
done
for seconds in 0.2 0.3 0.5 0.8 1.2 2 3 5 8 12 20; do # until some pictures are done
    "$FINETUNE" train many $last -o many.h5 >out 2>err &
    sleep $seconds
    kill -TERM $! 2>/dev/null
    code=0
    wait $! || code=$?
    grep -q 'stopped after [1-9]' err && break
    finetune cache clear -q >cleared
done
equal "$code" 143
has err "of 440 pictures: their features are in the cache; run the same command to continue"
done=$(sed -n 's/.*stopped after \([0-9]*\) of.*/\1/p' err)
[ "${done:-0}" -gt 0 ] || complain "nothing was done"
[ ! -e many.h5 ] || complain "a model"
equal "$(entries)" "$done"
status 0 finetune train many $last --json -o many.h5
cached "$done" $((440 - done))

begin "cache: wrong use"
status 2 finetune cache
status 2 finetune cache empty
has err "expected info, clear or prune"

begin "prune merges small segments, and entries counts pictures"
finetune cache clear -q >cleared
for class in cat dog; do
    finetune features "$sample/train/$class" -q -o class.h5
done
status 0 finetune cache info --json
has out '"entries":44'
has out '"segments":2'
status 0 finetune cache prune --json
has out '"entries":44'
has out '"segments":1'
has out '"merged":2'
status 0 finetune train "$sample/train" --layers last --json # as finetune features
cached 44 0
end
