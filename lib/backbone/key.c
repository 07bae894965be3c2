/* The key of the cache of features. */
#include <stdio.h>

#include "backbone/backbone.h"
#include "base/file.h"
#include "network/hash.h"

/* RECIPE must be increased when a change of decoding, resizing, the hash of networks or a kernel
 * changes the features. */
int ft_backbone_key(const struct ft_backbone *b, uint64_t key[2], struct ft_error *err)
{
    enum { RECIPE = 5 };
    const struct ft_geometry *g = &b->geometry;
    uint64_t network[2];
    char text[300];
    const int rc = ft_network_hash(b->network, b->last, network, err);
    if (rc)
        return rc;
    const bool bf16 = ft_backbone_precision(b) == FT_PRECISION_BF16;
    const int n =
        snprintf(text, sizeof text, "%d %016llx%016llx %dx%d %d %d %a %s%s%s%s", RECIPE,
                 (unsigned long long)network[0], (unsigned long long)network[1], g->width,
                 g->height, g->rule, g->filter, g->rule == FT_RESIZE_CROP ? g->crop : 1.0,
                 ft_cpu_name(), ft_plan_exact(b->plan) ? " exact" : "", g->icc ? " icc" : "",
                 !bf16           ? ""
                 : ft_cpu_bf16() ? " bf16 native"
                                 : " bf16");
    ft_hash(text, (size_t)n, key);
    return 0;
}
