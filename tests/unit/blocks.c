/* Inverted residuals, and convolutions before a pool, run depth first against the same plan run
 * step by step: the same bits, whatever the sizes, strides, padding and number of parts, on every
 * instruction set of this processor. */
#include <stdint.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/thread.h"
#include "graph/plan.h"
#include "test.h"

struct shape {
    /* out 0: the block ends with the depthwise step, and activations are swish */
    int h, w, in, wide, out, kernel, stride;
    bool residual; /* halved: before the pool */
    int padded;    /* by so much, in a layer of its own, as Keras's MobileNetV2 does it by 1 */
    enum {
        EXPANDED,
        STEM,
        HALVED,
        SUMMED
    } kind; /* stem: the wide map comes from a 3x3 convolution with stride 2; halved: the kernel is
             * the convolution's, and a pool of 2 x 2 follows; summed: the map before is added to
             * the wide one */
};

enum { LAYERS = 8, TENSORS = 10 };

struct net {
    struct ft_network network;
    struct ft_layer layers[LAYERS];
    int inputs[LAYERS][2];
    float *tensors[TENSORS];
    int n_tensors;
};

static uint64_t state;

static float noise(void)
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (float)((double)((z ^ (z >> 31)) >> 40) / (1 << 23) - 1);
}

static char *const names[LAYERS] = { "a", "b", "c", "d", "e", "f", "g", "h" };

/* A layer that reads the one before it. */
static struct ft_layer *add_layer(struct net *n, enum ft_layer_kind kind)
{
    const int i = n->network.n_layers++;
    struct ft_layer *layer = &n->layers[i];
    *layer = (struct ft_layer){
        .name = names[i], .kind = kind, .n_inputs = i > 0, .inputs = n->inputs[i]
    };
    n->inputs[i][0] = i - 1;
    layer->params = (struct ft_layer_params){
        .groups = 1, .multiplier = 1, .kernel = { 1, 1 }, .stride = { 1, 1 }, .dilation = { 1, 1 }
    };
    n->network.output = i;
    return layer;
}

static struct ft_tensor tensor(struct net *n, size_t count, float scale)
{
    float *data = n->tensors[n->n_tensors++] = ft_alloc(count, sizeof *data);
    for (size_t i = 0; i < count; i++)
        data[i] = scale * noise();
    return (
        struct ft_tensor){ .rank = 1, .shape = { (int64_t)count }, .count = count, .data = data };
}

static void convolution(struct net *n, enum ft_layer_kind kind, int kernel, int stride, int in,
                        int filters, enum ft_activation activation)
{
    struct ft_layer *layer = add_layer(n, kind);
    const int taps = kernel * kernel * (kind == FT_LAYER_CONV2D ? in : 1);
    layer->params.filters = filters;
    layer->params.padding = FT_PAD_SAME;
    layer->params.activation = activation;
    layer->params.kernel[0] = layer->params.kernel[1] = kernel;
    layer->params.stride[0] = layer->params.stride[1] = stride;
    layer->weights[FT_W_KERNEL] = tensor(n, (size_t)(taps * filters), 2 / sqrtf((float)taps));
    layer->weights[FT_W_BIAS] = tensor(n, (size_t)filters, 1);
}

/* No block then: only the last step of one is handed an addend. */
static bool summed(struct shape s)
{
    return s.kind == SUMMED || (s.kind == HALVED && s.residual);
}

static void add(struct net *n, int before)
{
    struct ft_layer *sum = add_layer(n, FT_LAYER_ADD);
    sum->n_inputs = 2;
    sum->inputs[1] = before;
}

static void make(struct net *n, struct shape s)
{
    const enum ft_activation inner = summed(s) ? FT_ACT_LINEAR
                                     : s.out   ? FT_ACT_RELU6
                                               : FT_ACT_SWISH;
    *n = (struct net){ .network = { .layers = n->layers } };
    state = 5;
    struct ft_layer *input = add_layer(n, FT_LAYER_INPUT);
    input->params.rank = 3;
    input->params.shape[0] = s.h;
    input->params.shape[1] = s.w;
    input->params.shape[2] = 3;
    struct ft_layer *scale = add_layer(n, FT_LAYER_RESCALING);
    scale->weights[FT_W_SCALE] = tensor(n, 1, 0);
    n->tensors[0][0] = 1.0f / 128;
    if (s.kind != STEM)
        convolution(n, FT_LAYER_CONV2D, 1, 1, 3, s.in, FT_ACT_RELU6);
    const int before = n->network.output;
    if (s.kind == HALVED) {
        convolution(n, FT_LAYER_CONV2D, s.kernel, s.stride, s.in, s.wide, inner);
        if (summed(s))
            add(n, before);
        struct ft_layer *pool = add_layer(n, FT_LAYER_MAX_POOL);
        pool->params.kernel[0] = pool->params.kernel[1] = pool->params.stride[0] =
            pool->params.stride[1] = 2;
        pool->params.padding = FT_PAD_VALID;
        return;
    }
    convolution(n, FT_LAYER_CONV2D, s.kind == STEM ? 3 : 1, s.kind == STEM ? 2 : 1,
                s.kind == STEM ? 3 : s.in, s.wide, inner);
    if (summed(s))
        add(n, before);
    if (s.padded) {
        struct ft_layer *pad = add_layer(n, FT_LAYER_ZERO_PAD);
        pad->params.pad[0] = pad->params.pad[2] = s.padded - 1;
        pad->params.pad[1] = pad->params.pad[3] = s.padded;
    }
    convolution(n, FT_LAYER_DEPTHWISE_CONV2D, s.kernel, s.stride, s.wide, s.wide, inner);
    if (s.padded)
        n->layers[n->network.output].params.padding = FT_PAD_VALID;
    if (s.out)
        convolution(n, FT_LAYER_CONV2D, 1, 1, s.wide, s.out, FT_ACT_LINEAR);
    if (s.residual)
        add(n, before);
}

