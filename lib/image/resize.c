/* Antialiased resizing in two passes, across and down, each of which rounds to bytes. The
 * arithmetic is that of Pillow 13, so that the bytes are equal. That includes the order of the
 * passes, which matters where the first pass clips (older versions of Pillow always went across
 * first). The filter's support grows with the reduction, which is the antialiasing. Centres are at
 * half pixels, and weights are normalised to sum 1 and rounded to 22 bits. The filter may use
 * pixels outside the box. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/memory.h"
#include "image/resize.h"
#include "image/resize_rows.h"

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* Keys 1981 with a = -1/2. */
static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

struct filter {
    double (*value)(double);
    double support;
};

static const struct filter filters[] = {
    [FT_FILTER_BILINEAR] = { bilinear, 1 },
    [FT_FILTER_BICUBIC] = { bicubic, 2 },
};

#define MOST_WEIGHTS (1 << 25) /* of both axes; the longest side of a JPEG needs 2^18 */

/* One axis: box from..to of `size` inputs becomes n outputs. */
struct span {
    int size, n, taps;
    double from, step, support, stretch; /* stretch: how much the filter is widened, >= 1 */
    const struct filter *filter;
};

static struct span span_of(int size, double from, double to, int n, enum ft_resize_filter filter)
{
    /* Pillow keeps a box in single precision */
    struct span s = { .size = size, .n = n, .from = (float)from, .filter = filters + filter };
    s.step = (double)((float)to - (float)from) / n;
    s.stretch = fmax(s.step, 1);
    s.support = s.filter->support * s.stretch;
    s.taps = (int)ft_round_up((size_t)ceil(s.support) * 2 + 1, 4);
    return s;
}

static void fill_output(const struct span *s, struct ft_resize_axis *axis, int i, double *scratch)
{
    const double centre = s->from + (i + 0.5) * s->step, narrow = 1 / s->stretch;
    int first = (int)(centre - s->support + 0.5), end = (int)(centre + s->support + 0.5);
    first = first < 0 ? 0 : first;
    end = end > s->size ? s->size : end;
    const int count = end - first;
    double sum = 0;
    for (int j = 0; j < count; j++)
        sum += scratch[j] = s->filter->value((j + first - centre + 0.5) * narrow);
    axis->first[i] = first;
    axis->count[i] = count;
    const size_t row = (size_t)i * (size_t)s->taps;
    for (int j = 0; j < s->taps; j++) {
        const double w =
            j < count ? (sum != 0 ? scratch[j] / sum : scratch[j]) * (1 << FT_RESIZE_BITS) : 0;
        const int32_t weight = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
        axis->weight[row + (size_t)j] = weight;
        axis->high[row + (size_t)j] = (int16_t)(weight >> FT_RESIZE_LOW_BITS);
        axis->low[row + (size_t)j] = (int16_t)(weight & ((1 << FT_RESIZE_LOW_BITS) - 1));
    }
}

/* Divides a buffer into pieces. With a null base it only adds up their sizes. */
struct carver {
    uint8_t *base;
    size_t at;
    bool overflow;
};

static void *carve(struct carver *c, size_t count, size_t size)
{
    const size_t at = c->at;
    size_t bytes;
    if (!ft_size_mul(count, size, &bytes) || !ft_size_add(bytes, FT_ALIGN - 1, &bytes) ||
        !ft_size_add(at, bytes & ~(size_t)(FT_ALIGN - 1), &c->at))
        c->overflow = true;
    return c->base ? c->base + at : NULL;
}

static void carve_axis(struct carver *c, const struct span *s, struct ft_resize_axis *axis)
{
    const size_t n = (size_t)s->n, taps = (size_t)s->taps;
    axis->n = s->n;
    axis->taps = s->taps;
    axis->first = carve(c, n, sizeof *axis->first);
    axis->count = carve(c, n, sizeof *axis->count);
    axis->weight = carve(c, n * taps, sizeof *axis->weight);
    axis->high = carve(c, n * taps, sizeof *axis->high);
    axis->low = carve(c, n * taps, sizeof *axis->low);
}

