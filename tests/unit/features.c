/* The feature cache below ft_extract: what is kept comes back bit for bit, by content and key,
 * within the limit on pixels. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "features/cache.h"
#include "features/segment.h"
#include "test.h"

enum { N = 5000, D = 7, NO_LIMIT = 1 << 30 };

static char folder[] = "/tmp/finetune-test-XXXXXX";
static const uint64_t key_a[2] = { 1, 2 }, key_b[2] = { 1, 3 };

static struct ft_cache *open_cache(const uint64_t key[2], int d)
{
    struct ft_cache *c = NULL;
    struct ft_error err;
    if (!ft_cache_open(folder, &c, &err))
        ft_cache_select(c, key, d);
    return c;
}

static void make(size_t i, uint64_t content[2], float feature[D])
{
    ft_hash(&i, sizeof i, content);
    for (int j = 0; j < D; j++)
        feature[j] = (float)i + (float)j / 8;
}

static size_t found(struct ft_cache *c, size_t first, size_t n, uint64_t limit)
{
    size_t count = 0;
    for (size_t i = first; i < first + n; i++) {
        uint64_t content[2];
        float want[D], got[D] = { 0 };
        bool more = false;
        make(i, content, want);
        count += ft_cache_find(c, content, limit, got, &more) && !memcmp(want, got, sizeof want) &&
                 more == (i % 3 == 0);
    }
    return count;
}

static void add(struct ft_cache *c, size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++) {
        uint64_t content[2];
        float feature[D];
        make(i, content, feature);
        ft_cache_add(c, content, 100 + i, i % 3 == 0, feature);
    }
}

static void cache_keeps_features(void)
{
    struct ft_cache *c = open_cache(key_a, D);
    CHECK(c != NULL); /* a cache opens */
    CHECK_STR(ft_cache_folder(c), folder);
    CHECK(found(c, 0, N, NO_LIMIT) == 0); /* and is empty */
    add(c, 0, N);
    add(c, 10, 20);                              /* copies of a picture */
    CHECK(found(c, N - 50, 50, NO_LIMIT) == 50); /* rows that wait to be written are found */
    CHECK(found(c, 0, N, NO_LIMIT) == N);        /* so are all others */
    ft_cache_free(c);
    c = open_cache(key_a, D);
    CHECK(found(c, 0, N, NO_LIMIT) == N);   /* a later run finds all, bit for bit */
    CHECK(found(c, N, 100, NO_LIMIT) == 0); /* and nothing else */
    CHECK(found(c, 0, N, 100 + 99) == 100); /* only pictures within the limit on pixels */
    ft_cache_select(c, key_b, D);
    CHECK(found(c, 0, N, NO_LIMIT) == 0); /* another key finds nothing */
    ft_cache_select(c, key_a, D);
    CHECK(found(c, 0, N, NO_LIMIT) == N); /* back at the first key all are there */
    CHECK(!ft_cache_warning(c));          /* without a warning */
    ft_cache_free(c);
    c = open_cache(key_a, D + 1);
    CHECK(found(c, 0, N, NO_LIMIT) == 0); /* another length of features finds nothing */
    ft_cache_free(c);
}

static void *add_some(void *cache)
{
    add(cache, N, 3000);
    return NULL;
}

static void cache_shared_by_threads(void)
{
    struct ft_cache *c = open_cache(key_b, D), *other = open_cache(key_b, D);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, add_some, i % 2 ? other : c);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ft_cache_free(other);
    ft_cache_free(c);
    c = open_cache(key_b, D);
    /* threads of two caches in one folder keep everything */
    CHECK(found(c, N, 3000, NO_LIMIT) == 3000);
    ft_cache_free(c);
}

static void cache_folder(void)
{
    struct ft_cache_info info;
    struct ft_error err;
    struct ft_cache *c = NULL;
    /* the folder can be looked into */
    CHECK(!ft_cache_inspect(folder, &info, &err) && info.entries >= 3000 && !info.damaged);
    /* and emptied */
    CHECK(!ft_cache_clear(folder, &info, &err) && !info.entries && !info.bytes &&
          info.removed_entries >= 3000);
    /* a folder that cannot be made is an error */
    CHECK(ft_cache_open("/dev/null/x", &c, &err) == FT_EIO && !c);
    /* inspecting it is none */
    CHECK(!ft_cache_inspect("/dev/null/x", &info, &err) || err.code == FT_EIO);
}

/* `n` features from `first` on, a segment for every `each` of them. */
static void add_segments(const uint64_t key[2], size_t first, size_t n, size_t each)
{
    struct ft_cache *c = open_cache(key, D);
    for (size_t i = 0; i < n; i += each) {
        add(c, first + i, n - i < each ? n - i : each);
        ft_cache_flush(c);
    }
    ft_cache_free(c);
}

