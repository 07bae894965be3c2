#!/bin/sh
# Folders and bad pictures: named, counted, never fatal, never changed.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
set -- "$sample"/train/cat/*
mkdir -p 'set/gatto ü' set/dog/deep/er set/empty set/.hidden
cp "$1" "$2" "$3" "$4" 'set/gatto ü'
cp "$sample"/train/dog/* set/dog/deep/er
cp "$1" set/.hidden
cp "$1" set/dog/.hidden.jpg
echo "notes" >set/dog/notes.txt
head -c 3000 "$5" >set/dog/truncated.jpg
: >set/dog/zero.jpg
echo "this is text" >set/dog/text.jpg
cp "$FT_TESTS/bad/psd.jpg" set/dog/psd.jpg
cp "$6" set/dog/really-a-jpeg.png

begin "train goes on past bad pictures and lists each with its reason"
find set -type f -exec cksum {} + | sort >before
status 0 finetune train set
has out "31 in 2 classes: dog 27, gatto ü 4"
has out "4 skipped"
for name in truncated zero text psd; do
    has err "set/dog/$name.jpg"
done
has err "a Photoshop picture, which is not supported"
has err "'set/empty' contains no pictures"
has err "1 file in 'set' is not a picture"
hasnt err "hidden"
hasnt err "really-a-jpeg"
find set -type f -exec cksum {} + | sort >after
cmp -s before after || complain "files were changed"

begin "predict: a row for every good picture, exit status 3 when some are bad"
status 3 finetune predict "$1" set/dog/text.jpg "$2" missing.jpg
equal "$(cut -f1 out)" "$(printf '%s\n' "$1" "$2")"
has err "'set/dog/text.jpg'"
has err "finetune: 'missing.jpg': cannot be opened: no such file or directory"
mkfifo pipe.jpg
status 3 finetune predict "$1" pipe.jpg set
has err "finetune: 'pipe.jpg': not a regular file"
status 3 finetune predict --json "$1" set/dog/zero.jpg
has out '"error":'
equal "$(grep -c '"path"' out)" 2

begin "class names are kept verbatim"
status 0 finetune predict "$1"
equal "$(cut -f2 out)" "gatto ü"
status 0 finetune info model.h5
has out "dog, gatto ü"

begin "evaluate and features count bad pictures"
status 3 finetune evaluate set --json
has out '"images":27'
status 3 finetune features set -o f.h5

begin "folders that cannot be trained on"
mkdir -p one/cat two/cat two/dog none
cp "$1" "$2" one/cat
cp "$1" "$2" two/cat
cp "$1" two/dog
status 1 finetune train one
has err "only one class"
status 1 finetune train two
has err "1 class with fewer than 2 pictures: 'dog' (1)"
status 1 finetune train none
has err "no class"
status 1 finetune train "$1"
has err "not a directory"
status 1 finetune train missing
has err "cannot open 'missing'"
cp set/dog/text.jpg two/dog
status 1 finetune train two
has err "1 class with fewer than 2 readable pictures: 'dog' (1)"
cp set/dog/text.jpg two/dog/2.jpg
rm "two/dog/$(basename "$1")"
status 1 finetune train two
has err "1 class with fewer than 2 readable pictures: 'dog' (0)"

begin "a link that leads nowhere is a bad picture"
mkdir -p links/cat links/dog
cp "$1" "$2" "$3" links/cat
cp "$4" "$5" "$6" links/dog
ln -s nowhere links/cat/gone.jpg
ln -s nowhere links/cat/gone.txt
status 0 finetune train links -o links.h5
has out "1 skipped"
has err "skipped 'links/cat/gone.jpg': cannot be opened: no such file or directory"
hasnt err "gone.txt"

begin "rows are ordered by the bytes of their paths"
mkdir -p order/a/b order/a.b
for file in a/b/1 a/b a.b/2; do
    echo "no picture" >"order/$file.jpg"
done
status 3 finetune features order -o order.h5
equal "$(sed -n "s/.*skipped '\([^']*\)'.*/\1/p" err | tr '\n' ' ')" "order/a.b/2.jpg order/a/b.jpg order/a/b/1.jpg "

begin "evaluate leaves out a class that the model does not know, and says so"
cp "$1" two/dog
status 3 finetune evaluate two
has err "'cat' is not a class of the model: its 2 pictures in 'two' are left out"

begin "the same picture in two folders does not leak between folds"
mkdir -p twins/cat twins/dog
for i in 1 2 3; do
    cp "$1" "twins/cat/a$i.jpg"
    cp "$2" "twins/cat/b$i.jpg"
done
n=0
for f in "$sample"/train/dog/*; do
    n=$((n + 1))
    [ $n -le 2 ] && for i in 1 2 3; do cp "$f" "twins/dog/$n-$i.jpg"; done
done
status 0 finetune train twins -o twins.h5

begin "of several frames or pages the first is used, which is said once"
pictures=$FT_TESTS/golden/image
for file in animated.gif animated.png animated.webp; do
    "$FINETUNE" --version | grep -qi "$(case $file in *.gif) echo GIF ;; *.webp) echo WebP ;; *) echo PNG ;; esac)" || continue
    status 0 finetune predict "$pictures/$file" "$pictures/grey8.png" "$pictures/$file"
    equal "$(grep -c 'has several frames or pages' err)" 1
done
status 0 finetune predict "$pictures/grey8.png" "$pictures/411.jpg"
equal "$(cat err)" ""
for run in computed cached; do
    status 0 finetune predict "$pictures/animated.png" --cache frames
    equal "$run $(grep -c 'has several frames or pages' err)" "$run 1"
done

begin "--icc: the model keeps the setting, so that predict cannot disagree"
if "$FINETUNE" --version | grep -q "profiles: ICC"; then
    wide=$FT_TESTS/golden/icc/prophoto.png
    mkdir -p colours/a colours/b
    cp "$FT_TESTS"/golden/icc/*.png "$FT_TESTS"/golden/icc/*.jpg colours/a
    cp "$FT_TESTS"/golden/image/orientation[1-8].png colours/b
    status 0 finetune train colours -o plain.h5 --layers last
    status 0 finetune train colours -o icc.h5 --layers last --icc
    status 0 finetune info icc.h5
    has out "ICC profiles to sRGB"
    status 0 finetune info plain.h5
    hasnt out ICC
    for option in "" --icc; do
        status 0 finetune predict -m icc.h5 "$wide" --format json $option
        cp out "with$option"
    done
    cmp -s with with--icc || complain "predict --icc is something else"
    status 1 finetune predict -m plain.h5 --icc "$wide"
    has err "the model was trained without --icc"
    # the cache tells them apart
    for option in "" --icc --icc ""; do
        status 0 finetune features "$wide" -o "f$option.h5" $option
    done
    status 0 finetune features "$wide" -o again--icc.h5 --icc --no-cache
    cmp -s f--icc.h5 again--icc.h5 || complain "the cache gave other features"
    ! cmp -s f.h5 f--icc.h5 || complain "--icc changes nothing"
else
    status 1 finetune predict --icc -m model.h5 "$1"
    has err "built without lcms2"
fi

begin "a reader that leaves early is no error"
finetune predict "$@" 2>err | head -1 >out
hasnt err "cannot write"
equal "$(wc -l <out)" 1
end
