/* Teams of threads. A run calls a function once per member, or runs stages with a barrier between
 * them. The barrier is cheap enough to separate the layers of a network. */
#ifndef FT_BASE_THREAD_H
#define FT_BASE_THREAD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

struct ft_team;

/* Creates a team of `size` (>= 1) members. The caller of ft_team_run is member 0; the others are
 * threads that sleep between runs. Returns NULL if the threads cannot be created. */
struct ft_team *ft_team_new(int size);
void ft_team_free(struct ft_team *team);
int ft_team_size(const struct ft_team *team);

/* Calls function(context, member) once on every member, and returns when all calls have returned.
 * Only one thread at a time may start a run of a team. */
void ft_team_run(struct ft_team *team, void (*function)(void *context, int member), void *context);
/* Calls function(context, stage, part) for stages 0..n-1 in order and for parts 0..size-1 of each.
 * A stage begins when all parts of the previous one are done. A member takes its own part first,
 * then any part that no member has taken. A member that the system does not schedule therefore
 * delays no other member, and the function does not wait for it before it returns. */
void ft_team_stages(struct ft_team *team, int n,
                    void (*function)(void *context, int stage, int part), void *context);

/* Calls function(context, i, member) for every i in 0..n-1, in order, on the next free member. */
void ft_team_each(struct ft_team *team, size_t n,
                  void (*function)(void *context, size_t i, int member), void *context);

/* Blocks the signals that end a program in the calling thread; *before is the mask until then.
 * Returns false, without effect, if that fails. */
bool ft_signals_block(sigset_t *before);

#endif
