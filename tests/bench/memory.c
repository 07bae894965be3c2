/* How a head is trained on more features than memory may hold: bench-memory ROWS D K MEMORY_MB
 * L2|auto [FOLDS [DIR]] makes synthetic features, as an extraction would hand them out, trains, and
 * prints one line of JSON. Beyond MEMORY_MB they are in a scratch file in DIR. `read` counts how
 * often the features were read from the file; `head` is a hash of the weights. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/file.h"
#include "base/random.h"
#include "finetune-tools.h"

/* Bytes that this process has asked the kernel to read. */
static double bytes_read(void)
{
    unsigned long long bytes = 0;
    FILE *f = fopen("/proc/self/io", "r");
    if (f && fscanf(f, "rchar: %llu", &bytes) != 1)
        bytes = 0;
    if (f)
        fclose(f);
    return (double)bytes;
}

static double peak_mb(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)use.ru_maxrss / 1024;
}

/* Rows of k classes that overlap: every feature is noise, every k-th leans towards a class a
 * little. */
static int fill(struct ft_features *f, size_t rows, int k, struct ft_error *err)
{
    struct ft_random random = { 1 };
    float *x = malloc((size_t)f->d * sizeof *x);
    int rc = x ? 0 : FT_ENOMEM;
    for (size_t i = 0; !rc && i < rows; i++) {
        const int32_t label = (int32_t)ft_random_below(&random, (uint64_t)k);
        for (int j = 0; j < f->d;) {
            uint64_t bits = ft_random_next(&random);
            for (int part = 0; part < 4 && j < f->d; part++, j++, bits >>= 16)
                x[j] = (float)(bits & 0xffff) / 65536 + (j % k == label ? 0.02f : 0);
        }
        rc = ft_features_append(f, &(struct ft_row){ .path = "", .feature = x }, label, err);
    }
    free(x);
    return rc;
}

static int run(size_t rows, int d, int k, double memory, double l2, int folds, const char *dir,
               struct ft_error *err)
{
    const struct ft_train_options options = { .l2 = l2, .folds = folds, .seed = 1 };
    struct ft_features *f = NULL;
    struct ft_head *head = NULL;
    struct ft_validation *v = NULL;
    uint64_t hash[2];
    const double start = ft_clock();
    int rc = ft_features_new_bounded(d, rows, (uint64_t)(memory * (1 << 20)), dir, &f, err);
    if (!rc)
        rc = fill(f, rows, k, err);
    if (rc)
        return rc;
    const struct ft_training_set set = { .x = ft_features_matrix(f), .labels = f->labels, .k = k };
    const double filled = ft_clock(), before = bytes_read(),
                 size = (double)rows * d * sizeof(float);
    rc = ft_train(&set, &options, &head, &v, err);
    if (!rc) {
        ft_hash(head->w, (size_t)d * (size_t)k * sizeof *head->w, hash);
        printf("{\"rows\": %zu, \"gb\": %.2f, \"scratch\": %s, \"fill\": %.1f, \"train\": %.2f, "
               "\"read\": %.1f, \"peak_mb\": %.0f, \"l2\": %g, \"head\": \"%016llx\"}\n",
               rows, size / 1e9, f->scratch ? "true" : "false", filled - start, ft_clock() - filled,
               (bytes_read() - before) / size, peak_mb(), v->l2, (unsigned long long)hash[0]);
    }
    ft_head_free(head);
    ft_validation_free(v);
    ft_features_free(f);
    return rc;
}

int main(int argc, char **argv)
{
    struct ft_error err = { 0 };
    if (argc < 6 || argc > 8) {
        fprintf(stderr, "usage: bench-memory ROWS D K MEMORY_MB L2|auto [FOLDS [DIR]]\n");
        return 2;
    }
    const double l2 = strcmp(argv[5], "auto") ? atof(argv[5]) : 0;
    if (run((size_t)atoll(argv[1]), atoi(argv[2]), atoi(argv[3]), atof(argv[4]), l2,
            argc > 6 ? atoi(argv[6]) : 0, argc > 7 ? argv[7] : NULL, &err)) {
        fprintf(stderr, "bench-memory: %s\n", err.msg);
        return 1;
    }
    return 0;
}
