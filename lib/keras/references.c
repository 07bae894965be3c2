#include "keras/references.h"

#include "keras/fields.h"

static bool is_reference(const cJSON *value)
{
    const cJSON *name = cJSON_IsArray(value) ? value->child : NULL;
    if (!name || !cJSON_IsString(name) || !cJSON_IsNumber(name->next))
        return false;
    /* ["_CONSTANT_VALUE", -1, a number or a list, {}] */
    return cJSON_IsNumber(name->next->next) ||
           (name->next->valuedouble == -1 && cJSON_IsArray(name->next->next));
}

static const cJSON *history_of(const cJSON *value)
{
    return ft_field(ft_field(value, "config"), "keras_history");
}

/* Returns whether `value` is {name: tensor}, an input by its name. Of several inputs by name the
 * order is not known here. */
static bool is_named(const cJSON *value)
{
    const cJSON *one = cJSON_IsObject(value) ? value->child : NULL;
    return one && !one->next && (is_reference(one) || history_of(one));
}

static int visit_reference(const cJSON *value, ft_reference_visitor *each, void *user, int *others,
                           struct ft_error *err)
{
    const cJSON *name = value->child, *keywords = name->next->next->next;
    int rc = each(user, name->valuestring, name->next, name->next->next, others, err);
    for (const cJSON *k = keywords ? keywords->child : NULL; !rc && k; k = k->next)
        if (is_reference(k))
            rc = ft_references_visit(k, each, user, others, err);
    return rc;
}

static int visit_call(const cJSON *value, ft_reference_visitor *each, void *user, int *others,
                      struct ft_error *err)
{
    const cJSON *keywords = ft_field(value, "kwargs");
    int rc = ft_references_visit(ft_field(value, "args"), each, user, others, err);
    for (const cJSON *k = keywords ? keywords->child : NULL; !rc && k; k = k->next)
        if (cJSON_IsArray(k) || history_of(k))
            rc = ft_references_visit(k, each, user, others, err);
    return rc;
}

/* The recursion is bounded by the depth that cJSON accepts. */
int ft_references_visit(const cJSON *value, ft_reference_visitor *each, void *user, int *others,
                        struct ft_error *err)
{
    int rc = 0;
    if (is_reference(value))
        return visit_reference(value, each, user, others, err);
    if (is_named(value))
        return ft_references_visit(value->child, each, user, others, err);
    if (history_of(value))
        return ft_references_visit(history_of(value), each, user, others, err);
    if (cJSON_IsObject(value) && ft_field(value, "args"))
        return visit_call(value, each, user, others, err);
    if (!cJSON_IsArray(value)) {
        *others += !cJSON_IsNull(value);
        return 0;
    }
    for (const cJSON *item = value->child; !rc && item; item = item->next)
        rc = ft_references_visit(item, each, user, others, err);
    return rc;
}
