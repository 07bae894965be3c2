/* finetune predict: classifies a stream of pictures; rows are printed in the order of the inputs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rows.h"
#include "sort.h"
#include "thresholds.h"

struct run {
    const struct settings *settings;
    struct ft_inputs *inputs;
    const struct ft_head *head;
    char *const *classes;
    int k, top;
    double *thresholds; /* [k] */
    float *p;           /* [k] */
    int *order;         /* [k] classes, most probable first */
    int *found;         /* [k] classes that reach their threshold, if classes are independent */
    struct rows rows;
    size_t n_rows, n_bad, n_empty; /* n_empty: folders without pictures */
    bool stopped;                  /* by --strict */
    int rc;                        /* nonzero: a picture could not be copied, moved or linked */
    struct ft_error error;
};

static const char *next_input(void *user)
{
    return ft_inputs_next(((struct run *)user)->inputs);
}

/* Puts the `top` most probable classes first in x->order; of equal ones the earlier class. */
static void sort_top(struct run *x, int top)
{
    for (int i = 0; i < x->k; i++)
        x->order[i] = i;
    for (int place = 0; place < top; place++)
        for (int i = x->k - 1; i > place; i--)
            if (x->p[x->order[i]] > x->p[x->order[i - 1]]) {
                const int swap = x->order[i];
                x->order[i] = x->order[i - 1];
                x->order[i - 1] = swap;
            }
}

static bool reaches(const struct run *x, int c)
{
    return (double)x->p[c] >= x->thresholds[c];
}

/* Fills x->found, most probable first; returns their number. */
static int find_labels(struct run *x)
{
    int n = 0;
    for (int i = 0; i < x->k && x->head->independent; i++)
        if (reaches(x, x->order[i]))
            x->found[n++] = x->order[i];
    return n;
}

static int take_row(void *user, const struct ft_row *row)
{
    struct run *x = user;
    struct prediction prediction = {
        .path = row->path, .p = x->p, .order = x->order, .found = x->found
    };
    x->n_rows++;
    picture_note(row);
    if (row->status) {
        prediction.error = row->error;
        x->n_bad++;
        x->stopped |= x->settings->strict;
    } else {
        ft_head_probabilities(x->head, row->feature, 1, x->p);
        sort_top(x, x->head->independent ? x->k : x->top);
        prediction.n_found = find_labels(x);
        const int best = x->order[0];
        prediction.label = reaches(x, best) ? x->classes[best] : "unknown";
    }
    rows_put(&x->rows, &prediction);
    if (!row->status && sort_target(x->settings))
        x->rc = sort_picture(x->settings, row->path, prediction.label, &x->error);
    /* each row is visible at once; a closed pipe ends the run */
    return !flush_output() || x->stopped || x->rc;
}

static int check_settings(const struct settings *s)
{
    if (!s->n_arguments && !s->files_from && !s->watch)
        say("predict: PICTURE or DIR is missing (or --files-from FILE, or --watch DIR); see "
            "finetune predict --help");
    else if (!!s->copy_to + !!s->move_to + !!s->link_to > 1)
        say("predict: use only one of --copy-to, --move-to and --link-to");
    else if (s->dry_run && !sort_target(s))
        say("predict: --dry-run needs --copy-to, --move-to or --link-to");
    else if (s->nul && !s->files_from)
        say("predict: --null needs --files-from FILE (use - for standard input)");
    else
        return thresholds_check(s);
    return EXIT_USAGE;
}

/* A single picture is split over the threads. */
static bool is_lone(const struct settings *s)
{
    struct stat st;
    return s->n_arguments == 1 && !s->files_from && !s->watch &&
           !(!stat(s->arguments[0], &st) && S_ISDIR(st.st_mode));
}

static int run(struct run *x, const struct ft_model *model, struct ft_error *err)
{
    const struct settings *s = x->settings;
    const struct ft_inputs_options from = { .list = s->files_from,
                                            .nul = s->nul,
                                            .watch = s->watch,
                                            .except = sort_target(s),
                                            .stop = signals_stop,
                                            .empty = say_empty,
                                            .user = &x->n_empty };
    struct ft_extract_options options;
    int rc = ft_inputs_open(s->arguments, (size_t)s->n_arguments, &from, &x->inputs, err);
    if (rc)
        return rc;
    extract_options(s, &options);
    options.lone = is_lone(s);
    options.prompt = s->watch || (s->files_from && !strcmp(s->files_from, "-"));
    options.cache = s->cache ? cache_open(s) : NULL;
    rc = ft_extract(ft_model_backbone(model), &options, next_input, take_row, x, err);
    cache_close(options.cache);
    if (rc == FT_ECANCELLED) {
        rc = x->rc;
        *err = x->error;
    }
    if (!rc)
        rc = ft_inputs_status(x->inputs, err);
    ft_inputs_free(x->inputs);
    return rc;
}

