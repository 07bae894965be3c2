/* The text of an architecture to a Keras 3 configuration. */
#include "keras/architecture_text.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

enum { FILE_LIMIT = 1 << 20, CLASSES = 128, LAYERS = 1 << 12, TOKENS = 64, NAME = 120 };

/* One file being read. */
struct reader {
    struct ft_architecture *d;
    struct {
        char letter[8], class[64];
        cJSON *config;
    } classes[CLASSES];
    int n_classes;
    char (*names)[NAME + 8]; /* [LAYERS] layers that later lines may have as input */
    int n_names;
    cJSON *layers, *outer; /* outer: the layers of the network while inside { } */
};

/* Splits a line at spaces and returns the number of tokens. */
static int split(char *line, char **tokens, int most)
{
    int n = 0;
    for (char *save = NULL, *t = strtok_r(line, " ", &save); t && n < most;
         t = strtok_r(NULL, " ", &save))
        tokens[n++] = t;
    return n;
}

static bool keyword(struct reader *r, char **t, int n)
{
    struct ft_architecture *d = r->d;
    if (!strcmp(t[0], "!preprocess") && n == 2)
        snprintf(d->preprocess, sizeof d->preprocess, "%s", t[1]);
    else if (!strcmp(t[0], "!cut") && n == 2)
        snprintf(d->cut, sizeof d->cut, "%s", t[1]);
    else if (!strcmp(t[0], "!layers") && n == 3)
        return true; /* see ft_architecture_may_fit */
    else if (!strcmp(t[0], "!variant") && n == 4 &&
             d->n_variants < (int)(sizeof d->variants / sizeof *d->variants)) {
        struct ft_variant *v = &d->variants[d->n_variants++];
        snprintf(v->name, sizeof v->name, "%s", t[1]);
        v->size = atoi(t[2]);
        v->weights = strtoull(t[3], NULL, 10);
    } else
        return false;
    return true;
}

static bool settings(struct reader *r, char **t, int n)
{
    if (n < 3 || n > 4 || r->n_classes == CLASSES)
        return false;
    cJSON *config = n == 4 ? cJSON_Parse(t[3]) : cJSON_CreateObject();
    snprintf(r->classes[r->n_classes].letter, sizeof r->classes[0].letter, "%s", t[1]);
    snprintf(r->classes[r->n_classes].class, sizeof r->classes[0].class, "%s", t[2]);
    r->classes[r->n_classes++].config = config;
    return cJSON_IsObject(config);
}

static cJSON *add_entry(cJSON *layers, const char *class, const char *name, cJSON *config)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "class_name", class);
    cJSON_AddStringToObject(entry, "name", name);
    cJSON_DeleteItemFromObjectCaseSensitive(config, "name");
    cJSON_AddStringToObject(config, "name", name);
    cJSON_AddItemToObject(entry, "config", config);
    cJSON_AddItemToArray(layers, entry);
    return entry;
}

static cJSON *tensor(const char *name)
{
    cJSON *json = cJSON_CreateObject(), *config, *history = cJSON_CreateArray();
    cJSON_AddStringToObject(json, "class_name", "__keras_tensor__");
    config = cJSON_AddObjectToObject(json, "config");
    cJSON_AddItemToArray(history, cJSON_CreateString(name));
    cJSON_AddItemToArray(history, cJSON_CreateNumber(0));
    cJSON_AddItemToArray(history, cJSON_CreateNumber(0));
    cJSON_AddItemToObject(config, "keras_history", history);
    return json;
}

/* Several tensors are one argument, a list, as merge layers expect; with numbers among them, each
 * is an argument of its own. */
static bool add_inputs(struct reader *r, cJSON *entry, char **t, int n)
{
    cJSON *args = cJSON_CreateArray(), *node = cJSON_CreateObject(),
          *nodes = cJSON_AddArrayToObject(entry, "inbound_nodes"), *list = args;
    bool numbers = false, valid = true;
    cJSON_AddItemToObject(node, "args", args);
    cJSON_AddItemToArray(nodes, node);
    for (int i = 0; i < n; i++)
        numbers |= *t[i] == '=';
    if (n > 1 && !numbers)
        cJSON_AddItemToArray(args, list = cJSON_CreateArray());
    for (int i = 0; i < n || !i; i++) {
        const int back = i < n && *t[i] != '=' ? atoi(t[i]) : 1;
        if (i < n && *t[i] == '=')
            cJSON_AddItemToArray(list, cJSON_CreateNumber(strtod(t[i] + 1, NULL)));
        else if (back < 1 || back > r->n_names)
            valid = false;
        else
            cJSON_AddItemToArray(list, tensor(r->names[r->n_names - back]));
    }
    return valid;
}

static bool keep_name(struct reader *r, const char *name)
{
    if (r->n_names == LAYERS || strlen(name) >= NAME)
        return false;
    strcpy(r->names[r->n_names++], name);
    return true;
}

