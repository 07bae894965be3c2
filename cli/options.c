/* One table of options: a row names the commands that it belongs to, the setting it fills, its
 * range and its help. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum type {
    FLAG,   /* bool */
    INT,    /* int in [low, high] */
    SEED,   /* uint64_t */
    NUMBER, /* double in [low, high] */
    AUTO,   /* double in [low, high], or the word auto: -1 */
    SIZE,   /* uint64_t bytes: 500M, 2G, or 50% of the memory */
    WORD,   /* const char *, one of choices where there are any */
    REGEX,  /* const char *, an extended regular expression */
    /* const char *[MOST_GIVEN], then the int that counts them: may be given more than once */
    WORDS,
};

struct option {
    unsigned commands;
    const char *name;
    char letter;
    enum type type;
    size_t setting; /* offset in struct settings */
    double low, high;
    const char *argument, *choices; /* choices: "crop|squash|pad" */
    /* what holds when the option is not given, as it would be typed; NULL: nothing */
    const char *initial;
    const char *help;
};

#define AT(member) offsetof(struct settings, member)
#define FITTING    (CMD_TRAIN | CMD_DOCTOR | CMD_CURVE)
#define RUNNING    (CMD_TRAIN | CMD_PREDICT | CMD_EVALUATE | CMD_FEATURES | CMD_DOCTOR | CMD_CURVE)
#define CUTTING    (CMD_TRAIN | CMD_FEATURES | CMD_INFO | CMD_BENCH | CMD_IMPORT)

