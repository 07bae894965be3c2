/* finetune bench: the forward pass alone. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

static void print_layers(const struct ft_backbone *b, const double *seconds)
{
    double total = 0;
    printf("%-34s %-22s %-14s %14s %9s %9s\n", "layer", "kind", "algorithm", "output", "ms", "GFLOP/s");
    for (int i = 0; i < ft_backbone_steps(b); i++) {
        struct ft_layer_info l;
        char shape[40];
        ft_backbone_step(b, i, &l);
        snprintf(shape, sizeof shape, "%dx%dx%d", l.height, l.width, l.channels);
        printf("%-34s %-22s %-14s %14s %9.3f %9.1f\n", l.name, l.kind, l.kernel, shape, 1e3 * seconds[i],
               seconds[i] > 0 ? 2e-9 * (double)l.multiply_adds / seconds[i] : 0);
        total += seconds[i];
    }
    printf("%-34s %-22s %-14s %14s %9.3f\n", "all, one thread", "", "", "", 1e3 * total);
}

static int profile(const struct ft_backbone *b, const struct settings *s, struct ft_error *err)
{
    double *seconds = calloc((size_t)ft_backbone_steps(b) + 1, sizeof *seconds);
    if (!seconds)
        return EXIT_FAILED;
    const int rc = ft_backbone_profile(b, s->seconds, seconds, err);
    if (!rc)
        print_layers(b, seconds);
    free(seconds);
    return rc ? fail(err) : EXIT_DONE;
}

int bench_main(const struct settings *s)
{
    struct ft_error err;
    struct ft_backbone *backbone = NULL;
    struct ft_bench bench;
    int status = EXIT_DONE;
    struct ft_backbone_options options;
    backbone_options(s, &options);
    int rc = ft_backbone_open(s->n_arguments ? s->arguments[0] : NULL, &options, &backbone, &err);
    if (!rc && s->layers && !s->json)
        status = profile(backbone, s, &err);
    else if (!rc)
        rc = ft_backbone_bench(backbone, s->threads, s->seconds, &bench, &err);
    if (!rc && s->json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "backbone", ft_backbone_name(backbone));
        cJSON_AddStringToObject(json, "cpu", ft_cpu_name());
        cJSON_AddNumberToObject(json, "threads", bench.threads);
        cJSON_AddNumberToObject(json, "latency_ms", bench.latency_ms);
        cJSON_AddNumberToObject(json, "throughput_ms", bench.throughput_ms);
        json_print(json);
    } else if (!rc && !s->layers) {
        report("backbone", "%s · %s kernels · %d threads", ft_backbone_name(backbone), ft_cpu_name(), bench.threads);
        report("latency", "%.2f ms", bench.latency_ms);
        report("throughput", "%.2f ms/image", bench.throughput_ms);
    }
    ft_backbone_free(backbone);
    return rc ? fail(&err) : status;
}
