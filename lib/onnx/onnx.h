/* Reading and writing ONNX files. The layout of ONNX is channels first, [1, c, h, w]; that of a
 * network is channels last. README.md says how one becomes the other. */
#ifndef FT_ONNX_ONNX_H
#define FT_ONNX_ONNX_H

#include "network/reader.h"

/* Refuses every file with a hint if the program was built without libprotobuf-c. */
extern const struct ft_reader ft_onnx_reader;

/* Whether a file that begins with these bytes [n] looks like an ONNX model: a message whose first
 * field is a version of the format. */
bool ft_onnx_is(const char *path, const uint8_t *start, size_t n);

/* Of ft_reader: the files beside an ONNX file whose names begin with its name without ".onnx". They
 * are its external data, as exporters name them. */
uint64_t ft_onnx_bytes_beside(const char *path);

struct ft_onnx_export {
    int features; /* the layer that gives the output `features` */
    int height, width, channels, classes, feature_count;
    bool channels_first; /* the input is [n, 3, h, w], not [n, h, w, 3] */
    bool uint8;          /* the input is uint8, not float32 */
    bool fp16;           /* kernels are stored as float16; the network computes in float32 */
    /* metadata_props [n_entries] */
    int n_entries;
    const char *const *keys, *const *values;
};
/* Writes a network whose output is a vector of probabilities: opset 17, input `image` with values
 * 0-255, outputs `probabilities` and `features`. The file is replaced atomically; *size receives
 * its size. Returns FT_EUNSUPPORTED if a layer cannot be written, or if the program was built
 * without libprotobuf-c. */
int ft_onnx_write(const struct ft_network *network, const struct ft_onnx_export *options,
                  const char *path, uint64_t *size, struct ft_error *err);

#endif
