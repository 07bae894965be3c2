/* Parses the command line into settings, with the option tables of a command. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* With `prefix`: the distance to the prefix of b that is closest. */
static size_t edit_distance(const char *a, const char *b, bool prefix)
{
    enum { LONGEST = 32 };
    size_t row[LONGEST + 1];
    const size_t n = strlen(b);
    if (n > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            const size_t changed = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            size_t best = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            row[j + 1] = changed < best ? changed : best;
        }
    }
    size_t best = row[n];
    for (size_t j = 0; prefix && j < n; j++)
        best = row[j] < best ? row[j] : best;
    return best;
}

const char *nearest_word(const char *word, const char *const *words, size_t n)
{
    const char *best = NULL;
    const size_t length = strlen(word);
    size_t least = length / 2 + 1; /* a larger distance is not a typing mistake */
    for (size_t i = 0; i < n; i++) {
        const size_t distance = edit_distance(word, words[i], false);
        if (distance < least || (distance <= least && !strncmp(word, words[i], length))) {
            least = distance;
            best = words[i];
        }
    }
    least = length / 4 + 1;
    for (size_t i = 0; i < n && !best; i++) /* the misspelt beginning of a longer word */
        if (edit_distance(word, words[i], true) < least)
            best = words[i];
    return best;
}

/* Prints a usage error of a command; returns EXIT_USAGE. */
static int wrong(const struct command *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int wrong(const struct command *c, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    say("%s: %s", c->name, text);
    return EXIT_USAGE;
}

/* By name [length], or by letter if name is NULL. */
static const struct option *find(const struct command *c, const char *name, size_t length,
                                 char letter)
{
    const struct option *o;
    for (int i = 0; (o = command_option(c, i)); i++)
        if (name ? strlen(o->name) == length && !strncmp(o->name, name, length)
                 : o->letter && o->letter == letter)
            return o;
    return NULL;
}

static int unknown(const struct command *c, const char *given)
{
    enum { MOST = 100 };
    const char *names[MOST];
    char name[64];
    size_t n = 0;
    const struct option *o;
    while (n < MOST && (o = command_option(c, (int)n)))
        names[n++] = o->name;
    snprintf(name, sizeof name, "%s", given + strspn(given, "-"));
    name[strcspn(name, "=")] = 0;
    const char *near = nearest_word(name, names, n);
    if (near)
        return wrong(c, "unknown option '%s': did you mean --%s?", given, near);
    return wrong(c, "unknown option '%s': finetune %s --help lists the options", given, c->name);
}

static bool among(const char *word, const char *choices)
{
    const size_t n = strlen(word);
    for (const char *c = choices; c; c = strchr(c, '|')) {
        c += *c == '|';
        if (strcspn(c, "|") == n && !strncmp(c, word, n))
            return true;
    }
    return false;
}

/* Bytes from 500M, 2G, 1048576 or 50%; false: the text is not a size. */
static bool parse_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    char *end;
    const double value = strtod(text, &end);
    const char *unit = *end && *end != '%' ? strchr(units, toupper((unsigned char)*end)) : NULL;
    const double one = *end == '%' ? (double)ft_memory_bytes() / 100
                       : unit      ? ldexp(1, 10 * (int)(unit - units + 1))
                                   : 1;
    if (end == text || (*end && !unit && *end != '%') || (*end && end[1]) ||
        !(value >= 0 && value * one < 0x1p63))
        return false;
    *bytes = (uint64_t)(value * one);
    return true;
}

static int check_regex(const struct command *c, const char *shown, const char *text)
{
    regex_t regex;
    char why[200];
    const int rc = regcomp(&regex, text, REG_EXTENDED | REG_NOSUB);
    if (!rc) {
        regfree(&regex);
        return 0;
    }
    regerror(rc, &regex, why, sizeof why);
    return wrong(c, "'%s': expected an extended regular expression: %s", shown, why);
}

/* Sets an int or a double, within the option's range. */
static int set_number(const struct command *c, const struct option *o, const char *shown,
                      const char *text, void *to)
{
    char *end = "";
    const bool automatic = o->type == TYPE_AUTO && !strcmp(text, "auto");
    errno = 0;
    const double value = automatic ? -1 : strtod(text, &end);
    if (!automatic && (end == text || *end || errno || !(value >= o->low && value <= o->high)))
        return wrong(c, "'%s': expected a number from %.10g to %.10g%s", shown, o->low, o->high,
                     o->type == TYPE_AUTO ? ", or auto" : "");
    if (o->type == TYPE_NUMBER || o->type == TYPE_AUTO) {
        *(double *)to = value;
        return 0;
    }
    if (value != floor(value))
        return wrong(c, "'%s': expected a whole number", shown);
    *(int *)to = (int)value;
    return 0;
}

