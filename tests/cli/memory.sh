#!/bin/sh
# --memory: features that do not fit are read from a scratch file, with the same results; what cannot work that way says so.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
features=$XDG_CACHE_HOME/finetune/features

begin "a training that may hold nothing in memory writes the same model"
status 0 finetune train "$sample/train" --layers last -o inside.h5 --val "$sample/test"
hasnt out "scratch file"
sed 1,3d out >inside.txt
for threads in 1 3; do
    status 0 finetune train "$sample/train" --layers last -o outside.h5 --val "$sample/test" --memory 0 -t $threads
    has out "memory     the features take 451 kB, but --memory allows 0 bytes: they are read from a scratch file"
    sed -e 1,3d -e /^memory/d -e s/outside/inside/ out >outside.txt
    cmp -s inside.txt outside.txt || complain "results differ: $(diff inside.txt outside.txt)"
    cmp -s inside.h5 outside.h5 || complain "models differ"
done
status 0 finetune train "$sample/train" --layers last -o outside.h5 --no-cache --memory 450559 --json
has out '"memory":{"limit":450559,"features":450560,"scratch":true}'
cmp -s inside.h5 outside.h5 || complain "models differ"

begin "so does a training on the features of all layers; auto takes the last layer where memory is short"
status 0 finetune train "$sample/train" --layers all -o inside-all.h5
status 0 finetune train "$sample/train" --layers all -o outside-all.h5 --memory 0
cmp -s inside-all.h5 outside-all.h5 || complain "models differ"
status 0 finetune train "$sample/train" -o auto.h5 --memory 1M
has err "--layers auto uses the last layer only"
cmp -s inside.h5 auto.h5 || complain "auto is not the last layer"

begin "450560 bytes are enough, and how sizes are written"
status 0 finetune train "$sample/train" --layers last -o other.h5 --memory 450560 --json
has out '"limit":450560,"features":450560,"scratch":false'
for size in 440K 440k 0.5m 2G 1t 50%; do
    status 0 finetune train "$sample/train" --layers last -o other.h5 --memory $size --json
    has out '"scratch":false'
done
status 0 finetune train "$sample/train" --layers last -o other.h5 --memory 439.9K --json
has out '"limit":450457'
for size in x 5X 5MB -1 % '' nan; do
    status 2 finetune train "$sample/train" --layers last -o other.h5 --memory "$size"
    has err "expected a size such as 500M, 2G or 50%"
done

begin "features and evaluate"
status 0 finetune features "$sample/test" -o inside.features
status 0 finetune features "$sample/test" -o outside.features --memory 1
cmp -s inside.features outside.features || complain "features differ"
status 0 finetune evaluate "$sample/test" -m inside.h5 --json
cp out inside.json
status 0 finetune evaluate "$sample/test" -m inside.h5 --memory 1K --json
cmp -s inside.json out || complain "results differ"

begin "features --files-from"
ls "$sample"/test/cat/* >list
status 0 finetune features --files-from list -o listed.features --json
has out "\"images\":$(wc -l <list)"
status 0 finetune features "$sample"/test/cat/* -o named.features
cmp -s listed.features named.features || complain "features differ"
tr '\n' '\0' <list | "$FINETUNE" features -0 --files-from - -q -o piped.features || complain "failed"
cmp -s listed.features piped.features || complain "features differ"
status 0 finetune features "$sample/test/cat" "$sample/test/dog" -o both.features --json
has out "\"images\":$(ls "$sample"/test/*/* | wc -l)"
status 2 finetune features
has err "DIR or PICTURE is missing"
status 1 finetune features --files-from missing
has err "'missing'"

begin "what needs all features in memory declines before the work"
finetune cache clear -q >cleared
for command in doctor curve "train --report page.html"; do
    status 1 finetune $command "$sample/train" --memory 10K
    has err "needs the features of 44 pictures in memory: 451 kB, but --memory allows 10.2 kB"
done
[ ! -e "$features" ] || equal "$(find "$features" -name '*.ftc' | wc -l)" 0
status 0 finetune train "$sample/train" --layers last -v --memory 10K -o outside.h5
has out "unknown    not measured, because the features are not in memory"

begin "no room for the scratch file: said before the work, nothing is lost"
cp inside.h5 model.h5
(
    ulimit -f 200
    status 1 finetune train "$sample/train" --layers last --memory 10K
    has err "no room for 0.1 MB of features in a scratch file in '"
    [ -z "$wrong" ]
) || wrong=1
cmp -s inside.h5 model.h5 || complain "the old model has gone"
status 0 finetune train "$sample/train" --layers last --json
has out '"hits":44'

begin "the scratch file is made elsewhere where there is no cache"
status 0 finetune train "$sample/train" --layers last --memory 10K --cache /dev/null/x -o outside.h5
cmp -s inside.h5 outside.h5 || complain "models differ"
mkdir temporary
status 1 env TMPDIR=/nowhere "$FINETUNE" train "$sample/train" --memory 10K --no-cache
has err "cannot make a scratch file in '/nowhere'"

begin "a run that is stopped leaves no scratch file"
mkdir many
for i in 1 2 3 4 5 6 7 8; do
    for class in cat dog; do
        mkdir -p many/$class
        for f in "$sample"/train/$class/*; do
            { cat "$f"; echo $i; } >"many/$class/$i-$(basename "$f")"
        done
    done
done
for signal in INT TERM KILL; do
    env --default-signal=INT TMPDIR="$PWD/temporary" "$FINETUNE" train many -q --memory 10K >out 2>err &
    sleep 0.5
    kill -$signal $!
    wait $!
    [ $? -gt 128 ] || complain "it was not stopped by $signal"
    equal "$(find temporary "$XDG_CACHE_HOME" -type f ! -name '*.ftc' | wc -l)" 0
done
status 0 finetune train many --layers last -q --memory 10K -o outside.h5
status 0 finetune train many --layers last -q -o inside.h5
cmp -s inside.h5 outside.h5 || complain "models differ"
end
