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

/* Every first-level directory is a class, its pictures are found recursively, hidden files and
 * directories are ignored. A picture is what its first bytes say it is; a file that only has a
 * picture's name is kept too (extraction says what is wrong with it), any other file is counted.
 * Rows are sorted by the bytes of their names, directory by directory. Names are kept verbatim. */
struct ft_dataset {
    int n_classes;
    char **classes; /* [n_classes] sorted by bytes: the directories that hold pictures */
    size_t n;
    /* [n] as opened: dir joined with the path below it; sorted by bytes by ft_dataset_open */
    char **paths;
    int32_t *labels; /* [n] index into classes; -1: in no class directory */
    size_t n_others; /* files that are no pictures */
    /* pictures in no class directory: rows with label -1 where asked for, else only counted */
    size_t n_loose;
    /* rows that are directories which cannot be read; extraction reports why */
    size_t n_unreadable;
    int n_empty;
    char **empty; /* [n_empty] first-level directories without a picture */
    /* how a table was read: "20 rows: paths from column 'id' ..."; NULL for folders */
    char *understood;
};

int ft_dataset_open(const char *dir, bool keep_loose, struct ft_dataset **out,
                    struct ft_error *err);
void ft_dataset_free(struct ft_dataset *dataset);

struct ft_table_options {
    const char *dir; /* where the pictures are; nullable */
    /* names in the header, or numbers from 1. NULL: found by the content of the table */
    const char *path_column, *label_column;
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
 * match). The pattern "name" stands for the NAME in file names such as NAME.NUMBER.jpg. n_loose
 * counts the pictures that do not match. */
int ft_dataset_open_named(const char *dir, const char *pattern, struct ft_dataset **out,
                          struct ft_error *err);

/* Where a folder keeps its class folders. */
struct ft_layout {
    char *train;      /* the folder of class folders, if it is not the folder itself */
    char *val, *test; /* folders of class folders; nullable */
    char *unlabelled; /* a val or test folder without class folders; nullable */
};
/* Recognises train, val and test folders by the names that are in use for them, and a folder that
 * contains nothing but one folder of class folders. All members are NULL if `dir` contains the
 * class folders itself; FT_EARG if it is not clear what the classes are. */
int ft_dataset_layout(const char *dir, struct ft_layout *out, struct ft_error *err);
void ft_layout_release(struct ft_layout *layout);

/* ---- a stream of inputs ---------------------------------------------------------------------- */

/* Paths one by one, whatever their number: the arguments, then a list, then what arrives in a
 * watched directory. A directory among the first two stands for the pictures below it, sorted by
 * bytes, as ft_dataset_open finds them; a file that was named is an input whatever it is. */
struct ft_inputs;

struct ft_inputs_options {
    /* a file of paths, "-": standard input; NULL: none. Empty lines are passed over. */
    const char *list;
    bool nul; /* paths in the list end in NUL, not in newline */
    /* wait for pictures that are written or moved into this directory or below; NULL: end instead
     */
    const char *watch;
    const char *except; /* a directory that is not entered; NULL: none */
    /* nullable. Called repeatedly while waiting; true ends the inputs */
    bool (*stop)(void *user);
    void *user;
};
#define FT_INPUTS_DEFAULTS FT_DEFAULTS

/* `arguments` [n] are borrowed. The watch begins here: nothing that is written after this is
 * missed. */
int ft_inputs_open(char *const *arguments, size_t n, const struct ft_inputs_options *options,
                   struct ft_inputs **out, struct ft_error *err);
void ft_inputs_free(struct ft_inputs *inputs);
/* The next path, lent until the next call; NULL at the end. */
const char *ft_inputs_next(struct ft_inputs *inputs);
/* 0, or why the inputs ended early (the list could not be read). */
int ft_inputs_status(const struct ft_inputs *inputs, struct ft_error *err);

/* Reads all inputs as rows: the class of one is its label in `table`, where the same file stands
 * under whatever path, or without a table (NULL) the name of the directory that holds it. Those
 * that are not in the table are only counted, as n_loose. */
int ft_dataset_open_inputs(struct ft_inputs *inputs, const struct ft_dataset *table,
                           struct ft_dataset **out, struct ft_error *err);

#ifdef __cplusplus
}
#endif
#endif
