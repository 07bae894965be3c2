#include "dataset/locate.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "dataset/walk.h"

static const char *const endings[] = { "",      ".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG",
                                       ".webp", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".avif" };
enum { N_ENDINGS = sizeof endings / sizeof *endings, MOST_COMPONENTS = 64 };

bool ft_locate_has_ending(const char *name)
{
    const size_t n = strlen(name);
    for (int i = 1; i < N_ENDINGS; i++)
        if (n > strlen(endings[i]) && !strcasecmp(name + n - strlen(endings[i]), endings[i]))
            return true;
    return false;
}

static bool is_absolute(const char *path)
{
    return path[0] == '/' || (isalpha((unsigned char)path[0]) && path[1] == ':' && path[2] == '/');
}

/* The path without its first `strip` components; NULL if it does not have more. `last` receives the
 * last component that was left out. */
static const char *without(const char *path, int strip, const char **last, size_t *n_last)
{
    for (int i = 0; i < strip; i++) {
        path += strspn(path, "/");
        *last = path;
        *n_last = strcspn(path, "/");
        if (!path[*n_last])
            return NULL;
        path += *n_last + 1;
    }
    return path + (strip ? strspn(path, "/") : 0);
}

static bool ends_in(const char *folder, const char *name, size_t n)
{
    size_t length = strlen(folder);
    while (length && folder[length - 1] == '/')
        length--;
    return length >= n && !strncmp(folder + length - n, name, n) &&
           (length == n || folder[length - n - 1] == '/');
}

static char *join(const char *base, const char *name, const char *ending)
{
    char *path = !*base || name[0] == '/' ? ft_strdup(name) : ft_walk_join(base, name);
    if (!path || !*ending)
        return path;
    const size_t n = strlen(path), more = strlen(ending) + 1;
    char *longer = realloc(path, n + more);
    if (longer)
        memcpy(longer + n, ending, more);
    else
        free(path);
    return longer;
}

static char *try(const struct ft_locator *l, const char *name, int base, int strip,
                 const char *ending)
{
    const char *last = "";
    size_t n_last = 0;
    const char *rest = without(name, strip, &last, &n_last);
    struct stat st;
    if (!rest || !*rest || (strip && !is_absolute(name) && !ends_in(l->bases[base], last, n_last)))
        return NULL;
    char *path = join(l->bases[base], rest, ending);
    if (path && !stat(path, &st) && !S_ISDIR(st.st_mode))
        return path;
    free(path);
    return NULL;
}

static char *found(struct ft_locator *l, char *path, int base, int strip, const char *ending)
{
    l->base = base;
    l->strip = strip;
    l->ending = ending;
    return path;
}

static char *search(struct ft_locator *l, const char *name)
{
    char *path;
    for (int b = 0; b < l->n_bases; b++)
        if ((path = try(l, name, b, 0, "")))
            return found(l, path, b, 0, "");
    if (l->ending && (path = try(l, name, l->base, l->strip, l->ending)))
        return path;
    int components = 1;
    for (const char *s = name; *s; s++)
        components += *s == '/';
    for (int strip = 0; strip < components && strip < MOST_COMPONENTS; strip++)
        for (int b = 0; b < l->n_bases; b++)
            for (int e = 0; e < N_ENDINGS; e++)
                if ((path = try(l, name, b, strip, endings[e])))
                    return found(l, path, b, strip, endings[e]);
    return NULL;
}

char *ft_locate(struct ft_locator *l, const char *name)
{
    char *path = search(l, name);
    if (path || !strchr(name, '\\'))
        return path;
    char *slashes = ft_strdup(name);
    for (char *s = slashes; s && *s; s++)
        *s = *s == '\\' ? '/' : *s;
    path = slashes ? search(l, slashes) : NULL;
    free(slashes);
    return path;
}

char *ft_locate_first(const struct ft_locator *l, const char *name)
{
    return join(l->n_bases ? l->bases[0] : "", name, "");
}
