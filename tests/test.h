/* A test program is a list of functions; each prints one TAP line. CHECK counts a failure and goes
 * on. */
#ifndef FT_TESTS_TEST_H
#define FT_TESTS_TEST_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_failures, test_number, test_bad;
static const char *test_skip_reason;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);                               \
            test_failures++;                                                                       \
        }                                                                                          \
    } while (0)

#define CHECK_STR(got, want)                                                                       \
    do {                                                                                           \
        const char *got_ = (got), *want_ = (want);                                                 \
        if (!got_ || strcmp(got_, want_)) {                                                        \
            printf("# %s:%d: got \"%s\", want \"%s\"\n", __FILE__, __LINE__,                       \
                   got_ ? got_ : "(null)", want_);                                                 \
            test_failures++;                                                                       \
        }                                                                                          \
    } while (0)

#define CHECK_NEAR(got, want, tolerance)                                                           \
    do {                                                                                           \
        const double got_ = (got), want_ = (want);                                                 \
        if (!(fabs(got_ - want_) <= (tolerance))) {                                                \
            printf("# %s:%d: %s is %.9g, want %.9g +- %g\n", __FILE__, __LINE__, #got, got_,       \
                   want_, (double)(tolerance));                                                    \
            test_failures++;                                                                       \
        }                                                                                          \
    } while (0)

#define SKIP(reason)                                                                               \
    do {                                                                                           \
        test_skip_reason = (reason);                                                               \
        return;                                                                                    \
    } while (0)

/* RUN(function) for each, then `return test_end();` in main. */
#define RUN(function)                                                                              \
    do {                                                                                           \
        test_failures = 0;                                                                         \
        test_skip_reason = NULL;                                                                   \
        function();                                                                                \
        test_bad += test_failures != 0;                                                            \
        printf("%sok %d - %s%s%s\n", test_failures ? "not " : "", ++test_number, #function,        \
               test_skip_reason ? " # SKIP " : "", test_skip_reason ? test_skip_reason : "");      \
        fflush(stdout);                                                                            \
    } while (0)

/* The path of a file below tests/ ("golden/head/cam.jpg"); valid until the fourth call after this
 * one. */
static inline const char *data_path(const char *name)
{
    static char paths[4][1024];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", getenv("FT_TEST_DATA"), name);
    return path;
}

static inline int test_end(void)
{
    printf("1..%d\n", test_number);
    return test_bad != 0;
}

#endif