static const struct option options[] = {
    { CMD_TRAIN, "output", 'o', WORD, AT(output), 0, 0, "FILE", NULL, "model.h5",
      "the model file to write" },
    { CMD_EXPLAIN, "output", 'o', WORD, AT(output), 0, 0, "FILE", NULL, NULL,
      "a PNG picture with the heat map" },
    { CMD_FEATURES, "output", 'o', WORD, AT(output), 0, 0, "FILE", NULL, "features.h5",
      "the HDF5 file to write" },
    { CMD_PREDICT | CMD_EVALUATE | CMD_EXPLAIN, "model", 'm', WORD, AT(model), 0, 0, "FILE", NULL,
      "model.h5", "the model to use" },
    { CMD_TRAIN | CMD_DOCTOR | CMD_FEATURES, "backbone", 'b', WORD, AT(backbone), 0, 0, "NAME|FILE",
      NULL, "efficientnet-lite0", "the frozen network: bundled, or a Keras file" },
    { CMD_CURVE, "backbone", 'b', WORDS, AT(backbones), 0, 0, "NAME|FILE", NULL, NULL,
      "a frozen network; may be repeated to compare them" },
    { CMD_TRAIN, "val", 0, WORD, AT(val), 0, 0, "DIR", NULL, NULL,
      "report on this folder as well" },
    { CMD_TRAIN, "l2", 0, AUTO, AT(l2), 0, 1e6, "auto|VALUE", NULL, "auto",
      "weight decay; auto: the best by cross-validation" },
    { FITTING, "folds", 0, INT, AT(folds), 2, 100, "N", NULL, "5",
      "folds of the cross-validation" },
    { FITTING, "group-by", 0, REGEX, AT(group_by), 0, 0, "REGEX", NULL, NULL,
      "pictures whose path has the same text in REGEX's (...) stay in one fold" },
    { CMD_TRAIN, "class-weight", 0, WORD, AT(class_weight), 0, 0, "RULE", "auto|balanced|none",
      "auto", "auto: balanced when class sizes differ" },
    { FITTING, "seed", 0, SEED, AT(seed), 0, 0, "N", NULL, "1", "of the folds" },
    { FITTING | CMD_FEATURES, "resize", 0, WORD, AT(resize), 0, 0, "RULE", "crop|squash|pad", NULL,
      "how a picture is fitted into the network's input (default: the network's own)" },
    { CUTTING, "layer", 0, WORD, AT(layer), 0, 0, "NAME", NULL, NULL,
      "the layer whose output is the feature (default: what enters the last Dense)" },
    { CUTTING | CMD_PREDICT | CMD_EVALUATE, "preprocess", 0, WORD, AT(preprocess), 0, 0, "MODE",
      NULL, NULL,
      "how pixels enter: tf, torch, caffe, none or SCALE,OFFSET (default: recognised)" },
    { CUTTING, "arch", 0, WORD, AT(architecture), 0, 0, "NAME", NULL, NULL,
      "the architecture of a weights-only file (default: recognised)" },
    { CUTTING, "size", 0, INT, AT(size), 1, 4096, "N", NULL, NULL,
      "the input's width and height (default: the network's own)" },
    { CMD_IMPORT, "output", 'o', WORD, AT(output), 0, 0, "FILE", NULL, "backbone.h5",
      "the Keras file to write" },
    { CMD_PREDICT, "top", 0, INT, AT(top), 1, 1000, "K", NULL, "1", "the K most probable labels" },
    { CMD_PREDICT | CMD_EVALUATE | CMD_FEATURES, "files-from", 0, WORD, AT(files_from), 0, 0,
      "FILE", NULL, NULL, "paths of pictures and directories, one a line; -: from standard input" },
    { CMD_PREDICT | CMD_EVALUATE | CMD_FEATURES, "null", '0', FLAG, AT(nul), 0, 0, NULL, NULL, NULL,
      "the paths of --files-from end in NUL, as find -print0 writes them" },
    { CMD_TRAIN | CMD_EVALUATE, "labels", 0, WORD, AT(labels), 0, 0, "FILE.csv", NULL, NULL,
      "a table path,label instead of directories; relative paths are looked for in DIR, else "
      "beside it" },
    { CMD_PREDICT, "watch", 0, WORD, AT(watch), 0, 0, "DIR", NULL, NULL,
      "keep running: every picture that arrives in DIR, once it is completely written" },
    { CMD_PREDICT, "format", 0, WORD, AT(format), 0, 0, "FORMAT", "text|tsv|csv|json|jsonl", "text",
      "all but text have a row for bad pictures too" },
    { CMD_PREDICT, "fields", 0, WORD, AT(fields), 0, 0, "A,B,...", NULL, NULL,
      "these columns in this order" },
    { CMD_PREDICT, "probabilities", 0, FLAG, AT(probabilities), 0, 0, NULL, NULL, NULL,
      "a column for each class" },
    { CMD_PREDICT, "threshold", 0, AUTO, AT(threshold), 0, 1, "auto|P", NULL, "0",
      "a less probable label becomes unknown; auto: as fitted when the model was trained" },
    { CMD_PREDICT, "strict", 0, FLAG, AT(strict), 0, 0, NULL, NULL, NULL,
      "stop at the first bad picture" },
    { CMD_PREDICT, "copy-to", 0, WORD, AT(copy_to), 0, 0, "DIR", NULL, NULL,
      "copy every picture to DIR/label/; nothing is overwritten" },
    { CMD_PREDICT, "move-to", 0, WORD, AT(move_to), 0, 0, "DIR", NULL, NULL, "move it" },
    { CMD_PREDICT, "link-to", 0, WORD, AT(link_to), 0, 0, "DIR", NULL, NULL,
      "make a symbolic link" },
    { CMD_PREDICT, "dry-run", 'n', FLAG, AT(dry_run), 0, 0, NULL, NULL, NULL,
      "only say what would be copied, moved or linked" },
    { CMD_EVALUATE, "min-accuracy", 0, NUMBER, AT(min_accuracy), 0, 1, "P", NULL, NULL,
      "exit status 3 below this accuracy" },
    { CMD_EVALUATE, "min-recall", 0, WORDS, AT(min_recall), 0, 0, "CLASS=P", NULL, NULL,
      "exit status 3 below this recall of a class; may be repeated" },
    { CMD_EVALUATE, "compare", 0, WORD, AT(compare), 0, 0, "FILE", NULL, NULL,
      "another model on the same pictures: McNemar's test" },
    { CMD_EXPLAIN, "class", 0, WORD, AT(class_name), 0, 0, "NAME", NULL, NULL,
      "evidence for this class (default: the most probable)" },
    { CMD_EXPLAIN, "compare", 0, WORD, AT(compare), 0, 0, "A,B", NULL, NULL,
      "what speaks for class A against class B" },
    { CMD_EXPLAIN, "neighbours", 0, INT, AT(neighbours), 0, 1000, "K", NULL, "3",
      "the K most similar training pictures" },
    { CMD_TRAIN | CMD_EVALUATE, "report", 0, WORD, AT(report), 0, 0, "FILE", NULL, NULL,
      "one HTML page on how good it is and why, with pictures" },
    { CMD_EVALUATE, "csv", 0, WORD, AT(csv), 0, 0, "DIR", NULL, NULL,
      "predictions and tables as CSV files in this directory" },
    { CMD_BENCH | CMD_BACKBONES, "seconds", 0, NUMBER, AT(seconds), 0.01, 600, "S", NULL, "3",
      "how long to measure" },
    { CMD_BENCH | CMD_INFO, "layers", 0, FLAG, AT(layers), 0, 0, NULL, NULL, NULL,
      "a line for each layer" },
    { RUNNING | CMD_BENCH, "threads", 't', INT, AT(threads), 0, 1024, "N", NULL, "0",
      "0: one a core" },
    { RUNNING | CMD_EXPLAIN, "max-megapixels", 0, INT, AT(max_megapixels), 1, 65536, "N", NULL,
      "256", "a larger picture counts as bad" },
    { FITTING | CMD_EVALUATE | CMD_FEATURES | CMD_CACHE, "cache", 0, WORD, AT(cache), 0, 0, "DIR",
      NULL, NULL, "where features are kept between runs (default: $XDG_CACHE_HOME/finetune)" },
    { CMD_PREDICT, "cache", 0, WORD, AT(cache), 0, 0, "DIR", NULL, NULL,
      "look features up in this folder and keep them there (default: none are kept)" },
    { FITTING | CMD_EVALUATE | CMD_FEATURES, "no-cache", 0, FLAG, AT(no_cache), 0, 0, NULL, NULL,
      NULL, "compute all features, keep none" },
    { FITTING | CMD_EVALUATE | CMD_FEATURES, "memory", 0, SIZE, AT(memory), 0, 0, "SIZE", NULL,
      "25%",
      "features that take more (500M, 2G, 50%) are read from a scratch file, a block of rows at a "
      "time; doctor, curve and --report decline" },
    { CMD_CACHE, "days", 0, NUMBER, AT(days), 0, 36500, "N", NULL, "90",
      "prune: what was of no use for so long goes" },
    { CMD_ALL, "json", 0, FLAG, AT(json), 0, 0, NULL, NULL, NULL, "the result as JSON" },
    { CMD_ALL, "log-json", 0, FLAG, AT(log_json), 0, 0, NULL, NULL, NULL,
      "messages and progress as JSON, one object a line" },
    { CMD_ALL, "quiet", 'q', FLAG, AT(quiet), 0, 0, NULL, NULL, NULL, "only results and errors" },
    { CMD_ALL, "verbose", 'v', FLAG, AT(verbose), 0, 0, NULL, NULL, NULL, "say more" },
    { CMD_ALL, "version", 0, FLAG, AT(version), 0, 0, NULL, NULL, NULL, "print the version" },
    { CMD_ALL, "help", 'h', FLAG, AT(help), 0, 0, NULL, NULL, NULL, "this text" },
};
#define N_OPTIONS (sizeof options / sizeof *options)

