/* The report: one HTML file that needs no network. It works without JavaScript; a short script
 * opens the list of pictures that belongs to a cell of the confusion matrix. */
#include <math.h>
#include <string.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "report/html.h"

/* PER_CELL, THUMBS: limits of the pictures for one cell and for all cells. WIDEST: the most classes
 * of a matrix that is shown. */
enum { PER_CELL = 12, THUMBS = 240, WIDEST = 30 };

static const char style[] =
    ":root{--paper:#faf9f6;--ink:#222;--faint:#6d6c68;--rule:#dddad2;--blue:47,111,159;--red:176,"
    "58,46}"
    "@media(prefers-color-scheme:dark){:root{--paper:#1b1c1e;--ink:#e6e4df;--faint:#a09e98;--rule:#"
    "3a3b3e;--blue:111,176,224;--red:226,120,106}}"
    "body{background:var(--paper);color:var(--ink);font:15px/1.5 "
    "system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1.2rem}"
    "h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.1rem;margin:2.4rem 0 "
    ".6rem;border-bottom:1px solid var(--rule);padding-bottom:.2rem}"
    ".sub,.none,figcaption,td.path{color:var(--faint)}.figures{display:flex;flex-wrap:wrap;gap:1."
    "6rem}"
    ".tiles{display:flex;flex-wrap:wrap;gap:2.2rem;margin:1.2rem 0}.tiles "
    "b{display:block;font-size:1.5rem;font-weight:600}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}th{font-weight:500;color:var("
    "--faint)}th,td{padding:.2rem .7rem;text-align:right}"
    "th:first-child,td:first-child{text-align:left}tbody tr{border-top:1px solid var(--rule)}"
    ".matrix td{padding:0}.matrix a{display:block;padding:.35rem "
    ".8rem;color:inherit;text-decoration:none}a:focus,summary:focus{outline:2px solid "
    "rgb(var(--blue))}"
    ".pictures{display:flex;flex-wrap:wrap;gap:.8rem}figure{margin:0;width:112px}figure.wide{width:"
    "232px}figcaption{font-size:.78rem;overflow-wrap:anywhere;line-height:1.3}"
    "img{border-radius:3px}details{margin:.4rem "
    "0}summary{cursor:pointer}pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.82rem;"
    "background:rgba(128,128,128,.09);padding:.8rem;border-radius:4px}"
    "svg text{fill:var(--faint);font:11px "
    "system-ui,sans-serif}.axis{stroke:var(--faint);fill:none}.grid{stroke:var(--rule)}.ideal{"
    "stroke:var(--faint);stroke-dasharray:4 3;fill:none}"
    ".point{fill:rgb(var(--blue))}.guess{fill:none;stroke:rgb(var(--blue));stroke-width:2}.whisker{"
    "stroke:rgb(var(--blue))}svg{max-width:100%;height:auto}";

static const char script[] = "addEventListener('hashchange',go);go();function go(){var "
                             "d=location.hash&&document.getElementById(location.hash.slice(1));"
                             "if(d&&d.tagName=='DETAILS'){d.open=true;d.querySelector('summary')."
                             "focus();d.scrollIntoView({block:'start'})}}";

static void title(struct ft_text *t, const char *text)
{
    ft_text_add(t, "<h2>%s</h2>\n", text);
}

static void escaped_pre(struct ft_text *t, const char *text)
{
    ft_text_add(t, "<pre>");
    ft_html_escape(t, text);
    ft_text_add(t, "</pre>\n");
}

static void add_summary(struct ft_text *t, const struct ft_document *d)
{
    const struct ft_metrics *m = d->metrics;
    ft_text_add(t, "<h1>");
    ft_html_escape(t, d->title);
    ft_text_add(t, "</h1>\n<p class=\"sub\">");
    ft_html_escape(t, d->measured);
    ft_text_add(
        t,
        "</p>\n<div class=\"tiles\"><div><b>%.2f %%</b>accuracy, 95 %% interval %.2f to %.2f</div>",
        100 * m->accuracy, 100 * m->interval[0], 100 * m->interval[1]);
    ft_text_add(t,
                "<div><b>%.2f %%</b>balanced "
                "accuracy</div><div><b>%.4f</b>log-loss</div><div><b>%.4f</b>Brier</"
                "div><div><b>%.2f %%</b>calibration error</div></div>\n",
                100 * m->balanced_accuracy, m->log_loss, m->brier, 100 * m->ece);
}

