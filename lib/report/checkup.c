/* The findings of `finetune doctor` as text and as JSON. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "finetune-tools.h"
#include "report/text.h"

enum { SHOWN = 40 };

struct copy {
    uint64_t content[2];
    size_t row;
};

static int by_content(const void *a, const void *b)
{
    const struct copy *x = a, *y = b;
    for (int i = 0; i < 2; i++)
        if (x->content[i] != y->content[i])
            return x->content[i] < y->content[i] ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Rows sorted by content, so that copies are adjacent. Returns NULL if memory runs out. */
static struct copy *sort_copies(const struct ft_features *f)
{
    struct copy *list = malloc((f->n + 1) * sizeof *list);
    for (size_t i = 0; list && i < f->n; i++)
        list[i] = (struct copy){ { f->content[i][0], f->content[i][1] }, i };
    if (list && f->n)
        qsort(list, f->n, sizeof *list, by_content);
    return list;
}

/* Returns the end of the run of copies that begins at `from`. */
static size_t run_end(const struct copy *list, size_t n, size_t from)
{
    size_t end = from + 1;
    while (end < n && !memcmp(list[end].content, list[from].content, sizeof list->content))
        end++;
    return end;
}

static size_t count_class(const struct ft_features *f, int32_t c)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        n += f->labels[i] == c;
    return n;
}

static const char *label_of(const struct ft_checkup *c, size_t row)
{
    return c->dataset->classes[c->features->labels[row]];
}

/* ---- text ------------------------------------------------------------------------------------ */

static void add_title(struct ft_text *t, const char *what, size_t n, const char *advice)
{
    ft_text_add(t, "\n%s: %zu%s%s\n", what, n, n ? " · " : "", n ? advice : "");
}

static void add_rest(struct ft_text *t, size_t n)
{
    if (n > SHOWN)
        ft_text_add(t, "  and %zu more: --json lists all\n", n - SHOWN);
}

static void text_classes(struct ft_text *t, const struct ft_checkup *c)
{
    size_t least = SIZE_MAX, most = 0;
    ft_text_add(t, "images     %zu in %d class%s:", c->features->n, c->dataset->n_classes,
                c->dataset->n_classes == 1 ? "" : "es");
    for (int i = 0; i < c->dataset->n_classes; i++) {
        const size_t n = count_class(c->features, i);
        least = n < least ? n : least;
        most = n > most ? n : most;
        if (i < SHOWN)
            ft_text_add(t, "%s %s %zu", i ? "," : "", c->dataset->classes[i], n);
    }
    ft_text_add(t, "%s\n", c->dataset->n_classes > SHOWN ? ", ..." : "");
    if (least && most > 3 * least)
        ft_text_add(t,
                    "           the largest class has %.1f times the pictures of the smallest: "
                    "training weights classes equally; more pictures help more\n",
                    (double)most / (double)least);
}

static void text_copies(struct ft_text *t, const struct ft_checkup *c)
{
    const struct ft_features *f = c->features;
    struct copy *list = sort_copies(f);
    struct ft_text rows = { 0 };
    size_t sets = 0;
    for (size_t i = 0, end; list && i < f->n; i = end) {
        end = run_end(list, f->n, i);
        if (end - i < 2 || ++sets > SHOWN)
            continue;
        bool differ = false;
        for (size_t j = i; j < end; j++) {
            ft_text_add(&rows, "%s%s", j > i ? "  =  " : "  ", f->paths[list[j].row]);
            differ |= f->labels[list[j].row] != f->labels[list[i].row];
        }
        ft_text_add(&rows, "%s\n", differ ? "  (under different labels)" : "");
    }
    add_title(t, "exact duplicates", sets, "keep one of each");
    ft_text_add(t, "%s", rows.s ? rows.s : "");
    add_rest(t, sets);
    free(rows.s);
    free(list);
}

