/* The layout of the arena. First borders are found. Then buffers are placed by decreasing size,
 * each at the lowest offset where it overlaps no buffer that is in use at the same time (the
 * greedy-by-size strategy of Y. Pisarchyk and J. Lee, Efficient Memory Management for Deep Neural
 * Net Inference, 2020). The buffers that all pictures share come first, those that each picture has
 * for itself come after them. */
#include "graph/steps.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/numbers.h"

/* The value is read from row -top and column -left to `bottom` rows and `right` columns past its
 * end. */
static void need_border(struct ft_plan *plan, const struct ft_value *value, int top, int bottom,
                        int left, int right)
{
    struct ft_buffer *b = &plan->buffers[value->buffer];
    b->top = ft_max(b->top, top - value->y);
    b->bottom = ft_max(b->bottom, value->y + value->h + bottom - b->h);
    b->left = ft_max(b->left, left - value->x);
    b->right = ft_max(b->right, value->x + value->w + right - b->w);
}

static int excess(const struct ft_work *w, int axis, int out, int in)
{
    const int past = (out - 1) * w->stride[axis] - w->pad[axis] +
                     (w->kernel[axis] - 1) * w->dilation[axis] + 1 - in;
    return ft_max(past, 0);
}

static void find_borders(struct ft_plan *plan)
{
    for (int i = 0; i < plan->n_steps; i++) {
        const struct ft_step *s = &plan->steps[i];
        if (s->operation == FT_OP_CONVOLUTION || s->operation == FT_OP_DEPTHWISE)
            need_border(plan, &s->in, s->work.pad[0], excess(&s->work, 0, s->out.h, s->in.h),
                        s->work.pad[1], excess(&s->work, 1, s->out.w, s->in.w));
        else
            need_border(plan, &s->in, 0, 0, 0, 0);
        if (s->other.buffer >= 0)
            need_border(plan, &s->other, 0, 0, 0, 0);
    }
    need_border(plan, &plan->result, 0, 0, 0, 0);
}

/* If pixels are a multiple of four cache lines apart, the lines that a tile reads share a quarter
 * or less of the first-level cache's sets. A larger distance avoids that. A distance for multiples
 * of two lines brought no gain. */
static int pixel_stride(const struct ft_buffer *b)
{
    enum { CONFLICT = 256, APART = 64 }; /* bytes */
    return b->c * b->bytes % CONFLICT || b->h * b->w == 1 ? b->c : b->c + APART / b->bytes;
}

static bool buffer_floats(struct ft_buffer *b)
{
    size_t n;
    b->pixel = pixel_stride(b);
    if (!ft_size_mul((size_t)b->top + (size_t)b->h + (size_t)b->bottom,
                     (size_t)b->left + (size_t)b->w + (size_t)b->right, &n) ||
        !ft_size_mul(n, (size_t)b->pixel, &n) || n > (size_t)1 << 30)
        return false;
    n = (n * (size_t)b->bytes + sizeof(float) - 1) / sizeof(float);
    b->floats = b->elsewhere ? 0 : ft_round_up(n, FT_ALIGN / sizeof(float));
    return true;
}

static bool alive_together(const struct ft_buffer *a, const struct ft_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static int by_size(const void *a, const void *b)
{
    const struct ft_buffer *x = *(struct ft_buffer *const *)a, *y = *(struct ft_buffer *const *)b;
    return x->floats != y->floats ? (x->floats < y->floats ? 1 : -1) : x < y ? -1 : x > y;
}

/* Gives order[n] the lowest free offset from `base` on; order[0..n-1] are placed. */
static void place(struct ft_buffer **order, int n, size_t base)
{
    struct ft_buffer *b = order[n];
    b->offset = base;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < n; i++) {
            const struct ft_buffer *o = order[i];
            if (alive_together(b, o) && b->offset < o->offset + o->floats &&
                o->offset < b->offset + b->floats) {
                b->offset = o->offset + o->floats;
                moved = true;
            }
        }
    }
}

/* Steps with small maps and many weights run faster for several pictures at a time: each weight
 * that comes from memory is used more often. They begin at the first step with many weights,
 * because the maps of several pictures go through the third-level cache. Each picture needs its own
 * buffers from there on. */
static void gather_pictures(struct ft_plan *plan, int wanted)
{
    enum {
        SMALL = 400 /* pixels */,
        MANY = 6 << 20 /* weights: more than caches hold */,
        HEAVY = 1 << 19 /* of one step */,
        TOGETHER = 4
    };
    uint64_t weights = 0;
    int first = plan->n_steps;
    for (; first > 0 && plan->steps[first - 1].out.h * plan->steps[first - 1].out.w <= SMALL;
         first--)
        weights += plan->steps[first - 1].parameters;
    while (!wanted && first < plan->n_steps && plan->steps[first].parameters < HEAVY)
        first++;
    plan->pictures = wanted ? wanted : weights >= MANY && first < plan->n_steps ? TOGETHER : 1;
    plan->together = plan->pictures > 1 ? first : plan->n_steps;
    for (int i = 0; i < plan->n_buffers; i++)
        plan->buffers[i].own = plan->buffers[i].last >= plan->together;
}

/* Places the buffers that pictures share (or those that each has), from arena_floats on. */
static void place_all(struct ft_plan *plan, struct ft_buffer **order, bool own)
{
    const size_t base = plan->arena_floats;
    int n = 0;
    for (int i = 0; i < plan->n_buffers; i++)
        if (plan->buffers[i].own == own)
            order[n++] = &plan->buffers[i];
    qsort(order, (size_t)n, sizeof *order, by_size);
    for (int i = 0; i < n; i++) {
        place(order, i, base);
        if (order[i]->offset + order[i]->floats > plan->arena_floats)
            plan->arena_floats = order[i]->offset + order[i]->floats;
    }
    plan->apart = plan->arena_floats - base;
}

int ft_plan_layout(struct ft_plan *plan, int pictures, struct ft_error *err)
{
    struct ft_buffer **order = ft_alloc((size_t)plan->n_buffers, sizeof *order);
    if (!order)
        return ft_error_nomem(err, "the plan of a network");
    find_borders(plan);
    for (int i = 0; i < plan->n_buffers; i++) {
        if (!buffer_floats(&plan->buffers[i])) {
            free(order);
            return ft_error_set(err, FT_ELIMIT, "an activation of %d x %d x %d is too large",
                                plan->buffers[i].h, plan->buffers[i].w, plan->buffers[i].c);
        }
    }
    plan->arena_floats = 0;
    gather_pictures(plan, pictures);
    place_all(plan, order, false);
    place_all(plan, order, true);
    free(order);
    return 0;
}

struct ft_map ft_value_map(const struct ft_plan *plan, const struct ft_value *v, float *arena)
{
    if (v->buffer < 0)
        return (struct ft_map){ 0 };
    const struct ft_buffer *b = &plan->buffers[v->buffer];
    const ptrdiff_t row = (ptrdiff_t)(b->left + b->w + b->right) * b->pixel;
    struct ft_map m = { .h = v->h, .w = v->w, .c = v->c, .row = row, .pixel = b->pixel };
    const ptrdiff_t at =
        (b->top + v->y) * row + (ptrdiff_t)(b->left + v->x) * b->pixel + v->channel;
    if (arena)
        m.data = (float *)(void *)((char *)(arena + b->offset) + at * b->bytes);
    if (v->broadcast)
        m.row = m.pixel = 0;
    return m;
}
