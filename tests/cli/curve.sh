#!/bin/sh
# curve: accuracy against pictures, what doubling brings, backbones side by side.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs

begin "text"
status 0 finetune curve "$sample/train"
for text in "images  accuracy" "power law  error = " "doubling   88 pictures: about " "chosen: lowest log-loss"; do
    has out "$text"
done

begin "json: the shapes that scripts rely on, the same every time"
status 0 finetune curve "$sample/train" --json
equal "$(wc -l <out)" 1
has out '"points":[{"images":'
has out '"doubling":{"accuracy":'
equal "$(grep -o '"low":' out | wc -l)" 6
cut -d, -f1-20 out >first
status 0 finetune curve "$sample/train" --json --threads 1
cut -d, -f1-20 out >second
cmp -s first second || complain "two runs differ"

begin "two backbones are compared"
status 0 finetune curve "$sample/train" -b efficientnet-lite0 -b "$FT_TESTS/../weights/efficientnet-lite0.h5"
equal "$(grep -c '^efficientnet-lite0 ' out)" 2
has out "ms/image"

begin "input sizes are compared, and the interval is that of train"
status 0 finetune curve "$sample/train" --size 224,192 --size 160
for size in 224x224 192x192 160x160; do
    equal "$(grep -c "^efficientnet-lite0 *$size " out)" 1
done
status 0 finetune curve "$sample/train" --size 192,160 --json
has out '"backbone":"efficientnet-lite0","input":[160,160],"ms_per_image":'
curve=$(sed 's/.*"input":\[160,160\],"ms_per_image":[^,]*,"accuracy":\([^,]*\),"low":\([^,]*\),"high":\([^,]*\),.*/\1 \2,\3/' out)
status 0 finetune train "$sample/train" --size 160 --json -o size.h5
train=$(sed 's/.*"accuracy":\([^,]*\),"accuracy_expected":[^,]*,"interval":\[\([^]]*\)\].*/\1 \2/' out)
equal "$curve" "$train"

begin "a wrong size is refused before the first picture is read"
for size in "224," ",224" 0 224,5000 224x224 22.5; do
    status 2 finetune curve "$sample/train" --size "$size"
    has err "'--size $size': expected"
done
status 2 finetune curve "$sample/train" --size 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17
has err "at most 16 numbers"

begin "all backbones are opened before the first picture is read"
mkdir -p broken
cp -r "$sample/train/cat" "$sample/train/dog" broken/
echo "no picture" >broken/cat/broken.jpg
status 1 finetune curve broken -b efficientnet-lite0 -b absent
has err "no backbone 'absent'"
grep -q "broken.jpg" err && complain "the pictures were read first"

begin "too few pictures are said so"
mkdir -p few/cat few/dog
for class in cat dog; do
    for f in $(ls -d "$sample/train/$class"/* | head -5); do cp "$f" few/$class; done
done
status 1 finetune curve few
has err "the smallest class has 5 pictures"
status 1 finetune curve "$sample/train/cat"
end
