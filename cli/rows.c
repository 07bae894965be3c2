#include "rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool add_column(struct rows *r, enum column_kind kind, int place, const char *name)
{
    struct column *more = realloc(r->columns, ((size_t)r->n + 1) * sizeof *more);
    if (!more)
        return false;
    r->columns = more;
    more[r->n] = (struct column){ kind, place, strdup(name) };
    return more[r->n++].name != NULL;
}

static const struct column *column_named(const struct column *columns, int n, const char *name,
                                         size_t length)
{
    for (int i = 0; i < n; i++)
        if (strlen(columns[i].name) == length && !strncmp(columns[i].name, name, length))
            return &columns[i];
    return NULL;
}

/* The column of a class. "class:" is put before its name while that is the name of another column
 * or "top" or "labels", which are arrays in JSON. */
static bool add_class(struct rows *r, int i)
{
    static const char prefix[] = "class:";
    char *name = strdup(r->classes[i]);
    while (name && (column_named(r->columns, r->n, name, strlen(name)) || !strcmp(name, "top") ||
                    (r->several && !strcmp(name, "labels")))) {
        char *longer = malloc(strlen(name) + sizeof prefix);
        if (longer)
            sprintf(longer, "%s%s", prefix, name);
        free(name);
        name = longer;
    }
    const bool fine = name && add_column(r, COLUMN_CLASS, i, name);
    free(name);
    return fine;
}

/* All columns of the settings. */
static bool all_columns(struct rows *r, bool probabilities)
{
    bool fine = add_column(r, COLUMN_PATH, 0, "path") && add_column(r, COLUMN_LABEL, 0, "label") &&
                add_column(r, COLUMN_PROBABILITY, 0, "probability") &&
                add_column(r, COLUMN_STATUS, 0, "status") &&
                add_column(r, COLUMN_ERROR, 0, "error");
    for (int i = 1; fine && i < r->top; i++) {
        char label[32], probability[32];
        snprintf(label, sizeof label, "label%d", i + 1);
        snprintf(probability, sizeof probability, "probability%d", i + 1);
        fine = add_column(r, COLUMN_LABEL, i, label) &&
               add_column(r, COLUMN_PROBABILITY, i, probability);
    }
    for (int i = 0; fine && probabilities && i < r->k; i++)
        fine = add_class(r, i);
    return fine;
}

/* Keeps only the columns that `fields` selects, in that order. */
static int choose(struct rows *r, const char *fields)
{
    const struct rows all = *r;
    int wrong = 0; /* or an exit status */
    r->columns = NULL;
    r->n = 0;
    for (const char *f = fields;
         !wrong && (*f || f == fields);) { /* an empty list is an error too */
        const size_t length = strcspn(f, ",");
        const struct column *c = column_named(all.columns, all.n, f, length);
        if (!c) {
            say("predict: --fields '%.*s': expected path, label, probability, status, error, with "
                "--top label2, ..., with --probabilities the classes",
                (int)length, f);
            wrong = EXIT_USAGE;
        } else if (column_named(r->columns, r->n, f, length)) {
            say("predict: --fields '%s': '%s' is repeated", fields, c->name);
            wrong = EXIT_USAGE;
        } else if (!add_column(r, c->kind, c->place, c->name))
            wrong = EXIT_FAILED;
        f += length + (f[length] == ',');
    }
    for (int i = 0; i < all.n; i++)
        free(all.columns[i].name);
    free(all.columns);
    return wrong;
}

/* Backslash escapes replace characters that would end a cell or a row. */
static void put_tsv(const struct rows *r, const char *s)
{
    if (r->csv_safe && ft_csv_is_formula(s))
        putchar('\'');
    for (; *s; s++) {
        const char *escape = *s == '\t'   ? "\\t"
                             : *s == '\n' ? "\\n"
                             : *s == '\r' ? "\\r"
                             : *s == '\\' ? "\\\\"
                                          : NULL;
        const int control = r->terminal ? ft_control_length(s) : 0;
        if (escape)
            fputs(escape, stdout);
        else
            putchar(control ? '?' : *s);
        s += control > 1 ? control - 1 : 0;
    }
}

static void put_csv(const struct rows *r, const char *s)
{
    const char *mark = r->csv_safe && ft_csv_is_formula(s) ? "'" : "";
    if (!s[strcspn(s, ",\"\r\n")]) {
        printf("%s%s", mark, s);
        return;
    }
    printf("\"%s", mark);
    for (; *s; s++) {
        if (*s == '"')
            putchar('"');
        putchar(*s);
    }
    putchar('"');
}

static void put_string(const struct rows *r, const char *s)
{
    if (r->format == ROWS_CSV)
        put_csv(r, s);
    else if (r->format == ROWS_TSV)
        put_tsv(r, s);
    else
        json_put_string(stdout, s);
}

/* All labels of a picture in one cell. */
static void put_found(const struct rows *r, const struct prediction *x)
{
    size_t size = sizeof "none";
    for (int i = 0; i < x->n_found; i++)
        size += strlen(r->classes[x->found[i]]) + 1;
    char *text = malloc(size), *end = text;
    if (!text)
        return output_failed(ENOMEM);
    strcpy(text, "none");
    for (int i = 0; i < x->n_found; i++)
        end += sprintf(end, "%s%s", i ? ";" : "", r->classes[x->found[i]]);
    put_string(r, text);
    free(text);
}

static void put_nothing(const struct rows *r)
{
    if (r->format >= ROWS_JSON)
        fputs("null", stdout);
}