static void text_near(struct ft_text *t, const struct ft_checkup *c)
{
    const struct ft_diagnosis *d = c->diagnosis;
    add_title(t, "near duplicates", d->n_near,
              "training keeps them in one fold; remove those under different labels");
    for (size_t i = 0; i < d->n_near && i < SHOWN; i++)
        ft_text_add(t, "  %s  ~  %s  %.3f%s\n", c->features->paths[d->near[i].a],
                    c->features->paths[d->near[i].b], (double)d->near[i].distance,
                    c->features->labels[d->near[i].a] == c->features->labels[d->near[i].b]
                        ? ""
                        : "  (under different labels)");
    add_rest(t, d->n_near);
}

static void text_rows(struct ft_text *t, const struct ft_checkup *c)
{
    const struct ft_diagnosis *d = c->diagnosis;
    char *const *paths = c->features->paths;
    add_title(t, "perhaps mislabelled", d->n_suspects,
              "check these labels, worst first; *: as probable as a correct label");
    for (size_t i = 0; i < d->n_suspects && i < SHOWN; i++)
        ft_text_add(t, "  %.3f%c %s  labelled %s, looks like %s\n", d->suspects[i].score,
                    d->suspects[i].confident ? '*' : ' ', paths[d->suspects[i].row],
                    label_of(c, d->suspects[i].row), c->dataset->classes[d->suspects[i].suggested]);
    add_rest(t, d->n_suspects);
    add_title(t, "outliers", d->n_outliers, "not similar to any other picture in the folder");
    for (size_t i = 0; i < d->n_outliers && i < SHOWN; i++)
        ft_text_add(t, "  %.3f  %s\n", d->outliers[i].score, paths[d->outliers[i].row]);
    add_rest(t, d->n_outliers);
    add_title(t, "quality", d->n_faults, "check that a person can recognise them");
    for (size_t i = 0; i < d->n_faults && i < SHOWN; i++)
        ft_text_add(t, "  %s  %s\n", paths[d->faults[i].row], d->faults[i].reason);
    add_rest(t, d->n_faults);
}

static void text_shortcuts(struct ft_text *t, const struct ft_checkup *c)
{
    const struct ft_diagnosis *d = c->diagnosis;
    size_t named = 0;
    for (int i = 0; i < d->n_shortcuts; i++)
        named += d->shortcuts[i].named;
    ft_text_add(t, "\nshortcuts: %zu%s\n", named,
                named ? " · the accuracy may come from this instead of the content" : "");
    for (int i = 0; i < d->n_shortcuts; i++)
        if (d->shortcuts[i].named)
            ft_text_add(
                t, "  %s alone separates %s from the other classes: cross-validated AUC %.2f\n",
                d->shortcuts[i].feature, c->dataset->classes[d->shortcuts[i].class_index],
                d->shortcuts[i].auc);
    if (d->n_shortcuts && !named)
        ft_text_add(
            t,
            "  the highest of %d candidates is %s, cross-validated AUC %.2f; reported from %.2f "
            "up\n",
            d->n_shortcuts, d->shortcuts[0].feature, d->shortcuts[0].auc, FT_SHORTCUT_AUC);
}

