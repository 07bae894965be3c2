/* Fuzz targets: each takes any bytes and must return, with nothing lost and nothing damaged. What
 * must hold is checked with REQUIRE, which ends the process. The same functions run on stored
 * inputs in the test command (replay.c).
 */
#ifndef FT_TESTS_FUZZ_H
#define FT_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

typedef void fuzz_target(const uint8_t *data, size_t size);

fuzz_target fuzz_picture; /* a picture's file; vectors and plain code give the same pixels */
fuzz_target fuzz_gif, fuzz_webp, fuzz_bmp, fuzz_tiff, fuzz_avif, fuzz_heif, fuzz_jxl,
    fuzz_pnm;              /* the decoder of one format, on files that begin as it does */
fuzz_target fuzz_exif;     /* first byte even: a TIFF structure, odd: an XMP packet */
fuzz_target fuzz_config;   /* model_config */
fuzz_target fuzz_metadata; /* our attribute in a model file */
fuzz_target fuzz_archive;  /* a .keras file */
fuzz_target fuzz_labels;   /* a table of labels */
fuzz_target fuzz_lists;    /* --files-from; first byte even: lines, odd: NUL */
fuzz_target fuzz_segment;  /* a segment of the cache */
fuzz_target fuzz_options;  /* a command line, arguments separated by NUL */
fuzz_target fuzz_transfer; /* what an isolated reader hands over */
fuzz_target fuzz_hdf5;     /* a file that is opened as a model */
fuzz_target fuzz_onnx;     /* an ONNX file */

/* A file in memory (or in /dev/shm) with these bytes, made new for each call; its path stays valid
 * until the next. */
const char *fuzz_file(const uint8_t *data, size_t size);
/* The bytes as text that ends in NUL; the caller frees it. */
char *fuzz_text(const uint8_t *data, size_t size);

#endif
