#include "model/class_names.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backbone/backbone.h"
#include "base/error.h"
#include "base/json.h"
#include "base/file.h"
#include "base/memory.h"

#define NAMES_LIMIT ((size_t)1 << 20)
enum { IMAGENET_CLASSES = 1000 };

struct names {
    char **at; /* [k] */
    int n, k;  /* n names were found, also if that is more than k */
};

static void free_names(struct names *names)
{
    for (int i = 0; names->at && i < names->k; i++)
        free(names->at[i]);
    free(names->at);
}

/* Keeps a name of `length` bytes as the next one. */
static int add(struct names *names, const char *name, size_t length, struct ft_error *err)
{
    if (names->n++ >= names->k)
        return 0;
    char *copy = malloc(length + 1);
    if (!copy)
        return ft_error_nomem(err, "class names");
    memcpy(copy, name, length);
    copy[length] = 0;
    names->at[names->n - 1] = copy;
    return 0;
}

/* Skips the number at the beginning of a line if it is the number of the line. */
static const char *without_number(const char *line, int number)
{
    char *end;
    const long n = strtol(line, &end, 10);
    return isdigit((unsigned char)*line) && n == number && *end == ' ' && end[1] ? end + 1 : line;
}

/* The names between separators; empty ones are skipped, spaces at both ends removed. */
static int split(const char *text, const char *separators, struct names *names,
                 struct ft_error *err)
{
    int rc = 0;
    while (!rc && *text) {
        size_t length = strcspn(text, separators);
        const char *next = text + length + (text[length] != 0);
        while (length && isspace((unsigned char)text[length - 1]))
            length--;
        for (; length && isspace((unsigned char)*text); length--)
            text++;
        const char *name = length ? without_number(text, names->n) : text;
        if (length)
            rc = add(names, name, length - (size_t)(name - text), err);
        text = next;
    }
    return rc;
}

/* The last string of an array, as in ["n01440764", "tench"], or the string itself, or NULL. */
static const char *last_string(const cJSON *item)
{
    return cJSON_GetStringValue(
        cJSON_IsArray(item) ? cJSON_GetArrayItem(item, cJSON_GetArraySize(item) - 1) : item);
}

/* Index and name of one entry of a JSON object; -1: neither {name: index} nor {index: name}. */
static int entry(const cJSON *item, const char **name)
{
    char *end;
    if (cJSON_IsNumber(item)) {
        *name = item->string;
        return item->valuedouble >= 0 && item->valuedouble == item->valueint ? item->valueint : -1;
    }
    *name = last_string(item);
    const long index = strtol(item->string, &end, 10);
    return *name && isdigit((unsigned char)*item->string) && !*end && index < INT32_MAX ? (int)index
                                                                                        : -1;
}

static int read_object(const cJSON *json, struct names *names, struct ft_error *err)
{
    int rc = 0;
    for (const cJSON *item = json->child; !rc && item; item = item->next) {
        const char *name;
        const int index = entry(item, &name);
        names->n++;
        if (index < 0)
            return ft_error_set(err, FT_EFORMAT, "'%s' is neither {name: index} nor {index: name}",
                                item->string);
        if (index < names->k && names->at[index])
            return ft_error_set(err, FT_EFORMAT, "index %d has two names, '%s' and '%s'", index,
                                names->at[index], name);
        if (index >= names->k)
            return ft_error_set(err, FT_EFORMAT, "index %d is outside the %d classes of the model",
                                index, names->k);
        if (!(names->at[index] = ft_strdup(name)))
            rc = ft_error_nomem(err, "class names");
    }
    return rc;
}

static int read_json(const char *text, struct names *names, struct ft_error *err)
{
    cJSON *json;
    int rc = ft_json_parse(text, strlen(text), &json, err);
    if (rc)
        return rc;
    if (cJSON_IsObject(json))
        rc = read_object(json, names, err);
    else
        for (const cJSON *item = json->child; !rc && item; item = item->next) {
            const char *name = last_string(item);
            rc = name ? add(names, name, strlen(name), err)
                      : ft_error_set(err, FT_EFORMAT, "name %d is not a string", names->n);
        }
    cJSON_Delete(json);
    return rc;
}

/* The names in a text: JSON, lines, or one line with commas. */
static int read_text(const char *text, struct names *names, struct ft_error *err)
{
    if (!strncmp(text, "\xef\xbb\xbf", 3)) /* a byte order mark */
        text += 3;
    const size_t space = strspn(text, " \t\r\n"), line = strcspn(text + space, "\r\n");
    if (text[space] == '{' || (text[space] == '[' && strchr(text, ']')))
        return read_json(text + space, names, err);
    const bool one = !text[space + line + strspn(text + space + line, " \t\r\n")];
    return split(text, one && names->k > 1 ? "," : "\r\n", names, err);
}

static int read_file(const char *file, struct names *names, struct ft_error *err)
{
    struct ft_bytes bytes = { 0 };
    int rc = ft_file_read(file, NAMES_LIMIT, &bytes, err);
    char *text = rc ? NULL : calloc(bytes.size + 1, 1);
    if (!rc && !text)
        rc = ft_error_nomem(err, "class names");
    if (!rc) {
        if (bytes.size) /* its buffer is NULL */
            memcpy(text, bytes.data, bytes.size);
        rc = read_text(text, names, err);
    }
    free(text);
    ft_bytes_release(&bytes);
    return rc;
}

/* Reads names from `file`, or from the list A,B,C if `file` is NULL. */
static int collect(const char *file, const char *list, int k, char ***out, struct ft_error *err)
{
    const char *hint = list ? "" : ": correct it, or give the names with --classes";
    struct names names = { .at = calloc((size_t)k + 1, sizeof *names.at), .k = k };
    int rc = names.at ? 0 : ft_error_nomem(err, "class names");
    if (!rc)
        rc = file ? read_file(file, &names, err) : split(list, ",", &names, err);
    if (!rc && names.n != k)
        rc = ft_error_set(err, FT_EFORMAT, "%d name%s for %d classes%s", names.n,
                          names.n == 1 ? "" : "s", k, hint);
    if (rc) {
        free_names(&names);
        return rc == FT_ENOMEM ? rc
               : file          ? ft_error_prefix(err, rc, "class names in '%s'", file)
                               : ft_error_prefix(err, rc, "--classes '%.200s'", list);
    }
    *out = names.at;
    return 0;
}

static bool is_file(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISREG(st.st_mode);
}

int ft_class_names_read(const char *path, const char *given, int k, char ***out,
                        struct ft_error *err)
{
    static const char *const files[] = { "labels.txt", "class_indices.json" };
    char file[4096];
    const char *slash = strrchr(path, '/');
    if (given)
        return collect(is_file(given) ? given : NULL, given, k, out, err);
    *out = NULL;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (snprintf(file, sizeof file, "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path,
                     files[i]) < (int)sizeof file &&
            !access(file, R_OK))
            return collect(file, NULL, k, out, err);
    return 0;
}

int ft_class_names_imagenet(const char *weights_dir, char ***out, struct ft_error *err)
{
    char file[4096];
    const char *dirs[4];
    const int n = ft_weights_folders(weights_dir, dirs);
    *out = NULL;
    for (int i = 0; i < n; i++)
        if (snprintf(file, sizeof file, "%s/imagenet-classes.txt", dirs[i]) < (int)sizeof file &&
            is_file(file))
            return collect(file, NULL, IMAGENET_CLASSES, out, err);
    return 0;
}
