/* A ring of slots holds the inputs that are being processed, in their order. A worker puts the next
 * path into the slot at `taken`, computes without the lock, and marks the slot as done. If no other
 * worker is emitting rows, it emits all finished rows from `emitted` on. If the plan runs several
 * pictures together, a worker keeps decoded pictures until it has a full batch or no further input
 * is available.
 *
 *     emitted <= rows in work or done < taken <= emitted + slots */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "backbone/backbone.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/thread.h"
#include "features/cache.h"
#include "image/image.h"

#define FILE_LIMIT       ((size_t)1 << 30) /* bytes of a picture's file */
#define SLOTS_PER_WORKER 8
#define MOST_PICTURES    4 /* fewer than the slots of a worker */

struct slot {
    struct ft_row row;
    char *path;
    float *feature; /* [d] */
    struct ft_error err;
    uint64_t full_pixels; /* of the picture in the file */
    bool done;
};

struct worker {
    struct ft_preparer preparer; /* limits the worker to its share of extraction.memory */
    struct ft_bytes bytes;
    uint8_t *pixels;    /* [pictures, h, w, 3] */
    struct slot **held; /* [pictures] slots of decoded pictures that are not computed yet */
    int n_held;
    void *arena;
};

struct extraction {
    const struct ft_plan *plan;
    const struct ft_network *network;
    const struct ft_geometry *geometry;
    uint64_t max_pixels;
    struct ft_cache *cache;
    struct ft_team *team; /* lone: the team of one picture */
    const char *(*next)(void *);
    int (*emit)(void *, const struct ft_row *);
    void *user;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t n_slots, taken, emitted;
    struct slot *slots;      /* [n_slots] */
    struct worker *workers;  /* [n_workers] */
    int n_workers, pictures; /* batch size of a worker */
    size_t d, picture_bytes;
    struct ft_budget memory; /* for pictures that are being decoded */
    bool reading, emitting, ended, cancelled;
    struct ft_error error; /* an error of the run, not of a picture */
};

static void finish(struct slot *s)
{
    s->row.path = s->path;
    s->row.feature = s->row.status ? NULL : s->feature;
    s->row.error = s->row.status ? s->err.msg : "";
}

/* Ends the run with an error that does not belong to a picture. */
static void give_up(struct extraction *x, const struct ft_error *err)
{
    pthread_mutex_lock(&x->lock);
    if (!x->cancelled)
        x->error = *err;
    x->cancelled = true;
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->lock);
}

/* Reads and decodes one picture. Returns true if the picture must be computed, false if its row is
 * finished. */
static bool work_on(struct extraction *x, struct worker *w, struct slot *s)
{
    struct ft_row *row = &s->row;
    row->content[0] = row->content[1] = 0;
    row->cached = row->more = false;
    row->status = ft_file_read(s->path, FILE_LIMIT, &w->bytes, &s->err);
    if (!row->status) {
        ft_hash(w->bytes.data, w->bytes.size, row->content);
        row->cached =
            x->cache && ft_cache_find(x->cache, row->content,
                                      x->max_pixels ? x->max_pixels : FT_IMAGE_MAX_PIXELS_DEFAULT,
                                      s->feature, &row->more);
    }
    if (!row->status && !row->cached) {
        row->status =
            ft_image_prepare(&w->preparer, w->bytes.data, w->bytes.size, x->geometry, x->max_pixels,
                             w->pixels + (size_t)w->n_held * x->picture_bytes, &s->err);
        s->full_pixels = w->preparer.full_pixels;
        row->more = !row->status && w->preparer.more;
    }
    if (row->status == FT_ENOMEM) {
        ft_error_prefix(&s->err, FT_ENOMEM, "'%s'", s->path);
        give_up(x, &s->err);
    }
    if (!row->status && !row->cached) {
        const struct ft_shape in = ft_plan_input(x->plan);
        if (in.c == 1)
            ft_image_to_grey(w->pixels + (size_t)w->n_held * x->picture_bytes,
                             (size_t)in.h * (size_t)in.w);
        w->held[w->n_held++] = s;
        return true;
    }
    finish(s);
    return false;
}

