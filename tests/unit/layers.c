/* Every layer class against Keras: the small networks of golden/layers (scripts/golden_layers.py
 * had Keras 3 and tf_keras write them), as they are, and again after they have been written and
 * read back. */
#define _GNU_SOURCE
#include "../test.h"

#include <dirent.h>
#include <unistd.h>

#include "expected.h"
#include "keras/keras.h"
#include "network/edit.h"
#include "network/hash.h"

static void check_file(const char *name)
{
    char path[4096], again[64];
    struct ft_network *network = NULL;
    struct ft_error err = { 0 };
    snprintf(path, sizeof path, "%s/golden/layers/%s.txt", getenv("FT_TEST_DATA"), name);
    FILE *f = fopen(path, "r");
    snprintf(path, sizeof path, "%s/golden/layers/%s.h5", getenv("FT_TEST_DATA"), name);
    snprintf(again, sizeof again, "/tmp/ft-layers-%d.h5", (int)getpid());
    CHECK(f && !ft_keras_open(path, NULL, &network, &err));
    check_again(network, ft_keras_open, name, f, again, &err);
    if (f)
        fclose(f);
    unlink(again);
    ft_network_free(network);
}

static void layers_agree_with_keras(void)
{
    char path[4096];
    int files = 0;
    snprintf(path, sizeof path, "%s/golden/layers", getenv("FT_TEST_DATA"));
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".h5"))
            continue;
        *dot = 0;
        check_file(entry->d_name);
        files++;
    }
    if (dir)
        closedir(dir);
    CHECK(files == 30 && compared > 900);
}

/* hard_swish is one step, whether a file says so or spells it out. */
static void hard_swish_is_recognised(void)
{
    static const struct {
        const char *file, *layer, *kind; /* kind: of the step that applies it */
    } cases[] = { { "merges-3", "hard_swish", "Average" },
                  { "merges-2", "hard_swish", "Average" },
                  { "activations-3", "alone_hard_silu_product", "Activation" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[4096];
        struct ft_network *network = NULL;
        struct ft_plan *plan = NULL;
        struct ft_layer_info info = { 0 };
        snprintf(path, sizeof path, "%s/golden/layers/%s.h5", getenv("FT_TEST_DATA"),
                 cases[i].file);
        CHECK(!ft_keras_open(path, NULL, &network, NULL));
        const int layer = network ? find(network, cases[i].layer) : -1;
        CHECK(layer > 0 &&
              !ft_plan_new(network, &(struct ft_plan_options){ .layer = layer }, &plan, NULL));
        if (plan) {
            ft_plan_step(plan, ft_plan_steps(plan) - 1, &info);
            CHECK(!strcmp(info.kind, cases[i].kind));
        }
        ft_plan_free(plan);
        ft_network_free(network);
    }
}

int main(void)
{
    RUN(layers_agree_with_keras);
    RUN(hard_swish_is_recognised);
    return test_end();
}
