/* Opening an ONNX file: bytes to messages (protobuf-c), then node by node to a network. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "onnx/import.h"
#include "onnx/onnx.h"

enum { MOST_NODES = 1 << 15, OPEN_SIZE = 224, MOST_SIDE = 1 << 14, OLDEST_OPSET = 7 };
enum { FREE_BYTES = 128 << 20 }; /* that a file of any size may compute */

/* ---- messages -------------------------------------------------------------------------------- */

/* Memory for messages, limited in proportion to the file: the smallest parts of a file become the
 * largest structures. */
struct budget {
    size_t left;
    bool exhausted;
};

static void *take(void *user, size_t size)
{
    struct budget *b = user;
    if (size > b->left) {
        b->exhausted = true;
        return NULL;
    }
    b->left -= size;
    return malloc(size ? size : 1);
}

static void give_back(void *user, void *block)
{
    (void)user;
    free(block);
}

static int unpack(const uint8_t *bytes, size_t size, Ft__Onnx__Model **out, struct ft_error *err)
{
    struct budget budget = { .left = 4 * size + ((size_t)16 << 20) };
    ProtobufCAllocator allocator = { take, give_back, &budget };
    *out = ft__onnx__model__unpack(&allocator, size, bytes);
    if (*out)
        return 0;
    return ft_error_set(err, FT_EFORMAT,
                        budget.exhausted ? "an ONNX file of too many small parts"
                                         : "not an ONNX file, or a damaged one");
}

static void model_free(void *source)
{
    ft__onnx__model__free_unpacked(source, NULL);
}

static int read_model(const char *path, Ft__Onnx__Model **out, size_t *size, struct ft_error *err)
{
    struct stat st;
    const int fd = ft_open(path, O_RDONLY, 0);
    if (fd < 0)
        return ft_error_errno(err, "cannot open");
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < 1) {
        close(fd);
        return ft_error_set(err, FT_EFORMAT, "not an ONNX file");
    }
    *size = (size_t)st.st_size;
    uint8_t *bytes = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return ft_error_errno(err, "cannot read");
    const int rc = unpack(bytes, *size, out, err);
    munmap(bytes, *size);
    return rc;
}

/* ---- names ----------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_name(struct ft_import *x, const char *name)
{
    if (name && *name)
        x->names[x->n_values++] = name;
}

/* Every name of a value once, sorted. */
static int collect_names(struct ft_import *x)
{
    const Ft__Onnx__Graph *g = x->graph;
    size_t n = g->n_initializer + g->n_input;
    for (size_t i = 0; i < g->n_node; i++)
        n += g->node[i]->n_output;
    x->names = ft_alloc(n + 1, sizeof *x->names);
    x->values = ft_alloc_zero(n + 1, sizeof *x->values);
    if (!x->names || !x->values)
        return ft_error_nomem(x->err, "the names of the network");
    for (size_t i = 0; i < g->n_initializer; i++)
        add_name(x, g->initializer[i]->name);
    for (size_t i = 0; i < g->n_input; i++)
        add_name(x, g->input[i]->name);
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_output; k++)
            add_name(x, g->node[i]->output[k]);
    qsort(x->names, x->n_values, sizeof *x->names, by_name);
    size_t kept = 0;
    for (size_t i = 0; i < x->n_values; i++)
        if (!kept || strcmp(x->names[i], x->names[kept - 1]))
            x->names[kept++] = x->names[i];
    x->n_values = kept;
    return 0;
}

static int set_initializers(struct ft_import *x)
{
    for (size_t i = 0; i < x->graph->n_initializer; i++) {
        const Ft__Onnx__Tensor *t = x->graph->initializer[i];
        struct ft_onnx_value *v = t->name ? ft_onnx_find(x, t->name) : NULL;
        if (!v || v->kind != FT_ONNX_ABSENT)
            return ft_error_set(x->err, FT_EFORMAT, "a tensor has no name, or that of another");
        const int rc = ft_constant_decode(t, x->folder, &x->network->storage, &v->constant, x->err);
        if (rc)
            return ft_error_prefix(x->err, rc, "tensor '%.100s'", t->name);
        v->kind = FT_ONNX_CONSTANT;
    }
    return 0;
}

