/* finetune export: writes a trained model for other programs. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static void report_export(const struct settings *s, const struct ft_model *model, uint64_t bytes)
{
    const struct ft_geometry *g = ft_backbone_geometry(ft_model_backbone(model));
    const char *dot = strrchr(s->output, '.');
    const bool keras = dot && !strcmp(dot, ".keras");
    report("input",
           s->channels_first ? "%s[n, 3, %d, %d] · %s RGB 0-255"
                             : "%s[n, %d, %d, 3] · %s RGB 0-255",
           keras ? "" : "image ", g->height, g->width, s->uint8 ? "uint8" : "float32");
    if (!keras)
        report("outputs", "probabilities [n, %d] · features [n, %d]", ft_model_classes(model),
               ft_backbone_features(ft_model_backbone(model)));
    report("saved", "%s (%.1f MB)", s->output, (double)bytes / 1e6);
    if (s->labels)
        report("labels", "%s", s->labels);
}

static int export_main(const struct settings *s)
{
    struct ft_error err;
    struct ft_model *model = NULL;
    const struct ft_backbone_options options = { .preprocess = s->preprocess,
                                                 .rule = s->resize,
                                                 .classes = s->classes };
    const struct ft_export_options how = {
        .channels_first = s->channels_first, .uint8 = s->uint8, .fp16 = s->fp16, .labels = s->labels
    };
    uint64_t bytes = 0;
    int rc = ft_output_check(s->output, &err);
    if (!rc && s->labels)
        rc = ft_output_check(s->labels, &err);
    if (!rc)
        rc = ft_model_open(s->arguments[0], &options, &model, &err);
    if (!rc)
        backbone_notes(ft_model_backbone(model), s->arguments[0]);
    if (!rc)
        rc = ft_model_export(model, &how, s->output, &bytes, &err);
    if (!rc)
        report_export(s, model, bytes);
    if (!rc && s->json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddNumberToObject(json, "classes", ft_model_classes(model));
        cJSON_AddStringToObject(json, "output", s->output);
        cJSON_AddNumberToObject(json, "bytes", (double)bytes);
        json_print(json);
    }
    ft_model_free(model);
    return rc ? fail(&err) : EXIT_DONE;
}

static const struct option export_options[] = {
    { "output", 'o', TEXT(output), .file = FILE_WRITTEN, .argument = "FILE",
      .initial = "model.onnx",
      .help = "file to write: ONNX, or a Keras 3 archive if it ends in .keras" },
    { "labels", 0, TEXT(labels), .file = FILE_WRITTEN, .argument = "FILE",
      .help = "also write the names of the classes, one a line" },
    { "nchw", 0, FLAG(channels_first),
      .help = "the input has its channels first: [n, 3, h, w], not [n, h, w, 3]" },
    { "uint8", 0, FLAG(uint8), .help = "the input is uint8, as decoded pictures are, not float32" },
    { "fp16", 0, FLAG(fp16),
      .help = "store kernels as float16, which halves the file; the network computes in float32" },
    { 0 },
};
static const struct option foreign_options[] = {
    { "preprocess", 0, TEXT(preprocess), .argument = "MODE",
      .help = "pixel scaling that the network expects: tf, torch, caffe, none or SCALE,OFFSET "
              "(default: detected)" },
    { "resize", 0, TEXT(resize), .argument = "RULE", .choices = "crop|squash|pad",
      .help = "how a picture is fitted to the input of a model that another program trained" },
    { "classes", 0, TEXT(classes), .file = FILE_READ, .argument = "A,B,...|FILE",
      .help = "names of the classes of a model that another program trained" },
    { 0 },
};

const struct command export_command = {
    .name = "export",
    .arguments = "MODEL",
    .summary = "write a trained model as ONNX or .keras, for other programs",
    .least = 1,
    .most = 1,
    .run = export_main,
    .more =
        "The input 'image' takes RGB values 0-255; scaling is part of the network.\n"
        "Outputs are 'probabilities' and 'features'. The metadata of the file contain the names\n"
        "of the classes, how a picture is cropped and resized, the threshold, and how the model\n"
        "was trained. --nchw, --uint8 and --fp16 are for ONNX.\n"
        "A .keras archive opens with keras.saving.load_model() of Keras 3.\n"
        "Example:\n"
        "  finetune export model.h5 -o model.onnx --labels labels.txt",
    .options = { export_options, foreign_options },
};
