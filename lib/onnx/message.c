#include "onnx/message.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { FLOAT_TYPE = 1, UINT8_TYPE = 2, INT64_TYPE = 7, FLOAT16_TYPE = 10, NAME = 320 };
/* the largest float16, and the least that has all its digits, 2^-14 */
#define HALF_LARGEST 65504.0f
#define HALF_NORMAL  6.103515625e-05f
enum { ATTRIBUTE_FLOAT = 1, ATTRIBUTE_INT = 2, ATTRIBUTE_STRING = 3, ATTRIBUTE_INTS = 7 };

void ft_message_release(struct ft_message *m)
{
    free(m->graph.node);
    free(m->graph.initializer);
    ft_storage_release(&m->storage);
}

int ft_message_fail(struct ft_message *m, int code, const char *format, ...)
{
    va_list arguments;
    char text[400];
    if (m->rc)
        return m->rc;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    m->rc = ft_error_set(m->err, code, "%s", text);
    return m->rc;
}

void *ft_message_alloc(struct ft_message *m, size_t count, size_t size)
{
    void *block = m->rc ? NULL : ft_alloc_zero(count + 1, size);
    if (!m->rc && (!block || ft_storage_add(&m->storage, block))) {
        m->rc = ft_error_nomem(m->err, "the ONNX graph");
        return NULL;
    }
    return block;
}

char *ft_message_text(struct ft_message *m, const char *text)
{
    char *copy = ft_message_alloc(m, strlen(text) + 1, 1);
    return copy ? strcpy(copy, text) : NULL;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* "BASE/KIND7" */
static char *unique(struct ft_message *m, const char *kind)
{
    char name[NAME];
    snprintf(name, sizeof name, "%.200s/%s%zu", m->base, kind,
             m->graph.n_node + m->graph.n_initializer);
    return ft_message_text(m, name);
}

const char *ft_message_list(struct ft_message *m, const char *type, const char *const *inputs,
                            size_t n)
{
    Ft__Onnx__Node *node = ft_message_alloc(m, 1, sizeof *node);
    char **input = ft_message_alloc(m, n, sizeof *input),
         **output = ft_message_alloc(m, 1, sizeof *output);
    char *name = unique(m, type), *kind = ft_message_text(m, type);
    if (m->rc)
        return "";
    if (!ft_grow((void **)&m->graph.node, &m->node_capacity, m->graph.n_node,
                 sizeof *m->graph.node)) {
        m->rc = ft_error_nomem(m->err, "the ONNX graph");
        return "";
    }
    ft__onnx__node__init(node);
    for (size_t i = 0; i < n; i++)
        input[i] = (char *)(uintptr_t)inputs[i];
    output[0] = name;
    node->op_type = kind;
    node->name = name;
    node->n_input = n;
    node->input = input;
    node->n_output = 1;
    node->output = output;
    m->graph.node[m->graph.n_node++] = node;
    return name;
}

const char *ft_message_node(struct ft_message *m, const char *type, const char *a, const char *b,
                            const char *c, const char *d)
{
    const char *inputs[] = { a, b, c, d };
    size_t n = 0;
    while (n < 4 && inputs[n])
        n++;
    return ft_message_list(m, type, inputs, n);
}

void ft_message_rename(struct ft_message *m, const char *name)
{
    if (!m->rc)
        m->graph.node[m->graph.n_node - 1]->output[0] = ft_message_text(m, name);
}

/* A new attribute of the last node, or NULL after an error. */
static Ft__Onnx__Attribute *attribute(struct ft_message *m, const char *name, int type)
{
    if (m->rc)
        return NULL;
    Ft__Onnx__Node *node = m->graph.node[m->graph.n_node - 1];
    Ft__Onnx__Attribute *a = ft_message_alloc(m, 1, sizeof *a);
    Ft__Onnx__Attribute **list = ft_message_alloc(m, node->n_attribute + 1, sizeof *list);
    char *copy = ft_message_text(m, name);
    if (m->rc)
        return NULL;
    ft__onnx__attribute__init(a);
    a->name = copy;
    a->has_type = true;
    a->type = type;
    for (size_t i = 0; i < node->n_attribute; i++)
        list[i] = node->attribute[i];
    list[node->n_attribute++] = a;
    node->attribute = list;
    return a;
}

void ft_message_int(struct ft_message *m, const char *name, int64_t value)
{
    Ft__Onnx__Attribute *a = attribute(m, name, ATTRIBUTE_INT);
    if (!a)
        return;
    a->has_i = true;
    a->i = value;
}

void ft_message_float(struct ft_message *m, const char *name, float value)
{
    Ft__Onnx__Attribute *a = attribute(m, name, ATTRIBUTE_FLOAT);
    if (!a)
        return;
    a->has_f = true;
    a->f = value;
}

void ft_message_string(struct ft_message *m, const char *name, const char *value)
{
    Ft__Onnx__Attribute *a = attribute(m, name, ATTRIBUTE_STRING);
    char *copy = ft_message_text(m, value);
    if (m->rc)
        return;
    a->has_s = true;
    a->s = (ProtobufCBinaryData){ strlen(copy), (uint8_t *)copy };
}

void ft_message_ints(struct ft_message *m, const char *name, const int64_t *values, size_t n)
{
    Ft__Onnx__Attribute *a = attribute(m, name, ATTRIBUTE_INTS);
    int64_t *copy = ft_message_alloc(m, n, sizeof *copy);
    if (m->rc)
        return;
    memcpy(copy, values, n * sizeof *copy);
    a->ints = copy;
    a->n_ints = n;
}

/* ---- constants ------------------------------------------------------------------------------- */

static const char *tensor(struct ft_message *m, int type, const void *values, size_t size,
                          const int64_t *dims, int rank)
{
    Ft__Onnx__Tensor *t = ft_message_alloc(m, 1, sizeof *t);
    int64_t *copy = ft_message_alloc(m, (size_t)rank, sizeof *copy);
    char *name = unique(m, "c");
    if (m->rc)
        return "";
    if (!ft_grow((void **)&m->graph.initializer, &m->tensor_capacity, m->graph.n_initializer,
                 sizeof *m->graph.initializer)) {
        m->rc = ft_error_nomem(m->err, "the ONNX graph");
        return "";
    }
    ft__onnx__tensor__init(t);
    for (int d = 0; d < rank; d++)
        copy[d] = dims[d];
    t->name = name;
    t->has_data_type = true;
    t->data_type = type;
    t->dims = copy;
    t->n_dims = (size_t)rank;
    t->has_raw_data = true;
    t->raw_data = (ProtobufCBinaryData){ size, (uint8_t *)(uintptr_t)values };
    m->graph.initializer[m->graph.n_initializer++] = t;
    return name;
}

/* Rounds to the nearest float16, ties to even; |value| <= HALF_LARGEST. */
static uint16_t to_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (fabsf(value) < HALF_NORMAL)
        return (uint16_t)(sign | (uint32_t)nearbyintf(ldexpf(fabsf(value), 24)));
    const uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | (rounded - (112u << 23)) >> 13);
}

