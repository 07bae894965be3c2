#!/bin/sh
# Networks of every kind on the command line: Teachable Machine's files, preprocessing, layers, sizes, weights-only files, import, backbones.
. "$FT_TESTS/cli/tap.sh"
golden=$FT_TESTS/golden/containers
sample=$FT_TESTS/data/cats-vs-dogs
one=$(ls -d "$sample"/test/cat/* | head -1)

begin "Teachable Machine: predict works on keras_model.h5 with labels.txt beside it"
mkdir tm
cp "$golden/keras2-teachable.h5" tm/keras_model.h5
printf '0 Cat\n1 Big dog\r\n' >tm/labels.txt
status 0 finetune predict -m tm/keras_model.h5 --top 2 "$one"
equal "$(cat err)" ""
equal "$(awk -F'\t' '{ print NF }' out)" 5
has out "Cat"
has out "Big dog"
status 0 finetune info tm/keras_model.h5
has out "2: Cat, Big dog"
has out "crop of 1 "
printf '0 Cat\n' >tm/labels.txt
status 1 finetune predict -m tm/keras_model.h5 "$one"
has err "'tm/labels.txt': 1 name for 2 classes"
rm tm/labels.txt
status 0 finetune info tm/keras_model.h5
has out "2: 0, 1"

begin "train on a network inside a network, and on any of its layers"
status 0 finetune train "$sample/train" --no-cache --backbone "$golden/keras3-teachable.keras" -o tm.h5
has out "12 px · 5 features"
status 0 finetune predict -m tm.h5 "$one"
status 0 finetune train "$sample/train" --no-cache --backbone "$golden/keras3-teachable.keras" --layer block_relu -o layer.h5
has out "12 px · 6 features"
status 0 finetune evaluate "$sample/test" --no-cache -m layer.h5
status 1 finetune train "$sample/train" --no-cache --backbone "$golden/keras3-teachable.keras" --layer nowhere
has err "there is no layer 'nowhere'"
status 0 finetune info "$golden/keras3-teachable.keras" --layer block_depthwise --size 24
has out "24x24"

begin "info lists every layer, and --layer takes each of them"
status 0 finetune info "$golden/keras3-teachable.keras" --layers
has out "runs as"
has out "fused"
has out "unused"
sed -n '/runs as/,$p' out | awk 'NR > 1 { print $1 }' >names
equal "$(grep -c block_ names)" "$(status 0 finetune info "$golden/keras3-teachable.keras" --layers --json; grep -o '"name":"block_' out | wc -l)"
while read -r name; do
    status 0 finetune features --no-cache --quiet --backbone "$golden/keras3-teachable.keras" --layer "$name" "$one" -o f.h5
done <names


begin "an unknown network is warned about, and --preprocess says how pixels enter"
status 0 finetune features --no-cache --backbone "$golden/keras2-slash.h5" --size 16 "$one" -o f.h5
has err "--preprocess"
for mode in tf torch caffe none 0.0078,-1; do
    status 0 finetune features --no-cache --backbone "$golden/keras2-slash.h5" --size 16 --preprocess $mode "$one" -o "$mode.h5"
    equal "$(cat err)" ""
done
cmp -s tf.h5 none.h5 && complain "--preprocess has no effect"
cmp -s none.h5 f.h5 || complain "none is not the default of an unknown network"
status 1 finetune features --no-cache --backbone "$golden/keras2-slash.h5" --preprocess bgr "$one"
has err "preprocessing 'bgr' is not known: tf, torch"

begin "grey-scale networks"
status 0 finetune features --no-cache --backbone "$golden/keras1.h5" --preprocess tf "$one" -o grey.h5
status 1 finetune features --no-cache --backbone "$golden/keras1.h5" --preprocess caffe "$one"
has err "3 colours"
status 1 finetune features --no-cache --backbone "$golden/keras1.h5" --preprocess tf --layer last --size 16 "$one"

for name in all top; do # white all over, and its first third alone
    status 0 finetune features --no-cache --backbone "$golden/keras1.h5" --preprocess tf "$golden/$name.png" -o "$name.h5"
done
cmp -s all.h5 top.h5 && complain "most of a grey picture is not looked at"
status 0 finetune info "$golden/keras1.h5" --preprocess tf
has out "12x12 grey-scale"
hasnt out "RGB"
status 0 finetune info "$golden/keras1.h5" --preprocess tf --json
has out '"colours":"grey-scale"'
status 0 finetune info "$golden/keras2-slash.h5" --preprocess tf
has out " RGB "

begin "weights-only files are recognised, or named"
export FINETUNE_WEIGHTS="$golden"
for file in tiny-legacy.h5 tiny-renamed-legacy.h5 tiny.weights.h5 tiny-notop-legacy.h5 tiny-notop.weights.h5; do
    status 0 finetune features --no-cache --backbone "$golden/$file" "$one" -o "$file.f.h5"
    equal "$(cat err)" ""
    cmp -s tiny-legacy.h5.f.h5 "$file.f.h5" || complain "$file gives other features"
done
status 0 finetune info "$golden/tiny-legacy.h5"
has out "tiny-4"
has out "20x20"
status 0 finetune features --no-cache --backbone "$golden/tiny-legacy.h5" --arch tiny "$one" -o f.h5
status 1 finetune features --no-cache --backbone "$golden/tiny-legacy.h5" --arch nothing "$one"
has err "not those of 'nothing'"
status 1 env FINETUNE_WEIGHTS="$FT_TESTS/../weights" "$FINETUNE" features --no-cache --backbone "$golden/tiny-legacy.h5" "$one"
has err "--arch"

begin "EfficientNet-Lite is recognised by its weights alone, and how its pixels enter"
LC_ALL=C sed 's/model_config/left_out_xxx/; s/finetune/left_out/g' "$FT_TESTS/../weights/efficientnet-lite0.h5" >lite.h5
status 0 env FINETUNE_WEIGHTS="$FT_TESTS/../weights" "$FINETUNE" info lite.h5
has out "efficientnet-lite0"
status 0 env FINETUNE_WEIGHTS="$FT_TESTS/../weights" "$FINETUNE" features --no-cache --backbone lite.h5 "$one" -o f.h5
equal "$(cat err)" ""

begin "import makes one file of it, with the same features"
status 0 finetune import "$golden/tiny.weights.h5" -o imported.h5
has out "tiny-4 · 20x20 px · 5 features"
status 0 finetune features --no-cache --backbone imported.h5 "$one" -o imported.f.h5
cmp -s tiny-legacy.h5.f.h5 imported.f.h5 || complain "features differ"
status 0 finetune info imported.h5
has out "tiny-4"
status 1 finetune import imported.h5 --preprocess tf -o again.h5
has err "part of this file"
status 1 finetune import "$golden/expected.txt" -o again.h5
has err "not a Keras file"

begin "networks of other programs are recognised by their content"
# other NAME TEXT: info, predict and train refuse the file NAME with this text
other() {
    for command in "info $1" "predict -m $1 $one" "train $sample/train -b $1"; do
        status 1 finetune $command
        has err "'$1': $2"
    done
}
mkdir -p saved/variables folder.keras
: >saved/saved_model.pb
other saved "a TensorFlow SavedModel folder"
other folder.keras "a folder, not a Keras file"
printf '\034\0\0\0TFL3\024\0\040\0' >lite.h5
other lite.h5 "a TensorFlow Lite network"
printf 'GGUF\003\0\0\0\0\0\0\0' >words.bin
other words.bin "a GGUF file"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\n' >lfs.h5
other lfs.h5 "a pointer of Git LFS"
echo '<!DOCTYPE html><html>' >page.h5
other page.h5 "a web page"
echo '{"class_name": "Functional"}' >model.json
other model.json "a JSON text"
printf '\010\007\022\007pytorch\032\0051.9.0' >net.onnx
if finetune --version | grep -q ONNX; then
    other net.onnx "not an ONNX file: it has no graph"
else
    other net.onnx "an ONNX file, and this program was built without protobuf-c"
fi
printf '\010\001\022\003abc' >saved_model.pb
other saved_model.pb "a TensorFlow graph"
cp "$FT_TESTS/golden/heads/wide.png" picture.h5
other picture.h5 "a picture, not a Keras file"
printf '\072\0\0\0\0\0\0\0{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  \0\0\0\0' >w.keras
other w.keras "weights in safetensors format"
printf 'PK\003\004\0\0\010\010\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\020\0\0\0archive/data.pkl' >new.pt
other new.pt "a PyTorch or pickle file"
printf '\200\002\212\012l\374\234F\371 j\250P\031.' >old.pth
other old.pth "a PyTorch or pickle file"

begin "--arch is for weights alone"
status 1 finetune info imported.h5 --arch tiny
has err "'imported.h5': the file contains its architecture"

begin "backbones lists what is there and what is known"
unset FINETUNE_WEIGHTS
status 0 finetune backbones --seconds 0.02
has out "efficientnet-lite0"
has out "resnet50"
equal "$(tail -c 1 out | od -An -c | tr -d ' ')" '\n'
sed '1,/^known/d' out >known
[ "$(wc -l <known)" -ge 4 ] || complain "the known names are not wrapped"
awk 'length > 80' known >wide
equal "$(cat wide)" ""
status 0 finetune backbones --seconds 0.02 --json
has out '"features":1280'
mkdir broken
cp "$golden/tiny-legacy.h5" broken
status 3 env FINETUNE_WEIGHTS=broken "$FINETUNE" backbones --seconds 0.02
has err "broken/tiny-legacy.h5"
end
