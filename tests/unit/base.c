/* base/: checked sizes, errors, atomic files, random numbers, teams of threads. */
#define _GNU_SOURCE
#include "../test.h"

#include <cblas.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/blas.h"
#include "base/budget.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/random.h"
#include "base/thread.h"

/* Values of IEEE 754-2019, table 3.5. */
static void half_precision(void)
{
    CHECK(ft_half(0x3c00) == 1 && ft_half(0xc000) == -2 && ft_half(0x7bff) == 65504);
    CHECK(ft_half(0x3555) == 0x1.554p-2f && ft_half(0x0400) == 0x1p-14f);
    CHECK(ft_half(0x0001) == 0x1p-24f && ft_half(0x83ff) == -0x1.ff8p-15f);
    CHECK(ft_half(0) == 0 && !signbit(ft_half(0)) && signbit(ft_half(0x8000)));
    CHECK(isinf(ft_half(0x7c00)) && ft_half(0xfc00) < 0 && isinf(ft_half(0xfc00)));
    CHECK(isnan(ft_half(0x7e00)) && isnan(ft_half(0xfc01)));
}

static void sizes(void)
{
    size_t r = 7;
    CHECK(!ft_size_mul((size_t)-1, 2, &r) && r == 7);
    CHECK(ft_size_mul(6, 7, &r) && r == 42);
    CHECK(!ft_size_add((size_t)-1, 1, &r) && r == 42);
    CHECK(ft_round_up(1, 64) == 64 && ft_round_up(64, 64) == 64);
    CHECK(ft_alloc((size_t)-1, 4) == NULL);
    void *p = ft_alloc_zero(3, 5);
    CHECK(p && (uintptr_t)p % FT_ALIGN == 0);
    free(p);
}

static void errors(void)
{
    struct ft_error e;
    CHECK(ft_error_set(&e, FT_EFORMAT, "layer '%s': bad\n", "x") == FT_EFORMAT);
    CHECK_STR(e.msg, "layer 'x': bad?");
    CHECK(ft_error_prefix(&e, FT_EFORMAT, "'%s'", "m.h5") == FT_EFORMAT);
    CHECK_STR(e.msg, "'m.h5': layer 'x': bad?");
    errno = ENOENT;
    CHECK(ft_error_errno(&e, "cannot open '%s'", "y") == FT_EIO);
    CHECK_STR(e.msg, "cannot open 'y': no such file or directory");
    CHECK(ft_error_set(NULL, FT_EIO, "nobody listens") == FT_EIO);
    ft_error_set(&e, FT_EIO, "\033[31m \xc2\x9b \xc3\xa9");
    /* C0 and C1 controls would steer a terminal, letters stay */
    CHECK(!strcmp(e.msg, "?[31m ? \xc3\xa9"));
}

static void control_characters(void)
{
    char text[] = "a\tb\x7f\xc2\x85\xc2\xa0\n", other[] = "\033[2J\n";
    CHECK(ft_control_length("") == 0 && ft_control_length("a") == 0 && ft_control_length(" ") == 0);
    CHECK(ft_control_length("\x1f") == 1 && ft_control_length("\x7f") == 1);
    CHECK(ft_control_length("\xc2\x9f") == 2 && ft_control_length("\xc2\xa0") == 0);
    CHECK_STR(ft_text_plain(text, "\n"), "a?b??\xc2\xa0\n");
    CHECK_STR(ft_text_plain(other, ""), "?[2J?");
}

