/* model_config as models with members, which are layers or models. The dialects of Keras 1.2, 2 and
 * 3, Functional and Sequential, nested: tf_keras/src/engine/functional.py,
 * keras/src/models/functional.py. */
#include "keras/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "keras/fields.h"
#include "keras/layer_classes.h"

enum { DEPTH_LIMIT = 16 };

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/* ---- names ----------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct ft_member *const *)a)->name, (*(struct ft_member *const *)b)->name);
}

static int sort_names(struct ft_model_config *m, struct ft_error *err)
{
    m->sorted = malloc(((size_t)m->n + 1) * sizeof *m->sorted);
    if (!m->sorted)
        return ft_error_nomem(err, "the names of layers");
    for (int i = 0; i < m->n; i++)
        m->sorted[i] = &m->members[i];
    qsort(m->sorted, (size_t)m->n, sizeof *m->sorted, by_name);
    for (int i = 1; i < m->n; i++)
        if (!by_name(&m->sorted[i - 1], &m->sorted[i]))
            return ft_error_set(err, FT_EFORMAT, "two layers are called '%s'", m->sorted[i]->name);
    return 0;
}

struct ft_member *ft_member_find(const struct ft_model_config *m, const char *name)
{
    const struct ft_member key = { .name = name }, *at = &key;
    struct ft_member **found = bsearch(&at, m->sorted, (size_t)m->n, sizeof at, by_name);
    return found ? *found : NULL;
}

/* ---- models ---------------------------------------------------------------------------------- */

static bool is_model_class(const char *kind)
{
    return !strcmp(kind, "Sequential") || !strcmp(kind, "Functional") || !strcmp(kind, "Model");
}

/* Returns whether the JSON of a layer describes a model: by its class, or because it has layers of
 * its own. The latter are subclasses of Model and Sequential that were made as these are; Keras
 * stores them in the same form. */
static bool is_model(const cJSON *entry)
{
    const char *kind = text_of(entry, "class_name");
    const cJSON *list = ft_field(ft_field(entry, "config"), "layers");
    return kind && (is_model_class(kind) ||
                    (cJSON_IsArray(list) && list->child && text_of(list->child, "class_name") &&
                     cJSON_IsObject(ft_field(list->child, "config"))));
}

/* A subclass of Sequential has no input_layers, like Sequential itself. */
static bool is_sequential(const cJSON *entry)
{
    const char *kind = text_of(entry, "class_name");
    return !strcmp(kind, "Sequential") ||
           (!is_model_class(kind) && !ft_field(ft_field(entry, "config"), "input_layers"));
}

/* keras/src/utils/naming.py */
void ft_group_name(const char *kind, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; kind[i] && n + 2 < size; i++) {
        const bool upper = kind[i] >= 'A' && kind[i] <= 'Z',
                   next_lower = kind[i + 1] >= 'a' && kind[i + 1] <= 'z';
        const bool before = i && kind[i - 1] >= 'a' && kind[i - 1] <= 'z';
        if (i && upper && (next_lower || before))
            out[n++] = '_';
        out[n++] = (char)(upper ? kind[i] - 'A' + 'a' : kind[i]);
    }
    out[n] = 0;
}

struct kind_count {
    const char *kind;
    int n;
};

/* The Python class whose name the group has. Keras knows some classes by another name. */
static const char *python_class(const char *kind)
{
    return !strcmp(kind, "Model")                 ? "Functional"
           : !strcmp(kind, "GroupQueryAttention") ? "GroupedQueryAttention"
                                                  : kind;
}

/* The group of each member in a Keras 3 file: members of one class are numbered. */
static int name_groups(struct ft_model_config *m, struct ft_error *err)
{
    enum { KINDS = 256 };
    struct kind_count counts[KINDS];
    int kinds = 0;
    for (int i = 0; i < m->n; i++) {
        struct ft_member *member = &m->members[i];
        int k = 0;
        while (k < kinds && strcmp(counts[k].kind, member->kind))
            k++;
        if (k == kinds) {
            if (kinds == KINDS)
                return ft_error_set(err, FT_ELIMIT, "more than %d classes of layers", KINDS);
            counts[kinds++] = (struct kind_count){ member->kind, 0 };
        }
        member->number = counts[k].n++;
        ft_group_name(python_class(member->kind), member->group, sizeof member->group);
    }
    return 0;
}

