#!/bin/sh
# The order of the system calls that keep files through a crash of the machine, as strace shows it.
. "$FT_TESTS/cli/tap.sh"
without=
if [ -n "${FT_SANITIZED:-}" ] || ! strace -o trace true 2>/dev/null; then
    without="strace cannot run here"
fi
sample=$FT_TESTS/data/cats-vs-dogs
network=$FT_TESTS/golden/containers/keras3-teachable.h5

# traced COMMAND...: `calls` has a line for each call that succeeded: its name and its paths.
traced() {
    strace -f -e trace=fsync,rename,renameat,renameat2,linkat,unlink,unlinkat -o trace "$FINETUNE" "$@" >out 2>err ||
        complain "exit status $?: $(cat err)"
    grep -v ' = -1 ' trace | sed -n 's/^[0-9]* *\([a-z]*\)[0-9]*(\(.*\)) .*/\1 \2/p' | sed 's/^renameat /rename /; s/^unlinkat /unlink /' >calls
}

begin "a model and a report: fsync, rename, fsync of the directory"
skip=$without
[ -n "$skip" ] || traced train "$sample/train" -q --no-cache -b "$network" -o model.h5 --report report.html
for file in model.h5 report.html; do
    [ -z "$skip" ] || break
    grep -A 1 -B 1 "^rename .*\"$file\"" calls | cut -d ' ' -f 1 | tr '\n' ' ' >order
    equal "$(cat order)" "fsync rename fsync "
done

begin "--move-to another file system: fsync, the new name, fsync of the directory, and then the original goes"
skip=$without
other=$(mktemp -d /dev/shm/finetune-test.XXXXXX 2>/dev/null)
if [ -z "$other" ] || [ "$(stat -c %d "$other")" = "$(stat -c %d .)" ]; then
    skip="there is no other file system"
elif [ -z "$skip" ]; then
    mkdir pictures
    cp "$(ls -d "$sample"/test/cat/* | head -1)" pictures/one.jpg
    traced predict -m model.h5 --move-to "$other" pictures
    grep -B 3 '^unlink .*"pictures/one.jpg"' calls | cut -d ' ' -f 1 | tr '\n' ' ' >order
    equal "$(cat order)" "fsync linkat fsync unlink "
fi
[ -z "$other" ] || rm -rf "$other"
end
