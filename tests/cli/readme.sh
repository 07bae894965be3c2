#!/bin/sh
# The first session of README.md works in a fresh clone and prints what the README shows, apart from digits: speed depends on
# the machine, and the last digit of a probability on its processor.
. "$FT_TESTS/cli/tap.sh"
root=$FT_TESTS/..
PATH=$(dirname "$FINETUNE"):$PATH
export PATH

# What a clone has: the files that are under version control. An archive of the sources is copied as it is.
if [ -d "$root/.git" ] || [ -f "$root/.git" ]; then
    (cd "$root" && git ls-files -z README.md tests/data | xargs -0 tar cf -) | tar xf -
else
    cp -R "$root/README.md" .
    mkdir tests
    cp -R "$root/tests/data" tests
fi

# The blocks that begin with "    $ ": each command goes to session/N.sh, the lines after it to session/N.txt.
mkdir session
awk '
    /^    \$ / { n++; sub(/^    \$ /, ""); print > ("session/" n ".sh"); inside = 1; next }
    !/^    / && !/^$/ { inside = 0 }
    inside { sub(/^    /, ""); print > ("session/" n ".txt") }' README.md

# shape FILE: without digits, runs of spaces and empty lines at the end.
shape() {
    sed 's/[0-9][0-9.]*/#/g; s/  */ /g' "$1" | awk '{ line[NR] = $0; if ($0 != "") last = NR } END { for (i = 1; i <= last; i++) print line[i] }'
}

number_of_commands=$(find session -name '*.sh' | wc -l)
begin "README.md has a session"
[ "$number_of_commands" -ge 4 ] || complain "$number_of_commands commands"

n=0
while [ "$n" -lt "$number_of_commands" ]; do
    n=$((n + 1))
    begin "README.md: $(head -c 60 "session/$n.sh")"
    sh "session/$n.sh" >out 2>&1 </dev/null
    got=$?
    case $got in
    0) ;;
    3) grep -q "not a picture" "session/$n.txt" || complain "exit status 3" ;;
    *) complain "exit status $got: $(cat out)" ;;
    esac
    # Standard error is not buffered, so the messages come first. The lines are compared in sorted order unless the README
    # stops with "...": then its lines are the beginning.
    shape "session/$n.txt" | grep -vx '\.\.\.' >wanted
    shape out >printed
    if grep -qx '\.\.\.' "session/$n.txt"; then
        head -n "$(wc -l <wanted)" printed >begin
        mv begin printed
    else
        sort -o wanted wanted
        sort -o printed printed
    fi
    cmp -s wanted printed || complain "other lines: $(diff wanted printed | head -20 | tr '\n' '|')"
done

begin "README.md has at most 200 lines, and its links lead to files"
[ "$(wc -l <"$root/README.md")" -le 200 ] || complain "$(wc -l <"$root/README.md") lines"
for page in README.md cli/README.md tests/README.md .github/CONTRIBUTING.md lib/head/README.md; do
    grep -oE '\]\([^)#:]+' "$root/$page" | cut -c3- >links
    while read -r link; do
        [ -e "$root/$(dirname "$page")/$link" ] || complain "$page: no '$link'"
    done <links
done

begin "the files that README.md, CONTRIBUTING.md and the rooms' pages name are there"
for page in README.md cli/README.md tests/README.md .github/CONTRIBUTING.md $(cd "$root" && echo lib/*/README.md); do
    grep -oE '`(lib|cli|scripts|tests|weights)/[-A-Za-z0-9_./]+' "$root/$page" | tr -d '`' >names
    while read -r path; do
        case $path in *NAME* | *ROOM* | */) path=${path%/*} ;; esac
        [ -e "$root/$path" ] || complain "$page: no '$path'"
    done <names
done

begin "the tests that the table of promises names are there"
{
    sed -n "s/^  \['\([a-z-]*\)', files.*/\1/p; s/^ *unit_tests += \[\['\([a-z-]*\)'.*/\1/p; s/^ *test('\([a-z-]*\)'.*/\1/p" "$FT_TESTS/meson.build"
    sed -n "/^foreach name/,/\]/p" "$FT_TESTS/meson.build" | grep -o "'[a-z]*'" | tr -d "'" | sed 's/^/cli-/'
} | sort >known
sed -n '/^## Promises/,$p' "$FT_TESTS/README.md" | sed -n 's/^| .* | \(.*\) |$/\1/p' | grep -o '`[a-z-]*`' | tr -d '`' | sort -u >promised
[ "$(wc -l <promised)" -ge 40 ] || complain "$(wc -l <promised) tests are named"
comm -13 known promised >missing
[ ! -s missing ] || complain "no test '$(head -1 missing)'"
end
