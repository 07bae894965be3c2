#include "sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_directory(const char *path)
{
    struct stat st;
    return path && !stat(path, &st) && S_ISDIR(st.st_mode);
}

const char *source_name(const struct settings *s)
{
    return s->labels        ? s->labels
           : s->n_arguments ? s->arguments[0]
           : s->files_from  ? s->files_from
                            : ".";
}

/* All inputs, with labels from a table or from the names of their folders. */
static int collect(const struct settings *s, struct ft_dataset **out, struct ft_error *err)
{
    const struct ft_inputs_options from = { .list = s->files_from,
                                            .nul = s->nul,
                                            .stop = signals_stop };
    struct ft_dataset *table = NULL;
    struct ft_inputs *inputs = NULL;
    int rc = s->labels ? ft_dataset_open_labels(s->labels, NULL, &table, err) : 0;
    if (!rc)
        rc = ft_inputs_open(s->arguments, (size_t)s->n_arguments, &from, &inputs, err);
    if (!rc)
        rc = ft_dataset_open_inputs(inputs, table, out, err);
    if (!rc && (*out)->n_loose)
        note("%zu picture%s left out: no label", (*out)->n_loose,
             (*out)->n_loose == 1 ? " is" : "s are");
    ft_inputs_free(inputs);
    ft_dataset_free(table);
    return rc;
}

/* Opens `dir`, or the folder that `choose` selects if it contains train, val and test. `doing` is a
 * verb for the note about that. */
static int open_part(const char *dir, const char *doing,
                     char *(*choose)(char *train, char *val, char *test), struct ft_dataset **out,
                     char **name, struct ft_error *err)
{
    char *train = NULL, *val = NULL, *test = NULL;
    const bool parts = ft_dataset_layout(dir, &train, &val, &test);
    *name = strdup(parts ? choose(train, val, test) : dir);
    if (parts && *name)
        note("'%s' contains train%s%s: %s '%s'", dir, val ? " and val" : "",
             test ? " and test" : "", doing, *name);
    free(train);
    free(val);
    free(test);
    if (!*name)
        return out_of_memory(err, dir);
    const int rc = ft_dataset_open(*name, false, out, err);
    if (!rc)
        dataset_notes(*out, *name);
    return rc;
}

static char *train_part(char *train, char *val, char *test)
{
    (void)val;
    (void)test;
    return train;
}

static char *test_part(char *train, char *val, char *test)
{
    (void)train;
    return test ? test : val;
}

int source_part(const char *dir, const char *doing, struct ft_dataset **out, char **name,
                struct ft_error *err)
{
    return open_part(dir, doing, train_part, out, name, err);
}

static int open_test(const char *dir, struct ft_dataset **out, struct ft_error *err)
{
    char *name;
    const int rc = open_part(dir, "evaluating on", test_part, out, &name, err);
    free(name);
    return rc;
}

int source_inputs(const struct settings *s, struct ft_dataset **out, struct ft_error *err)
{
    const bool one_folder = s->n_arguments == 1 && !s->files_from && is_directory(s->arguments[0]);
    if (s->labels && !s->files_from && (one_folder || !s->n_arguments))
        return ft_dataset_open_labels(s->labels, one_folder ? s->arguments[0] : NULL, out, err);
    struct stat st;
    if (one_folder ||
        (s->n_arguments == 1 && !s->labels && !s->files_from && stat(s->arguments[0], &st)))
        return open_test(s->arguments[0], out, err);
    return collect(s, out, err);
}

int source_training(const struct settings *s, struct ft_dataset **out, char **dir, char **val,
                    struct ft_error *err)
{
    char *train = NULL, *test = NULL;
    const char *given = s->n_arguments ? s->arguments[0] : NULL;
    if (s->labels) {
        *dir = strdup(s->labels);
        return ft_dataset_open_labels(s->labels, given, out, err);
    }
    if (ft_dataset_layout(given, &train, val, &test)) {
        note("'%s' contains train%s%s: training on '%s'%s%s%s%s", given, *val ? " and val" : "",
             test ? " and test" : "", train, *val ? ", measuring on '" : "", *val ? *val : "",
             *val ? "'" : "", test ? "; use finetune evaluate for test" : "");
        free(test);
        *dir = train;
    } else
        *dir = strdup(given);
    const int rc = ft_dataset_open(*dir ? *dir : given, false, out, err);
    if (!rc)
        dataset_notes(*out, *dir ? *dir : given);
    return rc;
}
