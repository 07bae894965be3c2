/* finetune cache; opening and closing the cache for the other commands. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

struct ft_cache *cache_open(const struct settings *s)
{
    struct ft_error err;
    struct ft_cache *cache = NULL;
    if (!s->no_cache && ft_cache_open(s->cache, &cache, &err))
        note("features are not stored in a cache: %s", err.msg);
    return cache;
}

struct ft_cache_counts cache_close(struct ft_cache *cache)
{
    struct ft_cache_counts counts = { 0 };
    if (!cache)
        return counts;
    ft_cache_flush(cache);
    counts = ft_cache_counted(cache);
    if (ft_cache_warning(cache))
        note("%s", ft_cache_warning(cache));
    ft_cache_free(cache);
    return counts;
}

static void print_json(const struct ft_cache_info *i)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "path", i->path);
    cJSON_AddNumberToObject(json, "entries", (double)i->entries);
    cJSON_AddNumberToObject(json, "bytes", (double)i->bytes);
    cJSON_AddNumberToObject(json, "segments", (double)i->segments);
    cJSON_AddNumberToObject(json, "damaged", (double)i->damaged);
    cJSON_AddNumberToObject(json, "removed_entries", (double)i->removed_entries);
    cJSON_AddNumberToObject(json, "removed_bytes", (double)i->removed_bytes);
    cJSON_AddNumberToObject(json, "merged", (double)i->merged);
    json_print(json);
}

static int cache_main(const struct settings *s)
{
    struct ft_error err;
    struct ft_cache_info info;
    const char *what = s->arguments[0];
    int rc;
    if (!strcmp(what, "info"))
        rc = ft_cache_inspect(s->cache, &info, &err);
    else if (!strcmp(what, "clear"))
        rc = ft_cache_clear(s->cache, &info, &err);
    else if (!strcmp(what, "prune"))
        rc = ft_cache_prune(s->cache, s->days, &info, &err);
    else {
        say("cache: '%s': expected info, clear or prune", what);
        return EXIT_USAGE;
    }
    if (rc)
        return fail(&err);
    if (s->json) {
        print_json(&info);
        return EXIT_DONE;
    }
    result("cache", "%s", info.path);
    result("holds", "%" PRIu64 " features in %" PRIu64 " segment%s · %.1f MB", info.entries,
           info.segments, info.segments == 1 ? "" : "s", (double)info.bytes / 1e6);
    if (info.damaged)
        result("damaged",
               "%" PRIu64 " segments: they are ignored and their features are computed again",
               info.damaged);
    if (info.merged)
        result("merged", "%" PRIu64 " small segments were merged", info.merged);
    if (strcmp(what, "info"))
        result("removed", "%" PRIu64 " features · %.1f MB", info.removed_entries,
               (double)info.removed_bytes / 1e6);
    return EXIT_DONE;
}

static const struct option cache_command_options[] = {
    { "cache", 0, TEXT(cache), .argument = "DIR",
      .help = "folder of stored features (default: $XDG_CACHE_HOME/finetune)" },
    { "days", 0, NUMBER(days, 0, 36500), .argument = "N", .initial = "90",
      .help = "prune: remove features that were not used for N days" },
    { 0 },
};

const struct command cache_command = {
    .name = "cache",
    .arguments = "info|clear|prune",
    .summary = "show, empty or clean up the folder that keeps features between runs",
    .least = 1,
    .most = 1,
    .run = cache_main,
    .options = { cache_command_options },
};
