/* Runs a plan: one thread step by step, or a team stage by stage (stages.c). Every output value is
 * computed in the same way, whatever part it belongs to and whatever pictures run together with its
 * own. One thread runs all steps as one part. */
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "graph/plan.h"
#include "graph/steps.h"

struct run {
    const struct ft_plan *plan;
    int parts, n; /* parts of one picture; pictures */
    const uint8_t *const *pixels;
    float *arena, *const *outputs;
    double *seconds; /* [steps], added to; nullable */
};

/* Clears the border of the buffer beside rows y0..y1 of the value (with the rows above the first
 * and below the last) and for channels c0..c1, so that all parts together clear all of it. If the
 * value is a slice of the buffer's channels, its first part clears the border of the other slices
 * too. */
static void clear_border(const struct ft_plan *plan, const struct ft_step *s,
                         const struct ft_work *w, float *arena, int picture)
{
    const struct ft_buffer *b = &plan->buffers[s->clear];
    const int across = b->left + b->w + b->right, top = b->top + s->out.y,
              bottom = b->bottom + b->h - s->out.y - s->out.h;
    /* `all`: including the gaps between pixels */
    const bool slice = s->out.c != b->c, all = slice || (w->c0 == 0 && w->c1 == s->out.c);
    if (slice && w->c0 > 0)
        return;
    for (int y = w->y0 == 0 ? -top : w->y0; y < (w->y1 == s->out.h ? s->out.h + bottom : w->y1);
         y++) {
        const bool inside = y + top >= b->top && y + top < b->top + b->h;
        char *row = (char *)(arena + b->offset + (b->own ? (size_t)picture * plan->apart : 0)) +
                    (ptrdiff_t)(y + top) * across * b->pixel * b->bytes;
        for (int x = 0; x < across; x++) {
            if (inside && x == b->left)
                x += b->w;
            if (x >= across)
                break;
            char *to =
                row + ((ptrdiff_t)x * b->pixel + (all ? 0 : w->c0 + s->out.channel)) * b->bytes;
            const int values = all ? b->pixel : w->c1 - w->c0;
            memset(to, b->scale.zero, (size_t)values * (size_t)b->bytes);
        }
    }
}

static struct ft_map map_of(const struct run *r, const struct ft_value *v, int picture)
{
    struct ft_map m = ft_value_map(r->plan, v, r->arena);
    if (picture && v->buffer >= 0 && r->plan->buffers[v->buffer].own)
        m.data += (size_t)picture * r->plan->apart;
    return m;
}

static void load_wide(const struct ft_plan *p, const uint8_t *from, int w, int c, int16_t *to,
                      int pixel)
{
    for (int x = 0; x < w; x++, from += c, to += pixel)
        for (int k = 0; k < c; k++)
            to[k] = p->wide[256 * k + from[k]];
}

static void load_pixels(const struct run *r, int picture, int part)
{
    const struct ft_plan *p = r->plan;
    const struct ft_map m = map_of(r, &p->pixels, picture);
    const int n = m.w * m.c;
    const struct ft_step like = {
        .out = p->pixels, .clear = p->pixels.buffer, .split = FT_SPLIT_ROWS, .grain = 1
    };
    struct ft_work w;
    ft_step_part(&like, part, r->parts, &w);
    clear_border(p, &like, &w, r->arena, picture);
    for (int y = w.y0; y < w.y1 && p->wide; y++)
        load_wide(p, r->pixels[picture] + (size_t)y * (size_t)n, m.w, m.c,
                  (int16_t *)(void *)m.data + y * m.row, m.pixel);
    for (int y = w.y0; y < w.y1 && !p->wide; y++)
        p->pixel_row->run(r->pixels[picture] + (size_t)y * (size_t)n, p->scale, p->offset, n,
                          ft_map_to(&m, y, 0));
}

/* Runs one part of a step, or of the block that the step ends, for pictures picture .. picture + n.
 * The other steps of a block do nothing by themselves. */
