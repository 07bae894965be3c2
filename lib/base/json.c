/* Each call of cJSON that adds to a tree may fail if memory runs out, and the item is then missing.
 * Callers do not check each call: cJSON's allocator is malloc, and sets a flag of the thread if it
 * fails. */
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdlib.h>

#include "finetune-tools.h"

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
