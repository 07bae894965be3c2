/* Multi-head attention (A. Vaswani et al., Attention Is All You Need, 2017) for one picture. Head
 * by head, the keys are transposed and the values copied next to one another. The queries follow in
 * tiles of TILE: their scores stay in the cache and are never written as a whole. */
#include <math.h>
#include <string.h>

#include "kernels/loops/pixels.h"
#include "kernels/softmax.h"

/* TILE: a multiple of the rows of the product's register tiles */
#if defined(__AVX2__) && !defined(__AVX512F__)
enum { TILE = 30, LINE = 16 };
#else
enum { TILE = 28, LINE = 16 };
#endif

extern const struct ft_product_row FT_NAME(product);

/* Sizes of a head, and its parts in the scratch. Rows of scores and of transposed keys are
 * `stride` floats apart. */
struct head {
    int row, tokens;        /* the keys: row of the first, and how many */
    int stride, key, value; /* key, value: sizes of a query or key, and of a value */
    float *keys, *values, *queries, *scores, *means;
};

static int round_to_line(int n)
{
    return (n + LINE - 1) / LINE * LINE;
}

static struct head sizes_of(const struct ft_work *w)
{
    const int tokens = w->windows ? w->other.w : w->other.h * w->other.w;
    return (struct head){ .tokens = tokens,
                          .stride = round_to_line(tokens),
                          .key = w->in.c / w->groups,
                          .value = w->out.c / w->groups };
}

/* Floats of the transposed keys, and of TILE queries, scores and means. */
static size_t key_floats(const struct head *h)
{
    return (size_t)h->key * (size_t)h->stride;
}

static size_t tile_floats(int n)
{
    return TILE * (size_t)round_to_line(n);
}

static struct head lay_out(const struct ft_work *w, float *scratch)
{
    struct head h = sizes_of(w);
    h.keys = scratch;
    h.queries = h.keys + key_floats(&h);
    h.scores = h.queries + tile_floats(h.key);
    h.means = h.scores + tile_floats(h.stride);
    h.values = h.means + tile_floats(h.value);
    return h;
}

static size_t attention_scratch(const struct ft_work *w)
{
    const struct head h = sizes_of(w);
    return FT_PARTS_MAX *
           (key_floats(&h) + tile_floats(h.key) + tile_floats(h.stride) + tile_floats(h.value) +
            (size_t)h.stride * (size_t)round_to_line(h.value));
}

static void pack_head(const struct ft_work *w, int head, const struct head *h)
{
    const int values = w->groups * h->key + head * h->value;
    const float *token[LINE];
    for (int t = 0; t < h->tokens; t += LINE) { /* whole lines of the transposed keys */
        const int n = h->tokens - t < LINE ? h->tokens - t : LINE;
        for (int j = 0; j < LINE; j++) {
            const int at = t + (j < n ? j : 0);
            token[j] = ft_map_at(&w->other, h->row + at / w->other.w, at % w->other.w);
        }
        for (int j = 0; j < n; j++)
            memcpy(h->values + (size_t)(t + j) * (size_t)h->value, token[j] + values,
                   (size_t)h->value * sizeof **token);
        for (int i = 0; i < h->key; i++)
            for (int j = 0; j < LINE; j++)
                h->keys[(size_t)i * (size_t)h->stride + (size_t)(t + j)] =
                    token[j][head * h->key + i];
    }
}

/* Adds a number for each query and key to the scores. */
static void add_positions(const struct ft_work *w, int head, const struct head *h, int first, int n)
{
    const int queries = w->in.w, set = (w->by_row ? h->row * w->groups : 0) + head;
    const float *positions = w->weights + w->groups + (ptrdiff_t)set * queries * h->tokens +
                             (ptrdiff_t)(first - h->row * queries) * h->tokens;
    for (int i = 0; i < n; i++) {
        float *scores = h->scores + (ptrdiff_t)i * h->stride;
        const float *add = positions + (ptrdiff_t)i * h->tokens;
        for (int t = 0; t < h->tokens; t++)
            scores[t] += add[t];
    }
}

/* Queries first .. first + n - 1 of one head, n <= TILE. */
static void attend(const struct ft_work *w, int head, const struct head *h, int first, int n)
{
    const float alpha = w->positions ? w->weights[head] : w->alpha;
    for (int i = 0; i < n; i++) {
        const float *q =
            ft_map_at(&w->in, (first + i) / w->in.w, (first + i) % w->in.w) + head * h->key;
        for (int k = 0; k < h->key; k++)
            h->queries[i * h->key + k] = q[k] * alpha;
    }
    FT_NAME(product).run(&(struct ft_product){ .a = h->queries,
                                               .b = h->keys,
                                               .c = h->scores,
                                               .m = n,
                                               .n = h->tokens,
                                               .k = h->key,
                                               .a_row = h->key,
                                               .a_step = 1,
                                               .b_row = h->stride,
                                               .c_row = h->stride });
    if (w->positions)
        add_positions(w, head, h, first, n);
    float unit[TILE];
    for (int i = 0; i < n; i++)
        unit[i] = FT_NAME(exponentials)(h->scores + (ptrdiff_t)i * h->stride, h->tokens);
    FT_NAME(product).run(&(struct ft_product){ .a = h->scores,
                                               .b = h->values,
                                               .c = h->means,
                                               .m = n,
                                               .n = h->value,
                                               .k = h->tokens,
                                               .a_row = h->stride,
                                               .a_step = 1,
                                               .b_row = h->value,
                                               .c_row = h->value });
    const int from = head * h->value, c0 = w->c0 > from ? w->c0 : from,
              c1 = w->c1 < from + h->value ? w->c1 : from + h->value;
    for (int i = 0; i < n; i++) {
        float *out = ft_map_to(&w->out, (first + i) / w->out.w, (first + i) % w->out.w);
        for (int c = c0; c < c1; c++)
            out[c] = h->means[i * h->value + c - from] * unit[i];
    }
}

static void attention(const struct ft_work *w)
{
    struct head h = lay_out(w, w->scratch);
    const int rows = w->windows ? 1 : w->y1 - w->y0; /* with the same keys */
    for (int y = w->y0; y < w->y1; y += rows)
        for (int head = w->c0 / h.value; head * h.value < w->c1; head++) {
            const int end = (y + rows) * w->out.w;
            h.row = w->windows ? y : 0;
            pack_head(w, head, &h);
            for (int first = y * w->out.w; first < end; first += TILE)
                attend(w, head, &h, first, end - first < TILE ? end - first : TILE);
        }
}
FT_KERNEL_ROW(attention, .scratch = attention_scratch);
