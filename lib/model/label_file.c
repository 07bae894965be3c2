/* Reads labels.txt, which Teachable Machine writes beside keras_model.h5. Its lines are "0 Cat",
 * "1 Dog", ... */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/label_file.h"

#define LABELS_LIMIT ((size_t)1 << 20)

/* Skips the number at the beginning of a line if it is the number of the line. */
static const char *without_number(const char *line, int number)
{
    char *end;
    const long n = strtol(line, &end, 10);
    return isdigit((unsigned char)*line) && n == number && *end == ' ' && end[1] ? end + 1 : line;
}

static int split(char *text, int k, char **names, const char *path, struct ft_error *err)
{
    int n = 0;
    if (!strncmp(text, "\xef\xbb\xbf", 3)) /* a byte order mark */
        text += 3;
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        line[strcspn(line, "\r")] = 0;
        if (*line && n < k && !(names[n] = ft_strdup(without_number(line, n))))
            return ft_error_nomem(err, "class names");
        n += *line != 0;
    }
    return n == k
               ? 0
               : ft_error_set(
                     err, FT_EFORMAT,
                     "'%s' beside it has %d names for %d classes: correct it, or move it elsewhere",
                     path, n, k);
}

int ft_label_file_read(const char *path, int k, char ***out, struct ft_error *err)
{
    char file[4096];
    struct ft_bytes bytes = { 0 };
    const char *slash = strrchr(path, '/');
    *out = NULL;
    if (snprintf(file, sizeof file, "%.*slabels.txt", slash ? (int)(slash - path) + 1 : 0, path) >=
            (int)sizeof file ||
        access(file, R_OK))
        return 0;
    int rc = ft_file_read(file, LABELS_LIMIT, &bytes, err);
    if (rc)
        ft_error_prefix(err, rc, "'%s'", file);
    char *text = rc ? NULL : calloc(bytes.size + 1, 1),
         **names = rc ? NULL : calloc((size_t)k + 1, sizeof *names);
    if (!rc && (!text || !names))
        rc = ft_error_nomem(err, "class names");
    if (!rc) {
        if (bytes.size) /* its buffer is NULL */
            memcpy(text, bytes.data, bytes.size);
        rc = split(text, k, names, file, err);
    }
    for (int i = 0; rc && names && i < k; i++)
        free(names[i]);
    if (rc)
        free(names);
    else
        *out = names;
    free(text);
    ft_bytes_release(&bytes);
    return rc;
}