struct plan {
    struct ft_resize_axis across, down;
    bool down_first;
    double *scratch;
    size_t stride; /* of the rows between the passes, in bytes */
    /* across first: [rows read by down, stride]; else one row, of the columns read by across */
    uint8_t *middle;
    uint8_t *spare[2]; /* rows with FT_IMAGE_SLACK bytes behind their end */
};

/* An upper limit of the number of inputs that are read along an axis. */
static size_t reach(const struct span *s)
{
    const double first = floor(s->from - s->support),
                 end = ceil(s->from + s->step * s->n + s->support);
    return (size_t)((end > s->size ? s->size : end) - (first < 0 ? 0 : first));
}

/* Pillow's choice: down first when the height shrinks by more than twice what the width does. */
static bool goes_down_first(const struct span *x, const struct span *y)
{
    const int64_t less_height = (int64_t)y->size - y->n, less_width = (int64_t)x->size - x->n;
    return less_height > 0 && less_height > 2 * less_width;
}

static void carve_plan(struct carver *c, const struct span *x, const struct span *y, struct plan *p)
{
    carve_axis(c, x, &p->across);
    carve_axis(c, y, &p->down);
    p->scratch = carve(c, (size_t)(x->taps > y->taps ? x->taps : y->taps), sizeof *p->scratch);
    p->down_first = goes_down_first(x, y);
    p->stride =
        ft_round_up((p->down_first ? reach(x) : (size_t)x->n) * 3 + FT_IMAGE_SLACK, FT_ALIGN);
    p->middle = carve(c, p->down_first ? 1 : reach(y), p->stride);
    for (int i = 0; i < 2; i++)
        p->spare[i] = carve(c, ((size_t)x->size + (size_t)x->n) * 3 + FT_IMAGE_SLACK, 1);
}

static int make_plan(const struct span *x, const struct span *y, struct ft_resizer *resizer,
                     struct plan *p, struct ft_error *err)
{
    struct carver c = { 0 };
    carve_plan(&c, x, y, p);
    if (c.overflow)
        return ft_error_nomem(err, "resizing a picture");
    if (c.at > resizer->capacity) {
        void *memory = ft_alloc(c.at, 1);
        if (!memory)
            return ft_error_nomem(err, "resizing a picture");
        free(resizer->memory);
        resizer->memory = memory;
        resizer->capacity = c.at;
    }
    c = (struct carver){ .base = resizer->memory };
    carve_plan(&c, x, y, p);
    for (int i = 0; i < x->n; i++)
        fill_output(x, &p->across, i, p->scratch);
    for (int i = 0; i < y->n; i++)
        fill_output(y, &p->down, i, p->scratch);
    /* What is read behind the end of a row has weight 0. It gets a value once, because memory
     * checkers take 0 times an unknown byte for unknown. */
    memset(p->middle, 0, p->stride);
    for (int i = 0; i < 2; i++)
        memset(p->spare[i] + (size_t)x->size * 3, 0, FT_IMAGE_SLACK);
    return 0;
}

static const struct ft_resize_row *best_row(void)
{
    const struct ft_resize_row *row = ft_resize_rows;
    while (row->needs & ~ft_cpu_features())
        row++;
    return row;
}

void ft_resizer_release(struct ft_resizer *resizer)
{
    free(resizer->memory);
    *resizer = (struct ft_resizer){ 0 };
}

/* A picture of hundreds of millions by one pixel takes a file of some kilobytes. Its weights, of 8
 * bytes each, would take all memory. */
static int check_length(const struct span *x, const struct span *y, struct ft_error *err)
{
    const double weights = 2 * (x->n * (x->support + 2) + y->n * (y->support + 2));
    if (weights > MOST_WEIGHTS)
        return ft_error_set(err, FT_ELIMIT, "a picture of %d x %d pixels is too long to be resized",
                            x->size, y->size);
    return 0;
}

