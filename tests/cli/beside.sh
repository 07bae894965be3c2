#!/bin/sh
# --backbone A --backbone B: two networks side by side in one model file.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
second=$FT_TESTS/golden/containers/keras3-teachable.h5

begin "the model has the features of both, and all commands use it"
status 0 finetune train "$sample/train" -b efficientnet-lite0 -b "$second" -o pair.h5
has out "efficientnet-lite0+keras3-teachable · 224 px"
status 0 finetune info pair.h5
has out "efficientnet-lite0+keras3-teachable"
status 0 finetune evaluate "$sample/test" -m pair.h5 --json
has out '"images":12'
status 0 finetune explain "$sample/test/cat/cat.52.jpg" -m pair.h5 -o why.png
has out "comes from features of the whole picture" # those of the second network are not averages of maps
status 0 finetune doctor "$sample/train" -b efficientnet-lite0 -b "$second"

begin "features are those of both, one after the other"
for networks in "-b efficientnet-lite0" "-b $second --size 224" "-b efficientnet-lite0 -b $second"; do
    status 0 finetune features "$sample/test" $networks -o features.h5 --json
    grep -o '"features":[0-9]*' out | cut -d: -f2
done >widths
equal "$(awk '{ sum += NR < 3 ? $1 : -$1 } END { print sum }' widths)" 0

begin "wrong use is said"
status 2 finetune train "$sample/train" -b efficientnet-lite0 -b "$second" -b "$second"
has err "--backbone may be given at most 2 times"
status 1 finetune train "$sample/train" -b efficientnet-lite0 -b absent
has err "no backbone 'absent'"
end