static size_t edit_distance(const char *a, const char *b)
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
    return row[n];
}

const char *nearest_word(const char *word, const char *const *words, size_t n)
{
    const char *best = NULL;
    size_t least = strlen(word) / 2 + 1; /* further than that is no slip of the fingers */
    for (size_t i = 0; i < n; i++) {
        const size_t distance = edit_distance(word, words[i]);
        if (distance < least || (distance <= least && !strncmp(word, words[i], strlen(word)))) {
            least = distance;
            best = words[i];
        }
    }
    return best;
}

static int wrong(const struct command *c, const char *format, const char *a, const char *b)
{
    char text[400];
    snprintf(text, sizeof text, format, a, b);
    say("%s: %s", c->name, text);
    return EXIT_USAGE;
}

static const struct option *find(const struct command *c, const char *name, size_t length,
                                 char letter)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option *o = &options[i];
        if ((o->commands & c->bit) &&
            (name ? strlen(o->name) == length && !strncmp(o->name, name, length)
                  : o->letter && o->letter == letter))
            return o;
    }
    return NULL;
}

static int unknown(const struct command *c, const char *given)
{
    const char *names[N_OPTIONS];
    char name[64];
    size_t n = 0;
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (options[i].commands & c->bit)
            names[n++] = options[i].name;
    snprintf(name, sizeof name, "%s", given + strspn(given, "-"));
    name[strcspn(name, "=")] = 0;
    const char *near = nearest_word(name, names, n);
    char hint[80];
    snprintf(hint, sizeof hint, near ? "did you mean --%s?" : "--help lists the options", near);
    return wrong(c, "unknown option '%s': %s", given, hint);
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

/* Bytes from 500M, 2G, 1048576 or 50%; false where that is none. */
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
    const int bad = regcomp(&regex, text, REG_EXTENDED | REG_NOSUB);
    if (!bad) {
        regfree(&regex);
        return 0;
    }
    regerror(bad, &regex, why, sizeof why);
    return wrong(c, "'%s': an extended regular expression is wanted: %s", shown, why);
}

