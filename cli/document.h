/* --report: the HTML page of a training or an evaluation. */
#ifndef FT_CLI_DOCUMENT_H
#define FT_CLI_DOCUMENT_H

#include "evaluate.h"

/* The out-of-fold predictions of a training, with a learning curve and a check of the folder, which
 * are computed here. Borrows from `training`. */
int document_training(const struct settings *settings, const char *dir,
                      const struct ft_dataset *dataset, const struct pictures *pictures,
                      const struct ft_model *model, const struct ft_training *training,
                      struct ft_error *err);
int document_evaluation(const struct settings *settings, const char *dir,
                        const struct ft_model *model, const struct evaluation *evaluation,
                        struct ft_error *err);

#endif
