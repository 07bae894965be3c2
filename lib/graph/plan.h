/* Plans: a network made ready to run. Making a plan infers shapes, folds batch normalisation, fuses
 * bias, activation and residual additions, packs weights, chooses an algorithm for every step and
 * lays all activations out in one arena. Running allocates nothing. A plan does not change, so any
 * number of threads may run it at once, each with an arena of its own.
 */
#ifndef FT_GRAPH_PLAN_H
#define FT_GRAPH_PLAN_H

#include "finetune-tools.h"
#include "network/network.h"

struct ft_plan;
struct ft_team;

/* Blocks run several steps together, band of rows by band: expansion, depthwise convolution and
 * projection, or a convolution and its pool. The values are the same (blocks.c). */
enum ft_plan_blocks { FT_BLOCKS_WHERE_FASTER, FT_BLOCKS_NEVER, FT_BLOCKS_ALWAYS };

/* The range of the values of a layer's output. Where floats become bytes, channels of very
 * different sizes are balanced: those of channel c are multiplied by 2^(balance[c] -
 * FT_BALANCE_ONE) before they are rounded, and the weights that they meet are divided by it. */
struct ft_range {
    char *layer; /* owned */
    float lo, hi;
    char *balance;          /* [channels], a text; owned; NULL: not balanced */
    float even_lo, even_hi; /* of the balanced values */
};
enum { FT_BALANCE_ONE = 'a', FT_BALANCE_MOST = 'm' };

/* The ranges that int8 is scaled to. Several of one layer have the order of the plan's steps. */
struct ft_ranges {
    int n;
    struct ft_range *range; /* [n], owned */
};
void ft_ranges_release(struct ft_ranges *ranges);

struct ft_plan_options {
    int height,
        width; /* of the input; 0: the network's, which is an error if it leaves them open */
    int layer; /* index of the layer whose output is wanted; -1: the network's output */
    /* use only algorithms that round like direct summation (not Winograd); so does FINETUNE_EXACT=1
     */
    bool exact;
    enum ft_precision precision;
    const struct ft_ranges *ranges; /* of int8 */
    enum ft_plan_blocks blocks;
    /* run together where maps are small; 0: several if that is faster for this network */
    int pictures;
};

struct ft_shape { /* rank 3: [h, w, c]; rank 1: [c], h = w = 1 */
    int rank, h, w, c;
};

int ft_plan_new(const struct ft_network *network, const struct ft_plan_options *options,
                struct ft_plan **out, struct ft_error *err);
/* Makes a plan whose output is the last `channels` channels of that of `plan`, which must be freed
 * after it: it owns the weights of both. */
int ft_plan_tail(const struct ft_plan *plan, int channels, struct ft_plan **out,
                 struct ft_error *err);
void ft_plan_free(struct ft_plan *plan);

struct ft_shape ft_plan_input(const struct ft_plan *plan);
struct ft_shape ft_plan_output(const struct ft_plan *plan);
bool ft_plan_exact(const struct ft_plan *plan); /* made with `exact`, or with FINETUNE_EXACT=1 */
enum ft_precision ft_plan_precision(const struct ft_plan *plan);
/* Whether the output is the same bits on every processor: of int8, if all steps are integers. */
bool ft_plan_portable(const struct ft_plan *plan);
/* The number of pictures that is fastest to run at a time; 1 for a network with few weights. */
int ft_plan_pictures(const struct ft_plan *plan);
/* Bytes of the arena that the functions below need for so many pictures. It must be aligned to
 * FT_ALIGN, as ft_alloc does. */
size_t ft_plan_arena_bytes(const struct ft_plan *plan, int pictures);

/* Runs one picture: pixels [h, w, c] 0-255 of ft_plan_input (c is 3 or 1) give output [h, w, c] of
 * ft_plan_output. */
void ft_plan_run(const struct ft_plan *plan, const uint8_t *pixels, void *arena, float *output);
/* Runs n pictures. Each has its pixels and its output; each result is equal to that of ft_plan_run.
 * The arena must be large enough for n. */
void ft_plan_run_several(const struct ft_plan *plan, int n, const uint8_t *const *pixels,
                         void *arena, float *const *outputs);
/* Runs one picture on all members of a team, for a short latency. The result is equal to that of
 * ft_plan_run up to rounding. */
void ft_plan_run_team(const struct ft_plan *plan, struct ft_team *team, const uint8_t *pixels,
                      void *arena, float *output);

/* Which values the outputs of the steps have, to find ranges. */
struct ft_calibration;
/* Starts without any values. `plan` must be float32, made with FT_BLOCKS_NEVER. Returns NULL if
 * memory runs out. */
struct ft_calibration *ft_calibration_new(const struct ft_plan *plan);
void ft_calibration_free(struct ft_calibration *calibration);
/* Runs one picture to see how large the values of each channel are. */
void ft_calibration_look(struct ft_calibration *calibration, const uint8_t *pixels, void *arena);
/* Balances channels by all that `seen` has seen. Values are counted after this. */
void ft_calibration_balance(struct ft_calibration *calibration, const struct ft_calibration *seen);
/* Runs one picture and counts its values. */
void ft_calibration_run(struct ft_calibration *calibration, const uint8_t *pixels, void *arena);
/* Adds the values of another calibration of the same plan, with the same balance. The order does
 * not matter. */
void ft_calibration_merge(struct ft_calibration *to, const struct ft_calibration *from);
/* The ranges with the least error of 8 bits. Fails if values were not finite, or if there were
 * none. *out must be freed with ft_ranges_release. */
int ft_calibration_ranges(const struct ft_calibration *calibration, struct ft_ranges *out,
                          struct ft_error *err);

/* Describes all layers of a network for an input of height x width, the unused ones too: out
 * [n_layers]. From the first layer on that does not fit its inputs (a Dense layer after an input of
 * another size), sizes are 0. Names are owned by the network. */
int ft_network_layers(const struct ft_network *network, int height, int width,
                      struct ft_layer_info *out, struct ft_error *err);

/* Describes step i of ft_plan_steps, in the order of running. Names are owned by the plan. */
int ft_plan_steps(const struct ft_plan *plan);
void ft_plan_step(const struct ft_plan *plan, int i, struct ft_layer_info *out);
/* Runs n pictures and adds the time of each step, in seconds, to seconds [ft_plan_steps]. */
void ft_plan_profile(const struct ft_plan *plan, int n, const uint8_t *const *pixels, void *arena,
                     double *seconds);

#endif
