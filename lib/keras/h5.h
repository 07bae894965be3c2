/* Reading HDF5: groups (h5.c), attributes (h5_text.c), datasets (h5_tensor.c). Soft and external
 * links are refused, sizes are checked against the size of the file, and a contiguous dataset of
 * native float32 is not copied: the tensor points into the mapped file. HDF5 is not thread-safe:
 * one thread at a time.
 */
#ifndef FT_KERAS_H5_H
#define FT_KERAS_H5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "finetune-tools.h"
#include "network/network.h"

struct ft_h5 {
    int64_t file;
    uint8_t *map; /* [size] the whole file, read-only, borrowed */
    size_t size;
};

/* A list of strings in one block. */
struct ft_names {
    int n;
    char **names; /* [n] */
    char *text;
};

/* Must be called before any other function of HDF5; more calls do no harm. HDF5 then prints no
 * error stacks, and does not clean up at exit: versions 1.10 to 1.14 crash there if a full disk
 * prevented a file from being closed. Both affect the whole process. */
void ft_h5_begin(void);

/* Whether a file that begins with these n bytes is HDF5. */
bool ft_h5_is(const uint8_t *start, size_t n);
/* Messages do not name the file: the caller prefixes it. The caller must unmap the mapping, after
 * ft_h5_close. */
int ft_h5_map(const char *path, uint8_t **map, size_t *size, struct ft_error *err);
int ft_h5_open(const char *path, uint8_t *map, size_t size, struct ft_h5 *out,
               struct ft_error *err);
void ft_h5_close(struct ft_h5 *h5); /* does not unmap */

/* The mapped file that tensors point into: the source of a network's storage. */
struct ft_h5_mapping {
    uint8_t *map; /* [size] from ft_h5_map, or NULL */
    size_t size;
};
/* Unmaps and frees it: for ft_storage.release. */
void ft_h5_mapping_free(void *source);

/* Opens the group or dataset `name`; *out is 0 if there is none. Soft and external links, which may
 * lead out of the file, are an error. Must be closed with H5Oclose(). */
int ft_h5_object_open(int64_t group, const char *name, int64_t *out, struct ft_error *err);
/* Opens the group `name` below group `parent`; *out is 0 if there is none. */
int ft_h5_group_open(int64_t parent, const char *name, int64_t *out, struct ft_error *err);
/* The same for "a/b". */
int ft_h5_path_open(int64_t parent, const char *path, int64_t *out, struct ft_error *err);
/* Names of all members of a group. */
int ft_h5_links(int64_t group, struct ft_names *out, struct ft_error *err);
int ft_h5_root_open(const struct ft_h5 *h5, int64_t *out, struct ft_error *err);
void ft_h5_group_close(int64_t group);

/* A string attribute, scalar or the only element of a list, of fixed or variable length. *out must
 * be freed with free(); it is NULL if there is no such attribute. */
int ft_h5_text(const struct ft_h5 *h5, int64_t group, const char *name, char **out,
               struct ft_error *err);
/* A list of strings, which may be divided among the attributes name0, name1, ...; empty if there is
 * none. */
int ft_h5_names(const struct ft_h5 *h5, int64_t group, const char *name, struct ft_names *out,
                struct ft_error *err);
void ft_names_release(struct ft_names *names);

/* The numeric dataset `name` in `group` as float32. `integers`: it may be stored as integers. If
 * possible it points into the mapping, else it is read to a block of the storage. */
int ft_h5_tensor(const struct ft_h5 *h5, int64_t group, const char *name, bool integers,
                 struct ft_storage *storage, struct ft_tensor *out, struct ft_error *err);

#endif
