/* The index of one key is in memory. Features that were computed wait in a pending segment, which
 * is written when it is full, when it is old, and when the cache is closed. A process that is
 * killed loses at most that segment. */
#define _GNU_SOURCE
#include "features/cache.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "features/cache_index.h"
#include "features/segment.h"

#define PENDING_ROWS 1024
/* A pending segment is written after 4 seconds at first, and the time doubles with every segment up
 * to PENDING_SECONDS. So a run that is stopped early has kept features, and a long run writes few
 * files. */
#define PENDING_SECONDS 32
/* An unfinished segment that is older was left by a process that died. */
#define STALE_SECONDS 3600

struct segment {
    char name[64]; /* "" while it is pending, or when it could not be written */
    size_t n;
    bool used;
};

struct pending {
    size_t n;
    uint32_t segment;
    time_t since;
    struct ft_segment_row *rows; /* [PENDING_ROWS] */
    float *x;                    /* [PENDING_ROWS, d] */
};

struct ft_cache {
    char *path;
    pthread_mutex_t lock;
    bool selected, off;
    uint64_t key[2];
    int d, folder; /* folder: descriptor; -1: none */
    struct ft_cache_index index;
    struct segment *segments; /* [n_segments] */
    size_t n_segments, segments_capacity;
    struct pending pending;
    time_t patience; /* seconds until a pending segment is written */
    struct ft_cache_counts counts;
    char warning[600];
};

static void warn(struct ft_cache *c, const struct ft_error *why)
{
    if (!c->warning[0])
        snprintf(c->warning, sizeof c->warning,
                 "features are not kept in the cache '%.200s': %.300s", c->path, why->msg);
    c->off = true;
}

