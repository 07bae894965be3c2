/* Attributes that hold strings. */
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/h5.h"

enum {
    /* bytes of one attribute: the largest configuration of keras.applications has less than 2 MB */
    TEXT_LIMIT = 8 << 20,
    NAMES_LIMIT = 1 << 17,  /* strings of one list */
    CHUNKS_LIMIT = 1 << 12, /* attributes that one list is divided among */
};

struct strings {
    hid_t attribute, type, space;
    size_t size; /* bytes of one element */
    size_t n;
    bool variable;
};

static void strings_close(struct strings *s)
{
    if (s->space >= 0)
        H5Sclose(s->space);
    if (s->type >= 0)
        H5Tclose(s->type);
    if (s->attribute >= 0)
        H5Aclose(s->attribute);
}

static int strings_open(const struct ft_h5 *h5, int64_t group, const char *name, struct strings *s,
                        struct ft_error *err)
{
    *s = (struct strings){ -1, -1, -1, 0, 0, false };
    s->attribute = H5Aopen(group, name, H5P_DEFAULT);
    s->type = s->attribute < 0 ? -1 : H5Aget_type(s->attribute);
    s->space = s->attribute < 0 ? -1 : H5Aget_space(s->attribute);
    const hssize_t n = s->space < 0 ? -1 : H5Sget_simple_extent_npoints(s->space);
    size_t bytes;
    int rc = 0;
    if (s->type < 0 || n < 0)
        rc = ft_error_set(err, FT_EFORMAT, "attribute '%s' is damaged", name);
    else if (n && H5Tget_class(s->type) != H5T_STRING)
        rc = ft_error_set(err, FT_EFORMAT, "attribute '%s' is not a string", name);
    else {
        s->n = (size_t)n;
        s->size = n ? H5Tget_size(s->type) : 1;
        s->variable = n && H5Tis_variable_str(s->type) > 0;
        if (s->n > NAMES_LIMIT || !ft_size_mul(s->n, s->size, &bytes) || bytes > TEXT_LIMIT ||
            bytes > h5->size)
            rc = ft_error_set(err, FT_ELIMIT, "attribute '%s' is too large", name);
    }
    if (rc)
        strings_close(s);
    return rc;
}

/* String i of what was read to `raw`: not always ended by a NUL. */
static const char *string_at(const struct strings *s, const char *raw, size_t i, size_t *length)
{
    const char *text = raw + i * s->size;
    if (s->variable) {
        memcpy(&text, raw + i * s->size, sizeof text);
        text = text ? text : "";
    }
    *length = s->variable ? strlen(text) : strnlen(text, s->size);
    return text;
}

/* Appends the strings in `raw`, each ended by a NUL, to *text, which grows to *used bytes. */
static int append_all(const struct strings *s, const char *raw, const char *name, char **text,
                      size_t *used, struct ft_error *err)
{
    size_t bytes = *used, length;
    for (size_t i = 0; i < s->n; i++) {
        string_at(s, raw, i, &length);
        bytes += length + 1;
    }
    if (bytes > TEXT_LIMIT)
        return ft_error_set(err, FT_ELIMIT, "attribute '%s' is too large", name);
    char *grown = realloc(*text, bytes + 1);
    if (!grown)
        return ft_error_nomem(err, name);
    for (size_t i = 0; i < s->n; i++) {
        const char *from = string_at(s, raw, i, &length);
        memcpy(grown + *used, from, length);
        grown[*used + length] = 0;
        *used += length + 1;
    }
    *text = grown;
    return 0;
}

/* Reads the attribute and appends its strings. */
static int strings_append(const struct strings *s, const char *name, char **text, size_t *used,
                          struct ft_error *err)
{
    char *raw = calloc(s->n + 1, s->size);
    if (!raw)
        return ft_error_nomem(err, name);
    if (s->n && H5Aread(s->attribute, s->type, raw) < 0) {
        free(raw);
        return ft_error_set(err, FT_EFORMAT, "attribute '%s' cannot be read: the file is damaged",
                            name);
    }
    const int rc = append_all(s, raw, name, text, used, err);
    if (s->n && s->variable)
        H5Dvlen_reclaim(s->type, s->space, H5P_DEFAULT, raw);
    free(raw);
    return rc;
}

int ft_h5_text(const struct ft_h5 *h5, int64_t group, const char *name, char **out,
               struct ft_error *err)
{
    *out = NULL;
    if (H5Aexists(group, name) <= 0)
        return 0;
    struct strings s;
    char *text = NULL;
    size_t used = 0;
    int rc = strings_open(h5, group, name, &s, err);
    if (rc)
        return rc;
    if (s.n != 1)
        rc = ft_error_set(err, FT_EFORMAT, "attribute '%s' holds %zu strings instead of one", name,
                          s.n);
    else
        rc = strings_append(&s, name, &text, &used, err);
    strings_close(&s);
    if (rc)
        free(text);
    else
        *out = text;
    return rc;
}

int ft_h5_names(const struct ft_h5 *h5, int64_t group, const char *name, struct ft_names *out,
                struct ft_error *err)
{
    struct ft_names list = { 0 };
    size_t n = 0, used = 0;
    int rc = 0;
    const bool whole = H5Aexists(group, name) > 0;
    for (int chunk = 0; !rc && chunk < CHUNKS_LIMIT && n <= NAMES_LIMIT; chunk++) {
        char cut[64];
        struct strings s;
        snprintf(cut, sizeof cut, whole ? "%s" : "%s%d", name, chunk);
        if (whole ? chunk > 0 : H5Aexists(group, cut) <= 0)
            break;
        rc = strings_open(h5, group, cut, &s, err);
        if (rc)
            break;
        rc = strings_append(&s, cut, &list.text, &used, err);
        n += s.n;
        strings_close(&s);
    }
    if (!rc) {
        list.n = (int)n;
        list.names = calloc(n + 1, sizeof *list.names);
        if (!list.names)
            rc = ft_error_nomem(err, name);
    }
    for (size_t i = 0, at = 0; !rc && i < n; at += strlen(list.text + at) + 1)
        list.names[i++] = list.text + at;
    if (rc)
        ft_names_release(&list);
    else
        *out = list;
    return rc;
}

void ft_names_release(struct ft_names *names)
{
    free(names->names);
    free(names->text);
    *names = (struct ft_names){ 0 };
}