static void prune_merges_small_segments(void)
{
    struct ft_cache_info info;
    add_segments(key_a, 0, 200, 7);
    /* half of them are there already: as if two trainings had run side by side */
    add_segments(key_a, 150, 100, 9);
    CHECK(!ft_cache_inspect(folder, &info, NULL) && info.segments == 41 && info.entries == 250);
    struct ft_cache *reader = open_cache(key_a, D);
    CHECK(found(reader, 0, 100, NO_LIMIT) == 100);
    CHECK(!ft_cache_prune(folder, 90, &info, NULL) && info.segments == 1 && info.entries == 250 &&
          info.merged == 41 && !info.removed_entries);
    /* a reader goes on */
    CHECK(found(reader, 0, 250, NO_LIMIT) == 250 && ft_cache_counted(reader).hits == 350 &&
          !ft_cache_warning(reader));
    add(reader, 250, 10);
    ft_cache_free(reader);
    reader = open_cache(key_a, D);
    CHECK(found(reader, 0, 260, NO_LIMIT) == 260);
    const uint64_t bytes = info.bytes;
    CHECK(!ft_cache_prune(folder, 90, &info, NULL) && info.segments == 1 && info.entries == 260 &&
          info.merged == 2);
    /* nothing is left to do */
    CHECK(!ft_cache_prune(folder, 90, &info, NULL) && info.segments == 1 && !info.merged &&
          !info.removed_bytes);
    CHECK(info.bytes == bytes + 10 * (32 + 4 * D));
    CHECK(!ft_cache_clear(folder, &info, NULL) && info.removed_entries == 260);
    CHECK(found(reader, 0, 260, NO_LIMIT) == 0); /* what has gone is a miss */
    ft_cache_free(reader);
}

static void merged_segments_keep_their_age_and_only_what_is_whole(void)
{
    struct ft_cache_info info;
    char path[300], name[64];
    struct ft_segment_row rows[2];
    float x[2 * D];
    add_segments(key_a, 0, 20, 10);
    for (size_t i = 0; i < 2; i++) {
        make(20 + i, rows[i].content, x + i * D);
        rows[i].pixels = 1;
        rows[i].check = ft_segment_check(x + i * D, D) + i; /* the second is damaged */
    }
    snprintf(path, sizeof path, "%s/" FT_CACHE_SUBFOLDER "/%016llx%016llx", folder,
             (unsigned long long)key_a[0], (unsigned long long)key_a[1]);
    const int fd = open(path, O_RDONLY | O_DIRECTORY);
    CHECK(!ft_segment_write(fd, key_a, D, rows, 2, x, name, NULL));
    char **names;
    size_t n;
    CHECK(!ft_cache_list(fd, 1e9, &names, &n, NULL) && n == 3);
    for (size_t i = 0; i < n; i++) {
        const time_t at = time(NULL) - 86400 * (time_t)(80 - 10 * i);
        utimensat(fd, names[i], (struct timespec[]){ { .tv_sec = at }, { .tv_sec = at } }, 0);
    }
    ft_cache_free_list(names, n);
    /* one was 80 days old */
    CHECK(!ft_cache_prune(folder, 75, &info, NULL) && info.segments == 1 &&
          info.removed_entries == 10 && info.merged == 2);
    CHECK(!ft_cache_inspect(folder, &info, NULL) && info.entries == 11);
    struct ft_cache *c = open_cache(key_a, D);
    CHECK(found(c, 10, 12, NO_LIMIT) == 11);
    CHECK(!ft_cache_prune(folder, 61, &info, NULL) && info.entries == 11);
    CHECK(!ft_cache_prune(folder, 59, &info, NULL) && info.entries == 0 &&
          info.removed_entries == 11);
    ft_cache_free(c);
    close(fd);
}

/* kill -9 at random moments of a prune: every feature is found afterwards, and whoever reads all
 * the while finds them too. */
static void killed_prunes_lose_nothing(void)
{
    struct ft_random random = { 3 };
    struct ft_cache_info info;
    int killed = 0;
    add_segments(key_a, 0, 400, 100);
    struct ft_cache *reader = open_cache(key_a, D);
    for (int i = 0; i < 40; i++) {
        add_segments(key_a, 0, 400, 10); /* superseded and small */
        const pid_t child = fork();
        if (!child) {
            ft_cache_prune(folder, 90, &info, NULL);
            _exit(0);
        }
        const long pause = (long)ft_random_below(&random, 4000000);
        nanosleep(&(struct timespec){ .tv_nsec = pause }, NULL);
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        killed += WIFSIGNALED(status);
        CHECK(found(reader, 0, 400, NO_LIMIT) == 400);
        struct ft_cache *c = open_cache(key_a, D);
        CHECK(found(c, 0, 400, NO_LIMIT) == 400);
        ft_cache_free(c);
    }
    CHECK(killed >= 5);
    ft_cache_free(reader);
    CHECK(!ft_cache_prune(folder, 90, &info, NULL) && info.entries == 400 && info.segments == 1 &&
          !info.damaged);
    CHECK(!ft_cache_clear(folder, &info, NULL));
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    RUN(cache_keeps_features);
    RUN(cache_shared_by_threads);
    RUN(cache_folder);
    RUN(prune_merges_small_segments);
    RUN(merged_segments_keep_their_age_and_only_what_is_whole);
    RUN(killed_prunes_lose_nothing);
    char subfolder[80];
    snprintf(subfolder, sizeof subfolder, "%s/" FT_CACHE_SUBFOLDER, folder);
    rmdir(subfolder);
    rmdir(folder);
    return test_end();
}
