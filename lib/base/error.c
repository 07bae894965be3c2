/* Messages are cut, never overrun; file names inside them are the caller's bytes, control
 * characters replaced by '?'. */
#define FT_ERROR_FUNCTIONS
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void clean(char *s)
{
    for (; *s; s++) {
        /* U+0080 to U+009F in UTF-8 */
        const bool c1 = (unsigned char)s[0] == 0xc2 && ((unsigned char)s[1] & 0xe0) == 0x80;
        if ((unsigned char)*s < 0x20 || *s == 0x7f || c1)
            *s = '?';
        if (c1)
            *++s = '?';
    }
}

int ft_error_set(struct ft_error *err, int code, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->msg, sizeof err->msg, format, args);
        va_end(args);
        clean(err->msg);
        err->code = code;
    }
    return code;
}

int ft_error_errno(struct ft_error *err, const char *format, ...)
{
    const int number = errno;
    if (err) {
        va_list args;
        va_start(args, format);
        const int n = vsnprintf(err->msg, sizeof err->msg, format, args);
        va_end(args);
        if (n >= 0 && (size_t)n < sizeof err->msg) {
            const char *why = strerror(number);
            snprintf(err->msg + n, sizeof err->msg - (size_t)n, ": %c%s", why[0] | 0x20, why + 1);
        }
        clean(err->msg);
        err->code = FT_EIO;
    }
    return FT_EIO;
}

int ft_error_prefix(struct ft_error *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    char deeper[sizeof err->msg];
    memcpy(deeper, err->msg, sizeof deeper);
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->msg)
        snprintf(err->msg + n, sizeof err->msg - (size_t)n, ": %.*s", (int)(sizeof deeper - 1),
                 deeper);
    clean(err->msg);
    err->code = code;
    return code;
}

int ft_error_nomem(struct ft_error *err, const char *what)
{
    return ft_error_set(err, FT_ENOMEM, "out of memory for %s", what);
}
