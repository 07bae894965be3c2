#include "model/occlusion.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "finetune/machine.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "image/image.h"

enum { MOST_PICTURES = 4 };

/* Copies of the picture go through the plan in batches, as many together as is fastest. Copy 0 has
 * nothing covered, copy i has cell i - 1 covered. */
struct occlusion {
    const struct ft_backbone *b;
    const struct ft_head *head;
    const struct ft_explain_options *options;
    const uint8_t *pixels;
    uint8_t colour[3];
    int batch, copies;
    struct ft_team *team;
    uint8_t *covered; /* [members, batch, h, w, 3] */
    uint8_t **arenas; /* [members] */
    float *features;  /* [copies, d] */
    atomic_size_t done;
};

void ft_explanation_logits(const struct ft_head *head, const float *feature, float *logits)
{
    for (int c = 0; c < head->k; c++) {
        double z = head->b[c];
        for (int j = 0; j < head->d; j++)
            z += (double)feature[j] * (double)head->w[(size_t)j * (size_t)head->k + (size_t)c];
        logits[c] = (float)z;
    }
}

static void mean_colour(const uint8_t *pixels, size_t n, uint8_t colour[3])
{
    uint64_t sum[3] = { 0 };
    for (size_t i = 0; i < 3 * n; i++)
        sum[i % 3] += pixels[i];
    for (int i = 0; i < 3; i++)
        colour[i] = (uint8_t)(sum[i] / ft_max_size(n, 1));
}

/* Fills rows [y0, y1) and columns [x0, x1) of pixels [., width, 3] with one colour. */
static void cover(uint8_t *pixels, int width, int y0, int y1, int x0, int x1,
                  const uint8_t colour[3])
{
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            memcpy(pixels + ((size_t)y * (size_t)width + (size_t)x) * 3, colour, 3);
}

static void make_copy(const struct occlusion *o, const struct ft_explanation *e, int copy,
                      uint8_t *to)
{
    const int W = o->b->geometry.width, H = o->b->geometry.height, cell = copy - 1;
    memcpy(to, o->pixels, (size_t)W * (size_t)H * 3);
    if (copy) {
        const int y = cell / e->width, x = cell % e->width;
        cover(to, W, y * H / e->height, (y + 1) * H / e->height, x * W / e->width,
              (x + 1) * W / e->width, o->colour);
    }
    if (ft_plan_input(o->b->plan).c == 1)
        ft_image_to_grey(to, (size_t)W * (size_t)H);
}

struct run {
    struct occlusion *o;
    const struct ft_explanation *e;
};

static void run_batch(void *context, size_t i, int member)
{
    const struct run *r = context;
    struct occlusion *o = r->o;
    const size_t size = (size_t)o->b->geometry.width * (size_t)o->b->geometry.height * 3;
    const int first = (int)i * o->batch, n = ft_min(o->batch, o->copies - first);
    const uint8_t *pixels[MOST_PICTURES];
    float *outputs[MOST_PICTURES];
    for (int k = 0; k < n; k++) {
        uint8_t *copy = o->covered + ((size_t)member * (size_t)o->batch + (size_t)k) * size;
        make_copy(o, r->e, first + k, copy);
        pixels[k] = copy;
        outputs[k] = o->features + (size_t)(first + k) * (size_t)r->e->d;
    }
    ft_plan_run_several(o->b->plan, n, pixels, o->arenas[member], outputs);
    const size_t done = atomic_fetch_add(&o->done, (size_t)n) + (size_t)n;
    if (!member && o->options->progress) /* on the thread of the caller */
        o->options->progress(o->options->user, done, (size_t)o->copies);
}

static int init(struct occlusion *o, const struct ft_explanation *e, struct ft_error *err)
{
    const int threads = o->options->threads > 0 ? o->options->threads : ft_cpu_count();
    const size_t size = (size_t)o->b->geometry.width * (size_t)o->b->geometry.height * 3;
    o->batch = ft_min(ft_plan_pictures(o->b->plan), MOST_PICTURES);
    o->copies = e->height * e->width + 1;
    const size_t members =
        (size_t)ft_max(1, ft_min(threads, (o->copies + o->batch - 1) / o->batch));
    o->team = ft_team_new((int)members);
    o->covered = ft_alloc(members * (size_t)o->batch, size);
    o->arenas = calloc(members, sizeof *o->arenas);
    o->features = ft_alloc((size_t)o->copies * (size_t)e->d, sizeof *o->features);
    bool ok = o->team && o->covered && o->arenas && o->features;
    for (size_t i = 0; ok && i < members; i++)
        ok = (o->arenas[i] = ft_alloc(1, ft_plan_arena_bytes(o->b->plan, o->batch)));
    return ok ? 0 : ft_error_nomem(err, "the explanation");
}

static void release(struct occlusion *o)
{
    for (int i = 0; o->arenas && o->team && i < ft_team_size(o->team); i++)
        free(o->arenas[i]);
    ft_team_free(o->team);
    free(o->covered);
    free(o->arenas);
    free(o->features);
}

int ft_occlusion(const struct ft_backbone *b, const struct ft_head *head, const uint8_t *pixels,
                 const struct ft_explain_options *options, struct ft_explanation *e,
                 struct ft_error *err)
{
    struct occlusion o = { .b = b, .head = head, .options = options, .pixels = pixels };
    const size_t k = (size_t)head->k, d = (size_t)e->d;
    float *logits = ft_alloc(k, sizeof *logits);
    int rc = logits ? init(&o, e, err) : ft_error_nomem(err, "the explanation");
    if (rc)
        goto done;
    mean_colour(pixels, (size_t)b->geometry.width * (size_t)b->geometry.height, o.colour);
    ft_team_each(o.team, (size_t)((o.copies + o.batch - 1) / o.batch), run_batch,
                 &(struct run){ &o, e });
    memcpy(e->feature, o.features, d * sizeof *e->feature);
    ft_explanation_logits(head, e->feature, e->logits);
    for (int copy = 1; copy < o.copies; copy++) {
        ft_explanation_logits(head, o.features + (size_t)copy * d, logits);
        for (size_t c = 0; c < k; c++)
            e->shares[(size_t)(copy - 1) * k + c] = e->logits[c] - logits[c];
    }
done:
    release(&o);
    free(logits);
    return rc;
}
