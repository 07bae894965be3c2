#!/bin/sh
# --precision: from the command line into the plan, the model file and the cache, and back.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
train="train $sample/train --layers last --json"

begin "f32 is the default: the same file, byte for byte, from the same cache"
status 0 finetune $train -o plain.h5
has out '"precision":"f32"'
status 0 finetune $train -o f32.h5 --precision f32
has out '"cache":{"hits":44,"computed":0}'
cmp -s plain.h5 f32.h5 || complain "models differ"

begin "bf16 has features of its own in the cache, and they are found again"
status 0 finetune $train -o bf16.h5 --precision bf16
has out '"precision":"bf16"'
has out '"cache":{"hits":0,"computed":44}'
status 0 finetune $train -o again.h5 --precision bf16
has out '"cache":{"hits":44,"computed":0}'
cmp -s bf16.h5 again.h5 || complain "models differ"

begin "training says it, info says it"
status 0 finetune train "$sample/train" --layers last -o again.h5 --precision bf16
grep -q '^precision  bf16 · ' err out || complain "no line: $(cat out err)"
status 0 finetune train "$sample/train" --layers last -o again.h5 -v
grep -q '^precision  f32$' err out || complain "no line: $(cat out err)"
status 0 finetune info bf16.h5
has out 'precision  bf16 · '
status 0 finetune info bf16.h5 --json
has out '"precision":"bf16"'
status 0 finetune info plain.h5
has out 'precision  f32'
status 0 finetune --version
has out 'bf16 · '
export FINETUNE_CPU=avx512_vnni
status 0 finetune --version
has out 'bf16 · emulated in float32: '
has out '_BF16 is turned off by FINETUNE_CPU, or this processor lacks it'
unset FINETUNE_CPU

begin "a model keeps its precision: no option is needed, one that contradicts is refused"
status 0 finetune predict -m bf16.h5 "$sample/test"
cp out without
status 0 finetune predict -m bf16.h5 --precision bf16 "$sample/test"
cmp -s out without || complain "other predictions with the option"
status 1 finetune predict -m bf16.h5 --precision f32 "$sample/test"
has err "'bf16.h5': the precision cannot be changed to f32: the model was trained with bf16"
status 1 finetune evaluate -m plain.h5 --precision bf16 "$sample/test"
has err "'plain.h5': the precision cannot be changed to bf16: the model was trained with f32"
picture=$(find "$sample/test/dog" -name '*.jpg' | head -1)
status 1 finetune explain -m plain.h5 --precision bf16 "$picture"
status 0 finetune explain -m bf16.h5 "$picture" -o why.png

begin "the accuracy is equal"
status 0 finetune evaluate -m plain.h5 "$sample/test" --json
f32=$(sed 's/.*"accuracy":\([0-9.]*\).*/\1/' out)
status 0 finetune evaluate -m bf16.h5 "$sample/test" --json
equal "$(sed 's/.*"accuracy":\([0-9.]*\).*/\1/' out)" "$f32"

begin "features, bench and import"
status 0 finetune features "$sample/test" -o f32.features.h5 -q
status 0 finetune features "$sample/test" -o bf16.features.h5 -q --precision bf16
cmp -s f32.features.h5 bf16.features.h5 && complain "the features are equal"
status 0 finetune bench --seconds 0.01 --json --precision bf16
has out '"precision":"bf16"'
status 0 finetune import "$FT_TESTS/../weights/efficientnet-lite0.h5" -o network.h5 --precision bf16
status 0 finetune bench network.h5 --seconds 0.01 --json
has out '"precision":"bf16"'
status 0 finetune bench network.h5 --seconds 0.01 --json --precision f32
has out '"precision":"f32"'

