/* The man pages, made from the tables of commands and options when the program is built. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const char head[] =
    ".SH NAME\n"
    "finetune \\- turn a folder of labelled pictures into an image classifier\n"
    ".SH SYNOPSIS\n"
    ".B finetune train\n.I DIR\n.br\n.B finetune predict\n.IR PICTURE ...\n.br\n.B finetune\n.I "
    "COMMAND\n.RI [ OPTION ...]\n.IR ARGUMENT ...\n"
    ".SH DESCRIPTION\n"
    "A pretrained convolutional network, frozen, turns every picture into a vector of features; a "
    "softmax regression on these is trained\n"
    "on the pictures of a folder that has one directory for each class. Its accuracy is measured "
    "by cross-validation over all pictures.\n"
    "The model is one Keras HDF5 file.\n"
    ".P\n"
    "Standard output is the result; progress and messages go to standard error.\n";

static const char tail[] = ".SH EXIT STATUS\n"
                           ".TP\n0\ndone\n.TP\n1\nfailed\n.TP\n2\nwrong use\n.TP\n3\ndone, but "
                           "some pictures were bad or a threshold was missed\n"
                           ".P\nA run that SIGINT, SIGTERM or SIGHUP ends early finishes the "
                           "pictures under way and then dies of that signal. A reader of standard\n"
                           "output that leaves is no error.\n";

static const char environment[] =
    ".SH ENVIRONMENT\n"
    ".TP\n.B FINETUNE_WEIGHTS\nthe folder where backbones are found by name\n"
    ".TP\n.B FINETUNE_CPU\navx512, avx2 or c: narrows the instructions in use\n"
    ".TP\n.B XDG_CACHE_HOME\\fR, \\fBHOME\nfeatures are kept in $XDG_CACHE_HOME/finetune, else in "
    "~/.cache/finetune\n"
    ".TP\n.B NO_COLOR\nis honoured always: no colours are used. Progress is drawn on a terminal "
    "that is not TERM=dumb\n"
    ".P\nThe locale changes nothing: numbers have a point.\n"
    ".SH FILES\n"
    ".TP\n.I model.h5\nthe model that train writes and predict reads, unless told otherwise\n";

/* Paragraphs as they stand, lines that begin with two spaces as examples. */
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
    options_manual(c);
    fputs(tail, stdout);
    puts(".SH SEE ALSO\n.BR finetune (1)");
    return EXIT_DONE;
}

int manual_main(const char *command)
{
    for (int i = 0; command && i < n_commands; i++)
        if (!strcmp(command, commands[i].name))
            return command_manual(&commands[i]);
    if (command) {
        say("manual: '%s' is not a command", command);
        return EXIT_USAGE;
    }
    printf(".TH FINETUNE 1 \"\" \"finetune %s\"\n%s.SH COMMANDS\n", ft_version(), head);
    for (int i = 0; i < n_commands; i++) {
        printf(".TP\n.BR finetune\\-%s (1)\n", commands[i].name);
        put_roff(commands[i].summary);
        putchar('\n');
    }
    printf(".TP\n.B finetune completion bash|zsh|fish\nprint completions for a shell\n%s%s.SH SEE "
           "ALSO\n",
           tail, environment);
    for (int i = 0; i < n_commands; i++)
        printf(".BR finetune\\-%s (1)%s\n", commands[i].name, i + 1 < n_commands ? "," : "");
    return EXIT_DONE;
}
