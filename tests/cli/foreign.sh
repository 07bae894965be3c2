#!/bin/sh
# Models that other programs trained: heads of all kinds, their geometry, and what is said of assumed preprocessing. Expected values
# are Keras's (scripts/golden_heads.py).
. "$FT_TESTS/cli/tap.sh"
heads=$FT_TESTS/golden/heads

begin "heads: sigmoid, logits, an activation as a layer, an int8 kernel"
while read -r file expected; do
    status 0 finetune predict -m "$heads/$file" "$heads/wide.png" --probabilities --format csv
    # Keras rounds the inputs of an int8 layer to 8 bits, too, which this program does not do.
    case $file in int8*) close=2e-3 ;; *) close=1e-4 ;; esac
    tail -1 out | awk -F, -v want="$expected" -v near="$close" '{
        n = split(want, w, " ")
        for (i = 1; i <= n; i++) { d = $(5 + i) - w[i]; if (NF != 5 + n || d > near + 0 || d < -near) exit 1 }
    }' || complain "$file: $(tail -1 out), expected $expected"
done <"$heads/expected.txt"

begin "several sigmoids: every label has a probability and a threshold of its own"
several="finetune predict -m $heads/labels.h5 $heads/wide.png --classes cat,dog,red"
# shellcheck disable=SC2046
set -- $(grep '^labels.h5' "$heads/expected.txt")
status 0 $several --format csv
equal "$(head -1 out)" "path,label,probability,status,error,cat,dog,red"
status 0 $several --json
for text in '"cat":0.'"${2#*.}" '"dog":0.'"${3#*.}" '"red":0.'"${4#*.}" '"labels":["red"]'; do has out "$text"; done
status 0 $several
equal "$(cut -f2- out)" "red	$(printf %.3f "$4")"
status 0 $several --threshold 0.17
equal "$(cut -f2,4- out)" "red	dog	$(printf %.3f "$3")"
status 0 $several --threshold 'cat=0.1,red=0.9' --format csv --fields label
equal "$(tail -1 out)" cat
status 0 $several --threshold '0.1,red=0.9' --format csv --fields label
equal "$(tail -1 out)" "dog;cat"
status 0 $several --threshold 0.99
equal "$(cut -f2 out)" none
status 1 $several --threshold 'bird=0.3'
has err "expected CLASS=P at 'bird=0.3'"
status 2 $several --threshold 1.5
status 1 $several --copy-to there
has err "several labels"
[ ! -e there ] || complain "a folder was made"
mkdir -p named/cat named/dog
cp "$heads/wide.png" named/cat/a.png
cp "$heads/wide.png" named/dog/b.png
status 1 finetune evaluate -m "$heads/labels.h5" named --classes cat,dog,red
has err "give their true labels with --labels TABLE"
status 0 finetune explain -m "$heads/labels.h5" "$heads/wide.png" --classes cat,dog,red --class cat --json
has out '"label":"red"'
status 0 finetune info "$heads/labels.h5"
has out "of which a picture may have several"

begin "evaluate with several labels: scikit-learn's figures (scripts/golden_labels.py)"
labels=$FT_TESTS/golden/labels
measure="finetune evaluate -m $heads/labels.h5 --labels $labels/truth.csv"
status 0 $measure --classes cat,dog,red
equal "$(awk '$1 == "cat" || $1 == "dog" || $1 == "red" { print $2, $3, $4, $6, $7 } $2 == "average" { print $3, $4, $5, $7, $8 }' out)" \
    "$(head -5 "$labels/expected-0.5.txt" | awk '{ for (i = 1; i <= 5; i++) printf "%s%s", $i == "nan" ? "-" : sprintf("%.4f", $i), i < 5 ? " " : "\n" }')"
has out "exact      14.29 %"
status 0 $measure --classes cat,dog,red --json
has out '"exact_match":0.142857'
has out '"label":"red"'
status 3 $measure --classes cat,dog,red --min-recall dog=0.5
has err "recall of 'dog' 0.0000 is below"
status 1 $measure --classes cat,dog,bird
has err "has no column of 0 and 1 named 'bird'"
status 1 $measure --classes cat,dog,red --report page.html
has err "are for models that give one label"
sed '3s/,1$/,2/' "$labels/truth.csv" >two.csv
status 1 finetune evaluate -m "$heads/labels.h5" --labels two.csv "$labels" --classes cat,dog,red
has err "has no column of 0 and 1 named 'red'"
status 1 finetune train --labels "$labels/truth.csv"
has err "truth.csv"

