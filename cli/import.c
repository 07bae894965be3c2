/* finetune import: converts any Keras file to a whole-model file. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "cli.h"

static int import_main(const struct settings *s)
{
    struct ft_error err;
    struct ft_backbone_options options;
    struct ft_backbone *backbone = NULL;
    uint64_t bytes = 0;
    backbone_options(s, &options);
    int rc = ft_output_check(s->output, &err);
    if (!rc)
        rc = ft_backbone_open(s->arguments[0], &options, &backbone, &err);
    if (!rc)
        backbone_notes(backbone, s->arguments[0]);
    if (!rc)
        rc = ft_backbone_save(backbone, s->output, &bytes, &err);
    if (!rc) {
        const struct ft_geometry *g = ft_backbone_geometry(backbone);
        report("backbone", "%s · %dx%d px · %d features", ft_backbone_name(backbone), g->width,
               g->height, ft_backbone_features(backbone));
        report("saved", "%s (%.1f MB)", s->output, (double)bytes / 1e6);
        report("next", "finetune train DIR --backbone %s", s->output);
    }
    if (!rc && s->json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "backbone", ft_backbone_name(backbone));
        cJSON_AddNumberToObject(json, "features", ft_backbone_features(backbone));
        cJSON_AddStringToObject(json, "output", s->output);
        cJSON_AddNumberToObject(json, "bytes", (double)bytes);
        json_print(json);
    }
    ft_backbone_free(backbone);
    return rc ? fail(&err) : EXIT_DONE;
}

static const struct option import_options[] = {
    { "output", 'o', TEXT(output), .file = FILE_WRITTEN, .argument = "FILE",
      .initial = "backbone.h5", .help = "Keras file to write" },
    { 0 },
};

const struct command import_command = {
    .name = "import",
    .arguments = "FILE",
    .summary = "convert any Keras file to a whole-model file for train --backbone",
    .least = 1,
    .most = 1,
    .run = import_main,
    .more = "Example: weights that keras.applications downloads\n"
            "  finetune import resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5 -o resnet50.h5",
    .options = { import_options, network_options, precision_options },
};