static void run_step(const struct run *r, const struct ft_step *s, int picture, int n, int part)
{
    const struct ft_plan *p = r->plan;
    const int sharing = s->split == FT_SPLIT_NONE ? 1 : ft_min(r->parts, FT_PARTS_MAX);
    if (part >= sharing || (s->block && !s->block_ends))
        return;
    struct ft_work w = s->work;
    w.in = map_of(r, &s->in, picture);
    w.other = map_of(r, &s->other, picture);
    w.out = map_of(r, &s->out, picture);
    w.pictures = n;
    w.apart = (ptrdiff_t)p->apart;
    w.scratch_floats =
        p->scratch_floats / (size_t)sharing & ~(size_t)(FT_ALIGN / sizeof(float) - 1);
    w.scratch = r->arena + p->scratch_offset + (size_t)(r->n - 1) * p->apart +
                (size_t)part * w.scratch_floats;
    ft_step_part(s, part, sharing, &w);
    if (w.y0 >= w.y1 || w.c0 >= w.c1)
        return;
    for (int i = picture; s->clear >= 0 && i < picture + n; i++)
        clear_border(p, s, &w, r->arena, i);
    if (s->block) {
        const struct ft_step *first = s + 1 - s->block;
        const struct ft_map in = map_of(r, &first->in, picture);
        ft_block_run(first, &w, &in, r->seconds ? r->seconds + (first - p->steps) : NULL);
    } else {
        s->row->run(&w);
    }
}

/* Runs step i for pictures picture .. picture + n, one by one if its row takes only one. */
static void run_for(const struct run *r, int i, int picture, int n)
{
    const double start = r->seconds ? ft_clock() : 0;
    const struct ft_step *s = &r->plan->steps[i];
    const int at_once = s->row->several && !s->block ? n : 1;
    for (int k = 0; k < n; k += at_once)
        run_step(r, s, picture + k, at_once, 0);
    if (r->seconds && !s->block) /* ft_block_run measures the steps of a block */
        r->seconds[i] += ft_clock() - start;
}

void ft_plan_watch(const struct ft_plan *plan, const uint8_t *pixels, void *arena,
                   void (*each)(void *context, int step, const struct ft_map *out), void *context)
{
    const struct run r = { .plan = plan, .parts = 1, .n = 1, .pixels = &pixels, .arena = arena };
    load_pixels(&r, 0, 0);
    for (int i = 0; i < plan->n_steps; i++) {
        const struct ft_map out = map_of(&r, &plan->steps[i].out, 0);
        run_for(&r, i, 0, 1);
        each(context, i, &out);
    }
}

static void run_alone(const struct run *r)
{
    const struct ft_plan *p = r->plan;
    for (int k = 0; k < r->n; k++) {
        load_pixels(r, k, 0);
        for (int i = 0; i < p->together; i++)
            run_for(r, i, k, 1);
    }
    for (int i = p->together; i < p->n_steps; i++)
        run_for(r, i, 0, r->n);
}

static void run_stage(void *context, int stage, int part)
{
    const struct run *r = context;
    const struct ft_plan *p = r->plan;
    if (stage == 0)
        load_pixels(r, 0, part);
    for (int i = stage ? stage - 1 : 0; i < p->n_steps && p->steps[i].stage <= stage;
         i++) /* each stage has at least one step */
        if (p->steps[i].stage == stage)
            run_step(r, &p->steps[i], 0, 1, part);
}

static void copy_result(const struct run *r, int picture)
{
    const struct ft_map m = map_of(r, &r->plan->result, picture);
    float *to = r->outputs[picture];
    for (int y = 0; to && y < m.h; y++)
        for (int x = 0; x < m.w; x++, to += m.c)
            memcpy(to, ft_map_at(&m, y, x), (size_t)m.c * sizeof *to);
}

void ft_plan_run_several(const struct ft_plan *plan, int n, const uint8_t *const *pixels,
                         void *arena, float *const *outputs)
{
    const struct run r = {
        .plan = plan, .parts = 1, .n = n, .pixels = pixels, .arena = arena, .outputs = outputs
    };
    run_alone(&r);
    for (int k = 0; k < n; k++)
        copy_result(&r, k);
}

void ft_plan_run(const struct ft_plan *plan, const uint8_t *pixels, void *arena, float *output)
{
    ft_plan_run_several(plan, 1, &pixels, arena, &output);
}

void ft_plan_run_team(const struct ft_plan *plan, struct ft_team *team, const uint8_t *pixels,
                      void *arena, float *output)
{
    struct run r = { .plan = plan,
                     .parts = ft_team_size(team),
                     .n = 1,
                     .pixels = &pixels,
                     .arena = arena,
                     .outputs = &output };
    ft_team_stages(team, plan->n_stages, run_stage, &r);
    copy_result(&r, 0);
}

void ft_plan_profile(const struct ft_plan *plan, int n, const uint8_t *const *pixels, void *arena,
                     double *seconds)
{
    const struct run r = {
        .plan = plan, .parts = 1, .n = n, .pixels = pixels, .arena = arena, .seconds = seconds
    };
    run_alone(&r);
}