int ft_cache_open(const char *dir, struct ft_cache **out, struct ft_error *err)
{
    struct ft_cache *c = calloc(1, sizeof *c);
    if (!c)
        return ft_error_nomem(err, "the cache");
    c->folder = -1;
    pthread_mutex_init(&c->lock, NULL);
    int rc = 0;
    if (dir)
        rc = (c->path = ft_strdup(dir)) ? 0 : ft_error_nomem(err, "the cache");
    else
        rc = ft_cache_default_folder(&c->path, err);
    if (!rc)
        rc = ft_cache_make_folder(c->path, err);
    if (rc) {
        ft_cache_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

/* A row of a later segment replaces one of an earlier segment, so a row that was computed again
 * replaces a damaged one. */
static bool put(struct ft_cache *c, const struct ft_segment_row *row, uint32_t segment, size_t i)
{
    return ft_cache_index_put(
        &c->index,
        &(struct ft_cache_entry){
            { row->content[0], row->content[1] }, row->pixels, row->check, segment, (uint32_t)i });
}

static bool add_segment(struct ft_cache *c, const char *name, size_t n)
{
    if (!ft_grow((void **)&c->segments, &c->segments_capacity, c->n_segments, sizeof *c->segments))
        return false;
    struct segment *s = &c->segments[c->n_segments++];
    *s = (struct segment){ .n = n };
    snprintf(s->name, sizeof s->name, "%s", name);
    return true;
}

static int load(struct ft_cache *c, const char *name, struct ft_error *err)
{
    struct ft_segment_row *rows;
    size_t n;
    uint32_t d = (uint32_t)c->d;
    const int rc = ft_segment_read(c->folder, name, c->key, &d, &rows, &n, err);
    if (rc == FT_EFORMAT)
        unlinkat(c->folder, name, 0); /* no process can use it; its features are computed again */
    if (rc)
        return 0;
    bool ok = add_segment(c, name, n);
    for (size_t i = 0; ok && i < n; i++)
        ok = put(c, &rows[i], (uint32_t)c->n_segments, i);
    free(rows);
    return ok ? 0 : ft_error_nomem(err, "the index of the cache");
}

static bool knows(const struct ft_cache *c, const char *name)
{
    for (size_t i = 0; i < c->n_segments; i++)
        if (!strcmp(c->segments[i].name, name))
            return true;
    return false;
}

/* Reads the indexes of the segments that are not known yet. */
static int load_new(struct ft_cache *c, struct ft_error *err)
{
    char **names;
    size_t n;
    int rc = ft_cache_list(c->folder, STALE_SECONDS, &names, &n, err);
    if (rc)
        return rc;
    for (size_t i = 0; !rc && i < n; i++)
        if (!knows(c, names[i]))
            rc = load(c, names[i], err);
    ft_cache_free_list(names, n);
    return rc;
}

static int open_key(struct ft_cache *c, struct ft_error *err)
{
    char *path;
    if (asprintf(&path, "%s/" FT_CACHE_SUBFOLDER "/%016llx%016llx", c->path,
                 (unsigned long long)c->key[0], (unsigned long long)c->key[1]) < 0)
        return ft_error_nomem(err, "the cache");
    int rc = ft_cache_make_folder(path, err);
    if (!rc && (c->folder = ft_open(path, O_RDONLY | O_DIRECTORY, 0)) < 0)
        rc = ft_error_errno(err, "cannot open '%s'", path);
    free(path);
    if (rc)
        return rc;
    rc = load_new(c, err);
    c->pending.rows = malloc(PENDING_ROWS * sizeof *c->pending.rows);
    c->pending.x = ft_alloc(PENDING_ROWS * (size_t)c->d, sizeof *c->pending.x);
    if (!rc && (!c->pending.rows || !c->pending.x))
        rc = ft_error_nomem(err, "the cache");
    return rc;
}

static void write_pending(struct ft_cache *c, struct pending *p)
{
    struct ft_error err;
    char name[64] = "";
    if (!p->n)
        return;
    const int rc =
        ft_segment_write(c->folder, c->key, (uint32_t)c->d, p->rows, p->n, p->x, name, &err);
    pthread_mutex_lock(&c->lock);
    if (rc)
        warn(c, &err);
    else {
        memcpy(c->segments[p->segment - 1].name, name, sizeof name);
        c->segments[p->segment - 1].n = p->n;
    }
    pthread_mutex_unlock(&c->lock);
}

/* Sets the time of the segments whose features were used. `prune` removes segments by this time. */
static void touch_used(const struct ft_cache *c)
{
    for (size_t i = 0; i < c->n_segments; i++)
        if (c->segments[i].used && c->segments[i].name[0])
            utimensat(c->folder, c->segments[i].name, NULL, 0);
}

static void leave_key(struct ft_cache *c)
{
    if (c->folder >= 0) {
        write_pending(c, &c->pending);
        touch_used(c);
        close(c->folder);
    }
    free(c->pending.rows);
    free(c->pending.x);
    ft_cache_index_release(&c->index);
    free(c->segments);
    c->pending = (struct pending){ 0 };
    c->segments = NULL;
    c->n_segments = c->segments_capacity = 0;
    c->folder = -1;
    c->selected = false;
}

void ft_cache_select(struct ft_cache *c, const uint64_t key[2], int d)
{
    struct ft_error err;
    if (c->selected && !memcmp(c->key, key, sizeof c->key) && c->d == d)
        return;
    leave_key(c);
    memcpy(c->key, key, sizeof c->key);
    c->d = d;
    c->patience = 4;
    c->selected = true;
    if (open_key(c, &err))
        warn(c, &err);
}

/* Returns the entry of a content; its segment is 0 if there is none. If the entry is in the pending
 * segment, copies the feature and sets *found. Otherwise *s is the segment from which the feature
 * can be read without the lock. */
static struct ft_cache_entry look_up(struct ft_cache *c, const uint64_t content[2],
                                     uint64_t max_pixels, float *feature, struct segment *s,
                                     bool *found)
{
    const struct ft_cache_entry *e = ft_cache_index_find(&c->index, content);
    if (!e || (e->pixels & ~FT_SEGMENT_MORE) > max_pixels)
        return (struct ft_cache_entry){ 0 };
    *s = c->segments[e->segment - 1];
    *found = e->segment == c->pending.segment && c->pending.n;
    if (*found)
        memcpy(feature, c->pending.x + (size_t)e->row * (size_t)c->d,
               (size_t)c->d * sizeof *feature);
    return *e;
}

/* Must be called with the lock held when a segment no longer exists, because `prune` merged it into
 * another, or because the folder was emptied. Reads the new segments, once for each segment
 * that has disappeared. */
static void replace_segment(struct ft_cache *c, uint32_t segment)
{
    struct segment *gone = &c->segments[segment - 1];
    struct ft_error err;
    if (!gone->name[0])
        return;
    gone->name[0] = 0;
    if (load_new(c, &err))
        warn(c, &err);
}

bool ft_cache_find(struct ft_cache *c, const uint64_t content[2], uint64_t max_pixels,
                   float *feature, bool *more)
{
    struct segment s;
    bool found = false;
    int rc = FT_EIO;
    pthread_mutex_lock(&c->lock);
    struct ft_cache_entry e = look_up(c, content, max_pixels, feature, &s, &found);
    for (int attempt = 0; attempt < 2 && !found && e.segment && s.name[0] && rc == FT_EIO;
         attempt++) {
        pthread_mutex_unlock(&c->lock);
        rc = ft_segment_feature(c->folder, s.name, s.n, e.row, (size_t)c->d, e.check, feature);
        pthread_mutex_lock(&c->lock);
        found = !rc;
        if (rc == FT_EIO) {
            replace_segment(c, e.segment);
            e = look_up(c, content, max_pixels, feature, &s, &found);
        }
    }
    c->counts.hits += found;
    if (found) {
        c->segments[e.segment - 1].used = true;
        *more = e.pixels & FT_SEGMENT_MORE;
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

/* Returns the pending segment, for writing, and begins a new one. Must be called with the lock
 * held.
 */
static struct pending detach(struct ft_cache *c)
{
    struct pending full = c->pending;
    c->pending = (struct pending){ .rows = malloc(PENDING_ROWS * sizeof *full.rows),
                                   .x = ft_alloc(PENDING_ROWS * (size_t)c->d, sizeof *full.x) };
    c->off |= !c->pending.rows || !c->pending.x;
    return full;
}

void ft_cache_add(struct ft_cache *c, const uint64_t content[2], uint64_t pixels, bool more,
                  const float *feature)
{
    struct pending full = { 0 };
    const struct ft_segment_row row = { { content[0], content[1] },
                                        pixels | (more ? FT_SEGMENT_MORE : 0),
                                        ft_segment_check(feature, (size_t)c->d) };
    pthread_mutex_lock(&c->lock);
    c->counts.computed++;
    struct pending *p = &c->pending;
    const struct ft_cache_entry *known = ft_cache_index_find(&c->index, content);
    /* another picture with this content is in the pending segment */
    const bool waiting = !c->off && p->n && known && known->segment == p->segment;
    if (!c->off && !waiting) {
        if (!p->n) {
            p->since = time(NULL);
            c->off |= !add_segment(c, "", 0);
            p->segment = (uint32_t)c->n_segments;
        }
        c->off |= !put(c, &row, p->segment, p->n);
    }
    if (!c->off && !waiting) {
        p->rows[p->n] = row;
        memcpy(p->x + p->n * (size_t)c->d, feature, (size_t)c->d * sizeof *feature);
        if (++p->n == PENDING_ROWS || time(NULL) - p->since > c->patience) {
            full = detach(c);
            c->patience = 2 * c->patience < PENDING_SECONDS ? 2 * c->patience : PENDING_SECONDS;
        }
    }
    pthread_mutex_unlock(&c->lock);
    write_pending(c, &full);
    free(full.rows);
    free(full.x);
}

void ft_cache_flush(struct ft_cache *c)
{
    if (c->folder < 0 || c->off)
        return;
    pthread_mutex_lock(&c->lock);
    struct pending full = detach(c);
    pthread_mutex_unlock(&c->lock);
    write_pending(c, &full);
    free(full.rows);
    free(full.x);
}

void ft_cache_free(struct ft_cache *c)
{
    if (!c)
        return;
    leave_key(c);
    pthread_mutex_destroy(&c->lock);
    free(c->path);
    free(c);
}

struct ft_cache_counts ft_cache_counted(const struct ft_cache *c)
{
    return c->counts;
}

const char *ft_cache_folder(const struct ft_cache *c)
{
    return c->path;
}

const char *ft_cache_warning(const struct ft_cache *c)
{
    return c->warning[0] ? c->warning : NULL;
}
