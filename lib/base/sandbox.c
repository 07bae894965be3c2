#define _GNU_SOURCE
#include "base/sandbox.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static void close_others(void)
{
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    const unsigned first = STDERR_FILENO + 1;
#ifdef SYS_close_range
    if (!syscall(SYS_close_range, first, ~0u, 0))
        return;
#endif
    for (unsigned fd = first; fd < 1024; fd++)
        close((int)fd);
}

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__)) && !defined(SANITIZED)
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>

#ifdef __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#else
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define LOAD(field)                                                                                \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define DENY         RETURN(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW(call)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), RETURN(SECCOMP_RET_ALLOW)

/* Opening for anything but reading: these bits of the flags must be clear. */
#define WRITING (O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))
/* Allows a call that opens a file if argument `flags` of it asks only for reading. It ends the
 * filter for this call. */
#define ALLOW_READING(call, flags)                                                                 \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 4), LOAD(args[flags]),                      \
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, WRITING, 1, 0), RETURN(SECCOMP_RET_ALLOW), DENY

static bool filter_calls(void)
{
    struct sock_filter code[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
#ifdef __x86_64__
        ALLOW(stat),
        ALLOW(lstat),
        ALLOW(access),
        ALLOW(readlink),
        ALLOW(arch_prctl),
        ALLOW_READING(open, 1),
#endif
        ALLOW(read),
        ALLOW(pread64),
        ALLOW(readv),
        ALLOW(lseek),
        ALLOW(close),
        ALLOW(fstat),
        ALLOW(newfstatat),
        ALLOW(statx),
        ALLOW(faccessat),
        ALLOW(readlinkat),
        ALLOW(getdents64),
        ALLOW(getcwd),
        ALLOW(flock),
        ALLOW(mmap),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(mprotect),
        ALLOW(madvise),
        ALLOW(brk),
        ALLOW(futex),
        ALLOW(sched_yield),
        ALLOW(rt_sigprocmask),
        ALLOW(rt_sigreturn),
        ALLOW(clock_gettime),
        ALLOW(gettimeofday),
        ALLOW(getrandom),
        ALLOW(getpid),
        ALLOW(gettid),
        ALLOW(uname),
        ALLOW(exit),
        ALLOW(exit_group),
        ALLOW_READING(openat, 2),
        RETURN(SECCOMP_RET_ERRNO | ENOSYS),
    };
    const struct sock_fprog program = { sizeof code / sizeof *code, code };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return false;
    /* a kernel without seccomp, or a container that forbids it: the limits remain */
    (void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
    return true;
}
#else
static bool filter_calls(void)
{
    return true;
}
#endif

bool ft_sandbox_watched(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload && strstr(preload, "vgpreload");
}

bool ft_sandbox_enter(uint64_t memory)
{
    close_others();
    if (ft_sandbox_watched())
        return true;
#ifdef SANITIZED
    (void)memory;
#else
#ifdef __linux__
    const int resource = RLIMIT_DATA; /* all private memory */
#else
    const int resource = RLIMIT_AS;
#endif
    const struct rlimit limit = { memory, memory };
    struct rlimit now;
    if (getrlimit(resource, &now) || (memory < now.rlim_max && setrlimit(resource, &limit)))
        return false;
#endif
    return filter_calls();
}
