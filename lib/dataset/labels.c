/* (path, class) rows from a table of labels, or from a stream of inputs. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "dataset/rows.h"
#include "dataset/walk.h"

#define TABLE_LIMIT  ((size_t)1 << 30)
#define MOST_COLUMNS 4096

/* Splits one record of a CSV text (RFC 4180), which ends in NUL, in place into fields [*n], of
 * which at most `most` are kept. Returns the start of the next record, or NULL if a quote is not
 * closed. */
static char *cut_record(char *s, char **fields, int most, int *n)
{
    *n = 0;
    for (;;) {
        char *to = s, *field = s;
        const bool quoted = *s == '"';
        if (quoted)
            for (s++; *s && (*s != '"' || s[1] == '"'); s++) {
                s += *s == '"';
                *to++ = *s;
            }
        if (quoted && !*s)
            return NULL;
        s += quoted;
        while (*s && *s != ',' && *s != '\n' && *s != '\r')
            *to++ = *s++;
        const char end = *s;
        if (end == '\r' && s[1] == '\n')
            s++;
        if (*s)
            s++;
        *to = 0;
        if (*n < most)
            fields[(*n)++] = field;
        if (end != ',')
            return s;
    }
}

/* Finds the columns by the names in the header. Returns false if there is no header; the columns
 * are then the first two. */
static bool find_columns(char *const *fields, int n, int *path, int *label)
{
    static const char *const paths[] = { "path", "file", "filename", "image" }, *const labels[] = {
        "label", "class"
    };
    *path = *label = -1;
    for (int i = n - 1; i >= 0; i--) {
        for (size_t j = 0; j < sizeof paths / sizeof *paths; j++)
            if (!strcasecmp(fields[i], paths[j]))
                *path = i;
        for (size_t j = 0; j < sizeof labels / sizeof *labels; j++)
            if (!strcasecmp(fields[i], labels[j]))
                *label = i;
    }
    if (*path >= 0 && *label >= 0)
        return true;
    *path = 0;
    *label = 1;
    return false;
}

static char *resolve(const char *dir, const char *path)
{
    char *beside = path[0] == '/' || !*dir ? ft_strdup(path) : ft_walk_join(dir, path);
    if (beside && access(beside, F_OK) && !access(path, F_OK)) {
        free(beside);
        return ft_strdup(path);
    }
    return beside;
}

static int read_rows(struct ft_rows *t, char *text, const char *csv, const char *dir,
                     struct ft_error *err)
{
    char **fields = malloc(MOST_COLUMNS * sizeof *fields);
    int n, path = 0, label = 1, rc = fields ? 0 : ft_error_nomem(err, csv);
    bool first = true;
    for (size_t record = 1; !rc && *text; record++) {
        text = cut_record(text, fields, MOST_COLUMNS, &n);
        if (!text) {
            rc = ft_error_set(err, FT_EFORMAT,
                              "'%s': record %zu opens a quote that is never closed", csv, record);
            break;
        }
        if (n == 1 && !*fields[0])
            continue; /* an empty line */
        if (first) {
            first = false;
            if (find_columns(fields, n, &path, &label))
                continue;
        }
        const int wanted = path > label ? path : label;
        if (n <= wanted || !*fields[path] || !*fields[label])
            rc = ft_error_set(err, FT_EFORMAT,
                              "'%s': record %zu has no %s: two columns are wanted, path,label", csv,
                              record, n <= wanted || *fields[path] ? "label" : "path");
        else
            rc = ft_rows_add(t, resolve(dir, fields[path]), fields[label], err);
    }
    free(fields);
    return rc;
}

