/* The formats of network files, one row for each. A new format is a directory beside keras/ with an
 * ft_reader, and a row here.
 *
 * Network files may come from untrusted sources. Readers and their libraries therefore run in an
 * isolated process (base/isolate.h), which sends a description of the network. This process reads
 * the bytes of the files; most tensors of the description are parts of them. Small files are read
 * as a whole while the isolated process works. Of large ones only the tensors that are needed are
 * read, when they are needed: there may be a classifier that is cut off, or holes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/isolate.h"
#include "base/memory.h"
#include "base/snapshot.h"
#include "keras/keras.h"
#include "onnx/onnx.h"
#include "presets/presets.h"
#include "backbone/backbone.h"
#include "network/transfer.h"

static const struct ft_reader *const readers[] = { &ft_preset_reader, &ft_onnx_reader,
                                                   &ft_keras_reader };
#define N_READERS (sizeof readers / sizeof *readers)
#define SNAPSHOTS 3                  /* of a file: its bytes, and both that are widened */
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

/* A file that tensors point into. */
struct file {
    char *path;
    struct ft_snapshot
        *snapshots[SNAPSHOTS]; /* its bytes; widened halves, bfloat16, NULL: not used */
};

/* The memory that contains the tensors of a network: the source of its storage. */
struct source {
    struct file *files; /* [n_files] */
    int n_files;
    uint8_t *bytes; /* [n] from the isolated process */
    size_t n;
};

static void source_free(void *user)
{
    struct source *s = user;
    ft_isolated_unmap(s->bytes, s->n);
    for (int i = 0; i < s->n_files; i++) {
        for (int k = SNAPSHOTS; k-- > 0;)
            ft_snapshot_free(s->files[i].snapshots[k]);
        free(s->files[i].path);
    }
    free(s->files);
    free(s);
}

/* Snapshot i of [SNAPSHOTS * n_files], or NULL. */
static struct ft_snapshot *snapshot_of(const struct source *s, int i)
{
    return s->files[i / SNAPSHOTS].snapshots[i % SNAPSHOTS];
}

