/* From float32 to int8: the ranges of activations are measured on pictures. */
#include <stdlib.h>
#include <string.h>

#include "backbone/backbone.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread.h"
#include "image/image.h"

#define FILE_LIMIT ((size_t)1 << 30) /* bytes of a picture's file */

struct member {
    struct ft_preparer preparer;
    struct ft_bytes bytes;
    uint8_t *pixels;
    void *arena;
    struct ft_calibration *values;
    size_t read;         /* pictures */
    struct ft_error err; /* of the last picture that could not be read */
};

struct calibration {
    const struct ft_backbone *backbone;
    const struct ft_plan *plan; /* float32, without blocks */
    char *const *paths;         /* NULL: noise */
    size_t n, of, read;         /* pictures to run; paths; pictures that were read */
    struct member *members;     /* [team] */
};

/* Evenly spread. */
static const char *path_of(const struct calibration *c, size_t i)
{
    return c->paths[i * c->of / c->n];
}

static void make_noise(uint8_t *pixels, size_t n, size_t seed)
{
    struct ft_random random = { seed + 1 };
    for (size_t i = 0; i < n; i++)
        pixels[i] = (uint8_t)ft_random_next(&random);
}

/* Reads picture i. Returns 0, or an error. */
static int read_picture(const struct calibration *c, size_t i, struct member *m)
{
    const struct ft_geometry *g = &c->backbone->geometry;
    const struct ft_shape in = ft_plan_input(c->plan);
    const size_t values = (size_t)in.h * (size_t)in.w * (size_t)in.c;
    if (!c->paths) {
        make_noise(m->pixels, values, i);
        return 0;
    }
    int rc = ft_file_read(path_of(c, i), FILE_LIMIT, &m->bytes, &m->err);
    if (!rc)
        rc = ft_image_prepare(&m->preparer, m->bytes.data, m->bytes.size, g, 0, m->pixels, &m->err);
    if (!rc && in.c == 1)
        ft_image_to_grey(m->pixels, values);
    return rc;
}

/* Pictures that cannot be read are left out. */
static void run_picture(void *context, size_t i, int member)
{
    struct calibration *c = context;
    struct member *m = &c->members[member];
    if (read_picture(c, i, m))
        return;
    ft_calibration_run(m->values, m->pixels, m->arena);
    m->read++;
}

/* So many pictures, evenly spread, are looked at first. */
static size_t first_pictures(const struct calibration *c)
{
    enum { FIRST = 16 };
    return c->n < FIRST ? c->n : FIRST;
}

static void look_at_picture(void *context, size_t i, int member)
{
    struct calibration *c = context;
    struct member *m = &c->members[member];
    if (!read_picture(c, i * c->n / first_pictures(c), m))
        ft_calibration_look(m->values, m->pixels, m->arena);
}

/* Finds how the channels are balanced. */
static void balance(const struct calibration *c, int n)
{
    struct ft_calibration *first = c->members[0].values;
    for (int i = 1; i < n; i++)
        ft_calibration_merge(first, c->members[i].values);
    for (int i = 0; i < n; i++)
        ft_calibration_balance(c->members[i].values, first);
}

static int init_members(struct calibration *c, int n, struct ft_error *err)
{
    const struct ft_geometry *g = &c->backbone->geometry;
    c->members = ft_alloc_zero((size_t)n, sizeof *c->members);
    for (int i = 0; c->members && i < n; i++) {
        struct member *m = &c->members[i];
        m->pixels = ft_alloc((size_t)g->width * (size_t)g->height, 3);
        m->arena = ft_alloc(1, ft_plan_arena_bytes(c->plan, 1));
        m->values = ft_calibration_new(c->plan);
        if (!m->pixels || !m->arena || !m->values)
            return ft_error_nomem(err, "the ranges of a network");
    }
    return c->members ? 0 : ft_error_nomem(err, "the ranges of a network");
}

static void release_members(struct calibration *c, int n)
{
    for (int i = 0; c->members && i < n; i++) {
        struct member *m = &c->members[i];
        ft_preparer_release(&m->preparer);
        ft_bytes_release(&m->bytes);
        ft_calibration_free(m->values);
        free(m->pixels);
        free(m->arena);
    }
    free(c->members);
}

static int collect(struct calibration *c, int n, struct ft_ranges *out, struct ft_error *err)
{
    c->read = c->members[0].read;
    for (int i = 1; i < n; i++) {
        c->read += c->members[i].read;
        ft_calibration_merge(c->members[0].values, c->members[i].values);
    }
    if (!c->read)
        return ft_error_set(err, FT_EARG,
                            "int8 needs pictures to measure the ranges of activations, but none "
                            "of %zu could be read",
                            c->n);
    return ft_calibration_ranges(c->members[0].values, out, err);
}

static int measure(struct calibration *c, int threads, struct ft_ranges *out, struct ft_error *err)
{
    struct ft_team *team = ft_team_new(threads);
    int rc = team ? init_members(c, threads, err) : ft_error_nomem(err, "the ranges of a network");
    if (!rc) {
        ft_team_each(team, first_pictures(c), look_at_picture, c);
        balance(c, threads);
        ft_team_each(team, c->n, run_picture, c);
        rc = collect(c, threads, out, err);
    }
    release_members(c, threads);
    ft_team_free(team);
    return rc;
}

static void choose_pictures(struct calibration *c, char *const *paths, size_t n)
{
    c->paths = paths;
    c->of = n;
    c->n = !paths ? 1 : n < FT_CALIBRATION_MOST ? n : FT_CALIBRATION_MOST;
}

