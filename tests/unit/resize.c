/* image/: resizing and preparing against Pillow's pixels; the versions of the resizing loops
 * against each other; boxes. */
#define _GNU_SOURCE
#include "pictures.h"

#include "base/cpu.h"
#include "image/resize_rows.h"

static void one_resize(const struct golden *g, const struct ft_bytes *file,
                       const struct ft_image *image)
{
    (void)file;
    struct ft_resizer resizer = { 0 };
    struct ft_error e;
    char filter[16];
    double box[4];
    CHECK(sscanf(g->rest, "%15s %lf %lf %lf %lf", filter, box, box + 1, box + 2, box + 3) == 5);
    uint8_t *out = malloc((size_t)g->width * (size_t)g->height * 3);
    CHECK(!ft_image_resize(image, box, g->width, g->height,
                           !strcmp(filter, "bicubic") ? FT_FILTER_BICUBIC : FT_FILTER_BILINEAR,
                           &resizer, out, &e));
    compare(g, out, 0);
    free(out);
    ft_resizer_release(&resizer);
}

static void one_prepare(const struct golden *g, const struct ft_bytes *file,
                        const struct ft_image *image)
{
    (void)image;
    struct ft_preparer preparer = { 0 };
    struct ft_error e;
    char rule[16], filter[16];
    struct ft_geometry geometry = { .width = g->width, .height = g->height };
    CHECK(sscanf(g->rest, "%15s %15s %lf", rule, filter, &geometry.crop) == 3);
    geometry.rule = !strcmp(rule, "crop")  ? FT_RESIZE_CROP
                    : !strcmp(rule, "pad") ? FT_RESIZE_PAD
                                           : FT_RESIZE_SQUASH;
    geometry.filter = !strcmp(filter, "bicubic") ? FT_FILTER_BICUBIC : FT_FILTER_BILINEAR;
    uint8_t *out = malloc((size_t)g->width * (size_t)g->height * 3);
    CHECK(!ft_image_prepare(&preparer, file->data, file->size, &geometry, 0, out, &e));
    compare(g, out, 0);
    free(out);
    ft_preparer_release(&preparer);
}

/* The mean difference to a full decode stays below a grey level; half a pixel of displacement would
 * be more. */
static void one_reduced(const struct golden *g, const struct ft_bytes *file,
                        const struct ft_image *image)
{
    (void)image;
    struct ft_preparer preparer = { 0 };
    struct ft_error e;
    const struct ft_geometry geometry = { g->width,          g->height, FT_RESIZE_CROP,
                                          FT_FILTER_BICUBIC, 1,         false };
    struct ft_bytes want = load("golden/image", g->expected);
    const size_t n = (size_t)g->width * (size_t)g->height * 3;
    uint8_t *out = malloc(n);
    CHECK(want.size == n &&
          !ft_image_prepare(&preparer, file->data, file->size, &geometry, 0, out, &e));
    CHECK(fabs(preparer.image.scale_x * 8 - atoi(g->rest)) < 0.2 &&
          fabs(preparer.image.scale_y * 8 - atoi(g->rest)) < 0.2);
    double sum = 0;
    for (size_t i = 0; i < n && want.size == n; i++)
        sum += abs(out[i] - want.data[i]);
    printf("# %s to %d: mean difference %.2f\n", g->file, g->width, sum / (double)n);
    CHECK(sum / (double)n < 1);
    free(out);
    ft_bytes_release(&want);
    ft_preparer_release(&preparer);
}

static void resizing_equals_pillow(void)
{
    for_each_golden("resize", 30, one_resize);
}

static void preparing_equals_pillow(void)
{
    for_each_golden("prepare", 13, one_prepare);
}

static void reduced_scale_is_close(void)
{
    for_each_golden("reduced", 6, one_reduced);
}