/* ---- input ----------------------------------------------------------------------------------- */

static int set_input(struct ft_import *x)
{
    const Ft__Onnx__ValueInfo *input = NULL;
    int64_t dims[4], shape[FT_AXES];
    for (size_t i = 0; i < x->graph->n_input; i++) {
        const Ft__Onnx__ValueInfo *info = x->graph->input[i];
        struct ft_onnx_value *v = info->name ? ft_onnx_find(x, info->name) : NULL;
        if (!v || v->kind != FT_ONNX_ABSENT)
            continue; /* files of IR 3 list initializers as inputs, too */
        if (input)
            return ft_error_set(x->err, FT_EUNSUPPORTED,
                                "a network with two inputs ('%.60s', '%.60s') is not supported: it "
                                "must take one picture",
                                input->name, info->name);
        input = info;
    }
    const Ft__Onnx__Shape *s =
        input && input->type && input->type->tensor_type ? input->type->tensor_type->shape : NULL;
    if (!s || s->n_dim != 4)
        return ft_error_set(x->err, FT_EUNSUPPORTED,
                            "its input is not a picture: it has %zu axes, not 4",
                            s ? s->n_dim : (size_t)0);
    for (int d = 0; d < 4; d++) {
        dims[d] = s->dim[d]->has_dim_value && s->dim[d]->dim_value > 0 ? s->dim[d]->dim_value : -1;
        if (dims[d] > MOST_SIDE)
            return ft_error_set(x->err, FT_ELIMIT, "its input is too large");
    }
    const bool last = dims[1] != 3 && dims[1] != 1 && (dims[3] == 3 || dims[3] == 1);
    const int h = last ? 1 : 2;
    const int64_t channels = last ? dims[3] : dims[1];
    shape[0] = dims[h] > 0 ? dims[h] : OPEN_SIZE;
    shape[1] = dims[h + 1] > 0 ? dims[h + 1] : OPEN_SIZE;
    shape[2] = channels > 0 ? channels : 3;
    int layer;
    const int rc = ft_onnx_layer(x, FT_LAYER_INPUT, NULL, 0, shape, &layer);
    if (rc)
        return rc;
    struct ft_layer_params *p = &ft_onnx_at(x, layer)->params;
    p->rank = 3;
    p->shape[0] = (int)dims[h];
    p->shape[1] = (int)dims[h + 1];
    p->shape[2] = (int)shape[2];
    struct ft_onnx_value *v = ft_onnx_find(x, input->name);
    v->kind = FT_ONNX_VIEW;
    v->view = last ? ft_view_last(layer, shape) : ft_view_first(layer, shape);
    return 0;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static const struct ft_onnx_operator *find_operator(const char *name)
{
    const struct ft_onnx_operator *const tables[] = { ft_onnx_windows,    ft_onnx_resizes,
                                                      ft_onnx_channels,   ft_onnx_shapes,
                                                      ft_onnx_joins,      ft_onnx_arithmetic,
                                                      ft_onnx_elementwise };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct ft_onnx_operator *row = tables[i]; row->name; row++)
            if (!strcmp(row->name, name))
                return row;
    return NULL;
}

