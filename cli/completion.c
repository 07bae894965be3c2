/* finetune completion SHELL: completions for bash, zsh and fish, made from the tables of commands
 * and options. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

/* "a|b|c" as "a b c". */
static void put_choices(const char *choices)
{
    for (const char *s = choices; *s; s++)
        putchar(*s == '|' ? ' ' : *s);
}

/* True if the argument must be one of several words, as in "info|clear|prune". */
static bool arguments_are_words(const struct command *c)
{
    const char *s = c->arguments;
    while (islower((unsigned char)*s) || *s == '|')
        s++;
    return !*s && s != c->arguments;
}

/* ---- bash ------------------------------------------------------------------------------------ */

static void bash_name(const struct option *o)
{
    printf("--%s ", o->name);
    if (o->letter)
        printf("-%c ", o->letter);
}

static void bash_value(const struct option *o)
{
    if (!o->argument)
        return;
    printf("        --%s", o->name);
    if (o->letter)
        printf("|-%c", o->letter);
    fputs(") ", stdout);
    if (o->choices) {
        fputs("COMPREPLY=($(compgen -W '", stdout);
        put_choices(o->choices);
        fputs("' -- \"$cur\"))", stdout);
    } else
        printf("COMPREPLY=($(compgen -%s -- \"$cur\"))", !strcmp(o->argument, "DIR") ? "d" : "f");
    puts("; return ;;");
}

static void bash(void)
{
    const struct option *o;
    puts("# bash completion for finetune, made by: finetune completion bash\n_finetune()\n{\n    "
         "local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} options=\n"
         "    COMPREPLY=()\n    if [ \"$COMP_CWORD\" -eq 1 ]; then");
    fputs("        COMPREPLY=($(compgen -W '", stdout);
    for (int i = 0; i < n_commands; i++)
        printf("%s ", commands[i]->name);
    puts("--help --version' -- \"$cur\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in");
    for (int i = 0; i < n_commands; i++) {
        printf("    %s)\n        options='", commands[i]->name);
        for (int j = 0; (o = command_option(commands[i], j)); j++)
            bash_name(o);
        puts("'\n        case $prev in");
        for (int j = 0; (o = command_option(commands[i], j)); j++)
            bash_value(o);
        puts("        esac");
        if (arguments_are_words(commands[i])) {
            fputs("        options=\"$options ", stdout);
            put_choices(commands[i]->arguments);
            puts("\"\n        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n        return");
        }
        puts("        ;;");
    }
    puts("    esac\n    case $cur in\n    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$cur\")) "
         ";;\n    *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n    esac\n}\n"
         "complete -o filenames -F _finetune finetune");
}

/* ---- zsh ------------------------------------------------------------------------------------- */

/* Text inside single quotes. Brackets and colons are escaped, because _arguments interprets them.
 */
static void put_zsh(const char *s)
{
    for (; *s; s++) {
        if (*s == '\'')
            fputs("'\\''", stdout);
        else {
            if (strchr("[]:\\", *s))
                putchar('\\');
            putchar(*s);
        }
    }
}

static void zsh_spelling(const struct option *o, const char *dashes, const char *name)
{
    printf("        '%s%s%s[", dashes, name, !o->argument ? "" : dashes[1] ? "=" : "+");
    put_zsh(o->help);
    putchar(']');
    if (o->argument) {
        putchar(':');
        put_zsh(o->argument);
        putchar(':');
        if (o->choices) {
            putchar('(');
            put_choices(o->choices);
            putchar(')');
        } else
            fputs(!strcmp(o->argument, "DIR") ? "_files -/" : "_files", stdout);
    }
    puts("' \\");
}

static void zsh_option(const struct option *o)
{
    const char letter[2] = { o->letter, 0 };
    zsh_spelling(o, "--", o->name);
    if (o->letter)
        zsh_spelling(o, "-", letter);
}

static void zsh(void)
{
    const struct option *o;
    puts("#compdef finetune\n# zsh completion for finetune, made by: finetune completion "
         "zsh\n_finetune()\n{\n    local -a commands\n    commands=(");
    for (int i = 0; i < n_commands; i++) {
        printf("        '%s:", commands[i]->name);
        put_zsh(commands[i]->summary);
        puts("'");
    }
    puts("    )\n    if (( CURRENT == 2 )); then\n        _describe command commands\n        "
         "return\n    fi\n    local command=$words[2]\n    shift words\n"
         "    (( CURRENT-- ))\n    case $command in");
    for (int i = 0; i < n_commands; i++) {
        printf("    %s)\n        _arguments \\\n", commands[i]->name);
        for (int j = 0; (o = command_option(commands[i], j)); j++)
            zsh_option(o);
        if (arguments_are_words(commands[i])) {
            fputs("        '*:argument:(", stdout);
            put_choices(commands[i]->arguments);
            puts(")'\n        ;;");
        } else
            puts("        '*:file:_files'\n        ;;");
    }
    puts("    esac\n}\n_finetune \"$@\"");
}

/* ---- fish ------------------------------------------------------------------------------------ */

static void put_fish(const char *s)
{
    putchar('\'');
    for (; *s; s++) {
        if (*s == '\'' || *s == '\\')
            putchar('\\');
        putchar(*s);
    }
    putchar('\'');
}

static void fish_option(const struct option *o, const struct command *c)
{
    printf("complete -c finetune -n '__fish_seen_subcommand_from %s' -l %s", c->name, o->name);
    if (o->letter)
        printf(" -s %c", o->letter);
    if (o->argument && o->choices) {
        fputs(" -x -a '", stdout);
        put_choices(o->choices);
        putchar('\'');
    } else if (o->argument)
        fputs(" -r", stdout);
    fputs(" -d ", stdout);
    put_fish(o->help);
    putchar('\n');
}

static void fish(void)
{
    const struct option *o;
    puts("# fish completion for finetune, made by: finetune completion fish");
    for (int i = 0; i < n_commands; i++) {
        const struct command *c = commands[i];
        printf("complete -c finetune -n __fish_use_subcommand -f -a %s -d ", c->name);
        put_fish(c->summary);
        putchar('\n');
        for (int j = 0; (o = command_option(c, j)); j++)
            fish_option(o, c);
        if (arguments_are_words(c)) {
            printf("complete -c finetune -n '__fish_seen_subcommand_from %s' -f -a '", c->name);
            put_choices(c->arguments);
            puts("'");
        }
    }
}

int completion_main(const char *shell)
{
    static const struct {
        const char *shell;
        void (*print)(void);
    } shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
    for (size_t i = 0; shell && i < sizeof shells / sizeof *shells; i++)
        if (!strcmp(shell, shells[i].shell)) {
            shells[i].print();
            return EXIT_DONE;
        }
    say("completion: expected a shell: bash, zsh or fish");
    return EXIT_USAGE;
}
