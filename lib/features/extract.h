/* Pictures to features: workers that each carry one picture from file to feature, rows handed out
 * in the order of the inputs. */
#ifndef FT_FEATURES_EXTRACT_H
#define FT_FEATURES_EXTRACT_H

#include "finetune.h"
#include "graph/plan.h"

/* ft_extract (finetune.h) on a plan; a picture becomes its input as `geometry` says. `network` is
 * what the plan was made from: if its weights are not finite, the run fails and names the layer. */
int ft_extract_plan(const struct ft_plan *plan, const struct ft_network *network,
                    const struct ft_geometry *geometry, const struct ft_extract_options *options,
                    const char *(*next)(void *user),
                    int (*emit)(void *user, const struct ft_row *row), void *user,
                    struct ft_error *err);

#endif
