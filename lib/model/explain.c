/* Shows which places in a picture support a class. If the feature is a global average, the logit of
 * class c is the sum of h(y, x) . w_c / cells over the cells of the last map, plus the bias (Zhou
 * et al. 2016, Learning Deep Features for Discriminative Localization). If the feature consists of
 * the averages of several maps, the shares of each map are divided over the cells of the finest one
 * that they cover, so that the sum stays exact. What belongs to no place, such as a class token
 * beside the average of the patches, is one number. For features without an average, each cell of a
 * grid over the input is covered in turn with the mean colour of the picture. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "head/softmax.h"
#include "image/image.h"
#include "backbone/backbone.h"
#include "model/occlusion.h"
#include "model/places.h"
#include "network/edit.h"

enum { OCCLUSION_GRID = 7, ZOOM = 2 };
#define FILE_LIMIT ((size_t)1 << 30)

static int explanation_alloc(struct ft_explanation *e, int height, int width, struct ft_error *err)
{
    e->height = height;
    e->width = width;
    e->shares = ft_alloc_zero((size_t)height * (size_t)width, (size_t)e->k * sizeof(float));
    e->feature = ft_alloc_zero((size_t)e->d, sizeof(float));
    e->elsewhere = ft_alloc_zero((size_t)e->k, sizeof(float));
    e->logits = ft_alloc((size_t)e->k, sizeof(float));
    e->p = ft_alloc((size_t)e->k, sizeof(float));
    return e->shares && e->feature && e->elsewhere && e->logits && e->p
               ? 0
               : ft_error_nomem(err, "the explanation");
}

/* pixels [h, w, 3]; they are converted in place if the network takes grey-scale pictures. */
static void run(const struct ft_plan *plan, uint8_t *pixels, void *arena, float *output)
{
    const struct ft_shape in = ft_plan_input(plan);
    if (in.c == 1)
        ft_image_to_grey(pixels, (size_t)in.h * (size_t)in.w);
    ft_plan_run(plan, pixels, arena, output);
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

/* Adds a part of what values [d] with weights w [d, k] give to the logits. */
static void add_elsewhere(const float *values, size_t d, const float *w, double part,
                          struct ft_explanation *e)
{
    const size_t k = (size_t)e->k;
    for (size_t c = 0; c < k; c++) {
        double sum = 0;
        for (size_t j = 0; j < d; j++)
            sum += (double)values[j] * (double)w[j * k + c];
        e->elsewhere[c] += (float)(sum * part);
    }
}

/* Adds the shares of a part's map [n_tokens, d], whose weights are w [d, k], to the cells of e. */
static int add_shares(const float *map, const struct ft_part *s, const float *w,
                      struct ft_explanation *e, struct ft_error *err)
{
    const size_t cells = (size_t)s->rows * (size_t)s->columns, d = (size_t)s->d, k = (size_t)e->k,
                 tokens = (size_t)s->n_tokens, first = (size_t)s->first;
    for (size_t i = 0; i < tokens; i++)
        if (i < first || i >= first + cells)
            add_elsewhere(map + i * d, d, w, 1 / (double)tokens, e);
    map += first * d;
    float *shares = ft_alloc(cells, k * sizeof *shares);
    if (!shares)
        return ft_error_nomem(err, "the explanation");
    for (size_t i = 0; i < cells; i++)
        for (size_t c = 0; c < k; c++) {
            double sum = 0;
            for (size_t j = 0; j < d; j++)
                sum += (double)map[i * d + j] * (double)w[j * k + c];
            shares[i * k + c] = (float)(sum / (double)tokens);
        }
    for (int y = 0; y < e->height; y++) {
        const int rows = together(y, e->height, s->rows),
                  from = coarse(y, e->height, s->rows) * s->columns;
        for (int x = 0; x < e->width; x++) {
            const float part = 1 / (float)(rows * together(x, e->width, s->columns));
            const float *share = shares + (size_t)(from + coarse(x, e->width, s->columns)) * k;
            float *to = e->shares + ((size_t)y * (size_t)e->width + (size_t)x) * k;
            for (size_t c = 0; c < k; c++)
                to[c] += share[c] * part;
        }
    }
    free(shares);
    return 0;
}

/* Runs a plan on a copy of the pixels [h, w, 3]; `output` has room for its output. */
static int run_copy(const struct ft_plan *plan, const uint8_t *pixels, float *output,
                    struct ft_error *err)
{
    const struct ft_shape in = ft_plan_input(plan);
    const size_t size = (size_t)in.h * (size_t)in.w * 3;
    uint8_t *copy = ft_alloc(size, 1);
    void *arena = ft_alloc(1, ft_plan_arena_bytes(plan, 1));
    const int rc = copy && arena ? 0 : ft_error_nomem(err, "the explanation");
    if (!rc) {
        memcpy(copy, pixels, size);
        run(plan, copy, arena, output);
    }
    free(copy);
    free(arena);
    return rc;
}

/* Computes the map of a part and adds it to the explanation. */
static int explain_map(const struct ft_backbone *b, const struct ft_network *network,
                       const struct ft_part *part, const uint8_t *pixels,
                       const struct ft_head *head, struct ft_explanation *e, struct ft_error *err)
{
    const struct ft_plan_options options = { .height = b->geometry.height,
                                             .width = b->geometry.width,
                                             .layer = part->layer,
                                             .precision = ft_backbone_precision(b),
                                             .ranges = &b->ranges };
    const size_t cells = (size_t)part->n_tokens, d = (size_t)part->d;
    struct ft_plan *plan = NULL;
    float *map = ft_alloc(cells, d * sizeof *map);
    int rc = map ? 0 : ft_error_nomem(err, "the explanation");
    rc = rc ? rc : ft_plan_new(network, &options, &plan, err);
    rc = rc ? rc : run_copy(plan, pixels, map, err);
    for (size_t j = 0; !rc && j < d; j++) {
        double sum = 0;
        for (size_t i = 0; i < cells; i++)
            sum += (double)map[i * d + j];
        e->feature[(size_t)part->from + j] = (float)(sum / (double)cells);
    }
    if (!rc)
        rc = add_shares(map, part, head->w + (size_t)part->from * (size_t)head->k, e, err);
    ft_plan_free(plan);
    free(map);
    return rc;
}

/* The shares of all parts [n], of which some are maps. */
static int activation_map(const struct ft_backbone *b, const struct ft_network *network,
                          const struct ft_part *parts, int n, const uint8_t *pixels,
                          const struct ft_head *head, struct ft_explanation *e,
                          struct ft_error *err)
{
    int height = 0, width = 0, maps = 0;
    for (int i = 0; i < n; i++)
        if (parts[i].layer >= 0) {
            height = ft_max(height, parts[i].rows);
            width = ft_max(width, parts[i].columns);
            maps++;
        }
    int rc = explanation_alloc(e, height, width, err);
    if (!rc && maps < n)
        rc = run_copy(b->plan, pixels, e->feature, err);
    for (int i = 0; !rc && i < n; i++) {
        const size_t from = (size_t)parts[i].from;
        if (parts[i].layer >= 0)
            rc = explain_map(b, network, &parts[i], pixels, head, e, err);
        else
            add_elsewhere(e->feature + from, (size_t)parts[i].d, head->w + from * (size_t)head->k,
                          1, e);
    }
    if (rc)
        return rc;
    ft_explanation_logits(head, e->feature, e->logits);
    e->exact = true;
    return 0;
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

/* The exact map if there is one, unless occlusion is wanted. */
static int explain(const struct ft_backbone *b, const struct ft_head *head,
                   const struct ft_explain_options *options, const uint8_t *pixels,
                   struct ft_explanation *e, struct ft_error *err)
{
    struct ft_network *network = NULL;
    struct ft_part *parts = NULL;
    int n = 0, maps = 0;
    int rc = options->occlude ? 0 : ft_network_cut(b->network, b->last, &network, err);
    if (!rc && network)
        rc = ft_parts_find(network, b->geometry.height, b->geometry.width, &parts, &n, err);
    for (int i = 0; i < n; i++)
        maps += parts[i].layer >= 0;
    if (!rc && maps)
        rc = activation_map(b, network, parts, n, pixels, head, e, err);
    else if (!rc) {
        rc = explanation_alloc(e, OCCLUSION_GRID, OCCLUSION_GRID, err);
        rc = rc ? rc : ft_occlusion(b, head, pixels, options, e, err);
    }
    free(parts);
    ft_network_free(network);
    return rc;
}

int ft_explain(const struct ft_model *model, const char *path,
               const struct ft_explain_options *options, struct ft_explanation **out,
               struct ft_error *err)
{
    static const struct ft_explain_options defaults = { 0 };
    const struct ft_backbone *b = ft_model_backbone(model);
    const struct ft_head *head = ft_model_head(model);
    const size_t size = (size_t)b->geometry.width * (size_t)b->geometry.height * 3;
    struct ft_explanation *e = ft_alloc_zero(1, sizeof *e);
    uint8_t *pixels = ft_alloc(size, 1);
    options = options ? options : &defaults;
    int rc =
        e && pixels && (e->picture = ft_alloc(size, ZOOM * ZOOM)) ? 0 : ft_error_nomem(err, path);
    if (!rc) {
        e->d = head->d;
        e->k = head->k;
        e->picture_width = ZOOM * b->geometry.width;
        e->picture_height = ZOOM * b->geometry.height;
        rc = prepare(&b->geometry, path, options->max_pixels, pixels, e->picture, err);
    }
    if (!rc)
        rc = explain(b, head, options, pixels, e, err);
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
    free(e->elsewhere);
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
