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
end