/* Runs in a dirty arena; parts 0: alone. */
static float *features(const struct net *n, enum ft_plan_blocks blocks, const uint8_t *pixels,
                       int parts, size_t *count, size_t *bytes)
{
    struct ft_plan *plan = NULL;
    struct ft_error err;
    if (ft_plan_new(&n->network, &(struct ft_plan_options){ .layer = -1, .blocks = blocks }, &plan,
                    &err)) {
        printf("# %s\n", err.msg);
        CHECK(!"the plan was refused");
        return NULL;
    }
    const struct ft_shape out = ft_plan_output(plan);
    struct ft_team *team = ft_team_new(parts);
    *count = (size_t)out.h * (size_t)out.w * (size_t)out.c;
    *bytes = ft_plan_arena_bytes(plan, 1);
    float *arena = ft_alloc(*bytes, 1), *output = ft_alloc(*count, sizeof *output);
    memset(arena, 0x7f, *bytes);
    if (parts)
        ft_plan_run_team(plan, team, pixels, arena, output);
    else
        ft_plan_run(plan, pixels, arena, output);
    ft_team_free(team);
    free(arena);
    ft_plan_free(plan);
    return output;
}

static void compare(struct shape s)
{
    static struct net n;
    make(&n, s);
    uint8_t *pixels = malloc((size_t)(s.h * s.w * 3));
    for (int i = 0; i < s.h * s.w * 3; i++)
        pixels[i] = (uint8_t)(128 + 127 * noise());
    size_t count, bytes, fused_bytes;
    float *want = features(&n, FT_BLOCKS_NEVER, pixels, 0, &count, &bytes);
    for (int parts = 0; want && parts <= 11; parts += parts < 3 ? 1 : 4) {
        float *got = features(&n, FT_BLOCKS_ALWAYS, pixels, parts, &count, &fused_bytes);
        const bool same = got && !memcmp(got, want, count * sizeof *got);
        if (!same)
            printf("# on '%s': %d x %d, %d -> %d -> %d, kernel %d, stride %d%s%s%s, %d parts\n",
                   ft_cpu_name(), s.h, s.w, s.in, s.wide, s.out, s.kernel, s.stride,
                   s.residual ? ", residual" : "", s.padded ? ", padded" : "",
                   s.kind == STEM     ? ", stem"
                   : s.kind == HALVED ? ", halved"
                                      : "",
                   parts);
        CHECK(same);
        CHECK((fused_bytes != bytes) == !summed(s));
        free(got);
    }
    free(want);
    free(pixels);
    for (int i = 0; i < n.n_tensors; i++)
        free(n.tensors[i]);
}

static void blocks_are_the_steps_they_are_made_of(void)
{
    static const struct shape shapes[] = {
        { 61, 47, 24, 96, 24, 3, 1, true, 0, EXPANDED },
        { 61, 47, 24, 104, 24, 3, 1, false, 0, EXPANDED },
        { 112, 60, 16, 72, 24, 3, 2, false, 0, EXPANDED },
        { 113, 61, 16, 40, 24, 3, 2, false, 0, EXPANDED },
        { 60, 75, 24, 60, 24, 5, 1, true, 0, EXPANDED },
        { 75, 92, 24, 56, 40, 5, 2, false, 0, EXPANDED },
        { 111, 90, 8, 96, 12, 3, 2, false, 1, EXPANDED },
        { 64, 64, 8, 33, 12, 5, 2, false, 2, EXPANDED },
        { 40, 50, 8, 66, 12, 3, 1, false, 9, EXPANDED },
        { 3, 4, 8, 30, 12, 3, 2, false, 100, EXPANDED },
        { 131, 140, 0, 32, 16, 3, 1, false, 0, STEM },
        { 98, 203, 0, 48, 17, 5, 2, false, 0, STEM },
        { 40, 44, 8, 160, 8, 3, 1, true, 0, EXPANDED },
        { 31, 37, 8, 352, 8, 5, 2, false, 0, EXPANDED },
        { 7, 7, 16, 64, 16, 3, 1, true, 0, EXPANDED },
        { 2, 3, 8, 25, 8, 5, 1, true, 0, EXPANDED },
        { 1, 1, 4, 7, 3, 3, 2, false, 0, EXPANDED },
        { 9, 300, 8, 1000, 8, 3, 1, true, 0, EXPANDED },
        { 61, 47, 24, 104, 0, 3, 1, false, 0, EXPANDED },
        { 112, 60, 16, 72, 0, 5, 2, false, 0, EXPANDED },
        { 111, 90, 8, 96, 0, 3, 2, false, 1, EXPANDED },
        { 98, 203, 0, 48, 0, 5, 2, false, 0, STEM },
        { 61, 47, 40, 64, 1, 3, 1, false, 0, HALVED },
        { 224, 100, 32, 36, 0, 3, 1, false, 0, HALVED },
        { 90, 133, 24, 100, 1, 1, 1, false, 0, HALVED },
        { 101, 64, 8, 70, 1, 5, 2, false, 0, HALVED },
        { 61, 47, 40, 40, 1, 3, 1, true, 0, HALVED },
        { 61, 47, 24, 24, 24, 3, 1, false, 0, SUMMED },
    };
    static const char *const cpus[] = { "avx512", "avx2", "neon" };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int cpu = 0; cpu < 3; cpu++) {
            ft_cpu_limit(cpus[cpu]);
            if (ft_cpu_features())
                compare(shapes[i]);
        }
    ft_cpu_limit(NULL);
}

int main(void)
{
    RUN(blocks_are_the_steps_they_are_made_of);
    return test_end();
}
