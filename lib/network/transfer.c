/* Layout, in native byte order: the data of tensors, each aligned; then the description; then a
 * tail of two numbers, MAGIC and the offset of the description. Offsets count from the start of
 * the bytes. A string is its length with the NUL (0: NULL) and its bytes. */
#include "network/transfer.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "network/kinds.h"

#define MAGIC        UINT64_C(0x66742d6e6574776b)
#define ALIGN        64
#define LAYERS_LIMIT (1 << 17)

/* HALF, BFLOAT16: in a file, as two bytes for each value */
enum place { ABSENT, IN_FILE, IN_BYTES, HALF, BFLOAT16 };

/* ---- sending --------------------------------------------------------------------------------- */

static void put(struct ft_outbox *o, uint64_t value)
{
    ft_outbox_write(o, &value, sizeof value);
}

static void put_string(struct ft_outbox *o, const char *s)
{
    const size_t n = s ? strlen(s) + 1 : 0;
    put(o, n);
    ft_outbox_write(o, s, n);
}

struct sender {
    const struct ft_network *network;
    struct ft_narrow *narrow; /* [storage.n_narrow] those of the storage, by address */
    struct ft_outbox *outbox;
    uint64_t start;   /* of the network in the outbox */
    uint64_t *places; /* [n_layers, FT_MAX_WEIGHTS] offsets from `start` of tensors IN_BYTES */
};

/* Where a tensor is. */
struct where {
    enum place place;
    uint64_t file, offset; /* unless it is ABSENT or IN_BYTES */
};

/* Addresses are compared as numbers, because they may belong to different blocks. */
static int by_address(const void *a, const void *b)
{
    const uintptr_t x = (uintptr_t)((const struct ft_narrow *)a)->values,
                    y = (uintptr_t)((const struct ft_narrow *)b)->values;
    return x < y ? -1 : x > y;
}

/* The values of two bytes that a tensor was widened from, or NULL. */
static const struct ft_narrow *narrow_of(const struct sender *x, const struct ft_tensor *t)
{
    const uintptr_t at = (uintptr_t)t->data;
    size_t low = 0, high = x->network->storage.n_narrow; /* the last one at or before the data */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if ((uintptr_t)x->narrow[middle].values <= at)
            low = middle + 1;
        else
            high = middle;
    }
    const struct ft_narrow *n = low ? &x->narrow[low - 1] : NULL;
    const size_t first = n ? (at - (uintptr_t)n->values) / sizeof(float) : 0;
    return n && first < n->count && t->count <= n->count - first ? n : NULL;
}

static struct where locate(const struct sender *x, const struct ft_tensor *t)
{
    const struct ft_storage *s = &x->network->storage;
    if (!t->data)
        return (struct where){ .place = ABSENT };
    const int file = ft_storage_file_of(s, t->data);
    if (file >= 0) {
        const uint64_t offset = (uintptr_t)t->data - (uintptr_t)s->files[file].bytes;
        if (offset % sizeof(float) == 0)
            return (struct where){ IN_FILE, (uint64_t)file, offset };
    }
    const struct ft_narrow *n = file < 0 ? narrow_of(x, t) : NULL;
    if (n)
        return (struct where){ n->bfloat16 ? BFLOAT16 : HALF, (uint64_t)n->file,
                               n->offset + ((uintptr_t)t->data - (uintptr_t)n->values) / 2 };
    return (struct where){ .place = IN_BYTES };
}

/* The data of tensors that are not in a file. The calls of a shared layer often follow one another:
 * their weights are sent once. */
static void send_data(const struct sender *x)
{
    enum { LOOK_BACK = 32 };
    const struct ft_network *network = x->network;
    uint64_t *places = x->places;
    const size_t n = (size_t)network->n_layers * FT_MAX_WEIGHTS;
    for (size_t i = 0; i < n; i++) {
        const struct ft_tensor *t =
            &network->layers[i / FT_MAX_WEIGHTS].weights[i % FT_MAX_WEIGHTS];
        if (locate(x, t).place != IN_BYTES)
            continue;
        for (size_t k = i > LOOK_BACK ? i - LOOK_BACK : 0; k < i && !places[i]; k++) {
            const struct ft_tensor *sent =
                &network->layers[k / FT_MAX_WEIGHTS].weights[k % FT_MAX_WEIGHTS];
            if (places[k] && sent->data == t->data && sent->count == t->count)
                places[i] = places[k];
        }
        if (places[i])
            continue;
        ft_outbox_align(x->outbox, ALIGN);
        places[i] = x->outbox->size - x->start;
        ft_outbox_write(x->outbox, t->data, t->count * sizeof *t->data);
    }
}

static void send_tensor(const struct sender *x, const struct ft_tensor *t, uint64_t sent)
{
    struct ft_outbox *o = x->outbox;
    const struct where where = locate(x, t);
    put(o, where.place);
    put(o, where.file);
    put(o, where.place == IN_BYTES ? sent : where.offset);
    put(o, (uint64_t)t->rank);
    for (int i = 0; i < t->rank; i++)
        put(o, (uint64_t)t->shape[i]);
}

