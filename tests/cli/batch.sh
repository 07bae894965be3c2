#!/bin/sh
# predict over many inputs: lists, directories, formats, odd names, bad pictures, thresholds, sorting into directories.
. "$FT_TESTS/cli/tap.sh"
sample=$FT_TESTS/data/cats-vs-dogs
status 0 finetune train "$sample/train" -q -o model.h5
mkdir -p set/a/deep set/b
cp "$sample"/test/cat/* set/a/deep
cp "$sample"/test/dog/* set/b
cat1=$(find set/a -type f | sort | head -1)
dog1=$(find set/b -type f | sort | head -1)
echo "no picture" >set/b/notes.txt
echo "no picture" >set/b/zzz.jpg
newline='
'

begin "directories are entered, sorted; what is no picture is passed over, a bad one has its row"
status 3 finetune predict set --format csv
equal "$(head -1 out)" "path,label,probability,status,error"
equal "$(sed 1d out | cut -d, -f1)" "$(find set -name '*.jpg' | LC_ALL=C sort)"
equal "$(cut -d, -f4 out | sort | uniq -c | awk '{ printf "%s %s ", $1, $2 }')" "1 bad 12 ok 1 status "
has out 'set/b/zzz.jpg,,,bad,"not a picture'
equal "$(cat err)" ""
status 3 finetune predict set
equal "$(wc -l <out)" 12
has err "'set/b/zzz.jpg'"

begin "--files-from: lines or NUL, a file or standard input, after the arguments, in order"
printf '%s\n\n%s\n' "$dog1" "$cat1" >list
status 0 finetune predict --files-from list "$cat1" --format tsv --fields path
equal "$(cat out)" "$(printf 'path\n%s\n%s\n%s' "$cat1" "$dog1" "$cat1")"
find set/a -type f -print0 | LC_ALL=C sort -z | finetune predict -0 --files-from - >out 2>err
equal "$(cut -f1 out)" "$(find set/a -type f | LC_ALL=C sort)"
printf '%s' "$dog1" | finetune predict --files-from - >out || complain "a last line without its end"
equal "$(cut -f1 out)" "$dog1"
echo set/a | finetune predict --files-from - >out
equal "$(wc -l <out)" 6
status 1 finetune predict --files-from missing
has err "cannot open 'missing'"
: >empty
status 0 finetune predict --files-from empty --format json
equal "$(cat out)" "[]"

begin "rows are there as soon as they are known"
{ echo "$cat1"; sleep 3; echo "$dog1"; } | "$FINETUNE" predict --files-from - >slow &
pid=$!
sleep 2
equal "$(cut -f2 slow)" cat
wait $pid
equal "$(cut -f2 slow | tr '\n' ' ')" "cat dog "

begin "paths with spaces, quotes, newlines and bytes that are no UTF-8"
odd="set/b/a \"b\", c${newline}d.jpg"
latin=$(printf 'set/b/caf\351.jpg')
cp "$cat1" "$odd"
cp "$cat1" "$latin"
printf '%s\0%s\0' "$odd" "$latin" >odd.list
status 0 finetune predict -0 --files-from odd.list --format csv --fields path,label
equal "$(cat out)" "$(printf 'path,label\n"set/b/a ""b"", c\nd.jpg",cat\n%s,cat' "$latin")"
status 0 finetune predict -0 --files-from odd.list --format tsv --fields path,label
equal "$(cat out)" "$(printf 'path\tlabel\nset/b/a "b", c\\nd.jpg\tcat\n%s\tcat' "$latin")"
status 0 finetune predict -0 --files-from odd.list
equal "$(cut -f1,2 out)" "$(printf 'set/b/a "b", c\\nd.jpg\tcat\n%s\tcat' "$latin")"
status 0 finetune predict -0 --files-from odd.list --format jsonl --fields path
equal "$(cat out)" '{"path":"set/b/a \"b\", c\nd.jpg"}
{"path":"set/b/caf\udce9.jpg"}'
status 0 finetune predict -- "$odd" "$latin"
equal "$(cut -f2 out | tail -1)" cat
rm "$odd" "$latin"

begin "columns: --top, --probabilities, --fields; jsonl has the same keys"
status 0 finetune predict --top 2 --format csv "$cat1" "$dog1"
equal "$(head -1 out)" "path,label,probability,status,error,label2,probability2"
equal "$(sed 1d out | cut -d, -f2,4,6)" "cat,ok,dog
dog,ok,cat"
status 0 finetune predict --probabilities --format csv "$cat1" "$dog1"
equal "$(head -1 out)" "path,label,probability,status,error,cat,dog"
sed 1d out | awk -F, '{ s = $6 + $7; if (s < 0.99999 || s > 1.00001) exit 1; if ($3 != ($2 == "cat" ? $6 : $7)) exit 1 }' || complain "probabilities: $(cat out)"
status 3 finetune predict --probabilities --top 2 --format jsonl "$cat1" set/b/zzz.jpg
equal "$(head -1 out | sed 's/:[^,}]*//g')" '{"path","label","probability","status","error","label2","probability2","cat","dog"}'
has out '"label":null,"probability":null,"status":"bad","error":"not a picture'
status 0 finetune predict --fields label,path --format csv "$cat1"
equal "$(cat out)" "label,path
cat,$cat1"
status 2 finetune predict --fields path,label,path --format json "$cat1"
has err "--fields 'path,label,path': 'path' is repeated"
status 2 finetune predict --fields "" "$cat1"
has err "--fields '': expected path, label"
status 2 finetune predict --fields label,size "$cat1"
has err "'size': expected path, label"
status 2 finetune predict --format xml "$cat1"
has err "text|tsv|csv|json|jsonl"

