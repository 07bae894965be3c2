/* Architectures: descriptions of known networks, which files of weights alone lack. One text file
 * each (weights/architectures, made from Keras by scripts/make_architectures.py). Widths are those
 * of the weights, so that one architecture serves all widths of a family.
 *
 *     !preprocess caffe                 how pixels enter: tf, torch, caffe, none
 *     !variant resnet50 224 23587712    name, input size, number of weights up to the cut
 *     !cut avg_pool                     the layer that a file without top ends in
 *     !layers 106 107                   number of layers with weights up to the cut, and in all
 *                                       (optional: saves reading architectures that cannot fit)
 *     = a Conv2D {"kernel_size":7}      class and settings, under a letter used below
 *     conv1_conv a 1                    a layer: name, settings, inputs as lines back (none: the
 *                                       line before; =3.0: a number)
 *     {stem                             a Sequential inside the network, up to the line }
 */
#ifndef FT_KERAS_ARCHITECTURE_TEXT_H
#define FT_KERAS_ARCHITECTURE_TEXT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "finetune-tools.h"

struct ft_variant {
    char name[64];
    int size;
    uint64_t weights;
};

struct ft_architecture {
    char name[64], preprocess[16], cut[128];
    int n_variants;
    struct ft_variant variants[16];
    int n_layers;
    cJSON *json; /* {"class_name": "Functional", ...}, without output_layers */
    char last[128];
};
int ft_architecture_read(const char *path, struct ft_architecture *out, struct ft_error *err);
/* Whether an architecture can have this number of layers with weights, according to its first
 * lines; true if they do not say. */
bool ft_architecture_may_fit(const char *path, int layers);
void ft_architecture_release(struct ft_architecture *d);

/* Names of the networks that a folder of architectures describes. Returns 0, or the error of the
 * first file (or of the folder) that could not be read; the others are read all the same. */
int ft_architecture_names(const char *folder, void (*each)(void *user, const char *name),
                          void *user);

#endif
