/* --report: the page of a training or an evaluation. */
#ifndef FT_CLI_DOCUMENT_H
#define FT_CLI_DOCUMENT_H

#include "evaluate.h"

/* The training's out-of-fold judgement, with a learning curve and a doctor's checkup, which are
 * made here. `training` lends its parts. */
int document_training(const struct settings *settings, const char *dir,
                      const struct ft_dataset *dataset, const struct pictures *pictures,
                      const struct ft_model *model, const struct ft_training *training,
                      struct ft_error *err);
int document_evaluation(const struct settings *settings, const char *dir,
                        const struct ft_model *model, const struct evaluation *evaluation,
                        struct ft_error *err);

#endif
