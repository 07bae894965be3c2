#define _GNU_SOURCE
#include "base/isolate.h"

#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/sandbox.h"

#define MEMORY_BASE    ((uint64_t)96 << 20)
#define MEMORY_TRUSTED ((uint64_t)1 << 20) /* nothing but an error is returned */
#define MEMORY_FACTOR  8   /* bytes of memory for each byte of the file: it may be compressed */
#define MS_BASE        500 /* of processor time: the slowest computer that people use */
#define BYTES_A_MS     ((uint64_t)32 << 10)
#define HEAP_STEP      (4 << 20)
#define PATIENCE                                                                                   \
    20 /* ms on the clock for each of processor time: other processes need the processor, too */
#define MAGIC UINT64_C(0x66742d6f7574626f)

/* It is at the beginning of the outbox and is written last, so that a child which ends early has
 * returned nothing. */
struct head {
    uint64_t magic;
    int64_t rc;
    uint64_t size;
    struct ft_error err;
    char padding[64 - (3 * sizeof(uint64_t) + sizeof(struct ft_error)) % 64];
};
_Static_assert(sizeof(struct head) % 64 == 0, "what follows the head is aligned");

void ft_outbox_write(struct ft_outbox *o, const void *data, size_t size)
{
    if (o->failed || !size)
        return;
    if (size > o->capacity - o->size) {
        o->failed = true;
        return;
    }
    memcpy(o->base + o->size, data, size);
    o->size += size;
}

void ft_outbox_align(struct ft_outbox *o, size_t alignment)
{
    static const uint8_t zeros[64];
    ft_outbox_write(o, zeros, ft_round_up((size_t)o->size, alignment) - (size_t)o->size);
}

static struct itimerval timer_of(uint64_t ms)
{
    return (struct itimerval){ .it_value = { .tv_sec = (time_t)(ms / 1000),
                                             .tv_usec = (suseconds_t)(ms % 1000) * 1000 } };
}