static void send_layer(const struct sender *x, int layer)
{
    const struct ft_layer *l = &x->network->layers[layer];
    const uint64_t *places = x->places + (size_t)layer * FT_MAX_WEIGHTS;
    struct ft_outbox *o = x->outbox;
    put_string(o, l->name);
    put(o, (uint64_t)l->kind);
    put(o, (uint64_t)l->n_inputs);
    for (int i = 0; i < l->n_inputs; i++)
        put(o, (uint64_t)l->inputs[i]);
    ft_outbox_write(o, &l->params, sizeof l->params);
    for (int w = 0; w < FT_MAX_WEIGHTS; w++)
        send_tensor(x, &l->weights[w], places[w]);
}

static void send_network(const struct sender *x)
{
    const struct ft_network *network = x->network;
    struct ft_outbox *o = x->outbox;
    put(o, MAGIC); /* so that no data is at offset 0 */
    send_data(x);
    ft_outbox_align(o, sizeof(uint64_t));
    const uint64_t description = o->size - x->start;
    put_string(o, network->name);
    put_string(o, network->preprocess);
    put_string(o, network->attribute);
    put(o, (uint64_t)network->n_layers);
    put(o, (uint64_t)network->output);
    for (int i = 0; i < network->n_layers; i++)
        send_layer(x, i);
    put(o, MAGIC);
    put(o, description);
}

void ft_network_send(const struct ft_network *network, struct ft_outbox *o)
{
    const size_t n = network->storage.n_narrow, size = sizeof *network->storage.narrow;
    const struct sender x = {
        .network = network,
        .narrow = malloc((n + 1) * size),
        .outbox = o,
        .start = o->size,
        .places = calloc((size_t)network->n_layers + 1, FT_MAX_WEIGHTS * sizeof *x.places),
    };
    o->failed |= !x.narrow || !x.places;
    if (!o->failed) {
        if (n)
            memcpy(x.narrow, network->storage.narrow, n * size);
        qsort(x.narrow, n, size, by_address);
        send_network(&x);
    }
    free(x.narrow);
    free(x.places);
}

/* ---- receiving ------------------------------------------------------------------------------- */

struct inbox {
    const uint8_t *bytes;
    size_t n, at;
    const struct ft_network_file *files; /* [n_files] */
    size_t n_files;
    bool damaged, no_memory; /* sticky */
};

static void take(struct inbox *x, void *to, size_t size)
{
    if (x->damaged || size > x->n - x->at) {
        x->damaged = true;
        memset(to, 0, size);
        return;
    }
    memcpy(to, x->bytes + x->at, size);
    x->at += size;
}

/* A number of at most `limit`. */
static uint64_t get(struct inbox *x, uint64_t limit)
{
    uint64_t value;
    take(x, &value, sizeof value);
    x->damaged |= value > limit;
    return x->damaged ? 0 : value;
}

static char *get_string(struct inbox *x)
{
    const size_t n = (size_t)get(x, x->n - x->at);
    if (!n || x->damaged || n > x->n - x->at ||
        memchr(x->bytes + x->at, 0, n) != x->bytes + x->at + n - 1) {
        x->damaged |= n != 0;
        return NULL;
    }
    char *s = malloc(n);
    x->no_memory |= !s;
    if (s)
        memcpy(s, x->bytes + x->at, n);
    x->at += n;
    return s;
}

/* The values at an offset in a file, where they have two bytes each. */
static const float *widened(struct inbox *x, const struct ft_network_file *f, enum place place,
                            uint64_t offset, size_t count)
{
    if (!f->widened || offset % sizeof(uint16_t) || offset > f->size || !count ||
        count > (f->size - offset) / sizeof(uint16_t)) {
        x->damaged = true;
        return NULL;
    }
    const float *values = f->widened(f->user, place == BFLOAT16);
    x->no_memory |= !values;
    return values ? values + offset / sizeof(uint16_t) : NULL;
}

static void get_tensor(struct inbox *x, struct ft_tensor *t)
{
    const enum place place = (enum place)get(x, BFLOAT16);
    const uint64_t number = get(x, UINT64_MAX), offset = get(x, UINT64_MAX);
    const bool in_file = place == IN_FILE || place == HALF || place == BFLOAT16;
    static const struct ft_network_file none;
    const struct ft_network_file *file = in_file && number < x->n_files ? x->files + number : &none;
    const size_t end = in_file ? file->size : x->n;
    t->rank = (int)get(x, 5);
    t->count = 1;
    for (int i = 0; i < t->rank; i++) {
        t->shape[i] = (int64_t)get(x, INT_MAX);
        x->damaged |= !ft_size_mul(t->count, (size_t)t->shape[i], &t->count);
    }
    if (place == ABSENT) {
        *t = (struct ft_tensor){ 0 };
        return;
    }
    if (place == HALF || place == BFLOAT16)
        t->data = x->damaged ? NULL : widened(x, file, place, offset, t->count);
    else if (offset % sizeof(float) || offset > end || t->count > (end - offset) / sizeof(float) ||
             !t->count)
        x->damaged = true;
    else
        t->data = (const float *)(const void *)((in_file ? file->bytes : x->bytes) + offset);
}

