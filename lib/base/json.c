/* Each call of cJSON that adds to a tree may fail if memory runs out, and the item is then missing.
 * Callers do not check each call: cJSON's allocator is malloc, and sets a flag of the thread if it
 * fails. */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"

static _Thread_local bool out_of_memory;

static void *allocate(size_t size)
{
    void *p = malloc(size);
    out_of_memory |= !p;
    return p;
}

/* Before main, so that no thread uses cJSON yet. */
__attribute__((constructor)) static void install(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){ .malloc_fn = allocate, .free_fn = free });
}

int ft_json_parse(const char *text, size_t size, struct cJSON **out, struct ft_error *err)
{
    const bool before = out_of_memory; /* of a tree that is being made */
    out_of_memory = false;
    cJSON *json = cJSON_ParseWithLength(text, size);
    const bool short_of_memory = out_of_memory;
    out_of_memory = before;
    if (short_of_memory) {
        cJSON_Delete(json);
        return ft_error_nomem(err, "JSON");
    }
    if (!json)
        return ft_error_set(err, FT_EFORMAT, "it is not JSON");
    *out = json;
    return 0;
}

char *ft_json_text(struct cJSON *json, bool indented)
{
    char *text = indented ? cJSON_Print(json) : cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (out_of_memory) {
        free(text);
        text = NULL;
    }
    out_of_memory = false;
    return text;
}
