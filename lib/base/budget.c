#include "base/budget.h"

void ft_budget_init(struct ft_budget *b, uint64_t bytes)
{
    b->total = bytes;
    b->used = 0;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->returned, NULL);
}

void ft_budget_release(struct ft_budget *b)
{
    pthread_cond_destroy(&b->returned);
    pthread_mutex_destroy(&b->lock);
}

void ft_budget_take(struct ft_budget *b, uint64_t bytes)
{
    pthread_mutex_lock(&b->lock);
    while (b->used && (bytes > b->total || b->used > b->total - bytes))
        pthread_cond_wait(&b->returned, &b->lock);
    b->used += bytes;
    pthread_mutex_unlock(&b->lock);
}

void ft_budget_return(struct ft_budget *b, uint64_t bytes)
{
    pthread_mutex_lock(&b->lock);
    b->used -= bytes;
    pthread_cond_broadcast(&b->returned);
    pthread_mutex_unlock(&b->lock);
}
