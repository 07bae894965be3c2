/* Messages and progress on standard error, result lines on standard output. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

static bool quiet, plain_result;

void message_init(const struct settings *settings)
{
    quiet = settings->quiet;
    plain_result = !settings->json && !settings->quiet;
}

static void put(const char *format, va_list args)
{
    fputs("finetune: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put(format, args);
    va_end(args);
}

void note(const char *format, ...)
{
    va_list args;
    if (quiet)
        return;
    va_start(args, format);
    put(format, args);
    va_end(args);
}

void report(const char *key, const char *format, ...)
{
    va_list args;
    if (!plain_result)
        return;
    va_start(args, format);
    printf("%-10s ", key);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
    flush_output(); /* a line stands before the next stage begins, also in a pipe */
}

int fail(const struct ft_error *err)
{
    say("%s", err->msg);
    return EXIT_FAILED;
}

static int output_error; /* errno of the first write to standard output that failed */

bool flush_output(void)
{
    errno = 0;
    if (fflush(stdout) && !output_error)
        output_error = errno ? errno : EIO;
    return output_error == 0;
}

int finish(int status)
{
    if (flush_output() || output_error == EPIPE)
        return status;
    say("cannot write to standard output: %s", strerror(output_error));
    return EXIT_FAILED;
}

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void progress_begin(struct progress *p, const char *what, size_t total)
{
    *p = (struct progress){ .what = what, .total = total, .start = seconds_now() };
}

void progress_step(struct progress *p, size_t done)
{
    const double now = seconds_now();
    if (quiet || now - p->shown < 0.1 || !isatty(STDERR_FILENO))
        return;
    const double rate = (double)done / (now - p->start);
    fprintf(stderr, "\r%-10s %zu", p->what, done);
    if (p->total)
        fprintf(stderr, "/%zu", p->total);
    fprintf(stderr, " · %.0f images/s", rate);
    if (p->total && rate > 0)
        fprintf(stderr, " · %.0f s left", (double)(p->total - done) / rate);
    fputs("\033[K", stderr);
    fflush(stderr);
    p->shown = now;
    p->drawn = true;
}

double progress_end(struct progress *p)
{
    if (p->drawn)
        fputs("\r\033[K", stderr);
    return seconds_now() - p->start;
}