int ft_dataset_open_labels(const char *csv, const char *dir, struct ft_dataset **out,
                           struct ft_error *err)
{
    struct ft_bytes bytes = { 0 };
    struct ft_rows t = { .d = calloc(1, sizeof *t.d) };
    const char *slash = strrchr(csv, '/');
    char *beside = slash ? strndup(csv, (size_t)(slash - csv) + 1) : ft_strdup(".");
    int rc = t.d && beside ? 0 : ft_error_nomem(err, csv);
    if (!rc && (rc = ft_file_read(csv, TABLE_LIMIT, &bytes, err)))
        ft_error_prefix(err, rc, "'%s'", csv);
    /* the rest would be ignored silently */
    if (!rc && bytes.size && memchr(bytes.data, 0, bytes.size))
        rc = ft_error_set(err, FT_EFORMAT, "'%s' holds a zero byte: save it as CSV in UTF-8", csv);
    char *text = rc ? NULL : malloc(bytes.size + 1);
    if (!rc && !text)
        rc = ft_error_nomem(err, csv);
    if (!rc) {
        /* the byte order mark that spreadsheets write */
        const size_t mark = bytes.size >= 3 && !memcmp(bytes.data, "\xef\xbb\xbf", 3) ? 3 : 0;
        if (bytes.size > mark) /* an empty file has no buffer */
            memcpy(text, bytes.data + mark, bytes.size - mark);
        text[bytes.size - mark] = 0;
        rc = read_rows(&t, text, csv, dir ? dir : slash ? beside : "", err);
    }
    if (!rc)
        rc = ft_rows_number(&t, err);
    free(t.labels);
    free(text);
    free(beside);
    ft_bytes_release(&bytes);
    if (rc) {
        ft_dataset_free(t.d);
        return rc;
    }
    *out = t.d;
    return 0;
}

/* ---- labels for a stream of inputs ----------------------------------------------------------- */

struct known {  /* a file in a table of labels */
    char *path; /* real */
    const char *label;
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct known *)a)->path, ((const struct known *)b)->path);
}

static struct known *know(const struct ft_dataset *table, size_t *n)
{
    struct known *known = malloc((table->n + 1) * sizeof *known);
    *n = 0;
    for (size_t i = 0; known && i < table->n; i++) {
        char *path = realpath(table->paths[i], NULL);
        if (path)
            known[(*n)++] = (struct known){ path, table->classes[table->labels[i]] };
    }
    if (known && *n)
        qsort(known, *n, sizeof *known, by_path);
    return known;
}

/* The label of an input, which must be freed with free(). NULL: the table does not have it. */
static char *label_of(const char *path, const struct known *known, size_t n_known)
{
    char *label = NULL;
    if (known) {
        struct known one = { .path = realpath(path, NULL) };
        const struct known *found =
            one.path && n_known ? bsearch(&one, known, n_known, sizeof one, by_path) : NULL;
        label = found ? ft_strdup(found->label) : NULL;
        free(one.path);
    } else { /* a link to a picture has the class of the directory that holds the link */
        const char *slash = strrchr(path, '/');
        char *above =
            slash ? strndup(path, (size_t)(slash - path) + !(slash - path)) : ft_strdup(".");
        char *real = above ? realpath(above, NULL) : NULL;
        /* a directory that does not exist is reported by extraction */
        const char *dir = real ? real : above, *last = dir ? strrchr(dir, '/') : NULL;
        label = ft_strdup(last ? last + 1 : dir);
        free(real);
        free(above);
    }
    return label;
}

int ft_dataset_open_inputs(struct ft_inputs *inputs, const struct ft_dataset *table,
                           struct ft_dataset **out, struct ft_error *err)
{
    size_t n_known = 0;
    struct ft_rows t = { .d = calloc(1, sizeof *t.d) };
    struct known *known = table ? know(table, &n_known) : NULL;
    int rc = t.d && (known || !table) ? 0 : ft_error_nomem(err, "inputs");
    for (const char *path; !rc && (path = ft_inputs_next(inputs));) {
        char *label = label_of(path, known, n_known);
        if (!label) {
            t.d->n_loose++;
            continue;
        }
        rc = ft_rows_add(&t, ft_strdup(path), label, err);
        if (rc)
            free(label);
    }
    if (!rc)
        rc = ft_inputs_status(inputs, err);
    if (!rc)
        rc = ft_rows_number(&t, err);
    for (size_t i = 0; t.d && i < t.d->n; i++)
        free(t.labels[i]);
    free(t.labels);
    for (size_t i = 0; known && i < n_known; i++)
        free(known[i].path);
    free(known);
    if (rc) {
        ft_dataset_free(t.d);
        return rc;
    }
    *out = t.d;
    return 0;
}
