/* Teams of threads: one call of a function on every member, or stages with a barrier between them
 * that is cheap enough for layers. */
#ifndef FT_BASE_THREAD_H
#define FT_BASE_THREAD_H

#include <stddef.h>

struct ft_team;

/* A team of `size` (>= 1) members; the caller of ft_team_run is member 0, the others are threads
 * that sleep between runs. NULL when threads cannot be had. */
struct ft_team *ft_team_new(int size);
void ft_team_free(struct ft_team *team);
int ft_team_size(const struct ft_team *team);

/* Calls function(context, member) once on every member and returns when all are back. One caller at
 * a time. */
void ft_team_run(struct ft_team *team, void (*function)(void *context, int member), void *context);
/* Calls function(context, stage, part) for stages 0..n-1 in order and parts 0..size-1 of each, a
 * stage beginning once all parts of the one before are done. A member takes its own part, then what
 * nobody has taken yet: one that a busy machine keeps from running holds nobody up, and returning
 * does not wait for it. One caller at a time. */
void ft_team_stages(struct ft_team *team, int n,
                    void (*function)(void *context, int stage, int part), void *context);

/* Calls function(context, i, member) for every i in 0..n-1, handed out in order to whichever member
 * is free. */
void ft_team_each(struct ft_team *team, size_t n,
                  void (*function)(void *context, size_t i, int member), void *context);

#endif
