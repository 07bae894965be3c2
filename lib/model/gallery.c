#include "model/gallery.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/blas.h"
#include "base/error.h"
#include "base/isolate.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/random.h"
#include "keras/blob.h"

static const char magic[8] = { 'f', 't', 'l', 'o', 'o', 'k', 's', '1' };
enum { HEAD = 16, PATHS_LIMIT = 64 << 20 };

/* A random matrix [d, FT_CODE] of 1 and -1, the same for all models. Returns NULL if memory runs
 * out.
 */
static float *projections(int d)
{
    struct ft_random random = { 5 };
    float *p = ft_alloc((size_t)d, FT_CODE * sizeof *p);
    for (size_t i = 0; p && i < (size_t)d * FT_CODE; i++)
        p[i] = ft_random_next(&random) >> 63 ? 1 : -1;
    return p;
}

/* Projects the feature and divides by the largest absolute value: code [FT_CODE] in [-1, 1]. */
static void encode(const float *feature, int d, const float *projection, float *code)
{
    float most = 0;
    cblas_sgemv(CblasRowMajor, CblasTrans, d, FT_CODE, 1, projection, FT_CODE, feature, 1, 0, code,
                1);
    for (int i = 0; i < FT_CODE; i++)
        most = fmaxf(most, fabsf(code[i]));
    for (int i = 0; i < FT_CODE && most > 0; i++)
        code[i] /= most;
}

static struct ft_gallery *gallery_alloc(size_t n)
{
    struct ft_gallery *g = ft_alloc_zero(1, sizeof *g);
    if (!g)
        return NULL;
    g->n = n;
    g->paths = ft_alloc_zero(n + 1, sizeof *g->paths);
    g->labels = ft_alloc(n + 1, sizeof *g->labels);
    g->codes = ft_alloc(n + 1, FT_CODE);
    if (g->paths && g->labels && g->codes)
        return g;
    ft_gallery_free(g);
    return NULL;
}

void ft_gallery_free(struct ft_gallery *g)
{
    if (!g)
        return;
    for (size_t i = 0; g->paths && i < g->n; i++)
        free(g->paths[i]);
    free(g->paths);
    free(g->labels);
    free(g->codes);
    free(g);
}

int ft_gallery_new(const struct ft_features *f, int d, const char *dir, struct ft_gallery **out,
                   struct ft_error *err)
{
    const size_t n = f->n < FT_GALLERY_MOST ? f->n : FT_GALLERY_MOST, skip = strlen(dir);
    struct ft_gallery *g = gallery_alloc(n);
    const struct ft_matrix x = ft_features_matrix(f);
    float *projection = projections(d), *room = ft_alloc((size_t)f->d, sizeof *room), code[FT_CODE];
    bool ok = g && projection && room;
    ft_blas_alone();
    for (size_t i = 0; ok && i < n; i++) {
        const size_t row = i * f->n / n;
        const char *path = f->paths[row];
        if (!strncmp(path, dir, skip))
            path += skip + strspn(path + skip, "/");
        encode(ft_matrix_rows(&x, row, 1, room) + f->d - d, d, projection, code);
        for (int c = 0; c < FT_CODE; c++)
            g->codes[i * FT_CODE + (size_t)c] = (int8_t)lrintf(code[c] * 127);
        g->labels[i] = f->labels[row];
        ok = (g->paths[i] = ft_strdup(path)) != NULL;
    }
    free(projection);
    free(room);
    const int rc =
        ok ? ft_matrix_status(&x, err) : ft_error_nomem(err, "the training pictures of the model");
    if (rc) {
        ft_gallery_free(g);
        return rc;
    }
    *out = g;
    return 0;
}

int ft_gallery_copy(const struct ft_gallery *from, struct ft_gallery **out, struct ft_error *err)
{
    struct ft_gallery *g = gallery_alloc(from->n);
    bool ok = g != NULL;
    for (size_t i = 0; ok && i < from->n; i++)
        ok = (g->paths[i] = ft_strdup(from->paths[i])) != NULL;
    if (!ok) {
        ft_gallery_free(g);
        return ft_error_nomem(err, "the training pictures of the model");
    }
    memcpy(g->labels, from->labels, from->n * sizeof *g->labels);
    memcpy(g->codes, from->codes, from->n * FT_CODE);
    *out = g;
    return 0;
}

