/* How a team divides the steps of one picture. A step is cut into parts by rows or by channels. A
 * stage is a sequence of steps that a part can run without waiting for the other parts: of the
 * results of the stage it reads only those that it wrote, and it does not write memory that another
 * part of the stage reads or writes. There is a barrier between stages. */
#include "graph/steps.h"

enum { ROWS_FROM = 14 }; /* maps with at least so many rows are cut by rows */

static int part_start(const struct ft_step *s, int n, int part, int parts)
{
    const int units = (n + s->grain - 1) / s->grain;
    if (part == parts)
        return n;
    return s->split == FT_SPLIT_ROWS ? units * part / parts * s->grain
                                     : ft_channels_cut(n, s->grain, n * part / parts);
}

void ft_step_part(const struct ft_step *s, int part, int parts, struct ft_work *w)
{
    const bool rows = s->split == FT_SPLIT_ROWS;
    const int n = rows ? s->out.h : s->out.c;
    if (s->split == FT_SPLIT_NONE)
        part = 0, parts = 1;
    const int from = part_start(s, n, part, parts), to = part_start(s, n, part + 1, parts);
    w->y0 = rows ? from : 0;
    w->y1 = rows ? to : s->out.h;
    w->c0 = rows ? 0 : from;
    w->c1 = rows ? s->out.c : to;
}

/* The larger of the two parts of n that are cut at `at`, as a share of the whole. */
static double half_of(int n, int at)
{
    return (double)(at > n - at ? at : n - at) / n;
}

/* Returns whether each value depends on all channels of its pixel. */
static bool whole_pixels(const struct ft_step *s)
{
    return (s->operation == FT_OP_ACTIVATE && s->work.activation == FT_ACT_SOFTMAX) ||
           ft_operation_info(s->operation)->cut == FT_CUT_ROWS;
}

/* Returns whether a small map should be cut by rows. With few filters, halves by channels may be
 * unequal. If they are equal, but there are fewer weights than pixels, it is faster to read all
 * weights and half of the pixels than the reverse. */
static bool rather_rows(const struct ft_step *s, int rows, int channels)
{
    const double by_rows = half_of(s->out.h, s->out.h / rows / 2 * rows),
                 by_channels = half_of(s->out.c, ft_channels_cut(s->out.c, channels, s->out.c / 2));
    const bool few_weights = s->out.h * s->out.w > s->work.kernel[0] * s->work.kernel[1] * s->out.c;
    return s->operation == FT_OP_CONVOLUTION && s->in.c > s->out.c &&
           by_rows + (few_weights ? 0 : 0.04) <= by_channels;
}

/* A cut between channels would divide a group. */
static bool in_groups(const struct ft_step *s)
{
    return s->operation == FT_OP_CONVOLUTION && s->work.groups > 1;
}

/* Small maps are cut by channels: then only one member reads each weight. */
static void choose_split(struct ft_step *s)
{
    const int rows = s->row->rows ? s->row->rows : 1,
              channels = s->row->channels ? s->row->channels : FT_CHANNELS_STEP;
    const bool many_rows = s->out.h >= ROWS_FROM * (rows > 1 ? 2 : 1);
    s->split =
        many_rows || rather_rows(s, rows, channels) || whole_pixels(s) || in_groups(s) || s->block
            ? FT_SPLIT_ROWS
            : FT_SPLIT_CHANNELS;
    if (ft_operation_info(s->operation)->cut == FT_CUT_NOWHERE ||
        ((whole_pixels(s) || in_groups(s)) && s->out.h < 2))
        s->split = FT_SPLIT_NONE;
    s->grain = s->split == FT_SPLIT_ROWS ? rows : channels;
}

static bool same_window(const struct ft_value *a, const struct ft_value *b)
{
    return a->buffer == b->buffer && a->y == b->y && a->x == b->x && a->channel == b->channel &&
           a->h == b->h && a->w == b->w && a->c == b->c;
}

/* Returns whether each part of `later` reads, of the results of `earlier`, only those that the same
 * part wrote. */
static bool reads_own(const struct ft_step *earlier, const struct ft_step *later,
                      const struct ft_value *read)
{
    if (read->buffer != earlier->out.buffer)
        return true;
    if (read->broadcast || !same_window(read, &earlier->out) || later->split != earlier->split ||
        later->split == FT_SPLIT_NONE || ft_operation_info(later->operation)->moves)
        return false;
    if (later->split == FT_SPLIT_ROWS)
        return read->h == later->out.h && later->work.kernel[0] == 1 &&
               later->work.stride[0] == 1 && later->work.pad[0] == 0;
    return read->c == later->out.c &&
           (later->operation != FT_OP_CONVOLUTION || read == &later->other) &&
           later->work.multiplier == 1;
}

static bool overlap(const struct ft_plan *plan, const struct ft_value *a, const struct ft_value *b)
{
    if (a->buffer < 0 || b->buffer < 0)
        return false;
    const struct ft_buffer *x = &plan->buffers[a->buffer], *y = &plan->buffers[b->buffer];
    return x->offset < y->offset + y->floats && y->offset < x->offset + x->floats;
}

/* Returns whether `later` may write while another part still runs `earlier`. */
static bool writes_free(const struct ft_plan *plan, const struct ft_step *earlier,
                        const struct ft_step *later)
{
    const bool in_place =
        same_window(&earlier->out, &later->out) && same_window(&later->in, &later->out);
    return !overlap(plan, &earlier->in, &later->out) &&
           !overlap(plan, &earlier->other, &later->out) &&
           (in_place || !overlap(plan, &earlier->out, &later->out));
}

/* If a buffer is written slice by slice, one part clears its border for all. */
static bool clears_for_all(const struct ft_plan *plan, const struct ft_step *s)
{
    return s->clear >= 0 && s->split == FT_SPLIT_CHANNELS && plan->buffers[s->clear].c != s->out.c;
}

static bool fits(const struct ft_plan *plan, int first, int i)
{
    struct ft_step *s = &plan->steps[i];
    if (s->block || plan->steps[first].block) /* a block is a stage */
        return s->block > 1;
    const int grain = plan->steps[first].grain;
    /* steps that are cut by channels must be cut at the same channels as the first of the stage */
    if (s->split != plan->steps[first].split ||
        (s->split == FT_SPLIT_CHANNELS && s->out.c != plan->steps[first].out.c) ||
        (s->grain != grain && (s->split == FT_SPLIT_ROWS || s->operation == FT_OP_CONVOLUTION)))
        return false;
    for (int j = first; j < i; j++)
        if (clears_for_all(plan, &plan->steps[j]) || !reads_own(&plan->steps[j], s, &s->in) ||
            !reads_own(&plan->steps[j], s, &s->other) || !writes_free(plan, &plan->steps[j], s))
            return false;
    return true;
}

void ft_plan_stages(struct ft_plan *plan)
{
    int first = 0;
    plan->n_stages = 1; /* the pixels */
    for (int i = 0; i < plan->n_steps; i++)
        choose_split(&plan->steps[i]);
    for (int i = 0; i < plan->n_steps; i++) {
        if (i == 0 || !fits(plan, first, i)) {
            first = i;
            plan->n_stages++;
        }
        plan->steps[i].stage = plan->n_stages - 1;
        plan->steps[i].grain = plan->steps[first].grain;
    }
}
