# Sourced by the scripts here: TAP on standard output. finetune is $FINETUNE, a scratch directory is the working directory.
#
#     begin "name"; ...; status 0 finetune train x; has out "text"; equal "$a" "$b"; finish
set -u
number=0
bad=0
name=
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
export XDG_CACHE_HOME="$scratch/.cache" # never the cache of whoever runs the tests
finetune() { "$FINETUNE" "$@"; }

finish() {
    if [ -n "$name" ]; then
        number=$((number + 1))
        if [ -n "$skip" ]; then
            echo "ok $number - $name # SKIP $skip"
        elif [ -z "$wrong" ]; then
            echo "ok $number - $name"
        else
            echo "not ok $number - $name"
            bad=1
        fi
    fi
    name=
}
begin() {
    finish
    name=$1
    wrong=
    skip=
}
complain() {
    echo "# $name: $1"
    wrong=1
}
# nap SECONDS: sleeps for a random part of them; $round and the process choose it.
nap() {
    sleep "$(awk -v seed="$round$$" -v longest="$1" 'BEGIN { srand(seed); printf "%.4f", longest * rand() }')"
}
# status N COMMAND...: runs it into ./out and ./err and checks the exit status.
status() {
    want=$1
    shift
    "$@" >out 2>err </dev/null
    got=$?
    [ "$got" = "$want" ] || complain "exit status $got, want $want: $*
# $(sed 's/^/# /' err | head -5)"
}
# has FILE TEXT: FILE holds the fixed text; hasnt: it does not.
has() {
    grep -qF -e "$2" "$1" || complain "'$2' is not in $1: $(head -c 600 "$1" | tr '\n' '|')"
}
hasnt() {
    [ -r "$1" ] || complain "no file $1"
    ! grep -qF -e "$2" "$1" || complain "'$2' is in $1"
}
equal() {
    [ "$1" = "$2" ] || complain "got '$1', want '$2'"
}
end() {
    finish
    echo "1..$number"
    exit $bad
}
