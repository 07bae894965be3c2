/* finetune doctor: finds faults in a folder that would make a measured accuracy wrong. It never
 * changes a file. */
#include <stdio.h>
#include <stdlib.h>

#include "sources.h"

struct doctor {
    char *dir; /* the folder, or the train folder in it */
    struct ft_dataset *dataset;
    struct ft_backbone *backbone;
    struct pictures pictures;
    struct ft_facts *facts; /* [n] */
    struct ft_head *head;
    struct ft_validation *validation; /* NULL if there are too few classes or pictures */
    struct ft_diagnosis *diagnosis;
};

static void show_step(void *user, size_t done, size_t total)
{
    (void)total;
    progress_step(user, done);
}

static int survey(struct doctor *x, const struct settings *s, struct ft_error *err)
{
    struct progress progress;
    const struct ft_features *f = x->pictures.features;
    x->facts = calloc(f->n + 1, sizeof *x->facts);
    if (!x->facts)
        return out_of_memory(err, x->dir);
    progress_begin(&progress, "files", "files", f->n);
    const struct ft_survey_options options = { .threads = s->threads,
                                               .max_pixels = (uint64_t)s->max_megapixels << 20,
                                               .progress = show_step,
                                               .user = &progress };
    const int rc = ft_survey(f->paths, f->n, &options, x->facts, err);
    progress_end(&progress);
    return rc;
}

/* True if there are at least two classes with at least two pictures each. */
static bool can_validate(const struct doctor *x)
{
    bool enough = x->dataset->n_classes > 1;
    for (int c = 0; c < x->dataset->n_classes; c++) {
        size_t n = 0;
        for (size_t i = 0; i < x->pictures.features->n; i++)
            n += x->pictures.features->labels[i] == c;
        enough = enough && n > 1;
    }
    return enough;
}

static int validate(struct doctor *x, const struct settings *s, struct ft_error *err)
{
    if (!can_validate(x)) {
        note("labels and shortcuts are not checked: this needs at least two classes with two "
             "readable pictures each");
        return 0;
    }
    const int rc =
        pictures_train(&x->pictures, x->dataset, x->dir, s, &x->head, &x->validation, err);
    if (rc == FT_EARG && !s->group_by) { /* all are copies of one picture: listed later */
        note("labels and shortcuts are not checked: %s", err->msg);
        return 0;
    }
    return rc;
}

static int print(const struct doctor *x, const struct settings *s, struct ft_error *err)
{
    const struct pictures *p = &x->pictures;
    char **paths = malloc((p->n_bad + 1) * sizeof *paths),
         **reasons = malloc((p->n_bad + 1) * sizeof *reasons);
    for (size_t i = 0; paths && reasons && i < p->n_bad; i++) {
        paths[i] = p->bad[i].path;
        reasons[i] = p->bad[i].reason;
    }
    const struct ft_checkup checkup = { x->dataset, p->features, x->diagnosis,
                                        p->n_bad,   paths,       reasons };
    int rc = -1;
    if (paths && reasons)
        rc = s->json ? json_print_text(ft_report_checkup_json(&checkup))
                     : print_text(ft_report_checkup_text(&checkup));
    free(paths);
    free(reasons);
    return rc ? out_of_memory(err, x->dir) : 0;
}

static int doctor_main(const struct settings *s)
{
    struct ft_error err;
    const int wrong = source_check(s, "doctor");
    if (wrong)
        return wrong;
    struct doctor x = { 0 };
    int rc = source_part(s, "checking", &x.dataset, &x.dir, &err);
    if (!rc && !x.dataset->n) {
        rc = refuse(&err, FT_EARG,
                    "'%s' contains no pictures inside class folders, as in images/cat/*.jpg and "
                    "images/dog/*.jpg",
                    x.dir);
    }
    if (!rc)
        rc = backbone_open_for(s, backbone_named(s), x.dataset, &x.backbone, &err);
    if (!rc)
        rc = pictures_check_memory(x.backbone, x.dataset, s, "doctor", &err);
    if (!rc)
        rc = pictures_extract(x.backbone, x.dataset, s, &x.pictures, &err);
    if (!rc)
        rc = survey(&x, s, &err);
    if (!rc)
        rc = validate(&x, s, &err);
    if (!rc)
        rc =
            ft_diagnose(x.pictures.features, x.facts, x.validation, s->threads, &x.diagnosis, &err);
    if (!rc)
        rc = print(&x, s, &err);
    const int status = rc ? fail(&err) : x.pictures.n_bad ? EXIT_PARTLY : EXIT_DONE;
    ft_diagnosis_free(x.diagnosis);
    ft_validation_free(x.validation);
    ft_head_free(x.head);
    free(x.facts);
    pictures_release(&x.pictures);
    ft_backbone_free(x.backbone);
    ft_dataset_free(x.dataset);
    free(x.dir);
    return status;
}

const struct command doctor_command = {
    .name = "doctor",
    .arguments = "DIR",
    .summary = "check a folder for copies, wrong labels, outliers, bad pictures and shortcuts",
    .most = 1,
    .run = doctor_main,
    .more = "No file is changed. A shortcut is a property that predicts the class without the "
            "picture's content, such as the size of the file.",
    .options = { backbone_name_options, resize_options, label_options, class_options, fit_options,
                 layer_options, thread_options, picture_options, cache_options },
};
