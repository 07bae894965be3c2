/* Building an ONNX graph in memory. The first error is kept and makes all later calls do nothing,
 * so that the description of a network is not interrupted by checks. Private to onnx/. */
#ifndef FT_ONNX_MESSAGE_H
#define FT_ONNX_MESSAGE_H

#include "network/network.h"
#include "onnx/onnx.pb-c.h"

struct ft_message {
    Ft__Onnx__Graph graph;
    size_t node_capacity, tensor_capacity;
    struct ft_storage storage; /* owns all parts of the graph */
    const char *base;          /* names of nodes and values begin with it */
    bool half;                 /* kernels are stored as float16 */
    int rc;                    /* the first error, or 0 */
    struct ft_error *err;
};

/* Frees the graph. */
void ft_message_release(struct ft_message *m);
int ft_message_fail(struct ft_message *m, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Memory that lives as long as the graph, zeroed. NULL after an error. */
void *ft_message_alloc(struct ft_message *m, size_t count, size_t size);
char *ft_message_text(struct ft_message *m, const char *text);

/* Appends a node with up to four inputs, NULL after the last. Returns the name of its output, or ""
 * after an error. The functions below it set attributes of the last node. */
const char *ft_message_node(struct ft_message *m, const char *type, const char *a, const char *b,
                            const char *c, const char *d);
/* The same with inputs [n]. */
const char *ft_message_list(struct ft_message *m, const char *type, const char *const *inputs,
                            size_t n);
void ft_message_int(struct ft_message *m, const char *name, int64_t value);
void ft_message_float(struct ft_message *m, const char *name, float value);
void ft_message_ints(struct ft_message *m, const char *name, const int64_t *values, size_t n);
void ft_message_string(struct ft_message *m, const char *name, const char *value);
/* Renames the output of the last node. */
void ft_message_rename(struct ft_message *m, const char *name);

/* Constants; return their name. Floats are not copied and must outlive the graph. If m->half, a
 * tensor of two or four axes is stored as float16, and a node makes it float32; it stays float32 if
 * float16 would lose more than its rounding. */
const char *ft_message_floats(struct ft_message *m, const float *values, const int64_t *dims,
                              int rank);
const char *ft_message_number(struct ft_message *m, float value);
const char *ft_message_shape(struct ft_message *m, const int64_t *values, size_t n);

/* An input or output: a float tensor, or one of bytes; size -1 is dynamic, and called `batch` on
 * the first axis. */
Ft__Onnx__ValueInfo *ft_message_value(struct ft_message *m, const char *name, const int64_t *dims,
                                      int rank, bool bytes);

#endif
