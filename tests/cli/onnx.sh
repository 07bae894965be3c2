#!/bin/sh
# ONNX files: import, export, and what is refused.
. "$FT_TESTS/cli/tap.sh"
golden=$FT_TESTS/golden/onnx
data=$FT_TESTS/data/cats-vs-dogs

if ! "$FINETUNE" --version | grep -q ONNX; then
    begin "an ONNX file is refused with a hint"
    status 1 "$FINETUNE" info "$golden/pools.onnx"
    has err "without protobuf-c"
    end
    exit
fi

begin "a network of an ONNX file is converted to a Keras file with the same layers"
for file in "$golden"/[acst]*.onnx; do
    status 0 "$FINETUNE" import "$file" -o "$(basename "$file" .onnx).h5" --preprocess none
done
status 0 "$FINETUNE" info --layers channels_last.h5
has out "Dense"

begin "a model is trained on an ONNX network"
status 0 "$FINETUNE" train "$data/train" --backbone "$golden/channels_last.onnx" --preprocess none --size 24 -o small.h5
status 0 "$FINETUNE" predict -m small.h5 "$data/test/cat/cat.52.jpg"

# same FILE TOLERANCE: the model in the file gives the probabilities in `expected`.
same() {
    status 0 "$FINETUNE" predict -m "$1" --format tsv --probabilities "$data/test"
    awk -F'\t' -v most="$2" 'NR == FNR { for (i = 3; i <= NF; i++) want[FNR, i] = $i; next }
        { for (i = 3; i <= NF; i++) if (FNR > 1 && $i ~ /^[0-9.]+$/) { n++; d = $i - want[FNR, i]; if (d < -most || d > most) bad++ } }
        END { print (n > 20 && !bad) ? "same" : "differs " n " " bad }' expected out >compared
    equal "$(cat compared)" same
}

begin "export writes a file that gives the same probabilities"
status 0 "$FINETUNE" train "$data/train" -o model.h5
status 0 "$FINETUNE" export model.h5 -o model.onnx --labels labels.txt
equal "$(cat labels.txt)" "cat
dog"
status 0 "$FINETUNE" export model.h5 -o first.onnx --nchw
status 0 "$FINETUNE" export model.h5 -o bytes.onnx --uint8
has out "uint8 RGB"
"$FINETUNE" predict -m model.h5 --format tsv --probabilities "$data/test" >expected
for file in model.onnx first.onnx bytes.onnx; do
    same $file 2e-6
done

begin "export --fp16 halves the file and changes probabilities by less than 5e-3"
status 0 "$FINETUNE" export model.h5 -o half.onnx --fp16
same half.onnx 5e-3
[ "$(wc -c <half.onnx)" -lt $(($(wc -c <model.onnx) * 55 / 100)) ] || complain "$(wc -c half.onnx model.onnx)"

begin "export writes a .keras archive, the same bytes each time, or refuses it with a hint"
if "$FINETUNE" --version | grep -q '\.keras'; then
    status 0 "$FINETUNE" export model.h5 -o model.keras
    same model.keras 0
    status 0 "$FINETUNE" export model.h5 -o again.keras
    cmp model.keras again.keras || complain "the bytes differ"
    status 1 "$FINETUNE" export model.h5 -o other.keras --fp16
    has err "for ONNX files"
else
    status 1 "$FINETUNE" export model.h5 -o other.keras
    has err "without libzip"
fi
[ ! -e other.keras ] || complain "a file was written"

begin "powers: the Keras file, the ONNX file and the archive of a model give the same probabilities"
status 0 "$FINETUNE" train "$data/train" --backbone "$golden/powers.onnx" --preprocess none -o powers.h5
"$FINETUNE" predict -m powers.h5 --format tsv --probabilities "$data/test" >expected
status 0 "$FINETUNE" export powers.h5 -o powers_out.onnx
same powers_out.onnx 2e-6
if "$FINETUNE" --version | grep -q '\.keras'; then
    status 0 "$FINETUNE" export powers.h5 -o powers.keras
    same powers.keras 0
fi

begin "export names the layer that ONNX cannot express"
status 0 "$FINETUNE" train "$data/train" --backbone "$FT_TESTS/golden/layers/resizing-3.h5" --preprocess none -o resizing.h5
status 1 "$FINETUNE" export resizing.h5 -o resizing.onnx
has err "'resizing.onnx': layer 'resizing': Resizing cannot be written as ONNX"
[ ! -e resizing.onnx ] || complain "a file was written"

begin "damaged and hostile files are refused with a message"
: >empty.onnx
head -c 300 "$golden/pools.onnx" >short.onnx
for file in empty short; do
    status 1 "$FINETUNE" info $file.onnx
    grep -q "$file.onnx" err || complain "$(cat err)"
done
status 1 "$FINETUNE" info "$FT_TESTS/bad/onnx-channels-between.onnx"
has err "operator 'Transpose': this change of shape is not supported"
end
