/* Checks before any work that no output of a command replaces a file of the user. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

/* Whether two paths name the same file. Files that do not exist yet are compared by their folders
 * and names. */
static bool same_file(const char *a, const char *b)
{
    struct stat sa, sb;
    const bool has_a = !stat(a, &sa), has_b = !stat(b, &sb);
    if (has_a || has_b)
        return has_a && has_b && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
    const char *names[2] = { a, b };
    struct stat folders[2];
    for (int i = 0; i < 2; i++) {
        const char *path = names[i], *slash = strrchr(path, '/');
        char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : NULL;
        const int rc = stat(folder ? folder : ".", &folders[i]);
        free(folder);
        if (rc)
            return false;
        names[i] = slash ? slash + 1 : path;
    }
    return folders[0].st_dev == folders[1].st_dev && folders[0].st_ino == folders[1].st_ino &&
           !strcmp(names[0], names[1]);
}

/* The i-th path that an option names; NULL: there are no more. */
static const char *option_path(const struct option *o, const struct settings *s, int i)
{
    const void *value = (const char *)s + o->setting;
    if (o->type != TYPE_LIST)
        return i ? NULL : *(const char *const *)value;
    const struct list *list = value;
    return i < list->n ? list->items[i] : NULL;
}

static int collides(const struct command *c, const struct option *output, const char *path,
                    const char *what)
{
    say("%s: '--%s %s' would replace %s: give another name", c->name, output->name, path, what);
    return EXIT_USAGE;
}

/* Compares one output with all files that the command reads; one that does not exist yet cannot
 * replace any. */
static int check_inputs(const struct command *c, const struct settings *s,
                        const struct option *output, const char *path)
{
    const struct option *o;
    const char *read;
    struct stat st;
    if (stat(path, &st))
        return 0;
    for (int i = 0; i < s->n_arguments; i++)
        if (same_file(path, s->arguments[i]))
            return collides(c, output, path, "a file that the command reads");
    for (int i = 0; (o = command_option(c, i)); i++)
        for (int j = 0; o->file == FILE_READ && (read = option_path(o, s, j)); j++)
            if (same_file(path, read))
                return collides(c, output, path, "a file that the command reads");
    return 0;
}

/* A model or a page has no reason to replace a picture: the name is a mistake. */
static bool is_picture(const char *path, const struct settings *s)
{
    struct stat st;
    struct ft_facts facts;
    char *one = (char *)path; /* not changed */
    const struct ft_survey_options options = { .threads = 1,
                                               .max_pixels = (uint64_t)s->max_megapixels << 20 };
    return !stat(path, &st) && S_ISREG(st.st_mode) && !ft_survey(&one, 1, &options, &facts, NULL) &&
           !facts.status;
}

/* The tables that evaluate writes into --csv DIR. */
static int check_tables(const struct command *c, const struct settings *s, const struct option *o,
                        const char *dir)
{
    static const char *const names[] = FT_REPORT_CSV_NAMES;
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof names / sizeof *names; i++) {
        const size_t size = strlen(dir) + strlen(names[i]) + 2;
        char *path = malloc(size);
        if (!path)
            return 0;
        snprintf(path, size, "%s/%s", dir, names[i]);
        rc = check_inputs(c, s, o, path);
        free(path);
    }
    return rc;
}

int outputs_check(const struct command *c, const struct settings *s)
{
    const struct option *o, *other;
    for (int i = 0; (o = command_option(c, i)); i++) {
        const char *path = o->file >= FILE_WRITTEN ? option_path(o, s, 0) : NULL;
        if (!path)
            continue;
        int rc = o->file == FILE_TABLES ? check_tables(c, s, o, path) : check_inputs(c, s, o, path);
        for (int j = 0; !rc && j < i; j++) {
            other = command_option(c, j);
            const char *second = other->file == FILE_WRITTEN ? option_path(other, s, 0) : NULL;
            if (second && same_file(path, second))
                rc = collides(c, o, path, "the other output of the command");
        }
        if (!rc && o->file != FILE_PICTURE && is_picture(path, s))
            rc = collides(c, o, path, "a picture");
        if (rc)
            return rc;
    }
    return 0;
}
