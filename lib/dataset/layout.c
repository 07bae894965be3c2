/* Recognises folders that contain more than class folders: train, val and test with various names,
 * folders of test pictures without class folders, and a folder that contains only a data set. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/memory.h"
#include "dataset/walk.h"

enum role { TRAIN, VAL, TEST, IGNORED, OTHER, N_ROLES };

/* In lower case, with '_' for '-' and ' ', and without the affixes below. */
static const struct {
    const char *name;
    enum role role;
} role_names[] = {
    { "train", TRAIN },        { "training", TRAIN }, { "val", VAL },
    { "valid", VAL },          { "validation", VAL }, { "dev", VAL },
    { "test", TEST },          { "testing", TEST },   { "test1", TEST },
    { "holdout", TEST },       { "eval", TEST },      { "sample", IGNORED },
    { "samples", IGNORED },    { "pred", IGNORED },   { "unlabeled", IGNORED },
    { "unlabelled", IGNORED },
};
static const char *const prefixes[] = { "seg_", "imgs_", "images_", "dataset_" };
static const char *const suffixes[] = { "_set", "_data",   "_dataset", "_images",  "_imgs",
                                        "_dir", "_folder", "_split",   "_samples", "set" };

static enum role exact_role(const char *name)
{
    for (size_t i = 0; i < sizeof role_names / sizeof *role_names; i++)
        if (!strcmp(name, role_names[i].name))
            return role_names[i].role;
    return OTHER;
}

static enum role role_of(const char *name)
{
    char plain[32];
    size_t n = 0;
    for (; name[n] && n + 1 < sizeof plain; n++)
        plain[n] = name[n] == '-' || name[n] == ' ' ? '_' : (char)tolower((unsigned char)name[n]);
    plain[n] = 0;
    enum role role = name[n] ? OTHER : exact_role(plain);
    for (size_t i = 0; !name[n] && role == OTHER && i < sizeof prefixes / sizeof *prefixes; i++)
        if (!strncmp(plain, prefixes[i], strlen(prefixes[i])))
            role = exact_role(plain + strlen(prefixes[i]));
    for (size_t i = 0; !name[n] && role == OTHER && i < sizeof suffixes / sizeof *suffixes; i++) {
        const size_t length = strlen(suffixes[i]);
        if (n <= length || strcmp(plain + n - length, suffixes[i]) != 0)
            continue;
        plain[n - length] = 0;
        role = exact_role(plain);
        plain[n - length] = suffixes[i][0];
    }
    return role;
}

/* ---- what a folder contains ------------------------------------------------------------------ */

struct content {
    char **folders; /* [n_folders] names */
    size_t n_folders;
    bool pictures; /* there are pictures directly in it */
};

static void content_release(struct content *c)
{
    ft_walk_free_names(c->folders, c->n_folders);
    *c = (struct content){ 0 };
}

/* Returns 0, or an error code. */
static int look_into(const char *dir, struct content *out, struct ft_error *err)
{
    struct content c = { 0 };
    char **names;
    size_t n;
    int rc = ft_walk_names(dir, &names, &n, err);
    c.folders = rc ? NULL : calloc(n + 1, sizeof *c.folders);
    if (!rc && !c.folders)
        rc = ft_error_nomem(err, dir);
    for (size_t i = 0; !rc && i < n; i++) {
        struct stat st;
        char *path = ft_walk_join(dir, names[i]);
        if (!path)
            rc = ft_error_nomem(err, dir);
        else if (stat(path, &st))
            c.pictures = c.pictures || ft_walk_candidate(path, names[i], NULL);
        else if (S_ISDIR(st.st_mode)) {
            c.folders[c.n_folders++] = names[i];
            names[i] = NULL;
        } else
            c.pictures = c.pictures || ft_walk_candidate(path, names[i], &st);
        free(path);
    }
    ft_walk_free_names(names, n);
    if (rc) {
        content_release(&c);
        return rc;
    }
    *out = c;
    return 0;
}

static bool has_pictures(const char *dir, int depth)
{
    struct content c;
    if (depth > 4 || look_into(dir, &c, NULL))
        return false;
    bool found = c.pictures;
    for (size_t i = 0; !found && i < c.n_folders; i++) {
        char *below = ft_walk_join(dir, c.folders[i]);
        found = below && has_pictures(below, depth + 1);
        free(below);
    }
    content_release(&c);
    return found;
}