static void put_cell(const struct rows *r, const struct column *c, const struct prediction *x)
{
    switch (c->kind) {
    case COLUMN_PATH:
        put_string(r, x->path);
        return;
    case COLUMN_STATUS:
        put_string(r, x->error ? "bad" : "ok");
        return;
    case COLUMN_ERROR:
        if (x->error)
            put_string(r, x->error);
        else
            put_nothing(r);
        return;
    case COLUMN_LABEL:
        if (x->error)
            put_nothing(r);
        else if (r->several && !c->place)
            put_found(r, x);
        else
            put_string(r, c->place ? r->classes[x->order[c->place]] : x->label);
        return;
    case COLUMN_PROBABILITY:
    case COLUMN_CLASS:
        if (x->error)
            put_nothing(r);
        else
            printf("%.6f", (double)x->p[c->kind == COLUMN_CLASS ? c->place : x->order[c->place]]);
        return;
    }
}

static void put_header(const struct rows *r)
{
    for (int i = 0; i < r->n; i++) {
        if (i)
            putchar(r->format == ROWS_CSV ? ',' : '\t');
        put_string(r, r->columns[i].name);
    }
    putchar('\n');
}

static void release(struct rows *r)
{
    for (int i = 0; i < r->n; i++)
        free(r->columns[i].name);
    free(r->columns);
    r->columns = NULL;
    r->n = 0;
}

int rows_begin(struct rows *r, const struct settings *s, char *const *classes, int k, bool several)
{
    static const char *const formats[] = { "text", "tsv", "csv", "json", "jsonl" };
    *r = (struct rows){ .classes = classes,
                        .k = k,
                        .top = s->top < k ? s->top : k,
                        .several = several,
                        .terminal = isatty(STDOUT_FILENO),
                        .csv_safe = s->csv_safe };
    while (strcmp(formats[r->format], s->format))
        r->format++;
    if (s->json && r->format == ROWS_TEXT)
        r->format = ROWS_JSON;
    if (r->format == ROWS_TEXT && (s->fields || s->probabilities))
        r->format = ROWS_TSV;
    int wrong = all_columns(r, s->probabilities || several) ? 0 : EXIT_FAILED;
    if (!wrong && s->fields)
        wrong = choose(r, s->fields);
    if (wrong == EXIT_FAILED)
        say("out of memory for the columns");
    if (wrong)
        release(r);
    else if (r->format == ROWS_CSV || r->format == ROWS_TSV)
        put_header(r);
    return wrong;
}

static void put_text(const struct rows *r, const struct prediction *x)
{
    if (x->error) {
        say("'%s': %s", x->path, x->error);
        return;
    }
    const bool all = r->several && r->top == 1 && x->n_found; /* every label that was found */
    const int *order = all ? x->found : x->order, n = all ? x->n_found : r->top;
    const char *first = !r->several                ? x->label
                        : x->n_found || r->top > 1 ? r->classes[order[0]]
                                                   : "none";
    put_tsv(r, x->path); /* escapes a newline in the name */
    for (int i = 0; i < n; i++) {
        putchar('\t');
        put_tsv(r, i ? r->classes[order[i]] : first);
        printf("\t%.3f", (double)x->p[order[i]]);
    }
    putchar('\n');
}

/* The most probable classes as an array, in addition to the columns label2, label3, ... */
static void put_top(const struct rows *r, const struct prediction *x)
{
    fputs(",\"top\":[", stdout);
    for (int i = 0; i < r->top; i++) {
        fputs(i ? ",{\"label\":" : "{\"label\":", stdout);
        json_put_string(stdout, r->classes[x->order[i]]);
        printf(",\"probability\":%.6f}", (double)x->p[x->order[i]]);
    }
    putchar(']');
}

static void put_labels(const struct rows *r, const struct prediction *x)
{
    fputs(",\"labels\":[", stdout);
    for (int i = 0; i < x->n_found; i++) {
        fputs(i ? "," : "", stdout);
        json_put_string(stdout, r->classes[x->found[i]]);
    }
    putchar(']');
}

static void put_object(const struct rows *r, const struct prediction *x, bool chosen)
{
    for (int i = 0; i < r->n; i++) {
        putchar(i ? ',' : '{');
        json_put_string(stdout, r->columns[i].name);
        putchar(':');
        put_cell(r, &r->columns[i], x);
    }
    if (r->format == ROWS_JSON && !x->error && !chosen)
        put_top(r, x);
    if (r->several && !x->error && !chosen)
        put_labels(r, x);
    putchar('}');
}

void rows_put(struct rows *r, const struct prediction *x)
{
    if (r->format == ROWS_TEXT)
        put_text(r, x);
    else if (r->format >= ROWS_JSON) {
        if (r->format == ROWS_JSON)
            fputs(r->written ? ",\n " : "[ ", stdout);
        put_object(r, x, r->n < 5 || r->columns[0].kind != COLUMN_PATH);
        if (r->format == ROWS_JSONL)
            putchar('\n');
    } else {
        for (int i = 0; i < r->n; i++) {
            if (i)
                putchar(r->format == ROWS_CSV ? ',' : '\t');
            put_cell(r, &r->columns[i], x);
        }
        putchar('\n');
    }
    r->written++;
}

void rows_end(struct rows *r)
{
    if (r->format == ROWS_JSON)
        fputs(r->written ? " ]\n" : "[]\n", stdout);
    release(r);
}
