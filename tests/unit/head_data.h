/* Data for the tests of lib/head: files of tests/golden/head, and invented features. */
#ifndef FT_TESTS_HEAD_DATA_H
#define FT_TESTS_HEAD_DATA_H

#include "base/random.h"
#include "finetune-tools.h"

#include "../test.h"

static inline FILE *open_golden(const char *name, const char *extension)
{
    char path[1000];
    snprintf(path, sizeof path, "%s/golden/head/%s%s", getenv("FT_TEST_DATA"), name, extension);
    FILE *f = fopen(path, "rb");
    if (!f) {
        printf("Bail out! cannot open %s\n", path);
        exit(1);
    }
    return f;
}

/* count values of 4 bytes */
static inline void *read_golden(const char *name, const char *extension, size_t count)
{
    FILE *f = open_golden(name, extension);
    void *data = malloc(count * 4);
    if (!data || fread(data, 4, count, f) != count) {
        printf("Bail out! %s%s is too short\n", name, extension);
        exit(1);
    }
    fclose(f);
    return data;
}

/* ---- invented features ----------------------------------------------------------------------- */

struct sample {
    size_t n;
    int d, k;
    float *x;
    int32_t *y;
};

/* Class c adds `signal` to every feature j with j % k == c; labels go round. */
static inline struct sample sample_new(size_t n, int d, int k, float signal)
{
    struct sample s = { n, d, k, malloc(n * (size_t)d * sizeof(float)),
                        malloc(n * sizeof(int32_t)) };
    struct ft_random r = { 7 };
    for (size_t i = 0; i < n; i++) {
        s.y[i] = (int32_t)(i % (size_t)k);
        for (int j = 0; j < d; j++)
            s.x[i * (size_t)d + (size_t)j] =
                (float)(ft_random_unit(&r) - 0.5) + (j % k == s.y[i] ? signal : 0);
    }
    return s;
}

static inline void sample_free(struct sample *s)
{
    free(s->x);
    free(s->y);
}

static inline struct ft_training_set training_set(const struct sample *s)
{
    return (struct ft_training_set){ .x = { .n = s->n, .d = s->d, .x = s->x },
                                     .labels = s->y,
                                     .k = s->k };
}

static inline int train(const struct sample *s, const uint64_t *group,
                        struct ft_train_options options, struct ft_head **head,
                        struct ft_validation **v, struct ft_error *err)
{
    *head = NULL;
    *v = NULL;
    struct ft_training_set set = training_set(s);
    set.groups = group;
    return ft_train(&set, &options, head, v, err);
}

#endif
