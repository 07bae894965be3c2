/* What a plan is made of. Private to graph/.
 *
 * A buffer is a piece of the arena: [h, w, c] with a border of zeros as wide as its readers need. A
 * value is what a node stands for: a buffer, or a window on one (padding is a window that takes in
 * some of the border). Steps run in order; each knows its kernel row and its work, whose maps are
 * filled in from the values once the caller's arena is known.
 */
#ifndef FT_GRAPH_STEPS_H
#define FT_GRAPH_STEPS_H

#include "graph/nodes.h"
#include "kernels/kernels.h"

struct ft_buffer {
    int h, w, c;
    int pixel;                    /* floats from a pixel to the next */
    int top, bottom, left, right; /* border */
    /* steps that write it first and read it last; -1 is the loading of the pixels */
    int first, last;
    size_t offset, floats; /* in the arena */
    bool elsewhere;        /* lies in the scratch of a block, band by band */
    /* each picture has its own: at this offset plus so many times plan->apart */
    bool own;
};

struct ft_value {
    int buffer;        /* -1: none */
    int y, x, channel; /* of the value's first pixel, in the buffer */
    int h, w, c;
    bool broadcast; /* one value a channel for a whole map */
};

enum ft_split { FT_SPLIT_NONE, FT_SPLIT_ROWS, FT_SPLIT_CHANNELS };

struct ft_step {
    enum ft_operation operation;
    const struct ft_kernel_row *row;
    struct ft_work work; /* all but the maps' data, scratch and ranges */
    struct ft_value in, other, out;
    /* 1, 2, 3: of a block's steps it is this one (blocks.c); 0: runs by itself */
    int block;
    bool block_ends;     /* and the last */
    int clear;           /* buffer whose border this step, its first writer, clears; -1 */
    enum ft_split split; /* how a team shares it, */
    /* in pieces of `grain` rows or channels; stage 0 is the loading of the pixels */
    int grain, stage;
    const struct ft_node *node; /* while planning */
    size_t weights, bias;       /* offsets into the plan's constants */
    const char *name;           /* of the layer, owned by the plan */
    enum ft_layer_kind kind;
    uint64_t parameters, multiply_adds;
};

struct ft_plan {
    struct ft_shape input, output;
    struct ft_value pixels, result;
    const struct ft_pixel_row *pixel_row;
    float scale[FT_PIXEL_PERIOD], offset[FT_PIXEL_PERIOD];
    bool exact;
    int n_buffers, n_steps, n_stages;
    struct ft_buffer *buffers;
    struct ft_step *steps;
    float *constants; /* packed weights and biases, in order of use */
    /* Steps before `together` are run picture by picture, in the same memory; the steps from there
     * on, whose weights are many for the pixels, for up to `pictures` at a time. Buffers that these
     * touch come last, once for each picture, then the scratch. */
    int together, pictures;
    size_t arena_floats, scratch_offset; /* for one picture; `apart` more for each further one */
    size_t apart, scratch_floats;        /* the scratch is shared out among a team */
    char *names;
};

/* Steps, values and buffers for folded nodes. */
int ft_plan_emit(struct ft_plan *plan, const struct ft_nodes *nodes, struct ft_error *err);
/* Widens the borders of buffers to what the steps read, and lays all buffers out in one arena;
 * pictures: see ft_plan_options. */
int ft_plan_layout(struct ft_plan *plan, int pictures, struct ft_error *err);
/* Chooses a row for every step (exact: see ft_plan_options) and packs the weights as it wants them.
 */
int ft_plan_pack(struct ft_plan *plan, bool exact, struct ft_error *err);

/* Finds blocks of steps to be run depth first; before the layout. */
void ft_plan_blocks(struct ft_plan *plan, enum ft_plan_blocks wanted);
/* Floats of scratch that the parts of the block beginning at step s want together; rows are chosen.
 */
size_t ft_block_scratch(const struct ft_step *s);
/* Rows y0..y1 of the output of the block that begins at s, band by band; `last` is the work of its
 * last step but for `in`; `in` is the map that its first one reads. Adds the seconds that each step
 * took to seconds [steps of the block] unless NULL. */
void ft_block_run(const struct ft_step *s, const struct ft_work *last, const struct ft_map *in,
                  double *seconds);

double ft_plan_clock(void); /* seconds */

/* Cuts the steps into parts and stages; rows are chosen, buffers laid out. */
void ft_plan_stages(struct ft_plan *plan);
/* The range of one of `parts` parts of a step: y0, y1, c0, c1 of `work`; empty ranges are possible.
 */
void ft_step_part(const struct ft_step *step, int part, int parts, struct ft_work *work);

/* The map of a value in an arena (NULL: only its shape and strides), for the first picture. */
struct ft_map ft_value_map(const struct ft_plan *plan, const struct ft_value *value, float *arena);

#endif
