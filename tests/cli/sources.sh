#!/bin/sh
# Where labelled pictures come from: tables of labels, lists, train/val/test folders.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
mkdir flat
cp "$sample"/train/*/* flat
ls flat | sed 's/^\(cat\|dog\)\(.*\)/\1\2,\1/' >rows
{ echo "path,label"; cat rows; } >flat/labels.csv

begin "train --labels: the same pictures under a table make the same model"
status 0 finetune train "$sample/train" -q -o folder.h5
status 0 finetune train --labels flat/labels.csv -q -o table.h5
status 0 finetune info table.h5
has out "2: cat, dog"
has out "44 images"
status 0 finetune train flat --labels rows --json -o dir.h5
has out '"images":44'
cmp -s dir.h5 table.h5 || complain "models differ"

begin "tables: header anywhere, quotes, other columns, CRLF, byte order mark"
printf '\357\273\277id,label,path\r\n' >flat/odd.csv
awk -F, '{ printf "%d,\"%s\",\"%s\"\r\n", NR, $2, $1 }' rows >>flat/odd.csv
status 0 finetune train --labels flat/odd.csv -q -o odd.h5
cmp -s odd.h5 table.h5 || complain "models differ"
mv "flat/$(head -1 rows | cut -d, -f1)" 'flat/a "b", c.jpg'
{ printf '"a ""b"", c.jpg",cat\n'; sed 1d rows; } >flat/quoted.csv
status 0 finetune train --labels flat/quoted.csv --json -o quoted.h5
has out '"images":44'
printf 'path,label\nx.jpg\n' >bad.csv
status 1 finetune train --labels bad.csv
has err "'bad.csv': record 2 has no label"
printf 'path,label\na.jpg,"cat\nb.jpg,dog\n' >open.csv
status 1 finetune train --labels open.csv
has err "'open.csv': record 2 opens a quote that is never closed"
printf 'path,label\na.jpg,cat\n\0b.jpg,dog\n' >zero.csv
status 1 finetune train --labels zero.csv
has err "'zero.csv' holds a zero byte"
status 1 finetune train --labels missing.csv
has err "missing.csv"
{ cat flat/labels.csv; sed -n '1s/,.*/,other/p' rows; } >flat/twice.csv
status 1 finetune train --labels flat/twice.csv
has err "in one row and 'other' in another: keep one of them"
printf 'path,label\n' >flat/none.csv
status 1 finetune train --labels flat/none.csv
has err "'flat/none.csv' contains no class: at least two are needed, and each row has the path"
printf 'path,label\nno1.jpg,a\nno2.jpg,a\nno3.jpg,b\nno4.jpg,b\n' >gone.csv
status 1 finetune train --labels gone.csv
has err "no1.jpg"
equal "$(grep -c . err)" 1
has err "'gone.csv': none of its 4 pictures exists: the first is 'no1.jpg'"
{ cat rows; echo "$(head -1 rows | cut -d, -f1),cow"; } | sed 1d >one.csv
status 1 finetune train flat --labels one.csv
has err "'one.csv': 1 class with fewer than 2 pictures: 'cow' (1)"
status 2 finetune train
has err "DIR is missing"

begin "what a table is understood as is said; columns can be chosen"
mv 'flat/a "b", c.jpg' "flat/$(head -1 rows | cut -d, -f1)"
{ echo "copy,id,breed,kind"; sed 's/\([^.]*\)\(.*\)\.jpg,\(.*\)/\1\2.jpg,\1\2,\3,all/' flat/labels.csv | sed 1d; } >flat/columns.csv
status 0 finetune train flat --labels flat/columns.csv -o columns.h5
has out "44 in 2 classes: cat 22, dog 22"
has err "'flat/columns.csv': 44 rows: paths from column 'copy', labels from column 'breed'"
status 0 finetune train flat --labels flat/columns.csv --path-column ID -o columns.h5
has err "44 rows: paths from column 'id' with '.jpg' added, labels from column 'breed'"
status 1 finetune train flat --labels flat/columns.csv --path-column 2 --label-column kind -o columns.h5
has err "labels from column 'kind'"
has err "only one class, 'all'"
status 1 finetune train flat --labels flat/columns.csv --label-column sort -o columns.h5
has err "--label-column 'sort' is neither a name in the header nor a number from 1 to 4"
status 0 finetune evaluate flat --labels flat/columns.csv -m columns.h5

