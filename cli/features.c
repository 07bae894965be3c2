/* finetune features: writes the features of pictures to an HDF5 file. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

/* Reads all inputs as rows without a class. */
static int read_inputs(struct ft_inputs *inputs, struct ft_dataset *d, struct ft_error *err)
{
    size_t capacity = 0;
    for (const char *path; (path = ft_inputs_next(inputs));) {
        if (d->n == capacity) {
            capacity = capacity ? 2 * capacity : 256;
            char **paths = realloc(d->paths, capacity * sizeof *paths);
            d->paths = paths ? paths : d->paths;
            int32_t *labels = realloc(d->labels, capacity * sizeof *labels);
            d->labels = labels ? labels : d->labels;
            if (!paths || !labels)
                return out_of_memory(err, path);
        }
        if (!(d->paths[d->n] = strdup(path)))
            return out_of_memory(err, path);
        d->labels[d->n++] = -1;
    }
    return ft_inputs_status(inputs, err);
}

/* Reads pictures and folders from the arguments and from --files-from. */
static int named_pictures(const struct settings *s, struct ft_dataset *out, size_t *empty,
                          struct ft_error *err)
{
    const struct ft_inputs_options from = { .list = s->files_from,
                                            .nul = s->nul,
                                            .stop = signals_stop,
                                            .empty = say_empty,
                                            .user = empty };
    struct ft_inputs *inputs;
    int rc = ft_inputs_open(s->arguments, (size_t)s->n_arguments, &from, &inputs, err);
    if (rc)
        return rc;
    rc = read_inputs(inputs, out, err);
    ft_inputs_free(inputs);
    return rc;
}

static void free_named(struct ft_dataset *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->paths[i]);
    free(d->paths);
    free(d->labels);
}

static void folder_notes(const struct ft_dataset *dataset, const char *dir)
{
    struct ft_layout layout = { 0 };
    dataset_notes(dataset, dir);
    if (ft_dataset_layout(dir, &layout, NULL) || !layout.train)
        return;
    note("'%s' contains class folders in '%s': its own folders are used as classes here", dir,
         layout.train);
    ft_layout_release(&layout);
}

static void print_result(const struct settings *s, const struct pictures *p, int n_classes)
{
    report("features", "%zu x %d in %d class%s · %.1f s", p->features->n, p->features->d, n_classes,
           n_classes == 1 ? "" : "es", p->seconds);
    report("saved", "%s", s->output);
    if (s->json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddNumberToObject(json, "images", (double)p->features->n);
        cJSON_AddNumberToObject(json, "bad", (double)p->n_bad);
        cJSON_AddNumberToObject(json, "features", p->features->d);
        cJSON_AddStringToObject(json, "output", s->output);
        json_print(json);
    }
}

static int features_main(const struct settings *s)
{
    struct ft_error err;
    struct stat st;
    struct ft_backbone *backbone = NULL;
    struct ft_dataset *dataset = NULL, named = { 0 };
    struct pictures pictures = { 0 };
    size_t empty = 0;
    if (!s->n_arguments && !s->files_from) {
        say("features: DIR or PICTURE is missing (or --files-from FILE); see finetune features "
            "--help");
        return EXIT_USAGE;
    }
    const bool folder =
        s->n_arguments == 1 && !s->files_from && !stat(s->arguments[0], &st) && S_ISDIR(st.st_mode);
    int rc = ft_output_check(s->output, &err);
    if (!rc && folder)
        rc = ft_dataset_open(s->arguments[0], true, &dataset, &err);
    else if (!rc && !(rc = named_pictures(s, &named, &empty, &err)))
        dataset = &named;
    if (!rc && !dataset->n && folder)
        rc = refuse(&err, FT_EARG, "'%s' contains no pictures", s->arguments[0]);
    else if (!rc && !dataset->n && empty)
        rc = refuse(&err, FT_EARG, "there are no pictures");
    if (!rc)
        rc = backbone_open_for(s, backbone_named(s), dataset, &backbone, &err);
    if (!rc)
        rc = pictures_extract(backbone, dataset, s, &pictures, &err);
    if (!rc) {
        if (folder)
            folder_notes(dataset, s->arguments[0]);
        pictures_list_bad(&pictures);
        rc = ft_features_save(pictures.features, dataset->classes, dataset->n_classes, s->output,
                              &err);
    }
    int status = rc ? fail(&err) : pictures.n_bad || empty ? EXIT_PARTLY : EXIT_DONE;
    if (!rc && !dataset->n)
        note("there are no pictures");
    if (!rc)
        print_result(s, &pictures, dataset->n_classes);
    pictures_release(&pictures);
    if (folder)
        ft_dataset_free(dataset);
    free_named(&named);
    ft_backbone_free(backbone);
    return status;
}

static const struct option features_options[] = {
    { "output", 'o', TEXT(output), .file = FILE_WRITTEN, .argument = "FILE",
      .initial = "features.h5", .help = "HDF5 file to write" },
    { "layers", 0, TEXT(depths), .argument = "last|all|NAME,...", .initial = "last",
      .help = "layers that the features consist of: last: --layer alone; all: before it, the "
              "average of a map from each block of the network; NAME,...: of these layers" },
    { 0 },
};

const struct command features_command = {
    .name = "features",
    .arguments = "DIR|PICTURE...",
    .summary = "write the network's features of pictures to an HDF5 file",
    .most = -1,
    .run = features_main,
    .more =
        "The file contains `features` [n, d], `paths` [n], `classes` [k] and `labels` [n]; label "
        "-1 means no class.",
    .options = { features_options, backbone_name_options, network_options, precision_options,
                 resize_options, list_options, thread_options, picture_options, cache_options },
};
