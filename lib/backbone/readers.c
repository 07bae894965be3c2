/* The formats of network files, one row for each. A new format is a directory beside keras/ with an
 * ft_reader, and a row here.
 *
 * Network files may come from untrusted sources. Readers and their libraries therefore run in an
 * isolated process (base/isolate.h), which sends a description of the network. This process reads
 * the bytes of the file; most tensors of the description are parts of them. A small file is read as
 * a whole while the isolated process works. Of a large one only the tensors that are needed are
 * read, when they are needed: it may have a classifier that is cut off, or be sparse. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/isolate.h"
#include "base/snapshot.h"
#include "keras/keras.h"
#include "onnx/onnx.h"
#include "presets/presets.h"
#include "backbone/backbone.h"
#include "network/transfer.h"

static const struct ft_reader *const readers[] = { &ft_preset_reader, &ft_onnx_reader,
                                                   &ft_keras_reader };
#define N_READERS (sizeof readers / sizeof *readers)
#define SNAPSHOTS 3                  /* of a source: the file's bytes, and both that are widened */
#define LARGE     ((size_t)64 << 20) /* bytes */

struct request {
    const char *path;
    const struct ft_reader_options *options;
};

/* In the isolated process. If no reader recognises the file, that of Keras opens it and reports
 * what is wrong with it. */
static int read_isolated(void *user, struct ft_outbox *outbox, struct ft_error *err)
{
    const struct request *r = user;
    const struct ft_reader *reader = &ft_keras_reader;
    struct ft_network *network;
    uint8_t start[16];
    FILE *f = fopen(r->path, "re");
    const size_t n = f ? fread(start, 1, sizeof start, f) : 0;
    if (f)
        fclose(f);
    for (size_t i = 0; i < N_READERS; i++)
        if (readers[i]->recognises(r->path, start, n)) {
            reader = readers[i];
            break;
        }
    struct ft_reader_options options = r->options ? *r->options : (struct ft_reader_options){ 0 };
    options.leave_open = true;
    const int rc = reader->open(r->path, &options, &network, err);
    if (!rc)
        ft_network_send(network, outbox); /* the process ends with what it has allocated */
    return rc;
}

/* The memory that contains the tensors of a network: the source of its storage. */
struct source {
    struct ft_snapshot *snapshot;
    struct ft_snapshot *widened[2]; /* of halves, of bfloat16; NULL: not used */
    uint8_t *bytes;                 /* [n] from the isolated process */
    size_t n;
};

static void source_free(void *user)
{
    struct source *s = user;
    ft_isolated_unmap(s->bytes, s->n);
    for (int i = 0; i < 2; i++)
        ft_snapshot_free(s->widened[i]);
    ft_snapshot_free(s->snapshot);
    free(s);
}

/* Snapshot i of the source, or NULL. */
static struct ft_snapshot *snapshot_of(const struct source *s, int i)
{
    return i ? s->widened[i - 1] : s->snapshot;
}

static void count_users(const struct source *s, const void *memory, size_t size,
                        void (*count)(struct ft_snapshot *, size_t, size_t))
{
    for (int i = 0; i < SNAPSHOTS; i++) {
        size_t n = 0;
        const uint8_t *at = memory,
                      *bytes = snapshot_of(s, i) ? ft_snapshot_bytes(snapshot_of(s, i), &n) : NULL;
        if (bytes && at >= bytes && at < bytes + n)
            count(snapshot_of(s, i), (size_t)(at - bytes), size);
    }
}

static void source_want(void *user, const void *memory, size_t size)
{
    count_users(user, memory, size, ft_snapshot_want);
}

static void source_done(void *user, const void *memory, size_t size)
{
    count_users(user, memory, size, ft_snapshot_done);
}

static int source_load(void *user, struct ft_error *err)
{
    int rc = 0;
    for (int i = 0; !rc && i < SNAPSHOTS; i++)
        if (snapshot_of(user, i))
            rc = ft_snapshot_load(snapshot_of(user, i), err);
    return rc;
}

static void source_trim(void *user)
{
    for (int i = 0; i < SNAPSHOTS; i++)
        if (snapshot_of(user, i))
            ft_snapshot_trim(snapshot_of(user, i));
}

static const float *widened(void *user, bool bfloat16)
{
    struct source *s = user;
    struct ft_snapshot **to = &s->widened[bfloat16];
    size_t size;
    if (!*to && ft_snapshot_widen(s->snapshot, bfloat16, to, NULL))
        return NULL;
    return (const float *)(const void *)ft_snapshot_bytes(*to, &size);
}

static const struct ft_storage_source reading = { source_want, source_done, source_load,
                                                  source_trim };

/* Runs both processes. The error message names the file only if *named is set. */
static int read_both(const struct request *r, struct source *s, bool *named, struct ft_error *err)
{
    struct ft_isolated isolated;
    size_t size;
    int rc = ft_snapshot_open(r->path, &s->snapshot, err);
    if (rc)
        return rc;
    ft_snapshot_bytes(s->snapshot, &size);
    uint64_t beside = 0;
    for (size_t i = 0; i < N_READERS; i++)
        beside += readers[i]->bytes_beside ? readers[i]->bytes_beside(r->path) : 0;
    rc = ft_isolated_begin(&isolated, size + beside, read_isolated, (void *)r, err);
    if (rc)
        return rc;
    if (size < LARGE)
        ft_snapshot_want(s->snapshot, 0, size);
    rc = ft_snapshot_load(s->snapshot, err);
    if (size < LARGE)
        ft_snapshot_done(s->snapshot, 0, size); /* it stays in memory for now */
    if (rc) {
        ft_isolated_abandon(&isolated);
        return rc;
    }
    rc = ft_isolated_end(&isolated, &s->bytes, &s->n, err);
    *named = isolated.reported;
    return rc ? rc : ft_snapshot_check(s->snapshot, r->path, err);
}

static int open_file(const char *path, const struct ft_reader_options *options,
                     struct ft_network **out, struct ft_error *err)
{
    struct request request = { path, options };
    struct source *s = calloc(1, sizeof *s);
    struct ft_network *network;
    bool named = false;
    int rc = s ? read_both(&request, s, &named, err) : ft_error_nomem(err, "the file");
    if (!rc) {
        size_t size;
        const uint8_t *bytes = ft_snapshot_bytes(s->snapshot, &size);
        const struct ft_network_file file = { bytes, size, widened, s };
        rc = ft_network_receive(s->bytes, s->n, &file, &network, err);
    }
    if (rc) {
        const char *foreign = rc == FT_EFORMAT ? ft_foreign_format(path) : NULL;
        if (s)
            source_free(s);
        if (foreign)
            return ft_error_set(err, FT_EFORMAT, "'%s': %s", path, foreign);
        return named ? rc : ft_error_prefix(err, rc, "'%s'", path);
    }
    network->storage.source = s;
    network->storage.release = source_free;
    network->storage.reading = &reading;
    *out = network;
    return 0;
}

int ft_network_open(const char *path, const struct ft_reader_options *options,
                    struct ft_network **out, struct ft_error *err)
{
    char *weights = ft_preset_weights(path);
    const int rc = open_file(weights ? weights : path, options, out, err);
    free(weights);
    return rc;
}
