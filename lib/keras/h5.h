/* Reading HDF5: the only file that opens HDF5 objects for reading. Links that are not plain (soft,
 * external) are refused, sizes are checked against the file's, and a contiguous dataset of native
 * float32 is lent from a mapping of the file.
 */
#ifndef FT_KERAS_H5_H
#define FT_KERAS_H5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "finetune.h"
#include "network/network.h"

struct ft_h5 {
    int64_t file;
    uint8_t *map; /* [size] the whole file, read-only, lent */
    size_t size;
};

/* A list of strings in one block. */
struct ft_names {
    int n;
    char **names; /* [n] */
    char *text;
};

/* Comes before any other call of HDF5, as often as one likes: no error stacks on standard error,
 * and no tidying up at exit, which crashes (1.10 to 1.14) over a file that a full disk kept from
 * being closed. */
void ft_h5_begin(void);

/* Whether a file that begins with these n bytes is HDF5. */
bool ft_h5_is(const uint8_t *start, size_t n);
/* Messages do not name the file: the caller prefixes it. The mapping is the caller's to unmap,
 * after closing. */
int ft_h5_map(const char *path, uint8_t **map, size_t *size, struct ft_error *err);
int ft_h5_open(const char *path, uint8_t *map, size_t size, struct ft_h5 *out,
               struct ft_error *err);
void ft_h5_close(struct ft_h5 *h5); /* keeps the mapping */

/* 1: `name` is a plain link in the group, 0: there is none. Soft and external links, which may lead
 * out of the file, are an error. */
int ft_h5_link(int64_t group, const char *name, struct ft_error *err);
/* Opens the group `name` below group `parent`; *out is 0 when there is none. */
int ft_h5_group_open(int64_t parent, const char *name, int64_t *out, struct ft_error *err);
/* The same for "a/b". */
int ft_h5_path_open(int64_t parent, const char *path, int64_t *out, struct ft_error *err);
/* Names of all that a group holds. */
int ft_h5_links(int64_t group, struct ft_names *out, struct ft_error *err);
int ft_h5_root_open(const struct ft_h5 *h5, int64_t *out, struct ft_error *err);
void ft_h5_group_close(int64_t group);

/* A string attribute, scalar or the only element of a list, fixed or variable length; *out is NULL
 * when there is none. free() it. */
int ft_h5_text(const struct ft_h5 *h5, int64_t group, const char *name, char **out,
               struct ft_error *err);
/* A list of strings, which may be cut into the attributes name0, name1, ...; empty when there is
 * none. */
int ft_h5_names(const struct ft_h5 *h5, int64_t group, const char *name, struct ft_names *out,
                struct ft_error *err);
void ft_names_release(struct ft_names *names);

/* The numeric dataset `name` in `group` as float32: lent from the mapping where possible (*heap is
 * NULL), else read to *heap, the caller's to free. */
int ft_h5_tensor(const struct ft_h5 *h5, int64_t group, const char *name, struct ft_tensor *out,
                 void **heap, struct ft_error *err);

#endif