/* For each member, finds the highest call that any ["name", call, tensor] in `value` refers to. */
static void note_calls(struct ft_model_config *m, const cJSON *value)
{
    const cJSON *name = cJSON_IsArray(value) ? value->child : NULL;
    if (name && cJSON_IsString(name) && cJSON_IsNumber(name->next)) {
        struct ft_member *member = ft_member_find(m, name->valuestring);
        if (member && name->next->valuedouble > member->highest &&
            name->next->valuedouble <= FT_DRAFT_LIMIT)
            member->highest = (int)name->next->valuedouble;
    }
    for (const cJSON *item = value ? value->child : NULL; item; item = item->next)
        if (cJSON_IsArray(item) || cJSON_IsObject(item))
            note_calls(m, item);
}

static void note_all_calls(struct ft_model_config *m)
{
    note_calls(m, ft_field(m->config, "output_layers"));
    for (int i = 0; i < m->n; i++)
        for (const cJSON *node = m->members[i].nodes; node; node = node->next)
            note_calls(m, node);
}

void ft_model_config_free(struct ft_model_config *m)
{
    if (!m)
        return;
    for (int i = 0; i < m->n; i++)
        ft_model_config_free(m->members[i].inner);
    free(m->members);
    free(m->sorted);
    free(m);
}

static int member_parse(const cJSON *entry, bool sequential, int depth, int *total,
                        struct ft_member *out, struct ft_error *err)
{
    const cJSON *config = ft_field(entry, "config"),
                *nodes = sequential ? NULL : ft_field(entry, "inbound_nodes");
    out->entry = entry;
    out->kind = text_of(entry, "class_name");
    out->name = text_of(entry, "name");
    if (!out->name)
        out->name = text_of(config, "name");
    if (!out->kind || (!out->name && !is_model(entry)) || (out->name && !*out->name) || !config)
        return ft_error_set(err, FT_EFORMAT, "a layer has no class, name or settings");
    if (!out->name) /* nested models of Keras 1 have no name */
        out->name = out->kind;
    out->nodes = nodes ? nodes->child : NULL;
    out->n_calls = cJSON_GetArraySize(nodes);
    if (out->n_calls < 1)
        out->n_calls = 1;
    if (*total > FT_DRAFT_LIMIT - out->n_calls)
        return ft_error_set(err, FT_ELIMIT, "the network has more than %d layers", FT_DRAFT_LIMIT);
    *total += out->n_calls;
    if (!is_model(entry) || ft_is_windows_attention(entry))
        return 0;
    const int rc = ft_model_config_parse(entry, depth + 1, total, &out->inner, err);
    if (!rc)
        return 0;
    /* One name is enough to find it: the model that holds what is wrong, of those that are nested
     * too deep the outermost. */
    const bool named = err && (*err->msg == '\'' || rc == FT_ELIMIT) && depth;
    return named ? rc : ft_error_prefix(err, rc, "'%s'", out->name);
}

int ft_model_config_parse(const cJSON *json, int depth, int *total, struct ft_model_config **out,
                          struct ft_error *err)
{
    const cJSON *config = ft_field(json, "config"),
                *list = cJSON_IsArray(config) ? config : ft_field(config, "layers"), *entry;
    const char *kind = text_of(json, "class_name");
    if (!kind)
        return ft_error_set(err, FT_EFORMAT, "the configuration does not describe a network");
    if (!cJSON_IsArray(list) || !is_model(json))
        return ft_error_set(
            err, FT_EUNSUPPORTED,
            "the class '%s' has its layers in Python code, not in the file: build the network as "
            "keras.Sequential or keras.Model(inputs, outputs), copy the weights and save that",
            kind);
    if (depth > DEPTH_LIMIT)
        return ft_error_set(err, FT_ELIMIT, "models are nested more than %d deep", DEPTH_LIMIT);
    const int n = cJSON_GetArraySize(list);
    if (n < 1 || n > FT_DRAFT_LIMIT)
        return ft_error_set(err, FT_ELIMIT, "the network has %d layers: 1 to %d are supported", n,
                            FT_DRAFT_LIMIT);
    struct ft_model_config *m = calloc(1, sizeof *m);
    if (m)
        m->members = calloc((size_t)n, sizeof *m->members);
    if (!m || !m->members) {
        free(m);
        return ft_error_nomem(err, "layers");
    }
    m->json = json;
    m->config = config;
    m->sequential = is_sequential(json);
    int rc = 0;
    cJSON_ArrayForEach(entry, list)
    {
        struct ft_member *member = &m->members[m->n++];
        member->first = m->n_calls;
        rc = rc ? rc : member_parse(entry, m->sequential, depth, total, member, err);
        m->n_calls += member->n_calls;
        if (rc)
            break;
    }
    if (!rc)
        rc = sort_names(m, err);
    if (!rc)
        rc = name_groups(m, err);
    if (!rc && !m->sequential)
        note_all_calls(m);
    if (rc)
        ft_model_config_free(m);
    else
        *out = m;
    return rc;
}