static void add_warnings(struct ft_text *t, const struct ft_document *d)
{
    struct ft_baseline b;
    ft_baseline_compute(d->metrics, &b);
    if (b.class_index >= 0) {
        ft_text_add(t, "<p>Always answering '");
        ft_html_escape(t, d->judged->classes[b.class_index]);
        ft_text_add(t, "', the largest class, would give an accuracy of %.2f %%.</p>\n",
                    100 * b.accuracy);
    }
    char *warnings = ft_report_warnings_text(d->metrics, d->judged->classes);
    if (!warnings)
        ft_text_fail(t);
    for (char *line = warnings, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        ft_text_add(t, "<p><b>Warning:</b> ");
        ft_html_escape(t, line);
        ft_text_add(t, ".</p>\n");
    }
    free(warnings);
}

static void add_figures(struct ft_text *t, const struct ft_document *d)
{
    title(t, "Calibration");
    ft_text_add(t, "<div class=\"figures\">");
    ft_html_reliability(t, d->metrics);
    ft_text_add(t, "<table><thead><tr><th>threshold</th><th>coverage</th><th>accuracy above "
                   "it</th></tr></thead><tbody>\n");
    for (int i = 0; i < FT_THRESHOLDS; i++) {
        const struct ft_coverage *c = &d->metrics->coverage[i];
        if (c->rows)
            ft_text_add(t, "<tr><td>%.2f</td><td>%.1f %%</td><td>%.2f %%</td></tr>\n", c->threshold,
                        100 * (double)c->rows / (double)d->metrics->n,
                        100 * (double)c->right / (double)c->rows);
    }
    ft_text_add(t, "</tbody></table></div>\n");
}

static void add_defined(struct ft_text *t, double value)
{
    if (isnan(value))
        ft_text_add(t, "<td>–</td>");
    else
        ft_text_add(t, "<td>%.4f</td>", value);
}

static void add_classes(struct ft_text *t, const struct ft_document *d)
{
    title(t, "Classes");
    ft_text_add(
        t, "<table><thead><tr><th>class</th><th>precision</th><th>recall</th><th>F1</th><th>ROC "
           "AUC</th><th>average precision</th><th>pictures</th></tr></thead><tbody>\n");
    for (int i = 0; i < d->metrics->k; i++) {
        const struct ft_class_metrics *c = &d->metrics->per_class[i];
        ft_text_add(t, "<tr><td>");
        ft_html_escape(t, d->judged->classes[i]);
        ft_text_add(t, "</td><td>%.4f</td><td>%.4f</td><td>%.4f</td>", c->precision, c->recall,
                    c->f1);
        add_defined(t, c->roc_auc);
        add_defined(t, c->average_precision);
        ft_text_add(t, "<td>%zu</td></tr>\n", c->support);
    }
    ft_text_add(t, "</tbody></table>\n");
}

static void add_matrix(struct ft_text *t, const struct ft_document *d)
{
    const struct ft_metrics *m = d->metrics;
    const int k = m->k;
    if (k > WIDEST)
        return;
    title(t, "Confusion");
    ft_text_add(t,
                "<p class=\"sub\">Rows are the true classes, columns the predicted ones. Click a "
                "cell to see its pictures.</p><table class=\"matrix\"><thead><tr><th></th>");
    for (int j = 0; j < k; j++) {
        ft_text_add(t, "<th>");
        ft_html_escape(t, d->judged->classes[j]);
        ft_text_add(t, "</th>");
    }
    ft_text_add(t, "</tr></thead><tbody>\n");
    for (int i = 0; i < k; i++) {
        ft_text_add(t, "<tr><th>");
        ft_html_escape(t, d->judged->classes[i]);
        ft_text_add(t, "</th>");
        for (int j = 0; j < k; j++) {
            const size_t n = m->confusion[i * k + j];
            const double share =
                m->per_class[i].support ? (double)n / (double)m->per_class[i].support : 0;
            ft_text_add(t, "<td style=\"background:rgba(var(--%s),%.2f)\">",
                        i == j ? "blue" : "red", n ? 0.1 + 0.5 * share : 0);
            if (n)
                ft_text_add(t, "<a href=\"#c%d-%d\">%zu</a></td>", i, j, n);
            else
                ft_text_add(t, "<a>0</a></td>");
        }
        ft_text_add(t, "</tr>\n");
    }
    ft_text_add(t, "</tbody></table>\n");
}

