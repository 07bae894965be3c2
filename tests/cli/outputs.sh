#!/bin/sh
# Outputs never replace a file that the command reads, a picture, or each other.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
cp -r "$sample/train" images
chmod -R u+w images
cp "$sample/test/dog/dog.1030.jpg" photo.jpg
finetune train images -q || exit 1
cp "$FT_TESTS/golden/heads/layer.h5" foreign.h5
printf 'path,label\nimages/cat/a.jpg,cat\n' >labels.csv
printf 'photo.jpg\n' >list
printf 'cat\ndog\n' >names
ln -s photo.jpg link.jpg
mkdir tables
cp labels.csv tables/predictions.csv
# the sums of all files but those of this script and the cache
sums() {
    find . -name .cache -prune -o -type f ! -path ./out ! -path ./err ! -path ./before ! -path ./after -exec cksum {} + | sort
}
sums >before
# refused TEXT COMMAND...: wrong use, and no file was changed, added or removed
refused() {
    text=$1
    shift
    status 2 "$@"
    has err "$text"
    sums >after
    cmp -s before after || complain "files changed: $*"
}
input="would replace a file that the command reads: give another name"

begin "an output does not replace an argument"
refused "explain: '--output photo.jpg' $input" finetune explain photo.jpg -o photo.jpg
refused "$input" finetune explain photo.jpg -o ./images/../photo.jpg
refused "$input" finetune explain photo.jpg -o link.jpg
refused "$input" finetune explain link.jpg -o photo.jpg
refused "$input" finetune features photo.jpg -o photo.jpg
refused "$input" finetune export model.h5 -o model.h5
refused "$input" finetune export model.h5 -o model.onnx --labels model.h5
refused "$input" finetune import foreign.h5 -o foreign.h5

begin "an output does not replace a file that an option names"
refused "$input" finetune explain photo.jpg -o model.h5
refused "$input" finetune train images --labels labels.csv -o labels.csv
refused "$input" finetune train images -b foreign.h5 -o foreign.h5
refused "$input" finetune train images -b foreign.h5 --report foreign.h5
refused "$input" finetune evaluate images --report model.h5
refused "$input" finetune evaluate images --compare foreign.h5 --report foreign.h5
refused "$input" finetune evaluate --files-from list --report list
refused "$input" finetune evaluate images --labels tables/predictions.csv --csv tables
refused "$input" finetune evaluate images -m foreign.h5 --classes names --report names
refused "$input" finetune features --files-from list -o list

begin "two outputs are two files"
other="would replace the other output of the command: give another name"
refused "$other" finetune train images -o new.h5 --report new.h5
refused "$other" finetune train images -o new.h5 --report images/../new.h5
refused "$other" finetune export model.h5 -o new --labels new

begin "a model, a table or a page does not replace a picture"
picture="would replace a picture: give another name"
set -- images/cat/*
refused "train: '--output $1' $picture" finetune train images -o "$1"
refused "$picture" finetune evaluate images --report "$1"
refused "$picture" finetune features images -o photo.jpg
refused "$picture" finetune export model.h5 -o photo.jpg

begin "an output of an earlier run is replaced"
status 0 finetune explain photo.jpg -o why.png
status 0 finetune explain photo.jpg -o why.png
status 0 finetune train images --report why.html
status 0 finetune train images --report why.html
status 0 finetune train images -b efficientnet-lite0 -o efficientnet-lite0
status 0 finetune evaluate images --csv tables
end