static bool in_range(const int *values, size_t n, int least)
{
    for (size_t i = 0; i < n; i++)
        if (values[i] < least)
            return false;
    return true;
}

/* Bytes of a struct ft_layer_params; a bool is 0 or 1, an enumeration one of its values. */
static void get_params(struct inbox *x, unsigned used, struct ft_layer_params *p)
{
    uint8_t raw[sizeof *p];
    take(x, raw, sizeof raw);
    raw[offsetof(struct ft_layer_params, bilinear)] &= 1;
    raw[offsetof(struct ft_layer_params, keep_dims)] &= 1;
    memcpy(p, raw, sizeof raw);
    if ((unsigned)p->padding > FT_PAD_SAME || (unsigned)p->crop > FT_CROP_CENTRE ||
        (unsigned)p->activation >= FT_ACTIVATIONS || p->rank < 0 || p->rank > 4 || p->filters < 0 ||
        p->units < 0 || p->groups < -1 || p->multiplier < 0 || !in_range(p->pad, 4, 0) ||
        !in_range(p->shape, 4, -1))
        x->damaged = true;
    /* what a kind divides by or loops over */
    if (((used & FT_PARAM_GROUPS) && !p->groups) ||
        ((used & FT_PARAM_KERNEL) && !in_range(p->kernel, 2, 1)) ||
        ((used & FT_PARAM_STRIDE) && !in_range(p->stride, 2, 1)) ||
        ((used & FT_PARAM_DILATION) && !in_range(p->dilation, 2, 1)) ||
        ((used & FT_PARAM_MULTIPLIER) && !p->multiplier))
        x->damaged = true;
}

static void get_layer(struct inbox *x, int index, struct ft_layer *l)
{
    l->name = get_string(x);
    l->kind = (enum ft_layer_kind)get(x, FT_LAYER_KINDS - 1);
    l->n_inputs = (int)get(x, LAYERS_LIMIT);
    const struct ft_layer_kind_info *info = ft_layer_kind_info(l->kind);
    x->damaged |= !l->name || (l->kind == FT_LAYER_INPUT) != (index == 0) ||
                  l->n_inputs < info->least || l->n_inputs > info->most ||
                  (size_t)l->n_inputs > (x->n - x->at) / sizeof(uint64_t);
    if (x->damaged)
        return;
    l->inputs = malloc(((size_t)l->n_inputs + 1) * sizeof *l->inputs);
    if (!l->inputs) {
        x->no_memory = true;
        return;
    }
    for (int i = 0; i < l->n_inputs; i++)
        l->inputs[i] = (int)get(x, (uint64_t)index - 1);
    get_params(x, info->params, &l->params);
    x->damaged |= l->kind == FT_LAYER_CONV2D && l->params.groups < 1;
    for (int w = 0; w < FT_MAX_WEIGHTS; w++)
        get_tensor(x, &l->weights[w]);
    x->damaged = x->damaged || ft_layer_check(l, NULL);
}

static void get_network(struct inbox *x, struct ft_network *network)
{
    uint64_t tail[2] = { 0 };
    if (x->n < sizeof tail)
        x->damaged = true;
    else
        memcpy(tail, x->bytes + x->n - sizeof tail, sizeof tail);
    if (x->damaged || tail[0] != MAGIC || tail[1] > x->n - sizeof tail) {
        x->damaged = true;
        return;
    }
    x->at = (size_t)tail[1];
    network->name = get_string(x);
    network->preprocess = get_string(x);
    network->attribute = get_string(x);
    const int n = (int)get(x, LAYERS_LIMIT);
    x->damaged |= !n || !network->name;
    network->output = (int)get(x, n ? (uint64_t)n - 1 : 0);
    if (x->damaged || x->no_memory)
        return;
    network->layers = calloc((size_t)n, sizeof *network->layers);
    x->no_memory |= !network->layers;
    for (int i = 0; i < n && !x->damaged && !x->no_memory; i++) {
        network->n_layers++;
        get_layer(x, i, &network->layers[i]);
    }
}

int ft_network_receive(const uint8_t *bytes, size_t n, const struct ft_network_file *files,
                       size_t n_files, struct ft_network **out, struct ft_error *err)
{
    struct inbox x = { .bytes = bytes, .n = n, .files = files, .n_files = n_files };
    struct ft_network *network = calloc(1, sizeof *network);
    if (network)
        get_network(&x, network);
    if (!network || x.no_memory || x.damaged) {
        ft_network_free(network);
        return x.damaged ? ft_error_set(err, FT_EFORMAT, "what its reader found makes no network")
                         : ft_error_nomem(err, "the network");
    }
    *out = network;
    return 0;
}
