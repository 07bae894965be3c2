/* finetune info: the contents of a model or backbone file. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

struct totals {
    uint64_t parameters, multiply_adds;
};

static struct totals add_up(const struct ft_backbone *b)
{
    struct totals t = { 0 };
    for (int i = 0; i < ft_backbone_steps(b); i++) {
        struct ft_layer_info l;
        ft_backbone_step(b, i, &l);
        t.parameters += l.parameters;
        t.multiply_adds += l.multiply_adds;
    }
    return t;
}

static const char *const places[] = {
    [FT_LAYER_STEP] = "step", [FT_LAYER_FUSED] = "fused", [FT_LAYER_UNUSED] = "unused"
};

static void print_layers(const struct ft_layer_info *layers, int n)
{
    printf("\n%-34s %-22s %14s %12s %14s  runs as\n", "layer", "kind", "output", "parameters",
           "multiply-adds");
    for (int i = 0; i < n; i++) {
        const struct ft_layer_info *l = &layers[i];
        char shape[40] = "not known", name[256];
        if (l->height)
            snprintf(shape, sizeof shape, "%dx%dx%d", l->height, l->width, l->channels);
        snprintf(name, sizeof name, "%s", l->name);
        printf("%-34s %-22s %14s %12" PRIu64 " %14" PRIu64 "  %s\n", ft_text_plain(name, ""),
               l->kind, shape, l->parameters, l->multiply_adds,
               l->place == FT_LAYER_STEP ? l->kernel : places[l->place]);
    }
}

/* The colours of the network's input. */
static const char *colours(const struct ft_layer_info *layers, int n)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(layers[i].kind, "InputLayer"))
            return layers[i].channels == 1 ? "grey-scale" : "RGB";
    return "RGB";
}

static double number(const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static void print_classes(const struct ft_model *m)
{
    enum { SHOWN = 20 };
    const int k = ft_model_head(m)->k;
    char *const *classes = ft_model_class_names(m);
    char list[SHOWN * 262] = "";
    for (int i = 0, n = 0; i < k && i < SHOWN; i++)
        n += snprintf(list + n, sizeof list - (size_t)n, "%s %.255s", i ? "," : "", classes[i]);
    result("classes", "%d%s:%s%s", k,
           ft_model_independent(m) ? ", of which a picture may have several" : "", list,
           k > SHOWN ? ", ..." : "");
}

static void print_training(const struct ft_model *m)
{
    cJSON *t = ft_model_record(m) ? cJSON_Parse(ft_model_record(m)) : NULL;
    const cJSON *threshold = cJSON_GetObjectItemCaseSensitive(t, "threshold");
    if (t) {
        result("trained", "%.0f images · L2 %.3g · temperature %.3f · %.0f folds",
               number(t, "images"), number(t, "l2"), number(t, "temperature"), number(t, "folds"));
        const cJSON *ends = cJSON_GetObjectItemCaseSensitive(t, "interval");
        char interval[60] = ""; /* models of version 0.1 have none */
        if (cJSON_GetArraySize(ends) == 2)
            snprintf(interval, sizeof interval, "; 95 %% interval %.1f to %.1f",
                     100 * cJSON_GetNumberValue(cJSON_GetArrayItem(ends, 0)),
                     100 * cJSON_GetNumberValue(cJSON_GetArrayItem(ends, 1)));
        result(
            "accuracy", "%.1f %% (cross-validated%s) · log-loss %.3f · calibration error %.1f %%",
            100 * number(t, "accuracy"), interval, number(t, "log_loss"), 100 * number(t, "ece"));
        const cJSON *baseline = cJSON_GetObjectItemCaseSensitive(t, "baseline");
        const char *largest =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(baseline, "class"));
        if (largest)
            result("baseline", "%.1f %%: always answering '%s' · balanced accuracy %.1f %%",
                   100 * number(baseline, "accuracy"), largest,
                   100 * number(t, "balanced_accuracy"));
    }
    if (threshold)
        result("threshold",
               "%.3f: out of fold, %.3g %% of the pictures reach this probability (used by predict "
               "--threshold auto)",
               number(threshold, "value"), 100 * number(threshold, "coverage"));
    cJSON_Delete(t);
}

static void print_transformer(const struct ft_backbone *b)
{
    struct ft_transformer_info t;
    char patch[48] = "";
    if (ft_backbone_transformer(b, &t, NULL) || !t.blocks)
        return;
    if (t.patch[0])
        snprintf(patch, sizeof patch, " · patches of %dx%d", t.patch[0], t.patch[1]);
    result("attention", "%d layers · %d heads of %d channels · %d tokens%s", t.blocks, t.heads,
           t.head_channels, t.tokens, patch);
}

static void print_lines(const char *path, const struct ft_model *m, const struct ft_backbone *b,
                        const char *colour)
{
    static const char *const rules[] = { "centred crop", "squashed", "padded" };
    const struct ft_geometry *g = ft_backbone_geometry(b);
    const struct totals t = add_up(b);
    char crop[32] = "";
    if (g->rule == FT_RESIZE_CROP)
        snprintf(crop, sizeof crop, " of %.3g", g->crop);
    result("file", "%s: %s", path, m ? "a trained model" : "a backbone");
    result("backbone", "%s · %d steps · %.2f M parameters · %.0f M multiply-adds",
           ft_backbone_name(b), ft_backbone_steps(b), (double)t.parameters / 1e6,
           (double)t.multiply_adds / 1e6);
    print_transformer(b);
    result("input", "%dx%d %s · %s%s · %s%s", g->width, g->height, colour, rules[g->rule], crop,
           g->filter == FT_FILTER_BICUBIC ? "bicubic" : "bilinear",
           g->icc ? " · ICC profiles to sRGB" : "");
    result("features", "%d", ft_backbone_features(b));
    result("precision", "%s", precision_text(b));
    if (m) {
        print_classes(m);
        print_training(m);
    }
}