/* Fills a setting from its text; 0, or EXIT_USAGE after a message. */
static int set(const struct command *c, const struct option *o, const char *text,
               struct settings *settings)
{
    void *to = (char *)settings + o->setting;
    char shown[96], range[96], *end = "";
    snprintf(shown, sizeof shown, "--%s %.60s", o->name, text);
    snprintf(range, sizeof range, "a number from %.10g to %.10g is wanted%s", o->low, o->high,
             o->type == AUTO ? ", or auto" : "");
    errno = 0;
    switch (o->type) {
    case FLAG:
        *(bool *)to = true;
        return 0;
    case WORD:
        if (o->choices && !among(text, o->choices))
            return wrong(c, "'%s' is none of %s", shown, o->choices);
        *(const char **)to = text;
        return 0;
    case REGEX:
        *(const char **)to = text;
        return check_regex(c, shown, text);
    case WORDS: {
        int *count = (int *)((const char **)to + MOST_GIVEN);
        if (*count == MOST_GIVEN)
            return wrong(c, "'%s': given too often%s", shown, "");
        ((const char **)to)[(*count)++] = text;
        return 0;
    }
    case SEED:
        *(uint64_t *)to = strtoull(text, &end, 10);
        if (errno || *end || !isdigit((unsigned char)*text))
            return wrong(c, "'%s': a whole number from 0 to 18446744073709551615 is wanted%s",
                         shown, "");
        return 0;
    case SIZE:
        return parse_size(text, to)
                   ? 0
                   : wrong(c, "'%s': a size as 500M, 2G or 50%% of the memory is wanted%s", shown,
                           "");
    case INT:
    case NUMBER:
    case AUTO: {
        const bool automatic = o->type == AUTO && !strcmp(text, "auto");
        const double value = automatic ? -1 : strtod(text, &end);
        if (!automatic && (end == text || *end || errno || !(value >= o->low && value <= o->high)))
            return wrong(c, "'%s': %s", shown, range);
        if (o->type == INT && value != floor(value))
            return wrong(c, "'%s': %s", shown, "a whole number is wanted");
        if (o->type == INT)
            *(int *)to = (int)value;
        else
            *(double *)to = value;
        return 0;
    }
    }
    return 0;
}

