#include "dataset/columns.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/memory.h"
#include "dataset/csv.h"

enum { SAMPLE_ROWS = 100, SAMPLE_BYTES = 1 << 20 };

static const char path_names[] =
    "|path|file|filename|file_name|filepath|file_path|image|images|img|"
    "image_id|image_name|image_path|imagename|image_file|img_path|id|"
    "id_code|name|photo|photo_id|picture|fname|";
static const char label_names[] = "|label|labels|class|classes|category|target|breed|species|"
                                  "diagnosis|level|class_name|classname|class_id|category_name|"
                                  "label_name|label_group|y|tag|tags|type|dx|genus|variety|";

struct sample {
    char *text;
    int n;                    /* records */
    char **rows[SAMPLE_ROWS]; /* [n][width] */
    int widths[SAMPLE_ROWS];
};

static void sample_release(struct sample *s)
{
    for (int i = 0; i < s->n; i++)
        free(s->rows[i]);
    free(s->text);
}

static int sample_read(const char *text, char separator, struct sample *s, const char *csv,
                       struct ft_error *err)
{
    char **fields = malloc(FT_COLUMNS_MOST * sizeof *fields);
    s->text = strndup(text, SAMPLE_BYTES);
    int rc = fields && s->text ? 0 : ft_error_nomem(err, csv), n;
    for (char *at = s->text; !rc && at && *at && s->n < SAMPLE_ROWS;) {
        at = ft_csv_record(at, separator, fields, FT_COLUMNS_MOST, &n);
        if (!at || (n == 1 && !*fields[0]))
            continue; /* an open quote is reported when the rows are read */
        char **row = malloc((size_t)n * sizeof *row);
        if (!row)
            rc = ft_error_nomem(err, csv);
        else {
            memcpy(row, fields, (size_t)n * sizeof *row);
            s->widths[s->n] = n;
            s->rows[s->n++] = row;
        }
    }
    free(fields);
    return rc;
}

static const char *cell(const struct sample *s, int row, int column)
{
    return column < s->widths[row] ? s->rows[row][column] : "";
}

static bool is_known(const char *known, const char *name)
{
    const size_t n = strlen(name);
    for (const char *s = known; n && *s && s[1]; s += 1 + strcspn(s + 1, "|"))
        if (strcspn(s + 1, "|") == n && !strncasecmp(s + 1, name, n))
            return true;
    return false;
}

int ft_columns_hot(const char *value)
{
    char *end;
    const double number = strtod(value, &end);
    return end == value || *end || (number != 0 && number != 1) ? -1 : (int)number;
}

/* A column given by name or by its number from 1; -1: there is none. */
static int column_given(const struct sample *s, const char *given)
{
    for (int c = 0; c < s->widths[0]; c++)
        if (!strcmp(cell(s, 0, c), given))
            return c;
    for (int c = 0; c < s->widths[0]; c++)
        if (!strcasecmp(cell(s, 0, c), given))
            return c;
    char *end;
    const long number = strtol(given, &end, 10);
    return *given && !*end && number > 0 && number <= s->widths[0] ? (int)number - 1 : -1;
}

/* The column with the most files that exist; else with a well-known name; else with names of
 * pictures; else the first. `exist` receives how many files of the sample exist. */
static int find_path(const struct sample *s, struct ft_locator *locator, int *exist)
{
    int best = -1, named = -1, most_pictures = 0, pictures = 0;
    *exist = 0;
    for (int c = 0; c < s->widths[0]; c++) {
        int files = 0, endings = 0;
        for (int r = 0; r < s->n && r < 20; r++) {
            char *path = *cell(s, r, c) ? ft_locate(locator, cell(s, r, c)) : NULL;
            files += path != NULL;
            endings += ft_locate_has_ending(cell(s, r, c));
            free(path);
        }
        if (files > *exist) {
            *exist = files;
            best = c;
        }
        if (endings > most_pictures) {
            most_pictures = endings;
            pictures = c;
        }
        if (named < 0 && is_known(path_names, cell(s, 0, c)))
            named = c;
    }
    return best >= 0 ? best : named >= 0 ? named : pictures;
}

static int count_distinct(const struct sample *s, int c)
{
    int distinct = 0;
    for (int r = 1; r < s->n; r++) {
        bool seen = false;
        for (int q = 1; q < r && !seen; q++)
            seen = !strcmp(cell(s, q, c), cell(s, r, c));
        distinct += !seen;
    }
    return distinct;
}

static bool is_number(const char *text)
{
    char *end;
    (void)strtod(text, &end);
    return end != text && !*end;
}

/* The column with a well-known name; else the one with the fewest distinct values, and columns of
 * words before columns of numbers. */
static int find_label(const struct sample *s, int path, bool header)
{
    int best = -1, fewest = 0;
    for (int c = 0; c < s->widths[0]; c++)
        if (c != path && is_known(label_names, cell(s, 0, c)))
            return c;
    for (int c = 0; c < s->widths[0]; c++) {
        if (c == path)
            continue;
        const int distinct = count_distinct(s, c) + (is_number(cell(s, s->n - 1, c)) ? 1000 : 0);
        if (best < 0 || (header && distinct % 1000 > 1 && distinct < fewest)) {
            best = c;
            fewest = distinct % 1000 > 1 ? distinct : 10000;
        }
    }
    return best;
}

