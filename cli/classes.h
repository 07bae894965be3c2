/* Checks of the classes of a dataset, and hints for folders that are not laid out as expected. */
#ifndef FT_CLI_CLASSES_H
#define FT_CLI_CLASSES_H

#include "cli.h"

/* Removes the rows with a negative label. */
void drop_unlabelled(struct ft_dataset *dataset);
/* Removes the classes with fewer than `least` pictures and prints a note that names them. */
int drop_small_classes(struct ft_dataset *dataset, size_t least, struct ft_error *err);
/* An error if there are fewer than two classes; it says what to do, by what `dir` contains. */
int check_two_classes(const struct ft_dataset *dataset, const char *dir, struct ft_error *err);
/* Counts labels [n] into counts [n_classes]; an error that names all classes with fewer than two.
 * `what` is counted; `dir` is the name of the dataset. */
int count_classes(const struct ft_dataset *dataset, const int32_t *labels, size_t n,
                  const char *what, const char *dir, size_t *counts, struct ft_error *err);
/* Prints notes on names that differ only in case, and on links from one class folder to another. */
void class_notes(const struct ft_dataset *dataset, const char *dir);

#endif
