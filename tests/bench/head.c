/* How fast the head's objective falls: bench-head STEM D K L2 [THREADS] reads STEM.f32 (features,
 * rows of D floats) and STEM.i32 (labels 0 to K-1) and prints "seconds objective" after every step
 * of the final fit, standardisation and preconditioning included. bench-head STEM D K train
 * [THREADS] prints the seconds of a whole ft_train: L2 by cross-validation, then the final fit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "head/fit.h"

static void *read_all(const char *stem, const char *extension, size_t *bytes)
{
    char path[1000];
    snprintf(path, sizeof path, "%s%s", stem, extension);
    FILE *f = fopen(path, "rb");
    void *data = NULL;
    if (f && fseek(f, 0, SEEK_END) == 0) {
        *bytes = (size_t)ftell(f);
        rewind(f);
        data = malloc(*bytes);
        if (data && fread(data, 1, *bytes, f) != *bytes)
            *bytes = 0;
    }
    if (!data || !*bytes) {
        fprintf(stderr, "bench-head: cannot read '%s'\n", path);
        exit(1);
    }
    fclose(f);
    return data;
}

static void print_step(void *start, const struct ft_fit *fit)
{
    printf("%.4f %.10g\n", ft_clock() - *(double *)start, fit->optimiser.f0);
}

static int run_fit(const float *x, const int32_t *y, size_t n, int d, int k, double l2, int threads,
                   struct ft_error *err)
{
    double start = ft_clock();
    struct ft_team *team = ft_team_new(threads ? threads : ft_cpu_count());
    struct ft_design design = { 0 };
    struct ft_precondition precondition = { 0 };
    struct ft_fit fit = { 0 };
    float *weight = malloc(n * sizeof *weight);
    int status = !team || !weight
                     ? ft_error_nomem(err, "the benchmark")
                     : ft_design_init(&design, &(struct ft_matrix){ .n = n, .d = d, .x = x },
                                      &(struct ft_scaling){ .rule = FT_SCALE_STANDARD }, team, err);
    const bool pays = !status && ft_precondition_pays(&design, k);
    if (pays && !(status = ft_precondition_init(&precondition, &design, k, team, err)))
        ft_precondition_factor(&precondition, l2);
    if (!status && !(status = ft_fit_init(&fit, d, k, err))) {
        for (size_t i = 0; i < n; i++)
            weight[i] = 1 / (float)n;
        for (int j = 0; j < d; j++) {
            fit.shift[j] = 0;
            fit.scale[j] = design.scale[j] > 0;
        }
        fit.weight = weight;
        fit.l2 = l2;
        fit.precondition = pays ? &precondition : NULL;
        fit.optimiser.tolerance = 1e-9;
        fit.watch = print_step;
        fit.watch_context = &start;
        status = ft_softmax_fit(&design, y, k, &fit, 1, team, err);
        fprintf(stderr, "%.3f s, %d evaluations\n", ft_clock() - start, fit.optimiser.evaluations);
    }
    ft_fit_release(&fit);
    ft_precondition_release(&precondition);
    ft_design_release(&design);
    free(weight);
    ft_team_free(team);
    return status;
}

static int run_train(const float *x, const int32_t *y, size_t n, int d, int k, int threads,
                     struct ft_error *err)
{
    const double start = ft_clock();
    const struct ft_train_options options = { .threads = threads };
    struct ft_head *head = NULL;
    struct ft_validation *v = NULL;
    const struct ft_training_set set = { .x = { .n = n, .d = d, .x = x }, .labels = y, .k = k };
    const int status = ft_train(&set, &options, &head, &v, err);
    if (!status)
        printf("%.3f s, l2 %g\n", ft_clock() - start, v->l2);
    ft_head_free(head);
    ft_validation_free(v);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 5 || argc > 6) {
        fprintf(stderr, "usage: bench-head STEM D K L2|train [THREADS]\n");
        return 2;
    }
    struct ft_error err = { 0 };
    size_t bytes, labels;
    const int d = atoi(argv[2]), k = atoi(argv[3]), threads = argc > 5 ? atoi(argv[5]) : 0;
    float *x = read_all(argv[1], ".f32", &bytes);
    int32_t *y = read_all(argv[1], ".i32", &labels);
    const size_t n = labels / sizeof *y;
    int status = 2;
    if (d < 1 || bytes != n * (size_t)d * sizeof *x)
        fprintf(stderr, "bench-head: '%s.f32' is not %zu rows of %d features\n", argv[1], n, d);
    else if (strcmp(argv[4], "train") == 0)
        status = run_train(x, y, n, d, k, threads, &err) ? 1 : 0;
    else
        status = run_fit(x, y, n, d, k, atof(argv[4]), threads, &err) ? 1 : 0;
    if (status == 1)
        fprintf(stderr, "bench-head: %s\n", err.msg);
    free(x);
    free(y);
    return status;
}
