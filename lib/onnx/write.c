/* Writing an ONNX file. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "onnx/onnx.h"
#include "onnx/write_layers.h"

enum { OPSET = 17, IR_VERSION = 8 };
#define LARGEST ((size_t)INT32_MAX) /* bytes of a message: a limit of protobuf */

/* The layers in order; `features` is written as a vector under that name. */
static void add_layers(struct ft_message *m, const struct ft_network *network, int features,
                       const int *order, int n, const char **values)
{
    for (int i = 1; !m->rc && i < n; i++) {
        const struct ft_layer *l = &network->layers[order[i]];
        const char **inputs = ft_message_alloc(m, (size_t)l->n_inputs, sizeof *inputs);
        int *ranks = ft_message_alloc(m, (size_t)l->n_inputs, sizeof *ranks);
        for (int k = 0; !m->rc && k < l->n_inputs; k++) {
            inputs[k] = values[l->inputs[k]];
            ranks[k] = ft_network_rank(network, l->inputs[k]);
        }
        if (m->rc)
            return;
        values[order[i]] = ft_message_layer(m, l, inputs, ranks);
        if (m->rc)
            ft_error_prefix(m->err, m->rc, "layer '%s'", l->name);
    }
    if (m->rc)
        return;
    m->base = "output";
    const bool map = ft_network_rank(network, features) == 3;
    ft_message_node(m, map ? "Flatten" : "Identity", values[features], NULL, NULL, NULL);
    ft_message_rename(m, "features");
    ft_message_node(m, "Identity", values[network->output], NULL, NULL, NULL);
    ft_message_rename(m, "probabilities");
}

/* The input, and the node that brings it into the order of the convolutions. */
static Ft__Onnx__ValueInfo *add_input(struct ft_message *m, const struct ft_onnx_export *e,
                                      const char **value)
{
    const int64_t first[] = { -1, e->channels, e->height, e->width },
                  last[] = { -1, e->height, e->width, e->channels };
    m->base = "input";
    *value = "image";
    if (e->uint8) {
        *value = ft_message_node(m, "Cast", *value, NULL, NULL, NULL);
        ft_message_int(m, "to", 1); /* float32 */
    }
    if (!e->channels_first) {
        *value = ft_message_node(m, "Transpose", *value, NULL, NULL, NULL);
        ft_message_ints(m, "perm", (int64_t[]){ 0, 3, 1, 2 }, 4);
    }
    return ft_message_value(m, "image", e->channels_first ? first : last, 4, e->uint8);
}

static int pack(const Ft__Onnx__Model *model, const char *path, uint64_t *size,
                struct ft_error *err)
{
    const size_t n = ft__onnx__model__get_packed_size(model);
    if (n > LARGEST)
        return ft_error_set(err, FT_ELIMIT,
                            "an ONNX file holds at most 2 GB, and this network has %.1f GB",
                            (double)n / 1e9);
    uint8_t *bytes = malloc(n + 1);
    if (!bytes)
        return ft_error_nomem(err, "the ONNX file");
    ft__onnx__model__pack(model, bytes);
    const int rc = ft_file_replace(path, bytes, n, err);
    free(bytes);
    *size = n;
    return rc;
}

static int add_metadata(struct ft_message *m, const struct ft_onnx_export *e,
                        Ft__Onnx__Model *model)
{
    Ft__Onnx__Entry **list = ft_message_alloc(m, (size_t)e->n_entries, sizeof *list),
                    *each = ft_message_alloc(m, (size_t)e->n_entries, sizeof *each);
    for (int i = 0; !m->rc && i < e->n_entries; i++) {
        ft__onnx__entry__init(&each[i]);
        each[i].key = ft_message_text(m, e->keys[i]);
        each[i].value = ft_message_text(m, e->values[i]);
        list[i] = &each[i];
    }
    model->metadata_props = list;
    model->n_metadata_props = (size_t)e->n_entries;
    return m->rc;
}

static int write_model(struct ft_message *m, const struct ft_onnx_export *e, const char *path,
                       uint64_t *size)
{
    Ft__Onnx__Model model = FT__ONNX__MODEL__INIT;
    Ft__Onnx__OperatorSet set = FT__ONNX__OPERATOR_SET__INIT, *sets[] = { &set };
    char domain[] = "", producer[] = "finetune", version[] = FT_VERSION;
    set.domain = domain;
    set.has_version = true;
    set.version = OPSET;
    model.has_ir_version = true;
    model.ir_version = IR_VERSION;
    model.producer_name = producer;
    model.producer_version = version;
    model.graph = &m->graph;
    model.opset_import = sets;
    model.n_opset_import = 1;
    const int rc = add_metadata(m, e, &model);
    return rc ? rc : pack(&model, path, size, m->err);
}

int ft_onnx_write(const struct ft_network *network, const struct ft_onnx_export *e,
                  const char *path, uint64_t *size, struct ft_error *err)
{
    struct ft_message m = { .err = err, .base = "", .half = e->fp16 };
    int *order = malloc(((size_t)network->n_layers + 1) * sizeof *order);
    const char **values = calloc((size_t)network->n_layers + 1, sizeof *values);
    const int n = order && values ? ft_network_order(network, network->output, order) : -1;
    if (n < 1) {
        free(order);
        free(values);
        return ft_error_nomem(err, "the layers");
    }
    ft__onnx__graph__init(&m.graph);
    char graph_name[] = "finetune";
    m.graph.name = graph_name;
    Ft__Onnx__ValueInfo *input = add_input(&m, e, &values[order[0]]), *outputs[2];
    add_layers(&m, network, e->features, order, n, values);
    outputs[0] = ft_message_value(&m, "probabilities", (int64_t[]){ -1, e->classes }, 2, false);
    outputs[1] = ft_message_value(&m, "features", (int64_t[]){ -1, e->feature_count }, 2, false);
    m.graph.input = &input;
    m.graph.n_input = 1;
    m.graph.output = outputs;
    m.graph.n_output = 2;
    const int rc = m.rc ? m.rc : write_model(&m, e, path, size);
    ft_message_release(&m);
    free(order);
    free(values);
    return rc && rc != FT_EIO ? ft_error_prefix(err, rc, "'%s'", path) : rc;
}