/* Rows of a resize, by every version this processor has, against plain C. */
static void versions_agree(void)
{
    enum { WIDTH = 401, N = 97 };
    static uint8_t rows[40][WIDTH * 3 + FT_IMAGE_SLACK];
    static int32_t weight[N * 40];
    static int16_t high[N * 40], low[N * 40];
    int first[N], count[N];
    srand(3);
    for (size_t i = 0; i < sizeof rows; i++)
        ((uint8_t *)rows)[i] = rand() % 3 ? (uint8_t)rand() : rand() % 2 ? 255 : 0;
    for (int taps = 4; taps <= 40; taps += 4) {
        const struct ft_resize_axis axis = { N, taps, first, count, weight, high, low };
        for (int i = 0; i < N; i++) {
            count[i] = 1 + rand() % taps;
            first[i] = rand() % (40 - count[i] + 1);
            for (int j = 0; j < taps; j++) {
                const int w = j < count[i] ? rand() % (3 << 22) / taps - (1 << 22) / taps : 0;
                weight[i * taps + j] = w;
                high[i * taps + j] = (int16_t)(w >> FT_RESIZE_LOW_BITS);
                low[i * taps + j] = (int16_t)(w & ((1 << FT_RESIZE_LOW_BITS) - 1));
            }
        }
        for (int v = 0; v < ft_resize_n_rows; v++) {
            const struct ft_resize_row *row = ft_resize_rows + v;
            uint8_t want[2][N * 3 + FT_IMAGE_SLACK], got[2][N * 3 + FT_IMAGE_SLACK],
                want_down[WIDTH * 3], got_down[WIDTH * 3];
            const uint8_t *const from[2] = { rows[taps % 7], rows[taps % 5 + 8] };
            if (row->needs & ~ft_cpu_features())
                continue;
            ft_resize_across_c(&axis, from, (uint8_t *[2]){ want[0], want[1] });
            row->across(&axis, from, (uint8_t *[2]){ got[0], got[1] });
            CHECK(!memcmp(want[0], got[0], N * 3) && !memcmp(want[1], got[1], N * 3));
            ft_resize_down_c(&axis, taps, rows[0], sizeof rows[0], 0, want_down, sizeof want_down);
            row->down(&axis, taps, rows[0], sizeof rows[0], 0, got_down, sizeof got_down);
            CHECK(!memcmp(want_down, got_down, sizeof want_down));
        }
    }
}

static void boxes(void)
{
    struct ft_geometry g = { 224, 224, FT_RESIZE_CROP, FT_FILTER_BICUBIC, 0.875, false };
    double b[4];
    ft_geometry_box(&g, 500, 400, b);
    CHECK(b[0] == 75 && b[1] == 25 && b[2] == 425 && b[3] == 375);
    g.width = 448;
    g.crop = 1;
    ft_geometry_box(&g, 500, 400, b);
    CHECK(b[0] == 0 && b[1] == 75 && b[2] == 500 && b[3] == 325);
    g.rule = FT_RESIZE_PAD;
    ft_geometry_box(&g, 500, 400, b);
    CHECK(b[0] == 0 && b[1] == 0 && b[2] == 500 && b[3] == 400);
    struct ft_image image = { .width = 2, .height = 2, .pixels = (uint8_t[12]){ 0 } };
    struct ft_resizer resizer = { 0 };
    uint8_t out[3];
    struct ft_error e;
    CHECK(ft_image_resize(&image, (double[4]){ 0, 0, 2.5, 2 }, 1, 1, FT_FILTER_BICUBIC, &resizer,
                          out, &e) == FT_EARG);
    CHECK(ft_image_resize(&image, (double[4]){ 1, 0, 1, 2 }, 1, 1, FT_FILTER_BICUBIC, &resizer, out,
                          &e) == FT_EARG);
    CHECK(ft_image_resize(&image, (double[4]){ 0, NAN, 2, 2 }, 1, 1, FT_FILTER_BICUBIC, &resizer,
                          out, &e) == FT_EARG);
    CHECK(!ft_image_resize(&image, (double[4]){ 0, 0, 2, 2 }, 1, 1, FT_FILTER_BICUBIC, &resizer,
                           out, &e));
    /* 24 KB of PNG hold this one; its weights alone would take 6 GB */
    struct ft_image wide = { .width = 200 * 1000 * 1000, .height = 1, .pixels = image.pixels };
    CHECK(ft_image_resize(&wide, (double[4]){ 0, 0, wide.width, 1 }, 1, 1, FT_FILTER_BICUBIC,
                          &resizer, out, &e) == FT_ELIMIT);
    CHECK(strstr(e.msg, "200000000 x 1"));
    ft_resizer_release(&resizer);
}

int main(void)
{
    RUN(resizing_equals_pillow);
    RUN(preparing_equals_pillow);
    RUN(reduced_scale_is_close);
    RUN(versions_agree);
    RUN(boxes);
    return test_end();
}
