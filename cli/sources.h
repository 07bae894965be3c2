/* Where labelled pictures come from: a folder of classes, a folder of train, val and test, a table
 * of labels, any inputs. */
#ifndef FT_CLI_SOURCES_H
#define FT_CLI_SOURCES_H

#include "cli.h"

/* What evaluate's arguments name. Without a table, an input's class is the directory that holds it.
 */
int source_inputs(const struct settings *settings, struct ft_dataset **out, struct ft_error *err);
/* How messages call that. */
const char *source_name(const struct settings *settings);

/* A folder, or the train part of one that holds train, val and test: `doing` ("looking at") says
 * so. `name` receives what was opened, malloc'd (also on failure; NULL: out of memory). */
int source_part(const char *dir, const char *doing, struct ft_dataset **out, char **name,
                struct ft_error *err);

/* What train's arguments name: `dir` receives how messages call it, `val` the folder to report on,
 * if there is one; both malloc'd. */
int source_training(const struct settings *settings, struct ft_dataset **out, char **dir,
                    char **val, struct ft_error *err);

#endif
