/* The key of the cache of features. */
#include <stdio.h>
#include <string.h>

#include "backbone/backbone.h"
#include "base/file.h"
#include "network/hash.h"

static void precision_text(const struct ft_backbone *b, char *text, size_t size)
{
    uint64_t hash[2] = { 0 };
    switch (ft_backbone_precision(b)) {
    case FT_PRECISION_BF16:
        snprintf(text, size, " bf16 %s", ft_cpu_bf16() ? ft_cpu_bf16() : "");
        break;
    case FT_PRECISION_INT8: /* each range changes the hash of those after it */
        for (int i = 0; i < b->ranges.n; i++) {
            const struct ft_range *r = &b->ranges.range[i];
            uint64_t of_balance[2] = { 0 };
            char range[400];
            if (r->balance)
                ft_hash(r->balance, strlen(r->balance), of_balance);
            const int n =
                snprintf(range, sizeof range, "%016llx%016llx %.200s %a %a %016llx %a %a",
                         (unsigned long long)hash[0], (unsigned long long)hash[1], r->layer,
                         (double)r->lo, (double)r->hi, (unsigned long long)of_balance[0],
                         (double)r->even_lo, (double)r->even_hi);
            ft_hash(range, (size_t)n, hash);
        }
        snprintf(text, size, " int8 %016llx%016llx", (unsigned long long)hash[0],
                 (unsigned long long)hash[1]);
        break;
    case FT_PRECISION_F32:
    case FT_PRECISIONS:
        break;
    }
}

/* RECIPE must be increased when a change of decoding, resizing, the hash of networks or a kernel
 * changes the features. */
int ft_backbone_key(const struct ft_backbone *b, uint64_t key[2], struct ft_error *err)
{
    enum { RECIPE = 6 };
    const struct ft_geometry *g = &b->geometry;
    uint64_t network[2];
    char text[300];
    const int rc = ft_network_hash(b->network, b->last, network, err);
    if (rc)
        return rc;
    char precision[64] = "";
    precision_text(b, precision, sizeof precision);
    const int n = snprintf(text, sizeof text, "%d %016llx%016llx %dx%d %d %d %a %s%s%s%s", RECIPE,
                           (unsigned long long)network[0], (unsigned long long)network[1], g->width,
                           g->height, g->rule, g->filter, g->rule == FT_RESIZE_CROP ? g->crop : 1.0,
                           ft_plan_portable(b->plan) ? "any" : ft_cpu_name(),
                           ft_plan_exact(b->plan) ? " exact" : "", g->icc ? " icc" : "", precision);
    ft_hash(text, (size_t)n, key);
    return 0;
}