static void run_held(struct extraction *x, struct worker *w)
{
    const uint8_t *pixels[MOST_PICTURES];
    float *features[MOST_PICTURES] = { NULL };
    for (int i = 0; i < w->n_held; i++) {
        pixels[i] = w->pixels + (size_t)i * x->picture_bytes;
        features[i] = w->held[i]->feature;
    }
    if (x->team)
        ft_plan_run_team(x->plan, x->team, w->pixels, w->arena, features[0]);
    else
        ft_plan_run_several(x->plan, w->n_held, pixels, w->arena, features);
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* Computes the features of the decoded pictures, whose rows are then finished. */
static void compute(struct extraction *x, struct worker *w)
{
    run_held(x, w);
    for (int i = 0; i < w->n_held; i++) {
        struct slot *s = w->held[i];
        if (!all_finite(s->feature, x->d)) {
            struct ft_error err;
            if (ft_network_check_finite(x->network, &err))
                give_up(x, &err);
            s->row.status = ft_error_set(&s->err, FT_EFORMAT,
                                         "the network's output is not finite for this picture");
        }
        if (!s->row.status && x->cache)
            ft_cache_add(x->cache, s->row.content, s->full_pixels, s->row.more, s->feature);
        finish(s);
    }
}

/* Takes a slot for the next input, or sets `ended`. Must be called with the lock held; the lock is
 * released while the caller's function runs. */
static struct slot *take(struct extraction *x)
{
    x->reading = true;
    pthread_mutex_unlock(&x->lock);
    const char *path = x->next(x->user);
    char *copy = ft_strdup(path);
    pthread_mutex_lock(&x->lock);
    x->reading = false;
    pthread_cond_broadcast(&x->changed);
    if (path && !copy) {
        x->cancelled = true;
        ft_error_nomem(&x->error, path);
    }
    if (!copy) {
        x->ended = true;
        return NULL;
    }
    struct slot *s = &x->slots[x->taken % x->n_slots];
    free(s->path);
    s->path = copy;
    s->row.index = x->taken++;
    s->done = false;
    return s;
}

/* Emits the rows that are finished. The lock is held and released in the same way. */
static void hand_out(struct extraction *x)
{
    if (x->emitting)
        return;
    x->emitting = true;
    while (!x->cancelled && x->emitted < x->taken && x->slots[x->emitted % x->n_slots].done) {
        const struct slot *s = &x->slots[x->emitted % x->n_slots];
        pthread_mutex_unlock(&x->lock);
        const int stop = x->emit(x->user, &s->row);
        pthread_mutex_lock(&x->lock);
        x->emitted++;
        pthread_cond_broadcast(&x->changed);
        if (stop) {
            x->cancelled = true;
            ft_error_set(&x->error, FT_ECANCELLED, "stopped");
        }
    }
    x->emitting = false;
}

/* Computes the decoded pictures. The lock is held and released in the same way. */
static void pass_on(struct extraction *x, struct worker *w)
{
    pthread_mutex_unlock(&x->lock);
    compute(x, w);
    pthread_mutex_lock(&x->lock);
    for (int i = 0; i < w->n_held; i++)
        w->held[i]->done = true;
    w->n_held = 0;
    hand_out(x);
}

static void worker_main(void *context, int member)
{
    struct extraction *x = context;
    struct worker *w = &x->workers[member];
    pthread_mutex_lock(&x->lock);
    while (!x->cancelled) {
        const bool full = x->taken == x->emitted + x->n_slots;
        if (w->n_held == x->pictures || (w->n_held && (x->ended || full))) {
            pass_on(x, w);
            continue;
        }
        if (x->ended)
            break;
        if (x->reading || full) {
            pthread_cond_wait(&x->changed, &x->lock);
            continue;
        }
        struct slot *s = take(x);
        if (!s)
            continue;
        pthread_mutex_unlock(&x->lock);
        const bool held = work_on(x, w, s);
        pthread_mutex_lock(&x->lock);
        s->done = !held;
        if (!held)
            hand_out(x);
    }
    pthread_mutex_unlock(&x->lock);
}

static int make_workers(struct extraction *x, struct ft_error *err)
{
    x->slots = calloc(x->n_slots, sizeof *x->slots);
    x->workers = calloc((size_t)x->n_workers, sizeof *x->workers);
    if (!x->slots || !x->workers)
        return ft_error_nomem(err, "workers");
    for (size_t i = 0; i < x->n_slots; i++)
        if (!(x->slots[i].feature = ft_alloc(x->d, sizeof(float))))
            return ft_error_nomem(err, "features");
    for (int i = 0; i < x->n_workers; i++) {
        struct worker *w = &x->workers[i];
        w->preparer.claim.budget = &x->memory;
        w->pixels = ft_alloc((size_t)x->pictures, x->picture_bytes);
        w->held = calloc((size_t)x->pictures, sizeof *w->held);
        w->arena = ft_alloc(1, ft_plan_arena_bytes(x->plan, x->pictures));
        if (!w->pixels || !w->held || !w->arena)
            return ft_error_nomem(err, "the network's activations");
    }
    return 0;
}

static void release(struct extraction *x)
{
    for (size_t i = 0; x->slots && i < x->n_slots; i++) {
        free(x->slots[i].path);
        free(x->slots[i].feature);
    }
    for (int i = 0; x->workers && i < x->n_workers; i++) {
        ft_preparer_release(&x->workers[i].preparer);
        ft_bytes_release(&x->workers[i].bytes);
        free(x->workers[i].pixels);
        free(x->workers[i].held);
        free(x->workers[i].arena);
    }
    free(x->slots);
    free(x->workers);
    ft_budget_release(&x->memory);
    pthread_cond_destroy(&x->changed);
    pthread_mutex_destroy(&x->lock);
}

int ft_extract(const struct ft_backbone *backbone, const struct ft_extract_options *options,
               const char *(*next)(void *), int (*emit)(void *, const struct ft_row *), void *user,
               struct ft_error *err)
{
    static const struct ft_extract_options defaults = FT_EXTRACT_DEFAULTS;
    const struct ft_plan *plan = backbone->plan;
    const struct ft_geometry *geometry = &backbone->geometry;
    if (!options)
        options = &defaults;
    const int threads = options->threads > 0 ? options->threads : ft_cpu_count();
    const struct ft_shape out = ft_plan_output(plan);
    const int pictures = ft_plan_pictures(plan);
    struct extraction x = {
        .plan = plan,
        .network = backbone->network,
        .geometry = geometry,
        .max_pixels = options->max_pixels,
        .cache = options->cache,
        .next = next,
        .emit = emit,
        .user = user,
        .n_workers = options->lone ? 1 : threads,
        .pictures = options->lone || options->prompt ? 1
                    : pictures < MOST_PICTURES       ? pictures
                                                     : MOST_PICTURES,
        .picture_bytes = (size_t)geometry->width * (size_t)geometry->height * 3,
        .d = (size_t)out.h * (size_t)out.w * (size_t)out.c,
    };
    if (options->cache) {
        uint64_t key[2];
        const int rc = ft_backbone_key(backbone, key, err);
        if (rc)
            return rc;
        ft_cache_select(options->cache, key, (int)x.d);
    }
    x.n_slots = (size_t)x.n_workers * SLOTS_PER_WORKER;
    pthread_mutex_init(&x.lock, NULL);
    pthread_cond_init(&x.changed, NULL);
    ft_budget_init(&x.memory, FT_IMAGE_MEMORY);
    int rc = make_workers(&x, err);
    struct ft_team *team = rc ? NULL : ft_team_new(threads);
    if (!rc && !team)
        rc = ft_error_nomem(err, "threads");
    if (!rc && options->lone) {
        x.team = team;
        worker_main(&x, 0);
    } else if (!rc)
        ft_team_run(team, worker_main, &x);
    if (!rc && x.cancelled) {
        rc = x.error.code;
        if (err)
            *err = x.error;
    }
    ft_team_free(team);
    release(&x);
    return rc;
}
