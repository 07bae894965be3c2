#include "backbone/workspace.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"

#define LEAST_LIMIT ((size_t)128 << 20) /* bytes of activations that any network may have */

struct ft_workspaces {
    pthread_mutex_t lock;
    struct ft_workspace *idle;
};

static void workspace_free(struct ft_workspace *w)
{
    if (!w)
        return;
    ft_preparer_release(&w->preparer);
    ft_bytes_release(&w->bytes);
    free(w->input);
    free(w->arena);
    free(w);
}

struct ft_workspaces *ft_workspaces_new(void)
{
    struct ft_workspaces *all = ft_alloc_zero(1, sizeof *all);
    if (all)
        pthread_mutex_init(&all->lock, NULL);
    return all;
}

void ft_workspaces_free(struct ft_workspaces *all)
{
    if (!all)
        return;
    for (struct ft_workspace *w = all->idle, *next; w; w = next) {
        next = w->next;
        workspace_free(w);
    }
    pthread_mutex_destroy(&all->lock);
    free(all);
}

int ft_workspace_check(const struct ft_plan *plan, const struct ft_network *network,
                       struct ft_error *err)
{
    const size_t arena = ft_plan_arena_bytes(plan, 1);
    size_t most = LEAST_LIMIT;
    for (int i = 0; i < network->n_layers; i++)
        for (int w = 0; w < FT_MAX_WEIGHTS; w++) {
            const struct ft_tensor *t = &network->layers[i].weights[w];
            most += t->data ? 4 * t->count * sizeof *t->data : 0;
        }
    if (arena <= most)
        return 0;
    return ft_error_set(err, FT_ELIMIT,
                        "the activations of one picture take %zu MB, too much for a network of "
                        "this size: set the size of its input with --size",
                        arena >> 20);
}

struct ft_workspace *ft_workspace_take(struct ft_workspaces *all,
                                       const struct ft_geometry *geometry,
                                       const struct ft_plan *plan)
{
    pthread_mutex_lock(&all->lock);
    struct ft_workspace *w = all->idle;
    if (w)
        all->idle = w->next;
    pthread_mutex_unlock(&all->lock);
    if (w || !(w = ft_alloc_zero(1, sizeof *w)))
        return w;
    w->input = ft_alloc((size_t)geometry->width * (size_t)geometry->height, 3);
    w->arena = ft_alloc(1, ft_plan_arena_bytes(plan, 1));
    if (w->input && w->arena)
        return w;
    workspace_free(w);
    return NULL;
}

void ft_workspace_put(struct ft_workspaces *all, struct ft_workspace *w)
{
    pthread_mutex_lock(&all->lock);
    w->next = all->idle;
    all->idle = w;
    pthread_mutex_unlock(&all->lock);
}
