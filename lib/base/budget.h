/* One amount of memory that all threads of a job share. */
#ifndef FT_BASE_BUDGET_H
#define FT_BASE_BUDGET_H

#include <pthread.h>
#include <stdint.h>

struct ft_budget {
    uint64_t total, used; /* bytes */
    pthread_mutex_t lock;
    pthread_cond_t returned;
};
void ft_budget_init(struct ft_budget *budget, uint64_t bytes);
void ft_budget_release(struct ft_budget *budget);
/* Waits until `bytes` are left. More than the total is given to one thread alone, when the others
 * have returned theirs. A thread that holds some of the budget must not take more. */
void ft_budget_take(struct ft_budget *budget, uint64_t bytes);
void ft_budget_return(struct ft_budget *budget, uint64_t bytes);

#endif
