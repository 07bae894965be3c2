/* The parts of a plan. Private to graph/.
 *
 * A buffer is a piece of the arena: [h, w, c] with a border of zeros as wide as its readers need. A
 * value is the output of a node: a buffer, or a window on one (padding is a window that includes
 * some of the border). Steps run in order. Each has its kernel row and its work; the maps of the
 * work are computed from the values when the caller's arena is known.
 */
#ifndef FT_GRAPH_STEPS_H
#define FT_GRAPH_STEPS_H

#include <math.h>

#include "graph/plan.h"
#include "kernels/kernels.h"

struct ft_node;
struct ft_nodes;

struct ft_buffer {
    int h, w, c;
    int pixel;                    /* values from one pixel to the next */
    int top, bottom, left, right; /* border */
    /* steps that write it first and read it last; -1 is the loading of the pixels */
    int first, last;
    size_t offset, floats;   /* in the arena */
    bool elsewhere;          /* not in the arena: a block keeps it in its scratch, band by band */
    bool own;                /* each picture has one: picture i at offset + i * plan->apart */
    int bytes;               /* of a value: 4, or of int8 plans 1 or 2 */
    struct ft_quantum scale; /* of bytes */
    const char *balance;     /* of bytes, while planning: as in struct ft_range */
    const char *layer; /* whose output it has; owned by the plan, while planning by the network */
};

struct ft_value {
    int buffer;        /* -1: none */
    int y, x, channel; /* of the value's first pixel, in the buffer */
    int h, w, c;
    bool broadcast; /* one value for each channel, repeated over a map */
};

enum ft_split { FT_SPLIT_NONE, FT_SPLIT_ROWS, FT_SPLIT_CHANNELS };

struct ft_step {
    enum ft_operation operation;
    const struct ft_kernel_row *row;
    struct ft_work work; /* all but the maps' data, scratch and ranges */
    struct ft_value in, other, out;
    int block;           /* its number in a block, from 1 (blocks.c); 0: not in a block */
    bool block_ends;     /* the last step of a block */
    int clear;           /* the buffer whose border it clears, as the first to write it; or -1 */
    enum ft_split split; /* how a team divides it */
    int grain;           /* parts are multiples of so many rows or channels */
    int stage;           /* steps of a stage need no barrier between them; 0: loading the pixels */
    bool unsuited;       /* the weights cannot be int8 */
    const struct ft_node *node; /* while planning */
    const char *balance;  /* while planning: of the input's channels, or of those it quantizes */
    size_t weights, bias; /* offsets into plan->constants */
    const char *name;     /* of the layer; owned by the plan */
    enum ft_layer_kind kind;
    uint64_t parameters, multiply_adds;
};

struct ft_plan {
    struct ft_shape input, output;
    struct ft_value pixels, result;
    const struct ft_pixel_row *pixel_row;
    float scale[FT_PIXEL_PERIOD], offset[FT_PIXEL_PERIOD];
    bool exact, portable;
    bool borrows;  /* the memory below is that of another plan (ft_plan_tail) */
    int16_t *wide; /* [3][256] the integer of each pixel, if `pixels` has 16 bits; else NULL */
    enum ft_precision precision;
    int n_buffers, n_steps, n_stages;
    struct ft_buffer *buffers;
    struct ft_step *steps;
    float *constants; /* packed weights and biases, in order of use */
    /* Steps before `together` run picture by picture, in the same memory. The later steps have many
     * weights for their pixels; they run for up to `pictures` at a time. The arena holds first the
     * buffers of the former, then those that the latter use, once for each picture, then the
     * scratch. */
    int together, pictures;
    size_t arena_floats, scratch_offset; /* for one picture; `apart` more for each further one */
    size_t apart, scratch_floats;        /* the members of a team divide the scratch */
    char *names;                         /* of all steps, one after the other */
};

/* Makes steps, values and buffers from folded nodes. */
int ft_plan_emit(struct ft_plan *plan, const struct ft_nodes *nodes, struct ft_error *err);
/* Sets when buffers are written first and read last. */
void ft_plan_lifetimes(struct ft_plan *plan);
/* Makes all steps integer that can be, with scales from the ranges, and adds steps that convert
 * between floats and bytes. Must be called directly after ft_plan_emit. */
int ft_plan_quantize(struct ft_plan *plan, const struct ft_ranges *ranges, struct ft_error *err);
/* Which buffers of an int8 plan have bytes, and which steps compute with integers (int8_kinds.c).
 */
struct ft_kinds {
    const struct ft_plan *plan;
    int n;       /* its buffers */
    bool *bytes; /* [n] the buffer has bytes */
    bool wide;   /* the buffer of the pixels has 16-bit integers */
};
int ft_kinds_find(const struct ft_plan *plan, struct ft_kinds *out, struct ft_error *err);
void ft_kinds_release(struct ft_kinds *kinds);
bool ft_kinds_integer(const struct ft_kinds *kinds, const struct ft_step *step);
/* Whether the step reads the pixels as 16-bit integers. */
bool ft_kinds_wide(const struct ft_kinds *kinds, const struct ft_step *step);
/* Whether the channels of a buffer can be balanced: it has floats, which convolutions alone read as
 * bytes. */
bool ft_kinds_balanced(const struct ft_kinds *kinds, int buffer);
bool ft_step_convolves(const struct ft_step *step);
/* What a channel is multiplied with. */
static inline float ft_balance_factor(char balance)
{
    return ldexpf(1, balance - FT_BALANCE_ONE);
}
/* Whether `later` overwrites the output of `s`. */
bool ft_step_overwrites(const struct ft_step *later, const struct ft_step *s);
/* Runs one picture; calls `each` after each step with the step's output. */
void ft_plan_watch(const struct ft_plan *plan, const uint8_t *pixels, void *arena,
                   void (*each)(void *context, int step, const struct ft_map *out), void *context);
/* Gives buffers the borders that the steps read, and lays all buffers out in one arena. `pictures`
 * is that of ft_plan_options. */
int ft_plan_layout(struct ft_plan *plan, int pictures, struct ft_error *err);
/* Chooses a row for every step and packs the weights in the layout of that row. The kernels of
 * `network` are read one after the other, so that few of them are in memory at the same time. */
int ft_plan_pack(struct ft_plan *plan, const struct ft_network *network, struct ft_error *err);

/* Finds the blocks of steps that run together. Must be called before ft_plan_layout. */
void ft_plan_blocks(struct ft_plan *plan, enum ft_plan_blocks wanted);
/* Floats of scratch that all parts of the block beginning at step s need together. Rows must have
 * been chosen. */
size_t ft_block_scratch(const struct ft_step *s);
/* Computes rows y0..y1 of the output of the block that begins at s, band by band. `last` is the
 * work of its last step, with y0, y1 and all maps except `in`; `in` is the map that the first step
 * reads. Adds the time of each step, in seconds, to seconds [steps of the block]; nullable. */
void ft_block_run(const struct ft_step *s, const struct ft_work *last, const struct ft_map *in,
                  double *seconds);

/* Divides the steps into parts and stages. Rows must have been chosen and buffers laid out. */
void ft_plan_stages(struct ft_plan *plan);
/* Sets y0, y1, c0 and c1 of `work` to one of `parts` parts of a step. The range may be empty. */
void ft_step_part(const struct ft_step *step, int part, int parts, struct ft_work *work);

/* The map of a value in an arena, for the first picture. Without an arena (NULL), the map has shape
 * and strides only. */
struct ft_map ft_value_map(const struct ft_plan *plan, const struct ft_value *value, float *arena);

#endif
