/* Classes from the names of files: cat.0.jpg, great_pyrenees_12.jpg, dog (3).png. */
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "dataset/rows.h"

/* NAME.NUMBER.ending; also '_', '-', ' ' or nothing before the number, and parentheses around it.
 */
static const char preset[] = "^(.*[^0-9._ ()-])[._ ()-]*[0-9]+[)]?[.][A-Za-z0-9]+$";

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The path below `dir`, without a leading slash. */
static const char *below(const char *path, const char *dir)
{
    const size_t n = strlen(dir);
    path += strncmp(path, dir, n) ? 0 : n;
    return path + strspn(path, "/");
}

int ft_dataset_open_named(const char *dir, const char *pattern, struct ft_dataset **out,
                          struct ft_error *err)
{
    regex_t regex;
    struct ft_dataset *all = NULL;
    struct ft_rows t = { .d = calloc(1, sizeof *t.d) };
    const bool by_preset = !strcmp(pattern, "name");
    if (regcomp(&regex, by_preset ? preset : pattern, REG_EXTENDED)) {
        free(t.d);
        return ft_error_set(err, FT_EARG, "'%s' is not an extended regular expression", pattern);
    }
    int rc = t.d ? ft_dataset_open(dir, true, &all, err) : ft_error_nomem(err, dir);
    for (size_t i = 0; !rc && i < all->n; i++) {
        regmatch_t match[2];
        const char *name = by_preset ? last_name(all->paths[i]) : below(all->paths[i], dir);
        const bool matches = !regexec(&regex, name, 2, match, 0);
        const regmatch_t *m = &match[regex.re_nsub && matches && match[1].rm_so >= 0];
        if (!matches || m->rm_eo == m->rm_so) {
            t.d->n_loose++;
            continue;
        }
        char *label = strndup(name + m->rm_so, (size_t)(m->rm_eo - m->rm_so));
        rc = label ? ft_rows_add(&t, ft_strdup(all->paths[i]), label, err)
                   : ft_error_nomem(err, dir);
        if (rc)
            free(label);
    }
    if (!rc) {
        t.d->n_others = all->n_others;
        rc = ft_rows_number(&t, err);
    }
    for (size_t i = 0; t.d && i < t.d->n; i++)
        free(t.labels[i]);
    free(t.labels);
    regfree(&regex);
    ft_dataset_free(all);
    if (rc) {
        ft_dataset_free(t.d);
        return rc;
    }
    *out = t.d;
    return 0;
}