static bool layer(struct reader *r, char **t, int n)
{
    int c = 0;
    while (n > 1 && c < r->n_classes && strcmp(r->classes[c].letter, t[1]))
        c++;
    if (n < 2 || c == r->n_classes)
        return false;
    cJSON *entry = add_entry(r->layers, r->classes[c].class, t[0],
                             cJSON_Duplicate(r->classes[c].config, true));
    bool valid = true;
    if (!r->outer && strcmp(r->classes[c].class, "InputLayer"))
        valid = add_inputs(r, entry, t + 2, n - 2);
    r->d->n_layers++;
    return valid && (r->outer || keep_name(r, t[0]));
}

static bool sequence(struct reader *r, char *line)
{
    if (*line == '}') {
        const bool inside = r->outer;
        r->layers = inside ? r->outer : r->layers;
        r->outer = NULL;
        return inside;
    }
    if (r->outer)
        return false;
    cJSON *config = cJSON_CreateObject(),
          *entry = add_entry(r->layers, "Sequential", line + 1, config);
    const bool valid = add_inputs(r, entry, NULL, 0);
    r->outer = r->layers;
    r->layers = cJSON_AddArrayToObject(config, "layers");
    return valid && keep_name(r, line + 1);
}

static bool read_line(struct reader *r, char *line)
{
    char *tokens[TOKENS];
    if (*line == '{' || *line == '}')
        return sequence(r, line);
    const int n = split(line, tokens, TOKENS);
    if (!n)
        return true;
    return *line == '!'   ? keyword(r, tokens, n)
           : *line == '=' ? settings(r, tokens, n)
                          : layer(r, tokens, n);
}

static int read_lines(struct reader *r, char *text, struct ft_error *err)
{
    int number = 1;
    for (char *line = text, *next; line; line = next, number++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        if (!read_line(r, line))
            return ft_error_set(err, FT_EFORMAT, "line %d is not understood", number);
    }
    return r->n_names && !r->outer ? 0 : ft_error_set(err, FT_EFORMAT, "it describes no network");
}

int ft_architecture_read(const char *path, struct ft_architecture *out, struct ft_error *err)
{
    struct ft_bytes bytes = { 0 };
    struct ft_architecture d = { 0 };
    struct reader *r = calloc(1, sizeof *r);
    int rc = r ? ft_file_read(path, FILE_LIMIT, &bytes, err) : ft_error_nomem(err, path);
    if (rc && r)
        ft_error_prefix(err, rc, "'%s'", path);
    char *text = rc ? NULL : calloc(bytes.size + 1, 1);
    if (!rc && text) {
        const char *slash = strrchr(path, '/');
        memcpy(text, bytes.data, bytes.size);
        snprintf(d.name, sizeof d.name, "%s", slash ? slash + 1 : path);
        d.name[strcspn(d.name, ".")] = 0;
        d.json = cJSON_CreateObject();
        cJSON_AddStringToObject(d.json, "class_name", "Functional");
        cJSON *config = cJSON_AddObjectToObject(d.json, "config");
        r->layers = cJSON_AddArrayToObject(config, "layers");
        r->d = &d;
        r->names = calloc(LAYERS, sizeof *r->names);
        rc = r->names ? read_lines(r, text, err) : ft_error_nomem(err, path);
        if (rc)
            ft_error_prefix(err, rc, "'%s'", path);
        else
            strcpy(d.last, r->names[r->n_names - 1]);
    } else if (!rc)
        rc = ft_error_nomem(err, path);
    for (int i = 0; r && i < r->n_classes; i++)
        cJSON_Delete(r->classes[i].config);
    free(r ? r->names : NULL);
    free(r);
    free(text);
    ft_bytes_release(&bytes);
    if (rc)
        ft_architecture_release(&d);
    else
        *out = d;
    return rc;
}

bool ft_architecture_may_fit(const char *path, int layers)
{
    FILE *file = fopen(path, "re");
    char line[256];
    int cut, all;
    bool fits = true;
    while (file && fgets(line, sizeof line, file) && *line == '!')
        if (sscanf(line, "!layers %d %d", &cut, &all) == 2)
            fits = layers == cut || layers == all;
    if (file)
        fclose(file);
    return fits;
}

void ft_architecture_release(struct ft_architecture *d)
{
    cJSON_Delete(d->json);
    d->json = NULL;
}

int ft_architecture_names(const char *folder, void (*each)(void *user, const char *name),
                          void *user)
{
    char path[1200];
    DIR *dir = opendir(folder);
    int rc = dir ? 0 : ft_error_errno(NULL, "%s", folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        struct ft_architecture d;
        const char *dot = strrchr(entry->d_name, '.');
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (!dot || strcmp(dot, ".txt"))
            continue;
        const int failed = ft_architecture_read(path, &d, NULL);
        rc = rc ? rc : failed;
        if (failed)
            continue;
        for (int i = 0; i < d.n_variants; i++)
            each(user, d.variants[i].name);
        ft_architecture_release(&d);
    }
    if (dir)
        closedir(dir);
    return rc;
}
