/* A run is published by raising `round` under the lock; members sleep on a condition variable between runs and spin inside
 * one. The barrier counts arrivals on one cache line and spins on a generation kept on another. */
#include "base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"

struct ft_team {
    alignas(FT_ALIGN) atomic_uint generation; /* barriers passed */
    alignas(FT_ALIGN) atomic_int arrived;
    alignas(FT_ALIGN) atomic_int running; /* members other than 0 still inside the run */
    alignas(FT_ALIGN) int size;
    int started;
    pthread_t *threads; /* [started] */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    unsigned round;
    bool stop;
    void (*function)(void *, int);
    void *context;
};

struct member {
    struct ft_team *team;
    int index;
};

static void relax(unsigned spins)
{
    if (spins % 4096 == 4095)
        sched_yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void *member_main(void *argument)
{
    const struct member me = *(struct member *)argument;
    free(argument);
    struct ft_team *t = me.team;
    unsigned seen = 0;
    for (;;) {
        pthread_mutex_lock(&t->lock);
        while (t->round == seen && !t->stop)
            pthread_cond_wait(&t->wake, &t->lock);
        const bool stop = t->stop;
        seen = t->round;
        pthread_mutex_unlock(&t->lock);
        if (stop)
            return NULL;
        t->function(t->context, me.index);
        atomic_fetch_sub_explicit(&t->running, 1, memory_order_release);
    }
}

struct ft_team *ft_team_new(int size)
{
    struct ft_team *t = ft_alloc_zero(1, sizeof *t);
    if (!t)
        return NULL;
    t->size = size < 1 ? 1 : size;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    t->threads = calloc((size_t)t->size, sizeof *t->threads);
    if (!t->threads)
        goto fail;
    for (int i = 1; i < t->size; i++) {
        struct member *m = malloc(sizeof *m);
        if (!m)
            goto fail;
        *m = (struct member){ t, i };
        if (pthread_create(&t->threads[t->started], NULL, member_main, m)) {
            free(m);
            goto fail;
        }
        t->started++;
    }
    return t;
fail:
    ft_team_free(t);
    return NULL;
}

void ft_team_free(struct ft_team *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->lock);
    for (int i = 0; i < t->started; i++)
        pthread_join(t->threads[i], NULL);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    free(t->threads);
    free(t);
}

int ft_team_size(const struct ft_team *t)
{
    return t->size;
}

void ft_team_run(struct ft_team *t, void (*function)(void *, int), void *context)
{
    if (t->size > 1) {
        atomic_store_explicit(&t->running, t->size - 1, memory_order_relaxed);
        pthread_mutex_lock(&t->lock);
        t->function = function;
        t->context = context;
        t->round++;
        pthread_cond_broadcast(&t->wake);
        pthread_mutex_unlock(&t->lock);
    }
    function(context, 0);
    for (unsigned spins = 0; atomic_load_explicit(&t->running, memory_order_acquire); spins++)
        relax(spins);
}

void ft_team_barrier(struct ft_team *t, int member)
{
    (void)member;
    if (t->size == 1)
        return;
    const unsigned generation = atomic_load_explicit(&t->generation, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) == t->size - 1) {
        atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&t->generation, generation + 1, memory_order_release);
        return;
    }
    for (unsigned spins = 0; atomic_load_explicit(&t->generation, memory_order_acquire) == generation; spins++)
        relax(spins);
}

struct each {
    atomic_size_t next;
    size_t n;
    void (*function)(void *, size_t, int);
    void *context;
};

static void each_member(void *context, int member)
{
    struct each *e = context;
    for (;;) {
        const size_t i = atomic_fetch_add_explicit(&e->next, 1, memory_order_relaxed);
        if (i >= e->n)
            return;
        e->function(e->context, i, member);
    }
}

void ft_team_each(struct ft_team *t, size_t n, void (*function)(void *, size_t, int), void *context)
{
    struct each e = { .n = n, .function = function, .context = context };
    atomic_init(&e.next, 0);
    ft_team_run(t, each_member, &e);
}
