/* Sources of labelled pictures: a folder of classes, a folder with train, val and test, a table of
 * labels, or a list of inputs. */
#ifndef FT_CLI_SOURCES_H
#define FT_CLI_SOURCES_H

#include "cli.h"

/* The pictures that the arguments of evaluate name. Without a table, the class of a picture is the
 * name of its folder. */
int source_inputs(const struct settings *settings, struct ft_dataset **out, struct ft_error *err);
/* A folder of classes, or of pictures whose classes --label-from takes from their names. Prints
 * notes about it. */
int source_folder(const struct settings *settings, const char *dir, struct ft_dataset **out,
                  struct ft_error *err);
/* The name of this source for messages. */
const char *source_name(const struct settings *settings);

/* Returns 0 if there is a folder or a table for source_part, else EXIT_USAGE after a message. */
int source_check(const struct settings *settings, const char *command);
/* Opens the table of --labels, or the folder of the first argument, or train in it if it contains
 * train, val and test; `doing` ("checking") is used in the note about that. `name` receives the
 * path that was opened; it must be freed, also after a failure. */
int source_part(const struct settings *settings, const char *doing, struct ft_dataset **out,
                char **name, struct ft_error *err);

/* The pictures that the arguments of train name. `dir` receives the name of the source for
 * messages, `val` the folder to measure on, or NULL; both must be freed. */
int source_training(const struct settings *settings, struct ft_dataset **out, char **dir,
                    char **val, struct ft_error *err);

#endif
