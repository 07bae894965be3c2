/* Libraries that few runs need are loaded when they are first used: linking all of them would make
 * every start some milliseconds slower, and a program would not start where one of them is missing.
 *
 *     #define CALLS(X) X(WebPDecode) X(WebPFreeDecBuffer)
 *     FT_LIBRARY(webp, FT_LIBWEBP, CALLS);
 *     ...
 *     int rc = ft_library_load(&webp_library, err);
 *     if (!rc)
 *         webp.WebPDecode(...);
 *
 * The build finds the file's name (FT_LIBWEBP, "libwebp.so.7"), which includes the version of the
 * binary interface. The header of the library gives the types. */
#ifndef FT_BASE_LIBRARY_H
#define FT_BASE_LIBRARY_H

#include <stdatomic.h>

#include "finetune-tools.h"

struct ft_library {
    const char *file;
    const char *const *names; /* of its functions; ends with NULL */
    void *functions;          /* a struct of pointers to them, in this order */
    atomic_bool loaded;
};

/* Loads the library and finds its functions, unless that was done before. The library stays loaded
 * until the process ends. Fails with FT_EUNSUPPORTED. Thread-safe. */
int ft_library_load(struct ft_library *library, struct ft_error *err);

#define FT_LIBRARY_MEMBER(function) __typeof__(function) *function;
#define FT_LIBRARY_NAME(function)   #function,
#define FT_LIBRARY(name, file, CALLS)                                                              \
    static struct {                                                                                \
        CALLS(FT_LIBRARY_MEMBER)                                                                   \
    } name;                                                                                        \
    static const char *const name##_names[] = { CALLS(FT_LIBRARY_NAME) NULL };                     \
    static struct ft_library name##_library = { file, name##_names, &name, false }

#endif