/* Replaces the plan of `b`, which becomes the owner of the ranges. They are released on failure. */
static int use_ranges(struct ft_backbone *b, struct ft_ranges *ranges, struct ft_error *err)
{
    struct ft_plan *plan = NULL;
    const struct ft_plan_options o = { .height = b->geometry.height,
                                       .width = b->geometry.width,
                                       .layer = b->last,
                                       .precision = FT_PRECISION_INT8,
                                       .ranges = ranges };
    int rc = ft_plan_new(b->network, &o, &plan, err);
    struct ft_workspaces *workspaces = rc ? NULL : ft_workspaces_new();
    if (!rc && !workspaces)
        rc = ft_error_nomem(err, b->path);
    if (rc) {
        ft_plan_free(plan);
        ft_ranges_release(ranges);
        return rc;
    }
    ft_workspaces_free(b->workspaces);
    ft_plan_free(b->plan);
    ft_ranges_release(&b->ranges);
    b->workspaces = workspaces;
    b->plan = plan;
    b->ranges = *ranges;
    return 0;
}

/* Sets *whole if all chosen pictures were read. */
static int quantize_with(struct ft_backbone *b, char *const *paths, size_t n, int threads,
                         bool *whole, struct ft_error *err)
{
    struct ft_plan *plan = NULL;
    struct ft_ranges ranges = { 0 };
    const struct ft_plan_options o = { .height = b->geometry.height,
                                       .width = b->geometry.width,
                                       .layer = b->last,
                                       .blocks = FT_BLOCKS_NEVER,
                                       .pictures = 1 };
    int rc = ft_plan_new(b->network, &o, &plan, err);
    struct calibration c = { .backbone = b, .plan = plan };
    choose_pictures(&c, paths, n);
    if (!rc)
        rc = measure(&c, threads > 0 ? threads : ft_cpu_count(), &ranges, err);
    ft_plan_free(plan);
    *whole = c.read == c.n;
    if (!rc)
        rc = use_ranges(b, &ranges, err);
    return rc ? ft_error_prefix(err, rc, "'%s'", b->path) : 0;
}

int ft_backbone_quantize(struct ft_backbone *b, char *const *paths, size_t n, int threads,
                         struct ft_error *err)
{
    bool whole;
    return quantize_with(b, paths, n, threads, &whole, err);
}

/* A hash of the names of the layers, by which ranges are found. */
static void hash_names(const struct ft_backbone *b, uint64_t hash[2])
{
    uint64_t both[2][2] = { { 0 } };
    for (int i = 0; i <= b->last; i++) {
        const char *name = b->network->layers[i].name;
        ft_hash(name, strlen(name), both[1]);
        ft_hash(both, sizeof both, both[0]);
    }
    memcpy(hash, both[0], sizeof both[0]);
}

/* A hash of all that the ranges depend on: what features in float32 depend on, the names of the
 * layers, and the contents of the pictures. Those that cannot be read count as 0. */
static int key_of(const struct ft_backbone *b, char *const *paths, size_t n, uint64_t key[2],
                  struct ft_error *err)
{
    struct calibration c = { 0 };
    struct ft_bytes bytes = { 0 };
    choose_pictures(&c, paths, n);
    uint64_t(*hashes)[2] = ft_alloc_zero(c.n + 2, sizeof *hashes);
    if (!hashes)
        return ft_error_nomem(err, b->path);
    hash_names(b, hashes[c.n + 1]);
    const int rc = ft_backbone_key(b, hashes[c.n], err);
    for (size_t i = 0; !rc && i < c.n; i++)
        if (!ft_file_read(path_of(&c, i), FILE_LIMIT, &bytes, NULL))
            ft_hash(bytes.data, bytes.size, hashes[i]);
    if (!rc)
        ft_hash(hashes, (c.n + 2) * sizeof *hashes, key);
    ft_bytes_release(&bytes);
    free(hashes);
    return rc;
}

/* Ranges of only some of the pictures are not kept: the others may be readable next time. */
static int quantize(struct ft_backbone *b, const char *dir, char *const *paths, size_t n,
                    int threads, struct ft_error *err)
{
    uint64_t key[2];
    bool whole = false;
    struct ft_ranges kept = { 0 };
    int rc = dir && paths ? key_of(b, paths, n, key, err) : 0;
    if (rc)
        return rc;
    if (dir && paths && !ft_ranges_load(dir, key, &kept, NULL) && !use_ranges(b, &kept, NULL))
        return 0;
    rc = quantize_with(b, paths, n, threads, &whole, err);
    if (!rc && whole && dir && paths)
        ft_ranges_keep(dir, key, &b->ranges, NULL); /* else they are measured again */
    return rc;
}

int ft_backbone_open_for(const char *name, const struct ft_backbone_options *options,
                         char *const *paths, size_t n, int threads, struct ft_backbone **out,
                         struct ft_error *err)
{
    const char *int8 = ft_precision_name(FT_PRECISION_INT8);
    struct ft_backbone_options o =
        options ? *options : (struct ft_backbone_options)FT_BACKBONE_DEFAULTS;
    struct ft_backbone *b = NULL;
    const bool measure = o.precision && !strcmp(o.precision, int8);
    if (measure)
        o.precision = ft_precision_name(FT_PRECISION_F32);
    int rc = ft_backbone_open(name, &o, &b, err);
    if (!rc && measure)
        rc = quantize(b, o.ranges_dir, paths, n, threads, err);
    if (rc)
        ft_backbone_free(b);
    else
        *out = b;
    return rc;
}
