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

/* HALF, BFLOAT16: in the file, as two bytes for each value */
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

/* Where a tensor is, and its offset if that is the file. */
static enum place place_of(const struct ft_network *network, const struct ft_tensor *t,
                           uint64_t *offset)
{
    const struct ft_storage *s = &network->storage;
    const uint8_t *data = (const uint8_t *)t->data, *file = s->file;
    if (!data)
        return ABSENT;
    if (file && data >= file && data < file + s->file_size &&
        (size_t)(data - file) % sizeof(float) == 0) {
        *offset = (uint64_t)(data - file);
        return IN_FILE;
    }
    for (size_t i = 0; i < s->n_narrow; i++) {
        const struct ft_narrow *n = &s->narrow[i];
        const size_t first = (size_t)(t->data - n->values);
        if (t->data < n->values || first >= n->count || t->count > n->count - first)
            continue;
        *offset = n->offset + first * sizeof(uint16_t);
        return n->bfloat16 ? BFLOAT16 : HALF;
    }
    return IN_BYTES;
}

/* The data of tensors that are not in the file; their offsets from `start` go to places
 * [n_layers, FT_MAX_WEIGHTS]. The calls of a shared layer often follow one another: their weights
 * are sent once. */
static void send_data(const struct ft_network *network, struct ft_outbox *o, uint64_t start,
                      uint64_t *places)
{
    enum { LOOK_BACK = 32 };
    const size_t n = (size_t)network->n_layers * FT_MAX_WEIGHTS;
    for (size_t i = 0; i < n; i++) {
        const struct ft_tensor *t =
            &network->layers[i / FT_MAX_WEIGHTS].weights[i % FT_MAX_WEIGHTS];
        uint64_t offset;
        if (place_of(network, t, &offset) != IN_BYTES)
            continue;
        for (size_t k = i > LOOK_BACK ? i - LOOK_BACK : 0; k < i && !places[i]; k++) {
            const struct ft_tensor *sent =
                &network->layers[k / FT_MAX_WEIGHTS].weights[k % FT_MAX_WEIGHTS];
            if (places[k] && sent->data == t->data && sent->count == t->count)
                places[i] = places[k];
        }
        if (places[i])
            continue;
        ft_outbox_align(o, ALIGN);
        places[i] = o->size - start;
        ft_outbox_write(o, t->data, t->count * sizeof *t->data);
    }
}

static void send_tensor(const struct ft_network *network, const struct ft_tensor *t, uint64_t place,
                        struct ft_outbox *o)
{
    uint64_t offset = place;
    put(o, place_of(network, t, &offset));
    put(o, offset);
    put(o, (uint64_t)t->rank);
    for (int i = 0; i < t->rank; i++)
        put(o, (uint64_t)t->shape[i]);
}

static void send_layer(const struct ft_network *network, const struct ft_layer *l,
                       const uint64_t *places, struct ft_outbox *o)
{
    put_string(o, l->name);
    put(o, (uint64_t)l->kind);
    put(o, (uint64_t)l->n_inputs);
    for (int i = 0; i < l->n_inputs; i++)
        put(o, (uint64_t)l->inputs[i]);
    ft_outbox_write(o, &l->params, sizeof l->params);
    for (int w = 0; w < FT_MAX_WEIGHTS; w++)
        send_tensor(network, &l->weights[w], places[w], o);
}

void ft_network_send(const struct ft_network *network, struct ft_outbox *o)
{
    const uint64_t start = o->size;
    uint64_t *places = calloc((size_t)network->n_layers + 1, FT_MAX_WEIGHTS * sizeof *places);
    if (!places) {
        o->failed = true;
        return;
    }
    put(o, MAGIC); /* so that no data is at offset 0 */
    send_data(network, o, start, places);
    ft_outbox_align(o, sizeof(uint64_t));
    const uint64_t description = o->size - start;
    put_string(o, network->name);
    put_string(o, network->preprocess);
    put_string(o, network->attribute);
    put(o, (uint64_t)network->n_layers);
    put(o, (uint64_t)network->output);
    for (int i = 0; i < network->n_layers; i++)
        send_layer(network, &network->layers[i], places + (size_t)i * FT_MAX_WEIGHTS, o);
    put(o, MAGIC);
    put(o, description);
    free(places);
}

/* ---- receiving ------------------------------------------------------------------------------- */

struct inbox {
    const uint8_t *bytes;
    size_t n, at;
    const struct ft_network_file *file;
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

/* The values at an offset in the file, where they have two bytes each. */
static const float *widened(struct inbox *x, enum place place, uint64_t offset, size_t count)
{
    const struct ft_network_file *f = x->file;
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
    const uint64_t offset = get(x, UINT64_MAX);
    const size_t end = place == IN_FILE ? x->file->size : x->n;
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
        t->data = x->damaged ? NULL : widened(x, place, offset, t->count);
    else if (offset % sizeof(float) || offset > end || t->count > (end - offset) / sizeof(float) ||
             !t->count)
        x->damaged = true;
    else
        t->data =
            (const float *)(const void *)((place == IN_FILE ? x->file->bytes : x->bytes) + offset);
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

int ft_network_receive(const uint8_t *bytes, size_t n, const struct ft_network_file *file,
                       struct ft_network **out, struct ft_error *err)
{
    struct inbox x = { .bytes = bytes, .n = n, .file = file };
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
