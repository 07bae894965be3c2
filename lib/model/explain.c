/* Shows which places in a picture support a class. If the feature is a global average, the logit of
 * class c is the sum of h(y, x) . w_c / cells over the cells of the last map, plus the bias (Zhou
 * et al. 2016, Learning Deep Features for Discriminative Localization). If the feature consists of
 * the averages of several maps, the shares of each map are divided over the cells of the finest one
 * that they cover, so that the sum stays exact. For other features, each cell of a grid over the
 * input is covered in turn with the mean colour of the picture. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "head/softmax.h"
#include "image/image.h"
#include "network/taps.h"
#include "backbone/backbone.h"

enum { OCCLUSION_GRID = 7, ZOOM = 2 };
#define FILE_LIMIT ((size_t)1 << 30)

static int explanation_alloc(struct ft_explanation *e, int height, int width, struct ft_error *err)
{
    e->height = height;
    e->width = width;
    e->shares = ft_alloc_zero((size_t)height * (size_t)width, (size_t)e->k * sizeof(float));
    e->feature = ft_alloc_zero((size_t)e->d, sizeof(float));
    e->logits = ft_alloc((size_t)e->k, sizeof(float));
    e->p = ft_alloc((size_t)e->k, sizeof(float));
    return e->shares && e->feature && e->logits && e->p ? 0
                                                        : ft_error_nomem(err, "the explanation");
}

static void logits_of(const struct ft_head *head, const float *feature, float *logits)
{
    for (int c = 0; c < head->k; c++) {
        double z = head->b[c];
        for (int j = 0; j < head->d; j++)
            z += (double)feature[j] * (double)head->w[(size_t)j * (size_t)head->k + (size_t)c];
        logits[c] = (float)z;
    }
}

/* pixels [h, w, 3]; they are converted in place if the network takes grey-scale pictures. */
static void run(const struct ft_plan *plan, uint8_t *pixels, void *arena, float *output)
{
    const struct ft_shape in = ft_plan_input(plan);
    if (in.c == 1)
        ft_image_to_grey(pixels, (size_t)in.h * (size_t)in.w);
    ft_plan_run(plan, pixels, arena, output);
}

/* Maps whose averages, one after the other, are the feature. */
struct maps {
    int n;
    int *layers;            /* [n] */
    struct ft_plan **plans; /* [n] */
};

static void maps_release(struct maps *m)
{
    for (int i = 0; m->plans && i < m->n; i++)
        ft_plan_free(m->plans[i]);
    free(m->layers);
    free(m->plans);
}

/* Appends the maps whose averages layer `last` concatenates, also those of concatenations in it:
 * two networks side by side, whose layers are concatenated. Returns whether there is nothing
 * else. */
static bool collect_maps(const struct ft_network *network, int last, struct maps *m)
{
    const struct ft_layer *all = &network->layers[last];
    if (all->kind != FT_LAYER_CONCATENATE) {
        m->layers[m->n] = ft_network_averaged(network, last);
        return m->layers[m->n++] >= 0;
    }
    for (int i = 0; i < all->n_inputs; i++)
        if (m->n >= network->n_layers || !collect_maps(network, all->inputs[i], m))
            return false;
    return true;
}

/* Finds the maps. n is 0 if the feature is not made of averages. */
static int find_maps(const struct ft_network *network, int last, struct maps *out,
                     struct ft_error *err)
{
    const size_t most = (size_t)network->n_layers;
    struct maps m = { 0 };
    m.layers = ft_alloc(most, sizeof *m.layers);
    m.plans = ft_alloc_zero(most, sizeof *m.plans);
    if (!m.layers || !m.plans) {
        maps_release(&m);
        return ft_error_nomem(err, "the explanation");
    }
    if (!collect_maps(network, last, &m))
        m.n = 0;
    *out = m;
    return 0;
}

static int plan_maps(const struct ft_backbone *b, struct maps *m, struct ft_error *err)
{
    int rc = 0;
    for (int i = 0; !rc && i < m->n; i++) {
        const struct ft_plan_options options = { .height = b->geometry.height,
                                                 .width = b->geometry.width,
                                                 .layer = m->layers[i] };
        rc = ft_plan_new(b->network, &options, &m->plans[i], err);
    }
    return rc;
}

/* The cell of a coarse row of `from` cells that cell i of `to` cells lies in. */
static int coarse(int i, int to, int from)
{
    return (int)(((long long)2 * i + 1) * from / (2LL * to));
}

