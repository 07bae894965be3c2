/* NEON version of the resizing loop along rows. The loop along columns is as fast in plain C, which
 * compilers turn into NEON. */
#include <arm_neon.h>
#include <string.h>

#include "image/resize_rows.h"

/* The pixel at s as [r g b x]; x is whatever follows. */
static inline int32x4_t load_pixel(const uint8_t *s)
{
    uint32_t bytes;
    memcpy(&bytes, s, sizeof bytes);
    const uint16x8_t wide = vmovl_u8(vcreate_u8(bytes));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
}

/* The fourth byte is overwritten by the next pixel. */
static inline void store_pixel(int32x4_t sum, uint8_t *to)
{
    const uint16x4_t levels = vqmovun_s32(vshrq_n_s32(sum, FT_RESIZE_BITS));
    const uint8x8_t pixel = vqmovn_u16(vcombine_u16(levels, levels));
    const uint32_t bytes = vget_lane_u32(vreinterpret_u32_u8(pixel), 0);
    memcpy(to, &bytes, sizeof bytes);
}

void ft_resize_across_neon(const struct ft_resize_axis *axis, const uint8_t *const from[2],
                           uint8_t *const to[2])
{
    const int32_t *w = axis->weight;
    for (int i = 0; i < axis->n; i++, w += axis->taps) {
        const uint8_t *s = from[0] + (size_t)axis->first[i] * 3,
                      *t = from[1] + (size_t)axis->first[i] * 3;
        int32x4_t upper = vdupq_n_s32(FT_RESIZE_ROUND), lower = upper;
        for (int j = 0; j < axis->count[i]; j++, s += 3, t += 3) {
            upper = vmlaq_n_s32(upper, load_pixel(s), w[j]);
            lower = vmlaq_n_s32(lower, load_pixel(t), w[j]);
        }
        store_pixel(upper, to[0] + (size_t)i * 3);
        store_pixel(lower, to[1] + (size_t)i * 3);
    }
}
