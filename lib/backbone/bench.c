/* Measures the time of a backbone's forward pass on noise. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread.h"
#include "backbone/backbone.h"

struct bench {
    const struct ft_plan *plan;
    int threads, pictures; /* batch size of a thread */
    struct ft_team *team;
    uint8_t *noise;
    const uint8_t **pixels; /* [pictures] of the same noise */
    void **arenas;          /* [threads] */
    float **outputs;        /* [threads * pictures] */
};

static void release(struct bench *b)
{
    for (int i = 0; b->arenas && i < b->threads; i++)
        free(b->arenas[i]);
    for (int i = 0; b->outputs && i < b->threads * b->pictures; i++)
        free(b->outputs[i]);
    free(b->arenas);
    free(b->outputs);
    free(b->noise);
    free(b->pixels);
    ft_team_free(b->team);
}

static int init(struct bench *b, const struct ft_plan *plan, int threads, struct ft_error *err)
{
    const struct ft_shape in = ft_plan_input(plan), out = ft_plan_output(plan);
    const size_t n = (size_t)in.h * (size_t)in.w * (size_t)in.c;
    struct ft_random random = { 1 };
    const int pictures = ft_plan_pictures(plan);
    *b = (struct bench){ .plan = plan,
                         .threads = threads,
                         .pictures = pictures,
                         .team = ft_team_new(threads),
                         .noise = ft_alloc(n, 1) };
    b->arenas = calloc((size_t)threads, sizeof *b->arenas);
    b->pixels = calloc((size_t)pictures, sizeof *b->pixels);
    b->outputs = calloc((size_t)threads * (size_t)pictures, sizeof *b->outputs);
    bool ok = b->team && b->noise && b->pixels && b->arenas && b->outputs;
    for (size_t i = 0; ok && i < n; i++)
        b->noise[i] = (uint8_t)ft_random_next(&random);
    for (int i = 0; ok && i < threads; i++)
        ok = (b->arenas[i] = ft_alloc(1, ft_plan_arena_bytes(plan, pictures)));
    for (int i = 0; ok && i < threads * pictures; i++) {
        b->pixels[i % pictures] = b->noise;
        ok = (b->outputs[i] =
                  ft_alloc((size_t)out.h * (size_t)out.w * (size_t)out.c, sizeof(float)));
    }
    if (ok)
        return 0;
    release(b);
    return ft_error_nomem(err, "the network's activations");
}

static void run_member(void *context, int member)
{
    struct bench *b = context;
    ft_plan_run_several(b->plan, b->pictures, b->pixels, b->arenas[member],
                        b->outputs + (ptrdiff_t)member * b->pictures);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Milliseconds of one round: the median of as many as fit into `seconds`, after a warm-up. A round
 * is one picture on all threads together, or one batch on each thread. */
static double median_ms(struct bench *b, bool together, double seconds)
{
    enum { MOST = 4096 };
    double took[MOST];
    int n = -1; /* the first is the warm-up */
    for (const double end = ft_clock() + seconds; n < MOST && (n < 5 || ft_clock() < end); n++) {
        const double start = ft_clock();
        if (together)
            ft_plan_run_team(b->plan, b->team, b->noise, b->arenas[0], b->outputs[0]);
        else
            ft_team_run(b->team, run_member, b);
        if (n >= 0)
            took[n] = 1e3 * (ft_clock() - start);
    }
    qsort(took, (size_t)n, sizeof *took, by_value);
    return took[n / 2];
}

int ft_backbone_bench(const struct ft_backbone *backbone, int threads, double seconds,
                      struct ft_bench *out, struct ft_error *err)
{
    struct bench b;
    const int rc = init(&b, backbone->plan, threads > 0 ? threads : ft_cpu_count(), err);
    if (rc)
        return rc;
    out->threads = b.threads;
    out->latency_ms = median_ms(&b, true, seconds / 2);
    out->throughput_ms = median_ms(&b, false, seconds / 2) / (b.threads * b.pictures);
    release(&b);
    return 0;
}

int ft_backbone_profile(const struct ft_backbone *backbone, double seconds, double *layers,
                        struct ft_error *err)
{
    struct bench b;
    const int n = ft_plan_steps(backbone->plan);
    const int rc = init(&b, backbone->plan, 1, err);
    if (rc)
        return rc;
    run_member(&b, 0); /* warm-up */
    memset(layers, 0, (size_t)n * sizeof *layers);
    int times = 0;
    for (const double end = ft_clock() + seconds; !times || ft_clock() < end; times += b.pictures)
        ft_plan_profile(b.plan, b.pictures, b.pixels, b.arenas[0], layers);
    for (int i = 0; i < n; i++)
        layers[i] /= times;
    release(&b);
    return 0;
}
