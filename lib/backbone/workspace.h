/* The memory for the computation of one picture: decoded pixels, the network's input, activations.
 * Idle workspaces are kept, so a computation usually allocates nothing. */
#ifndef FT_BACKBONE_WORKSPACE_H
#define FT_BACKBONE_WORKSPACE_H

#include "base/file.h"
#include "graph/plan.h"
#include "image/image.h"

struct ft_workspace {
    struct ft_workspace *next;
    struct ft_preparer preparer;
    struct ft_bytes bytes;
    uint8_t *input; /* [h, w, 3] */
    void *arena;    /* of one picture */
};

/* The idle workspaces of one plan. */
struct ft_workspaces;
struct ft_workspaces *ft_workspaces_new(void); /* NULL if memory runs out */
void ft_workspaces_free(struct ft_workspaces *workspaces);
/* Returns a workspace that only the caller uses until it puts it back, or NULL if memory runs out.
 * May be called by any thread. */
struct ft_workspace *ft_workspace_take(struct ft_workspaces *workspaces,
                                       const struct ft_geometry *geometry,
                                       const struct ft_plan *plan);
/* Fails with FT_ELIMIT if activations take far more memory than those of networks with as many
 * weights do: a file of a few bytes must not take gigabytes. */
int ft_workspace_check(const struct ft_plan *plan, const struct ft_network *network,
                       struct ft_error *err);
void ft_workspace_put(struct ft_workspaces *workspaces, struct ft_workspace *workspace);

#endif
