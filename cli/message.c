/* Messages and progress on standard error, result lines on standard output. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

static bool quiet, plain_result, log_json;

void message_init(const struct settings *settings)
{
    quiet = settings->quiet;
    log_json = settings->log_json;
    plain_result = !settings->json && !settings->quiet;
}

static void begin_log(const char *event)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    fprintf(stderr, "{\"time\":%lld.%03ld,\"event\":\"%s\"", (long long)t.tv_sec, t.tv_nsec / 1000000, event);
}

static void put(const char *event, const char *format, va_list args)
{
    if (log_json) {
        char text[4096];
        vsnprintf(text, sizeof text, format, args);
        begin_log(event);
        fputs(",\"message\":", stderr);
        json_put_string(stderr, text);
        fputs("}\n", stderr);
        return;
    }
    fputs("finetune: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put("error", format, args);
    va_end(args);
}

void note(const char *format, ...)
{
    va_list args;
    if (quiet)
        return;
    va_start(args, format);
    put("note", format, args);
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

const char *size_text(uint64_t bytes, char *text)
{
    static const char *const units[] = { "bytes", "kB", "MB", "GB", "TB" };
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1000;
        unit++;
    }
    snprintf(text, 24, "%.3g %s", value, units[unit]);
    return text;
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
    const double now = seconds_now(), rate = (double)done / (now - p->start);
    const char *terminal = getenv("TERM");
    if (log_json && !quiet && now - p->shown >= 1) {
        begin_log("progress");
        fprintf(stderr, ",\"what\":\"%s\",\"done\":%zu,\"total\":%zu,\"rate\":%.1f}\n", p->what, done, p->total, rate);
        p->shown = now;
    }
    if (quiet || log_json || now - p->shown < 0.1 || !isatty(STDERR_FILENO) || (terminal && !strcmp(terminal, "dumb")))
        return;
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
