/* finetune explain: which places in a picture support its class, and similar training pictures. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

struct explain {
    struct ft_model *model;
    struct ft_explanation *explanation;
    struct ft_question question;
    struct ft_gallery *gallery;
    struct ft_neighbour *neighbours;
    size_t n_neighbours;
    float *map;
    int label; /* the most probable class */
};

/* Splits A,B at the first comma with a class name on both sides, because names may contain commas.
 */
static int find_question(struct explain *x, const struct settings *s, struct ft_error *err)
{
    const char *both = s->compare;
    char *const *classes = ft_model_class_names(x->model);
    const int k = ft_model_head(x->model)->k;
    x->question = (struct ft_question){ x->label, -1 };
    if (s->class_name)
        x->question.class_index = class_named(s->class_name, strlen(s->class_name), classes, k);
    if (x->question.class_index < 0)
        return refuse(err, FT_EARG,
                      "'%s' is not a class of the model; finetune info %s lists the classes",
                      s->class_name, s->model);
    if (!both)
        return 0;
    for (const char *comma = strchr(both, ','); comma; comma = strchr(comma + 1, ',')) {
        const int a = class_named(both, (size_t)(comma - both), classes, k),
                  b = class_named(comma + 1, strlen(comma + 1), classes, k);
        if (a >= 0 && b >= 0 && a != b) {
            x->question = (struct ft_question){ a, b };
            return 0;
        }
    }
    return refuse(
        err, FT_EARG,
        "--compare '%s': expected two different classes of the model, as A,B; finetune info %s "
        "lists the classes",
        both, s->model);
}

static int find_neighbours(struct explain *x, const struct settings *s, struct ft_error *err)
{
    const struct ft_explanation *e = x->explanation;
    int rc = s->neighbours > 0 ? ft_model_gallery(x->model, &x->gallery, err) : 0;
    if (rc || !x->gallery)
        return rc;
    x->neighbours = malloc((size_t)s->neighbours * sizeof *x->neighbours);
    if (!x->neighbours)
        return out_of_memory(err, s->arguments[0]);
    x->n_neighbours =
        ft_gallery_nearest(x->gallery, e->feature, e->d, (size_t)s->neighbours, x->neighbours);
    return 0;
}

/* Of values of all classes: that of the class, minus that of the class against it. */
static double total(const struct explain *x, const float *values)
{
    const struct ft_question *q = &x->question;
    return (double)values[q->class_index] - (q->against >= 0 ? (double)values[q->against] : 0);
}

static void print_json(const struct explain *x, const struct settings *s)
{
    const struct ft_explanation *e = x->explanation;
    char *const *classes = ft_model_class_names(x->model);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "path", s->arguments[0]);
    cJSON_AddStringToObject(json, "label", classes[x->label]);
    cJSON_AddNumberToObject(json, "probability", (double)e->p[x->label]);
    cJSON_AddStringToObject(json, "class", classes[x->question.class_index]);
    if (x->question.against >= 0)
        cJSON_AddStringToObject(json, "against", classes[x->question.against]);
    cJSON_AddStringToObject(json, "method", e->exact ? "class activation map" : "occlusion");
    cJSON_AddNumberToObject(json, "elsewhere", total(x, e->elsewhere));
    cJSON_AddNumberToObject(json, "logit", total(x, e->logits));
    cJSON_AddNumberToObject(json, "bias", total(x, ft_model_head(x->model)->b));
    cJSON *map = cJSON_AddArrayToObject(json, "map");
    for (int y = 0; y < e->height; y++) {
        cJSON *row = cJSON_CreateArray();
        for (int c = 0; c < e->width; c++)
            cJSON_AddItemToArray(row, cJSON_CreateNumber((double)x->map[y * e->width + c]));
        cJSON_AddItemToArray(map, row);
    }
    cJSON *list = cJSON_AddArrayToObject(json, "neighbours");
    for (size_t i = 0; i < x->n_neighbours; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "path", x->gallery->paths[x->neighbours[i].row]);
        cJSON_AddStringToObject(one, "label", classes[x->gallery->labels[x->neighbours[i].row]]);
        cJSON_AddNumberToObject(one, "similarity", x->neighbours[i].similarity);
        cJSON_AddItemToArray(list, one);
    }
    json_print(json);
}