/* Classifies all inputs and prints their rows; returns the exit status. */
static int classify(struct run *x, const struct ft_model *model)
{
    const struct settings *s = x->settings;
    struct ft_error err;
    if (thresholds_read(s, model, x->thresholds, &err))
        return fail(&err);
    if (x->head->independent && sort_target(s)) {
        refuse(&err, FT_EARG,
               "a picture can have several labels of '%s': --copy-to, --move-to and --link-to need "
               "a model that gives one",
               s->model);
        return fail(&err);
    }
    const int wrong = rows_begin(&x->rows, s, x->classes, x->k, x->head->independent);
    if (wrong)
        return wrong;
    signals_catch();
    const int rc = run(x, model, &err);
    signals_release();
    const int status = rc                           ? fail(&err)
                       : x->n_empty && !x->n_rows   ? EXIT_FAILED
                       : x->n_empty + x->n_bad != 0 ? EXIT_PARTLY
                                                    : EXIT_DONE;
    if (!rc && !x->n_rows && !x->n_empty && !s->watch)
        note("there are no pictures to classify");
    rows_end(&x->rows);
    return status;
}

static int predict_main(const struct settings *s)
{
    struct ft_error err;
    struct ft_model *model = NULL;
    struct run x = { .settings = s };
    const int wrong = check_settings(s);
    if (wrong)
        return wrong;
    if (model_open(s, &model, &err))
        return fail(&err);
    x.head = ft_model_head(model);
    x.classes = ft_model_class_names(model);
    x.k = x.head->k;
    x.top = s->top < x.k ? s->top : x.k;
    x.p = malloc((size_t)x.k * sizeof *x.p);
    x.order = malloc((size_t)x.k * sizeof *x.order);
    x.found = malloc((size_t)x.k * sizeof *x.found);
    x.thresholds = malloc((size_t)x.k * sizeof *x.thresholds);
    int status;
    if (x.p && x.order && x.found && x.thresholds)
        status = classify(&x, model);
    else {
        out_of_memory(&err, s->model);
        status = fail(&err);
    }
    if (s->watch)
        signals_forget(); /* a signal is the normal end of --watch */
    free(x.p);
    free(x.order);
    free(x.found);
    free(x.thresholds);
    ft_model_free(model);
    return status;
}

static const struct option predict_options[] = {
    { "top", 0, INT(top, 1, 1000), .argument = "K", .initial = "1",
      .help = "print the K most probable labels" },
    { "watch", 0, TEXT(watch), .argument = "DIR",
      .help = "keep running and classify each picture that is written or moved into DIR" },
    { "format", 0, TEXT(format), .argument = "FORMAT", .choices = "text|tsv|csv|json|jsonl",
      .initial = "text", .help = "all formats except text also have a row for each bad picture" },
    { "fields", 0, TEXT(fields), .argument = "A,B,...",
      .help = "print only these columns, in this order" },
    { "csv-safe", 0, FLAG(csv_safe),
      .help = "put an apostrophe before cells of csv and tsv that a spreadsheet would take for a "
              "formula (=, +, -, @)" },
    { "probabilities", 0, FLAG(probabilities), .help = "add one column for each class" },
    { "threshold", 0, TEXT(threshold), .argument = "auto|P|CLASS=P,...",
      .help = "print the label 'unknown' if the probability is below P, or below the P of its "
              "class; auto: use the threshold stored in the model. In a model with several labels "
              "for a picture: the probability from which a label is printed (default: 0.5)" },
    { "strict", 0, FLAG(strict), .help = "stop at the first bad picture" },
    { "copy-to", 0, TEXT(copy_to), .argument = "DIR",
      .help = "copy each picture to DIR/LABEL/; existing files are not overwritten" },
    { "move-to", 0, TEXT(move_to), .argument = "DIR", .help = "move each picture to DIR/LABEL/" },
    { "link-to", 0, TEXT(link_to), .argument = "DIR",
      .help = "make a symbolic link to each picture in DIR/LABEL/" },
    { "dry-run", 'n', FLAG(dry_run), .help = "only print what would be copied, moved or linked" },
    { "cache", 0, TEXT(cache), .argument = "DIR",
      .help = "folder that keeps features between runs (default: none)" },
    { 0 },
};

const struct command predict_command = {
    .name = "predict",
    .arguments = "PICTURE|DIR...",
    .summary = "classify pictures: print path, label and probability, one line for each",
    .most = -1,
    .run = predict_main,
    .more = "Columns: path, label, probability, status, error; with --top also label2, "
            "probability2, ...; with --probabilities one column for each class. A model with "
            "several labels for a "
            "picture has these columns always, joins the labels that reach the threshold with ';' "
            "and prints 'none' if none does.\n\n"
            "Examples:\n"
            "  finetune predict holiday | awk -F'\\t' '$2 == \"cat\" && $3 > 0.9 { print $1 }'\n"
            "  find . -name '*.jpg' -print0 | finetune predict -0 --files-from - --format csv\n"
            "  finetune predict inbox --move-to sorted --threshold auto",
    .options = { model_options, predict_options, list_options, thread_options, picture_options },
};
