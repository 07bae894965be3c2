/* Classifies one picture on the calling thread. */
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "finetune-tools.h"

/* A feature [d] for the model's head, or NULL. */
static float *feature_alloc(const struct ft_model *m, struct ft_error *err)
{
    float *x = ft_alloc((size_t)ft_model_head(m)->d, sizeof *x);
    if (!x)
        ft_error_nomem(err, "the feature");
    return x;
}

/* Fills p unless rc is an error; frees the feature. */
static int judge(const struct ft_model *m, float *feature, int rc, float *p)
{
    if (!rc)
        ft_head_probabilities(ft_model_head(m), feature, 1, p);
    free(feature);
    return rc;
}

int ft_predict_file(const struct ft_model *m, const char *path, float *p, struct ft_error *err)
{
    float *x = feature_alloc(m, err);
    return judge(m, x, x ? ft_feature_file(ft_model_backbone(m), path, x, err) : FT_ENOMEM, p);
}

int ft_predict_bytes(const struct ft_model *m, const void *data, size_t size, float *p,
                     struct ft_error *err)
{
    float *x = feature_alloc(m, err);
    return judge(m, x, x ? ft_feature_bytes(ft_model_backbone(m), data, size, x, err) : FT_ENOMEM,
                 p);
}

int ft_predict_pixels(const struct ft_model *m, const struct ft_pixels *pixels, float *p,
                      struct ft_error *err)
{
    float *x = feature_alloc(m, err);
    return judge(m, x, x ? ft_feature_pixels(ft_model_backbone(m), pixels, x, err) : FT_ENOMEM, p);
}
