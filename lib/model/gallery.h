/* A gallery in its model's file: the root dataset `finetune_gallery`, bytes:
 *
 *     "ftlooks1", n and FT_CODE as u32, labels [n] i32 (all little-endian), codes [n, FT_CODE], n
 *         paths that end in NUL
 */
#ifndef FT_MODEL_GALLERY_H
#define FT_MODEL_GALLERY_H

#include "finetune.h"

int ft_gallery_write(const struct ft_gallery *gallery, const char *path, struct ft_error *err);
/* *out is NULL where there is none; labels are below k. */
int ft_gallery_read(const char *path, int k, struct ft_gallery **out, struct ft_error *err);

#endif
