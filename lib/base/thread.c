/* A run is published by incrementing `round` under the lock. Members spin during a run and for
 * about 100 us after it, because the next run may follow at once and a virtual machine can take a
 * millisecond to wake a core. Then they sleep on a condition variable.
 *
 * Stages are counted through all runs. So a member that is late, even later than the end of its
 * run, finds every part taken and touches nothing of the caller's. `taken` of a part is the stage
 * up to which it is taken. Each part has its own cache line. */
#include "base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"

enum { SPINS = 4095 }; /* of 20 to 50 ns */

struct part {
    alignas(FT_ALIGN) atomic_ullong taken;
};

/* A run of stages: the caller's, and where in the count of all stages it lies. */
struct stages {
    int n; /* 0: an ordinary run */
    unsigned long long first;
    void (*function)(void *, int, int);
};

struct ft_team {
    alignas(FT_ALIGN) atomic_ullong done; /* parts, of all stages of all runs */
    alignas(FT_ALIGN) atomic_int running; /* members other than 0 still inside the run */
    alignas(FT_ALIGN) int size;
    int started;
    pthread_t *threads; /* [started] */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_uint round;
    bool stop;
    void (*function)(void *, int);
    void *context;
    struct stages stages;
    struct part *parts; /* [size] */
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
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void run_stages(struct ft_team *t, struct stages s, void *context, int member)
{
    const unsigned long long size = (unsigned long long)t->size;
    for (int i = 0; i < s.n; i++) {
        const unsigned long long stage = s.first + (unsigned long long)i;
        for (int k = 0; k < t->size; k++) {
            const int p = member + k < t->size ? member + k : member + k - t->size;
            unsigned long long free = stage;
            if (atomic_load_explicit(&t->parts[p].taken, memory_order_relaxed) == stage &&
                atomic_compare_exchange_strong_explicit(&t->parts[p].taken, &free, stage + 1,
                                                        memory_order_acq_rel,
                                                        memory_order_relaxed)) {
                s.function(context, i, p);
                atomic_fetch_add_explicit(&t->done, 1, memory_order_acq_rel);
            }
        }
        for (unsigned spins = 0;
             atomic_load_explicit(&t->done, memory_order_acquire) < (stage + 1) * size; spins++)
            relax(spins);
    }
}

static void *member_main(void *argument)
{
    const struct member me = *(struct member *)argument;
    free(argument);
    struct ft_team *t = me.team;
    unsigned seen = 0;
    for (;;) {
        for (unsigned spins = 0;
             spins < SPINS && atomic_load_explicit(&t->round, memory_order_relaxed) == seen;
             spins++)
            relax(spins);
        pthread_mutex_lock(&t->lock);
        while (t->round == seen && !t->stop)
            pthread_cond_wait(&t->wake, &t->lock);
        const bool stop = t->stop;
        seen = t->round;
        const struct stages stages = t->stages;
        void (*const function)(void *, int) = t->function;
        void *const context = t->context;
        pthread_mutex_unlock(&t->lock);
        if (stop)
            return NULL;
        if (stages.n) {
            run_stages(t, stages, context, me.index);
        } else {
            function(context, me.index);
            atomic_fetch_sub_explicit(&t->running, 1, memory_order_release);
        }
    }
}

bool ft_signals_block(sigset_t *before)
{
    static const int deadly[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        sigaddset(&set, deadly[i]);
    return !pthread_sigmask(SIG_BLOCK, &set, before);
}

/* Signals that end the program are for the thread that has called the library: it blocks them while
 * a file is written. */
static int start(pthread_t *thread, struct member *m)
{
    sigset_t before;
    const bool blocked = ft_signals_block(&before);
    const int rc = pthread_create(thread, NULL, member_main, m);
    if (blocked)
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
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
    t->parts = ft_alloc_zero((size_t)t->size, sizeof *t->parts);
    if (!t->threads || !t->parts)
        goto fail;
    for (int i = 1; i < t->size; i++) {
        struct member *m = malloc(sizeof *m);
        if (!m)
            goto fail;
        *m = (struct member){ t, i };
        if (start(&t->threads[t->started], m)) {
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
    free(t->parts);
    free(t);
}

int ft_team_size(const struct ft_team *t)
{
    return t->size;
}

/* Under the lock, so that a member copies all of one run. */
static void publish(struct ft_team *t, void (*function)(void *, int), struct stages stages,
                    void *context)
{
    pthread_mutex_lock(&t->lock);
    t->function = function;
    t->stages = stages;
    t->context = context;
    t->round++;
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

void ft_team_run(struct ft_team *t, void (*function)(void *, int), void *context)
{
    if (t->size > 1) {
        atomic_store_explicit(&t->running, t->size - 1, memory_order_relaxed);
        publish(t, function, (struct stages){ 0 }, context);
    }
    function(context, 0);
    for (unsigned spins = 0; atomic_load_explicit(&t->running, memory_order_acquire); spins++)
        relax(spins);
}

void ft_team_stages(struct ft_team *t, int n, void (*function)(void *, int, int), void *context)
{
    if (n < 1)
        return;
    const struct stages stages = {
        n, atomic_load_explicit(&t->done, memory_order_acquire) / (unsigned)t->size, function
    };
    if (t->size > 1)
        publish(t, NULL, stages, context);
    run_stages(t, stages, context, 0);
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