/* Whether the largest value is far from both ends of float16, so that the error of each value is at
 * most 2^-11 of the largest. */
static bool fits_half(const float *values, size_t count)
{
    float largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return false;
        largest = fmaxf(largest, fabsf(values[i]));
    }
    return largest <= HALF_LARGEST && largest >= HALF_NORMAL;
}

static const char *halves(struct ft_message *m, const float *values, size_t count,
                          const int64_t *dims, int rank)
{
    uint16_t *rounded = ft_message_alloc(m, count, sizeof *rounded);
    for (size_t i = 0; rounded && i < count; i++)
        rounded[i] = to_half(values[i]);
    const char *y = tensor(m, FLOAT16_TYPE, rounded, count * sizeof *rounded, dims, rank);
    y = ft_message_node(m, "Cast", y, NULL, NULL, NULL);
    ft_message_int(m, "to", FLOAT_TYPE);
    return y;
}

const char *ft_message_floats(struct ft_message *m, const float *values, const int64_t *dims,
                              int rank)
{
    size_t count = 1;
    for (int d = 0; d < rank; d++)
        count *= (size_t)dims[d];
    if (!m->rc && m->half && (rank == 2 || rank == 4) && fits_half(values, count))
        return halves(m, values, count, dims, rank);
    return tensor(m, FLOAT_TYPE, values, count * sizeof *values, dims, rank);
}

const char *ft_message_number(struct ft_message *m, float value)
{
    float *copy = ft_message_alloc(m, 1, sizeof *copy);
    if (!copy)
        return "";
    *copy = value;
    return ft_message_floats(m, copy, NULL, 0);
}

const char *ft_message_shape(struct ft_message *m, const int64_t *values, size_t n)
{
    int64_t *copy = ft_message_alloc(m, n, sizeof *copy);
    if (!copy)
        return "";
    memcpy(copy, values, n * sizeof *copy);
    return tensor(m, INT64_TYPE, copy, n * sizeof *copy, (int64_t[]){ (int64_t)n }, 1);
}

/* ---- inputs and outputs ---------------------------------------------------------------------- */

Ft__Onnx__ValueInfo *ft_message_value(struct ft_message *m, const char *name, const int64_t *dims,
                                      int rank, bool bytes)
{
    Ft__Onnx__ValueInfo *value = ft_message_alloc(m, 1, sizeof *value);
    Ft__Onnx__Type *type = ft_message_alloc(m, 1, sizeof *type);
    Ft__Onnx__TensorType *tensor_type = ft_message_alloc(m, 1, sizeof *tensor_type);
    Ft__Onnx__Shape *shape = ft_message_alloc(m, 1, sizeof *shape);
    Ft__Onnx__Dimension **list = ft_message_alloc(m, (size_t)rank, sizeof *list),
                        *each = ft_message_alloc(m, (size_t)rank, sizeof *each);
    char *copy = ft_message_text(m, name), *batch = ft_message_text(m, "batch");
    if (m->rc)
        return NULL;
    ft__onnx__value_info__init(value);
    ft__onnx__type__init(type);
    ft__onnx__tensor_type__init(tensor_type);
    ft__onnx__shape__init(shape);
    for (int d = 0; d < rank; d++) {
        ft__onnx__dimension__init(&each[d]);
        each[d].has_dim_value = dims[d] > 0;
        each[d].dim_value = dims[d] > 0 ? dims[d] : 0;
        each[d].dim_param = dims[d] > 0 || d ? NULL : batch;
        list[d] = &each[d];
    }
    shape->n_dim = (size_t)rank;
    shape->dim = list;
    tensor_type->has_elem_type = true;
    tensor_type->elem_type = bytes ? UINT8_TYPE : FLOAT_TYPE;
    tensor_type->shape = shape;
    type->tensor_type = tensor_type;
    value->name = copy;
    value->type = type;
    return value;
}