static void growing(void)
{
    int *array = NULL;
    size_t capacity = 0;
    for (int i = 0; i < 1000; i++) {
        CHECK(ft_grow((void **)&array, &capacity, (size_t)i, sizeof *array));
        array[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        CHECK(array[i] == i);
    const int *const before = array;
    const size_t room = capacity;
    CHECK(!ft_grow((void **)&array, &capacity, capacity, (size_t)1 << 62));
    CHECK(array == before && capacity == room); /* unchanged */
    free(array);
    CHECK(!ft_strdup(NULL));
}

/* Rows that are read back from a scratch file, and a file that ends too early. */
static void scratch_files(void)
{
    enum { ROWS = 50, D = 7 };
    float x[ROWS][D], room[ROWS][D];
    char dir[] = "/tmp/ft-base-XXXXXX";
    struct ft_scratch *s = NULL;
    struct ft_error e;
    for (int i = 0; i < ROWS * D; i++)
        x[i / D][i % D] = (float)i;
    CHECK(mkdtemp(dir) != NULL);
    CHECK(!ft_scratch_new(dir, sizeof x, &s, &e));
    CHECK(!ft_scratch_append(s, x, 20 * sizeof *x, &e) &&
          !ft_scratch_append(s, x[20], 30 * sizeof *x, &e));
    CHECK(rmdir(dir) == 0); /* the file has no name */
    struct ft_matrix m = { .n = ROWS, .d = D, .scratch = s };
    CHECK(ft_matrix_rows(&m, 10, 40, room[0]) == room[0] && !memcmp(room, x[10], 40 * sizeof *x));
    CHECK(ft_matrix_status(&m, &e) == 0);
    m.n++;
    CHECK(ft_matrix_rows(&m, 50, 1, room[0])[0] == 0 && ft_matrix_status(&m, &e) == FT_EIO);
    CHECK(strstr(e.msg, "cannot read the scratch file"));
    ft_scratch_free(s);
    const struct ft_matrix held = { .n = ROWS, .d = D, .x = x[0] };
    CHECK(ft_matrix_rows(&held, 3, 2, NULL) == x[3] && ft_matrix_status(&held, &e) == 0);
    s = NULL;
    CHECK(ft_scratch_new("/nonexistent", 1, &s, &e) == FT_EIO && !s);
    ft_scratch_free(NULL);
}

static void outputs(void)
{
    char dir[] = "/tmp/ft-base-XXXXXX", path[64];
    struct ft_error e;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/a", dir);
    CHECK(!ft_output_check(path, &e) && access(path, F_OK)); /* leaves nothing */
    CHECK(ft_output_check(dir, &e) == FT_EARG && ft_output_check("", &e) == FT_EARG);
    snprintf(path, sizeof path, "%s/none/a", dir);
    CHECK(ft_output_check(path, &e) == FT_EIO);
    CHECK(rmdir(dir) == 0);
    CHECK(ft_memory_bytes() > (uint64_t)1 << 20 && ft_cpu_count() >= 1);
}

/* Markus Kuhn's UTF-8 stress test's kinds of wrong sequences. */
static void utf8(void)
{
    CHECK(ft_utf8_length("") == 1 && ft_utf8_length("a") == 1 && ft_utf8_length("\xc3\xa9") == 2 &&
          ft_utf8_length("\xe2\x82\xac") == 3);
    CHECK(ft_utf8_length("\xf0\x9f\x98\x80") == 4 && ft_utf8_length("\xf4\x8f\xbf\xbf") == 4);
    CHECK(!ft_utf8_length("\xe9") && !ft_utf8_length("\x80") && !ft_utf8_length("\xc3(") &&
          !ft_utf8_length("\xe2\x82"));
    /* overlong */
    CHECK(!ft_utf8_length("\xc0\xaf") && !ft_utf8_length("\xe0\x80\xaf") &&
          !ft_utf8_length("\xf0\x80\x80\xaf"));
    /* a surrogate, too large */
    CHECK(!ft_utf8_length("\xed\xa0\x80") && !ft_utf8_length("\xf4\x90\x80\x80") &&
          !ft_utf8_length("\xff"));
}

static void files(void)
{
    char dir[] = "/tmp/ft-base-XXXXXX", path[64], link[64], fifo[64];
    struct ft_error e;
    struct ft_bytes b = { 0 };
    struct stat st;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/a", dir);
    snprintf(link, sizeof link, "%s/link", dir);
    CHECK(ft_file_replace(path, "one", 3, &e) == 0);
    CHECK(symlink(path, link) == 0);
    CHECK(ft_file_replace(link, "second", 6, &e) == 0);
    CHECK(!lstat(link, &st) && S_ISLNK(st.st_mode));
    CHECK(ft_file_read(path, 100, &b, &e) == 0 && b.size == 6 && !memcmp(b.data, "second", 6));
    CHECK(ft_file_read(path, 5, &b, &e) == FT_ELIMIT);
    CHECK(ft_file_read(dir, 5, &b, &e) == FT_EFORMAT);
    struct ft_replacement r = { 0 };
    CHECK(ft_replace_begin(path, &r, &e) == 0 && access(r.path, F_OK) == 0);
    ft_replace_abort(&r);
    CHECK(ft_file_read(path, 100, &b, &e) == 0 && b.size == 6);
    CHECK(ft_file_replace(dir, "x", 1, &e) == FT_EARG);
    CHECK(ft_file_replace("/nonexistent/dir/x", "x", 1, &e) == FT_EIO);
    snprintf(fifo, sizeof fifo, "%s/fifo", dir);
    CHECK(mkfifo(fifo, 0600) == 0 && ft_file_read(fifo, 10, &b, &e) == FT_EFORMAT);
    unlink(fifo);
    unlink(link);
    unlink(path);
    CHECK(rmdir(dir) == 0); /* no temporary file is left */
    ft_bytes_release(&b);
}

static atomic_bool replacing;

static void *replace_files(void *path)
{
    struct ft_replacement r = { 0 };
    struct ft_error e;
    while (atomic_load(&replacing))
        if (ft_replace_begin(path, &r, &e) == 0)
            ft_replace_abort(&r);
    return NULL;
}

/* The umask is the whole process's: what another thread creates meanwhile must not be readable by
 * everybody. */
static void modes(void)
{
    char dir[] = "/tmp/ft-base-XXXXXX", path[64], other[64];
    const mode_t before = umask(077);
    struct ft_error e;
    struct stat st;
    pthread_t threads[3];
    int wrong = 0;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/a", dir);
    snprintf(other, sizeof other, "%s/b", dir);
    atomic_store(&replacing, true);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, replace_files, path) == 0);
    for (int i = 0; i < 30000; i++) {
        const int fd = open(other, O_WRONLY | O_CREAT | O_EXCL, 0666);
        wrong += fd < 0 || fstat(fd, &st) || (st.st_mode & 0777) != 0600;
        close(fd);
        unlink(other);
    }
    atomic_store(&replacing, false);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK(wrong == 0);
    umask(022);
    CHECK(ft_file_replace(path, "one", 3, &e) == 0 && !stat(path, &st) &&
          (st.st_mode & 0777) == 0644);
    umask(before);
    unlink(path);
    CHECK(rmdir(dir) == 0);
}

