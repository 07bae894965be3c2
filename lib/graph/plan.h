/* A network becomes a plan: shapes inferred, batch normalisation folded, bias, activation and
 * residual additions fused, weights packed, an algorithm chosen for every step, all activations
 * laid out in one arena. A plan never changes once made and is shared by threads; each thread
 * brings its own arena. Running allocates nothing.
 */
#ifndef FT_GRAPH_PLAN_H
#define FT_GRAPH_PLAN_H

#include "finetune.h"
#include "network/network.h"

struct ft_plan;
struct ft_team;

/* Expand, depthwise and project, or a convolution and its pool, run together over bands of rows:
 * the same values (blocks.c). */
enum ft_plan_blocks { FT_BLOCKS_WHERE_FASTER, FT_BLOCKS_NEVER, FT_BLOCKS_ALWAYS };

struct ft_plan_options {
    int height, width; /* of the input; 0: what the network says (an error where it says None) */
    int layer;         /* index of the layer whose output is wanted; -1: the network's output */
    /* only algorithms that round like direct summation (no Winograd); also by FINETUNE_EXACT=1 */
    bool exact;
    enum ft_plan_blocks blocks;
    /* to be carried together wherever maps are small; 0: several where that is faster */
    int pictures;
};

struct ft_shape { /* rank 3: [h, w, c]; rank 1: [c], h = w = 1 */
    int rank, h, w, c;
};

int ft_plan_new(const struct ft_network *network, const struct ft_plan_options *options,
                struct ft_plan **out, struct ft_error *err);
void ft_plan_free(struct ft_plan *plan);

struct ft_shape ft_plan_input(const struct ft_plan *plan);
struct ft_shape ft_plan_output(const struct ft_plan *plan);
bool ft_plan_exact(const struct ft_plan *plan); /* planned with `exact`, or by FINETUNE_EXACT=1 */
/* so many at a time are fastest: 1 where weights are few */
int ft_plan_pictures(const struct ft_plan *plan);
/* allocate with ft_alloc (FT_ALIGN) */
size_t ft_plan_arena_bytes(const struct ft_plan *plan, int pictures);

/* pixels [h, w, c] u8 0-255 (c as ft_plan_input: 3 or 1), output [h * w * c] of ft_plan_output. */
void ft_plan_run(const struct ft_plan *plan, const uint8_t *pixels, void *arena, float *output);
/* n pictures, each with its pixels and its output; every result is what ft_plan_run gives. The
 * arena is large enough for n. */
void ft_plan_run_several(const struct ft_plan *plan, int n, const uint8_t *const *pixels,
                         void *arena, float *const *outputs);
/* The same, one picture split over a team's members (latency of a lone picture); equal to
 * ft_plan_run up to rounding. */
void ft_plan_run_team(const struct ft_plan *plan, struct ft_team *team, const uint8_t *pixels,
                      void *arena, float *output);

/* All layers of a network for an input of height x width: out [n_layers]. Heights are 0 from the
 * first layer on that does not fit its inputs (Flatten and Dense after an input of another size).
 * Names are the network's. */
int ft_network_layers(const struct ft_network *network, int height, int width,
                      struct ft_layer_info *out, struct ft_error *err);

/* One row a step, in order of running. */
int ft_plan_steps(const struct ft_plan *plan);
void ft_plan_step(const struct ft_plan *plan, int i, struct ft_layer_info *out);
/* Runs n pictures and adds the seconds that each step took to seconds [ft_plan_steps]. */
void ft_plan_profile(const struct ft_plan *plan, int n, const uint8_t *const *pixels, void *arena,
                     double *seconds);

#endif
