/* A gallery in its model's file: the root dataset `finetune_gallery`, bytes:
 *
 *     "ftlooks1", n and FT_CODE as u32, labels [n] i32 (all little-endian), codes [n, FT_CODE], n
 *         paths that end in NUL
 */
#ifndef FT_MODEL_GALLERY_H
#define FT_MODEL_GALLERY_H

#include "finetune-tools.h"

#define FT_GALLERY_NAME "finetune_gallery"

/* The bytes of that dataset; *out must be freed with free(). */
int ft_gallery_encode(const struct ft_gallery *gallery, uint8_t **out, size_t *size,
                      struct ft_error *err);
/* A deep copy. */
int ft_gallery_copy(const struct ft_gallery *gallery, struct ft_gallery **out,
                    struct ft_error *err);
/* Reads the gallery of a model file with k classes. *out is NULL if the file has none. */
int ft_gallery_read(const char *path, int k, struct ft_gallery **out, struct ft_error *err);

#endif
