#!/bin/sh
# Every public header compiles alone, in C17 and in C++, without a warning. Every public function is
# named in a test.
. "$FT_TESTS/cli/tap.sh"
lib=$FT_TESTS/../lib

# alone HEADER COMPILER OPTIONS...
alone() {
    header=$1
    shift
    printf '#include "%s"\n' "$header" | "$@" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$lib" - >said 2>&1 ||
        complain "$header: $(head -n 3 said | tr '\n' ' ')"
}

for compiler in cc clang c++ clang++; do
    begin "every public header alone: $compiler"
    command -v "$compiler" >/dev/null || {
        skip="there is no $compiler"
        continue
    }
    case $compiler in
    *++) language=c++ standard=c++11 ;;
    *) language=c standard=c17 ;;
    esac
    for header in finetune.h finetune-tools.h $(cd "$lib" && ls finetune/*.h); do
        alone "$header" "$compiler" -x $language -std=$standard
    done

    begin "a zeroed struct of options: $compiler"
    command -v "$compiler" >/dev/null || {
        skip="there is no $compiler"
        continue
    }
    {
        echo '#include "finetune-tools.h"'
        grep -rhoE '^#define FT_[A-Z_]+_DEFAULTS' "$lib"/finetune.h "$lib"/finetune | while read -r _ macro; do
            options=$(echo "$macro" | sed 's/_DEFAULTS$/_options/' | tr 'A-Z' 'a-z')
            echo "extern struct $options $options; struct $options $options = $macro;"
        done
    } >defaults
    grep -q ft_train_options defaults || complain "no options found"
    "$compiler" -x $language -std=$standard -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$lib" - <defaults >said 2>&1 ||
        complain "$(head -n 3 said | tr '\n' ' ')"
done

begin "every public function is named in a test"
# Comments are removed first: they name functions, too.
cat "$lib"/finetune.h "$lib"/finetune-tools.h "$lib"/finetune/*.h | tr '\n' ' ' | sed 's/\*\//\n/g' | sed 's/\/\*.*//' |
    grep -oE '\bft_[a-z0-9_]+\(' | tr -d '(' | sort -u >functions
[ "$(wc -l <functions)" -gt 100 ] || complain "only $(wc -l <functions) functions found"
find "$FT_TESTS/unit" "$FT_TESTS/examples" "$FT_TESTS/kernels" -name '*.c' -exec cat {} + | grep -oE '\bft_[a-z0-9_]+' | sort -u >named
equal "$(comm -23 functions named | tr '\n' ' ')" ""
end
