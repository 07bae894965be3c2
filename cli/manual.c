/* The man pages. The build makes them from the tables of commands and options. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const char head[] =
    ".SH NAME\n"
    "finetune \\- train an image classifier on a folder of labelled pictures\n"
    ".SH SYNOPSIS\n"
    ".B finetune train\n.I DIR\n.br\n.B finetune predict\n.IR PICTURE ...\n.br\n.B finetune\n.I "
    "COMMAND\n.RI [ OPTION ...]\n.IR ARGUMENT ...\n"
    ".SH DESCRIPTION\n"
    "A pretrained convolutional network with fixed weights computes a feature vector for each "
    "picture. A softmax regression is trained on\n"
    "these features and the labels. The labels are the names of the folders that hold the "
    "pictures. "
    "Cross-validation over all pictures measures\n"
    "the accuracy. The model is saved as one Keras HDF5 file.\n"
    ".P\n"
    "Results go to standard output; progress and messages go to standard error.\n";

static const char tail[] =
    ".SH EXIT STATUS\n"
    ".TP\n0\nsuccess\n.TP\n1\nfailure\n.TP\n2\nwrong usage\n.TP\n3\nfinished, but some "
    "pictures were bad or a required minimum was not reached\n"
    ".P\nAfter SIGINT, SIGTERM or SIGHUP the program finishes the pictures in progress and then "
    "ends with that signal. It is not an error\n"
    "if the reader of standard output closes the pipe.\n";

static const char environment[] =
    ".SH ENVIRONMENT\n"
    ".TP\n.B FINETUNE_WEIGHTS\nfolder that is searched for networks by name\n"
    ".TP\n.B FINETUNE_CPU\navx512_bf16, avx512_vnni, avx512, avx_vnni, avx2, neon_dot, neon or c: "
    "the widest instruction set to use. Each of them leaves AMX out, and each but the first leaves "
    "AVX512_BF16 and ARM's FEAT_BF16 out, so that bf16 is emulated\n"
    ".TP\n.B XDG_CACHE_HOME\\fR, \\fBHOME\nfeatures are kept in $XDG_CACHE_HOME/finetune or in "
    "~/.cache/finetune\n"
    ".TP\n.B NO_COLOR\nhas no effect, because no colours are used. TERM=dumb turns the progress "
    "line off\n"
    ".P\nThe locale has no effect: the decimal separator is always a point.\n"
    ".SH FILES\n"
    ".TP\n.I model.h5\nthe default model file of train, predict, evaluate and explain\n"
    ".TP\n.I labels.txt\\fR, \\fIclass_indices.json\nnames of the classes of a model that another "
    "program "
    "trained, beside its file\n";

/* Text for roff: dashes become minus signs; a leading dot or quote is not a request. */
static void put_roff(const char *s)
{
    if (*s == '.' || *s == '\'')
        fputs("\\&", stdout);
    for (; *s; s++)
        fputs(*s == '-' ? "\\-" : *s == '\\' ? "\\e" : (char[]){ *s, 0 }, stdout);
}

static void put_option(const struct option *o)
{
    fputs(".TP\n\\fB", stdout);
    if (o->letter)
        printf("\\-%c\\fR, \\fB", o->letter);
    fputs("\\-\\-", stdout);
    put_roff(o->name);
    printf("\\fR%s\\fI%s\\fR\n", o->argument ? " " : "", o->argument ? o->argument : "");
    if (o->choices)
        printf("%s: ", o->choices);
    put_roff(o->help);
    if (o->initial)
        printf(" (default %s)", o->initial);
    putchar('\n');
}

/* Paragraphs; lines that begin with two spaces are examples and are not filled. */
static void put_more(const char *text)
{
    bool example = false;
    puts(".P");
    while (*text) {
        char line[400];
        const size_t n = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, text);
        text += n + (text[n] == '\n');
        const bool now = !strncmp(line, "  ", 2);
        if (now != example)
            puts(now ? ".nf\n.RS" : ".RE\n.fi");
        example = now;
        if (!n)
            puts(".P");
        else {
            put_roff(now ? line + 2 : line);
            putchar('\n');
        }
    }
    if (example)
        puts(".RE\n.fi");
}

static int command_manual(const struct command *c)
{
    char upper[32] = "";
    for (size_t i = 0; c->name[i] && i + 1 < sizeof upper; i++)
        upper[i] = (char)toupper((unsigned char)c->name[i]);
    printf(".TH FINETUNE\\-%s 1 \"\" \"finetune %s\"\n.SH NAME\nfinetune\\-%s \\- ", upper,
           ft_version(), c->name);
    put_roff(c->summary);
    printf("\n.SH SYNOPSIS\n.B finetune %s\n.RI [ OPTION ...]\n.I ", c->name);
    put_roff(c->arguments);
    printf("\n.SH DESCRIPTION\n%c", toupper((unsigned char)c->summary[0]));
    put_roff(c->summary + 1);
    puts(".");
    if (c->more)
        put_more(c->more);
    puts(".SH OPTIONS");
    const struct option *o;
    for (int i = 0; (o = command_option(c, i)); i++)
        put_option(o);
    fputs(tail, stdout);
    puts(".SH SEE ALSO\n.BR finetune (1)");
    return EXIT_DONE;
}

int manual_main(const char *command)
{
    const struct command *c = command ? command_named(command) : NULL;
    if (c)
        return command_manual(c);
    if (command) {
        say("manual: '%s' is not a command", command);
        return EXIT_USAGE;
    }
    printf(".TH FINETUNE 1 \"\" \"finetune %s\"\n%s.SH COMMANDS\n", ft_version(), head);
    for (int i = 0; i < n_commands; i++) {
        printf(".TP\n.BR finetune\\-%s (1)\n", commands[i]->name);
        put_roff(commands[i]->summary);
        putchar('\n');
    }
    printf(
        ".TP\n.B finetune completion bash|zsh|fish\nprint completions for this shell\n%s%s.SH SEE "
        "ALSO\n",
        tail, environment);
    for (int i = 0; i < n_commands; i++)
        printf(".BR finetune\\-%s (1)%s\n", commands[i]->name, i + 1 < n_commands ? "," : "");
    return EXIT_DONE;
}
