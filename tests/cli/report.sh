#!/bin/sh
# --report: one page that needs nothing else; looked at by a browser where there is one.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
mkdir -p 'set/<b>&cat' set/dog
cp "$sample"/train/cat/* 'set/<b>&cat'
cp "$sample"/train/dog/* set/dog
cp "$sample"/test/dog/dog.1030.jpg 'set/<b>&cat/a-dog.jpg'

begin "train --report: every section, nothing from elsewhere"
status 0 finetune train set -o model.h5 --report report.html
has out "report     report.html"
for text in "Calibration" "Confusion" "Worst mistakes" "Classes" "Learning curve" "Choice of L2, class weights and temperature" \
    "Pictures of unknown classes" "Data checks" "<h2>Settings</h2>" 'hash&quot;:' 'alt="heat map"' "a-dog.jpg" "&lt;b&gt;&amp;cat" 'href="#c0-1"' '<details id="c0-1"' "prefers-color-scheme:dark"; do
    has report.html "$text"
done
hasnt report.html "http:"
hasnt report.html "https:"
hasnt report.html "<b>&cat"
equal "$(grep -c '<svg' report.html)" 2

begin "what a class token adds is stated beside the heat maps"
status 0 finetune train set -q -b "$FT_TESTS/golden/presets/dinov2" -o tokens.h5 --report tokens.html
has tokens.html "whole picture, not in the heat map: "
hasnt report.html "whole picture, not in the heat map: "

begin "names that are no UTF-8, and control characters"
odd=$(printf 'caf\351\033[31m')
mkdir names "names/$odd"
cp "$sample"/train/cat/cat.1* "names/$odd"
cp -r set/dog names
status 0 finetune train names -q -o odd.h5 --report odd.html
iconv -f UTF-8 -t UTF-8 odd.html >/dev/null 2>&1 || complain "not UTF-8"
hasnt odd.html "$(printf '\033')"
has odd.html "caf$(printf '\357\277\275\357\277\275')[31m"

begin "evaluate --report"
mv 'set/<b>&cat' cats
mkdir -p test/dog 'test/<b>&cat'
cp "$sample"/test/dog/* test/dog
cp "$sample"/test/cat/* 'test/<b>&cat'
status 0 finetune evaluate test --report eval.html
has eval.html "measured on 12 pictures"
has eval.html "<h2>Worst mistakes</h2>"
status 1 finetune evaluate test --report nowhere/eval.html
has err "nowhere/eval.html"

begin "the model and figures are the same with and without a report"
mv cats 'set/<b>&cat'
status 0 finetune train set -o plain.h5
cmp -s plain.h5 model.h5 || complain "models differ"

begin "a cell opens its pictures in a browser"
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -n "$browser" ]; then
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --virtual-time-budget=2000 --user-data-dir="$PWD/profile" --dump-dom "file://$PWD/report.html#c0-1" >dom 2>chromium.err
    if [ -s dom ]; then
        grep -q '<details id="c0-1" open' dom || complain "the list is not open"
        [ "$(grep -c '<details' dom)" -ge 2 ] || complain "lists are missing"
    else
        skip="the browser does not start here"
    fi
else
    skip="no chromium"
fi

begin "train -v says why"
status 0 finetune train set -v -o v.h5
has out "of 9 values it has the lowest out-of-fold log-loss"
has out "Classes are weighted to count equally: they have 22 to 23 pictures"
has out "The temperature is"
has out "unknown    each of 2 classes was left out in turn"
status 0 finetune train set -v --l2 0.1 --class-weight none -o v.h5
has out "L2 is 0.1: set by the user"
has out "Classes are not weighted: set by the user"

begin "--scale standard stays reachable, and the record says which"
status 0 finetune train set --json -o floor.h5
has out '"scale":"floor"'
status 0 finetune train set --json --scale standard -o standard.h5
has out '"scale":"standard"'
cmp -s floor.h5 standard.h5 && complain "the scales give the same model"
status 2 finetune train set --scale sideways
has err "sideways"
end
