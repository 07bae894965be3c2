/* Tables, lists, the cache, and the command line. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "dataset/lines.h"
#include "features/segment.h"
#include "fuzz.h"

void fuzz_labels(const uint8_t *data, size_t size)
{
    struct ft_dataset *dataset;
    struct ft_error err = { 0 };
    if (ft_dataset_open_labels(fuzz_file(data, size), NULL, &dataset, &err)) {
        REQUIRE(*err.msg);
        return;
    }
    for (size_t i = 0; i < dataset->n; i++)
        REQUIRE(dataset->labels[i] >= 0 && dataset->labels[i] < dataset->n_classes);
    ft_dataset_free(dataset);
}

void fuzz_lists(const uint8_t *data, size_t size)
{
    struct ft_lines lines;
    struct ft_error err = { 0 };
    char *line;
    size_t bytes = 0, n = 0;
    if (!size)
        return;
    const char end = *data % 2 ? 0 : '\n';
    REQUIRE(!ft_lines_open(fuzz_file(data + 1, size - 1), end, NULL, NULL, &lines, &err));
    for (; ft_lines_next(&lines, &line, &err) == 1; n++)
        bytes += strlen(line);
    REQUIRE(bytes <= size && n <= size);
    ft_lines_release(&lines);
}

void fuzz_segment(const uint8_t *data, size_t size)
{
    struct ft_segment_row *rows;
    size_t n;
    uint32_t d = 0;
    char folder[128];
    snprintf(folder, sizeof folder, "%s", fuzz_file(data, size));
    char *slash = strrchr(folder, '/');
    *slash = 0;
    const int fd = open(folder, O_RDONLY | O_DIRECTORY);
    REQUIRE(fd >= 0);
    if (!ft_segment_read(fd, slash + 1, NULL, &d, &rows, &n, NULL)) {
        float *feature = malloc(d * sizeof *feature);
        REQUIRE(feature);
        for (size_t i = 0; i < n; i++)
            (void)ft_segment_feature(fd, slash + 1, n, i, d, rows[i].check, feature);
        free(feature);
        free(rows);
    }
    close(fd);
}

void fuzz_options(const uint8_t *data, size_t size)
{
    enum { MOST = 64 };
    char *text = fuzz_text(data, size), *argv[MOST];
    struct settings settings = { 0 };
    int argc = 0;
    size_t at = size ? 1 : 0;
    for (; at < size && argc < MOST; at += strlen(text + at) + 1)
        argv[argc++] = text + at;
    const struct command *command = commands[size ? *data % (unsigned)n_commands : 0];
    const int status = options_parse(command, argc, argv, &settings);
    REQUIRE(status == 0 || status == EXIT_USAGE || status == EXIT_FAILED);
    free(text);
}
