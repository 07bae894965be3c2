/* The formats that networks are read from: one row each. A new format is its own room beside
 * keras/, with an ft_reader, and a row here. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "keras/keras.h"
#include "backbone/backbone.h"

static const struct ft_reader *const readers[] = { &ft_keras_reader };
#define N_READERS (sizeof readers / sizeof *readers)

/* The first bytes of a file; 0 for what cannot be read. O_NONBLOCK: a FIFO must not block. */
static size_t read_start(const char *path, uint8_t *start, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const ssize_t n = fd < 0 ? -1 : read(fd, start, size);
    if (fd >= 0)
        close(fd);
    return n < 0 ? 0 : (size_t)n;
}

/* If no reader recognises the file, the first one opens it and reports what is wrong with it. */
int ft_network_open(const char *path, const struct ft_reader_options *options,
                    struct ft_network **out, struct ft_error *err)
{
    uint8_t start[16];
    const size_t n = read_start(path, start, sizeof start);
    for (size_t i = 0; i < N_READERS; i++)
        if (readers[i]->recognises(path, start, n))
            return readers[i]->open(path, options, out, err);
    return readers[0]->open(path, options, out, err);
}
