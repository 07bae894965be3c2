/* network/: every allocation of its functions fails once; thresholds and reports without memory.
 * The test is linked with --wrap for the functions that allocate (tests/meson.build). */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdint.h>

#include "finetune-tools.h"
#include "head/calibrate.h"
#include "network/edit.h"
#include "network/hash.h"
#include "small_network.h"

static long allocations_left = -1; /* before the one that fails; -1: none fails */

static bool fails(void)
{
    return allocations_left >= 0 && allocations_left-- == 0;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *s);
int __wrap_asprintf(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return fails() ? NULL : __real_aligned_alloc(align, n);
}

char *__wrap_strdup(const char *s)
{
    return fails() ? NULL : __real_strdup(s);
}

int __wrap_asprintf(char **out, const char *format, ...)
{
    va_list list;
    if (fails())
        return -1;
    va_start(list, format);
    const int n = vasprintf(out, format, list);
    va_end(list);
    return n;
}

static const float zeros[64];

static int try_hash(struct ft_network *n, struct ft_network **out, struct ft_error *err)
{
    uint64_t h[2] = { 1, 2 };
    (void)out;
    const int rc = ft_network_hash(n, DENSE, h, err);
    CHECK(!rc || (h[0] == 1 && h[1] == 2));
    return rc;
}

static int try_cut(struct ft_network *n, struct ft_network **out, struct ft_error *err)
{
    return ft_network_cut(n, DENSE, out, err);
}

static int try_head(struct ft_network *n, struct ft_network **out, struct ft_error *err)
{
    return ft_network_with_head(n, POOL, "pool", 4, 2, zeros, zeros, out, err);
}

static int try_pool(struct ft_network *n, struct ft_network **out, struct ft_error *err)
{
    int last = -1;
    (void)out;
    const int rc = ft_network_pool(n, SUM, &last, err);
    CHECK(rc ? last == -1 : last == LAYERS);
    return rc;
}

static int try_scale(struct ft_network *n, struct ft_network **out, struct ft_error *err)
{
    (void)out;
    return ft_network_scale(n, 3, zeros, zeros, true, err);
}

/* Allocation 0, 1, 2, ... fails, until there are fewer. */
static void fail_each(int (*attempt)(struct ft_network *, struct ft_network **, struct ft_error *),
                      long least)
{
    long failed = 0;
    for (bool more = true; more && failed < 1000; failed += more) {
        struct ft_network *n = small(), *out = NULL;
        struct ft_error err = { 0 };
        allocations_left = failed;
        const int rc = attempt(n, &out, &err);
        more = allocations_left < 0;
        allocations_left = -1;
        CHECK(more ? rc == FT_ENOMEM && err.code == rc && !out : !rc);
        CHECK(!rc || strstr(err.msg, "memory"));
        ft_network_free(out);
        ft_network_free(n);
    }
    CHECK(failed >= least && failed < 1000);
}

static void every_allocation_may_fail(void)
{
    fail_each(try_hash, 4);
    fail_each(try_cut, 10);
    fail_each(try_head, 10);
    fail_each(try_pool, 3);
    fail_each(try_scale, 4);
}

/* 0 would be a threshold: a model with another one was saved. */
static void no_memory_is_no_threshold(void)
{
    const float p[4] = { 0.75f, 0.25f, 0.5f, 0.5f };
    CHECK_NEAR(ft_coverage_threshold(p, 2, 2, 1), 0.5, 1e-6);
    allocations_left = 0;
    const double threshold = ft_coverage_threshold(p, 2, 2, 1);
    allocations_left = -1;
    CHECK(threshold < 0);
}

/* cJSON loses an item that it cannot add to a list. LeakSanitizer reports these few bytes, so it
 * does not see the report in JSON. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static const struct ft_metrics *measured;
static const struct ft_judged *judged;
static char *as_json(void)
{
    return ft_report_metrics_json(measured, judged);
}
static char *as_text(void)
{
    return ft_report_metrics_text(measured, judged);
}

/* Either the whole report, or none: a list of mistakes that was left out was an empty list. */
static void no_memory_is_no_report(void)
{
    const float p[] = { 0.9f, 0.1f, 0.6f, 0.4f, 0.2f, 0.8f, 0.3f, 0.7f };
    const int32_t y[] = { 0, 1, 0, 1 };
    char *classes[] = { "cat", "dog" }, *paths[] = { "a", "b", "c", "d" };
    const struct ft_judged four = {
        .n = 4, .k = 2, .p = p, .y = y, .paths = paths, .classes = classes
    };
    struct ft_metrics *metrics = NULL;
    CHECK(!ft_metrics_compute(p, y, NULL, 4, 2, &metrics, NULL));
    measured = metrics;
    judged = &four;
    char *(*const reports[])(void) = { as_text, as_json };
    for (int i = 0; i < 2 - SANITIZED; i++) {
        char *whole = reports[i](), *got = NULL;
        long n = 0;
        for (; !got; n++) {
            allocations_left = n;
            got = reports[i]();
            const bool failed = allocations_left < 0;
            allocations_left = -1;
            CHECK(failed ? !got : got != NULL);
            if (failed && got)
                break;
        }
        CHECK(n > 5 && whole && got && !strcmp(got, whole));
        free(whole);
        free(got);
    }
    ft_metrics_free(metrics);
}

int main(void)
{
    RUN(every_allocation_may_fail);
    RUN(no_memory_is_no_threshold);
    RUN(no_memory_is_no_report);
    return test_end();
}