/* Appends N,N,... to a list of whole numbers. */
static int add_numbers(const struct command *c, const struct option *o, const char *shown,
                       const char *text, struct numbers *to)
{
    for (;; text++) {
        char one[16];
        const size_t length = strcspn(text, ",");
        if (to->n == NUMBERS_LIMIT)
            return wrong(c, "'%s': --%s takes at most %d numbers", shown, o->name, NUMBERS_LIMIT);
        snprintf(one, sizeof one, "%.*s", (int)(length < sizeof one ? length : sizeof one), text);
        const int rc = set_number(c, o, shown, one, &to->items[to->n]);
        if (rc)
            return rc;
        to->n++;
        text += length;
        if (!*text)
            return 0;
    }
}

/* Fills a setting from its text. Returns 0, or EXIT_USAGE after a message. */
static int set(const struct command *c, const struct option *o, const char *text,
               struct settings *settings)
{
    void *to = (char *)settings + o->setting;
    char shown[96], *end;
    snprintf(shown, sizeof shown, "--%s %.60s", o->name, text);
    switch (o->type) {
    case TYPE_FLAG:
        *(bool *)to = true;
        return 0;
    case TYPE_TEXT:
        if (o->choices && !among(text, o->choices))
            return wrong(c, "'%s': expected one of %s", shown, o->choices);
        *(const char **)to = text;
        return 0;
    case TYPE_REGEX:
        *(const char **)to = text;
        return check_regex(c, shown, text);
    case TYPE_LIST: {
        struct list *list = to;
        const int most = o->high > 0 ? (int)o->high : LIST_LIMIT;
        if (list->n == most)
            return wrong(c, "'%s': --%s may be given at most %d times", shown, o->name, most);
        list->items[list->n++] = text;
        return 0;
    }
    case TYPE_INTS:
        return add_numbers(c, o, shown, text, to);
    case TYPE_SEED:
        errno = 0;
        *(uint64_t *)to = strtoull(text, &end, 10);
        if (errno || *end || !isdigit((unsigned char)*text))
            return wrong(c, "'%s': expected a whole number from 0 to 18446744073709551615", shown);
        return 0;
    case TYPE_SIZE:
        return parse_size(text, to)
                   ? 0
                   : wrong(c, "'%s': expected a size such as 500M, 2G or 50%%", shown);
    case TYPE_INT:
    case TYPE_NUMBER:
    case TYPE_AUTO:
        return set_number(c, o, shown, text, to);
    }
    return 0;
}

/* -q, -o FILE, -oFILE, -qo FILE: letters, the last of which may take a value. */
static int parse_letters(const struct command *c, int argc, char **argv, int *i,
                         struct settings *settings)
{
    const char *given = argv[*i];
    for (const char *letter = given + 1; *letter; letter++) {
        const struct option *o = find(c, NULL, 0, *letter);
        if (!o)
            return unknown(c, given);
        const char *value = o->type == TYPE_FLAG ? ""
                            : letter[1]          ? letter + 1
                            : *i + 1 < argc      ? argv[++*i]
                                                 : NULL;
        if (!value)
            return wrong(c, "option '%s' needs a value: %s", given, o->argument);
        const int rc = set(c, o, value, settings);
        if (rc || o->type != TYPE_FLAG)
            return rc;
    }
    return 0;
}

/* --name, --name VALUE, --name=VALUE. */
static int parse_name(const struct command *c, int argc, char **argv, int *i,
                      struct settings *settings)
{
    const char *given = argv[*i];
    const size_t length = strcspn(given + 2, "=");
    const char *value = given[2 + length] ? given + 2 + length + 1 : NULL;
    const struct option *o = find(c, given + 2, length, 0);
    if (!o)
        return unknown(c, given);
    if (o->type == TYPE_FLAG && value)
        return wrong(c, "option '%s': --%s takes no value", given, o->name);
    if (o->type != TYPE_FLAG && !value)
        value = *i + 1 < argc ? argv[++*i] : NULL;
    if (o->type != TYPE_FLAG && !value)
        return wrong(c, "option '%s' needs a value: %s", given, o->argument);
    return set(c, o, value ? value : "", settings);
}

int options_parse(const struct command *c, int argc, char **argv, struct settings *settings)
{
    const struct option *o;
    for (int i = 0; (o = command_option(c, i)); i++)
        if (o->initial)
            set(c, o, o->initial, settings);
    settings->arguments = argv;
    bool ended = false;
    for (int i = 0; i < argc; i++) {
        char *argument = argv[i];
        int rc = 0;
        if (!ended && !strcmp(argument, "--"))
            ended = true;
        else if (ended || argument[0] != '-' || !argument[1])
            settings->arguments[settings->n_arguments++] = argument;
        else if (argument[1] == '-')
            rc = parse_name(c, argc, argv, &i, settings);
        else
            rc = parse_letters(c, argc, argv, &i, settings);
        if (rc)
            return rc;
    }
    if (settings->help || settings->version)
        return 0;
    if (settings->n_arguments < c->least)
        return wrong(c, "%s is missing; see finetune %s --help", c->arguments, c->name);
    if (c->most >= 0 && settings->n_arguments > c->most)
        return wrong(c, "unexpected argument '%s'; see finetune %s --help",
                     settings->arguments[c->most], c->name);
    return 0;
}
