/* Lists the networks: files in the weights folders, and the architectures that have
 * descriptions. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "backbone/backbone.h"
#include "keras/architecture_text.h"

enum { NAMES_LIMIT = 4096 };

struct names {
    char *at[NAMES_LIMIT];
    int n;
    int rc; /* the first error, after which names are missing */
};

static void note(struct names *names, int rc)
{
    names->rc = names->rc ? names->rc : rc;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add(void *user, const char *name)
{
    struct names *names = user;
    if (names->n == NAMES_LIMIT)
        return;
    names->at[names->n] = ft_strdup(name);
    if (names->at[names->n])
        names->n++;
    else
        note(names, FT_ENOMEM);
}

static bool has(const struct names *names, const char *name)
{
    for (int i = 0; i < names->n; i++)
        if (!strcmp(names->at[i], name))
            return true;
    return false;
}

static void clear(struct names *names)
{
    for (int i = 0; i < names->n; i++)
        free(names->at[i]);
    names->n = 0;
}

/* The ending of a network's file, or NULL. */
static const char *ending(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && dot != name && (!strcmp(dot, ".h5") || !strcmp(dot, ".keras")) ? dot : NULL;
}

static int list_folder(const char *folder, struct names *seen,
                       int (*each)(void *, const char *, const char *), void *user)
{
    struct names files = { .n = 0 };
    int stop = 0;
    DIR *dir = opendir(folder);
    if (!dir && errno != ENOENT && errno != ENOTDIR)
        note(seen, ft_error_errno(NULL, "%s", folder));
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (ending(entry->d_name))
            add(&files, entry->d_name);
    if (dir)
        closedir(dir);
    qsort(files.at, (size_t)files.n, sizeof *files.at, by_text);
    note(seen, files.rc);
    for (int i = 0; !stop && i < files.n; i++) {
        char path[4096], name[256];
        snprintf(path, sizeof path, "%s/%s", folder, files.at[i]);
        snprintf(name, sizeof name, "%.*s", (int)(ending(files.at[i]) - files.at[i]), files.at[i]);
        if (has(seen, name))
            continue;
        add(seen, name);
        stop = each(user, name, path);
    }
    clear(&files);
    return stop;
}

int ft_backbone_list(const struct ft_backbone_options *options,
                     int (*each)(void *, const char *, const char *), void *user)
{
    const char *dirs[4];
    char descriptions[4096];
    const char *weights_dir = options ? options->weights_dir : NULL;
    struct names *seen = calloc(1, sizeof *seen), *known = calloc(1, sizeof *known);
    const int n = ft_weights_folders(weights_dir, dirs);
    int stop = seen && known ? 0 : FT_ENOMEM;
    for (int i = 0; !stop && i < n; i++)
        stop = list_folder(dirs[i], seen, each, user);
    if (!stop && ft_architectures_folder(weights_dir, descriptions, sizeof descriptions))
        note(seen, ft_architecture_names(descriptions, add, known));
    if (!stop)
        qsort(known->at, (size_t)known->n, sizeof *known->at, by_text);
    for (int i = 0; !stop && i < known->n; i++)
        if (!has(seen, known->at[i]) && (!i || strcmp(known->at[i], known->at[i - 1])))
            stop = each(user, known->at[i], NULL);
    if (!stop)
        stop = seen->rc ? seen->rc : known->rc;
    if (seen)
        clear(seen);
    if (known)
        clear(known);
    free(seen);
    free(known);
    return stop;
}
