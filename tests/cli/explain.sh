#!/bin/sh
# explain: a map that adds up, a picture, neighbours by name.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
finetune train "$sample/train" -q || exit 1
one=$sample/test/dog/dog.1030.jpg
# adds_up: the map's values and the bias make the logit
adds_up() {
    tr -d '\n' <out | sed 's/.*"logit":\([-0-9.e]*\),"bias":\([-0-9.e]*\),"map":\[\([^}]*\)\]\],"neigh.*/\1 \2 \3/; s/[][,]/ /g' |
        awk '{ for (i = 3; i <= NF; i++) sum += $i; off = sum + $2 - $1; exit !(NF == 51 && off < 1e-4 && off > -1e-4) }' || complain "the map does not add up"
}

begin "text: label, where the evidence is, what it looks like"
status 0 finetune explain "$one"
has out "label      dog"
has out "evidence   for dog: logit"
has out "class activation map"
has out "looks like 0."
equal "$(grep -c 'dog/dog\.[0-9]*\.jpg\|cat/cat\.[0-9]*\.jpg' out)" 3

begin "json: the shapes that scripts rely on"
status 0 finetune explain "$one" --json --neighbours 2
equal "$(wc -l <out)" 1
has out '"label":"dog"'
has out '"class":"dog"'
equal "$(grep -o '"similarity":' out | wc -l)" 2
adds_up
status 0 finetune explain "$one" --json --class cat
has out '"class":"cat"'
adds_up
status 0 finetune explain "$one" --json --compare dog,cat --neighbours 0
has out '"class":"dog","against":"cat"'
has out '"neighbours":[]'
adds_up

begin "a picture is its own nearest training picture"
set -- "$sample"/train/cat/*
status 0 finetune explain "$1" --neighbours 1 --json
has out "\"path\":\"cat/${1##*/}\",\"label\":\"cat\",\"similarity\":0.99"

begin "-o writes a PNG"
status 0 finetune explain "$one" -o why.png --class cat
has out "saved      why.png"
equal "$(head -c 4 why.png | tail -c 3)" PNG

begin "-o writes what the name of the file says, or refuses"
for ending in jpg JPEG; do
    status 0 finetune explain "$one" -o "why.$ending"
    equal "$(od -An -tx1 -N3 "why.$ending")" " ff d8 ff"
done
status 0 finetune explain "$one" -o why
equal "$(head -c 4 why | tail -c 3)" PNG
status 1 finetune explain "$one" -o why.webp
has err "cannot write 'why.webp': the name must end in .png or .jpg"
[ ! -e why.webp ] || complain "why.webp is there"

begin "wrong names and files"
status 1 finetune explain "$one" --class cow
has err "'cow' is not a class of the model"
status 1 finetune explain "$one" --compare dog,dog
has err "expected two different classes"
status 1 finetune explain "$one" --compare cat
has err "expected two different classes of the model"
status 1 finetune explain missing.jpg
has err "'missing.jpg': cannot be opened: no such file"
echo text >text.jpg
status 1 finetune explain text.jpg
has err "'text.jpg': "
end
