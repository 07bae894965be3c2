/* finetune COMMAND --help: usage, summary, options and examples, at most WIDTH columns wide. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "options.h"

enum { WIDTH = 90, INDENT = 29 };

/* Words of `text` from column `column` on; further lines begin at `indent`. */
static void put_wrapped(const char *text, int column, int indent)
{
    bool first = true;
    while (*text) {
        const int n = (int)strcspn(text, " ");
        if (!first && column + 1 + n > WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            putchar(' ');
            column++;
        }
        printf("%.*s", n, text);
        column += n;
        text += n + (text[n] == ' ');
        first = false;
    }
    putchar('\n');
}

/* The description of an option whose name does not fit beside it begins on the next line. */
static void put_option(const struct option *o)
{
    char left[64], right[600];
    const int n = snprintf(left, sizeof left, "  %c%c%s--%s%s%s", o->letter ? '-' : ' ',
                           o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
                           o->argument ? " " : "", o->argument ? o->argument : "");
    snprintf(right, sizeof right, "%s%s%s%s%s%s", o->choices ? o->choices : "",
             o->choices ? ": " : "", o->help, o->initial ? " (default " : "",
             o->initial ? o->initial : "", o->initial ? ")" : "");
    if (n < INDENT)
        printf("%-*s", INDENT, left);
    else
        printf("%s\n%*s", left, INDENT, "");
    put_wrapped(right, INDENT, INDENT);
}

/* Lines that begin with two spaces are examples and are kept as they are. */
static void put_more(const char *text)
{
    putchar('\n');
    while (*text) {
        char line[400];
        const size_t n = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, text);
        if (strncmp(line, "  ", 2))
            put_wrapped(line, 0, 0);
        else
            puts(line);
        text += n + (text[n] == '\n');
    }
}

void help_print(const struct command *c)
{
    const struct option *o;
    printf("usage: finetune %s [OPTION...]%s%s\n\n%c%s.\n\n", c->name, *c->arguments ? " " : "",
           c->arguments, toupper((unsigned char)c->summary[0]), c->summary + 1);
    for (int i = 0; (o = command_option(c, i)); i++)
        put_option(o);
    if (c->more)
        put_more(c->more);
}
