/* Running a plan. A step is cut into as many parts as the team has members, by rows or by channels, so that every output value
 * is computed the same way by whoever computes it; a barrier stands between steps. Alone is a team of one without barriers. */
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/thread.h"
#include "graph/plan.h"
#include "graph/steps.h"

struct run {
    const struct ft_plan *plan;
    struct ft_team *team; /* NULL: alone */
    int size;
    const uint8_t *pixels;
    float *arena, *output;
    double *seconds; /* [steps] added to, or NULL */
};

static void clear_border(const struct ft_plan *plan, int buffer, float *arena)
{
    const struct ft_buffer *b = &plan->buffers[buffer];
    const size_t row = (size_t)(b->left + b->w + b->right) * (size_t)b->pixel, value = sizeof(float);
    float *at = arena + b->offset;
    memset(at, 0, (size_t)b->top * row * value);
    at += (size_t)b->top * row;
    for (int y = 0; y < b->h && b->left + b->right; y++) {
        memset(at + (size_t)y * row, 0, (size_t)b->left * (size_t)b->pixel * value);
        memset(at + (size_t)y * row + (size_t)(b->left + b->w) * (size_t)b->pixel, 0, (size_t)b->right * (size_t)b->pixel * value);
    }
    memset(at + (size_t)b->h * row, 0, (size_t)b->bottom * row * value);
}

/* Part `member` of n units handed out in steps of `grain`. */
static void part(int n, int grain, int member, int size, int *from, int *to)
{
    const int units = (n + grain - 1) / grain;
    *from = (int)((long long)units * member / size) * grain;
    *to = (int)((long long)units * (member + 1) / size) * grain;
    if (*to > n)
        *to = n;
}

static void load_pixels(const struct run *r, int member)
{
    const struct ft_plan *p = r->plan;
    const struct ft_map m = ft_value_map(p, &p->pixels, r->arena);
    const int n = m.w * m.c;
    int from, to;
    if (member == 0)
        clear_border(p, p->pixels.buffer, r->arena);
    part(m.h, 1, member, r->size, &from, &to);
    for (int y = from; y < to; y++)
        p->pixel_row->run(r->pixels + (size_t)y * (size_t)n, p->scale, p->offset, n, ft_map_to(&m, y, 0));
}

static void run_step(const struct run *r, const struct ft_step *s, int member)
{
    const struct ft_plan *p = r->plan;
    struct ft_work w = s->work;
    if (member == 0 && s->clear >= 0)
        clear_border(p, s->clear, r->arena);
    if (s->split == FT_SPLIT_NONE && member > 0)
        return;
    w.in = ft_value_map(p, &s->in, r->arena);
    w.other = ft_value_map(p, &s->other, r->arena);
    w.out = ft_value_map(p, &s->out, r->arena);
    w.y0 = w.c0 = 0;
    w.y1 = s->out.h;
    w.c1 = s->out.c;
    /* Each working member gets an equal share of the scratch, which is large enough for eight. */
    const int sharing = s->split == FT_SPLIT_NONE ? 1 : r->size < 8 ? r->size : 8;
    if (member >= sharing)
        return;
    w.scratch_floats = p->scratch_floats / (size_t)sharing & ~(size_t)(FT_ALIGN / sizeof(float) - 1);
    w.scratch = r->arena + p->scratch_offset + (size_t)member * w.scratch_floats;
    if (s->split == FT_SPLIT_ROWS)
        part(s->out.h, 1, member, sharing, &w.y0, &w.y1);
    else if (s->split == FT_SPLIT_CHANNELS)
        part(s->out.c, FT_CHANNELS_STEP, member, sharing, &w.c0, &w.c1);
    if (w.y0 < w.y1 && w.c0 < w.c1)
        s->row->run(&w);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_member(void *context, int member)
{
    const struct run *r = context;
    const struct ft_plan *p = r->plan;
    load_pixels(r, member);
    for (int i = 0; i < p->n_steps; i++) {
        if (r->team)
            ft_team_barrier(r->team, member);
        const double start = r->seconds ? now() : 0;
        run_step(r, &p->steps[i], member);
        if (r->seconds)
            r->seconds[i] += now() - start;
    }
}

static void copy_result(const struct run *r)
{
    const struct ft_map m = ft_value_map(r->plan, &r->plan->result, r->arena);
    float *to = r->output;
    for (int y = 0; to && y < m.h; y++)
        for (int x = 0; x < m.w; x++, to += m.c)
            memcpy(to, ft_map_at(&m, y, x), (size_t)m.c * sizeof *to);
}

void ft_plan_run(const struct ft_plan *plan, const uint8_t *pixels, void *arena, float *output)
{
    struct run r = { .plan = plan, .size = 1, .pixels = pixels, .arena = arena, .output = output };
    run_member(&r, 0);
    copy_result(&r);
}

void ft_plan_run_team(const struct ft_plan *plan, struct ft_team *team, const uint8_t *pixels, void *arena, float *output)
{
    struct run r = { .plan = plan, .team = team, .size = ft_team_size(team), .pixels = pixels, .arena = arena, .output = output };
    ft_team_run(team, run_member, &r);
    copy_result(&r);
}

void ft_plan_profile(const struct ft_plan *plan, const uint8_t *pixels, void *arena, int times, double *seconds)
{
    struct run r = { .plan = plan, .size = 1, .pixels = pixels, .arena = arena, .seconds = seconds };
    for (int i = 0; i < times; i++)
        run_member(&r, 0);
}
