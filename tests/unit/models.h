/* What the tests of backbones, models and predictions share: a folder of their own, the golden
 * picture, and a head of noise. */
#ifndef FT_TESTS_MODELS_H
#define FT_TESTS_MODELS_H

#include "base/random.h"
#include "finetune-tools.h"

#include "../test.h"

enum { D = 1280, K = 2, CELLS = 49 }; /* of EfficientNet-Lite0 and of golden/head/cam.txt */

static char directory[] = "/tmp/finetune-models-XXXXXX";

/* The path of a file in the folder of this test; valid until the fourth call after this one. */
static inline const char *at(const char *name)
{
    static char paths[4][200];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static inline const char *picture(void)
{
    return data_path("golden/head/cam.jpg");
}

/* The head of golden/head/cam.txt. The caller frees w and b. */
static inline struct ft_head head_of_noise(void)
{
    struct ft_random random = { 3 };
    struct ft_head head = {
        .d = D, .k = K, .w = malloc(D * K * sizeof(float)), .b = malloc(K * sizeof(float))
    };
    for (int i = 0; i < D * K; i++)
        head.w[i] = (float)((ft_random_unit(&random) - 0.5) * 0.2);
    head.b[0] = 0.25f;
    head.b[1] = -0.5f;
    return head;
}

#endif
