/* Messages and progress on standard error, result lines on standard output. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

enum { MESSAGE_LIMIT = 8192 };

static bool quiet, hushed, json, log_json;

void message_init(const struct settings *settings)
{
    quiet = settings->quiet;
    log_json = settings->log_json;
    json = settings->json;
}

void hush_notes(bool hush)
{
    hushed = hush;
}

static void begin_log(const char *event)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    fprintf(stderr, "{\"time\":%lld.%03ld,\"event\":\"%s\"", (long long)t.tv_sec,
            t.tv_nsec / 1000000, event);
}

static void put(const char *event, const char *format, va_list args)
{
    char text[MESSAGE_LIMIT];
    vsnprintf(text, sizeof text, format, args);
    if (log_json) {
        begin_log(event);
        fputs(",\"message\":", stderr);
        json_put_string(stderr, text);
        fputs("}\n", stderr);
        return;
    }
    fprintf(stderr, "finetune: %s\n", ft_text_plain(text, ""));
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
    if (quiet || hushed)
        return;
    va_start(args, format);
    put("note", format, args);
    va_end(args);
}

static void put_line(const char *key, const char *format, va_list args)
{
    char text[MESSAGE_LIMIT];
    vsnprintf(text, sizeof text, format, args);
    printf("%-10s %s\n", key, ft_text_plain(text, ""));
    flush_output(); /* the line is visible before the next stage begins, also in a pipe */
}

void report(const char *key, const char *format, ...)
{
    va_list args;
    if (json || quiet)
        return;
    va_start(args, format);
    put_line(key, format, args);
    va_end(args);
}

void report_lines(const char *key, char *text)
{
    for (char *line = text, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        report(key, "%s", line);
    }
    free(text);
}

void result(const char *key, const char *format, ...)
{
    va_list args;
    if (json)
        return;
    va_start(args, format);
    put_line(key, format, args);
    va_end(args);
}

int print_text(char *text)
{
    if (text)
        fputs(ft_text_plain(text, "\n\t"), stdout);
    const bool there = text != NULL;
    free(text);
    return there ? 0 : -1;
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

const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

int fail(const struct ft_error *err)
{
    say("%s", err->msg);
    return EXIT_FAILED;
}

int refuse(struct ft_error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
    return err->code = code;
}

int out_of_memory(struct ft_error *err, const char *name)
{
    return refuse(err, FT_ENOMEM, "out of memory for '%s'", name);
}

int refuse_errno(struct ft_error *err, const char *format, ...)
{
    const char *why = strerror(errno);
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->msg)
        snprintf(err->msg + n, sizeof err->msg - (size_t)n, ": %c%s",
                 tolower((unsigned char)why[0]), why + 1);
    return err->code = FT_EIO;
}

static int output_error; /* errno of the first write to standard output that failed */

void output_failed(int number)
{
    if (!output_error)
        output_error = number;
}

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

void progress_begin(struct progress *p, const char *what, const char *unit, size_t total)
{
    *p = (struct progress){ .what = what, .unit = unit, .total = total, .start = ft_clock() };
}

/* A line that is wider than the terminal would wrap and could not be redrawn: parts that do not fit
 * are left out. */
static void draw(const struct progress *p, size_t done, double rate)
{
    struct winsize window;
    const size_t columns =
        !ioctl(STDERR_FILENO, TIOCGWINSZ, &window) && window.ws_col ? window.ws_col : 80;
    char line[200], total[24] = "", more[2][64] = { "", "" };
    if (p->total)
        snprintf(total, sizeof total, "/%zu", p->total);
    snprintf(line, sizeof line, "%-10s %zu%s", p->what, done, total);
    snprintf(more[0], sizeof more[0], " · %.0f %s/s", rate, p->unit);
    if (p->total && rate > 0)
        snprintf(more[1], sizeof more[1], " · %.0f s left", (double)(p->total - done) / rate);
    size_t used = strlen(line);
    /* the dot takes two bytes and one column */
    for (int i = 0; i < 2 && used + strlen(more[i]) - 1 < columns; i++) {
        const size_t bytes = strlen(line);
        snprintf(line + bytes, sizeof line - bytes, "%s", more[i]);
        used += strlen(more[i]) - 1;
    }
    fprintf(stderr, "\r%.*s\033[K", used < columns ? (int)strlen(line) : (int)columns - 1, line);
    fflush(stderr);
}

void progress_step(struct progress *p, size_t done)
{
    const double now = ft_clock(), rate = (double)done / (now - p->start);
    const char *terminal = getenv("TERM");
    if (log_json && !quiet && now - p->shown >= 1) {
        begin_log("progress");
        fprintf(stderr, ",\"what\":\"%s\",\"done\":%zu,\"total\":%zu,\"rate\":%.1f}\n", p->what,
                done, p->total, rate);
        p->shown = now;
    }
    if (quiet || log_json || now - p->shown < 0.1 || !isatty(STDERR_FILENO) ||
        (terminal && !strcmp(terminal, "dumb")))
        return;
    draw(p, done, rate);
    p->shown = now;
    p->drawn = true;
}

double progress_end(struct progress *p)
{
    if (p->drawn)
        fputs("\r\033[K", stderr);
    return ft_clock() - p->start;
}
