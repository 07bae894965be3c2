/* Making a network layer by layer, with weights from an HDF5 file. The first error is kept and
 * makes all later calls do nothing, so that a description of a network is not interrupted by
 * checks. Private to presets/.
 */
#ifndef FT_PRESETS_BUILDER_H
#define FT_PRESETS_BUILDER_H

#include "keras/h5.h"
#include "network/network.h"

struct ft_builder {
    struct ft_network *network; /* its layers are appended to */
    const struct ft_h5 *h5;     /* [n_h5] a weight is in one of them */
    int n_h5;
    int capacity;
    int rc; /* the first error, or 0 */
    struct ft_error *err;
};

/* Keeps the first error and its message. Returns it. */
int ft_build_fail(struct ft_builder *b, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends a layer with inputs [n]. Returns its index, or 0 after an error. */
int ft_build_layer(struct ft_builder *b, enum ft_layer_kind kind, const char *name,
                   const int *inputs, int n);
/* The layer, to set its parameters; valid until the next ft_build_layer. */
struct ft_layer *ft_build_at(struct ft_builder *b, int layer);

/* Reads weight `w` of a layer from the dataset at `path`. It is an error if there is none. */
void ft_build_read(struct ft_builder *b, int layer, int w, const char *path);
/* The dataset at `path`; a tensor without data after an error, or if there is none and it is
 * not `required`. */
struct ft_tensor ft_build_tensor(struct ft_builder *b, const char *path, bool required);
/* Gives a layer a new weight [rank], uninitialised. Returns its values, owned by the network, or
 * NULL after an error. */
float *ft_build_weight(struct ft_builder *b, int layer, int w, int rank, const int64_t *shape);

/* Common layers. `name` is that of the layer, `path` the group of its weights. */
int ft_build_dense(struct ft_builder *b, const char *name, int input, const char *path,
                   bool biased);
int ft_build_norm(struct ft_builder *b, const char *name, int input, const char *path,
                  double epsilon);

#endif