char *ft_report_checkup_text(const struct ft_checkup *c)
{
    struct ft_text t = { 0 };
    text_classes(&t, c);
    add_title(&t, "unreadable", c->n_bad, "training leaves them out");
    for (size_t i = 0; i < c->n_bad && i < SHOWN; i++)
        ft_text_add(&t, "  %s  %s\n", c->bad_paths[i], c->bad_reasons[i]);
    add_rest(&t, c->n_bad);
    text_copies(&t, c);
    text_near(&t, c);
    text_rows(&t, c);
    text_shortcuts(&t, c);
    return t.s;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static cJSON *add_object(cJSON *list)
{
    cJSON *one = cJSON_CreateObject();
    cJSON_AddItemToArray(list, one);
    return one;
}

static void json_copies(cJSON *json, const struct ft_checkup *c)
{
    const struct ft_features *f = c->features;
    struct copy *list = sort_copies(f);
    cJSON *sets = cJSON_AddArrayToObject(json, "duplicates"),
          *near = cJSON_AddArrayToObject(json, "near_duplicates");
    for (size_t i = 0, end; list && i < f->n; i = end) {
        end = run_end(list, f->n, i);
        if (end - i < 2)
            continue;
        cJSON *set = cJSON_CreateArray();
        for (size_t j = i; j < end; j++)
            cJSON_AddItemToArray(set, cJSON_CreateString(f->paths[list[j].row]));
        cJSON_AddItemToArray(sets, set);
    }
    free(list);
    for (size_t i = 0; i < c->diagnosis->n_near; i++) {
        const struct ft_near *p = &c->diagnosis->near[i];
        cJSON *one = add_object(near);
        cJSON_AddStringToObject(one, "a", f->paths[p->a]);
        cJSON_AddStringToObject(one, "b", f->paths[p->b]);
        cJSON_AddNumberToObject(one, "distance", (double)p->distance);
        cJSON_AddBoolToObject(one, "same_label", f->labels[p->a] == f->labels[p->b]);
    }
}

static void json_rows(cJSON *json, const struct ft_checkup *c)
{
    const struct ft_diagnosis *d = c->diagnosis;
    char *const *paths = c->features->paths;
    cJSON *list = cJSON_AddArrayToObject(json, "mislabelled");
    for (size_t i = 0; i < d->n_suspects; i++) {
        cJSON *one = add_object(list);
        cJSON_AddStringToObject(one, "path", paths[d->suspects[i].row]);
        cJSON_AddStringToObject(one, "label", label_of(c, d->suspects[i].row));
        cJSON_AddStringToObject(one, "suggested", c->dataset->classes[d->suspects[i].suggested]);
        cJSON_AddNumberToObject(one, "score", d->suspects[i].score);
        cJSON_AddBoolToObject(one, "confident", d->suspects[i].confident);
    }
    list = cJSON_AddArrayToObject(json, "outliers");
    for (size_t i = 0; i < d->n_outliers; i++) {
        cJSON *one = add_object(list);
        cJSON_AddStringToObject(one, "path", paths[d->outliers[i].row]);
        cJSON_AddNumberToObject(one, "score", d->outliers[i].score);
    }
    list = cJSON_AddArrayToObject(json, "quality");
    for (size_t i = 0; i < d->n_faults; i++) {
        cJSON *one = add_object(list);
        cJSON_AddStringToObject(one, "path", paths[d->faults[i].row]);
        cJSON_AddStringToObject(one, "reason", d->faults[i].reason);
    }
}

char *ft_report_checkup_json(const struct ft_checkup *c)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "images", (double)c->features->n);
    cJSON *list = cJSON_AddArrayToObject(json, "classes");
    for (int i = 0; i < c->dataset->n_classes; i++) {
        cJSON *one = add_object(list);
        cJSON_AddStringToObject(one, "label", c->dataset->classes[i]);
        cJSON_AddNumberToObject(one, "images", (double)count_class(c->features, i));
    }
    list = cJSON_AddArrayToObject(json, "unreadable");
    for (size_t i = 0; i < c->n_bad; i++) {
        cJSON *one = add_object(list);
        cJSON_AddStringToObject(one, "path", c->bad_paths[i]);
        cJSON_AddStringToObject(one, "reason", c->bad_reasons[i]);
    }
    json_copies(json, c);
    json_rows(json, c);
    list = cJSON_AddArrayToObject(json, "shortcuts");
    for (int i = 0; i < c->diagnosis->n_shortcuts; i++) {
        const struct ft_shortcut *s = &c->diagnosis->shortcuts[i];
        if (!s->named)
            continue;
        cJSON *one = add_object(list);
        cJSON_AddStringToObject(one, "feature", s->feature);
        cJSON_AddNumberToObject(one, "auc", s->auc);
        cJSON_AddStringToObject(one, "label", c->dataset->classes[s->class_index]);
    }
    cJSON_AddNumberToObject(json, "shortcut_threshold", FT_SHORTCUT_AUC);
    char *text = ft_json_text(json, false);
    return text;
}
