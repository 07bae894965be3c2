/* Tensors that are known when the file is read: weights, and the arithmetic of shapes. Private to
 * onnx/. */
#ifndef FT_ONNX_CONSTANT_H
#define FT_ONNX_CONSTANT_H

#include "network/storage.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/view.h"

/* Element types of the format (TensorProto.DataType). */
enum ft_onnx_type {
    FT_ONNX_FLOAT = 1,
    FT_ONNX_UINT8 = 2,
    FT_ONNX_INT8 = 3,
    FT_ONNX_INT32 = 6,
    FT_ONNX_INT64 = 7,
    FT_ONNX_BOOL = 9,
    FT_ONNX_FLOAT16 = 10,
    FT_ONNX_DOUBLE = 11,
    FT_ONNX_BFLOAT16 = 16,
};

/* Either floats or integers (also for truth values). The values are owned by a storage. */
struct ft_constant {
    int rank;
    int64_t dims[FT_ONNX_RANK];
    size_t count;
    float *f;   /* [count], or NULL */
    int64_t *i; /* [count], or NULL */
};

/* Decodes a tensor of the file. External data is read from files in `folder`. The values may point
 * into `tensor`, which must outlive the storage. */
int ft_constant_decode(const Ft__Onnx__Tensor *tensor, const char *folder,
                       struct ft_storage *storage, struct ft_constant *out, struct ft_error *err);
/* Allocates values of the dims in *c; sets the count. Returns 0, FT_ENOMEM or FT_ELIMIT. */
int ft_constant_new(struct ft_constant *c, bool integer, struct ft_storage *storage,
                    struct ft_error *err);

static inline double ft_constant_at(const struct ft_constant *c, size_t k)
{
    return c->i ? (double)c->i[k] : (double)c->f[k];
}
/* Integers are truncated towards zero, and limited to their range. */
void ft_constant_set(struct ft_constant *c, size_t k, double value);

/* The index of the value of `c` that position `at` [rank] of a tensor of `rank` axes uses, if c is
 * repeated over that tensor as in NumPy. */
size_t ft_constant_index(const struct ft_constant *c, int rank, const int64_t *at);

#endif
