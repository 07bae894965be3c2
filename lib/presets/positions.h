/* Position embeddings for another input size. Private to presets/. */
#ifndef FT_PRESETS_POSITIONS_H
#define FT_PRESETS_POSITIONS_H

/* Resizes a map `in` [from[0], from[1], c] to `out` [to[0], to[1], c], as keras.ops.image.resize
 * does with interpolation "bicubic" and without antialiasing: R. Keys's kernel with a = -0.5 and
 * half-pixel centres; beyond the edge there are no weights (ResizeBicubic of TensorFlow, which
 * rounds positions to 1/1024). */
void ft_resize_positions(const float *in, const int from[2], float *out, const int to[2], int c);

#endif
