/* Features kept for training, in memory or in a scratch file, and their HDF5 file: `features` [n,
 * d] float32, `paths` [n] and `classes` [k] strings, `labels` [n] int32. */
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/isolate.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "finetune-tools.h"
#include "keras/h5.h"

struct ft_features_store { /* ft_features with its private capacity */
    struct ft_features shown;
    size_t capacity;
};

int ft_features_new(int d, struct ft_features **out, struct ft_error *err)
{
    struct ft_features_store *f = calloc(1, sizeof *f);
    if (!f)
        return ft_error_nomem(err, "features");
    f->shown.d = d;
    *out = &f->shown;
    return 0;
}

static bool resize(void *array, size_t count, size_t size)
{
    size_t bytes;
    void *p = ft_size_mul(count, size, &bytes) ? realloc(*(void **)array, bytes) : NULL;
    if (p)
        memcpy(array, &p, sizeof p);
    return p != NULL;
}

static int make_room(struct ft_features_store *store, size_t rows, struct ft_error *err)
{
    struct ft_features *f = &store->shown;
    if ((!f->scratch && !resize(&f->x, rows, (size_t)f->d * sizeof *f->x)) ||
        !resize(&f->paths, rows, sizeof *f->paths) ||
        !resize(&f->labels, rows, sizeof *f->labels) ||
        !resize(&f->content, rows, sizeof *f->content))
        return ft_error_nomem(err, "features");
    store->capacity = rows;
    return 0;
}

uint64_t ft_features_bytes(int d, size_t rows)
{
    return 2 * (uint64_t)rows * (uint64_t)d * sizeof(float);
}

int ft_features_new_bounded(int d, size_t rows, uint64_t memory, const char *dir,
                            struct ft_features **out, struct ft_error *err)
{
    struct ft_features *f = NULL;
    int rc = ft_features_new(d, &f, err);
    if (!rc && ft_features_bytes(d, rows) > memory)
        rc = ft_scratch_new(dir, ft_features_bytes(d, rows) / 2, &f->scratch, err);
    if (!rc && rows)
        rc = make_room((struct ft_features_store *)f, rows, err);
    if (!rc)
        *out = f;
    else
        ft_features_free(f);
    return rc;
}

struct ft_matrix ft_features_matrix(const struct ft_features *f)
{
    return (struct ft_matrix){ .n = f->n, .d = f->d, .x = f->x, .scratch = f->scratch };
}

int ft_features_set_blocks(struct ft_features *f, const struct ft_backbone *backbone,
                           struct ft_error *err)
{
    int n;
    const int *widths = ft_backbone_widths(backbone, &n);
    if (n < 2)
        return 0;
    int *copy = ft_alloc((size_t)n, sizeof *copy);
    if (!copy)
        return ft_error_nomem(err, "features");
    memcpy(copy, widths, (size_t)n * sizeof *copy);
    free(f->blocks);
    f->blocks = copy;
    f->n_blocks = n;
    return 0;
}

int ft_features_last(const struct ft_features *f, struct ft_matrix *out, float **copy,
                     struct ft_error *err)
{
    const struct ft_matrix all = ft_features_matrix(f);
    float *x = NULL;
    if (!f->blocks) {
        *out = all;
        *copy = NULL;
        return 0;
    }
    const int width = f->blocks[f->n_blocks - 1], rc = ft_matrix_last(&all, width, &x, err);
    if (rc)
        return rc;
    *out = (struct ft_matrix){ .n = f->n, .d = width, .x = x };
    *copy = x;
    return 0;
}

int ft_features_append(struct ft_features *f, const struct ft_row *row, int32_t label,
                       struct ft_error *err)
{
    struct ft_features_store *store = (struct ft_features_store *)f;
    if (f->n == store->capacity && make_room(store, f->n ? f->n + f->n / 2 : 64, err))
        return FT_ENOMEM;
    char *path = ft_strdup(row->path);
    if (!path)
        return ft_error_nomem(err, "features");
    const int rc =
        f->scratch ? ft_scratch_append(f->scratch, row->feature, (size_t)f->d * sizeof *f->x, err)
                   : 0;
    if (rc) {
        free(path);
        return rc;
    }
    if (!f->scratch)
        memcpy(f->x + f->n * (size_t)f->d, row->feature, (size_t)f->d * sizeof *f->x);
    f->paths[f->n] = path;
    f->labels[f->n] = label;
    memcpy(f->content[f->n], row->content, sizeof row->content);
    f->n++;
    return 0;
}

void ft_features_free(struct ft_features *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++)
        free(f->paths[i]);
    free(f->paths);
    free(f->x);
    ft_scratch_free(f->scratch);
    free(f->labels);
    free(f->content);
    free(f->blocks);
    free((struct ft_features_store *)f);
}

