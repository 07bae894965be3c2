/* Finds the files that a table names, which may have been made on another machine. */
#ifndef FT_DATASET_LOCATE_H
#define FT_DATASET_LOCATE_H

#include <stdbool.h>

enum { FT_LOCATE_BASES = 4 };
struct ft_locator {
    /* folders in the order of the search; "": the working directory. Borrowed */
    const char *bases[FT_LOCATE_BASES];
    int n_bases;
    /* how the last file was found; tried first for the next one */
    int base, strip;    /* strip: number of leading components that were left out */
    const char *ending; /* what was added to the name, "" or ".jpg" */
};
/* Returns the path of the file that `name` means, which must be freed with free(), or NULL. Tries
 * the unchanged name in all folders, then the name with the ending of a picture, then the name
 * without leading folders. From an absolute path any number of leading folders may be removed; from
 * a relative path only those up to the name of the folder that is searched. A backslash also
 * separates folders. */
char *ft_locate(struct ft_locator *locator, const char *name);
/* The first path that ft_locate tries, whether it exists or not. */
char *ft_locate_first(const struct ft_locator *locator, const char *name);
/* True if the name ends like that of a picture. */
bool ft_locate_has_ending(const char *name);

#endif
