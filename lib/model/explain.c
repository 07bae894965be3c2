/* Shows which places in a picture support a class. If the feature is a global average, the logit of
 * class c is the sum of h(y, x) . w_c / cells over the cells of the last map, plus the bias (Zhou
 * et al. 2016, Learning Deep Features for Discriminative Localization). For other features, each
 * cell of a grid over the input is covered in turn with the mean colour of the picture. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "head/softmax.h"
#include "image/image.h"
#include "backbone/backbone.h"

enum { OCCLUSION_GRID = 7, ZOOM = 2 };
#define FILE_LIMIT ((size_t)1 << 30)

/* The layer whose map is averaged to the feature; -1: the feature is not an average. */
static int map_layer(const struct ft_network *n, int last)
{
    int i = last;
    while (n->layers[i].kind == FT_LAYER_IDENTITY || n->layers[i].kind == FT_LAYER_FLATTEN ||
           (n->layers[i].kind == FT_LAYER_ACTIVATION &&
            n->layers[i].params.activation == FT_ACT_LINEAR))
        i = n->layers[i].inputs[0];
    return n->layers[i].kind == FT_LAYER_GLOBAL_AVERAGE_POOL ? n->layers[i].inputs[0] : -1;
}

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

/* `pixels` may be changed. */
static int activation_map(const struct ft_backbone *b, const struct ft_head *head, int layer,
                          uint8_t *pixels, struct ft_explanation *e, struct ft_error *err)
{
    struct ft_plan *plan = NULL;
    const struct ft_plan_options options = { .height = b->geometry.height,
                                             .width = b->geometry.width,
                                             .layer = layer };
    int rc = ft_plan_new(b->network, &options, &plan, err);
    if (rc)
        return rc;
    const struct ft_shape s = ft_plan_output(plan);
    const size_t cells = (size_t)s.h * (size_t)s.w, d = (size_t)s.c, k = (size_t)head->k;
    float *map = ft_alloc(cells, d * sizeof *map);
    void *arena = ft_alloc(1, ft_plan_arena_bytes(plan, 1));
    rc =
        map && arena ? explanation_alloc(e, s.h, s.w, err) : ft_error_nomem(err, "the explanation");
    if (!rc) {
        run(plan, pixels, arena, map);
        for (size_t i = 0; i < cells; i++)
            for (size_t c = 0; c < k; c++) {
                double sum = 0;
                for (size_t j = 0; j < d; j++)
                    sum += (double)map[i * d + j] * (double)head->w[j * k + c];
                e->shares[i * k + c] = (float)(sum / (double)cells);
            }
        for (size_t j = 0; j < d; j++) {
            double sum = 0;
            for (size_t i = 0; i < cells; i++)
                sum += (double)map[i * d + j];
            e->feature[j] = (float)(sum / (double)cells);
        }
        logits_of(head, e->feature, e->logits);
        e->exact = true;
    }
    free(map);
    free(arena);
    ft_plan_free(plan);
    return rc;
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
    const int layer = map_layer(b->network, b->last);
    if (!rc)
        rc = layer >= 0 ? activation_map(b, head, layer, pixels, e, err)
                        : occlusion(b, head, pixels, e, err);
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
