/* finetune predict: rows stream out in the order of the arguments. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

struct prediction {
    const struct settings *settings;
    const struct ft_head *head;
    char *const *classes;
    int given, k;
    float *p;     /* [k] */
    int *order;   /* [k] classes, most probable first */
    size_t n, n_bad;
};

static const char *next_argument(void *user)
{
    struct prediction *x = user;
    return x->given < x->settings->n_arguments ? x->settings->arguments[x->given++] : NULL;
}

/* The first `top` places of x->order become the most probable classes; ties go to the earlier class. */
static void sort_top(struct prediction *x, int top)
{
    for (int i = 0; i < x->k; i++)
        x->order[i] = i;
    for (int place = 0; place < top; place++)
        for (int i = x->k - 1; i > place; i--)
            if (x->p[x->order[i]] > x->p[x->order[i - 1]]) {
                const int swap = x->order[i];
                x->order[i] = x->order[i - 1];
                x->order[i - 1] = swap;
            }
}

static void print_text(const struct prediction *x, const struct ft_row *row, int top)
{
    printf("%s", row->path);
    for (int i = 0; i < top; i++)
        printf("\t%s\t%.3f", x->classes[x->order[i]], (double)x->p[x->order[i]]);
    putchar('\n');
}

static void print_json(const struct prediction *x, const struct ft_row *row, int top)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "path", row->path);
    if (row->status)
        cJSON_AddStringToObject(object, "error", row->error);
    else {
        cJSON_AddStringToObject(object, "label", x->classes[x->order[0]]);
        cJSON_AddNumberToObject(object, "probability", (double)x->p[x->order[0]]);
        cJSON *list = cJSON_AddArrayToObject(object, "top");
        for (int i = 0; i < top; i++) {
            cJSON *item = cJSON_CreateObject();
            cJSON_AddStringToObject(item, "label", x->classes[x->order[i]]);
            cJSON_AddNumberToObject(item, "probability", (double)x->p[x->order[i]]);
            cJSON_AddItemToArray(list, item);
        }
    }
    char *text = cJSON_PrintUnformatted(object);
    printf("%s %s", row->index ? ",\n" : "[", text ? text : "null");
    cJSON_free(text);
    cJSON_Delete(object);
}

static int print_row(void *user, const struct ft_row *row)
{
    struct prediction *x = user;
    const int top = x->settings->top < x->k ? x->settings->top : x->k;
    x->n++;
    x->n_bad += row->status != 0;
    if (!row->status) {
        ft_head_probabilities(x->head, row->feature, 1, x->p);
        sort_top(x, top);
    }
    if (x->settings->json)
        print_json(x, row, top);
    else if (row->status)
        say("'%s': %s", row->path, row->error);
    else
        print_text(x, row, top);
    return !flush_output(); /* rows are there as soon as they are known; a reader that left ends the run */
}

int predict_main(const struct settings *settings)
{
    struct ft_error err;
    struct ft_model *model = NULL;
    if (model_open(settings, &model, &err))
        return fail(&err);
    const int k = ft_model_head(model)->k;
    struct prediction x = { .settings = settings, .head = ft_model_head(model), .classes = ft_model_class_names(model), .k = k, .p = malloc((size_t)k * sizeof(float)), .order = malloc((size_t)k * sizeof(int)) };
    struct ft_extract_options options;
    extract_options(settings, &options);
    options.lone = settings->n_arguments == 1;
    int status = EXIT_DONE;
    const int rc = ft_extract(ft_model_backbone(model), &options, next_argument, print_row, &x, &err);
    if (rc && rc != FT_ECANCELLED)
        status = fail(&err);
    else if (x.n_bad)
        status = EXIT_PARTLY;
    if (settings->json && !rc)
        fputs(x.n ? " ]\n" : "[]\n", stdout);
    free(x.p);
    free(x.order);
    ft_model_free(model);
    return status;
}
