/* The man page, made from the tables of commands and options when the program is built. */
#include <ctype.h>
#include <stdio.h>

#include "cli.h"

static const char head[] =
    ".SH NAME\n"
    "finetune \\- turn a folder of labelled pictures into an image classifier\n"
    ".SH SYNOPSIS\n"
    ".B finetune train\n.I DIR\n.br\n.B finetune predict\n.IR PICTURE ...\n.br\n.B finetune\n.I COMMAND\n.RI [ OPTION ...]\n.IR ARGUMENT ...\n"
    ".SH DESCRIPTION\n"
    "A pretrained convolutional network, frozen, turns every picture into a vector of features; a softmax regression on these is trained\n"
    "on the pictures of a folder that has one directory for each class. Its accuracy is measured by cross-validation over all pictures.\n"
    "The model is one Keras HDF5 file.\n"
    ".P\n"
    "Standard output is the result; progress and messages go to standard error.\n";

static const char tail[] =
    ".SH EXIT STATUS\n"
    ".TP\n0\ndone\n.TP\n1\nfailed\n.TP\n2\nwrong use\n.TP\n3\ndone, but some pictures were bad or a threshold was missed\n"
    ".SH ENVIRONMENT\n"
    ".TP\n.B FINETUNE_WEIGHTS\nthe folder where backbones are found by name\n"
    ".TP\n.B FINETUNE_CPU\navx512, avx2 or c: narrows the instructions in use\n"
    ".SH FILES\n"
    ".TP\n.I model.h5\nthe model that train writes and predict reads, unless told otherwise\n";

int manual_main(void)
{
    printf(".TH FINETUNE 1 \"\" \"finetune %s\"\n%s.SH COMMANDS\n", ft_version(), head);
    for (int i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];
        printf(".SS finetune %s \\fR[\\fIOPTION\\fR...] \\fI%s\\fR\n%c%s.\n", c->name, c->arguments, toupper((unsigned char)c->summary[0]), c->summary + 1);
        options_manual(c);
    }
    printf(".SS Every command\n.TP\n\\fB\\-\\-json\\fR\nthe result as JSON\n.TP\n\\fB\\-q\\fR, \\fB\\-\\-quiet\\fR\nonly results and errors\n"
           ".TP\n\\fB\\-v\\fR, \\fB\\-\\-verbose\\fR\nsay more\n.TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nthe command's options\n%s", tail);
    return EXIT_DONE;
}