begin "a threshold for one class of a model that gives one label"
status 0 finetune predict -m "$heads/logits.h5" "$heads/wide.png" --classes a,b,c --threshold a=0.9
equal "$(cut -f2 out)" unknown
status 0 finetune predict -m "$heads/logits.h5" "$heads/wide.png" --classes a,b,c --threshold b=0.9
equal "$(cut -f2 out)" a

begin "class names: labels.txt with a byte order mark and CRLF, class_indices.json, --classes"
cp "$heads/sigmoid.h5" keras_model.h5
names() { # what the two classes are called
    status 0 finetune info keras_model.h5 "$@"
    equal "$(sed -n 's/^classes  *//p' out)" "2: cat, dog"
}
printf '\357\273\277cat\r\ndog\r\n' >labels.txt
names
printf '0 cat\n1 dog\n' >labels.txt
names
names --classes cat,dog
printf '0 a\n1 b\n2 c\n' >labels.txt
status 1 finetune info keras_model.h5
has err "3 names for 2 classes"
names --classes cat,dog
rm labels.txt
for text in '{"dog": 1, "cat": 0}' '{"0": "cat", "1": "dog"}' '["cat", "dog"]' '{"0": ["n1", "cat"], "1": ["n2", "dog"]}'; do
    echo "$text" >class_indices.json
    names
    mv class_indices.json given.json
    names --classes given.json
done
echo cat,dog >given.txt
names --classes given.txt
echo '{"cat": 0, "dog": 0}' >class_indices.json
status 1 finetune info keras_model.h5
has err "index 0 has two names, 'cat' and 'dog'"
echo '{"cat": 1, "dog": 2}' >class_indices.json
status 1 finetune info keras_model.h5
has err "index 2 is outside the 2 classes"
status 1 finetune info keras_model.h5 --classes a,b,c
has err "--classes 'a,b,c': 3 names for 2 classes"
rm class_indices.json
status 0 finetune info keras_model.h5
has err "its classes have no names: give them with --classes"

begin "a network with ImageNet's last layer answers with ImageNet's names"
status 0 finetune predict -m "$heads/imagenet.h5" "$heads/wide.png" --top 3
has err "the 1000 of ImageNet"
equal "$(cut -f2,4,6 out | tr '\t' '\n')" "$(cut -d' ' -f1 "$heads/imagenet.txt" | while read -r i; do
    sed -n "$((i + 1))p" "$FT_TESTS/../weights/imagenet-classes.txt"
done)"
for name in 0:tench 281:tabby 282:tiger_cat 207:golden_retriever 817:sports_car 954:banana 999:toilet_tissue; do # as Keras has them
    equal "$(sed -n "$((${name%:*} + 1))p" "$FT_TESTS/../weights/imagenet-classes.txt")" "${name#*:}"
done

begin "what is assumed of another program's model is said, with the option that overrides it"
for command in "predict -m MODEL PICTURE" "explain -m MODEL PICTURE" "evaluate -m MODEL named --classes cat,dog,red" "info MODEL"; do
    command=$(echo "$command" | sed "s,MODEL,$heads/logits.h5,; s,PICTURE,$heads/wide.png,")
    status 0 finetune $command
    has err "squashed to the input's size with a bilinear filter"
    status 0 finetune $command --resize crop
    grep -q squash err && complain "$command --resize crop: $(cat err)"
done

begin "the whole picture by default, --resize for another rule, which an own model refuses"
status 0 finetune predict -m "$heads/logits.h5" "$heads/wide.png" --probabilities --format csv
cp out squash
status 0 finetune predict -m "$heads/logits.h5" "$heads/wide.png" --probabilities --format csv --resize squash
cmp -s out squash || complain "squash is not the default"
status 0 finetune predict -m "$heads/logits.h5" "$heads/wide.png" --probabilities --format csv --resize crop
cmp -s out squash && complain "--resize crop changes nothing"
status 0 finetune train "$FT_TESTS/data/cats-vs-dogs/train" -q --no-cache -b "$FT_TESTS/golden/containers/keras3-teachable.h5" -o own.h5
status 1 finetune predict -m own.h5 "$heads/wide.png" --resize squash
has err "the resize rule cannot be changed"
end
