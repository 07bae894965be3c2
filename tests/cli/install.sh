#!/bin/sh
# The installed library: the programs in tests/examples/ are built against it through pkg-config, and do what finetune does.
. "$FT_TESTS/cli/tap.sh"
home=$FT_TESTS/data/cats-vs-dogs

begin "meson install"
command -v meson >/dev/null && command -v pkg-config >/dev/null || {
    skip="needs meson and pkg-config"
    end
}
DESTDIR="$scratch/root" meson install -C "$FT_BUILD" --no-rebuild >said 2>&1 || complain "$(tail -n 3 said | tr '\n' ' ')"
pc=$(find root -name finetune.pc)
[ -n "$pc" ] || complain "there is no finetune.pc"
PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR=$scratch/root
export PKG_CONFIG_PATH
unset PKG_CONFIG_SYSROOT_DIR

# build NAME COMPILER OPTIONS...: the prefix in finetune.pc is where the files will be, not where they are now.
build() {
    name_=$1
    shift
    prefix=$scratch/root$(pkg-config --variable=prefix finetune)
    # FT_CFLAGS and what pkg-config says are lists of words
    # shellcheck disable=SC2046,SC2086
    "$@" -Wall -Wextra -Wpedantic -Werror $FT_CFLAGS "$FT_TESTS/examples/$name_.c" -o "$name_" \
        $(pkg-config --define-variable=prefix="$prefix" --cflags --libs finetune) >said 2>&1 ||
        complain "$name_: $(grep -E 'error|undefined' said | head -n 3 | tr '\n' ' ')"
}

begin "the examples build against the installed library"
for name_ in train predict; do
    build $name_ "${CC:-cc}" -std=c17
done

begin "train: the same model file as finetune train"
mkdir images
cp -r "$home/train/cat" "$home/train/dog" images/
echo "no picture" >images/cat/broken.jpg
status 0 ./train images a.h5
has out "accuracy "
has err "broken.jpg' is left out"
status 0 finetune train images -o b.h5 --seed 1
cmp a.h5 b.h5 || complain "the two model files differ"

begin "predict: pixels in memory"
{ printf 'P6\n64 64\n255\n' && tail -c 12288 a.h5; } >noise.ppm
status 0 ./predict a.h5 noise.ppm
cut -f 2 out | grep -qxE 'cat|dog|unknown' || complain "no label: $(cat out)"
cut -f 3 out | grep -qxE '[01]\.[0-9]{3}' || complain "no probability: $(cat out)"
head -c 5000 noise.ppm >cut.ppm
status 1 ./predict a.h5 cut.ppm
has err "cut.ppm"
status 1 ./predict absent.h5 noise.ppm
has err "absent.h5"
end