/* The folder of class folders at or below `dir`: a folder that contains nothing but one folder of
 * folders is skipped. NULL: `dir` has no folders, or memory ran out. Takes ownership of `dir`. */
static char *class_folder(char *dir)
{
    for (int depth = 0; dir && depth < 4; depth++) {
        struct content c, inner = { 0 };
        char *below = NULL;
        if (look_into(dir, &c, NULL))
            return dir;
        const bool none = !c.n_folders;
        if (c.n_folders == 1 && !c.pictures)
            below = ft_walk_join(dir, c.folders[0]);
        content_release(&c);
        if (none) {
            free(dir);
            return NULL;
        }
        const bool skip = below && !look_into(below, &inner, NULL) && inner.n_folders;
        content_release(&inner);
        if (!skip) {
            free(below);
            return dir;
        }
        free(dir);
        dir = below;
    }
    return dir;
}

/* ---- layouts --------------------------------------------------------------------------------- */

struct parts {
    const char *first[N_ROLES]; /* the first folder of each role; NULL: none */
    size_t n[N_ROLES];
    const char *full; /* the last folder with pictures */
    size_t n_full;
};

/* A folder without pictures is neither a class nor a part of the data set. If there are many
 * folders, they are classes, and it would take long to look into all of them. */
static struct parts find_parts(const char *dir, const struct content *c)
{
    enum { FEW = 16 };
    struct parts p = { 0 };
    for (size_t i = 0; i < c->n_folders; i++) {
        enum role role = role_of(c->folders[i]);
        char *path = c->n_folders <= FEW ? ft_walk_join(dir, c->folders[i]) : NULL;
        if (path && !has_pictures(path, 0))
            role = IGNORED;
        else {
            p.full = c->folders[i];
            p.n_full++;
        }
        free(path);
        if (!p.n[role]++)
            p.first[role] = c->folders[i];
    }
    return p;
}

static int refuse(const char *dir, const char *why, const char *part, const char *options,
                  struct ft_error *err)
{
    return ft_error_set(err, FT_EARG,
                        "'%s' %s: use 'finetune train %s/%s%s' for the classes in '%s', or "
                        "'finetune train %s --label-from folder' if every folder is a class",
                        dir, why, dir, part, options, part, dir);
}

static int open_parts(const char *dir, const struct parts *p, struct ft_layout *out,
                      struct ft_error *err)
{
    char why[400];
    const char *train = p->first[TRAIN], *other = p->first[VAL] ? p->first[VAL] : p->first[TEST];
    if (!train) {
        snprintf(why, sizeof why, "contains '%.80s' and '%.80s' but no train folder",
                 p->first[VAL] ? p->first[VAL] : p->first[TEST],
                 p->first[TEST] ? p->first[TEST] : "another");
        return refuse(dir, why, other, "", err);
    }
    if (p->n[OTHER]) {
        snprintf(why, sizeof why, "contains '%.80s' and '%.80s' but also '%.80s'", train, other,
                 p->first[OTHER]);
        return refuse(dir, why, train, "", err);
    }
    if (p->n[TRAIN] > 1 || p->n[VAL] > 1 || p->n[TEST] > 1) {
        snprintf(why, sizeof why, "contains several folders named like %s",
                 p->n[TRAIN] > 1 ? "train"
                 : p->n[VAL] > 1 ? "val"
                                 : "test");
        return refuse(dir, why, train, "", err);
    }
    struct ft_layout layout = { .train = class_folder(ft_walk_join(dir, train)) };
    if (!layout.train) {
        snprintf(why, sizeof why, "contains '%.80s' and '%.80s', but '%.80s' has no class folders",
                 train, other, train);
        return refuse(dir, why, train, " --label-from name", err);
    }
    if (p->first[VAL])
        layout.val = class_folder(ft_walk_join(dir, p->first[VAL]));
    if (p->first[TEST])
        layout.test = class_folder(ft_walk_join(dir, p->first[TEST]));
    if (p->first[VAL] && !layout.val)
        layout.unlabelled = ft_walk_join(dir, p->first[VAL]);
    else if (p->first[TEST] && !layout.test)
        layout.unlabelled = ft_walk_join(dir, p->first[TEST]);
    *out = layout;
    return 0;
}

/* Refuses cat/train, cat/test, dog/train, ...: as classes, they would be trained on their test
 * pictures. Folders below the first FEW classes are looked at. */
