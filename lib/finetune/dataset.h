/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures and their labels: folders, tables of labels, streams of paths. */
#ifndef FINETUNE_DATASET_H
#define FINETUNE_DATASET_H

#include "finetune.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a folder of pictures -------------------------------------------------------------------- */

/* Each first-level directory is a class; its pictures are found recursively. Hidden files and
 * directories are ignored. A file is a picture if its first bytes are those of a picture. A file
 * that only has a picture's name is kept too, and the extraction reports it as a bad picture. Other
 * files are only counted. Rows are sorted by the bytes of their names, directory by directory.
 * Names are kept unchanged. */
struct ft_dataset {
    int n_classes;
    char **classes; /* [n_classes] sorted by bytes: the directories that hold pictures */
    size_t n;
    /* [n] paths that can be opened: `dir` and the path below it. ft_dataset_open sorts them by
     * bytes. */
    char **paths;
    int32_t *labels; /* [n] index into classes; -1: in no class directory */
    size_t n_others; /* files that are not pictures */
    /* Pictures in no class directory. With `keep_loose` they are rows with label -1, otherwise they
     * are only counted. */
    size_t n_loose;
    /* Rows that are directories which cannot be read. The extraction reports the reason. */
    size_t n_unreadable;
    int n_empty;
    char **empty; /* [n_empty] first-level directories without a picture */
    /* How a table was read: "20 rows: paths from column 'id' ...". NULL: not a table. */
    char *understood;
    /* [n, n_classes] 1 where a label applies, else 0; `labels` are then 0 to n - 1. NULL: each row
     * has one label. */
    uint8_t *marks;
};

int ft_dataset_open(const char *dir, bool keep_loose, struct ft_dataset **out,
                    struct ft_error *err);
void ft_dataset_free(struct ft_dataset *dataset);

struct ft_table_options {
    const char *dir; /* where the pictures are; nullable */
    /* names in the header, or numbers from 1. NULL: found by the content of the table */
    const char *path_column, *label_column;
    /* Rows may have any number of labels: 1 in columns of 0 and 1, which become the classes. The
     * dataset has marks. */
    bool several;
};
/* A table of labels: CSV by RFC 4180, or separated by ';', tab, '|' or blanks. Labels are one
 * column, or one-hot: a column of 0 and 1 for each class. Paths are searched in `dir`, beside the
 * table, in the working directory and in the folder named like the table; they may lack the ending,
 * have backslashes, or be absolute paths of another machine. FT_EARG if no picture exists. Classes
 * are the labels, sorted by bytes. `options` is nullable. */
int ft_dataset_open_labels(const char *csv, const struct ft_table_options *options,
                           struct ft_dataset **out, struct ft_error *err);
/* The class of each picture at or below `dir` is the text in its path below `dir` that matches the
 * first pair of parentheses of an extended regular expression (without parentheses: the whole
 * match). With the pattern "name", the class is NAME in file names such as NAME.NUMBER.jpg. n_loose
 * counts the pictures that do not match. */
int ft_dataset_open_named(const char *dir, const char *pattern, struct ft_dataset **out,
                          struct ft_error *err);

/* Where the class folders of a folder are. */
struct ft_layout {
    char *train;      /* the folder of class folders, if it is not the folder itself */
    char *val, *test; /* folders of class folders; nullable */
    char *unlabelled; /* a val or test folder without class folders; nullable */
};
/* Recognises train, val and test folders by their usual names, and a folder that contains only one
 * folder of class folders. All members are NULL if `dir` contains the class folders itself; Returns
 * FT_EARG if it is not clear which folders are the classes. */
int ft_dataset_layout(const char *dir, struct ft_layout *out, struct ft_error *err);
void ft_layout_release(struct ft_layout *layout);

/* ---- a stream of inputs ---------------------------------------------------------------------- */

/* A stream of paths, of any length: first the arguments, then the lines of a list, then the
 * pictures that arrive in a watched directory. A directory in the arguments or in the list stands
 * for the pictures below it, found as by ft_dataset_open and sorted by bytes. A file that is named
 * is always an input, whatever its content. */
struct ft_inputs;

struct ft_inputs_options {
    /* A file with one path on each line; "-": standard input; NULL: none. Empty lines are skipped.
     */
    const char *list;
    bool nul; /* paths in the list end in NUL, not in newline */
    /* Wait for pictures that are written or moved into this directory or below it. NULL: do not
     * wait; the inputs end. */
    const char *watch;
    const char *except; /* a directory that is not entered; NULL: none */
    /* Nullable. Called repeatedly while waiting; if it returns true, the inputs end. */
    bool (*stop)(void *user);
    /* Nullable. Called for each named directory in which there was no picture. */
    void (*empty)(void *user, const char *dir);
    void *user;
};
#define FT_INPUTS_DEFAULTS FT_DEFAULTS

/* `arguments` [n] are borrowed. The watch begins with this call: no picture that is written later
 * is missed. */
int ft_inputs_open(char *const *arguments, size_t n, const struct ft_inputs_options *options,
                   struct ft_inputs **out, struct ft_error *err);
void ft_inputs_free(struct ft_inputs *inputs);
/* Returns the next path, valid until the next call, or NULL at the end. */
const char *ft_inputs_next(struct ft_inputs *inputs);
/* Returns 0, or the error that ended the inputs early, for instance a list that cannot be read. */
int ft_inputs_status(const struct ft_inputs *inputs, struct ft_error *err);

/* Reads all inputs as rows. The class of an input is its label in `table`, which may name the same
 * file by another path. Without a table (NULL) it is the name of the directory that contains the
 * file. Inputs that are not in the table are only counted, in n_loose. */
int ft_dataset_open_inputs(struct ft_inputs *inputs, const struct ft_dataset *table,
                           struct ft_dataset **out, struct ft_error *err);

#ifdef __cplusplus
}
#endif
#endif
