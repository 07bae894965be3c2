/* Pictures sorted into a directory for each label: predict --copy-to, --move-to, --link-to. */
#ifndef FT_CLI_SORT_H
#define FT_CLI_SORT_H

#include "cli.h"

/* The directory that the settings name, or NULL. */
const char *sort_target(const struct settings *settings);
/* Copies, moves or links a picture to TARGET/label/name, or name-1, name-2, ...: nothing is ever
 * overwritten. With --dry-run it only says so. */
int sort_picture(const struct settings *settings, const char *path, const char *label,
                 struct ft_error *err);

#endif
