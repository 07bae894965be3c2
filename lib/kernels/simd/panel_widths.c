/* The widths of panels, from the table of an instruction set. */
#include "kernels/simd/panels.h"

const struct ft_width *FT_NAME(panel_at)(int c, int filters)
{
    const struct ft_width *w = FT_NAME(widths), *widest = w;
    if (ft_channels_halved(filters, FT_PANEL)) {
        c %= filters / 2;
        filters /= 2;
    }
    while (w->filters < filters - c && w->filters < FT_PANEL)
        w++;
    while (widest[1].filters)
        widest++;
    return filters - c > FT_PANEL && filters - c <= widest->filters ? widest : w;
}

size_t FT_NAME(panel_filters)(int n)
{
    size_t filters = 0;
    for (int c = 0; c < n;) {
        const int width = FT_NAME(panel_at)(c, n)->filters;
        filters += (size_t)width;
        c += width;
    }
    return filters;
}
