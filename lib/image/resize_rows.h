/* The two inner loops of resizing, and the table of their versions. All versions give the same
 * bytes, so that a feature does not depend on the processor. */
#ifndef FT_IMAGE_RESIZE_ROWS_H
#define FT_IMAGE_RESIZE_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* Weights are fixed point, 22 bits after the point, as Pillow's; a sum of products with bytes fits
 * 32 bits. */
#define FT_RESIZE_BITS  22
#define FT_RESIZE_ROUND (1 << (FT_RESIZE_BITS - 1))
/* They are kept in two 16-bit halves as well, weight = high * 2^11 + low with 0 <= low < 2^11: two
 * multiply-adds of 16-bit numbers are exact, where one with 16-bit weights would be off by a level
 * now and then. */
#define FT_RESIZE_LOW_BITS 11

/* How the n outputs along one axis depend on the inputs: output i is the sum over j < count[i] of
 * weight[i, j] * input[first[i] + j]. Rows of weights are padded with zeros to `taps`, a multiple
 * of 4. */
struct ft_resize_axis {
    int n, taps;
    int *first, *count;  /* [n] */
    int32_t *weight;     /* [n, taps] */
    int16_t *high, *low; /* [n, taps] */
};

struct ft_resize_row {
    /* Resizes two rows at once, from [*, 3] to [axis->n, 3]. Both may be the same row. They are
     * read and written up to FT_IMAGE_SLACK bytes past their end. */
    void (*across)(const struct ft_resize_axis *axis, const uint8_t *const from[2],
                   uint8_t *const to[2]);
    /* Computes output i of the axis from rows of n bytes that are `stride` apart. The first of them
     * is input `base`. */
    void (*down)(const struct ft_resize_axis *axis, int i, const uint8_t *rows, size_t stride,
                 int base, uint8_t *to, size_t n);
    const char *name;
    unsigned needs; /* FT_CPU_... */
};

/* Best first, plain C last. */
extern const struct ft_resize_row ft_resize_rows[];
extern const int ft_resize_n_rows;

void ft_resize_across_c(const struct ft_resize_axis *axis, const uint8_t *const from[2],
                        uint8_t *const to[2]);
void ft_resize_down_c(const struct ft_resize_axis *axis, int i, const uint8_t *rows, size_t stride,
                      int base, uint8_t *to, size_t n);
void ft_resize_across_avx2(const struct ft_resize_axis *axis, const uint8_t *const from[2],
                           uint8_t *const to[2]);
void ft_resize_down_avx2(const struct ft_resize_axis *axis, int i, const uint8_t *rows,
                         size_t stride, int base, uint8_t *to, size_t n);
void ft_resize_across_neon(const struct ft_resize_axis *axis, const uint8_t *const from[2],
                           uint8_t *const to[2]);

#endif
