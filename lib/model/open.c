/* Reading model files: those of ft_model_save, and Keras files of other programs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "model/class_names.h"
#include "model/model.h"
#include "network/edit.h"

/* What ft_model_open finds in a file besides the model. */
struct opening {
    cJSON *json; /* the attribute `finetune`; NULL: a file of another program */
    char warning[sizeof(((struct ft_backbone *)0)->warning)];
    int head;    /* index of the head's layer */
    bool logits; /* the last layer has no activation */
    enum { NAMES_KNOWN, NAMES_IMAGENET, NAMES_NUMBERS } names;
};

/* Returns whether the last layer is that of a network of keras.applications with ImageNet's
 * classes. */
static bool is_imagenet(const struct ft_network *n, int k)
{
    static const char *const names[] = { "predictions", "fc1000", "conv_preds",
                                         "Logits",      "logits", "prediction_layer" };
    static const char convnext[] = "_head_dense";
    const char *name = n->layers[n->output].name;
    const size_t length = strlen(name), tail = sizeof convnext - 1;
    bool found = length > tail && !strcmp(name + length - tail, convnext);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        found |= !strcmp(name, names[i]);
    return found && k == 1000;
}

/* The names of the classes of another program's model; m->classes is NULL if they are not known. */
static int find_names(struct ft_model *m, const struct ft_network *network, const char *path,
                      const struct ft_backbone_options *options, struct opening *o,
                      struct ft_error *err)
{
    const int rc =
        ft_class_names_read(path, options ? options->classes : NULL, m->head.k, &m->classes, err);
    if (rc || m->classes || !is_imagenet(network, m->head.k))
        return rc;
    o->names = NAMES_IMAGENET;
    return ft_class_names_imagenet(options ? options->weights_dir : NULL, &m->classes, err);
}

/* Reads class names from the attribute, or as find_names; else they are "0", "1", ... */
static int read_classes(struct ft_model *m, const struct ft_network *network, const char *path,
                        const struct ft_backbone_options *options, struct opening *o,
                        struct ft_error *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o->json, "classes");
    if (list && options && options->classes)
        return ft_error_set(err, FT_EARG, "its classes have names, which cannot be changed");
    const int rc = list ? 0 : find_names(m, network, path, options, o, err);
    if (rc || m->classes)
        return rc;
    if (list && cJSON_GetArraySize(list) != m->head.k)
        return ft_error_set(err, FT_EFORMAT, "has %d class names for %d classes",
                            cJSON_GetArraySize(list), m->head.k);
    o->names = list ? NAMES_KNOWN : NAMES_NUMBERS;
    m->classes = calloc((size_t)m->head.k, sizeof *m->classes);
    if (!m->classes)
        return ft_error_nomem(err, "class names");
    const cJSON *item = list ? list->child : NULL;
    for (int i = 0; i < m->head.k; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        const char *name = list ? cJSON_GetStringValue(item) : number;
        if (!name)
            return ft_error_set(err, FT_EFORMAT, "class name %d is not a string", i);
        if (!(m->classes[i] = ft_strdup(name)))
            return ft_error_nomem(err, "class names");
        item = item ? item->next : NULL;
    }
    return 0;
}

