/* base/snapshot: the parts of a file that are read, and a file that changes. */
#define _GNU_SOURCE
#include "../test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/snapshot.h"

#define MB ((size_t)1 << 20)

static char dir[] = "/tmp/finetune-test-XXXXXX", path[64];

/* A file of `size` bytes, mostly a hole, with `mark` at each offset [n]. */
static void make(size_t size, const size_t *offsets, int n, uint8_t mark)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && !ftruncate(fd, (off_t)size));
    for (int i = 0; i < n; i++)
        CHECK(pwrite(fd, &mark, 1, (off_t)offsets[i]) == 1);
    close(fd);
}

static void parts(void)
{
    const size_t offsets[] = { 0, 9 * MB, 50 * MB, 200 * MB - 1 };
    struct ft_snapshot *s = NULL;
    struct ft_error err = { 0 };
    size_t size;
    make(200 * MB, offsets, 4, 7);
    CHECK(!ft_snapshot_open(path, &s, &err));
    if (!s)
        return;
    const uint8_t *bytes = ft_snapshot_bytes(s, &size);
    CHECK(size == 200 * MB);
    CHECK(!ft_snapshot_load(s, &err)); /* nothing is wanted */
    for (int i = 0; i < 4; i++)
        CHECK(bytes[offsets[i]] == 0);
    ft_snapshot_want(s, 9 * MB, 1);
    ft_snapshot_want(s, size - 1, 100);
    ft_snapshot_want(s, size, 1);
    ft_snapshot_want(s, 0, 0);
    CHECK(!ft_snapshot_load(s, &err));
    CHECK(bytes[0] == 0 && bytes[9 * MB] == 7 && bytes[50 * MB] == 0 && bytes[size - 1] == 7);
    ft_snapshot_want(s, 0, size); /* by several threads: more than 32 blocks */
    CHECK(!ft_snapshot_load(s, &err));
    for (int i = 0; i < 4; i++)
        CHECK(bytes[offsets[i]] == 7);
    ft_snapshot_done(s, 9 * MB, 1);
    ft_snapshot_done(s, 0, size);
    /* 100 blocks are too many to keep; the last one is wanted twice */
    CHECK(bytes[0] == 0 && bytes[9 * MB] == 0 && bytes[size - 1] == 7);
    ft_snapshot_done(s, size - 1, 100);
    CHECK(bytes[size - 1] == 7); /* it is kept for now */
    ft_snapshot_trim(s);
    CHECK(bytes[size - 1] == 0);
    ft_snapshot_want(s, 8 * MB, 2 * MB);
    CHECK(!ft_snapshot_load(s, &err));
    CHECK(bytes[0] == 0 && bytes[9 * MB] == 7 && bytes[50 * MB] == 0);
    CHECK(!ft_snapshot_check(s, path, &err));
    ft_snapshot_free(s);
}

/* What nobody needs is limited to 64 MB for all snapshots together. */
static void idle_bytes_of_two(void)
{
    const size_t offsets[] = { 0 };
    struct ft_snapshot *s[2] = { NULL, NULL };
    struct ft_error err = { 0 };
    size_t size;
    make(40 * MB, offsets, 1, 7);
    for (int i = 0; i < 2; i++) {
        CHECK(!ft_snapshot_open(path, &s[i], &err));
        if (s[i])
            ft_snapshot_want(s[i], 0, 40 * MB);
        CHECK(s[i] && !ft_snapshot_load(s[i], &err));
    }
    for (int i = 0; i < 2 && s[i]; i++) {
        ft_snapshot_done(s[i], 0, 40 * MB);
        for (int k = 0; k < 2 && s[k]; k++)
            CHECK(ft_snapshot_bytes(s[k], &size)[0] == (i ? 0 : 7));
    }
    for (int i = 0; i < 2; i++)
        ft_snapshot_free(s[i]);
}

