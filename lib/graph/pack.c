/* Chooses rows and packs weights. The constants are one block in order of use: for each step its
 * weights, then its bias. All cores pack at the same time, because most of the time is spent on the
 * first access to new memory. A large kernel is packed in parts: the first dense layer of VGG16 has
 * three quarters of its weights. */
#include "graph/nodes.h"
#include "graph/steps.h"

#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "kernels/integers.h"

static enum ft_weights source(const struct ft_step *s)
{
    return ft_operation_info(s->operation)->weights;
}

static size_t weight_floats(const struct ft_step *s)
{
    const size_t channels = (size_t)s->out.c;
    switch (source(s)) {
    case FT_WEIGHTS_NONE:
        return 0;
    case FT_WEIGHTS_CHANNELS:
    case FT_WEIGHTS_STEPS:
        return channels;
    case FT_WEIGHTS_ALPHA:
        return s->work.whole ? s->node->layer->weights[FT_W_ALPHA].count : channels;
    case FT_WEIGHTS_MAP:
        return 2 * (size_t)s->out.h * (size_t)s->out.w * channels;
    case FT_WEIGHTS_SCORES:
        return s->work.positions ? s->node->layer->weights[FT_W_SCORE_SCALE].count +
                                       s->node->layer->weights[FT_W_POSITIONS].count
                                 : 0;
    case FT_WEIGHTS_KERNEL:
    case FT_WEIGHTS_UNSCALED:
        break;
    }
    return s->row->packed ? s->row->packed(&s->work) : s->node->kernel->count;
}

static bool integer(const struct ft_step *s)
{
    return s->work.precision == FT_PRECISION_INT8;
}

static size_t bias_floats(const struct ft_step *s)
{
    return ft_round_up((size_t)s->out.c, 64) * (integer(s) ? FT_INT8_CONSTANTS : 1);
}

/* Gives a step its offsets at *at, and advances *at to the end of its bias. */
static bool reserve(struct ft_step *s, size_t *at)
{
    const size_t line = FT_ALIGN / sizeof(float);
    s->weights = *at;
    if (!ft_size_add(*at, weight_floats(s) + line, at))
        return false;
    *at = ft_round_up(*at - line, line);
    s->bias = *at;
    return ft_size_add(*at, bias_floats(s), at);
}

/* Puts the parts of a kernel side by side, and multiplies it with the scale of each output channel.
 * The layout stays Keras's, whose last axis is the output channel. */
static void scale_kernel(const struct ft_node *node, float *to)
{
    const size_t c = (size_t)node->shape.c, rows = node->kernel->count / c;
    const struct ft_joined *joined = node->joined;
    const float *scale = node->scale;
    for (int p = 0; p < (joined ? joined->n : 1); p++) {
        const struct ft_tensor *t = joined ? joined->parts[p] : node->kernel;
        const size_t columns = t->count / rows;
        for (size_t r = 0; r < rows; r++)
            for (size_t k = 0; k < columns; k++)
                to[r * c + k] = t->data[r * columns + k] * (scale ? scale[k] : 1);
        to += columns;
        scale = scale ? scale + columns : NULL;
    }
}

/* Divides the weights of each input channel by what its values are multiplied with. The last axis
 * of a kernel is the output channel, that before it the input channel, which a depthwise kernel has
 * in its last axis. */
static void balance_kernel(const struct ft_step *s, float *to)
{
    const size_t c = (size_t)s->node->shape.c, rows = s->node->kernel->count / c;
    const bool depthwise = s->operation == FT_OP_DEPTHWISE;
    for (size_t r = 0; s->balance && r < rows; r++) {
        const float row = depthwise ? 1 : ft_balance_factor(s->balance[r % (size_t)s->in.c]);
        for (size_t k = 0; k < c; k++)
            to[r * c + k] /=
                depthwise ? ft_balance_factor(s->balance[k / (size_t)s->work.multiplier]) : row;
    }
}

