/* finetune bench: time of the forward pass. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

static void print_layers(const struct ft_backbone *b, const double *seconds)
{
    double total = 0;
    printf("%-34s %-22s %-14s %14s %9s %9s\n", "layer", "kind", "algorithm", "output", "ms",
           "GFLOP/s");
    for (int i = 0; i < ft_backbone_steps(b); i++) {
        struct ft_layer_info l;
        char shape[40], name[256];
        ft_backbone_step(b, i, &l);
        snprintf(shape, sizeof shape, "%dx%dx%d", l.height, l.width, l.channels);
        snprintf(name, sizeof name, "%s", l.name);
        printf("%-34s %-22s %-14s %14s %9.3f %9.1f\n", ft_text_plain(name, ""), l.kind, l.kernel,
               shape, 1e3 * seconds[i],
               seconds[i] > 0 ? 2e-9 * (double)l.multiply_adds / seconds[i] : 0);
        total += seconds[i];
    }
    printf("%-34s %-22s %-14s %14s %9.3f\n", "total on one thread", "", "", "", 1e3 * total);
}

static void print_layers_json(const struct ft_backbone *b, const double *seconds)
{
    cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "layers");
    cJSON_AddStringToObject(json, "backbone", ft_backbone_name(b));
    cJSON_AddStringToObject(json, "cpu", ft_cpu_name());
    cJSON_AddStringToObject(json, "precision", ft_precision_name(ft_backbone_precision(b)));
    cJSON_AddNumberToObject(json, "threads", 1);
    for (int i = 0; i < ft_backbone_steps(b); i++) {
        struct ft_layer_info l;
        ft_backbone_step(b, i, &l);
        cJSON *one = cJSON_CreateObject();
        const int shape[3] = { l.height, l.width, l.channels };
        cJSON_AddStringToObject(one, "name", l.name);
        cJSON_AddStringToObject(one, "kind", l.kind);
        cJSON_AddStringToObject(one, "algorithm", l.kernel);
        cJSON_AddItemToObject(one, "output", cJSON_CreateIntArray(shape, 3));
        cJSON_AddNumberToObject(one, "ms", 1e3 * seconds[i]);
        cJSON_AddNumberToObject(one, "multiply_adds", (double)l.multiply_adds);
        cJSON_AddItemToArray(list, one);
    }
    json_print(json);
}

static int profile(const struct ft_backbone *b, const struct settings *s, struct ft_error *err)
{
    double *seconds = calloc((size_t)ft_backbone_steps(b) + 1, sizeof *seconds);
    if (!seconds)
        return out_of_memory(err, ft_backbone_name(b));
    const int rc = ft_backbone_profile(b, s->seconds, seconds, err);
    if (!rc && s->json)
        print_layers_json(b, seconds);
    else if (!rc)
        print_layers(b, seconds);
    free(seconds);
    return rc;
}

static void print_bench(const struct ft_backbone *b, const struct settings *s,
                        const struct ft_bench *bench)
{
    if (s->json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "backbone", ft_backbone_name(b));
        cJSON_AddStringToObject(json, "cpu", ft_cpu_name());
        cJSON_AddStringToObject(json, "precision", ft_precision_name(ft_backbone_precision(b)));
        cJSON_AddNumberToObject(json, "threads", bench->threads);
        cJSON_AddNumberToObject(json, "latency_ms", bench->latency_ms);
        cJSON_AddNumberToObject(json, "throughput_ms", bench->throughput_ms);
        json_print(json);
    }
    result("backbone", "%s · %s kernels · %d thread%s", ft_backbone_name(b), ft_cpu_name(),
           bench->threads, bench->threads == 1 ? "" : "s");
    if (ft_backbone_precision(b) != FT_PRECISION_F32)
        result("precision", "%s", precision_text(b));
    result("latency", "%.2f ms", bench->latency_ms);
    result("throughput", "%.2f ms/image", bench->throughput_ms);
}

static int bench_main(const struct settings *s)
{
    struct ft_error err;
    struct ft_backbone *backbone = NULL;
    struct ft_bench bench;
    struct ft_backbone_options options;
    backbone_options(s, &options);
    int rc = ft_backbone_open_for(s->n_arguments ? s->arguments[0] : NULL, &options, NULL, 0,
                                  s->threads, &backbone, &err);
    if (!rc && s->layers)
        rc = profile(backbone, s, &err);
    else if (!rc && !(rc = ft_backbone_bench(backbone, s->threads, s->seconds, &bench, &err)))
        print_bench(backbone, s, &bench);
    ft_backbone_free(backbone);
    return rc ? fail(&err) : EXIT_DONE;
}

static const struct option bench_options[] = {
    { "seconds", 0, NUMBER(seconds, 0.01, 600), .argument = "S", .initial = "3",
      .help = "duration of the measurement" },
    { "layers", 0, FLAG(layers), .help = "print one line for each layer" },
    { 0 },
};

const struct command bench_command = {
    .name = "bench",
    .arguments = "[FILE]",
    .summary = "measure the speed of a network on this machine",
    .most = 1,
    .run = bench_main,
    .options = { bench_options, network_options, precision_options, thread_options },
};
