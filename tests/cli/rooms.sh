#!/bin/sh
# The order of the rooms of lib/ (the list in lib/meson.build): scripts/rooms draws the arrows between them.
. "$FT_TESTS/cli/tap.sh"
root=$FT_TESTS/..
FT_BUILD=$(dirname "$(dirname "$FINETUNE")")
export FT_BUILD

begin "lib: every include and every call points to a room further up, and there are no circles"
"$root/scripts/rooms" --check >out 2>err
equal "$(cat out err)" ""

begin "scripts/rooms sees includes and calls"
status 0 "$root/scripts/rooms"
grep -qE '^image +-> base +[1-9][0-9]* includes +[1-9][0-9]* calls$' out || complain "no arrow from image to base: $(cat out)"
status 0 "$root/scripts/rooms" head
grep -qE '^head/[a-z]+ +-> head/[a-z]+ .* [1-9][0-9]* calls$' out || complain "no arrow inside head: $(cat out)"
status 2 "$root/scripts/rooms" kitchen
has err "no room 'kitchen'"

begin "scripts/rooms finds an arrow that points up, a circle between rooms, between files and between headers"
mkdir -p copy/lib/base copy/lib/image copy/scripts copy/build/lib/x.p
cp "$root/scripts/rooms" copy/scripts
echo "rooms = ['base', 'image']" >copy/lib/meson.build
echo '#include "image/image.h"' >copy/lib/base/error.c
echo '#include "base/error.h"' >copy/lib/image/image.c
echo 'void ft_b(void); void ft_a(void) { ft_b(); }' >copy/lib/image/a.c
echo 'void ft_a(void); void ft_b(void) { ft_a(); }' >copy/lib/image/b.c
echo '#include "image/d.h"' >copy/lib/image/c.h
echo '#include "image/c.h"' >copy/lib/image/d.c
echo '#include "image/f.h"' >copy/lib/image/e.h
echo '#include "image/e.h"' >copy/lib/image/f.h
for file in a b; do
    ${CC:-cc} -c "copy/lib/image/$file.c" -o "copy/build/lib/x.p/image_$file.c.o" || complain "cannot compile"
done
unset FT_BUILD
status 1 copy/scripts/rooms --check
has out "upward include: base/error -> image/image"
grep -qE '^circle in lib: (base image|image base)$' out || complain "the circle between rooms is missed: $(cat out)"
grep -qE '^circle in image: image/(a image/b|b image/a)$' out || complain "the circle between files is missed: $(cat out)"
grep -qE '^circle in image: image/(c image/d|d image/c)$' out || complain "the circle between includes is missed: $(cat out)"
grep -qE '^circle in image: image/(e image/f|f image/e)$' out || complain "the circle between headers is missed: $(cat out)"
status 2 copy/scripts/rooms base/error
rm -r copy/lib/base/error.c copy/lib/image/d.c copy/lib/image/f.h copy/build
status 0 copy/scripts/rooms --check

begin "cli: the public headers only"
grep -rnE '#include "[a-z]+/' "$root/cli" >found
[ ! -s found ] || complain "$(tr '\n' ' ' <found)"

begin "HDF5, libpng and libjpeg are used in few files"
equal "$(grep -rlE '#include <(png|jpeglib)\.h>' "$root/lib" | grep -cv '/lib/image/')" 0
equal "$(grep -rl '#include <hdf5.h>' "$root/lib" | grep -cvE '/lib/(keras|features)/')" 0
end
