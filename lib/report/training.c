/* Explains how a training chose L2, class weights and temperature. */
#include <stdint.h>

#include "finetune-tools.h"
#include "report/text.h"

static void explain_l2(struct ft_text *t, const struct ft_validation *v)
{
    const struct ft_l2_row *chosen = &v->grid[0], *next = NULL;
    for (int i = 0; i < v->n_grid; i++)
        if (v->grid[i].l2 == v->l2)
            chosen = &v->grid[i];
    for (int i = 0; i < v->n_grid; i++)
        if (&v->grid[i] != chosen && (!next || v->grid[i].log_loss < next->log_loss))
            next = &v->grid[i];
    if (!next)
        ft_text_add(t, "L2 is %.3g: set by the user.\n", v->l2);
    else
        ft_text_add(
            t,
            "L2 is %.3g: of %d values it has the lowest out-of-fold log-loss, %.4f (%d folds); "
            "the next best is %.3g with %.4f.\n",
            v->l2, v->n_grid, chosen->log_loss, v->folds, next->l2, next->log_loss);
}

static void explain_depths(struct ft_text *t, const struct ft_training *training)
{
    const struct ft_validation *v = training->validation;
    if (v->n_depths && v->depth > 0)
        ft_text_add(t, "The layers before the last have %g times its weight: chosen by ", v->depth);
    else if (v->n_depths)
        ft_text_add(t, "Only the last layer is used: chosen by ");
    for (int i = 0; i < v->n_depths; i++)
        ft_text_add(t, "%s%g %.4f%s",
                    i ? ", " : "out-of-fold log-loss, by weight: ", v->depths[i].depth,
                    v->depths[i].log_loss, i + 1 < v->n_depths ? "" : ".\n");
    for (int b = 0; b < training->n_blocks; b++)
        ft_text_add(t, "%s%.1f%s",
                    b ? ", " : "Each layer's share of the logits' variance in %, first to last: ",
                    100 * training->contributions[b], b + 1 < training->n_blocks ? "" : ".\n");
}

char *ft_report_choices_text(const struct ft_training *t)
{
    const struct ft_validation *v = t->validation;
    struct ft_text text = { 0 };
    size_t least = SIZE_MAX, most = 0;
    for (int c = 0; c < v->k; c++) {
        least = t->counts[c] < least ? t->counts[c] : least;
        most = t->counts[c] > most ? t->counts[c] : most;
    }
    if (v->repeats > 1)
        ft_text_add(
            &text,
            "The accuracy is the mean of %d cross-validations with different folds; log-loss "
            "and calibration error are of the first.\n",
            v->repeats);
    if (v->expected > v->accuracy)
        ft_text_add(
            &text,
            "With all pictures, not %d of %d parts, an accuracy of %.1f %% is expected; the "
            "interval includes it.\n",
            v->folds - 1, v->folds, 100 * v->expected);
    explain_depths(&text, t);
    explain_l2(&text, v);
    const char *by_user = t->options.class_weight == FT_WEIGHT_AUTO ? "" : ", as set by the user";
    if (v->weighted)
        ft_text_add(&text,
                    "Classes are weighted to count equally%s: they have %zu to %zu pictures.\n",
                    by_user, least, most);
    else
        ft_text_add(&text, "Classes are not weighted: %s.\n",
                    least == most ? "they are equally large" : "set by the user");
    ft_text_add(&text,
                "The temperature is %.3f, fitted so that probabilities match the share of correct "
                "predictions. ",
                v->temperature);
    ft_text_add(&text,
                "Out of fold it changes the calibration error from %.2f %% to %.2f %% and the "
                "log-loss from %.4f to %.4f.\n",
                100 * t->raw->ece, 100 * t->calibrated->ece, t->raw->log_loss,
                t->calibrated->log_loss);
    return text.s;
}