/* Whether the kernel has to be written to other memory before it is packed. */
static bool copied(const struct ft_step *s)
{
    return s->node->scale || s->node->joined || integer(s);
}

/* Some channels of a step. */
struct piece {
    struct ft_step *step;
    int c0, c1;
};

/* The kernel, in the layout of the row. `scaled` has room for all of it. */
static void fill_kernel(const struct piece *p, float *scaled, float *weights, int32_t *constants)
{
    const struct ft_step *s = p->step;
    struct ft_work work = s->work;
    const struct ft_node *node = s->node;
    if (!s->row->pack) {
        scale_kernel(node, weights);
        return;
    }
    if (copied(s)) {
        scale_kernel(node, scaled);
        balance_kernel(s, scaled);
    }
    if (integer(s) && !ft_int8_weights(&p->step->work, s->operation == FT_OP_DEPTHWISE, scaled,
                                       node->offset, constants))
        p->step->unsuited = true;
    work.c0 = p->c0;
    work.c1 = p->c1;
    s->row->pack(&work, copied(s) ? scaled : node->kernel->data, weights);
}

/* A tensor [h, w, c], any of them 1, or [c], as a whole map. */
static void expand_map(const struct ft_tensor *t, const struct ft_shape *s, float *to)
{
    const bool map = t->rank == 3;
    const ptrdiff_t c = t->shape[map ? 2 : 0] > 1, w = map && t->shape[1] > 1 ? t->shape[2] : 0,
                    h = map && t->shape[0] > 1 ? t->shape[1] * t->shape[2] : 0;
    for (int y = 0; y < s->h; y++)
        for (int x = 0; x < s->w; x++)
            for (int i = 0; i < s->c; i++)
                *to++ = t->data[y * h + x * w + i * c];
}

static void fill_weights(const struct piece *p, float *scaled, float *weights, float *bias)
{
    const struct ft_step *s = p->step;
    const struct ft_tensor *kernel = s->node->kernel, *of = s->node->layer->weights,
                           *alpha = &of[FT_W_ALPHA];
    switch (source(s)) {
    case FT_WEIGHTS_NONE:
        break;
    case FT_WEIGHTS_CHANNELS:
        memcpy(weights, s->node->scale, (size_t)s->out.c * sizeof *weights);
        break;
    case FT_WEIGHTS_STEPS:
        for (int c = 0; c < s->out.c; c++)
            weights[c] =
                (s->balance ? ft_balance_factor(s->balance[c]) : 1) / s->work.int8.out.step;
        break;
    case FT_WEIGHTS_UNSCALED:
        memcpy(weights, kernel->data, kernel->count * sizeof *weights);
        break;
    case FT_WEIGHTS_ALPHA:
        for (size_t i = 0, n = weight_floats(s); i < n; i++)
            weights[i] = alpha->data[alpha->count == 1 ? 0 : i];
        break;
    case FT_WEIGHTS_MAP:
        expand_map(&of[FT_W_SCALE], &s->node->shape, weights);
        expand_map(&of[FT_W_OFFSET], &s->node->shape, weights + weight_floats(s) / 2);
        break;
    case FT_WEIGHTS_SCORES:
        for (int w = FT_W_SCORE_SCALE; w <= FT_W_POSITIONS && s->work.positions; w++) {
            memcpy(weights, of[w].data, of[w].count * sizeof *weights);
            weights += of[w].count;
        }
        break;
    case FT_WEIGHTS_KERNEL:
        fill_kernel(p, scaled, weights, (int32_t *)(void *)bias);
    }
}

/* Writes the weights of a piece. The first one of a step also writes all floats from the end of the
 * weights to the end of the bias. */
static void fill(struct ft_plan *plan, const struct piece *p, float *scaled)
{
    const struct ft_step *s = p->step;
    const struct ft_node *node = s->node;
    const size_t n = weight_floats(s), channels = node->offset ? (size_t)node->shape.c : 0,
                 room = bias_floats(s);
    float *weights = plan->constants + s->weights, *bias = plan->constants + s->bias;
    if (integer(s))
        memset(bias, 0, room * sizeof *bias);
    fill_weights(p, scaled, weights, bias);
    if (p->c0)
        return;
    memset(weights + n, 0, (size_t)(bias - weights - (ptrdiff_t)n) * sizeof *weights);
    if (integer(s))
        return;
    memset(bias + channels, 0, (room - channels) * sizeof *bias);
    if (channels)
        memcpy(bias, node->offset, channels * sizeof *bias);
}