/* One argument that begins with a dash; *i moves on when its value is the next argument. */
static int parse_option(const struct command *c, int argc, char **argv, int *i,
                        struct settings *settings)
{
    const char *given = argv[*i];
    if (given[1] !=
        '-') { /* letters, the last of which may take a value: -q, -o FILE, -oFILE, -qo FILE */
        for (const char *letter = given + 1; *letter; letter++) {
            const struct option *o = find(c, NULL, 0, *letter);
            if (!o)
                return unknown(c, given);
            const char *value = o->type == FLAG ? ""
                                : letter[1]     ? letter + 1
                                : *i + 1 < argc ? argv[++*i]
                                                : NULL;
            if (!value)
                return wrong(c, "option '%s' wants a value: %s", given, o->argument);
            const int bad = set(c, o, value, settings);
            if (bad || o->type != FLAG)
                return bad;
        }
        return 0;
    }
    const size_t length = strcspn(given + 2, "=");
    const char *value = given[2 + length] ? given + 2 + length + 1 : NULL;
    const struct option *o = find(c, given + 2, length, 0);
    if (!o)
        return unknown(c, given);
    if (o->type == FLAG && value)
        return wrong(c, "option '%s' takes no value%s", given, "");
    if (o->type != FLAG && !value)
        value = *i + 1 < argc ? argv[++*i] : NULL;
    if (o->type != FLAG && !value)
        return wrong(c, "option '%s' wants a value: %s", given, o->argument);
    return set(c, o, value, settings);
}

int options_parse(const struct command *c, int argc, char **argv, struct settings *settings)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if ((options[i].commands & c->bit) && options[i].initial)
            set(c, &options[i], options[i].initial, settings);
    settings->arguments = argv;
    bool ended = false;
    for (int i = 0; i < argc; i++) {
        char *argument = argv[i];
        if (!ended && !strcmp(argument, "--"))
            ended = true;
        else if (ended || argument[0] != '-' || !argument[1])
            settings->arguments[settings->n_arguments++] = argument;
        else if (parse_option(c, argc, argv, &i, settings))
            return EXIT_USAGE;
    }
    if (settings->help || settings->version)
        return 0;
    if (settings->n_arguments < c->least)
        return wrong(c, "%s is missing; finetune %s --help says more", c->arguments, c->name);
    if (c->most >= 0 && settings->n_arguments > c->most)
        return wrong(c, "'%s' is one argument too many; finetune %s --help says more",
                     settings->arguments[c->most], c->name);
    return 0;
}

/* Text for roff: dashes are minus signs, a leading dot or quote is no request. */
void put_roff(const char *s)
{
    if (*s == '.' || *s == '\'')
        fputs("\\&", stdout);
    for (; *s; s++)
        fputs(*s == '-' ? "\\-" : *s == '\\' ? "\\e" : (char[]){ *s, 0 }, stdout);
}

void options_each(const struct command *c, void (*each)(const struct option_text *, void *),
                  void *user)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (options[i].commands & c->bit)
            each(&(struct option_text){ options[i].name, options[i].letter, options[i].argument,
                                        options[i].choices, options[i].help },
                 user);
}

void options_manual(const struct command *c)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option *o = &options[i];
        if (!(o->commands & c->bit))
            continue;
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
}

void options_help(const struct command *c)
{
    printf("usage: finetune %s [OPTION...] %s\n\n%c%s.\n\n", c->name, c->arguments,
           toupper((unsigned char)c->summary[0]), c->summary + 1);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option *o = &options[i];
        char left[64], choices[64] = "", initial[48] = "";
        if (!(o->commands & c->bit))
            continue;
        snprintf(left, sizeof left, "%c%c%s--%s%s%s", o->letter ? '-' : ' ',
                 o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
                 o->argument ? " " : "", o->argument ? o->argument : "");
        if (o->choices)
            snprintf(choices, sizeof choices, "%s: ", o->choices);
        if (o->initial)
            snprintf(initial, sizeof initial, " (default %s)", o->initial);
        printf("  %-26s %s%s%s\n", left, choices, o->help, initial);
    }
    if (c->more)
        printf("\n%s\n", c->more);
}
