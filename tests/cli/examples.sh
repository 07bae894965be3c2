#!/bin/sh
# The recipes of scripts/examples, and what the README shows under "In the shell".
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
examples=$FT_TESTS/../scripts/examples
mkdir bin
ln -s "$FINETUNE" bin/finetune
PATH=$scratch/bin:$PATH
unset -f finetune
command -v shellcheck >/dev/null && check=shellcheck || check=
finetune train "$sample/train" -q -o model.h5

begin "sort-inbox"
mkdir inbox
cp "$sample"/test/*/* inbox
echo text >inbox/bad.jpg
MINUTES=-1 status 0 "$examples/sort-inbox" model.h5 inbox sorted log.csv
equal "$(cut -d, -f2 log.csv | sort | uniq -c | awk '{ printf "%s%s ", $2, $1 }')" "1 cat6 dog6 label1 "
equal "$(ls inbox)" bad.jpg
equal "$(ls sorted/cat | wc -l)" 6
cp "$sample"/test/cat/* inbox
MINUTES=-1 status 0 "$examples/sort-inbox" model.h5 inbox sorted log.csv
equal "$(grep -c '^path,' log.csv)" 1
equal "$(ls sorted/cat | wc -l)" 12

begin "least-certain"
if command -v jq >/dev/null; then
    status 0 "$examples/least-certain" model.h5 "$sample/test" 3
    equal "$(wc -l <out)" 3
    sort -c -g out 2>/dev/null || complain "not in order: $(cat out)"
else
    skip="no jq"
fi

begin "in-batches"
find "$sample/test" -type f | sort >list
finetune predict "$sample/test" --format csv >want.csv
BATCH=5 status 0 "$examples/in-batches" model.h5 list batches.csv
cmp -s batches.csv want.csv || complain "rows differ"
sort -o list list
find "$sample/train/cat" -type f | sort | head -3 >>list
BATCH=5 status 0 "$examples/in-batches" model.h5 list batches.csv
equal "$(wc -l <batches.csv)" 16
ls | grep -q part && complain "parts are left"

begin "pictures.mk"
if command -v make >/dev/null; then
    mkdir images new
    cp -r "$sample"/train/* images
    cp "$sample"/test/*/* new
    cp -r "$sample/test" test
    rm model.h5
    status 0 make -s -f "$examples/pictures.mk"
    equal "$(wc -l <labels.csv)" 13
    status 0 make -f "$examples/pictures.mk"
    has out "Nothing to be done"
    cp "$(ls -d "$sample"/test/cat/* | head -1)" images/cat/another.jpg
    touch images/cat/another.jpg
    status 0 make -f "$examples/pictures.mk"
    has out "finetune train images"
    mkdir wrong
    cp -r "$sample/test/cat" wrong/dog
    cp -r "$sample/test/dog" wrong/cat
    rm checked
    status 2 make -f "$examples/pictures.mk" TEST=wrong
    has err "accuracy"
    [ ! -e checked ] || complain "passed"
else
    skip="no make"
fi

begin "xargs and a pipe of NULs"
find "$sample/test" -name '*.jpg' -print0 | sort -z | finetune predict -0 --files-from - >nul || complain "failed"
find "$sample/test" -name '*.jpg' -print0 | sort -z | xargs -0 -n 4 finetune predict >xargs || complain "failed"
cmp -s nul xargs || complain "rows differ"
end
