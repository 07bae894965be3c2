/* The feature cache below ft_extract: what is kept comes back bit for bit, by content and key, within the limit on pixels. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "features/cache.h"
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
        make(i, content, want);
        count += ft_cache_find(c, content, limit, got) && !memcmp(want, got, sizeof want);
    }
    return count;
}

static void add(struct ft_cache *c, size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++) {
        uint64_t content[2];
        float feature[D];
        make(i, content, feature);
        ft_cache_add(c, content, 100 + i, feature);
    }
}

static void cache_keeps_features(void)
{
    struct ft_cache *c = open_cache(key_a, D);
    CHECK(c != NULL); /* a cache opens */
    CHECK(found(c, 0, N, NO_LIMIT) == 0); /* and is empty */
    add(c, 0, N);
    add(c, 10, 20); /* copies of a picture */
    CHECK(found(c, N - 50, 50, NO_LIMIT) == 50); /* rows that wait to be written are found */
    CHECK(found(c, 0, N, NO_LIMIT) == N); /* so are all others */
    ft_cache_free(c);
    c = open_cache(key_a, D);
    CHECK(found(c, 0, N, NO_LIMIT) == N); /* a later run finds all, bit for bit */
    CHECK(found(c, N, 100, NO_LIMIT) == 0); /* and nothing else */
    CHECK(found(c, 0, N, 100 + 99) == 100); /* only pictures within the limit on pixels */
    ft_cache_select(c, key_b, D);
    CHECK(found(c, 0, N, NO_LIMIT) == 0); /* another key finds nothing */
    ft_cache_select(c, key_a, D);
    CHECK(found(c, 0, N, NO_LIMIT) == N); /* back at the first key all are there */
    CHECK(!ft_cache_warning(c)); /* without a warning */
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
    CHECK(found(c, N, 3000, NO_LIMIT) == 3000); /* threads of two caches in one folder keep everything */
    ft_cache_free(c);
}

static void cache_folder(void)
{
    struct ft_cache_info info;
    struct ft_error err;
    struct ft_cache *c = NULL;
    CHECK(!ft_cache_inspect(folder, &info, &err) && info.entries >= 3000 && !info.damaged); /* the folder can be looked into */
    CHECK(!ft_cache_clear(folder, &info, &err) && !info.entries && !info.bytes && info.removed_entries >= 3000); /* and emptied */
    CHECK(ft_cache_open("/dev/null/x", &c, &err) == FT_EIO && !c); /* a folder that cannot be made is an error */
    CHECK(!ft_cache_inspect("/dev/null/x", &info, &err) || err.code == FT_EIO); /* inspecting it is none */
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    RUN(cache_keeps_features);
    RUN(cache_shared_by_threads);
    RUN(cache_folder);
    char subfolder[80];
    snprintf(subfolder, sizeof subfolder, "%s/" FT_CACHE_SUBFOLDER, folder);
    rmdir(subfolder);
    rmdir(folder);
    return test_end();
}
