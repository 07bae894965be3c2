/* A model as an ONNX file or a .keras archive. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/model.h"
#include "network/edit.h"
#include "onnx/onnx.h"

/* One name a line. */
static int write_labels(const struct ft_model *m, const char *path, struct ft_error *err)
{
    size_t size = 0;
    for (int i = 0; i < m->head.k; i++) {
        if (strchr(m->classes[i], '\n'))
            return ft_error_set(err, FT_EUNSUPPORTED,
                                "'%s': the name of class %d has two lines, so it cannot be written",
                                path, i);
        size += strlen(m->classes[i]) + 1;
    }
    char *text = malloc(size + 1), *at = text;
    if (!text)
        return ft_error_nomem(err, "the names of the classes");
    for (int i = 0; i < m->head.k; i++)
        at += sprintf(at, "%s\n", m->classes[i]);
    const int rc = ft_file_replace(path, text, size, err);
    free(text);
    return rc;
}

/* What an ONNX file has no place for, as texts. */
struct facts {
    char *attribute, *classes, *input; /* JSON; owned */
    char threshold[40];
};

static void facts_release(struct facts *f)
{
    free(f->attribute);
    free(f->classes);
    free(f->input);
}

static int find_facts(const struct ft_model *m, struct facts *f, struct ft_error *err)
{
    const int rc = ft_model_attribute(m, &f->attribute, err);
    if (rc)
        return rc;
    f->classes =
        ft_json_text(cJSON_CreateStringArray((const char *const *)m->classes, m->head.k), false);
    f->input = ft_json_text(ft_geometry_write(&m->backbone->geometry), false);
    snprintf(f->threshold, sizeof f->threshold, "%.9g", m->threshold);
    return f->classes && f->input ? 0 : ft_error_nomem(err, "the description of the model");
}

static int write_network(const struct ft_model *m, const struct ft_network *network,
                         const struct ft_export_options *o, const struct facts *f, const char *path,
                         uint64_t *bytes, struct ft_error *err)
{
    const char *const keys[] = { "classes", "input", "finetune", "threshold" }, *const values[] = {
        f->classes, f->input, f->attribute, f->threshold
    };
    const struct ft_geometry *g = &m->backbone->geometry;
    const struct ft_onnx_export e = { .features = network->layers[network->output].inputs[0],
                                      .height = g->height,
                                      .width = g->width,
                                      .channels = ft_plan_input(m->backbone->plan).c,
                                      .classes = m->head.k,
                                      .feature_count = m->head.d,
                                      .channels_first = o && o->channels_first,
                                      .uint8 = o && o->uint8,
                                      .fp16 = o && o->fp16,
                                      .n_entries = m->threshold >= 0 ? 4 : 3,
                                      .keys = keys,
                                      .values = values };
    uint64_t size;
    const int rc = ft_onnx_write(network, &e, path, &size, err);
    if (!rc && bytes)
        *bytes = size;
    return rc;
}

/* A path that ends in ".keras". */
static bool is_archive(const char *path)
{
    static const char suffix[] = ".keras";
    const size_t n = strlen(path), end = sizeof suffix - 1;
    return n > end && !strcmp(path + n - end, suffix);
}

int ft_model_export(const struct ft_model *m, const struct ft_export_options *o, const char *path,
                    uint64_t *bytes, struct ft_error *err)
{
    const struct ft_backbone *b = m->backbone;
    const struct ft_head *head = &m->head;
    struct ft_network *network = NULL;
    struct facts facts = { 0 };
    const bool archive = is_archive(path);
    if (archive && o && (o->channels_first || o->uint8 || o->fp16))
        return ft_error_set(err, FT_EARG,
                            "'%s': nchw, uint8 and fp16 are for ONNX files, not for .keras", path);
    int rc = 0, loaded = 0;
    for (; !rc && loaded <= b->last; loaded += !rc)
        rc = ft_network_load(b->network, loaded, err);
    rc = rc ? rc : find_facts(m, &facts, err);
    rc = rc ? rc
            : ft_network_with_head(b->network, b->last, "head", head->d, head->k, head->w, head->b,
                                   &network, err);
    if (!rc && head->independent)
        network->layers[network->output].params.activation = FT_ACT_SIGMOID;
    if (!rc)
        rc = archive ? ft_network_save_archive(network, facts.attribute, path, bytes, err)
                     : write_network(m, network, o, &facts, path, bytes, err);
    if (!rc && o && o->labels)
        rc = write_labels(m, o->labels, err);
    while (loaded)
        ft_network_unload(b->network, --loaded);
    ft_network_free(network);
    facts_release(&facts);
    return rc;
}