begin "numbers do not depend on the locale"
LC_ALL=de_DE.UTF-8 LC_NUMERIC=de_DE.UTF-8 status 0 finetune predict --format csv "$cat1"
sed 1d out | cut -d, -f3 | grep -qE '^[01]\.[0-9]{6}$' || complain "$(cat out)"

begin "--strict stops at the first bad picture"
status 3 finetune predict --strict --format csv "$cat1" set/b/zzz.jpg "$dog1" "$dog1" "$dog1"
equal "$(cut -d, -f4 out | tr '\n' ' ')" "status ok bad "

begin "--threshold: less certain pictures are unknown; the model has one of its own"
status 0 finetune predict --threshold 1 --format csv --fields label,status "$cat1"
equal "$(tail -1 out)" "unknown,ok"
status 0 finetune predict --threshold 0.5 "$cat1"
equal "$(cut -f2 out)" cat
status 0 finetune info model.h5
has out "99 % of the pictures"
threshold=$(sed -n 's/^threshold  \([0-9.]*\):.*/\1/p' out)
awk -v t="$threshold" 'BEGIN { exit !(t > 0.4 && t < 1) }' || complain "threshold '$threshold'"
status 0 finetune predict --threshold auto "$cat1"
equal "$(cut -f2 out)" cat
status 2 finetune predict --threshold 2 "$cat1"

begin "a reader that leaves early is no error"
finetune predict set/a set/a set/a --format csv 2>err | head -2 >out
equal "$(wc -l <out)" 2
equal "$(cat err)" ""

begin "--copy-to sorts into directories and never overwrites"
cp -r set before
status 3 finetune predict set --copy-to sorted --dry-run
has err "would copy '$cat1' to 'sorted/cat/$(basename "$cat1")'"
[ ! -e sorted ] || complain "--dry-run made a directory"
status 3 finetune predict set -q --copy-to sorted
diff -r set before >/dev/null || complain "the pictures changed"
equal "$(ls sorted | tr '\n' ' ')" "cat dog "
equal "$(ls sorted/cat)" "$(ls set/a/deep)"
cmp -s "$cat1" "sorted/cat/$(basename "$cat1")" || complain "not the same bytes"
echo mine >sorted/cat/"$(basename "$cat1")"
status 0 finetune predict "$cat1" --copy-to sorted
equal "$(cat sorted/cat/"$(basename "$cat1")")" mine
cmp -s "$cat1" "sorted/cat/$(basename "$cat1" .jpg)-1.jpg" || complain "no numbered name"
status 3 finetune predict . --copy-to sorted --format csv --threshold 1
grep -q '^./sorted/' out && complain "its own output was classified"

