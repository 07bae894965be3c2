/* Learning curves, and several backbones and input sizes on the same pictures, as text and as JSON.
 */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>

#include "finetune-tools.h"
#include "report/text.h"

static void add_l2(struct ft_text *t, const struct ft_validation *v)
{
    ft_text_add(t, "\n        L2  log-loss  accuracy (all pictures, cross-validated)\n");
    for (int i = 0; i < v->n_grid; i++)
        ft_text_add(t, "  %8.3g  %8.4f  %6.2f %%%s\n", v->grid[i].l2, v->grid[i].log_loss,
                    100 * v->grid[i].accuracy,
                    v->grid[i].l2 == v->l2 ? "  chosen: lowest log-loss" : "");
}

static void add_contender(struct ft_text *t, const struct ft_contender *c)
{
    const struct ft_validation *v = c->validation;
    char input[24];
    snprintf(input, sizeof input, "%dx%d", c->width, c->height);
    ft_text_add(t, "%-24s  %9s  %8.2f  %6.2f %%  %6.2f to %6.2f  %.3g\n", c->name, input,
                c->ms_per_image, 100 * v->accuracy, 100 * v->interval[0], 100 * v->interval[1],
                v->l2);
}

char *ft_report_curve_text(const struct ft_curve *c, const struct ft_contender *contenders, int n)
{
    struct ft_text t = { 0 };
    ft_text_add(&t, "images  accuracy  95 %% interval\n");
    for (int i = 0; i < c->n_points; i++)
        ft_text_add(&t, "%6.0f  %6.2f %%  %6.2f to %6.2f\n", c->points[i].images,
                    100 * c->points[i].accuracy, 100 * c->points[i].low, 100 * c->points[i].high);
    ft_text_add(&t, "\npower law  error = %.4f + %.3f / images^%.2f\n", c->law.floor, c->law.scale,
                c->law.power);
    const double gain = 100 * (c->doubled.accuracy - c->now.accuracy);
    ft_text_add(&t,
                "doubling   %.0f pictures: about %.2f %% expected (%.2f to %.2f), %.2f points more "
                "than with %.0f\n",
                c->doubled.images, 100 * c->doubled.accuracy, 100 * c->doubled.low,
                100 * c->doubled.high, gain, c->now.images);
    add_l2(&t, contenders[0].validation);
    if (n > 1) {
        ft_text_add(&t,
                    "\nbackbone                      input  ms/image  accuracy  95 %% interval   "
                    "L2\n");
        for (int i = 0; i < n; i++)
            add_contender(&t, &contenders[i]);
    }
    return t.s;
}

static void add_interval(cJSON *to, double accuracy, double low, double high)
{
    cJSON_AddNumberToObject(to, "accuracy", accuracy);
    cJSON_AddNumberToObject(to, "low", low);
    cJSON_AddNumberToObject(to, "high", high);
}

char *ft_report_curve_json(const struct ft_curve *c, const struct ft_contender *contenders, int n)
{
    cJSON *json = cJSON_CreateObject(), *points = cJSON_AddArrayToObject(json, "points");
    for (int i = 0; i < c->n_points; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "images", c->points[i].images);
        add_interval(one, c->points[i].accuracy, c->points[i].low, c->points[i].high);
        cJSON_AddItemToArray(points, one);
    }
    cJSON *law = cJSON_AddObjectToObject(json, "law"), *now = cJSON_AddObjectToObject(json, "now"),
          *doubling = cJSON_AddObjectToObject(json, "doubling");
    cJSON_AddNumberToObject(law, "floor", c->law.floor);
    cJSON_AddNumberToObject(law, "scale", c->law.scale);
    cJSON_AddNumberToObject(law, "power", c->law.power);
    add_interval(now, c->now.accuracy, c->now.low, c->now.high);
    add_interval(doubling, c->doubled.accuracy, c->doubled.low, c->doubled.high);
    cJSON *l2 = cJSON_AddArrayToObject(json, "l2"),
          *backbones = cJSON_AddArrayToObject(json, "backbones");
    const struct ft_validation *v = contenders[0].validation;
    for (int i = 0; i < v->n_grid; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "l2", v->grid[i].l2);
        cJSON_AddNumberToObject(one, "log_loss", v->grid[i].log_loss);
        cJSON_AddNumberToObject(one, "accuracy", v->grid[i].accuracy);
        cJSON_AddItemToArray(l2, one);
    }
    for (int i = 0; i < n; i++) {
        cJSON *one = cJSON_CreateObject();
        const int input[] = { contenders[i].height, contenders[i].width };
        v = contenders[i].validation;
        cJSON_AddStringToObject(one, "backbone", contenders[i].name);
        cJSON_AddItemToObject(one, "input", cJSON_CreateIntArray(input, 2));
        cJSON_AddNumberToObject(one, "ms_per_image", contenders[i].ms_per_image);
        add_interval(one, v->accuracy, v->interval[0], v->interval[1]);
        cJSON_AddNumberToObject(one, "l2", v->l2);
        cJSON_AddItemToArray(backbones, one);
    }
    char *text = ft_json_text(json, false);
    return text;
}
