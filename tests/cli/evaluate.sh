#!/bin/sh
# evaluate: what it prints and writes, its thresholds, two models against each other.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
finetune train "$sample/train" -q || exit 1
# two pictures under the wrong name
mkdir -p wrong/cat wrong/dog
cp "$sample"/test/cat/* wrong/cat
cp "$sample"/test/dog/* wrong/dog
set -- wrong/cat/*
mv "$1" 'wrong/dog/a, "b".jpg'
mv "$2" wrong/dog/second.jpg

begin "text: interval, per class, confusion, mistakes by name"
status 0 finetune evaluate wrong
has out "accuracy   83.33 % (10 of 12; 95 % interval 55.20 to 95.30)"
for text in "balanced" "Brier" "ROC AUC" "dog predicted as cat: 2 of 8" "threshold" "mistakes, highest probability first" "wrong/dog/second.jpg"; do
    has out "$text"
done

begin "json: the shapes that scripts rely on"
status 0 finetune evaluate wrong --json
equal "$(wc -l <out)" 1
for key in interval balanced_accuracy brier per_class roc_auc average_precision support mistakes reliability coverage top; do
    has out "\"$key\":"
done
has out '"confusion":[[4,0],[2,6]]'
has out '"path":"wrong/dog/second.jpg","label":"dog","predicted":"cat","probability":'

begin "csv: five files, fields quoted where they must be"
status 0 finetune evaluate wrong --csv tables -q
equal "$(cd tables && ls | tr '\n' ' ')" "classes.csv confusion.csv coverage.csv predictions.csv reliability.csv "
equal "$(wc -l <tables/predictions.csv)" 13
has tables/predictions.csv '"wrong/dog/a, ""b"".jpg",dog,cat,0.'
has tables/confusion.csv "dog,2,6"

begin "what cannot be written is said before the long work"
: >file
for wish in "--csv file" "--csv missing/tables" "--report missing/r.html"; do
    status 1 finetune evaluate wrong $wish
    equal "$(cat out)" ""
    hasnt err "skipped"
done
has err "cannot write 'missing/r.html': no such file or directory"
status 1 finetune train wrong --report missing/r.html -o report.h5
equal "$(cat out)" ""
[ ! -e report.h5 ] || complain "trained before it looked"

begin "thresholds missed are exit status 3, with what was missed"
status 0 finetune evaluate wrong --min-accuracy 0.8 --min-recall cat=1 --min-recall dog=0.7
status 3 finetune evaluate wrong --min-accuracy 0.9
has err "accuracy 0.8333 is below 0.9000"
status 3 finetune evaluate wrong --min-recall cat=1 --min-recall dog=0.9 --json
has err "recall of 'dog' 0.7500 is below 0.9000"
has out '"accuracy":'
status 1 finetune evaluate wrong --min-recall cow=0.9
has err "--min-recall 'cow=0.9'"
hasnt err "skipped"
status 2 finetune evaluate wrong --min-recall dog=much
status 2 finetune evaluate wrong --min-accuracy 1.5

begin "two models on the same pictures"
finetune train "$sample/train" -q --l2 10000 -o weak.h5
status 0 finetune evaluate wrong --compare weak.h5
has out "McNemar's exact test: p = "
status 0 finetune evaluate wrong --compare model.h5 --json
has out '"compare":{"model":"model.h5","accuracy":0.8333'
has out '"only_this":0,"only_other":0'
has out '"p_value":1'
echo text >wrong/cat/text.jpg
status 3 finetune evaluate wrong --compare weak.h5
equal "$(grep -c "text.jpg" err)" 1
rm wrong/cat/text.jpg
mkdir -p other/cow other/dog
cp wrong/cat/* other/cow
cp wrong/dog/dog* other/dog
finetune train other -q -o other.h5
status 1 finetune evaluate wrong --compare other.h5
has err "different classes"

begin "a class that is named like a column of predictions.csv"
mv other/cow other/label
finetune train other -q -o column.h5
status 0 finetune evaluate other -m column.h5 --csv . -q
equal "$(head -1 predictions.csv)" "path,label,predicted,probability,dog,class:label"

begin "an accuracy that the largest class alone would give is called that"
mkdir -p uneven/many uneven/few
n=0
for f in "$sample"/train/cat/*; do
    n=$((n + 1))
    if [ $n -le 2 ]; then cp "$f" uneven/few; else cp "$f" uneven/many; fi
done
status 0 finetune train uneven -o uneven.h5 -v
has out "· balanced "
has out "baseline   90.9 %: always answering 'many', the largest class"
has out "warning    the classifier is no better than always answering 'many'"
has out "warning    no picture of the class 'few' is classified correctly (recall 0)"
status 0 finetune train uneven -o uneven.h5 --json --report uneven.html
has out '"balanced_accuracy":'
has out '"baseline":{"class":"many","accuracy":0.909'
has out '"beaten":false'
has uneven.html "no better than always answering"
has uneven.html "(recall 0)"
status 0 finetune info uneven.h5
has out "baseline   90.9 %"
status 0 finetune evaluate uneven -m uneven.h5
has out "always answering 'many' would give 90.91 %"
status 0 finetune evaluate uneven -m uneven.h5 --json
has out '"baseline":{"class":"many"'
status 0 finetune evaluate "$sample/test"
has out "always answering 'cat' would give 50.00 %"
hasnt out "no better"

begin "a class that is named like a key of predictions"
mkdir -p keys/top keys/path keys/class:path
cp "$sample"/train/cat/*1* keys/top
cp "$sample"/train/dog/*1* keys/path
cp "$sample"/train/dog/*2* keys/class:path
status 0 finetune train keys -q -o keys.h5
status 0 finetune predict -m keys.h5 --probabilities --json "$sample"/test/cat/*
for key in top path class:top class:path class:class:path; do
    [ "$(head -1 out | grep -o "\"$key\":" | wc -l)" = 1 ] || complain "key $key: $(head -1 out)"
done
status 0 finetune predict -m keys.h5 --probabilities --format csv "$sample"/test/cat/*
equal "$(head -1 out)" "path,label,probability,status,error,class:path,class:class:path,class:top"
end