static int check_inverted(const char *dir, const struct content *c, struct ft_error *err)
{
    enum { FEW = 16 };
    char train[40] = "", test[40] = "";
    if (c->n_folders < 2)
        return 0;
    for (size_t i = 0; i < c->n_folders && i < FEW; i++) {
        struct content inner;
        bool has[N_ROLES] = { false };
        char *path = ft_walk_join(dir, c->folders[i]);
        const int rc = path ? look_into(path, &inner, NULL) : FT_ENOMEM;
        free(path);
        if (rc)
            return 0; /* ft_dataset_open reports the reason */
        for (size_t j = 0; j < inner.n_folders; j++) {
            const enum role role = role_of(inner.folders[j]);
            has[role] = true;
            if (role == TRAIN)
                snprintf(train, sizeof train, "%s", inner.folders[j]);
            else if (role == TEST || role == VAL)
                snprintf(test, sizeof test, "%s", inner.folders[j]);
        }
        content_release(&inner);
        if (!has[TRAIN] || !(has[TEST] || has[VAL]))
            return 0;
    }
    return ft_error_set(err, FT_EARG,
                        "'%s' has '%s' and '%s' inside each class: use \"finetune train %s "
                        "--label-from '([^/]+)/%s/'\" and \"finetune evaluate %s --label-from "
                        "'([^/]+)/%s/'\", or 'finetune train %s --label-from folder' for all "
                        "pictures of each class",
                        dir, train, test, dir, train, dir, test, dir);
}

/* Refuses train/red, train/blue beside a folder of pictures 'green': is 'train' a class or a part?
 */
static int check_beside(const char *dir, const struct parts *p, struct ft_error *err)
{
    const char *part = p->first[TRAIN] ? p->first[TRAIN]
                       : p->first[VAL] ? p->first[VAL]
                                       : p->first[TEST];
    char why[400];
    struct content inner[2] = { 0 };
    char *paths[2] = { part ? ft_walk_join(dir, part) : NULL,
                       p->first[OTHER] ? ft_walk_join(dir, p->first[OTHER]) : NULL };
    const bool mixed = paths[0] && paths[1] && !look_into(paths[0], &inner[0], NULL) &&
                       !look_into(paths[1], &inner[1], NULL) && inner[0].n_folders > 1 &&
                       !inner[0].pictures && !inner[1].n_folders;
    for (int i = 0; i < 2; i++) {
        content_release(&inner[i]);
        free(paths[i]);
    }
    if (!mixed)
        return 0;
    snprintf(why, sizeof why, "contains '%.80s' with folders in it but also '%.80s' without", part,
             p->first[OTHER]);
    return refuse(dir, why, part, "", err);
}

static int find_layout(const char *dir, int depth, struct ft_layout *out, struct ft_error *err)
{
    struct content c, inner;
    int rc = 0;
    if (look_into(dir, &c, NULL))
        return 0; /* ft_dataset_open reports the reason */
    const struct parts p = find_parts(dir, &c);
    const size_t others = p.n[VAL] + p.n[TEST];
    char *only = !c.pictures && p.n_full == 1 ? ft_walk_join(dir, p.full) : NULL;
    if ((p.n[TRAIN] && others) || (others > 1 && !p.n[OTHER]) || (p.n[TRAIN] > 1 && !p.n[OTHER]))
        rc = open_parts(dir, &p, out, err);
    else if (only && depth < 4 && !look_into(only, &inner, NULL)) {
        if (inner.n_folders)
            rc = find_layout(only, depth + 1, out, err);
        if (!rc && !out->train && inner.n_folders > 1) {
            out->train = only;
            only = NULL;
        }
        content_release(&inner);
    } else {
        rc = check_inverted(dir, &c, err);
        if (!rc)
            rc = check_beside(dir, &p, err);
    }
    free(only);
    content_release(&c);
    return rc;
}

int ft_dataset_layout(const char *dir, struct ft_layout *out, struct ft_error *err)
{
    struct ft_layout layout = { 0 };
    const int rc = find_layout(dir, 0, &layout, err);
    if (!rc)
        *out = layout;
    return rc;
}

void ft_layout_release(struct ft_layout *layout)
{
    free(layout->train);
    free(layout->val);
    free(layout->test);
    free(layout->unlabelled);
    *layout = (struct ft_layout){ 0 };
}
