/* Fits of a head reach the minimum that scikit-learn reaches (scripts/golden_head.py). */
#include "head_data.h"

/* (1/n) sum c(y) loss + l2/2 |W|^2 in double, with the head's W taken back to scaled features and
 * its temperature undone. */
static double objective(const struct ft_head *head, double temperature, const float *x,
                        const int32_t *y, size_t n, double l2, bool weighted, enum ft_scale scale)
{
    const size_t d = (size_t)head->d, k = (size_t)head->k;
    double *rows = calloc(k, sizeof *rows), *z = calloc(k, sizeof *z),
           *variance = calloc(d, sizeof *variance), loss = 0, penalty = 0, floor = 0;
    for (size_t i = 0; i < n; i++)
        rows[y[i]]++;
    for (size_t i = 0; i < n; i++) {
        double top = -INFINITY, sum = 0;
        for (size_t c = 0; c < k; c++) {
            z[c] = head->b[c];
            for (size_t j = 0; j < d; j++)
                z[c] += (double)x[i * d + j] * head->w[j * k + c];
            z[c] *= temperature;
            top = fmax(top, z[c]);
        }
        for (size_t c = 0; c < k; c++)
            sum += exp(z[c] - top);
        loss += (log(sum) + top - z[y[i]]) / (weighted ? (double)k * rows[y[i]] : (double)n);
    }
    for (size_t j = 0; j < d; j++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < n; i++)
            mean += x[i * d + j] / (double)n;
        for (size_t i = 0; i < n; i++)
            square += (x[i * d + j] - mean) * (x[i * d + j] - mean) / (double)n;
        variance[j] = square;
        floor += scale == FT_SCALE_FLOOR ? square / (double)d : 0;
    }
    for (size_t j = 0; j < d; j++) {
        for (size_t c = 0; c < k; c++)
            penalty += (variance[j] + floor) * head->w[j * k + c] * head->w[j * k + c] *
                       temperature * temperature;
    }
    free(variance);
    free(rows);
    free(z);
    return loss + l2 / 2 * penalty;
}

static void same_minimum_as_scikit_learn(void)
{
    FILE *f = open_golden("fits", ".txt");
    char name[32], scale[16];
    size_t n;
    int d, k, weighted, rows = 0;
    double l2, want;
    while (fscanf(f, "%31s %zu %d %d %15s %lf %d %lf", name, &n, &d, &k, scale, &l2, &weighted,
                  &want) == 8) {
        char file[64];
        snprintf(file, sizeof file, "fit_%s", name);
        float *x = read_golden(file, ".f32", n * (size_t)d);
        int32_t *y = read_golden(file, ".i32", n);
        struct ft_train_options options = {
            .l2 = l2,
            .class_weight = weighted ? FT_WEIGHT_BALANCED : FT_WEIGHT_NONE,
            .threads = 2,
            .folds = 2,
            .scale = !strcmp(scale, "floor") ? FT_SCALE_FLOOR : FT_SCALE_STANDARD
        };
        struct ft_head *head;
        struct ft_validation *v;
        struct ft_error err = { 0 };
        const struct ft_training_set set = { .x = { .n = n, .d = d, .x = x }, .labels = y, .k = k };
        CHECK(ft_train(&set, &options, &head, &v, &err) == 0);
        CHECK_STR(err.msg, "");
        const double got = objective(head, v->temperature, x, y, n, l2, weighted, options.scale);
        if (!(fabs(got - want) <= 1e-6 * want))
            printf("# %s %s k=%d l2=%g weighted=%d: %.3g above the minimum\n", name, scale, k, l2,
                   weighted, got / want - 1);
        CHECK_NEAR(got, want, 1e-6 * want);
        for (int c = 0; strcmp(name, "plain4") && c < k; c++)
            CHECK(head->w[(size_t)(d - 1) * (size_t)k + (size_t)c] == 0); /* the constant feature */
        ft_head_free(head);
        ft_validation_free(v);
        free(x);
        free(y);
        rows++;
    }
    CHECK(rows == 120);
    fclose(f);
}

/* The probabilities of a head, which include its temperature, at temperature 1. */
static void undo_temperature(float *p, int k, double temperature)
{
    double sum = 0;
    for (int c = 0; c < k; c++)
        sum += pow((double)p[c], temperature);
    for (int c = 0; c < k; c++)
        p[c] = (float)(pow((double)p[c], temperature) / sum);
}

/* Rows are fewer than features, so the dual form is used, and the head has W of the features. */
static void blocks_of_several_layers_as_scikit_learn(void)
{
    FILE *f = open_golden("blocks", ".txt");
    char name[32], file[64];
    size_t n;
    int d, k, blocks[3], rows = 0;
    double depth, l2;
    while (fscanf(f, "%31s %zu %d %d %d %d %d %lf %lf", name, &n, &d, &k, &blocks[0], &blocks[1],
                  &blocks[2], &depth, &l2) == 9) {
        const int used = blocks[0] + blocks[1] + blocks[2];
        snprintf(file, sizeof file, "fit_%s", name);
        float *all = read_golden(file, ".f32", n * (size_t)d),
              *x = malloc(n * (size_t)used * sizeof *x), *p = malloc(n * (size_t)k * sizeof *p);
        int32_t *y = read_golden(file, ".i32", n);
        for (size_t i = 0; i < n; i++)
            memcpy(x + i * (size_t)used, all + i * (size_t)d, (size_t)used * sizeof *x);
        const struct ft_train_options options = {
            .l2 = l2, .class_weight = FT_WEIGHT_NONE, .folds = 2, .threads = 2, .depth = depth
        };
        const struct ft_training_set set = {
            .x = { .n = n, .d = used, .x = x }, .labels = y, .k = k, .blocks = blocks, .n_blocks = 3
        };
        struct ft_head *head = NULL;
        struct ft_validation *v = NULL;
        double worst = 0;
        CHECK(ft_train(&set, &options, &head, &v, NULL) == 0);
        CHECK(head->d == used && v->depth == depth && v->n_depths == 0);
        ft_head_probabilities(head, x, n, p);
        for (size_t i = 0; i < n; i++) {
            undo_temperature(p + i * (size_t)k, k, v->temperature);
            for (int c = 0; c < k; c++) {
                double want = NAN;
                CHECK(fscanf(f, "%lf", &want) == 1);
                worst = fmax(worst, fabs(p[i * (size_t)k + (size_t)c] - want));
            }
        }
        if (!(worst < 2e-4))
            printf("# %s depth %g l2 %g: probabilities differ by %.3g\n", name, depth, l2, worst);
        CHECK(worst < 2e-4);
        ft_head_free(head);
        ft_validation_free(v);
        free(all);
        free(x);
        free(y);
        free(p);
        rows++;
    }
    CHECK(rows == 12);
    fclose(f);
}

int main(void)
{
    RUN(blocks_of_several_layers_as_scikit_learn);
    RUN(same_minimum_as_scikit_learn);
    return test_end();
}
