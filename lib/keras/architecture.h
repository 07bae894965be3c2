/* What a weights-only file leaves out: descriptions of known networks, one text file each
 * (weights/architectures, made from Keras by scripts/make_architectures.py). Widths are those of
 * the weights, so that one description serves all widths of a family.
 *
 *     !preprocess caffe                 how pixels enter: tf, torch, caffe, none
 *     !variant resnet50 224 23587712    name, input size, number of weights up to the cut
 *     !cut avg_pool                     the layer that a file without top ends in
 *     !layers 106 107                   how many layers have weights up to the cut, and in all: a
 *                                       quick look (may be left out)
 *     = a Conv2D {"kernel_size":7}      class and settings, for use below
 *     conv1_conv a 1                    a layer: name, settings, inputs as lines back (none: the
 *                                       line before; =3.0: a number)
 *     {stem                             a Sequential inside the network, up to the line }
 */
#ifndef FT_KERAS_ARCHITECTURE_H
#define FT_KERAS_ARCHITECTURE_H

#include "keras/draft.h"
#include "network/reader.h"

/* Finds the description that fits the weights in `group` (0: the layout of Keras 3). draft->name
 * and draft->preprocess are set, weights are not read. */
int ft_architecture_draft(const struct ft_h5 *h5, int64_t group,
                          const struct ft_reader_options *options, struct ft_draft *draft,
                          struct ft_error *err);

struct ft_variant {
    char name[64];
    int size;
    uint64_t weights;
};

struct ft_description {
    char name[64], preprocess[16], cut[128];
    int n_variants;
    struct ft_variant variants[16];
    int n_layers;
    cJSON *json; /* {"class_name": "Functional", ...}, output_layers left out */
    char last[128];
};
int ft_description_read(const char *path, struct ft_description *out, struct ft_error *err);
/* Whether a description may be of a network with so many layers that have weights, as far as its
 * first lines say. */
bool ft_description_may_fit(const char *path, int layers);
void ft_description_release(struct ft_description *d);

#endif