static void choose_rows(struct ft_plan *plan)
{
    const unsigned features = ft_cpu_features();
    plan->scratch_floats = 0;
    for (int i = 0; i < plan->n_steps; i++) {
        struct ft_step *s = &plan->steps[i];
        s->work.in = ft_value_map(plan, &s->in, NULL);
        s->work.other = ft_value_map(plan, &s->other, NULL);
        s->work.out = ft_value_map(plan, &s->out, NULL);
        s->work.exact = plan->exact;
        if (plan->precision != FT_PRECISION_INT8) /* quantize.c has set it */
            s->work.precision = plan->precision;
        s->row = ft_kernel_choose(s->operation, &s->work, features);
        /* enough for two parts; unused pages cost nothing */
        const size_t alone = s->row->scratch ? 2 * s->row->scratch(&s->work) : 0;
        s->work.pictures = plan->pictures;
        const size_t together =
            s->row->scratch && i >= plan->together ? s->row->scratch(&s->work) : 0;
        s->work.pictures = 1;
        const size_t block = s->block_ends ? ft_block_scratch(s + 1 - s->block) : 0,
                     most = ft_max_size(alone, ft_max_size(together, block));
        plan->scratch_floats = ft_max_size(plan->scratch_floats, most);
    }
    plan->scratch_offset = plan->arena_floats;
    plan->arena_floats += ft_round_up(plan->scratch_floats, FT_ALIGN / sizeof(float));
    plan->pixel_row = ft_pixel_choose();
}

struct packing {
    struct ft_plan *plan;
    struct piece *pieces; /* [n] */
    size_t n, first;      /* the first one that the team packs */
    float *scaled;        /* `largest` floats for each member */
    size_t largest;
};

static void pack_piece(void *context, size_t i, int member)
{
    const struct packing *p = context;
    fill(p->plan, &p->pieces[p->first + i], p->scaled + (size_t)member * p->largest);
}

/* Into how many pieces of about PIECE floats a step is cut. Only kernels that are packed as they
 * are can be cut. */
static int pieces_of(const struct ft_step *s)
{
    enum { PIECE = 1 << 22 };
    if (source(s) == FT_WEIGHTS_NONE)
        return 0;
    const bool cut =
        source(s) == FT_WEIGHTS_KERNEL && s->row->pack_parts && s->work.groups == 1 && !copied(s);
    return cut ? 1 + (int)(s->node->kernel->count / PIECE) : 1;
}

/* The last steps come first: they are the largest. */
static int make_pieces(struct packing *p, struct ft_error *err)
{
    size_t n = 0;
    for (int i = 0; i < p->plan->n_steps; i++)
        n += (size_t)pieces_of(&p->plan->steps[i]);
    p->pieces = ft_alloc(n, sizeof *p->pieces);
    if (!p->pieces)
        return ft_error_nomem(err, "packed weights");
    for (int i = p->plan->n_steps - 1; i >= 0; i--) {
        struct ft_step *s = &p->plan->steps[i];
        const int pieces = pieces_of(s), c = s->out.c,
                  grain = s->row->channels ? s->row->channels : FT_CHANNELS_STEP;
        for (int k = 0, c0 = 0, c1; k < pieces; k++, c0 = c1) {
            c1 = k + 1 == pieces ? c
                                 : ft_channels_cut(c, grain, (int)((int64_t)c * (k + 1) / pieces));
            if (c1 > c0)
                p->pieces[p->n++] = (struct piece){ s, c0, c1 };
        }
    }
    return 0;
}

