#!/bin/sh
# The main road on the sample photographs: train, evaluate, predict, features, info, bench.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
# value KEY: the number after the first "KEY": in ./out
value() {
    grep -o "\"$1\":[-+0-9.e]*" out | head -1 | cut -d: -f2
}
at_least() {
    awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && a >= b) }' || complain "$3 is '$1', want at least $2"
}

begin "train prints what it did and writes a model"
status 0 finetune train "$sample/train"
has out "44 in 2 classes: cat 22, dog 22"
has out "efficientnet-lite0 · 224 px · 10240 features of 17 layers"
has out "softmax regression"
cp out train.out
has out "(cross-validated; 95 % interval "
has out "next       finetune predict img.jpg"
equal "$(cat err)" ""
[ -s model.h5 ] || complain "no model.h5"

begin "the sample is learnt"
status 0 finetune evaluate "$sample/test" --json
at_least "$(value accuracy)" 0.9 accuracy
equal "$(value images)" 12
has out '"confusion":[[6,0],[0,6]]'
has out '"classes":["cat","dog"]'
status 0 finetune evaluate "$sample/test"
has out "precision"
has out "confusion"

begin "predict: one line a picture, in the order given"
set -- "$sample"/test/dog/* "$sample"/test/cat/*
status 0 finetune predict "$@"
equal "$(cut -f1 out)" "$(printf '%s\n' "$@")"
equal "$(cut -f2 out | tr '\n' ' ')" "dog dog dog dog dog dog cat cat cat cat cat cat "
grep -qvE '^[^	]+	(cat|dog)	[01]\.[0-9]{3}$' out && complain "a line of another shape"
one=$(ls -d "$sample"/test/cat/* | head -1)
status 0 finetune predict --top 2 "$one"
equal "$(awk -F'\t' '{ print NF, $2, $4 }' out)" "5 cat dog"
status 0 finetune predict --json "$one"
has out '[ {"path":"'
has out '"top":[{"label":"cat","probability":'

begin "the same training gives the same bytes, whatever the number of threads"
status 0 finetune train "$sample/train" -q --threads 1 -o one.h5
equal "$(cat out err)" ""
status 0 finetune train "$sample/train" -q --threads 3 -o three.h5
cmp -s one.h5 three.h5 || complain "models differ"
cmp -s one.h5 model.h5 || complain "models differ"
status 0 finetune train "$sample/train" -q --seed 2 -o seed.h5
cmp -s one.h5 seed.h5 && complain "the seed has no effect"

begin "the order on disk does not matter"
mkdir -p shuffled/cat shuffled/dog
for f in $(ls -r "$sample"/train/cat); do cp "$sample/train/cat/$f" shuffled/cat; done
for f in $(ls -r "$sample"/train/dog); do cp "$sample/train/dog/$f" shuffled/dog; done
status 0 finetune train shuffled -q -o shuffled.h5
cmp -s one.h5 shuffled.h5 || complain "models differ"

begin "train --json is one object"
status 0 finetune train "$sample/train" --json -o json.h5 --val "$sample/test"
equal "$(wc -l <out)" 1
cp out json.out
for key in images classes accuracy interval accuracy_expected repeats accuracy_sd log_loss ece temperature l2 folds grid backbone features output val skipped; do
    has out "\"$key\":"
done
cmp -s one.h5 json.h5 || complain "--val or --json changes the model"

begin "features, info and bench"
status 0 finetune features "$sample/test" -o f.h5
has out "12 x 1280"
[ -s f.h5 ] || complain "no f.h5"
status 0 finetune info model.h5
has out "a trained model"
has out "2: cat, dog"
has out "44 images"
# text, --json and the record in the model have the same interval
interval=$(grep -o '"interval":[[0-9.,]*' json.out | head -1 | tr '[,' '  ' | awk '{ printf "95 %% interval %.1f to %.1f", 100 * $2, 100 * $3 }')
has train.out "$interval"
has out "$interval"
status 0 finetune info model.h5 --layers
has out "DepthwiseConv2D"
status 0 finetune bench --seconds 0.2 --json
at_least "$(value latency_ms)" 0.1 latency_ms
at_least "$(value throughput_ms)" 0.1 throughput_ms

begin "an old model survives a training that fails"
cp model.h5 before.h5
mkdir full
status 1 finetune train full -o model.h5
cmp -s model.h5 before.h5 || complain "model.h5 changed"
status 1 finetune train "$sample/train" -q -o nowhere/model.h5
has err "nowhere/model.h5"
equal "$(cat out)" "" # known before the long work
status 1 finetune train "$sample/train" -q -o ''
has err "cannot write '': a file needs a name"
status 1 finetune train "$sample/train" -q -o unnamed.h5 --report ''
[ ! -e unnamed.h5 ] || complain "trained before the report's name was looked at"
status 1 finetune features "$sample/test" -o full
has err "cannot write 'full': it is there and is not a regular file"
status 1 finetune train "$sample/train" --val nowhere -o model.h5
has err "cannot open 'nowhere'"
hasnt out "features"
mkdir -p strange/cow
cp "$one" strange/cow
status 1 finetune train "$sample/train" --val strange -o model.h5
has err "'strange' has no class of the model"
hasnt out "features"
( # half a megabyte is a full disk
    ulimit -f 1000
    status 1 finetune train "$sample/train" -o model.h5
    has err "cannot write 'model.h5': is the disk full?"
    ulimit -f 200
    status 1 finetune features "$sample/train" -o features.h5
    has err "cannot write 'features.h5': is the disk full?"
    [ -z "$wrong" ]
) || wrong=1
cmp -s model.h5 before.h5 || complain "model.h5 changed"
ls -A | grep -q tmp && complain "a temporary file is left"

begin "wrong files are refused with a hint"
echo hello >text.h5
status 1 finetune predict -m text.h5 "$one"
has err "'text.h5'"
status 1 finetune predict -m missing.h5 "$one"
has err "'missing.h5': cannot be opened: no such file"
status 1 finetune train "$sample/train" --backbone no-such-net
has err "no backbone 'no-such-net'"
status 1 finetune train "$sample/train" --backbone resnet101
has err "weights are not installed: scripts/fetch_backbone resnet101"
status 1 finetune info ""
has err "no backbone ''"
status 1 finetune predict -m "$FT_TESTS/../weights/efficientnet-lite0.h5" "$one"
has err "backbone, not a trained model"
end
