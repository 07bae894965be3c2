/* Predictions as rows of text, TSV, CSV or JSON. The columns are
 *
 *     path,label,probability,status,error
 *     label2,probability2,...     with --top K
 *     one named after each class  with --probabilities
 *
 * or those of them that --fields names. status is ok or bad; of a bad picture only path, status and
 * error are there. */
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
    int place; /* LABEL, PROBABILITY: 0 the most probable; CLASS: its index */
    char *name;
};

struct prediction {
    const char *path;
    const char *error; /* NULL: good */
    const float *p;    /* [k] */
    const int *order;  /* [top] classes, most probable first */
    const char *label; /* of the first place: a class, or unknown */
};

struct rows {
    bool csv_safe; /* a cell that would be a formula begins with an apostrophe */
    enum { ROWS_TEXT, ROWS_TSV, ROWS_CSV, ROWS_JSON, ROWS_JSONL } format;
    char *const *classes;
    int k, top;
    struct column *columns; /* [n] */
    int n;
    bool terminal; /* where control characters are shown as '?' */
    size_t written;
};

/* 0, or an exit status after a message. */
int rows_begin(struct rows *rows, const struct settings *settings, char *const *classes, int k);
void rows_put(struct rows *rows, const struct prediction *prediction);
void rows_end(struct rows *rows);

#endif