/* Marks the columns of 0 and 1; true if each row of the sample has exactly one 1 in them, or with
 * `several` any number. */
static bool find_hot(const struct sample *s, int path, bool several, bool *hot)
{
    int n = 0;
    for (int c = 0; c < s->widths[0]; c++) {
        hot[c] = c != path;
        for (int r = 1; r < s->n && hot[c]; r++)
            hot[c] = ft_columns_hot(cell(s, r, c)) >= 0;
        n += hot[c];
    }
    bool one = n > (several ? 0 : 1) && s->n > 1;
    for (int r = 1; r < s->n && one; r++) {
        int ones = 0;
        for (int c = 0; c < s->widths[0]; c++)
            ones += hot[c] && ft_columns_hot(cell(s, r, c)) == 1;
        one = several || ones == 1;
    }
    return one;
}

static bool find_header(const struct sample *s, const struct ft_columns *c, int exist,
                        struct ft_locator *locator)
{
    const char *first = cell(s, 0, c->path);
    if (ft_locate_has_ending(first))
        return false;
    char *path = *first ? ft_locate(locator, first) : NULL;
    free(path);
    if (path)
        return false;
    for (int i = 0; i < s->widths[0]; i++)
        if (is_known(path_names, cell(s, 0, i)) || is_known(label_names, cell(s, 0, i)))
            return true;
    bool pictures = s->n > 1;
    for (int r = 1; r < s->n; r++)
        pictures = pictures && ft_locate_has_ending(cell(s, r, c->path));
    return exist > 0 || pictures;
}

/* A column that the options name, or -1. */
static int take_given(const struct sample *s, const char *given, const char *option,
                      const char *csv, int *column, struct ft_error *err)
{
    if (!given)
        return 0;
    *column = column_given(s, given);
    return *column >= 0 ? 0
                        : ft_error_set(err, FT_EARG,
                                       "'%s': %s '%s' is neither a name in the header nor a number "
                                       "from 1 to %d",
                                       csv, option, given, s->widths[0]);
}

static int decide(const struct sample *s, const struct ft_table_options *options,
                  struct ft_locator *locator, const char *csv, struct ft_columns *c,
                  struct ft_error *err)
{
    int exist, path = -1, label = -1;
    int rc = take_given(s, options->path_column, "--path-column", csv, &path, err);
    if (!rc)
        rc = take_given(s, options->label_column, "--label-column", csv, &label, err);
    if (rc)
        return rc;
    c->path = find_path(s, locator, &exist);
    c->path = path >= 0 ? path : c->path;
    c->header = find_header(s, c, exist, locator) ||
                (options->path_column && path >= 0 &&
                 !strcasecmp(cell(s, 0, path), options->path_column)) ||
                (options->label_column && label >= 0 &&
                 !strcasecmp(cell(s, 0, label), options->label_column));
    c->label = label >= 0 ? label : find_label(s, c->path, c->header);
    const bool named = label >= 0 || (c->label >= 0 && is_known(label_names, cell(s, 0, c->label)));
    const bool one_hot =
        c->header && (!named || options->several) && find_hot(s, c->path, options->several, c->hot);
    int n_hot = 0;
    for (int i = 0; i < s->widths[0]; i++)
        n_hot += c->hot[i];
    if (one_hot)
        c->label = -1;
    else if (options->several)
        rc = ft_error_set(
            err, FT_EARG,
            "'%s' has no columns of 0 and 1 under a header: expected one for each label", csv);
    else if (c->label >= 0 && c->hot[c->label] && n_hot > 1)
        rc = ft_error_set(
            err, FT_EARG,
            "'%s' has rows without exactly one 1 in the columns of 0 and 1: choose one "
            "with --label-column",
            csv);
    else if (c->label < 0)
        rc = ft_error_set(err, FT_EFORMAT,
                          "'%s' has one column: expected a column of paths and a column of labels",
                          csv);
    return rc;
}

int ft_columns_find(const char *text, char separator, const struct ft_table_options *options,
                    struct ft_locator *locator, const char *csv, struct ft_columns *out,
                    struct ft_error *err)
{
    struct sample s = { 0 };
    struct ft_columns c = { .label = 1 };
    int rc = sample_read(text, separator, &s, csv, err);
    if (!rc && s.n) {
        c.names = calloc((size_t)s.widths[0], sizeof *c.names);
        c.hot = calloc((size_t)s.widths[0], sizeof *c.hot);
        rc = c.names && c.hot ? decide(&s, options, locator, csv, &c, err)
                              : ft_error_nomem(err, csv);
        for (; !rc && c.n < s.widths[0]; c.n++)
            if (!(c.names[c.n] = ft_strdup(cell(&s, 0, c.n))))
                rc = ft_error_nomem(err, csv);
    }
    sample_release(&s);
    if (rc) {
        ft_columns_release(&c);
        return rc;
    }
    *out = c;
    return 0;
}

void ft_columns_release(struct ft_columns *c)
{
    for (int i = 0; c->names && i < c->n; i++)
        free(c->names[i]);
    free(c->names);
    free(c->hot);
    *c = (struct ft_columns){ 0 };
}
