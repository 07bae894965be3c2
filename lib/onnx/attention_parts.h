/* The queries, keys and values of attention: views of Dense layers. Private to onnx/. */
#ifndef FT_ONNX_ATTENTION_PARTS_H
#define FT_ONNX_ATTENTION_PARTS_H

#include "onnx/import.h"

/* Columns of a Dense layer, perhaps normalised and scaled. */
struct ft_attention_part {
    const struct ft_view *view;
    bool turned;      /* the view is [.., each, tokens], not [.., tokens, each] */
    int dense, input; /* layers */
    bool offset;      /* something is added after the Dense layer */
    int64_t windows, heads, tokens, each; /* windows: rows of the layer; 1: all pixels attend */
};

/* Reads a part. Returns false if the value is not such a view. */
bool ft_attention_part_read(const struct ft_import *x, const char *name, bool turned,
                            struct ft_attention_part *p);

/* Sets weight w of a layer, [c, heads, each], to factor * the part, and the bias after it. */
int ft_attention_part_set(struct ft_import *x, int layer, int w, const struct ft_attention_part *p,
                          double factor);

#endif