static void count_users(const struct source *s, const void *memory, size_t size,
                        void (*count)(struct ft_snapshot *, size_t, size_t))
{
    const uintptr_t at = (uintptr_t)memory;
    for (int i = 0; i < SNAPSHOTS * s->n_files; i++) {
        size_t n = 0;
        const uintptr_t from =
            snapshot_of(s, i) ? (uintptr_t)ft_snapshot_bytes(snapshot_of(s, i), &n) : 0;
        if (at >= from && at - from < n)
            count(snapshot_of(s, i), at - from, size);
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

/* An error message about file i, which the caller prefixes with the path of file 0. */
static int prefix_file(const struct source *s, int i, int rc, struct ft_error *err)
{
    const char *slash = i ? strrchr(s->files[i].path, '/') : NULL;
    return !rc || !i
               ? rc
               : ft_error_prefix(err, rc, "'%s' beside it", slash ? slash + 1 : s->files[i].path);
}

static int source_load(void *user, struct ft_error *err)
{
    const struct source *s = user;
    int rc = 0;
    for (int i = 0; !rc && i < SNAPSHOTS * s->n_files; i++)
        if (snapshot_of(s, i))
            rc = prefix_file(s, i / SNAPSHOTS, ft_snapshot_load(snapshot_of(s, i), err), err);
    return rc;
}

static void source_trim(void *user)
{
    const struct source *s = user;
    for (int i = 0; i < SNAPSHOTS * s->n_files; i++)
        if (snapshot_of(s, i))
            ft_snapshot_trim(snapshot_of(s, i));
}

static const float *widened(void *user, bool bfloat16)
{
    struct file *f = user;
    struct ft_snapshot **to = &f->snapshots[1 + bfloat16];
    size_t size;
    if (!*to)
        *to = ft_snapshot_widen(f->snapshots[0], bfloat16);
    return *to ? (const float *)(const void *)ft_snapshot_bytes(*to, &size) : NULL;
}

static const struct ft_storage_source reading = { source_want, source_done, source_load,
                                                  source_trim };

/* Opens all files of the network at `path`; *size is that of all together. */
static int open_files(const char *path, struct source *s, uint64_t *size, struct ft_error *err)
{
    const struct ft_reader *reader = NULL;
    int n = 1, rc = 0;
    for (size_t i = 0; !rc && n == 1 && i < N_READERS; i++)
        if (readers[i]->count_files) {
            reader = readers[i];
            rc = reader->count_files(path, &n, err);
        }
    if (rc)
        return rc;
    *size = 0;
    s->files = calloc((size_t)n, sizeof *s->files);
    if (!s->files)
        return ft_error_nomem(err, "the file");
    for (; !rc && s->n_files < n; s->n_files++) {
        struct file *f = &s->files[s->n_files];
        size_t bytes = 0;
        f->path = s->n_files ? reader->file(path, s->n_files) : ft_strdup(path);
        rc = f->path ? ft_snapshot_open(f->path, &f->snapshots[0], err)
                     : ft_error_nomem(err, "the file");
        if (!rc)
            ft_snapshot_bytes(f->snapshots[0], &bytes);
        else if (f->path)
            rc = prefix_file(s, s->n_files, rc, err);
        *size += bytes;
    }
    return rc;
}

/* Reads small files while the isolated process works. They stay in memory for now. */
static int load_files(const struct source *s, uint64_t size, struct ft_error *err)
{
    int rc = 0;
    for (int i = 0; !rc && size < LARGE && i < s->n_files; i++) {
        size_t n;
        ft_snapshot_bytes(s->files[i].snapshots[0], &n);
        ft_snapshot_want(s->files[i].snapshots[0], 0, n);
        rc = prefix_file(s, i, ft_snapshot_load(s->files[i].snapshots[0], err), err);
        ft_snapshot_done(s->files[i].snapshots[0], 0, n);
    }
    return rc;
}

/* Runs both processes. The error message names the file only if *named is set. */
static int read_both(const struct request *r, struct source *s, bool *named, struct ft_error *err)
{
    struct ft_isolated isolated;
    uint64_t size, beside = 0;
    int rc = open_files(r->path, s, &size, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < N_READERS; i++)
        beside += readers[i]->bytes_beside ? readers[i]->bytes_beside(r->path) : 0;
    rc = ft_isolated_begin(&isolated, size + beside, read_isolated, (void *)r, err);
    if (rc)
        return rc;
    rc = load_files(s, size, err);
    if (rc) {
        ft_isolated_abandon(&isolated);
        return rc;
    }
    rc = ft_isolated_end(&isolated, &s->bytes, &s->n, err);
    *named = isolated.reported;
    for (int i = 0; !rc && i < s->n_files; i++)
        rc = prefix_file(s, i, ft_snapshot_check(s->files[i].snapshots[0], s->files[i].path, err),
                         err);
    return rc;
}

/* Makes a network of what the isolated process found. */
static int receive(const struct source *s, struct ft_network **out, struct ft_error *err)
{
    struct ft_network_file *files = calloc((size_t)s->n_files, sizeof *files);
    if (!files)
        return ft_error_nomem(err, "the network");
    for (int i = 0; i < s->n_files; i++) {
        files[i].bytes = ft_snapshot_bytes(s->files[i].snapshots[0], &files[i].size);
        files[i].widened = widened;
        files[i].user = &s->files[i];
    }
    const int rc = ft_network_receive(s->bytes, s->n, files, (size_t)s->n_files, out, err);
    free(files);
    return rc;
}

static int open_file(const char *path, const struct ft_reader_options *options,
                     struct ft_network **out, struct ft_error *err)
{
    struct request request = { path, options };
    struct source *s = calloc(1, sizeof *s);
    struct ft_network *network;
    bool named = false;
    if (!s)
        return ft_error_nomem(err, "the file");
    int rc = read_both(&request, s, &named, err);
    rc = rc ? rc : receive(s, &network, err);
    if (rc) {
        const char *foreign = rc == FT_EFORMAT ? ft_foreign_format(path) : NULL;
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