/* Creates a dataset. Returns a negative number if HDF5 fails. */
static hid_t create(hid_t file, const char *name, int rank, const hsize_t *shape, hid_t type)
{
    const hid_t space = H5Screate_simple(rank, shape, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(how, false);
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    H5Pclose(how);
    H5Sclose(space);
    return set;
}

/* Writes a whole dataset of one dimension. Returns false if HDF5 fails. */
static bool put(hid_t file, const char *name, hsize_t n, hid_t type, const void *data)
{
    const hid_t set = create(file, name, 1, &n, type);
    const bool ok =
        set >= 0 && (!n || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    return set >= 0 && H5Dclose(set) >= 0 && ok;
}

static bool put_block(hid_t set, const struct ft_matrix *x, size_t from, size_t rows, float *room)
{
    const hsize_t start[2] = { from, 0 }, count[2] = { rows, (hsize_t)x->d };
    const hid_t all = H5Dget_space(set), block = H5Screate_simple(2, count, NULL);
    const bool ok = H5Sselect_hyperslab(all, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
                    H5Dwrite(set, H5T_NATIVE_FLOAT, block, all, H5P_DEFAULT,
                             ft_matrix_rows(x, from, rows, room)) >= 0;
    H5Sclose(block);
    H5Sclose(all);
    return ok;
}

static bool put_matrix(hid_t file, const char *name, const struct ft_matrix *x,
                       const struct ft_replacement *r)
{
    enum { ROWS = 1024 };
    const hsize_t shape[2] = { x->n, (hsize_t)x->d };
    float *room = ft_alloc(x->x ? 1 : ROWS, (size_t)x->d * sizeof *room);
    const hid_t set = create(file, name, 2, shape, H5T_IEEE_F32LE);
    bool ok = set >= 0 && room;
    for (size_t from = 0; ok && from < x->n && !ft_replace_interrupted(r); from += ROWS)
        ok = put_block(set, x, from, x->n - from < ROWS ? x->n - from : ROWS, room);
    ok = set >= 0 && H5Dclose(set) >= 0 && ok;
    free(room);
    return ok;
}

static bool put_strings(hid_t file, const char *name, char *const *strings, size_t n)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    const bool ok = put(file, name, n, type, strings);
    H5Tclose(type);
    return ok;
}

struct saving {
    const struct ft_replacement *replacement;
    const struct ft_features *features;
    char *const *classes;
    size_t n_classes;
};

static bool write_file(const struct saving *s)
{
    const struct ft_replacement *r = s->replacement;
    const struct ft_features *f = s->features;
    ft_h5_begin();
    const hid_t file = H5Fcreate(r->path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (file < 0)
        return false;
    const struct ft_matrix x = ft_features_matrix(f);
    const bool ok = put_matrix(file, "features", &x, r) &&
                    put(file, "labels", f->n, H5T_STD_I32LE, f->labels) &&
                    put_strings(file, "paths", f->paths, f->n) &&
                    put_strings(file, "classes", s->classes, s->n_classes);
    const bool flushed =
        H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0; /* closing does not report all errors */
    return (H5Fclose(file) >= 0) && flushed && ok;
}

static int write_isolated(void *user, struct ft_outbox *outbox, struct ft_error *err)
{
    (void)outbox;
    return write_file(user) ? 0 : ft_error_set(err, FT_EIO, "is the disk full?");
}

/* HDF5 crashes if memory runs out while it writes, so it writes in a process of its own. */
static int save(struct saving *s, struct ft_error *err)
{
    struct ft_isolated isolated;
    uint8_t *bytes;
    size_t n;
    int rc = ft_isolated_begin(&isolated, FT_ISOLATED_TRUSTED, write_isolated, s, err);
    if (!rc)
        rc = ft_isolated_end(&isolated, &bytes, &n, err);
    if (!rc)
        ft_isolated_unmap(bytes, n);
    return rc;
}

int ft_features_save(const struct ft_features *f, char *const *classes, int n_classes,
                     const char *path, struct ft_error *err)
{
    struct ft_replacement r = { 0 };
    int rc = ft_replace_begin(path, &r, err);
    if (rc)
        return rc;
    if ((rc = save(&(struct saving){ &r, f, classes, (size_t)n_classes }, err)))
        rc = ft_error_set(err, rc == FT_ENOMEM ? rc : FT_EIO,
                          rc == FT_ENOMEM ? "cannot write '%s': out of memory"
                                          : "cannot write '%s': is the disk full?",
                          path);
    else if (ft_replace_interrupted(&r))
        rc = ft_error_set(err, FT_ECANCELLED, "'%s' is not written: stopped", path);
    else if (!(rc = ft_matrix_status(&(struct ft_matrix){ .scratch = f->scratch }, err)))
        rc = ft_replace_commit(&r, err);
    ft_replace_abort(&r);
    return rc;
}