/* Evidence that belongs to no place, such as that of a class token, beside the heat map. */
static void add_elsewhere(struct ft_text *t, const struct ft_explanation *e,
                          const struct ft_question *q)
{
    const double elsewhere =
        (double)e->elsewhere[q->class_index] - (double)e->elsewhere[q->against];
    if (e->exact && elsewhere != 0)
        ft_text_add(t, "whole picture, not in the heat map: %+.2f<br>", elsewhere);
}

static void add_caption(struct ft_text *t, const struct ft_document *d, size_t row, int shown,
                        const struct ft_explanation *e)
{
    const float *p = d->judged->p + row * (size_t)d->judged->k;
    ft_text_add(t, "<figcaption>");
    ft_html_escape(t, d->judged->classes[shown]);
    ft_text_add(t, " %.3f<br>", (double)p[shown]);
    if (e)
        add_elsewhere(t, e, &(struct ft_question){ shown, d->judged->y[row] });
    ft_html_escape(t, d->judged->paths[row]);
    ft_text_add(t, "</figcaption></figure>\n");
}

/* The pictures of each cell, mistakes first, up to the limits above. */
static void add_cells(struct ft_text *t, const struct ft_document *d)
{
    const struct ft_judged *j = d->judged;
    const int k = j->k;
    int left = THUMBS;
    for (int pass = 0; pass < 2 && k <= WIDEST; pass++)
        for (int cell = 0; cell < k * k; cell++) {
            const int truth = cell / k, predicted = cell % k;
            if (!d->metrics->confusion[cell] || (truth == predicted) != pass)
                continue;
            ft_text_add(t, "<details id=\"c%d-%d\"><summary>%zu: ", truth, predicted,
                        d->metrics->confusion[cell]);
            ft_html_escape(t, j->classes[truth]);
            ft_text_add(t, pass ? ", correct" : " predicted as ");
            ft_html_escape(t, pass ? "" : j->classes[predicted]);
            ft_text_add(t, "</summary><div class=\"pictures\">\n");
            int shown = 0;
            for (size_t i = 0; i < j->n && shown < PER_CELL && left > 0; i++) {
                if (j->y[i] != truth || ft_argmax(j->p + i * (size_t)k, k) != predicted)
                    continue;
                ft_text_add(t, "<figure>");
                ft_html_thumbnail(t, j->paths[i], d->max_pixels);
                add_caption(t, d, i, predicted, NULL);
                shown++;
                left--;
            }
            ft_text_add(t, "</div>");
            if ((size_t)shown < d->metrics->confusion[cell])
                ft_text_add(t, "<p class=\"sub\">The first %d are shown.</p>", shown);
            ft_text_add(t, "</details>\n");
        }
}