/* Bytes of private memory that the process has already, which count against its limit. */
static uint64_t memory_now(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f || fscanf(f, "%*u %*u %*u %*u %*u %llu", &pages) != 1)
        pages = ((uint64_t)1 << 30) / 4096;
    if (f)
        fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void restore_signals(void)
{
    static const int numbers[] = { SIGHUP, SIGINT,  SIGQUIT, SIGTERM, SIGALRM,
                                   SIGBUS, SIGSEGV, SIGPROF, SIGXFSZ, SIGABRT };
    sigset_t none;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        signal(numbers[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Readers build many small objects. Memory for them is allocated in one piece and populated before
 * it is used: otherwise the child spends a tenth of its time in hundreds of page faults. */
static void prepare_heap(void)
{
#if defined(M_TOP_PAD) && defined(MADV_POPULATE_WRITE)
    mallopt(M_TOP_PAD, HEAP_STEP);
    mallopt(M_TRIM_THRESHOLD, 4 * HEAP_STEP);
    mallopt(M_MMAP_THRESHOLD, 4 * HEAP_STEP);
    char *block = malloc(HEAP_STEP);
    if (!block)
        return;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE),
                    start = ((uintptr_t)block + page - 1) / page * page;
    madvise((void *)start, HEAP_STEP - page, MADV_POPULATE_WRITE);
    free(block);
#endif
}

_Noreturn static void run_child(const struct ft_isolated *x,
                                int (*work)(void *, struct ft_outbox *, struct ft_error *),
                                void *user)
{
    struct ft_outbox outbox = { x->outbox, x->capacity, sizeof(struct head), false };
    struct head head = { .magic = MAGIC };
    restore_signals();
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    if (x->memory) {
        const struct itimerval busy = timer_of(x->ms), total = timer_of(x->ms * PATIENCE);
        if (!ft_sandbox_watched()) {
            setitimer(ITIMER_PROF, &busy, NULL);
            setitimer(ITIMER_REAL, &total, NULL);
        }
        setrlimit(RLIMIT_FSIZE, &none);
        if (!ft_sandbox_enter(memory_now() + x->memory))
            _exit(1);
        prepare_heap();
    }
    head.rc = work(user, &outbox, &head.err);
    if (!head.rc && outbox.failed)
        head.rc = ft_error_set(&head.err, FT_ELIMIT, "takes more memory than it should");
    head.size = outbox.size;
    memcpy(x->outbox, &head, sizeof head);
    _exit(0);
}

int ft_isolated_begin(struct ft_isolated *x, uint64_t size,
                      int (*work)(void *, struct ft_outbox *, struct ft_error *), void *user,
                      struct ft_error *err)
{
    *x = (struct ft_isolated){ 0 };
    if (size != FT_ISOLATED_TRUSTED) {
        x->memory = MEMORY_BASE + MEMORY_FACTOR * size;
        x->ms = MS_BASE + size / BYTES_A_MS;
    }
    /* Pages cost nothing until they are written to. */
    x->capacity = x->memory ? x->memory : MEMORY_TRUSTED;
    void *map = mmap(NULL, x->capacity, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return ft_error_nomem(err, "a file that is read");
    x->outbox = map;
    x->child = fork();
    if (!x->child)
        run_child(x, work, user);
    if (x->child > 0)
        return 0;
    const int rc = errno == EAGAIN ? ft_error_nomem(err, "a process that reads the file")
                                   : ft_error_errno(err, "cannot be read: no process for it");
    munmap(x->outbox, x->capacity);
    *x = (struct ft_isolated){ 0 };
    return rc;
}

/* The child's exit status as of waitpid(2); -1: the program has collected it elsewhere. */
static int wait_for(struct ft_isolated *x)
{
    int status;
    pid_t got;
    while ((got = waitpid((pid_t)x->child, &status, 0)) < 0 && errno == EINTR)
        ;
    x->child = 0;
    return got < 0 ? -1 : status;
}

static int explain_end(const struct ft_isolated *x, int status, struct ft_error *err)
{
    const int number = status >= 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (number == SIGPROF || number == SIGALRM)
        return ft_error_set(err, FT_ELIMIT,
                            "reading it takes longer than %.1f s: the file is damaged or crafted",
                            (double)x->ms / 1000);
    if (number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT)
        return ft_error_set(err, FT_ECANCELLED, "reading it was stopped");
    return ft_error_set(err, FT_EFORMAT, "the file is damaged, or was changed while it was read%s",
                        number ? ": its reader crashed" : "");
}

/* The result of the child's work, by the head of its outbox. */
static int judge(struct ft_isolated *x, struct head *head, int status, struct ft_error *err)
{
    if (head->magic != MAGIC ||
        (!head->rc && (head->size < sizeof *head || head->size > x->capacity)))
        return explain_end(x, status, err);
    if (!head->rc)
        return 0;
    if (head->rc == FT_ENOMEM && x->memory)
        return ft_error_set(err, FT_ENOMEM,
                            "out of memory: a file of this size may take %llu MB while it is read; "
                            "it is damaged, or there is no more memory",
                            (unsigned long long)x->memory >> 20);
    x->reported = true;
    head->err.msg[sizeof head->err.msg - 1] = 0;
    return ft_error_set(err, head->rc < 0 && head->rc > -100 ? (int)head->rc : FT_EFORMAT, "%s",
                        head->err.msg);
}

int ft_isolated_end(struct ft_isolated *x, uint8_t **bytes, size_t *n, struct ft_error *err)
{
    const int status = wait_for(x);
    struct head head;
    /* The child has ended, so what is checked here cannot change any more. */
    memcpy(&head, x->outbox, sizeof head);
    const int rc = judge(x, &head, status, err);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE),
                 used = rc ? 0 : ft_round_up((size_t)head.size, page);
    if (used < x->capacity)
        munmap(x->outbox + used, x->capacity - used);
    if (!rc) {
        *bytes = x->outbox + sizeof head;
        *n = (size_t)head.size - sizeof head;
    }
    *x = (struct ft_isolated){ .reported = x->reported };
    return rc;
}

void ft_isolated_abandon(struct ft_isolated *x)
{
    if (!x->child)
        return;
    kill((pid_t)x->child, SIGKILL);
    wait_for(x);
    munmap(x->outbox, x->capacity);
    *x = (struct ft_isolated){ 0 };
}

void ft_isolated_unmap(uint8_t *bytes, size_t n)
{
    if (bytes)
        munmap(bytes - sizeof(struct head), n + sizeof(struct head));
}
