/* Settings, options and commands: the tables from which parsing, checks, --help, the man pages and
 * the completions are made.
 *
 * A new option is a row in a table (the command's own, or a shared one of options.c) and a member
 * of struct settings. A new command is a file that defines `const struct command NAME_command`, its
 * name in commands.c and its name in meson.build. */
#ifndef FT_CLI_OPTIONS_H
#define FT_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The values of an option that may be repeated, in the order given. */
enum { LIST_LIMIT = 64 };
struct list {
    const char *items[LIST_LIMIT];
    int n;
};

/* The whole numbers of an option such as --size 224,288, in the order given. */
enum { NUMBERS_LIMIT = 16 };
struct numbers {
    int items[NUMBERS_LIMIT];
    int n;
};

/* Strings are borrowed from argv or from the tables; NULL: the option was not given. */
struct settings {
    const char *output, *model, *val, *resize, *class_weight, *compare, *csv, *group_by,
        *class_name, *method, *report, *scale;
    const char *layer, *depths, *preprocess, *architecture, *precision;
    int threads, folds, min_images, top, max_megapixels, neighbours, size;
    double l2; /* -1: chosen by cross-validation */
    double seconds, min_accuracy;
    uint64_t seed;
    uint64_t memory; /* limit for features, in bytes */
    const char *cache;
    double days;
    bool no_cache;
    const char *files_from, *label_from, *watch, *format, *fields, *copy_to, *move_to, *link_to,
        *labels, *path_column, *label_column, *threshold, *classes;
    bool channels_first, uint8, fp16, csv_safe, icc, nul, strict, probabilities, dry_run, log_json;
    bool json, quiet, verbose, layers, help, version;
    struct list min_recall, backbones;
    struct numbers sizes;
    int n_arguments; /* the arguments that are not options */
    char **arguments;
};

/* ---- options --------------------------------------------------------------------------------- */

enum option_type {
    TYPE_FLAG,   /* bool */
    TYPE_INT,    /* int from low to high */
    TYPE_SEED,   /* uint64_t */
    TYPE_NUMBER, /* double from low to high */
    TYPE_AUTO,   /* double from low to high; the word auto becomes -1 */
    TYPE_SIZE,   /* uint64_t: bytes, written 500M, 2G or 50% (of the machine's memory) */
    TYPE_TEXT,   /* const char *, one of `choices` if the row has any */
    TYPE_REGEX,  /* const char *, an extended regular expression */
    TYPE_LIST,   /* struct list: the option may be repeated, `high` times if that is not 0 */
    TYPE_INTS,   /* struct numbers: N,N,... from low to high; the option may be repeated */
};

/* What a command does with the file that an option names (outputs.c). */
enum option_file {
    FILE_NONE,
    FILE_READ, /* or the option may name something else, such as a network or a list of classes */
    FILE_WRITTEN,
    FILE_PICTURE, /* written; may replace a picture */
    FILE_TABLES,  /* a folder: FT_REPORT_CSV_NAMES are written there */
};

struct option {
    const char *name;
    char letter; /* 0: no short form */
    enum option_type type;
    size_t setting; /* offset in struct settings */
    double low, high;
    const char *argument; /* "FILE"; NULL for flags */
    const char *choices;  /* "crop|squash|pad"; NULL: any text */
    const char *initial;  /* the default, as a user would type it; NULL: none */
    enum option_file file;
    const char *help;
};

/* Type and offset of a row; a member of another type does not compile. */
#define SETTING(member, type)                                                                      \
    offsetof(struct settings, member) + 0 * sizeof(_Generic(((struct settings *)0)->member, type   \
                                                            : (char)0))
#define FLAG(member) .type = TYPE_FLAG, .setting = SETTING(member, bool)
#define INT(member, min, max)                                                                      \
    .type = TYPE_INT, .setting = SETTING(member, int), .low = min, .high = max
#define SEED(member) .type = TYPE_SEED, .setting = SETTING(member, uint64_t)
#define NUMBER(member, min, max)                                                                   \
    .type = TYPE_NUMBER, .setting = SETTING(member, double), .low = min, .high = max
#define AUTO(member, min, max)                                                                     \
    .type = TYPE_AUTO, .setting = SETTING(member, double), .low = min, .high = max
#define SIZE(member)          .type = TYPE_SIZE, .setting = SETTING(member, uint64_t)
#define TEXT(member)          .type = TYPE_TEXT, .setting = SETTING(member, const char *)
#define REGEX(member)         .type = TYPE_REGEX, .setting = SETTING(member, const char *)
#define LIST(member)          .type = TYPE_LIST, .setting = SETTING(member, struct list)
#define LIST_OF(member, most) LIST(member), .high = most
#define INTS(member, min, max)                                                                     \
    .type = TYPE_INTS, .setting = SETTING(member, struct numbers), .low = min, .high = max

/* Options that several commands share (options.c). A table ends with a row without a name. */
extern const struct option backbone_name_options[],     /* which network to use */
    model_options[],                                    /* which model to use */
    network_options[],                                  /* how a network file is read */
    precision_options[],                                /* in what numbers a network computes */
    resize_options[], label_options[], class_options[], /* what the classes of a folder are */
    list_options[], report_options[], fit_options[], /* cross-validation and the fit of the head */
    layer_options[],                                 /* of which layers the features consist */
    thread_options[], picture_options[], cache_options[];

/* ---- commands -------------------------------------------------------------------------------- */

#define DEFAULT_MODEL "model.h5" /* that train writes and the other commands read */

enum { OPTION_TABLES = 12 };
struct command {
    const char *name;
    const char *arguments, *summary;             /* "DIR", "train a classifier on ..." */
    int least, most;                             /* number of arguments; most -1: no limit */
    int (*run)(const struct settings *settings); /* returns the exit status */
    const char *more;                            /* last paragraphs of the help; nullable */
    /* tables in the order of the help; the options that all commands have are added */
    const struct option *options[OPTION_TABLES];
};
extern const struct command *const commands[]; /* [n_commands], commands.c */
extern const int n_commands;

const struct command *command_named(const char *name); /* NULL: there is none */
/* The i-th option of a command; NULL after the last. */
const struct option *command_option(const struct command *command, int i);

/* ---- parsing (parse.c) ----------------------------------------------------------------------- */

/* Returns 0, or EXIT_USAGE after a message. Options and arguments may be mixed; "--" ends the
 * options. */
int options_parse(const struct command *command, int argc, char **argv, struct settings *settings);
/* The one of `words` [n] with the smallest edit distance to `word`; NULL if none is close. */
const char *nearest_word(const char *word, const char *const *words, size_t n);

/* ---- outputs (outputs.c) --------------------------------------------------------------------- */

/* Returns 0, or EXIT_USAGE after a message: an output of the command would replace a file that the
 * command reads, a picture, or another output. Looks at the files that arguments and options name,
 * not at all pictures in folders. */
int outputs_check(const struct command *command, const struct settings *settings);

/* ---- texts made from the tables -------------------------------------------------------------- */

void help_print(const struct command *command); /* help.c */
/* Prints finetune(1), or finetune-COMMAND(1), as roff; returns the exit status (manual.c). */
int manual_main(const char *command);
/* Prints completions for bash, zsh or fish; returns the exit status (completion.c). */
int completion_main(const char *shell);

#endif