begin "evaluate: folders, files, lists and tables give the same figures"
status 0 finetune evaluate "$sample/test" -m folder.h5 --json
cp out want
status 0 finetune evaluate "$sample"/test/*/* -m folder.h5 --json
cmp -s out want || complain "files: $(cat out)"
find "$sample/test" -type f -print0 | sort -z | finetune evaluate -0 --files-from - -m folder.h5 --json >out 2>err
cmp -s out want || complain "list: $(cat out err)"
finetune predict "$sample/test" -m folder.h5 --format csv >predicted.csv
status 0 finetune evaluate --labels predicted.csv -m folder.h5 --json
cmp -s out want || complain "table: $(cat out err)"
status 0 finetune evaluate "$sample/test/cat" "$sample/test/dog" --labels predicted.csv -m folder.h5 --json
cmp -s out want || complain "table and inputs: $(cat out err)"
sed 1,3d predicted.csv >fewer.csv
status 0 finetune evaluate "$sample"/test/*/* --labels fewer.csv -m folder.h5 --json
has out '"images":10'
has err "2 pictures are left out: no label"
status 3 finetune evaluate "$sample"/test/*/* "$sample/test/cat/missing.jpg" -m folder.h5
has err "missing.jpg': cannot be opened"
status 3 finetune evaluate "$sample"/test/*/* missing/cat.jpg -m folder.h5
has err "missing' is not a class of the model"
status 1 finetune evaluate missing -m folder.h5
has err "cannot open 'missing'"
status 2 finetune evaluate -m folder.h5

begin "folders without pictures are said before the long work"
mkdir -p nothing/cat nothing/dog
status 1 finetune train "$sample/train" --val nothing -o late.h5
has err "'nothing' contains no pictures inside class folders"
equal "$(cat out)" ""
status 1 finetune doctor nothing
has err "'nothing' contains no pictures"

begin "train, val and test folders are recognised and said"
mkdir parts
cp -r "$sample/train" parts/train
cp -r "$sample/test" parts/val
cp -r "$sample/test" parts/test
status 0 finetune train parts -o parts.h5
has err "'parts' contains train and val and test: training on 'parts/train', measuring on 'parts/val'"
mkdir parts/val/cow
cp "$(ls -d parts/val/cat/* | head -1)" parts/val/cow
status 0 finetune train parts -o parts.h5
has err "'cow' is not a class of the model: its 1 picture in 'parts/val' is left out"
has out "pictures in 'parts/val'"
rm -r parts/val/cow
has out "val        "
cmp -s parts.h5 folder.h5 || complain "models differ"
status 0 finetune evaluate parts -m folder.h5
has err "evaluating on 'parts/test'"
status 0 finetune doctor parts
has err "'parts' contains train and val and test: checking 'parts/train'"
has out "44 in 2 classes: cat 22, dog 22"
status 0 finetune curve parts
has err "using 'parts/train'"
status 0 finetune features parts -o parts-features.h5
has err "its own folders are used as classes here"
rm -r parts/test
status 0 finetune evaluate parts -m folder.h5
has err "evaluating on 'parts/val'"
mkdir parts/other
cp "$sample"/test/cat/* parts/other
status 1 finetune train parts -q -o three.h5
has err "but also 'other'"
status 0 finetune train parts --label-from folder -q -o three.h5
status 0 finetune info three.h5
has out "other, train, val"
end
