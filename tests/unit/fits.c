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

int main(void)
{
    RUN(same_minimum_as_scikit_learn);
    return test_end();
}
