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