/* How many of `to` cells lie in the same cell of `from` as cell i. */
static int together(int i, int to, int from)
{
    int n = 0;
    for (int j = 0; j < to; j++)
        n += coarse(j, to, from) == coarse(i, to, from);
    return n;
}

/* Adds the shares of a map [s.h, s.w, s.c], whose weights are w [s.c, k], to the cells of e. */
static int add_shares(const float *map, struct ft_shape s, const float *w, struct ft_explanation *e,
                      struct ft_error *err)
{
    const size_t cells = (size_t)s.h * (size_t)s.w, d = (size_t)s.c, k = (size_t)e->k;
    float *shares = ft_alloc(cells, k * sizeof *shares);
    if (!shares)
        return ft_error_nomem(err, "the explanation");
    for (size_t i = 0; i < cells; i++)
        for (size_t c = 0; c < k; c++) {
            double sum = 0;
            for (size_t j = 0; j < d; j++)
                sum += (double)map[i * d + j] * (double)w[j * k + c];
            shares[i * k + c] = (float)(sum / (double)cells);
        }
    for (int y = 0; y < e->height; y++) {
        const int rows = together(y, e->height, s.h), from = coarse(y, e->height, s.h) * s.w;
        for (int x = 0; x < e->width; x++) {
            const float part = 1 / (float)(rows * together(x, e->width, s.w));
            const float *share = shares + (size_t)(from + coarse(x, e->width, s.w)) * k;
            float *to = e->shares + ((size_t)y * (size_t)e->width + (size_t)x) * k;
            for (size_t c = 0; c < k; c++)
                to[c] += share[c] * part;
        }
    }
    free(shares);
    return 0;
}

/* Runs one plan and adds its map to the explanation, where its features begin at `from`. */
static int explain_map(const struct ft_plan *plan, const struct ft_head *head, int from,
                       const uint8_t *pixels, struct ft_explanation *e, struct ft_error *err)
{
    const struct ft_shape in = ft_plan_input(plan), s = ft_plan_output(plan);
    const size_t cells = (size_t)s.h * (size_t)s.w, d = (size_t)s.c,
                 size = (size_t)in.h * (size_t)in.w * 3;
    float *map = ft_alloc(cells, d * sizeof *map);
    uint8_t *copy = ft_alloc(size, 1);
    void *arena = ft_alloc(1, ft_plan_arena_bytes(plan, 1));
    int rc = map && copy && arena ? 0 : ft_error_nomem(err, "the explanation");
    if (!rc) {
        memcpy(copy, pixels, size);
        run(plan, copy, arena, map);
        for (size_t j = 0; j < d; j++) {
            double sum = 0;
            for (size_t i = 0; i < cells; i++)
                sum += (double)map[i * d + j];
            e->feature[(size_t)from + j] = (float)(sum / (double)cells);
        }
        rc = add_shares(map, s, head->w + (size_t)from * (size_t)head->k, e, err);
    }
    free(map);
    free(copy);
    free(arena);
    return rc;
}

static int activation_map(const struct ft_backbone *b, const struct ft_head *head, struct maps *m,
                          const uint8_t *pixels, struct ft_explanation *e, struct ft_error *err)
{
    int height = 0, width = 0, from = 0;
    int rc = plan_maps(b, m, err);
    for (int i = 0; !rc && i < m->n; i++) {
        height = ft_max(height, ft_plan_output(m->plans[i]).h);
        width = ft_max(width, ft_plan_output(m->plans[i]).w);
    }
    if (!rc)
        rc = explanation_alloc(e, height, width, err);
    for (int i = 0; !rc && i < m->n; i++) {
        rc = explain_map(m->plans[i], head, from, pixels, e, err);
        from += ft_plan_output(m->plans[i]).c;
    }
    if (rc)
        return rc;
    logits_of(head, e->feature, e->logits);
    e->exact = true;
    return 0;
}

/* Fills rows [y0, y1) and columns [x0, x1) of pixels [., width, 3] with one colour. */
static void cover(uint8_t *pixels, int width, int y0, int y1, int x0, int x1,
                  const uint8_t colour[3])
{
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            memcpy(pixels + ((size_t)y * (size_t)width + (size_t)x) * 3, colour, 3);
}