/* Calls `use` for the tensors that are packed for a step. Returns their number of floats. */
static size_t tensors_of(const struct ft_step *s, const struct ft_network *network,
                         void (*use)(const struct ft_network *, const struct ft_tensor *))
{
    const struct ft_node *node = s->node;
    const struct ft_tensor *of = node->layer->weights, *t[3] = { NULL };
    const enum ft_weights from = source(s);
    size_t floats = 0;
    if (from == FT_WEIGHTS_KERNEL || from == FT_WEIGHTS_UNSCALED)
        t[0] = node->kernel;
    for (int i = 0; t[0] && node->joined && i < node->joined->n; i++)
        t[i] = node->joined->parts[i];
    if (from == FT_WEIGHTS_ALPHA)
        t[0] = &of[FT_W_ALPHA];
    if (from == FT_WEIGHTS_MAP) {
        t[0] = &of[FT_W_SCALE];
        t[1] = &of[FT_W_OFFSET];
    }
    for (int i = 0; i < 3 && t[i]; i++) {
        use(network, t[i]);
        floats += t[i]->count;
    }
    return floats;
}

/* Packs steps with about BATCH floats, and all pieces of each, at a time. */
static int pack_all(struct packing *p, struct ft_team *team, const struct ft_network *network,
                    struct ft_error *err)
{
    enum { BATCH = 1 << 24 };
    int rc = 0;
    for (size_t from = 0, to; !rc && from < p->n; from = to) {
        size_t floats = 0;
        for (to = from; to < p->n; to++) {
            const bool begins = to == from || p->pieces[to].step != p->pieces[to - 1].step;
            if (begins && floats > BATCH)
                break;
            if (begins)
                floats += tensors_of(p->pieces[to].step, network, ft_network_want);
        }
        p->first = from;
        rc = ft_network_read(network, err);
        if (!rc)
            ft_team_each(team, to - from, pack_piece, p);
        for (size_t i = from; i < to; i++)
            if (i == from || p->pieces[i].step != p->pieces[i - 1].step)
                tensors_of(p->pieces[i].step, network, ft_network_done);
    }
    return rc;
}

int ft_plan_pack(struct ft_plan *plan, const struct ft_network *network, struct ft_error *err)
{
    enum { FLOATS_FOR_A_TEAM = 1 << 20 };
    size_t total = 0, largest = 0;
    choose_rows(plan);
    for (int i = 0; i < plan->n_steps; i++) {
        struct ft_step *s = &plan->steps[i];
        if (source(s) == FT_WEIGHTS_NONE)
            continue;
        if (!reserve(s, &total))
            return ft_error_nomem(err, "packed weights");
        if (s->row->pack && copied(s) && s->node->kernel->count > largest)
            largest = s->node->kernel->count;
    }
    struct ft_team *team = ft_team_new(total < FLOATS_FOR_A_TEAM ? 1 : ft_cpu_count());
    struct packing p = {
        .plan = plan,
        .largest = largest,
        .scaled = team ? ft_alloc(largest * (size_t)ft_team_size(team), sizeof *p.scaled) : NULL
    };
    plan->constants = ft_alloc(total, sizeof *plan->constants);
    int rc = p.scaled && plan->constants ? 0 : ft_error_nomem(err, "packed weights");
    rc = rc ? rc : make_pieces(&p, err);
    rc = rc ? rc : pack_all(&p, team, network, err);
    for (int i = 0; !rc && i < plan->n_steps; i++)
        if (plan->steps[i].unsuited)
            rc = ft_error_set(err, FT_EUNSUPPORTED,
                              "layer '%s': its weights are too large for int8: use --precision f32",
                              plan->steps[i].node->layer->name);
    for (int i = 0; i < plan->n_steps; i++) {
        struct ft_step *s = &plan->steps[i];
        if (source(s) != FT_WEIGHTS_NONE) {
            s->work.weights = plan->constants + s->weights;
            s->work.bias = plan->constants + s->bias;
        }
    }
    ft_team_free(team);
    free(p.pieces);
    free(p.scaled);
    return rc;
}