begin "--link-to and --move-to"
status 0 finetune predict set/a --link-to links
equal "$(ls links/cat | wc -l)" 6
cmp -s "links/cat/$(basename "$cat1")" "$cat1" || complain "a broken link"
cp -r set moving
status 3 finetune predict moving -q --move-to moved
equal "$(find moving -type f | sort | tr '\n' ' ')" "moving/b/notes.txt moving/b/zzz.jpg "
equal "$(ls moved/dog)" "$(ls "$sample/test/dog")"
status 0 finetune predict "$cat1" --move-to moved --threshold 1
[ -f "moved/unknown/$(basename "$cat1")" ] || complain "no moved/unknown"
cp "moved/unknown/$(basename "$cat1")" "$cat1"
status 2 finetune predict "$cat1" --copy-to x --move-to y
has err "only one of"
status 2 finetune predict "$cat1" --dry-run
: >file
status 1 finetune predict "$cat1" --copy-to file
has err "cannot make directory"

begin "--watch: each picture once it is completely written, until told to stop"
mkdir inbox
"$FINETUNE" predict --watch inbox --format csv >watched 2>err &
pid=$!
sleep 1
{ head -c 3000 "$cat1"; sleep 1; tail -c +3001 "$cat1"; } >inbox/slow.jpg
cp "$dog1" .part && mv .part inbox/moved.jpg
mkdir -p inbox/new/deeper
cp "$dog1" inbox/new/deeper/one.jpg
echo text >inbox/notes.txt
echo text >inbox/.hidden.jpg
for i in 1 2 3 4 5 6 7 8 9 10; do
    [ "$(wc -l <watched)" -ge 4 ] && break
    sleep 0.5
done
kill -TERM $pid
wait $pid
equal $? 0
equal "$(sed 1d watched | cut -d, -f1,2,4 | sort | tr '\n' ' ')" "inbox/moved.jpg,dog,ok inbox/new/deeper/one.jpg,dog,ok inbox/slow.jpg,cat,ok "
equal "$(cat err)" ""
status 1 finetune predict --watch missing
has err "'missing'"

begin "asked to stop, predict ends with whole rows and dies of the signal"
{ find set/a -type f; sleep 5; } | "$FINETUNE" predict --files-from - --format json >stopped 2>err &
pid=$!
sleep 1.5
kill -TERM $pid
wait $pid
equal $? 143
equal "$(tail -c 3 stopped)" " ]"

begin "--log-json"
status 3 finetune predict set --log-json
grep -v '^{"time":[0-9.]*,"event":"error","message":".*"}$' err >odd
[ ! -s odd ] || complain "$(cat odd)"
has err "'set/b/zzz.jpg'"

begin "a folder without pictures is named and is no success"
mkdir nothing nothing/inside
echo text >nothing/inside/notes.txt
status 1 finetune predict nothing
equal "$(wc -c <out)" 0
equal "$(cat err)" "finetune: 'nothing' contains no pictures"
status 3 finetune predict nothing "$cat1"
equal "$(wc -l <out)" 1
has err "'nothing' contains no pictures"
echo nothing >list
status 1 finetune predict --files-from list
has err "'nothing' contains no pictures"
status 0 finetune predict --files-from /dev/null
has err "no pictures to classify"
status 1 finetune features nothing -o nothing.features
has err "'nothing' contains no pictures"
[ ! -e nothing.features ] || complain "nothing.features is there"
status 3 finetune features nothing "$cat1" -o one.features
has err "'nothing' contains no pictures"

begin "wrong use"
status 2 finetune predict
has err "PICTURE or DIR is missing"
status 2 finetune predict -0 "$cat1"
has err "files-from"
end
