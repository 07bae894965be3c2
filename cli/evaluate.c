/* finetune evaluate: a model against a folder of labelled pictures. train's --val is the same measurement. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evaluate.h"

/* Labels of the folder become the model's: by name. */
static int match_classes(const struct ft_dataset *d, const char *dir, char *const *classes, int k, int32_t *map, struct ft_error *err)
{
    for (int i = 0; i < d->n_classes; i++) {
        map[i] = -1;
        for (int j = 0; j < k && map[i] < 0; j++)
            if (!strcmp(d->classes[i], classes[j]))
                map[i] = j;
        if (map[i] < 0) {
            err->code = FT_EARG;
            snprintf(err->msg, sizeof err->msg, "'%s/%s' is not a class of the model, whose classes are '%s', '%s'%s: rename or move the directory", dir,
                     d->classes[i], classes[0], k > 1 ? classes[1] : "", k > 2 ? ", ..." : "");
            return FT_EARG;
        }
    }
    return 0;
}

int evaluate_folder(const struct ft_backbone *backbone, const struct ft_head *head, char *const *classes, const char *dir,
                    const struct settings *settings, struct ft_metrics **out, size_t *n_bad, struct ft_error *err)
{
    struct ft_dataset *dataset = NULL;
    struct pictures pictures = { 0 };
    int32_t *map = NULL;
    float *p = NULL;
    int rc = ft_dataset_open(dir, false, &dataset, err);
    if (rc)
        return rc;
    dataset_notes(dataset, dir);
    rc = FT_ENOMEM;
    snprintf(err->msg, sizeof err->msg, "out of memory for '%s'", dir);
    map = malloc(((size_t)dataset->n_classes + 1) * sizeof *map);
    if (map)
        rc = match_classes(dataset, dir, classes, head->k, map, err);
    if (!rc)
        rc = pictures_extract(backbone, dataset, settings, &pictures, err);
    if (!rc) {
        struct ft_features *f = pictures.features;
        pictures_list_bad(&pictures);
        *n_bad = pictures.n_bad;
        for (size_t i = 0; i < f->n; i++)
            f->labels[i] = map[f->labels[i]];
        p = malloc((f->n + 1) * (size_t)head->k * sizeof *p);
        if (!f->n) {
            rc = err->code = FT_EARG;
            snprintf(err->msg, sizeof err->msg, "'%s' holds no readable picture inside a class directory", dir);
        } else if (p) {
            ft_head_probabilities(head, f->x, f->n, p);
            rc = ft_metrics_compute(p, f->labels, NULL, f->n, head->k, out, err);
        } else
            rc = FT_ENOMEM;
    }
    free(p);
    free(map);
    pictures_release(&pictures);
    ft_dataset_free(dataset);
    return rc;
}

int evaluate_main(const struct settings *s)
{
    struct ft_error err;
    struct ft_model *model = NULL;
    struct ft_metrics *metrics = NULL;
    size_t n_bad = 0;
    int rc = model_open(s, &model, &err);
    if (!rc)
        rc = evaluate_folder(ft_model_backbone(model), ft_model_head(model), ft_model_class_names(model), s->arguments[0], s, &metrics, &n_bad, &err);
    if (!rc) {
        char *text = s->json ? ft_report_metrics_json(metrics, ft_model_class_names(model)) : ft_report_metrics_text(metrics, ft_model_class_names(model));
        printf("%s%s", text ? text : "", s->json ? "\n" : "");
        free(text);
    }
    ft_metrics_free(metrics);
    ft_model_free(model);
    return rc ? fail(&err) : n_bad ? EXIT_PARTLY : EXIT_DONE;
}