static void random_numbers(void)
{
    struct ft_random r = { 1234567 };
    /* the reference implementation's first output */
    CHECK(ft_random_next(&r) == UINT64_C(6457827717110365317));
    int seen[3] = { 0 };
    for (int i = 0; i < 3000; i++)
        seen[ft_random_below(&r, 3)]++;
    CHECK(seen[0] > 900 && seen[1] > 900 && seen[2] > 900);
}

struct shared {
    struct ft_team *team;
    atomic_int slots[4], wrong;
    size_t done[1000];
};

/* Every part of a stage sees every part of the one before done, and runs once. */
static void stage(void *context, int i, int part)
{
    struct shared *s = context;
    for (int p = 0; p < ft_team_size(s->team); p++)
        if (s->slots[p] != i && (p == part || s->slots[p] != i + 1))
            s->wrong = 1;
    s->slots[part] = i + 1;
}

static void count(void *context, size_t i, int member)
{
    (void)member;
    ((struct shared *)context)->done[i]++;
}

static void teams(void)
{
    for (int size = 1; size <= 4; size++) {
        struct shared s = { .team = ft_team_new(size) };
        CHECK(s.team && ft_team_size(s.team) == size);
        for (int times = 0; times < 20; times++) {
            memset(s.slots, 0, sizeof s.slots);
            ft_team_stages(s.team, 200, stage, &s);
            for (int p = 0; p < size; p++)
                CHECK(s.slots[p] == 200);
            ft_team_each(s.team, 10, count, &s); /* runs of both sorts in turn */
        }
        CHECK(!s.wrong);
        memset(s.done, 0, sizeof s.done);
        ft_team_each(s.team, 1000, count, &s);
        for (int i = 0; i < 1000; i++)
            CHECK(s.done[i] == 1);
        ft_team_free(s.team);
    }
}

