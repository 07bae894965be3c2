#include "keras/read_config.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "keras/compat.h"
#include "keras/operations.h"
#include "keras/config.h"
#include "keras/fields.h"
#include "keras/flatten.h"

int ft_draft_parse(const char *text, struct ft_draft *out, struct ft_error *err)
{
    cJSON *json;
    const int rc = ft_json_parse(text, strlen(text), &json, err);
    if (rc == FT_EFORMAT)
        return ft_error_set(err, rc, "its configuration is not JSON: the file is damaged");
    return rc ? rc : ft_draft_new(json, out, err);
}

int ft_draft_new(cJSON *json, struct ft_draft *out, struct ft_error *err)
{
    struct ft_draft draft = { .json = json };
    struct ft_model_config *model = NULL;
    const char *name = cJSON_GetStringValue(ft_field(ft_field(json, "config"), "name"));
    int total = 0;
    draft.name = ft_strdup(name ? name : "model");
    int rc = draft.name ? 0 : ft_error_nomem(err, "layers");
    if (!rc)
        rc = ft_model_config_parse(json, 0, &total, &model, err);
    if (!rc)
        rc = ft_model_config_flatten(model, &draft, err);
    if (!rc)
        rc = ft_operations_build(&draft, err);
    if (!rc)
        rc = ft_draft_make_compatible(&draft, err);
    ft_model_config_free(model);
    if (rc)
        ft_draft_release(&draft);
    else
        *out = draft;
    return rc;
}
