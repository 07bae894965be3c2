/* predict --copy-to, --move-to, --link-to: puts pictures into one folder per label. */
#ifndef FT_CLI_SORT_H
#define FT_CLI_SORT_H

#include "cli.h"

/* The folder in the settings, or NULL. */
const char *sort_target(const struct settings *settings);
/* Copies, moves or links a picture to TARGET/label/name, or to name-1, name-2, ... if that exists:
 * no file is overwritten. With --dry-run it only prints what it would do. */
int sort_picture(const struct settings *settings, const char *path, const char *label,
                 struct ft_error *err);

#endif
