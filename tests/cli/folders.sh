#!/bin/sh
# Folders as people have them: train, val and test under many names, flat folders, one level too many or too few.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
mkdir -p classes/cat classes/dog flat
for f in $(ls -d "$sample"/train/cat/* | head -6); do cp "$f" classes/cat; done
for f in $(ls -d "$sample"/train/dog/* | head -6); do cp "$f" classes/dog; done
cp classes/cat/* classes/dog/* flat # cat.N.jpg, dog.N.jpg
both="12 in 2 classes: cat 6, dog 6"
# parts FOLDER TRAIN OTHER...: a data set with these parts
parts() {
    folder=$1
    shift
    for part; do
        mkdir -p "$folder/$part"
        cp -r classes/* "$folder/$part"
    done
}

begin "train, val and test under the names that are in use"
for names in "train test" "training_set test_set" "Training Testing" "seg_train seg_test" "train dev" "TRAIN Validation" \
    "train-data valid" "train_dir validation_dir" "imgs_train images_val" "trainset testset" "train test1 val" "train_images test_images" "training holdout"; do
    rm -rf set
    parts set $names
    status 0 finetune train set -o m.h5
    has out "$both"
    has err "training on 'set/${names%% *}'"
done
has err "'set' contains training and holdout"
parts nested seg_train/seg_train seg_test/seg_test
mkdir -p nested/seg_pred/seg_pred
cp flat/* nested/seg_pred/seg_pred
status 0 finetune train nested -o m.h5
has out "$both"
has err "training on 'nested/seg_train/seg_train'"
status 0 finetune evaluate nested -m m.h5
has err "evaluating on 'nested/seg_test/seg_test'"

begin "train with class folders beside a folder of pictures: is it a class or a part?"
parts mixed train
cp -r flat mixed/extra
status 1 finetune train mixed -o m.h5
has err "'mixed' contains 'train' with folders in it but also 'extra' without: use 'finetune train mixed/train'"
status 0 finetune train mixed --label-from folder -o m.h5
has out "24 in 2 classes: extra 12, train 12"

begin "folders that are not classes are ignored beside train and val"
parts beside train val
mkdir -p beside/__MACOSX/train/cat beside/.git/x beside/annotations
echo x >beside/__MACOSX/train/cat/._a.jpg
parts beside sample
status 0 finetune train beside -o m.h5
has out "$both"
has err "training on 'beside/train', measuring on 'beside/val'"
mkdir mac
cp -r classes/* mac
mkdir -p mac/__MACOSX/cat
cp classes/cat/* mac/__MACOSX
status 0 finetune train mac -o m.h5
has out "$both"

begin "a test folder without class folders is not a class"
parts untested train
cp -r flat untested/test
status 0 finetune train untested -o m.h5
has out "$both"
has err "'untested/test' has no class folders and is not used"
status 0 finetune doctor untested --json
has err "checking 'untested/train'"

begin "what is ambiguous is refused with two commands, and both of them work"
mkdir two
cp -r flat two/train
cp -r flat two/test1
status 1 finetune train two -o m.h5
has err "use 'finetune train two/train --label-from name'"
has err "'finetune train two --label-from folder'"
status 0 finetune train two/train --label-from name -o m.h5
has out "$both"
status 0 finetune train two --label-from folder --seed 2 -o m.h5
parts vehicles train test
cp -r flat vehicles/car
status 1 finetune train vehicles -o m.h5
has err "but also 'car': use 'finetune train vehicles/train'"
parts several train val validation
status 1 finetune train several -o m.h5
has err "several folders named like val"
parts headless val test
status 1 finetune train headless -o m.h5
has err "contains 'val' and 'test' but no train folder"
mkdir plain
cp -r classes/cat plain/train
cp -r classes/dog plain/bus
status 0 finetune train plain -o m.h5
has out "bus 6, train 6"

begin "train and test inside each class are noticed, and the commands of the message work"
# shellcheck disable=SC2046
for k in cat dog; do
    mkdir -p inside/$k/train inside/$k/test
    cp $(ls -d classes/$k/* | head -4) inside/$k/train
    cp $(ls -d classes/$k/* | tail -2) inside/$k/test
done
for command in train doctor curve; do
    status 1 finetune $command inside
    has err "'inside' has 'train' and 'test' inside each class"
done
status 0 finetune train inside --label-from '([^/]+)/train/' -o m.h5
has out "8 in 2 classes: cat 4, dog 4"
status 0 finetune evaluate inside --label-from '([^/]+)/test/' -m m.h5
has out "of 4;"
status 0 finetune train inside --label-from folder -o m.h5
has out "$both"
mkdir single # folders in one class only are no such layout
cp -r inside/cat classes/dog single
status 0 finetune train single -o m.h5

begin "doctor and curve take labels from a table and from names"
mkdir many
# shellcheck disable=SC2046
cp $(ls -d "$sample"/train/cat/* | head -12) $(ls -d "$sample"/train/dog/* | head -12) many
for f in many/*; do echo "${f#many/},$(basename "$f" | cut -d. -f1)"; done >labels.csv
for command in doctor curve; do
    status 0 finetune $command many --labels labels.csv
    has err "24 rows: paths from column 1"
    status 0 finetune $command many --label-from name
    status 2 finetune $command
    has err "$command: DIR is missing (or --labels FILE)"
done

begin "classes from the names of files"
status 1 finetune train flat -o m.h5
has err "'flat' contains 12 pictures but no class folders"
has err "--labels"
has err "--label-from name takes 2 classes from the file names, such as 'cat' and 'dog'"
mkdir odd
n=0
for f in classes/cat/*; do
    n=$((n + 1))
    cp "$f" "odd/great_pyrenees_$n.jpg"
done
for f in classes/dog/*; do
    n=$((n + 1))
    cp "$f" "odd/dog ($n).JPG"
done
cp "$f" odd/readme.jpg
status 0 finetune train odd --label-from name -o m.h5
has out "12 in 2 classes: dog 6, great_pyrenees 6"
has err "does not match the names of 1 picture in 'odd'"
status 0 finetune train classes --label-from '/(...)[.]' -o m.h5
has out "$both"
status 0 finetune evaluate flat --label-from name -m m.h5
has out "(12 of 12"
status 2 finetune train flat --label-from '(' -o m.h5

begin "one level too high or too low"
mkdir -p high/images
cp -r classes/* high/images
status 0 finetune train high -o m.h5
has out "$both"
has err "'high' contains nothing but the folder 'images': training on 'high/images'"
mkdir high/empty
status 0 finetune train high -o m.h5
status 1 finetune train classes/cat -o m.h5
has err "use 'finetune train $PWD/classes'"
mkdir -p half/images half/cat
cp -r classes/* half/images
cp classes/cat/* half
status 1 finetune train half -o m.h5
has err "use 'finetune train half/images'"

begin "small classes are named at once, and left out with --min-images"
cp -r classes small
mkdir small/cow small/pig
cp "$(ls -d classes/cat/* | head -1)" small/cow
cp "$(ls -d classes/dog/* | head -1)" small/pig
status 1 finetune train small -o m.h5
has err "'cow' (1), 'pig' (1)"
has err "--min-images 2"
status 0 finetune train small -o m.h5 --min-images 2
has out "$both"
has err "2 classes with fewer than 2 pictures are left out: 'cow' (1), 'pig' (1)"

begin "names that differ in case, and links to class folders, are said"
cp -r classes cases
mv cases/dog cases/Cat
ln -s cat cases/kitty
status 0 finetune train cases -o m.h5
has err "'Cat' and 'cat' differ only in case"
has err "'cases/kitty' is a link to the class folder 'cat'"
end
