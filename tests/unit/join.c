/* network/: two networks on one input, and their storages. */
#include "base/error.h"
#include "network/edit.h"
#include "small_network.h"

static void names_of(const struct ft_network *n, char *out, size_t size)
{
    *out = 0;
    for (int i = 0; i < n->n_layers; i++)
        snprintf(out + strlen(out), size - strlen(out), "%s%s", i ? " " : "", n->layers[i].name);
}

static int releases;

static void release(void *source)
{
    releases += source == &releases;
}

static void release_two(void *source)
{
    releases += source == &releases ? 10 : 0;
}

/* A source that counts its calls. */
static int calls[4];

static void count_want(void *source, const void *memory, size_t size)
{
    calls[0] += source == &releases && memory == calls && size == 1;
}

static void count_done(void *source, const void *memory, size_t size)
{
    calls[1] += source == &releases && memory == calls && size == 1;
}

static int count_load(void *source, struct ft_error *err)
{
    calls[2] += source == &releases;
    return ft_error_set(err, FT_EIO, "changed");
}

static void count_trim(void *source)
{
    calls[3] += source == &releases;
}

static void joined_storages_are_released_once(void)
{
    static const struct ft_storage_source counting = { count_want, count_done, count_load,
                                                       count_trim };
    struct ft_storage a = { .source = &releases, .release = release },
                      b = { .source = &releases, .release = release_two, .reading = &counting },
                      none = { 0 };
    releases = 0;
    CHECK(ft_storage_alloc(&a, 5) && ft_storage_alloc(&b, 3));
    CHECK(!ft_storage_join(&a, &b) && !b.n && !b.source && !b.release);
    CHECK(ft_storage_alloc(&a, 2) && !ft_storage_join(&a, &none));
    a.reading->want(a.source, calls, 1);
    a.reading->done(a.source, calls, 1);
    CHECK(a.reading->load(a.source, NULL) == FT_EIO);
    a.reading->trim(a.source);
    for (int i = 0; i < 4; i++)
        CHECK(calls[i] == 1);
    ft_storage_release(&b);
    CHECK(!releases);
    ft_storage_release(&a);
    CHECK(releases == 11);
}

static void two_networks_share_an_input(void)
{
    struct ft_network *a = small(), *b = small();
    char names[400];
    int out = -1;
    CHECK(!ft_network_join(a, POOL, b, SUM, &out, NULL)); /* a vector, and a map */
    ft_network_free(b);
    names_of(a, names, sizeof names);
    CHECK_STR(names, "input pad conv norm relu side sum pool dense pad_2 conv_2 norm_2 relu_2 "
                     "side_2 sum_2 pool_2 dense_2 pool_3 features");
    const struct ft_layer *all = &a->layers[out];
    CHECK(a->output == out && out == a->n_layers - 1 && all->kind == FT_LAYER_CONCATENATE);
    CHECK(all->n_inputs == 2 && all->inputs[0] == POOL);
    CHECK_STR(a->layers[all->inputs[1]].name, "pool_3");
    CHECK_STR(a->layers[a->layers[all->inputs[1]].inputs[0]].name, "sum_2");
    const int conv = ft_network_find(a, "conv_2"), sum = ft_network_find(a, "sum_2");
    CHECK(a->layers[ft_network_find(a, "pad_2")].inputs[0] == INPUT);
    CHECK_STR(a->layers[a->layers[sum].inputs[1]].name, "side_2");
    /* The second network's tensors are those of its copy, and still in memory. */
    const struct ft_tensor *w = &a->layers[conv].weights[FT_W_KERNEL];
    CHECK(w->data != a->layers[CONV].weights[FT_W_KERNEL].data && w->count == 108);
    CHECK(w->data[107] == a->layers[CONV].weights[FT_W_KERNEL].data[107]);
    ft_network_free(a);
    a = small();
    b = small();
    struct ft_error err = { 0 };
    CHECK(ft_network_join(a, POOL, b, INPUT, &out, &err) == FT_EUNSUPPORTED);
    ft_network_free(a);
    ft_network_free(b);
}

int main(void)
{
    RUN(joined_storages_are_released_once);
    RUN(two_networks_share_an_input);
    return test_end();
}
