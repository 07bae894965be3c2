/* The facts of many files, one picture per thread. */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/thread.h"
#include "image/image.h"

#define FILE_LIMIT ((size_t)1 << 30)

struct worker {
    struct ft_preparer preparer;
    struct ft_bytes bytes;
};

struct survey {
    char *const *paths;
    size_t n;
    const struct ft_survey_options *options;
    struct ft_facts *facts;
    struct worker *workers;
    atomic_bool no_memory;
    atomic_size_t done;
};

static void look(void *context, size_t i, int member)
{
    struct survey *s = context;
    struct worker *w = &s->workers[member];
    struct ft_facts facts = { 0 };
    facts.status = ft_file_read(s->paths[i], FILE_LIMIT, &w->bytes, NULL);
    if (!facts.status)
        facts.status = ft_image_facts(&w->preparer, w->bytes.data, w->bytes.size,
                                      s->options->max_pixels, &facts, NULL);
    if (facts.status == FT_ENOMEM)
        atomic_store(&s->no_memory, true);
    s->facts[i] = facts;
    const size_t done = atomic_fetch_add(&s->done, 1) + 1;
    if (s->options->progress && member == 0)
        s->options->progress(s->options->user, done, s->n);
}

int ft_survey(char *const *paths, size_t n, const struct ft_survey_options *options,
              struct ft_facts *facts, struct ft_error *err)
{
    static const struct ft_survey_options defaults = FT_SURVEY_DEFAULTS;
    options = options ? options : &defaults;
    struct ft_team *team = ft_team_new(options->threads > 0 ? options->threads : ft_cpu_count());
    struct worker *workers = team ? calloc((size_t)ft_team_size(team), sizeof *workers) : NULL;
    int rc = workers ? 0 : ft_error_nomem(err, "the survey of pictures");
    if (!rc) {
        struct survey s = {
            .paths = paths, .n = n, .options = options, .facts = facts, .workers = workers
        };
        struct ft_budget memory;
        ft_budget_init(&memory, FT_IMAGE_MEMORY);
        for (int i = 0; i < ft_team_size(team); i++)
            workers[i].preparer.claim.budget = &memory;
        ft_team_each(team, n, look, &s);
        ft_budget_release(&memory);
        if (s.no_memory)
            rc = ft_error_nomem(err, "the survey of pictures");
        for (int i = 0; i < ft_team_size(team); i++) {
            ft_preparer_release(&workers[i].preparer);
            ft_bytes_release(&workers[i].bytes);
        }
    }
    free(workers);
    ft_team_free(team);
    return rc;
}
