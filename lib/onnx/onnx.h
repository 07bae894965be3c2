/* Reading ONNX files. The layout of ONNX is channels first, [1, c, h, w]; that of a network is
 * channels last. README.md says how one becomes the other. */
#ifndef FT_ONNX_ONNX_H
#define FT_ONNX_ONNX_H

#include "network/reader.h"

/* Refuses every file with a hint if the program was built without libprotobuf-c. */
extern const struct ft_reader ft_onnx_reader;

/* Whether a file that begins with these bytes [n] looks like an ONNX model: a message whose first
 * field is a version of the format. */
bool ft_onnx_is(const char *path, const uint8_t *start, size_t n);

#endif