/* -1: this system does not say. */
static int threads_running(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int n = tasks ? -2 : -1; /* . and .. */
    while (tasks && readdir(tasks))
        n++;
    if (tasks)
        closedir(tasks);
    return n;
}

/* Those of a process with one thread: an emulator has threads of its own. */
static int threads_alone(void)
{
    int status = 0;
    const pid_t child = fork();
    if (!child)
        _exit(threads_running());
    return child > 0 && waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : -1;
}

/* OpenBLAS starts threads when it is loaded; they end, and no product starts them again. */
static void blas_threads(void)
{
    enum { N = 600 };
    float *a = ft_alloc(N * N, sizeof *a), *b = ft_alloc_zero(N * N, sizeof *b),
          *c = ft_alloc(N * N, sizeof *c);
    if (threads_running() < 0)
        SKIP("no /proc");
    for (int i = 0; i < N * N; i++)
        a[i] = (float)(i % 97);
    for (int i = 0; i < N; i++)
        b[i * N + i] = 2;
    for (int times = 0; times < 2; times++) {
        ft_blas_alone();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, b, N, 0, c, N);
        CHECK(c[N + 1] == 2 * a[N + 1]);
    }
    const int alone = threads_alone();
    CHECK(alone > 0);
    for (int i = 0; i < 1000 && threads_running() > alone; i++)
        usleep(1000); /* a thread that was joined may still be listed */
    CHECK(threads_running() == alone);
    free(a);
    free(b);
    free(c);
}

/* The set is determined once: a later change of the environment has no effect. */
static void cpu_features(void)
{
    ft_cpu_limit(""); /* no limit */
    const unsigned all = ft_cpu_features();
    const char *name = getenv("FINETUNE_CPU");
    char *before = ft_strdup(name);
    CHECK(!setenv("FINETUNE_CPU", all ? "c" : "avx2", 1));
    CHECK(ft_cpu_features() == all);
    ft_cpu_limit("c");
    CHECK(ft_cpu_features() == 0);
    CHECK_STR(ft_cpu_name(), "c");
    ft_cpu_limit("avx2");
    CHECK(ft_cpu_features() == (all & FT_CPU_AVX2));
    CHECK(before ? !setenv("FINETUNE_CPU", before, 1) : !unsetenv("FINETUNE_CPU"));
    ft_cpu_limit(NULL);
    CHECK((ft_cpu_features() & ~all) == 0 && (before || ft_cpu_features() == all));
    free(before);
}

/* No limit keeps AMX; avx512_bf16 keeps all that AMX is used with. */
static void cpu_limits(void)
{
    static const char *const names[] = { "c",           "avx2",        "avx_vnni", "avx512",
                                         "avx512_vnni", "avx512_bf16", "neon",     "neon_dot" };
    const unsigned amx = FT_CPU_AMX_INT8 | FT_CPU_AMX_BF16,
                   vnni = FT_CPU_AVX2 | FT_CPU_AVX512 | FT_CPU_AVX512_VNNI;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK(!(ft_cpu_limited(~0U, names[i]) & amx));
        ft_cpu_limit(names[i]);
        CHECK(!(ft_cpu_features() & amx));
        CHECK(!ft_cpu_bf16() || !strcmp(names[i], "avx512_bf16"));
    }
    ft_cpu_limit(NULL);
    CHECK(ft_cpu_limited(~0U, NULL) == ~0U && ft_cpu_limited(~0U, "all") == ~0U);
    CHECK(ft_cpu_limited(~0U, "avx512_vnni") == vnni);
    CHECK(ft_cpu_limited(~0U, "avx512_bf16") == (vnni | FT_CPU_AVX512_BF16));
    CHECK(ft_cpu_limited(FT_CPU_AVX2, "avx512_bf16") == FT_CPU_AVX2);
}

