#!/bin/sh
# The order of the rooms: a file in lib/ includes only its own room and rooms above it; cli/ includes finetune.h alone.
. "$FT_TESTS/cli/tap.sh"
root=$FT_TESTS/..

begin "lib: includes run upwards only"
grep -rnoE '#include "[a-z0-9_/.]+"' "$root/lib" --include='*.c' --include='*.h' | awk -F: '
    BEGIN { n = split("base image dataset network keras kernels graph features head model report", r, " "); for (i = 1; i <= n; i++) rank[r[i]] = i }
    {
        sub(/.*\/lib\//, "", $1)
        split($1, here, "/")
        match($3, /"[^"]+"/)
        name = substr($3, RSTART + 1, RLENGTH - 2)
        if (name == "finetune.h") next
        if (split(name, there, "/") < 2) { print $1 ": " name " (write room/file.h)"; next }
        if (!(there[1] in rank) || (here[1] in rank && rank[there[1]] > rank[here[1]])) print $1 ": " name
    }' >found
[ ! -s found ] || complain "$(tr '\n' ' ' <found)"

# x.c and x.h are one part; parts of graph/ share its private headers.
begin "lib: no circles between the parts of a room"
(cd "$root/lib" && grep -roE '^#include "[a-z0-9_]+/[a-z0-9_]+\.h"' . --include='*.c' --include='*.h') |
    sed -E 's|^\./||; s|\.[ch]:#include "| |; s|\.h"$||' | awk '$1 != $2' | sort -u >arrows
grep -v '^graph' arrows | tsort >order 2>found
[ ! -s found ] || complain "$(tr '\n' ' ' <found)"
[ "$(wc -l <arrows)" -gt 300 ] || complain "only $(wc -l <arrows) includes were found"
awk '{ split($1, a, "/"); split($2, b, "/"); if (a[1] != b[1]) print "# " a[1] " -> " b[1] }' arrows | sort -u

begin "cli: the public header only"
grep -rnE '#include "[a-z]+/' "$root/cli" >found
[ ! -s found ] || complain "$(tr '\n' ' ' <found)"

begin "HDF5, libpng and libjpeg live in few files"
equal "$(grep -rlE '#include <(png|jpeglib)\.h>' "$root/lib" | grep -cv '/lib/image/')" 0
equal "$(grep -rl '#include <hdf5.h>' "$root/lib" | grep -cvE '/lib/(keras|features)/')" 0
end