static int keep_record(struct ft_model *m, const cJSON *json, struct ft_error *err)
{
    const cJSON *training = cJSON_GetObjectItemCaseSensitive(json, "training");
    if (training && !(m->record = cJSON_PrintUnformatted(training)))
        return ft_error_nomem(err, "the training record");
    ft_model_read_record(m, training);
    return 0;
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* One output z with a sigmoid is the probability of the second of two classes. The softmax of (0,
 * z) is the same. */
static int read_binary(struct ft_model *m, const struct ft_tensor *kernel,
                       const struct ft_tensor *bias, struct ft_error *err)
{
    m->head.k = 2;
    m->head.w = ft_alloc_zero(2 * kernel->count, sizeof(float));
    m->head.b = ft_alloc_zero(2, sizeof(float));
    if (!m->head.w || !m->head.b)
        return ft_error_nomem(err, "the head");
    for (size_t i = 0; i < kernel->count; i++)
        m->head.w[2 * i + 1] = kernel->data[i];
    m->head.b[1] = bias->data ? bias->data[0] : 0;
    return 0;
}

static int read_softmax(struct ft_model *m, const struct ft_tensor *kernel,
                        const struct ft_tensor *bias, struct ft_error *err)
{
    m->head.w = ft_alloc(kernel->count, sizeof(float));
    m->head.b = ft_alloc_zero((size_t)m->head.k, sizeof(float));
    if (!m->head.w || !m->head.b)
        return ft_error_nomem(err, "the head");
    memcpy(m->head.w, kernel->data, kernel->count * sizeof(float));
    if (bias->data)
        memcpy(m->head.b, bias->data, bias->count * sizeof(float));
    return 0;
}

/* The head is the network's last layer: Dense [d, k], or a convolution [1, 1, d, k] of one pixel.
 * Outputs without an activation are logits. */
static int read_head(struct ft_model *m, const struct ft_layer *layer,
                     enum ft_activation activation, struct ft_error *err)
{
    const struct ft_tensor *kernel = &layer->weights[FT_W_KERNEL],
                           *bias = &layer->weights[FT_W_BIAS];
    m->head.d = (int)kernel->shape[kernel->rank - 2];
    m->head.k = (int)kernel->shape[kernel->rank - 1];
    m->head.independent = activation == FT_ACT_SIGMOID && m->head.k > 1;
    const bool binary = m->head.k == 1 && activation != FT_ACT_SOFTMAX;
    const int rc = binary ? read_binary(m, kernel, bias, err) : read_softmax(m, kernel, bias, err);
    if (rc)
        return rc;
    const size_t k = (size_t)m->head.k;
    return all_finite(m->head.w, (size_t)m->head.d * k) && all_finite(m->head.b, k)
               ? 0
               : ft_error_set(err, FT_EFORMAT,
                              "the weights of its last layer are not finite: the file is damaged, "
                              "or its training diverged");
}

static int check_format(const cJSON *json, struct ft_error *err)
{
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(json, "format");
    if (json && !(cJSON_IsNumber(format) && format->valueint >= 1))
        return ft_error_set(err, FT_EFORMAT,
                            "its attribute 'finetune' has no format: the file is damaged");
    if (json && format->valueint > FT_MODEL_FORMAT)
        return ft_error_set(err, FT_EUNSUPPORTED,
                            "was written by a newer finetune (format %d): update this one",
                            format->valueint);
    return 0;
}

/* Everything that the network's own file says about the model. Messages do not name the file. */
static int read_model(struct ft_model *m, struct ft_network *network, const char *path,
                      const struct ft_backbone_options *options, struct opening *o,
                      struct ft_error *err)
{
    enum ft_activation activation = FT_ACT_LINEAR;
    o->head = ft_network_head(network, &activation);
    if (o->head < 0)
        return ft_error_set(err, FT_EARG,
                            "ends in layer '%.200s', not in a Dense layer with a softmax, with "
                            "sigmoids or without an activation: it is a backbone, not a trained "
                            "model (finetune train -b FILE makes one of it)",
                            network->layers[network->output].name);
    int rc = check_format(o->json, err);
    if (rc)
        return rc;
    rc = ft_network_load(network, o->head, err);
    if (rc)
        return rc;
    rc = read_head(m, &network->layers[o->head], activation, err);
    ft_network_unload(network, o->head);
    if (rc)
        return rc;
    o->logits = activation == FT_ACT_LINEAR;
    rc = read_classes(m, network, path, options, o, err);
    return rc ? rc : keep_record(m, o->json, err);
}

/* Adds a line to the warning. */
static void warn(struct opening *o, const char *line)
{
    const size_t n = strlen(o->warning);
    snprintf(o->warning + n, sizeof o->warning - n, "%s%s", n ? "\n" : "", line);
}

/* What is assumed of another program's model, with the option that says otherwise. */
static void say_assumptions(struct ft_model *m, const struct ft_network *network,
                            const struct ft_backbone_options *options, struct opening *o)
{
    const bool teachable = ft_network_find(network, "dense_Dense2") >= 0; /* its rule is known */
    if (!(options && options->rule) && !teachable)
        warn(o, "pictures are squashed to the input's size with a bilinear filter, as the data "
                "loaders of Keras do; --resize crop or pad takes another rule");
    if (network->preprocess && strcmp(network->preprocess, "none") &&
        !(options && options->preprocess))
        warn(o, "it has weights only, so pixels are scaled as for the published network of this "
                "architecture; --preprocess takes another scaling (0.00392157,0 for pixels / 255)");
    if (o->logits)
        warn(o, "its last layer has no activation: what it gives is taken for logits of classes "
                "(from_logits=True)");
    if (o->names == NAMES_IMAGENET)
        warn(o, "its classes are taken for the 1000 of ImageNet, by the name of its last layer; "
                "--classes gives other names");
    if (o->names == NAMES_NUMBERS)
        warn(o, m->head.k == 2 ? "its classes have no names: give them with --classes A,B"
                               : "its classes have no names: give them with --classes A,B,... or "
                                 "--classes FILE");
}

/* Applies the options to the network and reads the model from it. */
static int open_model(struct ft_model *m, struct ft_network *network, const char *path,
                      const struct ft_backbone_options *options, struct opening *o,
                      struct ft_error *err)
{
    int rc = ft_attribute_read(network, &o->json, err);
    if (rc)
        return rc;
    rc = ft_preprocess(network, options ? options->preprocess : NULL, o->warning, sizeof o->warning,
                       err);
    if (rc)
        return rc;
    if (o->json && options && options->rule)
        return ft_error_set(
            err, FT_EARG, "the resize rule cannot be changed: the model was trained with its own");
    if (o->json && options && options->icc &&
        !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(
            cJSON_GetObjectItemCaseSensitive(o->json, "input"), "icc")))
        return ft_error_set(err, FT_EARG,
                            "the model was trained without --icc: train it again with --icc");
    const char *precision = ft_precision_read(o->json),
               *own = precision ? precision : ft_precision_name(FT_PRECISION_F32);
    if (o->json && options && options->precision && strcmp(options->precision, own))
        return ft_error_set(err, FT_EARG,
                            "the precision cannot be changed to %.20s: the model was trained "
                            "with %.20s",
                            options->precision, own);
    rc = read_model(m, network, path, options, o, err);
    if (!rc && !o->json)
        say_assumptions(m, network, options, o);
    return rc;
}

