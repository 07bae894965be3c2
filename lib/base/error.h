/* Functions that fill the caller's struct ft_error. */
#ifndef FT_BASE_ERROR_H
#define FT_BASE_ERROR_H

#include <stdarg.h>

#include "finetune.h"

/* Sets the code and the message, and returns the code. `err` is nullable in all of these functions.
 */
int ft_error_set(struct ft_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Sets FT_EIO, or FT_ENOMEM if memory or descriptors ran out, and appends strerror(errno): "cannot
 * open 'x': no such file or directory". */
int ft_error_errno(struct ft_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Puts "format: " before the existing message, to say where an error of a called function happened.
 * Sets and returns the code. */
int ft_error_prefix(struct ft_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Sets FT_ENOMEM and "out of memory for WHAT". */
int ft_error_nomem(struct ft_error *err, const char *what);

#if defined(__clang_analyzer__) && !defined(FT_ERROR_FUNCTIONS)
/* The analyser of clang-tidy looks at one source file at a time. It must know that none of these
 * returns 0. */
#define ft_error_set(err, code, ...)    (ft_error_set(err, code, __VA_ARGS__), (code))
#define ft_error_errno(err, ...)        (ft_error_errno(err, __VA_ARGS__), FT_EIO)
#define ft_error_prefix(err, code, ...) (ft_error_prefix(err, code, __VA_ARGS__), (code))
#define ft_error_nomem(err, what)       (ft_error_nomem(err, what), FT_ENOMEM)
#endif

#endif
