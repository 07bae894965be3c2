/* finetune features: a folder or pictures become an HDF5 file of features. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cli.h"

/* Pictures named one by one are rows without a class. */
static int named_pictures(const struct settings *s, struct ft_dataset **out, struct ft_error *err)
{
    const size_t n = (size_t)s->n_arguments;
    struct ft_dataset *d = calloc(1, sizeof *d);
    int32_t *labels = malloc(n * sizeof *labels);
    if (!d || !labels) {
        free(d);
        free(labels);
        snprintf(err->msg, sizeof err->msg, "out of memory for %zu pictures", n);
        return err->code = FT_ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        labels[i] = -1;
    *d = (struct ft_dataset){ .n = n, .paths = s->arguments, .labels = labels };
    *out = d;
    return 0;
}

static void free_named(struct ft_dataset *d)
{
    if (d)
        free(d->labels);
    free(d);
}

static void folder_notes(const struct ft_dataset *dataset, const char *dir)
{
    char *train, *val, *test;
    dataset_notes(dataset, dir);
    if (!ft_dataset_layout(dir, &train, &val, &test))
        return;
    note("'%s' holds train%s%s: these became the classes; features of '%s' alone have its classes", dir, val ? " and val" : "", test ? " and test" : "", train);
    free(train);
    free(val);
    free(test);
}

static void print_result(const struct settings *s, const struct pictures *p, int n_classes)
{
    report("features", "%zu x %d in %d class%s · %.1f s", p->features->n, p->features->d, n_classes, n_classes == 1 ? "" : "es", p->seconds);
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

int features_main(const struct settings *s)
{
    struct ft_error err;
    struct stat st;
    struct ft_backbone *backbone = NULL;
    struct ft_dataset *dataset = NULL;
    struct pictures pictures = { 0 };
    const bool folder = s->n_arguments == 1 && !stat(s->arguments[0], &st) && S_ISDIR(st.st_mode);
    int rc = ft_output_check(s->output, &err);
    if (!rc)
        rc = backbone_open(s, &backbone, &err);
    if (!rc && folder)
        rc = ft_dataset_open(s->arguments[0], true, &dataset, &err);
    else if (!rc)
        rc = named_pictures(s, &dataset, &err);
    if (!rc)
        rc = pictures_extract(backbone, dataset, s, &pictures, &err);
    if (!rc) {
        if (folder)
            folder_notes(dataset, s->arguments[0]);
        pictures_list_bad(&pictures);
        rc = ft_features_save(pictures.features, dataset->classes, dataset->n_classes, s->output, &err);
    }
    int status = rc ? fail(&err) : pictures.n_bad ? EXIT_PARTLY : EXIT_DONE;
    if (!rc)
        print_result(s, &pictures, dataset->n_classes);
    pictures_release(&pictures);
    if (folder)
        ft_dataset_free(dataset);
    else
        free_named(dataset);
    ft_backbone_free(backbone);
    return status;
}
