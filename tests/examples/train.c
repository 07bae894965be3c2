/* Trains a classifier on a folder of pictures, one directory for each class.
 *
 *     cc train.c -o train $(pkg-config --cflags --libs finetune)
 *     ./train images model.h5
 */
#include <finetune.h>
#include <stdio.h>

static int show(void *user, size_t done, size_t total)
{
    (void)user;
    if (done == total)
        fprintf(stderr, "%zu pictures\n", total);
    return 0; /* not 0: cancel */
}

static void bad(void *user, const char *path, const char *reason)
{
    (void)user;
    fprintf(stderr, "train: '%s' is left out: %s\n", path, reason);
}

int main(int argc, char **argv)
{
    struct ft_model_train_options options = FT_MODEL_TRAIN_DEFAULTS;
    struct ft_model *model = NULL;
    struct ft_error err;
    if (argc != 3) {
        fprintf(stderr, "usage: train DIR MODEL\n");
        return 2;
    }
    options.progress = show;
    options.bad_picture = bad;
    options.head.seed = 1;
    int rc = ft_model_train(argv[1], &options, &model, &err);
    if (!rc)
        rc = ft_model_save(model, argv[2], NULL, &err);
    if (!rc)
        printf("accuracy %.3f by cross-validation\n", ft_model_accuracy(model));
    else
        fprintf(stderr, "train: %s\n", err.msg);
    ft_model_free(model);
    return rc ? 1 : 0;
}