static int closest_first(const void *a, const void *b)
{
    const struct ft_neighbour *x = a, *y = b;
    if (x->similarity != y->similarity)
        return x->similarity < y->similarity ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

size_t ft_gallery_nearest(const struct ft_gallery *g, const float *feature, int d, size_t count,
                          struct ft_neighbour *out)
{
    float *projection = projections(d), code[FT_CODE];
    struct ft_neighbour *all = ft_alloc(g->n + 1, sizeof *all);
    const bool ok = projection && all;
    if (ok)
        encode(feature, d, projection, code);
    for (size_t i = 0; ok && i < g->n; i++) {
        double dot = 0, a = 0, b = 0;
        for (size_t c = 0; c < FT_CODE; c++) {
            const double x = code[c], y = g->codes[i * FT_CODE + c];
            dot += x * y;
            a += x * x;
            b += y * y;
        }
        all[i] = (struct ft_neighbour){ i, a > 0 && b > 0 ? dot / sqrt(a * b) : 0 };
    }
    count = !ok ? 0 : count < g->n ? count : g->n;
    if (count) {
        qsort(all, g->n, sizeof *all, closest_first);
        memcpy(out, all, count * sizeof *out);
    }
    free(projection);
    free(all);
    return count;
}

/* ---- in a file ------------------------------------------------------------------------------- */

static void put32(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

int ft_gallery_encode(const struct ft_gallery *g, uint8_t **out, size_t *out_size,
                      struct ft_error *err)
{
    size_t size = HEAD + g->n * (4 + FT_CODE);
    for (size_t i = 0; i < g->n; i++)
        size += strlen(g->paths[i]) + 1;
    uint8_t *bytes = ft_alloc(size, 1), *at = bytes;
    if (!bytes)
        return ft_error_nomem(err, "the training pictures of the model");
    memcpy(at, magic, sizeof magic);
    put32(at + 8, (uint32_t)g->n);
    put32(at + 12, FT_CODE);
    at += HEAD;
    for (size_t i = 0; i < g->n; i++, at += 4)
        put32(at, (uint32_t)g->labels[i]);
    memcpy(at, g->codes, g->n * FT_CODE);
    at += g->n * FT_CODE;
    for (size_t i = 0; i < g->n; i++) {
        const size_t length = strlen(g->paths[i]) + 1;
        memcpy(at, g->paths[i], length);
        at += length;
    }
    *out = bytes;
    *out_size = size;
    return 0;
}

/* Checks everything, because the file may be damaged. bytes[size] must be readable. */
static struct ft_gallery *parse(uint8_t *bytes, size_t size, int k)
{
    if (size < HEAD || memcmp(bytes, magic, sizeof magic) || get32(bytes + 12) != FT_CODE)
        return NULL;
    const size_t n = get32(bytes + 8);
    if (n > FT_GALLERY_MOST || size < HEAD + n * (4 + FT_CODE))
        return NULL;
    struct ft_gallery *g = gallery_alloc(n);
    size_t at = HEAD + n * (4 + FT_CODE);
    bool ok = g != NULL;
    if (ok)
        memcpy(g->codes, bytes + HEAD + 4 * n, n * FT_CODE);
    bytes[size] = 0;
    for (size_t i = 0; ok && i < n; i++) {
        const uint32_t label = get32(bytes + HEAD + 4 * i);
        ok = label < (uint32_t)k && at < size && (g->paths[i] = ft_strdup((char *)bytes + at));
        g->labels[i] = (int32_t)label;
        if (ok)
            at += strlen(g->paths[i]) + 1;
    }
    if (ok)
        return g;
    ft_gallery_free(g);
    return NULL;
}

static int read_isolated(void *path, struct ft_outbox *outbox, struct ft_error *err)
{
    uint8_t *bytes;
    size_t size;
    const int rc = ft_blob_read(path, FT_GALLERY_NAME,
                                HEAD + (size_t)FT_GALLERY_MOST * (4 + FT_CODE) + PATHS_LIMIT,
                                &bytes, &size, err);
    if (!rc && bytes) {
        ft_outbox_write(outbox, bytes, size);
        ft_outbox_write(outbox, "", 1); /* parse ends the text there */
    }
    return rc;
}

int ft_gallery_read(const char *path, int k, struct ft_gallery **out, struct ft_error *err)
{
    struct ft_isolated isolated;
    struct stat st;
    uint8_t *bytes = NULL;
    size_t size;
    *out = NULL;
    if (stat(path, &st))
        return ft_error_errno(err, "'%s': cannot be opened", path);
    int rc = ft_isolated_begin(&isolated, (uint64_t)st.st_size, read_isolated, (void *)path, err);
    if (!rc)
        rc = ft_isolated_end(&isolated, &bytes, &size, err);
    else
        isolated.reported = false;
    if (rc)
        return isolated.reported ? rc : ft_error_prefix(err, rc, "'%s'", path);
    struct ft_gallery *g = size ? parse(bytes, size - 1, k) : NULL;
    ft_isolated_unmap(bytes, size);
    if (!size)
        return 0;
    if (!g)
        return ft_error_set(err, FT_EFORMAT, "'%s': the remembered training pictures are damaged",
                            path);
    *out = g;
    return 0;
}
