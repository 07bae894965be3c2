/* Teams of threads: one call of a function on every member, and a barrier cheap enough to stand between layers. */
#ifndef FT_BASE_THREAD_H
#define FT_BASE_THREAD_H

#include <stddef.h>

struct ft_team;

/* A team of `size` (>= 1) members; the caller of ft_team_run is member 0, the others are threads that sleep between runs.
 * NULL when threads cannot be had. */
struct ft_team *ft_team_new(int size);
void ft_team_free(struct ft_team *team);
int ft_team_size(const struct ft_team *team);

/* Calls function(context, member) once on every member and returns when all are back. One caller at a time. */
void ft_team_run(struct ft_team *team, void (*function)(void *context, int member), void *context);
/* Inside a run: returns once every member has called it. Spins (yielding when that takes long). */
void ft_team_barrier(struct ft_team *team, int member);

/* Calls function(context, i, member) for every i in 0..n-1, handed out in order to whichever member is free. */
void ft_team_each(struct ft_team *team, size_t n, void (*function)(void *context, size_t i, int member), void *context);

#endif
