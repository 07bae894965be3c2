/* (path, class) rows from a table of labels. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "dataset/columns.h"
#include "dataset/csv.h"
#include "dataset/rows.h"

#define TABLE_LIMIT ((size_t)1 << 30)
/* If none of the first pictures of a table exist, the search ends, because it takes time for each
 * picture. */
#define GIVEN_UP 1000

struct table {
    const char *csv;
    char separator;
    struct ft_locator locator;
    struct ft_columns columns;
    struct ft_rows rows;
    bool several;          /* labels for each row; their marks are in rows.d */
    int n_hot;             /* of them */
    size_t marks_capacity; /* bytes */
    size_t n_found;
    char first[300]; /* the first path in the table */
};

/* Appends the marks of a record that may have several labels. */
static int add_marks(struct table *t, char **fields, int n, size_t record, char **out,
                     struct ft_error *err)
{
    const struct ft_columns *c = &t->columns;
    struct ft_dataset *d = t->rows.d;
    int marked = 0;
    *out = ""; /* the classes are the columns */
    for (int i = 0; i < c->n; i++) {
        const size_t at = d->n * (size_t)t->n_hot + (size_t)marked;
        const int value = c->hot[i] && i < n ? ft_columns_hot(fields[i]) : -1;
        if (!c->hot[i])
            continue;
        if (value < 0)
            return ft_error_set(err, FT_EFORMAT,
                                "'%s': record %zu has neither 0 nor 1 in column '%s'", t->csv,
                                record, c->names[i]);
        if (!ft_grow((void **)&d->marks, &t->marks_capacity, at, 1))
            return ft_error_nomem(err, t->csv);
        d->marks[at] = (uint8_t)value;
        marked++;
    }
    return 0;
}

/* The classes of a table with several labels for a row are its columns, in their order. */
static int number_columns(struct table *t, struct ft_error *err)
{
    const struct ft_columns *c = &t->columns;
    struct ft_dataset *d = t->rows.d;
    d->classes = calloc((size_t)t->n_hot + 1, sizeof *d->classes);
    d->labels = ft_alloc(d->n + 1, sizeof *d->labels);
    if (!d->classes || !d->labels)
        return ft_error_nomem(err, t->csv);
    for (int i = 0; i < c->n; i++)
        if (c->hot[i] && !(d->classes[d->n_classes++] = ft_strdup(c->names[i])))
            return ft_error_nomem(err, t->csv);
    for (size_t i = 0; i < d->n; i++)
        d->labels[i] = (int32_t)i;
    return 0;
}

/* The label of a record: its field, or the name of the column with the 1. */
static int find_label(struct table *t, char **fields, int n, size_t record, char **out,
                      struct ft_error *err)
{
    const struct ft_columns *c = &t->columns;
    int ones = 0;
    *out = NULL;
    if (t->several)
        return add_marks(t, fields, n, record, out, err);
    if (c->label >= 0)
        *out = n > c->label && *fields[c->label] ? fields[c->label] : NULL;
    for (int i = 0; c->label < 0 && i < c->n && i < n; i++)
        if (c->hot[i] && ft_columns_hot(fields[i]) == 1) {
            *out = c->names[i];
            ones++;
        }
    if (*out && ones < 2)
        return 0;
    return ft_error_set(err, FT_EFORMAT, "'%s': record %zu has %s", t->csv, record,
                        ones > 1 ? "more than one label" : "no label");
}

static int add_record(struct table *t, char **fields, int n, size_t record, struct ft_error *err)
{
    const struct ft_columns *c = &t->columns;
    char *label;
    int rc = find_label(t, fields, n, record, &label, err);
    if (rc)
        return rc;
    if (n <= c->path || !*fields[c->path])
        return ft_error_set(err, FT_EFORMAT, "'%s': record %zu has no path", t->csv, record);
    const bool search = t->n_found || t->rows.d->n < GIVEN_UP;
    char *path = search ? ft_locate(&t->locator, fields[c->path]) : NULL;
    if (!t->rows.d->n)
        snprintf(t->first, sizeof t->first, "%s", fields[c->path]);
    t->n_found += path != NULL;
    return ft_rows_add(&t->rows, path ? path : ft_locate_first(&t->locator, fields[c->path]), label,
                       err);
}

static int read_records(struct table *t, char *text, struct ft_error *err)
{
    char **fields = malloc(FT_COLUMNS_MOST * sizeof *fields);
    int n, rc = fields ? 0 : ft_error_nomem(err, t->csv);
    bool header = t->columns.header;
    for (size_t record = 1; !rc && *text; record++) {
        text = ft_csv_record(text, t->separator, fields, FT_COLUMNS_MOST, &n);
        if (!text) {
            rc =
                ft_error_set(err, FT_EFORMAT, "'%s': record %zu opens a quote that is never closed",
                             t->csv, record);
            break;
        }
        if (n == 1 && !*fields[0])
            continue; /* an empty line */
        if (!header)
            rc = add_record(t, fields, n, record, err);
        header = false;
    }
    free(fields);
    return rc;
}

static int check_found(const struct table *t, struct ft_error *err)
{
    if (t->n_found || !t->rows.d->n)
        return 0;
    return ft_error_set(err, FT_EARG,
                        "'%s': none of its %zu pictures exists: the first is '%s', tried as '%s': "
                        "give the folder of the pictures, or the right column with --path-column",
                        t->csv, t->rows.d->n, t->first, t->rows.d->paths[0]);
}

