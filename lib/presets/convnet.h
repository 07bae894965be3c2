/* Building a convolutional network of KerasHub. Private to presets/.
 *
 * The layers are those of keras_hub, one by one and in the order of its calls. Keras names the
 * group of a layer's weights after its class and its number in model.layers, for example
 * "layers/conv2d_12", so the groups are known when the network is complete. Some families make a
 * block one layer of their own; the weights are then in groups of that layer.
 */
#ifndef FT_PRESETS_CONVNET_H
#define FT_PRESETS_CONVNET_H

#include "keras/fields.h"
#include "presets/builder.h"

enum { FT_CONVNET_NAME = 256 };

/* Where the weights of a layer are. */
struct ft_convnet_place {
    char group[FT_CONVNET_NAME]; /* "": after its class and number */
    /* of a layer that keras_hub has as one, and this network as several: the layer whose group it
     * uses (0: its own), and which output channels it has (n 0: all) */
    int twin, first, n;
};

struct ft_convnet {
    struct ft_builder *b;
    const cJSON *config;
    double epsilon;               /* of normalisations */
    char prefix[FT_CONVNET_NAME]; /* of the names of layers */
    /* The group of a block that is one layer, for example "layers/cba_block_2"; "": none. The name
     * of a layer without its prefix is then the name of its group. */
    char block[FT_CONVNET_NAME];
    struct ft_convnet_place *places; /* [capacity] of all layers */
    size_t capacity;
};

/* ---- settings: 0 or "" after an error, which is kept in the builder -------------------------- */

int ft_convnet_count(const cJSON *list);
/* Item i of a list: a number from `least` to 65536. */
int ft_convnet_item(struct ft_convnet *x, const cJSON *list, int i, int least);
/* The list `key`. */
const cJSON *ft_convnet_list(struct ft_convnet *x, const char *key);
/* Item i of row `row` of a list of lists; NULL if there is none. */
const cJSON *ft_convnet_cell(struct ft_convnet *x, const char *key, int row, int i);
/* The same as a number from `least` to 65536. */
int ft_convnet_cell_int(struct ft_convnet *x, const char *key, int row, int i, int least);
/* A number that must not be negative; `otherwise` if it is absent or null. */
double ft_convnet_number(struct ft_convnet *x, const cJSON *value, double otherwise);
bool ft_convnet_bool(struct ft_convnet *x, const char *key, bool otherwise);
/* An activation by the name that Keras gives it; linear if it is absent or null. */
enum ft_activation ft_convnet_activation(struct ft_convnet *x, const cJSON *value);

/* ---- layers: each returns its index; `name` follows the prefix ------------------------------- */

void ft_convnet_prefix(struct ft_convnet *x, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

int ft_convnet_one(struct ft_convnet *x, enum ft_layer_kind kind, const char *name, int input);
int ft_convnet_two(struct ft_convnet *x, enum ft_layer_kind kind, const char *name, int first,
                   int second);
int ft_convnet_merge(struct ft_convnet *x, enum ft_layer_kind kind, const char *name,
                     const int *inputs, int n);
/* A convolution without activation. `same`: padding of Keras. */
int ft_convnet_conv(struct ft_convnet *x, const char *name, int input, int filters, int kernel,
                    int stride, bool same);
/* `kind`: a convolution of each channel, or a pool. */
int ft_convnet_window(struct ft_convnet *x, enum ft_layer_kind kind, const char *name, int input,
                      int kernel, int stride, bool same);
int ft_convnet_norm(struct ft_convnet *x, const char *name, int input);
/* hard_sigmoid and hard_swish become several layers, the last of which has the name: files of Keras
 * 2 cannot express them in one. */
int ft_convnet_activate(struct ft_convnet *x, const char *name, int input,
                        enum ft_activation activation);
/* The largest of 3 x 3, every second; a border does not count, as keras_hub pads with -inf. */
int ft_convnet_max_pool(struct ft_convnet *x, const char *name, int input);
int ft_convnet_pad(struct ft_convnet *x, const char *name, int input, int pixels);
/* Squeeze and excitation (J. Hu et al., 2018): the input times a gate for each channel. The two
 * convolutions are called `reduce` and `expand`. */
int ft_convnet_excite(struct ft_convnet *x, int input, const char *reduce, const char *expand,
                      int squeezed, int channels, enum ft_activation inner,
                      enum ft_activation gate);

/* Layer `layer` has `n` channels, from `first` on, of a layer of keras_hub. `twin`: a layer that
 * has others of them; 0 for the first. */
void ft_convnet_part(struct ft_convnet *x, int layer, int twin, int first, int n);

/* Reads the weights of all layers that have none yet; `output` is the last. */
void ft_convnet_weights(struct ft_convnet *x, int output);

/* ---- families: the index of the last layer --------------------------------------------------- */

typedef int ft_convnet_family(struct ft_convnet *x, int input);
ft_convnet_family ft_convnet_vgg, ft_convnet_resnet, ft_convnet_densenet, ft_convnet_xception,
    ft_convnet_efficientnet, ft_convnet_mobilenet, ft_convnet_mobilenet_v5, ft_convnet_hgnet,
    ft_convnet_cspnet, ft_convnet_mit, ft_convnet_swin;

/* The description of a class of keras_hub, or NULL. */
ft_convnet_family *ft_convnet_find(const char *class);
/* Builds it behind the layer `input`. Returns its last layer, or 0 after an error. */
int ft_convnet_build(struct ft_builder *b, const cJSON *json, int input);

#endif