/* 1.5, -2 and the smallest number, as IEEE 754 halves and as bfloat16, around the border of two
 * blocks and at the end of a file of odd length. */
static void two_bytes_become_a_float(void)
{
    static const uint16_t narrow[2][3] = { { 0x3e00, 0xc000, 0x0001 }, { 0x3fc0, 0xc000, 0x0001 } };
    static const float want[2][3] = { { 1.5F, -2, 0x1p-24F }, { 1.5F, -2, 0x1p-133F } };
    const size_t ends[] = { 1 * MB + 2, 3 * MB };
    for (int type = 0; type < 2; type++) {
        struct ft_snapshot *file = NULL, *s = NULL;
        struct ft_error err = { 0 };
        size_t size = 0;
        make(3 * MB + 1, NULL, 0, 0);
        const int fd = open(path, O_WRONLY);
        for (int i = 0; i < 2; i++)
            CHECK(pwrite(fd, narrow[type], 6, (off_t)ends[i] - 6) == 6);
        close(fd);
        CHECK(!ft_snapshot_open(path, &file, &err));
        s = file ? ft_snapshot_widen(file, type) : NULL;
        CHECK(s);
        if (!s)
            return ft_snapshot_free(file);
        const float *values = (const float *)(const void *)ft_snapshot_bytes(s, &size);
        CHECK(size == 6 * MB);
        ft_snapshot_want(s, 2 * ends[0] - 12, 12);
        CHECK(!ft_snapshot_load(s, &err));
        CHECK(!memcmp(values + ends[0] / 2 - 3, want[type], sizeof want[type]));
        CHECK(values[ends[1] / 2 - 1] == 0); /* it was not wanted */
        ft_snapshot_want(s, 2 * ends[1] - 12, 12);
        CHECK(!ft_snapshot_load(s, &err));
        CHECK(!memcmp(values + ends[1] / 2 - 3, want[type], sizeof want[type]));
        CHECK(!truncate(path, (off_t)MB));
        for (int i = 0; i < 2; i++)
            ft_snapshot_done(s, 2 * ends[i] - 12, 12);
        ft_snapshot_trim(s);
        ft_snapshot_want(s, 0, size);
        CHECK(ft_snapshot_load(s, &err) == FT_EIO);
        ft_snapshot_free(s);
        ft_snapshot_free(file);
    }
}

static void changes(void)
{
    const size_t offsets[] = { 1 };
    struct ft_snapshot *s = NULL;
    struct ft_error err = { 0 };
    make(8 * MB, offsets, 1, 7);
    CHECK(!ft_snapshot_open(path, &s, &err));
    if (!s)
        return;
    CHECK(!truncate(path, (off_t)(5 * MB)));
    CHECK(!ft_snapshot_load(s, &err)); /* what is not needed is not read */
    ft_snapshot_want(s, 6 * MB, 1);
    CHECK(ft_snapshot_load(s, &err) == FT_EIO);
    CHECK_STR(err.msg, "the file was changed while it was in use");
    CHECK(ft_snapshot_check(s, path, &err) == FT_EIO);
    ft_snapshot_free(s);
}

static void refused(void)
{
    struct ft_snapshot *s = NULL;
    struct ft_error err = { 0 };
    make(0, NULL, 0, 0);
    CHECK(ft_snapshot_open(path, &s, &err) == FT_EFORMAT && !s);
    CHECK(ft_snapshot_open(dir, &s, &err) == FT_EFORMAT && !s);
    CHECK(ft_snapshot_open("/nonexistent/file", &s, &err) == FT_EIO && !s);
    ft_snapshot_free(NULL);
}

int main(void)
{
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/file", dir);
    RUN(parts);
    RUN(idle_bytes_of_two);
    RUN(two_bytes_become_a_float);
    RUN(changes);
    RUN(refused);
    CHECK(!unlink(path) && !rmdir(dir));
    return test_end();
}