static void add_mistakes(struct ft_text *t, const struct ft_document *d)
{
    const struct ft_judged *j = d->judged;
    size_t n, *order = ft_mistakes(j, &n);
    if (!order) {
        ft_text_fail(t);
        return;
    }
    title(t, "Worst mistakes");
    if (n)
        ft_text_add(
            t,
            "<p class=\"sub\">Highest probability first. Heat maps: warm colours support the "
            "predicted class, cold colours the true class.%s</p>",
            d->training ? " The heat maps show the final head, which was trained on these "
                          "pictures too, so it may classify them correctly."
                        : "");
    ft_text_add(t, n ? "<div class=\"pictures\">\n" : "<p>None.</p><div>\n");
    for (size_t i = 0; i < n && i < FT_WORST; i++) {
        const size_t row = order[i];
        const int top = ft_argmax(j->p + row * (size_t)j->k, j->k);
        const struct ft_question question = { top, j->y[row] };
        ft_text_add(t, "<figure class=\"wide\">");
        ft_html_thumbnail(t, j->paths[row], d->max_pixels);
        ft_text_add(t, " ");
        if (d->explanations && d->explanations[i])
            ft_html_heat(t, d->explanations[i], &question);
        add_caption(t, d, row, top, d->explanations ? d->explanations[i] : NULL);
    }
    ft_text_add(t, "</div>\n");
    free(order);
}

static void add_choices(struct ft_text *t, const struct ft_document *d)
{
    const struct ft_validation *v = d->training->validation;
    char *why = ft_report_choices_text(d->training);
    title(t, "Choice of L2, class weights and temperature");
    ft_text_add(
        t, "<table><thead><tr><th>L2</th><th>log-loss</th><th>accuracy</th></tr></thead><tbody>\n");
    for (int i = 0; i < v->n_grid; i++)
        ft_text_add(t, "<tr><td>%.3g%s</td><td>%.4f</td><td>%.2f %%</td></tr>\n", v->grid[i].l2,
                    v->grid[i].l2 == v->l2 ? " ← chosen" : "", v->grid[i].log_loss,
                    100 * v->grid[i].accuracy);
    ft_text_add(t, "</tbody></table>\n");
    escaped_pre(t, why ? why : "");
    free(why);
}

static void add_curve(struct ft_text *t, const struct ft_curve *c)
{
    title(t, "Learning curve");
    ft_html_curve(t, c);
    ft_text_add(
        t,
        "<p>With twice as many pictures the expected accuracy is %.2f %% (95 %% band %.2f to "
        "%.2f), %.2f points more.</p>\n",
        100 * c->doubled.accuracy, 100 * c->doubled.low, 100 * c->doubled.high,
        100 * (c->doubled.accuracy - c->now.accuracy));
}

static void add_unknown(struct ft_text *t, const struct ft_unknown *u)
{
    title(t, "Pictures of unknown classes");
    ft_text_add(
        t,
        "<p>Each of %d classes was left out of a training in turn. The AUROC for separating its "
        "pictures from pictures of the known classes is ",
        u->left_out);
    if (!isnan(u->probability))
        ft_text_add(t, "%.3f by the highest probability and ", u->probability);
    ft_text_add(t,
                "%.3f by the distance between features. This was measured on these classes; other "
                "classes may differ.</p>\n",
                u->distance);
}

static void add_checkup(struct ft_text *t, const struct ft_checkup *c)
{
    char *text = ft_report_checkup_text(c);
    title(t, "Data checks");
    escaped_pre(t, text ? text : "");
    free(text);
}

int ft_report_html(const struct ft_document *d, const char *path, struct ft_error *err)
{
    struct ft_text t = { 0 };
    ft_text_add(&t, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
                    "name=\"viewport\" content=\"width=device-width\">"
                    "<meta name=\"color-scheme\" content=\"light dark\"><title>");
    ft_html_escape(&t, d->title);
    ft_text_add(&t, "</title><style>%s</style></head><body>\n", style);
    add_summary(&t, d);
    add_warnings(&t, d);
    add_figures(&t, d);
    add_matrix(&t, d);
    add_cells(&t, d);
    add_mistakes(&t, d);
    add_classes(&t, d);
    if (d->curve)
        add_curve(&t, d->curve);
    if (d->training)
        add_choices(&t, d);
    if (d->unknown && d->unknown->left_out)
        add_unknown(&t, d->unknown);
    if (d->checkup)
        add_checkup(&t, d->checkup);
    title(&t, "Settings");
    escaped_pre(&t, d->settings);
    ft_text_add(&t, "<script>%s</script></body></html>\n", script);
    const int rc = t.s ? ft_file_replace(path, t.s, t.n, err) : ft_error_nomem(err, path);
    free(t.s);
    return rc;
}
