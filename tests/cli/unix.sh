#!/bin/sh
# At home on a Unix machine: man pages, completions, plain output, JSON that is UTF-8, odd environments.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
root=$FT_TESTS/..
commands=$(finetune --help | sed -n 's/^  \([a-z]*\)  .*/\1/p')
one=$(ls -d "$sample"/test/cat/* | head -1)

begin "a man page for each command, from the tables, installed"
equal "$(echo $commands | wc -w)" "$(ls "$root"/cli/*.c | xargs grep -l '^const struct command [a-z]*_command = {' | wc -l)"
for command in $commands; do
    status 0 finetune manual $command
    has out ".SH OPTIONS"
    [ -s "$(dirname "$FINETUNE")/finetune-$command.1" ] || complain "the build makes no page for '$command'"
    finetune $command --help | sed -n 's/^  ....--\([a-z0-9-]*\).*/\1/p' >names
    for common in json log-json quiet verbose version help; do
        grep -qx -e "$common" names || complain "$command --help does not list --$common"
    done
    while read -r option; do
        has out "\\-\\-$(echo "$option" | sed 's/-/\\-/g')"
    done <names
done
status 0 finetune manual
has out "finetune\\-predict"
has out "NO_COLOR"
status 2 finetune manual nothing
if command -v groff >/dev/null; then
    for command in '' $commands; do
        finetune manual $command | groff -man -Tascii -ww >rendered 2>warnings
        [ ! -s warnings ] || complain "$command: $(head -2 warnings)"
    done
fi

begin "bash completes commands, options, choices and words"
if command -v bash >/dev/null; then
    finetune completion bash >complete.bash
    cat >try.bash <<'END'
. ./complete.bash
COMP_WORDS=(finetune "$@")
COMP_CWORD=$#
_finetune
echo "${COMPREPLY[*]}"
END
    equal "$(bash try.bash pre)" "predict"
    equal "$(bash try.bash predict --thr)" "--threshold --threads"
    equal "$(bash try.bash predict --format j)" "json jsonl"
    equal "$(bash try.bash cache p)" "prune"
    : >picture.jpg
    equal "$(bash try.bash predict pic)" "picture.jpg"
    equal "$(bash try.bash predict -m pic)" "picture.jpg"
    bash try.bash train --cl | grep -q -- --class-weight || complain "--class-weight"
else
    skip="no bash"
fi

begin "zsh's completion parses"
status 0 finetune completion zsh
has out "#compdef finetune"
if command -v zsh >/dev/null; then
    zsh -n out || complain "zsh -n"
else
    skip="no zsh"
fi

begin "fish's completion parses"
status 0 finetune completion fish
has out "complete -c finetune"
if command -v fish >/dev/null; then
    fish --no-execute out || complain "fish --no-execute"
else
    skip="no fish"
fi
status 2 finetune completion tcsh
has err "bash, zsh or fish"

begin "no colours, no progress where there is no terminal"
TERM=xterm status 0 finetune train "$sample/train" -o model.h5
equal "$(cat err)" ""
grep -q "$(printf '\033')" out && complain "an escape sequence"
if command -v script >/dev/null; then
    NO_COLOR=1 TERM=xterm script -qec "'$FINETUNE' train '$sample/train' -o model.h5 --no-cache" typescript >/dev/null
    grep -q "$(printf '\033')\[[0-9;]*m" typescript && complain "a colour"
    grep -q "images/s" typescript || complain "no progress on a terminal"
    TERM=dumb script -qec "'$FINETUNE' train '$sample/train' -o model.h5 --no-cache" typescript >/dev/null
    grep -q "$(printf '\033')" typescript && complain "an escape sequence with TERM=dumb"
    TERM=xterm script -qec "stty cols 20; '$FINETUNE' train '$sample/train' -o model.h5 --no-cache" typescript >/dev/null
    tr '\r' '\n' <typescript | sed -n "s/$(printf '\033')\[K\$//p" >drawn
    has drawn "features"
    [ -z "$(grep '.\{20\}' drawn)" ] || complain "wider than the terminal: $(grep -m 1 '.\{20\}' drawn)"
fi

begin "stopped while the reader is slow: the rows that are known are printed"
status 0 finetune train "$sample/train" -q -o model.h5
yes "$one" | head -4000 >list
mkfifo slow
"$FINETUNE" predict --files-from list --cache kept >slow 2>err &
writer=$!
{
    sleep 3
    cat
} <slow >rows &
sleep 2
kill -TERM $writer
wait $writer
equal $? 143
wait
hasnt err "cannot write"
equal "$(grep -vc "^$one	cat	[01]\.[0-9]*$" rows)" 0

begin "JSON is UTF-8 whatever files are called"
latin=$(printf 'caf\351')
mkdir "$latin"
cp "$one" "$latin/a.jpg"
echo text >"$latin/b.jpg"
mkdir "$latin/cat"
mv "$latin"/*.jpg "$latin/cat"
status 3 finetune evaluate "$latin" --json
has out 'caf\udce9/cat/b.jpg'
iconv -f UTF-8 -t UTF-8 out >/dev/null 2>&1 || complain "not UTF-8"
json_is_utf8() {
    status "$@"
    has out 'caf\udce9'
    iconv -f UTF-8 -t UTF-8 out >/dev/null 2>&1 || complain "not UTF-8: $2 $3"
}
json_is_utf8 3 finetune doctor "$latin" --json
json_is_utf8 0 finetune explain "$latin/cat/a.jpg" --json
json_is_utf8 0 finetune import "$root/weights/efficientnet-lite0.h5" -o "$latin/network.h5" --json

begin "names of files and classes do not steer the terminal"
escape=$(printf '\033')
red=$(printf '\033[31mred\007\302\233x')
mkdir -p steer/"$red" steer/plain
for f in "$sample"/train/cat/cat.1*; do cp "$f" steer/plain; done
for f in "$sample"/train/dog/dog.1*; do cp "$f" steer/"$red/$red.$(basename "$f")"; done
echo text >steer/"$red/$red.jpg"
quiet_terminal() {
    status "$@"
    cat out err >both
    hasnt both "$escape"
    hasnt both "$(printf '\302\233')"
    has both '?[31mred??x'
}
quiet_terminal 0 finetune train steer -o steer.h5
quiet_terminal 0 finetune info steer.h5
quiet_terminal 3 finetune evaluate steer -m steer.h5
quiet_terminal 3 finetune doctor steer
quiet_terminal 0 finetune explain "$one" -m steer.h5 --neighbours 40
quiet_terminal 2 finetune "$red"
status 3 finetune predict steer -m steer.h5
has out "$red" # in a pipe rows are what the files are called
hasnt err "$escape"
if command -v script >/dev/null; then
    TERM=dumb script -qec "'$FINETUNE' predict steer -m steer.h5" typescript >/dev/null
    hasnt typescript "$escape"
    has typescript '?[31mred??x'
fi

begin "--quiet leaves the results"
status 0 finetune explain "$one" -q
has out "label      cat"
status 0 finetune bench --seconds 0.02 -q
has out "latency"
status 0 finetune train "$sample/train" -q -o model.h5
equal "$(cat out err)" ""

begin "an environment without HOME, a standard output that is full"
status 0 env -u HOME -u XDG_CACHE_HOME "$FINETUNE" train "$sample/train" -o model.h5
has err "neither XDG_CACHE_HOME nor HOME is set"
status 0 env -u HOME -u XDG_CACHE_HOME "$FINETUNE" train "$sample/train" -o model.h5 --no-cache
equal "$(cat err)" ""
if [ -e /dev/full ]; then
    finetune predict "$one" >/dev/full 2>err
    equal $? 1
    has err "cannot write to standard output"
fi
HOME=$scratch/home status 0 env -u XDG_CACHE_HOME "$FINETUNE" train "$sample/train" -q -o model.h5
[ -d home/.cache/finetune ] || complain "no ~/.cache/finetune"
end