struct named {
    const char *path;
    int32_t label;
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->path, ((const struct named *)b)->path);
}

/* A picture in several rows must have one label. */
static int check_labels(const struct table *t, struct ft_error *err)
{
    const struct ft_dataset *d = t->rows.d;
    struct named *rows = malloc((d->n + 1) * sizeof *rows);
    int rc = rows ? 0 : ft_error_nomem(err, t->csv);
    for (size_t i = 0; rows && i < d->n; i++)
        rows[i] = (struct named){ d->paths[i], d->labels[i] };
    if (rows && d->n)
        qsort(rows, d->n, sizeof *rows, by_path);
    for (size_t i = 1; !rc && i < d->n; i++)
        if (!strcmp(rows[i].path, rows[i - 1].path) && rows[i].label != rows[i - 1].label)
            rc = ft_error_set(err, FT_EFORMAT,
                              "'%s': the picture '%s' has the label '%s' in one row and '%s' in "
                              "another: keep one of them",
                              t->csv, rows[i].path, d->classes[rows[i - 1].label],
                              d->classes[rows[i].label]);
    free(rows);
    return rc;
}

/* "column 'id'", or "column 1" of a table without a header. */
static void name_column(const struct ft_columns *c, int i, char *out, size_t size)
{
    if (c->header)
        snprintf(out, size, "column '%.80s'", c->names[i]);
    else
        snprintf(out, size, "column %d", i + 1);
}

static char *describe(const struct table *t)
{
    const struct ft_columns *c = &t->columns;
    char path[100], label[100] = "the names of the columns with 1", added[40] = "", *text;
    name_column(c, c->path, path, sizeof path);
    if (c->label >= 0)
        name_column(c, c->label, label, sizeof label);
    if (t->locator.ending && *t->locator.ending)
        snprintf(added, sizeof added, " with '%s' added", t->locator.ending);
    return asprintf(&text, "%zu rows: paths from %s%s, labels from %s%s", t->rows.d->n, path, added,
                    label, c->header ? "" : " (no header)") < 0
               ? NULL
               : text;
}

static int read_table(struct table *t, char *text, const struct ft_table_options *options,
                      struct ft_error *err)
{
    t->separator = ft_csv_separator(text);
    int rc = ft_columns_find(text, t->separator, options, &t->locator, t->csv, &t->columns, err);
    t->several = options->several;
    for (int i = 0; !rc && i < t->columns.n; i++)
        t->n_hot += t->columns.hot[i];
    if (!rc)
        rc = read_records(t, text, err);
    if (!rc)
        rc = check_found(t, err);
    if (!rc)
        rc = t->several ? number_columns(t, err) : ft_rows_number(&t->rows, err);
    if (!rc && !t->several)
        rc = check_labels(t, err);
    if (!rc && t->rows.d->n && !(t->rows.d->understood = describe(t)))
        rc = ft_error_nomem(err, t->csv);
    return rc;
}

/* The text of a file without a byte order mark, which spreadsheets write. */
static int read_text(const char *csv, char **out, struct ft_error *err)
{
    struct ft_bytes bytes = { 0 };
    int rc = ft_file_read(csv, TABLE_LIMIT, &bytes, err);
    if (rc)
        return ft_error_prefix(err, rc, "'%s'", csv);
    /* the rest would be ignored silently */
    if (bytes.size && memchr(bytes.data, 0, bytes.size))
        rc = ft_error_set(err, FT_EFORMAT, "'%s' holds a zero byte: save it as CSV in UTF-8", csv);
    char *text = rc ? NULL : malloc(bytes.size + 1);
    if (!rc && !text)
        rc = ft_error_nomem(err, csv);
    if (text) {
        const size_t mark = bytes.size >= 3 && !memcmp(bytes.data, "\xef\xbb\xbf", 3) ? 3 : 0;
        if (bytes.size > mark) /* an empty file has no buffer */
            memcpy(text, bytes.data + mark, bytes.size - mark);
        text[bytes.size - mark] = 0;
        *out = text;
    }
    ft_bytes_release(&bytes);
    return rc;
}

int ft_dataset_open_labels(const char *csv, const struct ft_table_options *options,
                           struct ft_dataset **out, struct ft_error *err)
{
    static const struct ft_table_options none = { 0 };
    struct table t = { .csv = csv, .rows.d = calloc(1, sizeof *t.rows.d) };
    const char *slash = strrchr(csv, '/'), *name = slash ? slash + 1 : csv,
               *dot = strrchr(name, '.');
    char *beside = slash ? strndup(csv, (size_t)(slash - csv) + 1) : ft_strdup("");
    char *stem = strndup(csv, dot && dot != name ? (size_t)(dot - csv) : strlen(csv));
    char *text = NULL;
    options = options ? options : &none;
    int rc = t.rows.d && beside && stem ? read_text(csv, &text, err) : ft_error_nomem(err, csv);
    if (options->dir)
        t.locator.bases[t.locator.n_bases++] = options->dir;
    t.locator.bases[t.locator.n_bases++] = beside;
    if (slash)
        t.locator.bases[t.locator.n_bases++] = "";
    t.locator.bases[t.locator.n_bases++] = stem; /* train/ for train.csv */
    if (!rc)
        rc = read_table(&t, text, options, err);
    ft_columns_release(&t.columns);
    free(t.rows.labels);
    free(text);
    free(beside);
    free(stem);
    if (rc) {
        ft_dataset_free(t.rows.d);
        return rc;
    }
    *out = t.rows.d;
    return 0;
}
