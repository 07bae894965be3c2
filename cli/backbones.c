/* finetune backbones: the available networks with their speed, and all known names. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

struct listing {
    const struct settings *settings;
    cJSON *json;   /* with --json: an array */
    size_t column; /* of the line of known names; 0: none printed yet */
    bool partly;   /* a network could not be opened or measured */
};

static double total(const struct ft_backbone *b)
{
    double multiply_adds = 0;
    for (int i = 0; i < ft_backbone_steps(b); i++) {
        struct ft_layer_info l;
        ft_backbone_step(b, i, &l);
        multiply_adds += (double)l.multiply_adds;
    }
    return multiply_adds;
}

static void show(struct listing *x, const char *name, const char *path, const struct ft_backbone *b,
                 const struct ft_bench *bench)
{
    const struct ft_geometry *g = ft_backbone_geometry(b);
    if (!x->json) {
        printf("%-24s %4dx%-4d %8d %10.0f M %9.2f ms   %s\n", name, g->width, g->height,
               ft_backbone_features(b), total(b) / 1e6, bench->throughput_ms, path);
        return;
    }
    cJSON *one = cJSON_CreateObject();
    const int size[2] = { g->height, g->width };
    cJSON_AddStringToObject(one, "name", name);
    cJSON_AddStringToObject(one, "path", path);
    cJSON_AddItemToObject(one, "input", cJSON_CreateIntArray(size, 2));
    cJSON_AddNumberToObject(one, "features", ft_backbone_features(b));
    cJSON_AddNumberToObject(one, "multiply_adds", total(b));
    cJSON_AddNumberToObject(one, "throughput_ms", bench->throughput_ms);
    cJSON_AddItemToArray(x->json, one);
}

/* Prints a name of the list, which is wrapped at 80 columns. */
static void show_known(struct listing *x, const char *name)
{
    enum { WIDTH = 80 };
    const size_t n = strlen(name);
    if (!x->column)
        puts("\nknown names, for files that hold only weights and for scripts/fetch_backbone:");
    else if (x->column + 2 + n + 1 > WIDTH) {
        puts(",");
        x->column = 0;
    } else {
        fputs(", ", stdout);
        x->column += 2;
    }
    fputs(name, stdout);
    x->column += n;
}

static int list_one(void *user, const char *name, const char *path)
{
    struct listing *x = user;
    struct ft_backbone *b = NULL;
    struct ft_bench bench;
    struct ft_error err = { 0 };
    if (!path) {
        if (x->json) {
            cJSON *one = cJSON_CreateObject();
            cJSON_AddStringToObject(one, "name", name);
            cJSON_AddItemToArray(x->json, one);
        } else
            show_known(x, name);
        return 0;
    }
    int rc = ft_backbone_open(path, NULL, &b, &err);
    rc = rc ? rc : ft_backbone_bench(b, 0, x->settings->seconds, &bench, &err);
    if (rc) {
        say("%s", err.msg);
        x->partly = true;
    } else
        show(x, name, path, b, &bench);
    ft_backbone_free(b);
    return rc == FT_ENOMEM ? rc : 0; /* the others would fail as well */
}

static int backbones_main(const struct settings *s)
{
    struct listing x = { .settings = s, .json = s->json ? cJSON_CreateArray() : NULL };
    struct ft_error err;
    if (!s->json)
        printf("%-24s %9s %8s %12s %12s   %s\n", "name", "input", "features", "multiply-adds",
               "a picture", "file");
    const int rc = s->json && !x.json ? FT_ENOMEM : ft_backbone_list(NULL, list_one, &x);
    if (rc == FT_ENOMEM) {
        cJSON_Delete(x.json);
        out_of_memory(&err, "the list of networks");
        return fail(&err);
    }
    if (rc)
        say("names are missing: a folder of weights, or a description in its folder "
            "'architectures', cannot be read");
    if (x.json)
        json_print(x.json);
    else if (x.column)
        putchar('\n');
    return rc || x.partly ? EXIT_PARTLY : EXIT_DONE;
}

static const struct option backbones_options[] = {
    { "seconds", 0, NUMBER(seconds, 0.01, 600), .argument = "S", .initial = "3",
      .help = "duration of the measurement of each network" },
    { 0 },
};

const struct command backbones_command = {
    .name = "backbones",
    .arguments = "",
    .summary = "list the available networks with their speed, and all known names",
    .run = backbones_main,
    .options = { backbones_options },
};
