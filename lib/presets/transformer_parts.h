/* The parts of a transformer: paths of its weights, and the layers inside a block. Private to
 * presets/. Names are those of layers, paths those of groups of weights.
 */
#ifndef FT_PRESETS_TRANSFORMER_PARTS_H
#define FT_PRESETS_TRANSFORMER_PARTS_H

#include "presets/builder.h"

enum { FT_TOWER_PATH = 512, FT_TOWER_NAME = 64 };

struct ft_tower {
    struct ft_builder *b;
    const char *root;       /* group of all its weights: "" or "layers/clip_vision_encoder/" */
    double epsilon;         /* of normalisations */
    const char *activation; /* between the two dense layers, as KerasHub names it */
};

/* "ROOT/GROUP/REST" in to [FT_TOWER_PATH]; group or rest may be "". Returns `to`. */
const char *ft_tower_path(const struct ft_tower *x, const char *group, const char *rest, char *to);

/* A layer "BLOCK_SUFFIX" with one or two inputs. */
int ft_tower_one(struct ft_tower *x, enum ft_layer_kind kind, const char *block, const char *suffix,
                 int input);
int ft_tower_two(struct ft_tower *x, enum ft_layer_kind kind, const char *block, const char *suffix,
                 int first, int second);

int ft_tower_norm(struct ft_tower *x, const char *name, int input, const char *block,
                  const char *group);
int ft_tower_dense(struct ft_tower *x, const char *name, int input, const char *block,
                   const char *group);
int ft_tower_attention(struct ft_tower *x, const char *name, const int *inputs, int n,
                       const char *group);
/* Weight `w` becomes columns first .. first + n - 1 of `from` [rows, columns] or [columns]. */
void ft_tower_columns(struct ft_tower *x, int layer, int w, const struct ft_tensor *from,
                      int64_t first, int64_t n);
/* Divides the channels of an attention layer, whose weights are those of dense layers [c, d], into
 * heads. Returns 0 or an error. */
int ft_tower_heads(struct ft_tower *x, int layer, int heads);
/* gelu by tanh: x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)) (D. Hendrycks and K. Gimpel, 2016),
 * from layers that Keras has. */
int ft_tower_gelu_approximate(struct ft_tower *x, const char *block, int input);
/* Two dense layers with the tower's activation between them. */
int ft_tower_mlp(struct ft_tower *x, const char *name, int input, const char *block, const char *up,
                 const char *down);
/* SwiGLU: swish(first half) * second half of one dense layer, then another (N. Shazeer, GLU
 * Variants Improve Transformer, 2020). */
int ft_tower_gated_mlp(struct ft_tower *x, const char *name, int input, const char *block,
                       const char *gated, const char *down);
/* The same from two dense layers: activation(GATE) * UP, then DOWN. */
int ft_tower_gated_pair(struct ft_tower *x, const char *name, int input, const char *block,
                        const char *gate, const char *up, const char *down);

/* The layer scale NAME of a block; without data if `name` is NULL. */
struct ft_tensor ft_tower_layer_scale(struct ft_tower *x, const char *block, const char *name);
/* Multiplies a weight by `factor`, and by gamma [last axis] if that has data. */
void ft_tower_scale(struct ft_tower *x, int layer, int w, const struct ft_tensor *gamma,
                    double factor);

#endif
