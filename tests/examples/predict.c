/* Classifies pixels that are already in memory, here those of a binary PPM file.
 *
 *     cc predict.c -o predict $(pkg-config --cflags --libs finetune)
 *     ./predict model.h5 picture.ppm
 */
#include <finetune.h>
#include <stdio.h>
#include <stdlib.h>

/* *rgb [height, width, 3] must be freed with free(). */
static int read_ppm(const char *path, uint8_t **rgb, int *width, int *height)
{
    FILE *f = fopen(path, "rb");
    uint8_t *pixels = NULL;
    int rc = -1;
    if (f && fscanf(f, "P6 %d %d 255%*c", width, height) == 2 && *width > 0 && *width < 65536 &&
        *height > 0 && *height < 65536) {
        const size_t size = (size_t)*width * (size_t)*height * 3;
        pixels = malloc(size);
        if (pixels && fread(pixels, 1, size, f) == size)
            rc = 0;
    }
    if (rc)
        free(pixels);
    else
        *rgb = pixels;
    if (f)
        fclose(f);
    return rc;
}

int main(int argc, char **argv)
{
    struct ft_error err;
    struct ft_model *model = NULL;
    uint8_t *rgb = NULL;
    float *p = NULL;
    int width = 0, height = 0, status = 1;
    if (argc != 3) {
        fprintf(stderr, "usage: predict MODEL PICTURE.ppm\n");
        return 2;
    }
    if (ft_model_open(argv[1], NULL, &model, &err)) {
        fprintf(stderr, "predict: %s\n", err.msg);
        return 1;
    }
    const int k = ft_model_classes(model);
    if (!(p = malloc((size_t)k * sizeof *p)) || read_ppm(argv[2], &rgb, &width, &height))
        fprintf(stderr, "predict: cannot read '%s'\n", argv[2]);
    else if (ft_predict_pixels(model, &(struct ft_pixels){ rgb, width, height, 0 }, p, &err))
        fprintf(stderr, "predict: '%s': %s\n", argv[2], err.msg);
    else {
        int best = 0;
        for (int c = 1; c < k; c++)
            if (p[c] > p[best])
                best = c;
        const bool known = (double)p[best] >= ft_model_threshold(model);
        printf("%s\t%s\t%.3f\n", argv[2], known ? ft_model_class_names(model)[best] : "unknown",
               (double)p[best]);
        status = 0;
    }
    free(p);
    free(rgb);
    ft_model_free(model);
    return status;
}