static int check(const struct ft_image *image, const double box[4], int width, int height,
                 struct ft_error *err)
{
    if (width < 1 || height < 1 || width > INT_MAX / 64 || height > INT_MAX / 64)
        return ft_error_set(err, FT_EARG, "cannot resize a picture to %d x %d pixels", width,
                            height);
    if (!(box[0] >= 0 && box[1] >= 0 && box[2] <= image->width && box[3] <= image->height &&
          box[0] < box[2] && box[1] < box[3]))
        return ft_error_set(err, FT_EARG,
                            "box %g, %g to %g, %g is not inside the picture of %d x %d pixels",
                            box[0], box[1], box[2], box[3], image->width, image->height);
    return 0;
}

static int end_of(const struct ft_resize_axis *axis)
{
    return axis->first[axis->n - 1] + axis->count[axis->n - 1];
}

/* A row that may be read FT_IMAGE_SLACK bytes past its end: the row itself, or a copy at the end of
 * the picture. */
static const uint8_t *row_of(const struct ft_image *image, int y, uint8_t *spare)
{
    const size_t stride = (size_t)image->width * 3;
    const uint8_t *row = image->pixels + (size_t)y * stride;
    return (size_t)(image->height - 1 - y) * stride < FT_IMAGE_SLACK ? memcpy(spare, row, stride)
                                                                     : row;
}

static void run_across_first(const struct ft_image *image, const struct plan *p, uint8_t *out,
                             size_t stride)
{
    const struct ft_resize_row *row = best_row();
    const int top = p->down.first[0], end = end_of(&p->down);
    for (int y = top; y < end; y += 2) {
        const int other = y + 1 < end ? 1 : 0;
        const uint8_t *const from[2] = { row_of(image, y, p->spare[0]),
                                         row_of(image, y + other, p->spare[other]) };
        uint8_t *const to[2] = { p->middle + (size_t)(y - top) * p->stride,
                                 p->middle + (size_t)(y + other - top) * p->stride };
        row->across(&p->across, from, to);
    }
    for (int i = 0; i < p->down.n; i++)
        row->down(&p->down, i, p->middle, p->stride, top, out + (size_t)i * stride,
                  (size_t)p->across.n * 3);
}

static void run_down_first(const struct ft_image *image, const struct plan *p, uint8_t *out,
                           size_t stride)
{
    const struct ft_resize_row *row = best_row();
    const int left = p->across.first[0], end = end_of(&p->across);
    const uint8_t *const from[2] = { p->middle, p->middle };
    for (int i = 0; i < p->across.n; i++) /* `middle` begins at the first column that is needed */
        p->across.first[i] -= left;
    for (int i = 0; i < p->down.n; i++) {
        row->down(&p->down, i, image->pixels + (size_t)left * 3, (size_t)image->width * 3, 0,
                  p->middle, (size_t)(end - left) * 3);
        row->across(&p->across, from, p->spare);
        memcpy(out + (size_t)i * stride, p->spare[0], (size_t)p->across.n * 3);
    }
}

int ft_image_resize_into(const struct ft_image *image, const double box[4], int width, int height,
                         enum ft_resize_filter filter, struct ft_resizer *resizer, uint8_t *out,
                         size_t stride, struct ft_error *err)
{
    int rc = check(image, box, width, height, err);
    if (rc)
        return rc;
    const struct span x = span_of(image->width, box[0], box[2], width, filter),
                      y = span_of(image->height, box[1], box[3], height, filter);
    struct plan p;
    rc = check_length(&x, &y, err);
    if (!rc)
        rc = make_plan(&x, &y, resizer, &p, err);
    if (rc)
        return rc;
    if (p.down_first)
        run_down_first(image, &p, out, stride);
    else
        run_across_first(image, &p, out, stride);
    return 0;
}

int ft_image_resize(const struct ft_image *image, const double box[4], int width, int height,
                    enum ft_resize_filter filter, struct ft_resizer *resizer, uint8_t *out,
                    struct ft_error *err)
{
    return ft_image_resize_into(image, box, width, height, filter, resizer, out, (size_t)width * 3,
                                err);
}