static void print_lines(const struct explain *x, const struct settings *s)
{
    static const char *const across[] = { "left", "middle", "right" }, *const down[] = { "top",
                                                                                         "middle",
                                                                                         "bottom" };
    const struct ft_explanation *e = x->explanation;
    char *const *classes = ft_model_class_names(x->model);
    const struct ft_question *q = &x->question;
    const double logit = total(x, e->logits), bias = total(x, ft_model_head(x->model)->b),
                 elsewhere = total(x, e->elsewhere);
    char more[100] = "";
    int best = 0;
    if (e->exact && elsewhere != 0)
        snprintf(more, sizeof more, " and %.2f comes from features of the whole picture",
                 elsewhere);
    for (int i = 1; i < e->height * e->width; i++)
        best = x->map[i] > x->map[best] ? i : best;
    result("label", "%s %.3f", classes[x->label], (double)e->p[x->label]);
    result("evidence", "for %s%s%s: logit %.2f, of which %.2f is bias%s · strongest at the %s %s",
           classes[q->class_index], q->against >= 0 ? " against " : "",
           q->against >= 0 ? classes[q->against] : "", logit, bias, more,
           down[best / e->width * 3 / e->height], across[best % e->width * 3 / e->width]);
    result("method", "%s",
           !e->exact ? "occlusion: decrease of the logit when a cell is covered"
           : *more   ? "class activation map: the sum of its cells, of what comes from the whole "
                       "picture, and of the bias is the logit"
                     : "class activation map: the sum of its cells and the bias is the logit");
    for (size_t i = 0; i < x->n_neighbours; i++)
        result(i ? "" : "looks like", "%.3f  %s  %s", x->neighbours[i].similarity,
               x->gallery->paths[x->neighbours[i].row],
               classes[x->gallery->labels[x->neighbours[i].row]]);
    if (s->output)
        result("saved", "%s", s->output);
}

static void show_progress(void *user, size_t done, size_t total)
{
    struct progress *progress = user;
    progress->total = total;
    progress_step(progress, done);
}

static int run(struct explain *x, const struct settings *s, struct ft_error *err)
{
    struct progress progress;
    int rc = model_open(s, &x->model, err);
    progress_begin(&progress, "occlusion", "copies", 0);
    const struct ft_explain_options options = { .max_pixels = (uint64_t)s->max_megapixels << 20,
                                                .occlude = !strcmp(s->method, "occlusion"),
                                                .progress = show_progress,
                                                .user = &progress };
    if (!rc)
        rc = ft_explain(x->model, s->arguments[0], &options, &x->explanation, err);
    progress_end(&progress);
    if (rc)
        return rc;
    const struct ft_explanation *e = x->explanation;
    for (int c = 1; c < e->k; c++)
        x->label = e->p[c] > e->p[x->label] ? c : x->label;
    rc = find_question(x, s, err);
    if (!rc)
        rc = find_neighbours(x, s, err);
    x->map = malloc((size_t)e->height * (size_t)e->width * sizeof *x->map);
    if (!rc && !x->map)
        rc = out_of_memory(err, s->arguments[0]);
    if (rc)
        return rc;
    ft_explanation_map(e, &x->question, x->map);
    const char *slash = strrchr(s->arguments[0], '/');
    return s->output ? ft_explanation_draw(e, &x->question, ft_model_class_names(x->model),
                                           slash ? slash + 1 : s->arguments[0], s->output, err)
                     : 0;
}

static int explain_main(const struct settings *s)
{
    struct ft_error err;
    struct explain x = { 0 };
    const int rc = run(&x, s, &err);
    if (!rc && s->json)
        print_json(&x, s);
    else if (!rc)
        print_lines(&x, s);
    free(x.map);
    free(x.neighbours);
    ft_gallery_free(x.gallery);
    ft_explanation_free(x.explanation);
    ft_model_free(x.model);
    return rc ? fail(&err) : EXIT_DONE;
}

static const struct option explain_options[] = {
    { "output", 'o', TEXT(output), .file = FILE_PICTURE, .argument = "FILE",
      .help = "file to write, with the heat map: .png or .jpg" },
    { "class", 0, TEXT(class_name), .argument = "NAME",
      .help = "show the evidence for this class (default: the most probable one)" },
    { "compare", 0, TEXT(compare), .argument = "A,B",
      .help = "show the evidence for class A against class B" },
    { "method", 0, TEXT(method), .argument = "auto|occlusion", .choices = "auto|occlusion",
      .initial = "auto",
      .help = "auto: an exact map if the features are averages of maps or of patch tokens; "
              "occlusion: cover one cell at a time and measure the logit" },
    { "neighbours", 0, INT(neighbours, 0, 1000), .argument = "K", .initial = "3",
      .help = "list the K most similar training pictures" },
    { 0 },
};

const struct command explain_command = {
    .name = "explain",
    .arguments = "PICTURE",
    .summary = "show which places in a picture support its class, and similar training pictures",
    .least = 1,
    .most = 1,
    .run = explain_main,
    .more = "Example:\n  finetune explain photo.jpg -o why.png --compare cat,dog",
    .options = { explain_options, model_options, picture_options },
};