/* The registers of a Sapphire Rapids, and others that lack something. */
static void cpu_amx(void)
{
    const unsigned bf16 = 1U << 22, tile = 1U << 24, int8 = 1U << 25,
                   below = FT_CPU_AVX512_VNNI | FT_CPU_AVX512_BF16,
                   both = FT_CPU_AMX_INT8 | FT_CPU_AMX_BF16;
    const struct ft_cpu_amx whole = { bf16 | tile | int8, 8 << 16 | 64, 16, 0x602e7 };
    struct ft_cpu_amx amx = whole;
    CHECK(ft_cpu_amx(&amx, below) == both);
    CHECK(ft_cpu_amx(&amx, FT_CPU_AVX512_VNNI) == FT_CPU_AMX_INT8);
    CHECK(ft_cpu_amx(&amx, FT_CPU_AVX512_BF16) == FT_CPU_AMX_BF16);
    CHECK(ft_cpu_amx(&amx, both) == 0);
    amx.leaf7 = tile | int8;
    CHECK(ft_cpu_amx(&amx, below) == FT_CPU_AMX_INT8);
    amx.leaf7 = bf16 | tile;
    CHECK(ft_cpu_amx(&amx, below) == FT_CPU_AMX_BF16);
    amx.leaf7 = bf16 | int8;
    CHECK(ft_cpu_amx(&amx, below) == 0);
    const struct ft_cpu_amx lacking[] = {
        { whole.leaf7, whole.palette_names, 16, 0x202e7 }, /* XCR0: the configuration only */
        { whole.leaf7, whole.palette_names, 16, 0x402e7 }, /* the tiles only */
        { whole.leaf7, 8 << 16 | 32, 16, 0x602e7 },        /* shorter rows */
        { whole.leaf7, 4 << 16 | 64, 16, 0x602e7 },        /* fewer tiles */
        { whole.leaf7, whole.palette_names, 8, 0x602e7 },  /* fewer rows */
    };
    for (size_t i = 0; i < sizeof lacking / sizeof *lacking; i++)
        CHECK(ft_cpu_amx(&lacking[i], below) == 0);
}

/* ---- a budget of memory ---------------------------------------------------------------------- */

struct spending {
    struct ft_budget budget;
    atomic_int together, most;
    uint64_t bytes;
};

static void spend(void *context, size_t i, int member)
{
    struct spending *s = context;
    (void)i, (void)member;
    ft_budget_take(&s->budget, s->bytes);
    const int now = atomic_fetch_add(&s->together, 1) + 1;
    for (int most = atomic_load(&s->most); now > most;)
        if (atomic_compare_exchange_weak(&s->most, &most, now))
            break;
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    atomic_fetch_sub(&s->together, 1);
    ft_budget_return(&s->budget, s->bytes);
}

static void budgets(void)
{
    static const struct {
        uint64_t bytes;
        int most;
    } rows[] = { { 60, 1 }, { 50, 2 }, { 1000, 1 }, { 34, 2 }, { 1, 4 } };
    struct ft_team *team = ft_team_new(4);
    CHECK(team != NULL);
    for (size_t i = 0; team && i < sizeof rows / sizeof *rows; i++) {
        struct spending s = { .bytes = rows[i].bytes };
        ft_budget_init(&s.budget, 100);
        ft_team_each(team, 40, spend, &s);
        CHECK(s.most >= 1 && s.most <= rows[i].most);
        CHECK(s.budget.used == 0);
        ft_budget_release(&s.budget);
    }
    ft_team_free(team);
}

int main(void)
{
    RUN(blas_threads); /* before teams of our own */
    RUN(half_precision);
    RUN(sizes);
    RUN(errors);
    RUN(utf8);
    RUN(control_characters);
    RUN(growing);
    RUN(scratch_files);
    RUN(outputs);
    RUN(files);
    RUN(modes);
    RUN(random_numbers);
    RUN(teams);
    RUN(budgets);
    RUN(cpu_features);
    RUN(cpu_limits);
    RUN(cpu_amx);
    return test_end();
}
