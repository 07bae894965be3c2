/* Predictions as rows of text, TSV, CSV or JSON. The columns are
 *
 *     path,label,probability,status,error
 *     label2,probability2,...     with --top K
 *     one named after each class  with --probabilities
 *
 * or the ones that --fields selects. If the classes are independent (`several`), the column label
 * has all labels that were found, joined with ';', and each class always has a column. status is ok
 * or bad; a bad picture has only path, status and error. */
#ifndef FT_CLI_ROWS_H
#define FT_CLI_ROWS_H

#include "cli.h"

enum column_kind {
    COLUMN_PATH,
    COLUMN_LABEL,
    COLUMN_PROBABILITY,
    COLUMN_STATUS,
    COLUMN_ERROR,
    COLUMN_CLASS
};

struct column {
    enum column_kind kind;
    int place; /* LABEL, PROBABILITY: the rank, 0 is the most probable; CLASS: the class */
    char *name;
};

struct prediction {
    const char *path;
    const char *error; /* NULL for a good picture */
    const float *p;    /* [k] */
    const int *order;  /* [top] classes, most probable first */
    const char *label; /* the most probable class, or "unknown" */
    const int *found;  /* [n_found] the labels of the picture; only if there may be several */
    int n_found;
};

struct rows {
    bool several;  /* a picture may have several labels */
    bool csv_safe; /* a cell that would be a formula begins with an apostrophe */
    enum { ROWS_TEXT, ROWS_TSV, ROWS_CSV, ROWS_JSON, ROWS_JSONL } format;
    char *const *classes;
    int k, top;
    struct column *columns; /* [n] */
    int n;
    bool terminal; /* control characters are printed as '?' */
    size_t written;
};

/* Returns 0, or an exit status after a message. */
int rows_begin(struct rows *rows, const struct settings *settings, char *const *classes, int k,
               bool several);
void rows_put(struct rows *rows, const struct prediction *prediction);
void rows_end(struct rows *rows);

#endif