static cJSON *layers_json(const struct ft_layer_info *layers, int n)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < n; i++) {
        const struct ft_layer_info *l = &layers[i];
        cJSON *one = cJSON_CreateObject();
        const int shape[3] = { l->height, l->width, l->channels };
        cJSON_AddStringToObject(one, "name", l->name);
        cJSON_AddStringToObject(one, "kind", l->kind);
        cJSON_AddItemToObject(one, "output",
                              l->height ? cJSON_CreateIntArray(shape, 3) : cJSON_CreateNull());
        cJSON_AddNumberToObject(one, "parameters", (double)l->parameters);
        cJSON_AddNumberToObject(one, "multiply_adds", (double)l->multiply_adds);
        cJSON_AddStringToObject(one, "place", places[l->place]);
        cJSON_AddItemToArray(list, one);
    }
    return list;
}

/* layers [n]; with `list`, the object has all of them. */
static void print_json(const struct ft_model *m, const struct ft_backbone *b,
                       const struct ft_layer_info *layers, int n, bool list)
{
    const struct ft_geometry *g = ft_backbone_geometry(b);
    const struct totals t = add_up(b);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "kind", m ? "model" : "backbone");
    cJSON_AddStringToObject(json, "backbone", ft_backbone_name(b));
    const int size[2] = { g->height, g->width };
    cJSON_AddItemToObject(json, "input", cJSON_CreateIntArray(size, 2));
    cJSON_AddStringToObject(json, "colours", colours(layers, n));
    cJSON_AddNumberToObject(json, "features", ft_backbone_features(b));
    cJSON_AddStringToObject(json, "precision", ft_precision_name(ft_backbone_precision(b)));
    cJSON_AddBoolToObject(json, "portable", ft_backbone_portable(b));
    cJSON_AddNumberToObject(json, "parameters", (double)t.parameters);
    cJSON_AddNumberToObject(json, "multiply_adds", (double)t.multiply_adds);
    struct ft_transformer_info a;
    if (!ft_backbone_transformer(b, &a, NULL) && a.blocks) {
        cJSON *attention = cJSON_AddObjectToObject(json, "attention");
        cJSON_AddNumberToObject(attention, "layers", a.blocks);
        cJSON_AddNumberToObject(attention, "heads", a.heads);
        cJSON_AddNumberToObject(attention, "head_channels", a.head_channels);
        cJSON_AddNumberToObject(attention, "tokens", a.tokens);
        if (a.patch[0])
            cJSON_AddItemToObject(attention, "patch", cJSON_CreateIntArray(a.patch, 2));
    }
    if (m) {
        cJSON_AddItemToObject(json, "classes",
                              cJSON_CreateStringArray((const char *const *)ft_model_class_names(m),
                                                      ft_model_head(m)->k));
        cJSON_AddBoolToObject(json, "independent", ft_model_independent(m));
        cJSON *training = ft_model_record(m) ? cJSON_Parse(ft_model_record(m)) : NULL;
        if (training)
            cJSON_AddItemToObject(json, "training", training);
    }
    if (list)
        cJSON_AddItemToObject(json, "layers", layers_json(layers, n));
    json_print(json);
}

static int info_main(const struct settings *s)
{
    struct ft_error err;
    struct ft_model *model = NULL;
    struct ft_backbone *backbone = NULL;
    const char *path = s->arguments[0];
    struct ft_backbone_options options;
    backbone_options(s, &options);
    const bool cut = s->layer || s->size; /* these options are for backbones only */
    int rc = cut ? FT_EARG : ft_model_open(path, &options, &model, &err);
    /* it is not a model, must not be opened as one, or is the name of a backbone */
    if (rc == FT_EARG || (rc && access(path, F_OK)))
        rc = ft_backbone_open(path, &options, &backbone, &err);
    if (rc)
        return fail(&err);
    backbone_notes(model ? ft_model_backbone(model) : backbone, path);
    const struct ft_backbone *b = model ? ft_model_backbone(model) : backbone;
    struct ft_layer_info *layers = NULL;
    int n = 0;
    const bool list = s->layers || (s->verbose && !s->json);
    rc = ft_backbone_layers(b, &layers, &n, &err);
    if (!rc && s->json)
        print_json(model, b, layers, n, list);
    else if (!rc)
        print_lines(path, model, b, colours(layers, n));
    if (!rc && list && !s->json)
        print_layers(layers, n);
    free(layers);
    ft_model_free(model);
    ft_backbone_free(backbone);
    return rc ? fail(&err) : EXIT_DONE;
}

static const struct option info_options[] = {
    { "layers", 0, FLAG(layers), .help = "print one line for each layer" },
    { "resize", 0, TEXT(resize), .argument = "RULE", .choices = "crop|squash|pad",
      .help =
          "how a picture is fitted to the input (default: as the file says, else as the network "
          "was probably trained)" },
    { "classes", 0, TEXT(classes), .argument = "A,B,...|FILE",
      .help = "names of the classes of a model that another program trained" },
    { 0 },
};

const struct command info_command = {
    .name = "info",
    .arguments = "FILE",
    .summary = "show what a model or backbone file contains",
    .least = 1,
    .most = 1,
    .run = info_main,
    .options = { info_options, network_options, precision_options },
};
