#!/bin/sh
# Wrong use: a message that helps and exit status 2; right use of --help and --version.
. "$FT_TESTS/cli/tap.sh"

begin "no command: help on standard error"
status 2 finetune
has err "usage: finetune COMMAND"
equal "$(cat out)" ""

begin "--help and --version succeed on standard output"
status 0 finetune --help
has out "train"
status 0 finetune --version
has out "finetune 0."
commands=$(finetune --help | sed -n 's/^  \([a-z]*\)  .*/\1/p')
[ "$(echo $commands | wc -w)" -ge 12 ] || complain "commands: $commands"
for command in $commands; do
    status 0 finetune $command --help
    has out "usage: finetune $command"
    status 0 finetune $command -h
    status 0 finetune $command --version
    awk 'length > 90' out >wide
    equal "$(cat wide)" ""
done

begin "help COMMAND"
status 0 finetune help predict
has out "usage: finetune predict"
status 2 finetune help pedict
has err "did you mean 'predict'?"

begin "a misspelt command names the right one"
status 2 finetune trian x
has err "did you mean 'train'?"
status 2 finetune xyzzy
has err "finetune --help"
status 2 finetune --json train x
has err "options follow the command"
mkdir pictures
status 2 finetune pictures
has err "did you mean 'finetune train pictures'?"

begin "a wrong flag names the nearest right one"
status 2 finetune train --thread 2 x
has err "did you mean --threads?"
status 2 finetune train --class-wieght none x
has err "did you mean --class-weight?"
status 2 finetune predict --tresh 0.5 x
has err "did you mean --threshold?"
status 2 finetune predict --qqqqqqqq x
has err "finetune predict --help lists the options"

begin "no model: what to do"
for command in predict explain evaluate; do
    status 1 finetune $command x
    has err "there is no 'model.h5' in this folder: train a model with finetune train DIR, or name one with -m MODEL"
done
status 1 finetune predict -m absent.h5 x
has err "'absent.h5': cannot be opened: no such file or directory"

begin "a wrong flag: the list of options"
status 2 finetune predict -z x
has err "unknown option '-z'"

begin "values are checked"
status 2 finetune train --folds 1 x
has err "expected a number from 2 to 100"
status 2 finetune train --folds 2.5 x
has err "expected a whole number"
status 2 finetune train --l2 much x
has err "or auto"
status 2 finetune train --l2=-3 x
status 2 finetune train --l2 -1 x
has err "or auto"
status 2 finetune train --resize stretch x
has err "crop|squash|pad"
status 2 finetune train --seed -1 x
status 2 finetune train --threads
has err "needs a value"
status 2 finetune train --json=yes x
has err "takes no value"
for command in train doctor curve; do
    status 2 finetune $command x --group-by '('
    has err "'--group-by (': expected an extended regular expression"
done
for minimum in cat much=x cat=2 cat=nan =; do
    status 2 finetune evaluate x --min-recall "$minimum"
    has err "'--min-recall $minimum': expected a class and a number from 0 to 1"
done

begin "missing and surplus arguments"
status 2 finetune train
has err "DIR is missing"
status 2 finetune train a b
has err "unexpected argument 'b'"

begin "wrong use as JSON"
status 2 finetune train a b --log-json
has err '"event":"error","message":"'
status 2 finetune train --nonsense --log-json
equal "$(grep -c '^{.*}$' err)" "$(grep -c '' err)"
status 2 finetune train -- --log-json b
hasnt err '"event"'
end
