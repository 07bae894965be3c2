/* A hash of what a network computes: structure and weights, not names, and not the file it came
 * from.
 */
#ifndef FT_NETWORK_HASH_H
#define FT_NETWORK_HASH_H

#include "network/network.h"

/* Hash (XXH3, 128 bits) of layer `last` and of all layers that it needs: their kinds, the
 * parameters that each kind uses, their inputs and their weights. Layers that do nothing at
 * inference count as a linear activation, which is how they are written. Equal networks give equal
 * hashes, whatever container they were read from. Loads weights that were unloaded. Returns 0,
 * FT_ENOMEM or FT_EIO; on failure `out` is untouched. Thread-safe. */
int ft_network_hash(const struct ft_network *network, int last, uint64_t out[2],
                    struct ft_error *err);

#endif
