#include "sources.h"
#include "classes.h"

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

static int open_table(const struct settings *s, const char *dir, struct ft_dataset **out,
                      struct ft_error *err)
{
    const struct ft_table_options options = { .dir = dir,
                                              .path_column = s->path_column,
                                              .label_column = s->label_column };
    const int rc = ft_dataset_open_labels(s->labels, &options, out, err);
    if (!rc && (*out)->understood)
        note("'%s': %s", s->labels, (*out)->understood);
    return rc;
}

/* Opens all inputs, with labels from a table or from the names of their folders. */
static int collect(const struct settings *s, struct ft_dataset **out, struct ft_error *err)
{
    size_t empty = 0;
    const struct ft_inputs_options from = { .list = s->files_from,
                                            .nul = s->nul,
                                            .stop = signals_stop,
                                            .empty = say_empty,
                                            .user = &empty };
    struct ft_dataset *table = NULL;
    struct ft_inputs *inputs = NULL;
    int rc = s->labels ? open_table(s, NULL, &table, err) : 0;
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

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "'d' contains train and val and test: DOING 'd/train'", or what was skipped. */
static void layout_note(const char *dir, const struct ft_layout *l, const char *doing,
                        const char *used)
{
    char rest[600] = "";
    if (!l->val && !l->test && !l->unlabelled) {
        note("'%s' contains nothing but the folder '%s': %s '%s'", dir, last_name(used), doing,
             used);
        return;
    }
    if (l->val && used == l->train && !strcmp(doing, "training on"))
        snprintf(rest, sizeof rest, ", measuring on '%s'%s", l->val,
                 l->test ? "; use finetune evaluate for test" : "");
    if (l->unlabelled)
        snprintf(rest + strlen(rest), sizeof rest - strlen(rest),
                 "; '%s' has no class folders and is not used", l->unlabelled);
    note("'%s' contains %s%s%s%s%s: %s '%s'%s", dir, last_name(l->train), l->val ? " and " : "",
         l->val ? last_name(l->val) : "", l->test ? " and " : "", l->test ? last_name(l->test) : "",
         doing, used, rest);
}

/* Opens a folder with --label-from, and prints how many pictures got no label. */
static int open_named(const struct settings *s, const char *dir, struct ft_dataset **out,
                      struct ft_error *err)
{
    const int rc = ft_dataset_open_named(dir, s->label_from, out, err);
    if (!rc && (*out)->n_loose)
        note("--label-from '%s' does not match the names of %zu picture%s in '%s': left out",
             s->label_from, (*out)->n_loose, plural((*out)->n_loose), dir);
    return rc;
}

int source_folder(const struct settings *s, const char *dir, struct ft_dataset **out,
                  struct ft_error *err)
{
    const bool named = s->label_from && strcmp(s->label_from, "folder");
    const int rc = named ? open_named(s, dir, out, err) : ft_dataset_open(dir, false, out, err);
    if (!rc)
        dataset_notes(*out, dir);
    if (!rc && !named)
        class_notes(*out, dir);
    return rc;
}

/* Opens a folder of pictures as --label-from says. `layout` receives its parts; `test`: open the
 * test part, not the train part. */
static int open_folder(const struct settings *s, const char *dir, const char *doing, bool test,
                       struct ft_layout *layout, struct ft_dataset **out, char **name,
                       struct ft_error *err)
{
    const char *used = dir;
    int rc = s->label_from ? 0 : ft_dataset_layout(dir, layout, err);
    if (!rc && layout->train) {
        const char *held_out = layout->test ? layout->test : layout->val;
        used = test && held_out ? held_out : layout->train;
        layout_note(dir, layout, doing, used);
    }
    if (rc)
        return rc;
    *name = strdup(used);
    return *name ? source_folder(s, used, out, err) : out_of_memory(err, dir);
}

int source_part(const struct settings *s, const char *doing, struct ft_dataset **out, char **name,
                struct ft_error *err)
{
    struct ft_layout layout = { 0 };
    if (s->labels) {
        *name = strdup(s->labels);
        return *name ? open_table(s, s->n_arguments ? s->arguments[0] : NULL, out, err)
                     : out_of_memory(err, s->labels);
    }
    const int rc = open_folder(s, s->arguments[0], doing, false, &layout, out, name, err);
    ft_layout_release(&layout);
    return rc;
}

int source_check(const struct settings *s, const char *command)
{
    if (s->n_arguments || s->labels)
        return 0;
    say("%s: DIR is missing (or --labels FILE); see finetune %s --help", command, command);
    return EXIT_USAGE;
}

static int open_test(const struct settings *s, struct ft_dataset **out, struct ft_error *err)
{
    struct ft_layout layout = { 0 };
    char *name = NULL;
    const int rc = open_folder(s, s->arguments[0], "evaluating on", true, &layout, out, &name, err);
    ft_layout_release(&layout);
    free(name);
    return rc;
}

int source_inputs(const struct settings *s, struct ft_dataset **out, struct ft_error *err)
{
    const bool one_folder = s->n_arguments == 1 && !s->files_from && is_directory(s->arguments[0]);
    if (s->labels && !s->files_from && (one_folder || !s->n_arguments))
        return open_table(s, one_folder ? s->arguments[0] : NULL, out, err);
    struct stat st;
    if (one_folder ||
        (s->n_arguments == 1 && !s->labels && !s->files_from && stat(s->arguments[0], &st)))
        return open_test(s, out, err);
    return collect(s, out, err);
}

int source_training(const struct settings *s, struct ft_dataset **out, char **dir, char **val,
                    struct ft_error *err)
{
    struct ft_layout layout = { 0 };
    const char *given = s->n_arguments ? s->arguments[0] : NULL;
    if (s->labels) {
        *dir = strdup(s->labels);
        return *dir ? open_table(s, given, out, err) : out_of_memory(err, s->labels);
    }
    if (!given)
        return refuse(err, FT_EARG, "give a folder of pictures or --labels TABLE");
    const int rc = open_folder(s, given, "training on", false, &layout, out, dir, err);
    if (!rc) {
        *val = layout.val;
        layout.val = NULL;
    }
    ft_layout_release(&layout);
    return rc;
}
