/* Models whose head takes the features of several layers: what explains them, and that they have
 * the same bytes however they are trained. */
#include <glob.h>
#include <unistd.h>

#include "models.h"

enum { ROWS = 44 };

static struct ft_backbone *backbone;
static int d;
static float *x;                /* [ROWS, d] of the sample photographs */
static int32_t labels[ROWS];    /* whether a feature of the first layer is above its median */
static const char *paths[ROWS]; /* borrowed from `found` */
static glob_t found;
static char *classes[] = { "low", "high" };

static int by_value(const void *a, const void *b)
{
    const float p = *(const float *)a, q = *(const float *)b;
    return (p > q) - (p < q);
}

static void read_sample(void)
{
    float column[ROWS], sorted[ROWS];
    CHECK(glob(data_path("data/cats-vs-dogs/train/*/*"), 0, NULL, &found) == 0 &&
          found.gl_pathc == ROWS);
    for (int i = 0; i < ROWS; i++) {
        paths[i] = found.gl_pathv[i];
        CHECK(ft_feature_file(backbone, paths[i], x + i * d, NULL) == 0);
        column[i] = sorted[i] = x[i * d + 1];
    }
    qsort(sorted, ROWS, sizeof *sorted, by_value);
    for (int i = 0; i < ROWS; i++)
        labels[i] = column[i] > (sorted[ROWS / 2 - 1] + sorted[ROWS / 2]) / 2;
}

/* Trains and saves to `name`. Returns the chosen weight of the layers before the last. */
static double train(const char *name, int threads, uint64_t memory)
{
    struct ft_features *f = NULL;
    struct ft_training *t = NULL;
    struct ft_model *model = NULL;
    const struct ft_training_options options = { .head = { .threads = threads } };
    CHECK(ft_features_new_bounded(d, ROWS, memory, NULL, &f, NULL) == 0);
    CHECK(ft_features_set_blocks(f, backbone, NULL) == 0);
    for (int i = 0; i < ROWS; i++)
        CHECK(ft_features_append(f,
                                 &(struct ft_row){ .path = paths[i],
                                                   .content = { (uint64_t)i, 1 },
                                                   .feature = x + i * d },
                                 labels[i], NULL) == 0);
    CHECK(!f->x == (memory == 0));
    CHECK(ft_training_run(f, classes, 2, &options, &t, NULL) == 0);
    CHECK(ft_training_model(t, backbone, &model, NULL) == 0);
    CHECK(ft_model_save(model, at(name), NULL, NULL) == 0);
    const double depth = t->validation->depth;
    ft_model_free(model);
    ft_training_free(t);
    ft_features_free(f);
    return depth;
}

static bool same_bytes(const char *a, const char *b)
{
    FILE *f = fopen(a, "rb"), *g = fopen(b, "rb");
    bool same = f && g;
    for (int c = 0; same && c != EOF;) {
        c = getc(f);
        same = c == getc(g);
    }
    if (f)
        fclose(f);
    if (g)
        fclose(g);
    return same;
}

static void threads_and_scratch_files_change_nothing(void)
{
    CHECK(train("one.h5", 1, UINT64_MAX) > 0);
    for (int threads = 1; threads <= 4; threads *= 2) {
        train("other.h5", threads, UINT64_MAX);
        CHECK(same_bytes(at("one.h5"), at("other.h5")));
        train("other.h5", threads, 0);
        CHECK(same_bytes(at("one.h5"), at("other.h5")));
    }
}

/* The map of a class, summed, and its bias are its logit: that of the features of all layers, and
 * that of a prediction. */
static void maps_of_all_layers_add_up(void)
{
    struct ft_model *model = NULL;
    struct ft_explanation *e = NULL;
    CHECK(train("explained.h5", 1, UINT64_MAX) > 0);
    CHECK(ft_model_open(at("explained.h5"), NULL, &model, NULL) == 0);
    const struct ft_head *head = ft_model_head(model);
    CHECK(head->d == d);
    for (int i = 0; i < ROWS; i += 11) {
        double logit[2], p[2];
        float predicted[2];
        CHECK(ft_explain(model, paths[i], NULL, &e, NULL) == 0);
        CHECK(e->exact && e->d == d && e->height > 7); /* the grid of the earliest layers */
        for (int c = 0; c < 2; c++) {
            double sum = head->b[c];
            logit[c] = head->b[c];
            for (int cell = 0; cell < e->height * e->width; cell++)
                sum += (double)e->shares[cell * 2 + c];
            for (int j = 0; j < d; j++)
                logit[c] += (double)x[i * d + j] * (double)head->w[j * 2 + c];
            CHECK_NEAR(sum, e->logits[c], 1e-3);
            CHECK_NEAR(sum, logit[c], 1e-2);
        }
        CHECK(ft_predict_file(model, paths[i], predicted, NULL) == 0);
        p[1] = 1 / (1 + exp(logit[0] - logit[1]));
        CHECK_NEAR(predicted[1], p[1], 1e-3);
        ft_explanation_free(e);
    }
    ft_model_free(model);
}

/* Opens the bundled network, alone or beside another one. */
static bool open_network(const char *beside)
{
    const struct ft_backbone_options options = { .layers = "all", .beside = beside };
    if (ft_backbone_open(NULL, &options, &backbone, NULL))
        return false;
    d = ft_backbone_features(backbone);
    x = malloc((size_t)ROWS * (size_t)d * sizeof *x);
    return x != NULL;
}

/* The same for two networks, whose last block is a concatenation in a concatenation. */
static void maps_of_two_networks_add_up(void)
{
    globfree(&found);
    free(x);
    ft_backbone_free(backbone);
    CHECK(open_network("efficientnet-lite0"));
    CHECK(d == 2 * 10240);
    read_sample();
    for (int j = 0; j < 1280; j++) /* the same network twice */
        CHECK(x[d - 2560 + j] == x[d - 1280 + j]);
    maps_of_all_layers_add_up();
}

int main(void)
{
    if (!mkdtemp(directory) || !open_network(NULL)) {
        printf("Bail out! no folder, or no network\n");
        return 1;
    }
    RUN(read_sample);
    RUN(threads_and_scratch_files_change_nothing);
    RUN(maps_of_all_layers_add_up);
    RUN(maps_of_two_networks_add_up);
    for (int i = 0; i < 3; i++)
        unlink(at(((const char *[]){ "one.h5", "other.h5", "explained.h5" })[i]));
    rmdir(directory);
    globfree(&found);
    free(x);
    ft_backbone_free(backbone);
    return test_end();
}