int ft_model_open(const char *path, const struct ft_backbone_options *options,
                  struct ft_model **out, struct ft_error *err)
{
    static const struct ft_backbone_options defaults;
    struct ft_network *network;
    struct opening o = { 0 };
    struct ft_error deeper = { 0 };
    int rc = ft_backbone_network(path, options, &network, err);
    if (rc)
        return rc;
    struct ft_model *m = ft_model_alloc();
    rc = m ? open_model(m, network, path, options, &o, &deeper) : ft_error_nomem(&deeper, path);
    if (rc) {
        ft_network_free(network);
        if (err)
            *err = deeper;
        ft_error_prefix(err, rc, "'%s'", path);
        goto fail;
    }
    /* the backbone owns the network from here on, also if this fails */
    rc = ft_backbone_new(network, network->layers[o.head].inputs[0], path, o.json, !o.json,
                         options ? options : &defaults, &m->backbone, err);
    if (rc)
        goto fail;
    if (ft_backbone_features(m->backbone) != m->head.d) {
        rc = ft_error_set(err, FT_EFORMAT,
                          "'%s': its last layer takes %d values, but its input has %d", path,
                          m->head.d, ft_backbone_features(m->backbone));
        goto fail;
    }
    strcpy(m->backbone->warning, o.warning);
    cJSON_Delete(o.json);
    *out = m;
    return 0;
fail:
    cJSON_Delete(o.json);
    ft_model_free(m);
    return rc;
}