static int occlusion(const struct ft_backbone *b, const struct ft_head *head, const uint8_t *pixels,
                     struct ft_explanation *e, struct ft_error *err)
{
    const int W = b->geometry.width, H = b->geometry.height, grid = OCCLUSION_GRID;
    const size_t size = (size_t)W * (size_t)H * 3, k = (size_t)head->k;
    uint8_t *covered = ft_alloc(size, 1), colour[3];
    void *arena = ft_alloc(1, ft_plan_arena_bytes(b->plan, 1));
    float *feature = ft_alloc((size_t)e->d, sizeof *feature), *logits = ft_alloc(k, sizeof *logits);
    int rc = covered && arena && feature && logits ? explanation_alloc(e, grid, grid, err)
                                                   : ft_error_nomem(err, "the explanation");
    if (!rc) {
        uint64_t sum[3] = { 0 };
        for (size_t i = 0; i < size; i++)
            sum[i % 3] += pixels[i];
        for (int i = 0; i < 3; i++)
            colour[i] = (uint8_t)(sum[i] / ft_max_size(size / 3, 1));
        memcpy(covered, pixels, size);
        run(b->plan, covered, arena, e->feature);
        logits_of(head, e->feature, e->logits);
        for (int cell = 0; cell < grid * grid; cell++) {
            const int y = cell / grid, x = cell % grid;
            memcpy(covered, pixels, size);
            cover(covered, W, y * H / grid, (y + 1) * H / grid, x * W / grid, (x + 1) * W / grid,
                  colour);
            run(b->plan, covered, arena, feature);
            logits_of(head, feature, logits);
            for (size_t c = 0; c < k; c++)
                e->shares[(size_t)cell * k + c] = e->logits[c] - logits[c];
        }
    }
    free(covered);
    free(arena);
    free(feature);
    free(logits);
    return rc;
}

/* Prepares the network's input, and the same picture at ZOOM times its size for display. */
static int prepare(const struct ft_geometry *geometry, const char *path, uint64_t max_pixels,
                   uint8_t *pixels, uint8_t *picture, struct ft_error *err)
{
    struct ft_geometry large = *geometry;
    struct ft_preparer preparer = { 0 };
    struct ft_bytes bytes = { 0 };
    large.width *= ZOOM;
    large.height *= ZOOM;
    int rc = ft_file_read(path, FILE_LIMIT, &bytes, err);
    if (!rc)
        rc = ft_image_prepare(&preparer, bytes.data, bytes.size, geometry, max_pixels, pixels, err);
    if (!rc)
        rc = ft_image_prepare(&preparer, bytes.data, bytes.size, &large, max_pixels, picture, err);
    ft_preparer_release(&preparer);
    ft_bytes_release(&bytes);
    return rc ? ft_error_prefix(err, rc, "'%s'", path) : 0;
}

int ft_explain(const struct ft_model *model, const char *path, uint64_t max_pixels,
               struct ft_explanation **out, struct ft_error *err)
{
    const struct ft_backbone *b = ft_model_backbone(model);
    const struct ft_head *head = ft_model_head(model);
    const size_t size = (size_t)b->geometry.width * (size_t)b->geometry.height * 3;
    struct ft_explanation *e = ft_alloc_zero(1, sizeof *e);
    uint8_t *pixels = ft_alloc(size, 1);
    int rc =
        e && pixels && (e->picture = ft_alloc(size, ZOOM * ZOOM)) ? 0 : ft_error_nomem(err, path);
    if (!rc) {
        e->d = head->d;
        e->k = head->k;
        e->picture_width = ZOOM * b->geometry.width;
        e->picture_height = ZOOM * b->geometry.height;
        rc = prepare(&b->geometry, path, max_pixels, pixels, e->picture, err);
    }
    struct maps maps = { 0 };
    if (!rc)
        rc = find_maps(b->network, b->last, &maps, err);
    if (!rc)
        rc = maps.n ? activation_map(b, head, &maps, pixels, e, err)
                    : occlusion(b, head, pixels, e, err);
    maps_release(&maps);
    free(pixels);
    if (rc) {
        ft_explanation_free(e);
        return rc;
    }
    ft_head_apply(head, e->logits, e->p);
    *out = e;
    return 0;
}

void ft_explanation_free(struct ft_explanation *e)
{
    if (!e)
        return;
    free(e->shares);
    free(e->feature);
    free(e->logits);
    free(e->p);
    free(e->picture);
    free(e);
}

void ft_explanation_map(const struct ft_explanation *e, const struct ft_question *q, float *map)
{
    for (size_t i = 0; i < (size_t)e->height * (size_t)e->width; i++) {
        const float *cell = e->shares + i * (size_t)e->k;
        map[i] = cell[q->class_index] - (q->against >= 0 ? cell[q->against] : 0);
    }
}
