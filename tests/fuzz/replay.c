/* replay TARGET FILE...: runs a target on stored inputs. replay NUMBER: without libFuzzer, all
 * targets on inputs that are derived from the files in FT_TEST_DATA, one TAP line a target.
 * replay --network FILE: a seed of the target transfer, on standard output. */
#include <dirent.h>
#include <string.h>

#include "fuzz.h"
#include "keras/keras.h"
#include "network/transfer.h"

static const struct {
    const char *name;
    fuzz_target *run;
    const char *folders[4]; /* of its seeds, below tests/ */
    const char *ending;     /* of their names */
} targets[] = {
    { "picture", fuzz_picture, { "bad", "golden/image" }, "g" },
    { "gif", fuzz_gif, { "bad", "golden/image" }, ".gif" },
    { "webp", fuzz_webp, { "bad", "golden/image" }, ".webp" },
    { "bmp", fuzz_bmp, { "bad", "golden/image" }, ".bmp" },
    { "tiff", fuzz_tiff, { "bad", "golden/image" }, ".tif" },
    { "avif", fuzz_avif, { "bad", "golden/image" }, ".avif" },
    { "heif", fuzz_heif, { "bad", "golden/image" }, ".heic" },
    { "jxl", fuzz_jxl, { "bad", "golden/image" }, ".jxl" },
    { "pnm", fuzz_pnm, { "bad", "golden/image" }, "m" },
    { "exif", fuzz_exif, { "fuzz/seeds", "bad" }, ".exif" },
    { "config", fuzz_config, { "fuzz/seeds", "bad" }, ".json" },
    { "metadata", fuzz_metadata, { "fuzz/seeds", "bad" }, ".json" },
    { "archive", fuzz_archive, { "golden/containers", "fuzz/seeds", "bad" }, ".keras" },
    { "labels", fuzz_labels, { "fuzz/seeds", "bad" }, ".csv" },
    { "lists", fuzz_lists, { "fuzz/seeds", "bad" }, ".csv" },
    { "segment", fuzz_segment, { "fuzz/seeds", "bad" }, ".ftc" },
    { "options", fuzz_options, { "fuzz/seeds", "bad" }, ".args" },
    { "transfer", fuzz_transfer, { "fuzz/seeds", "bad" }, ".network" },
    { "hdf5", fuzz_hdf5, { "golden/containers", "bad" }, ".h5" },
    { "onnx", fuzz_onnx, { "golden/onnx", "bad" }, ".onnx" },
};
enum { TARGETS = sizeof targets / sizeof *targets };

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    size_t capacity = 1 << 16;
    uint8_t *data = malloc(capacity);
    *size = 0;
    for (size_t n; f && data && (n = fread(data + *size, 1, capacity - *size, f));) {
        *size += n;
        if (*size == capacity)
            data = realloc(data, capacity *= 2);
    }
    if (f)
        fclose(f);
    if (f && data)
        return data;
    free(data);
    return NULL;
}

static uint32_t random_number(void)
{
    static uint32_t state = 1; /* the same inputs in every run */
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

/* The seed itself, and copies of it with some bytes changed or the end cut off. */
static void vary(fuzz_target *run, const uint8_t *seed, size_t size, int times)
{
    uint8_t *data = malloc(size + 1);
    REQUIRE(data);
    for (int i = 0; i < times; i++) {
        size_t n = size;
        if (size)
            memcpy(data, seed, size);
        if (i % 4 == 3 && size)
            n = random_number() % size;
        for (unsigned k = i ? 1 + random_number() % 4 : 0; k && n; k--)
            data[random_number() % n] = (uint8_t)random_number();
        run(data, n);
    }
    free(data);
}

static int run_folder(int t, const char *folder, int times)
{
    const char *root = getenv("FT_TEST_DATA");
    char path[4096];
    int n = 0;
    snprintf(path, sizeof path, "%s/%s", root ? root : "tests", folder);
    DIR *dir = opendir(path);
    const size_t length = strlen(path), ending = strlen(targets[t].ending);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        const size_t name = strlen(e->d_name);
        if (name < ending || strcmp(e->d_name + name - ending, targets[t].ending))
            continue;
        snprintf(path + length, sizeof path - length, "/%s", e->d_name);
        size_t size;
        uint8_t *seed = read_file(path, &size);
        REQUIRE(seed);
        vary(targets[t].run, seed, size, times);
        free(seed);
        n++;
    }
    if (dir)
        closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        const int times = atoi(argv[1]);
        for (int t = 0; t < TARGETS; t++) {
            int seeds = 0;
            for (int i = 0; i < 4 && targets[t].folders[i]; i++)
                seeds += run_folder(t, targets[t].folders[i],
                                    strcmp(targets[t].name, "hdf5") ? times : 1 + times / 20);
            printf("%sok %d - %s: %d seeds\n", seeds ? "" : "not ", t + 1, targets[t].name, seeds);
            fflush(stdout);
        }
        printf("1..%d\n", TARGETS);
        return 0;
    }
    if (argc == 3 && !strcmp(argv[1], "--network")) {
        static uint8_t room[1 << 20];
        struct ft_outbox outbox = { .base = room, .capacity = sizeof room };
        struct ft_network *network;
        REQUIRE(!ft_keras_open(argv[2], NULL, &network, NULL));
        network->storage.n_files = 0; /* all tensors are in the bytes */
        network->storage.n_narrow = 0;
        ft_network_send(network, &outbox);
        ft_network_free(network);
        return outbox.failed || fwrite(room, 1, outbox.size, stdout) != outbox.size;
    }
    for (int t = 0; argc > 2 && t < TARGETS; t++)
        for (int i = 2; !strcmp(argv[1], targets[t].name) && i < argc; i++) {
            size_t size;
            uint8_t *data = read_file(argv[i], &size);
            REQUIRE(data);
            targets[t].run(data, size);
            free(data);
        }
    return argc > 2 ? 0 : 2;
}