/* The outputs of a node that is no layer. They may be part of a pattern, or unused. */
static int suspend(struct ft_import *x, const char *reason)
{
    char *copy = ft_strdup(reason);
    if (!copy || ft_storage_add(&x->network->storage, copy))
        return ft_error_nomem(x->err, "a message");
    const struct ft_onnx_value pending = { .kind = FT_ONNX_PENDING, .reason = copy };
    for (size_t k = 0; k < x->node->n_output; k++) {
        const struct ft_onnx_value *v = ft_onnx_find(x, x->node->output[k]);
        const int rc = v && v->kind == FT_ONNX_ABSENT ? ft_onnx_set(x, k, &pending) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

static int build(struct ft_import *x)
{
    const struct ft_onnx_operator *row = find_operator(x->node->op_type);
    const struct ft_onnx_value *first = ft_onnx_input(x, 0);
    bool done;
    int rc = ft_onnx_match(x, &done);
    if (rc || done)
        return rc;
    rc = ft_onnx_fold(x, &done);
    if (rc || done)
        return rc;
    if (!row || (x->node->domain && *x->node->domain && strcmp(x->node->domain, "ai.onnx")))
        return ft_onnx_refuse(x, "not supported: export a network without it, or cut it before it");
    const bool constant_first =
        row->build == ft_onnx_arithmetic->build || !strcmp(row->name, "Concat");
    if (!first || (first->kind != FT_ONNX_VIEW && !constant_first))
        return ft_onnx_refuse(x, "its first input is a constant");
    return row->build(x, row);
}

static int visit(struct ft_import *x)
{
    const char *reason = NULL;
    bool done;
    if (!x->node->op_type)
        return ft_error_set(x->err, FT_EFORMAT, "a node has no operator");
    for (size_t k = 0; k < x->node->n_input; k++) {
        const struct ft_onnx_value *v = ft_onnx_input(x, k);
        if (*x->node->input[k] && (!v || v->kind == FT_ONNX_ABSENT))
            return ft_error_set(x->err, FT_EFORMAT,
                                "node '%.100s' uses '%.100s' before it is computed",
                                x->node->name ? x->node->name : "", x->node->input[k]);
        if (v && v->kind == FT_ONNX_PENDING)
            reason = v->reason;
    }
    struct ft_error err = { 0 }, *outer = x->err;
    x->err = &err;
    int rc;
    if (reason) {
        rc = ft_onnx_match(x, &done);
        if (!rc && !done)
            rc = ft_onnx_match_attention(x, &done);
        rc = rc || done ? rc : suspend(x, reason);
    } else {
        rc = build(x);
    }
    if (rc == FT_EUNSUPPORTED)
        rc = suspend(x, err.msg);
    x->err = outer;
    return rc ? ft_error_set(outer, rc, "%s", err.msg) : 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Removes the layers that the output does not need. */
static int remove_unused(struct ft_import *x)
{
    struct ft_network *n = x->network;
    int *place = ft_alloc_zero((size_t)n->n_layers, sizeof *place), kept = 0;
    if (!place)
        return ft_error_nomem(x->err, "layers");
    place[n->output] = place[0] = 1;
    for (int i = n->n_layers - 1; i > 0; i--)
        for (int k = 0; place[i] && k < n->layers[i].n_inputs; k++)
            place[n->layers[i].inputs[k]] = 1;
    for (int i = 0; i < n->n_layers; i++) {
        struct ft_layer *l = &n->layers[i];
        if (!place[i]) {
            free(l->name);
            free(l->inputs);
            continue;
        }
        for (int k = 0; k < l->n_inputs; k++)
            l->inputs[k] = place[l->inputs[k]];
        place[i] = kept;
        n->layers[kept++] = *l;
    }
    n->output = place[n->output];
    n->n_layers = kept;
    free(place);
    return 0;
}

/* The first output that is a layer. */
static int set_output(struct ft_import *x)
{
    const Ft__Onnx__Graph *g = x->graph;
    const struct ft_onnx_value *v =
        g->n_output && g->output[0]->name ? ft_onnx_find(x, g->output[0]->name) : NULL;
    enum ft_axis roles[FT_ONNX_RANK];
    if (v && v->kind == FT_ONNX_PENDING)
        return ft_error_set(x->err, FT_EUNSUPPORTED, "%s", v->reason);
    if (!v || v->kind != FT_ONNX_VIEW)
        return ft_error_set(x->err, FT_EFORMAT, "its output does not depend on its input");
    ft_onnx_roles(&v->view, roles);
    x->node = v->node;
    if (!x->node)
        return ft_error_set(x->err, FT_EFORMAT, "its output is its input");
    const int rc =
        ft_onnx_place(x, &v->view, roles, ft_view_is_vector(&v->view), &x->network->output);
    if (rc || remove_unused(x))
        return rc ? rc : FT_ENOMEM;
    return ft_onnx_complete_attention(x);
}

/* What this program writes beside the graph. */
static int take_attribute(struct ft_network *network, const Ft__Onnx__Model *model,
                          struct ft_error *err)
{
    for (size_t i = 0; i < model->n_metadata_props; i++) {
        const Ft__Onnx__Entry *entry = model->metadata_props[i];
        if (!entry->key || !entry->value || strcmp(entry->key, "finetune"))
            continue;
        free(network->attribute);
        network->attribute = ft_strdup(entry->value);
        if (!network->attribute)
            return ft_error_nomem(err, "the description of the model");
    }
    return 0;
}

static int import(struct ft_import *x, const Ft__Onnx__Model *model)
{
    if (!model->graph || !model->graph->n_node)
        return ft_error_set(x->err, FT_EFORMAT, "not an ONNX file: it has no graph");
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const char *domain = model->opset_import[i]->domain;
        if (!domain || !*domain || !strcmp(domain, "ai.onnx"))
            x->opset = model->opset_import[i]->version;
    }
    if (x->opset < OLDEST_OPSET)
        return ft_error_set(x->err, FT_EUNSUPPORTED,
                            "opset %lld is not supported: export with opset %d or newer",
                            (long long)x->opset, OLDEST_OPSET);
    if (model->graph->n_node > MOST_NODES)
        return ft_error_set(x->err, FT_ELIMIT, "a graph of %zu nodes: at most %d are supported",
                            model->graph->n_node, MOST_NODES);
    x->graph = model->graph;
    int rc = take_attribute(x->network, model, x->err);
    rc = rc ? rc : collect_names(x);
    rc = rc ? rc : set_initializers(x);
    rc = rc ? rc : set_input(x);
    for (size_t i = 0; !rc && i < x->graph->n_node; i++) {
        x->node = x->graph->node[i];
        rc = visit(x);
    }
    return rc ? rc : set_output(x);
}

static int open_file(const char *path, const struct ft_reader_options *options,
                     struct ft_network **out, struct ft_error *err)
{
    const char *slash = strrchr(path, '/');
    struct ft_import x = { .network = calloc(1, sizeof *x.network), .err = err };
    char *folder = slash ? strndup(path, (size_t)(slash - path)) : ft_strdup(".");
    Ft__Onnx__Model *model = NULL;
    size_t size = 0;
    int rc = x.network && folder ? 0 : ft_error_nomem(err, "the network");
    (void)options;
    x.folder = folder && *folder ? folder : "/";
    if (!rc)
        rc = read_model(path, &model, &size, err);
    x.budget = FREE_BYTES + 8 * (size + (size_t)ft_onnx_bytes_beside(path));
    if (!rc) {
        x.network->storage.source = model;
        x.network->storage.release = model_free;
        x.network->name =
            ft_strdup(model->graph && model->graph->name && *model->graph->name ? model->graph->name
                                                                                : "network");
        rc = x.network->name ? import(&x, model) : ft_error_nomem(err, "the network");
    }
    free(x.names);
    free(x.values);
    free(x.shapes);
    free(folder);
    if (rc) {
        ft_network_free(x.network);
        return ft_error_prefix(err, rc, "'%s'", path);
    }
    *out = x.network;
    return 0;
}

const struct ft_reader ft_onnx_reader = { .name = "ONNX",
                                          .recognises = ft_onnx_is,
                                          .bytes_beside = ft_onnx_bytes_beside,
                                          .open = open_file };
