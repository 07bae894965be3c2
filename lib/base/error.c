/* A message that is too long is cut. File names in messages may hold any bytes; control characters
 * are replaced by '?'. */
#define FT_ERROR_FUNCTIONS
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "finetune-tools.h"

int ft_error_set(struct ft_error *err, int code, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->msg, sizeof err->msg, format, args);
        va_end(args);
        ft_text_plain(err->msg, "");
        err->code = code;
    }
    return code;
}

int ft_error_errno(struct ft_error *err, const char *format, ...)
{
    const int number = errno;
    const int code = number == ENOMEM || number == EMFILE || number == ENFILE ? FT_ENOMEM : FT_EIO;
    if (err) {
        va_list args;
        va_start(args, format);
        const int n = vsnprintf(err->msg, sizeof err->msg, format, args);
        va_end(args);
        if (n >= 0 && (size_t)n < sizeof err->msg) {
            const char *why = strerror(number);
            snprintf(err->msg + n, sizeof err->msg - (size_t)n, ": %c%s", why[0] | 0x20, why + 1);
        }
        ft_text_plain(err->msg, "");
        err->code = code;
    }
    return code;
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
    ft_text_plain(err->msg, "");
    err->code = code;
    return code;
}

int ft_error_nomem(struct ft_error *err, const char *what)
{
    return ft_error_set(err, FT_ENOMEM, "out of memory for %s", what);
}
