#include "document.h"

#include <stdio.h>
#include <stdlib.h>

/* Explanations of the worst mistakes, for their heat maps; NULL for a picture that can no longer be
 * read. */
static int explain_mistakes(const struct ft_model *model, const struct ft_judged *judged,
                            uint64_t max_pixels, struct ft_explanation *out[FT_WORST],
                            struct ft_error *err)
{
    size_t n, *order = ft_mistakes(judged, &n);
    if (!order)
        return out_of_memory(err, "the report");
    int rc = 0;
    for (size_t i = 0; !rc && i < n && i < FT_WORST; i++) {
        rc = ft_explain(model, judged->paths[order[i]],
                        &(struct ft_explain_options){ .max_pixels = max_pixels }, &out[i], err);
        if (rc)
            out[i] = NULL;
        if (rc != FT_ENOMEM) /* not a fault of the picture */
            rc = 0;
    }
    free(order);
    return rc;
}

static void explanations_release(struct ft_explanation *list[FT_WORST])
{
    for (int i = 0; i < FT_WORST; i++)
        ft_explanation_free(list[i]);
}

/* What the report of a training shows in addition to the training itself. */
struct extras {
    const struct ft_model *model;
    struct ft_explanation *explanations[FT_WORST];
    struct ft_curve curve;
    struct ft_unknown unknown;
    struct ft_facts *facts;
    struct ft_diagnosis *diagnosis;
    char **bad_paths, **bad_reasons;
    char *settings;
    bool has_curve;
};

static int find_extras(struct extras *x, const struct settings *s, const struct pictures *p,
                       const struct ft_training *t, struct ft_error *err)
{
    const struct ft_features *f = p->features;
    const struct ft_validation *v = t->validation;
    const struct ft_training_set set = ft_features_training_set(f, NULL, v->k);
    struct ft_curve_options curve = { .head = t->options };
    const struct ft_survey_options survey = { .threads = s->threads,
                                              .max_pixels = (uint64_t)s->max_megapixels << 20 };
    curve.head.depth = v->depth > 0 ? v->depth : FT_DEPTH_NONE;
    x->facts = calloc(f->n + 1, sizeof *x->facts);
    x->bad_paths = malloc((p->n_bad + 1) * sizeof *x->bad_paths);
    x->bad_reasons = malloc((p->n_bad + 1) * sizeof *x->bad_reasons);
    if (!x->facts || !x->bad_paths || !x->bad_reasons)
        return out_of_memory(err, s->report);
    for (size_t i = 0; i < p->n_bad; i++) {
        x->bad_paths[i] = p->bad[i].path;
        x->bad_reasons[i] = p->bad[i].reason;
    }
    /* fails if there are too few pictures: the report then has no curve */
    x->has_curve = !ft_curve_measure(&set, v->fold, v->folds, &curve, &x->curve, NULL);
    struct ft_train_options fixed = t->options;
    fixed.l2 = v->l2 > 0 ? v->l2 : FT_L2_NONE;
    fixed.depth = v->depth > 0 ? v->depth : FT_DEPTH_NONE;
    int rc = ft_unknown_measure(&set, v->fold, &fixed, &x->unknown, err);
    if (!rc)
        rc = ft_survey(f->paths, f->n, &survey, x->facts, err);
    if (!rc)
        rc = ft_diagnose(f, x->facts, v, s->threads, &x->diagnosis, err);
    if (!rc && !(x->settings = ft_model_settings(x->model)))
        rc = out_of_memory(err, s->report);
    return rc;
}

static void extras_release(struct extras *x)
{
    explanations_release(x->explanations);
    ft_diagnosis_free(x->diagnosis);
    free(x->facts);
    free(x->bad_paths);
    free(x->bad_reasons);
    free(x->settings);
}

int document_training(const struct settings *s, const char *dir, const struct ft_dataset *dataset,
                      const struct pictures *p, const struct ft_model *model,
                      const struct ft_training *t, struct ft_error *err)
{
    struct extras x = { .model = model };
    char measured[600];
    const struct ft_features *f = p->features;
    int rc = find_extras(&x, s, p, t, err);
    if (!rc) {
        const struct ft_judged judged = { f->n,      t->validation->k, t->validation->calibrated,
                                          f->labels, f->paths,         dataset->classes };
        const struct ft_checkup checkup = { dataset,  f,           x.diagnosis,
                                            p->n_bad, x.bad_paths, x.bad_reasons };
        snprintf(measured, sizeof measured,
                 "finetune %s · %s · trained on '%s' · %d-fold cross-validation: each picture is "
                 "classified and calibrated by heads that were not trained on it",
                 ft_version(), s->output, dir, t->validation->folds);
        const struct ft_document document = {
            .title = dir,
            .measured = measured,
            .metrics = t->calibrated,
            .judged = &judged,
            .explanations = x.explanations,
            .training = t,
            .curve = x.has_curve ? &x.curve : NULL,
            .unknown = &x.unknown,
            .checkup = &checkup,
            .settings = x.settings,
            .max_pixels = (uint64_t)s->max_megapixels << 20,
        };
        rc = explain_mistakes(x.model, &judged, document.max_pixels, x.explanations, err);
        if (!rc)
            rc = ft_report_html(&document, s->report, err);
    }
    extras_release(&x);
    return rc;
}

int document_evaluation(const struct settings *s, const char *dir, const struct ft_model *model,
                        const struct evaluation *e, struct ft_error *err)
{
    struct ft_explanation *explanations[FT_WORST] = { 0 };
    char measured[600], *settings = ft_model_settings(model);
    snprintf(measured, sizeof measured,
             "finetune %s · %s · measured on %zu pictures of '%s', %zu skipped", ft_version(),
             s->model, e->judged.n, dir, e->pictures.n_bad);
    const struct ft_document document = {
        .title = dir,
        .measured = measured,
        .metrics = e->metrics,
        .judged = &e->judged,
        .explanations = explanations,
        .settings = settings ? settings : "",
        .max_pixels = (uint64_t)s->max_megapixels << 20,
    };
    int rc = explain_mistakes(model, &e->judged, document.max_pixels, explanations, err);
    if (!rc)
        rc = ft_report_html(&document, s->report, err);
    explanations_release(explanations);
    free(settings);
    return rc;
}