begin "int8: ranges from the pictures, features of its own in the cache, a model that keeps them"
status 0 finetune $train -o int8.h5 --precision int8
has out '"precision":"int8"'
has out '"cache":{"hits":0,"computed":44}'
status 0 finetune $train -o again.h5 --precision int8
has out '"cache":{"hits":44,"computed":0}'
cmp -s int8.h5 again.h5 || complain "models differ"
status 0 finetune info int8.h5
has out 'precision  int8 · the same features, bit for bit, on every processor'
status 0 finetune info int8.h5 --json
has out '"precision":"int8","portable":true'
set -- "$XDG_CACHE_HOME"/finetune/ranges/*.ranges
[ -f "$1" ] && [ $# = 1 ] || complain "ranges in the cache: $*"
mine=$XDG_CACHE_HOME/finetune/ranges/mine.ranges
echo mine >"$mine"
echo cut >"$1.tmp-1-abcdef"
status 0 finetune cache clear
[ ! -e "$1" ] || complain "ranges are left after clear"
[ ! -e "$1.tmp-1-abcdef" ] || complain "a temporary file is left after clear"
[ -f "$mine" ] || complain "clear removed a file that is not of the cache"
rm "$mine"
status 0 finetune $train -o again.h5 --precision int8 --no-cache
cmp -s int8.h5 again.h5 || complain "models differ"
[ ! -e "$1" ] || complain "ranges were kept with --no-cache"
status 0 finetune predict -m int8.h5 "$picture"
cp out without
export FINETUNE_CPU=c
status 0 finetune predict -m int8.h5 "$picture"
unset FINETUNE_CPU
cmp -s out without || complain "other predictions in plain C"
status 0 finetune evaluate -m int8.h5 "$sample/test" --json
equal "$(sed 's/.*"accuracy":\([0-9.]*\).*/\1/' out)" "$f32"
status 0 finetune explain -m int8.h5 "$picture" -o why.png
if finetune --version | grep -q ONNX; then
    status 0 finetune export int8.h5 -o int8.onnx
fi

begin "int8: features in plain C are the same bits, bench measures it, other files are refused"
status 0 finetune features "$sample/test" -o int8.features.h5 -q --precision int8 --no-cache
export FINETUNE_CPU=c
status 0 finetune features "$sample/test" -o c.features.h5 -q --precision int8 --no-cache
unset FINETUNE_CPU
cmp -s int8.features.h5 c.features.h5 || complain "other bits in plain C"
cmp -s f32.features.h5 int8.features.h5 && complain "the features are equal to those of f32"
status 0 finetune bench --seconds 0.01 --json --precision int8
has out '"precision":"int8"'
status 1 finetune predict -m plain.h5 --precision int8 "$sample/test"
has err "'plain.h5': the precision cannot be changed to int8: the model was trained with f32"
status 1 finetune predict -m int8.h5 --precision f32 "$sample/test"
has err "'int8.h5': the precision cannot be changed to f32: the model was trained with int8"
status 1 finetune import "$FT_TESTS/../weights/efficientnet-lite0.h5" -o network8.h5 --precision int8
has err "int8 needs the ranges of activations"
mkdir bad
echo no picture >bad/x.jpg
status 1 finetune features bad -o x.features.h5 --precision int8
has err "int8 needs pictures to measure the ranges of activations, but none of 1 could be read"

begin "int8 of a transformer: the model keeps ranges and balance, and is no copy of float32"
vit=$FT_TESTS/golden/presets/vit
status 0 finetune train "$sample/train" --json --layers last -b "$vit" -o vit32.h5
status 0 finetune train "$sample/train" --json --layers last -b "$vit" -o vit8.h5 --precision int8
has out '"precision":"int8"'
has out '"cache":{"hits":0,"computed":44}'
status 0 finetune info vit8.h5
has out 'precision  int8 · some layers in float32'
status 0 finetune predict -m vit32.h5 "$sample/test" --json
cp out without
status 0 finetune predict -m vit8.h5 "$sample/test" --json
cmp -s out without && complain "the probabilities are those of float32"
cp out without
status 0 finetune predict -m vit8.h5 "$sample/test" --json -t 1
cmp -s out without || complain "other probabilities with one thread"
status 0 finetune explain -m vit8.h5 "$picture" -o why.png

begin "auto chooses a precision, says why, and the model has it"
status 0 finetune train "$sample/train" -o auto.h5 --layers last --precision auto
grep -q '^precision  auto takes \(f32\|int8\|bf16\)' err out || complain "no line: $(cat out err)"
took=$(sed -n 's/^precision  auto takes \([a-z0-9]*\).*/\1/p' err out | tail -1)
status 0 finetune info auto.h5
has out "precision  $took"
mkdir -p few/cat few/dog
find "$sample/train/cat" -name '*.jpg' | head -5 | while read -r f; do cp "$f" few/cat; done
find "$sample/train/dog" -name '*.jpg' | head -5 | while read -r f; do cp "$f" few/dog; done
status 0 finetune train few -o auto.h5 --precision auto
grep -q '^precision  auto takes f32: 10 pictures are too few' err out || complain "no line: $(cat out err)"
status 2 finetune features few --precision auto

begin "a word that is no precision is wrong use"
for command in "train $sample/train" "predict x.jpg" "features x.jpg" "evaluate x" "explain x.jpg" bench; do
    status 2 finetune $command --precision fp16
    has err "f32|bf16|int8"
done
end
