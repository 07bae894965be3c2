#!/bin/sh
# doctor finds planted faults and changes nothing; training keeps copies and groups in one fold.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
mkdir -p set/cat set/dog
cp "$sample"/train/cat/* set/cat
cp "$sample"/train/dog/* set/dog
set -- "$sample"/train/cat/*
cp "$1" set/cat/copy.jpg
cp "$2" set/dog/copied-cat.jpg
cp "$sample"/test/dog/dog.1030.jpg set/cat/really-a-dog.jpg
echo text >set/dog/text.jpg
{ cat "$3"; echo padding; } >set/cat/near.jpg # the same pixels from other bytes

begin "every planted fault is named, no file is changed"
find set -type f -exec cksum {} + | sort >before
status 3 finetune doctor set
find set -type f -exec cksum {} + | sort >after
cmp -s before after || complain "files were changed"
has out "48 in 2 classes: cat 25, dog 23"
has out "set/dog/text.jpg"
has out "exact duplicates: 2"
has out "(under different labels)"
has out "near duplicates: 1"
has out "set/cat/near.jpg"
has out "set/cat/really-a-dog.jpg  labelled cat, looks like dog"
has out "shortcuts: 0"

begin "json: the shapes that scripts rely on"
status 3 finetune doctor set --json
equal "$(wc -l <out)" 1
has out '"unreadable":[{"path":"set/dog/text.jpg","reason":"'
has out '"duplicates":[['
has out '"near_duplicates":[{"a":"'
has out '"same_label":true}]'
has out '"path":"set/cat/really-a-dog.jpg","label":"cat","suggested":"dog","score":0.'
has out '"classes":[{"label":"cat","images":25},{"label":"dog","images":23}]'
for key in outliers quality shortcuts; do
    has out "\"$key\":["
done

begin "a shortcut is named: every dog in a larger file"
mkdir -p short/cat short/dog
cp "$sample"/train/cat/* short/cat
head -c 200000 /dev/zero >zeros
for f in "$sample"/train/dog/*; do
    cat "$f" zeros >"short/dog/${f##*/}"
done
status 0 finetune doctor short --json
has out '"feature":"file size","auc":1'

begin "a folder that cannot be trained on is judged all the same"
mkdir -p lone/cat
cp "$1" "$2" "$3" lone/cat
status 0 finetune doctor lone
has err "labels and shortcuts are not checked"
has out "exact duplicates: 0"
status 1 finetune doctor missing

begin "--group-by keeps a series in one fold"
mkdir -p series/cat series/dog
n=0
for class in cat dog; do
    for f in "$sample/train/$class"/*; do
        n=$((n + 1))
        cp "$f" "series/$class/series$((n / 11))-$n.jpg"
    done
done
status 0 finetune train series --group-by 'series([0-9]+)' --json -o a.h5
has out '"folds":5'
status 1 finetune train series --group-by 'jpg' -o c.h5
has err "all 44 pictures are the same picture"
status 2 finetune train series --group-by '(' -o d.h5
has err "'--group-by (': expected an extended regular expression"

begin "2 % wrong labels among 1000 photographs: at least 85 % in the first 40"
full=$FT_SHARED_DATA/cats-vs-dogs/train
if [ -d "$full" ]; then
    cp -r "$full" flipped
    n=0
    for f in $(ls -d flipped/cat/* | awk 'NR % 50 == 7'); do mv "$f" "flipped/dog/was-cat-$((n += 1)).jpg"; done
    for f in $(ls -d flipped/dog/dog* | awk 'NR % 50 == 7'); do mv "$f" "flipped/cat/was-dog-$((n += 1)).jpg"; done
    equal $n 20
    status 0 finetune doctor flipped --json
    found=$(grep -o '"mislabelled":\[[^]]*' out | grep -o '"path":"[^"]*' | head -40 | grep -c was-)
    [ "$found" -ge 17 ] || complain "found $found of 20"
else
    skip="no $full"
fi
end
