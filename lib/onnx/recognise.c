/* What does not need protobuf-c. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "onnx/onnx.h"

bool ft_onnx_is(const char *path, const uint8_t *start, size_t n)
{
    const size_t length = strlen(path);
    /* field 1, a small number, then a field of ModelProto */
    const bool begins = n > 4 && start[0] == 0x08 && start[1] >= 1 && start[1] <= 32 &&
                        (start[2] == 0x12 || start[2] == 0x3a || start[2] == 0x42);
    return begins || (length > 5 && !strcmp(path + length - 5, ".onnx"));
}

uint64_t ft_onnx_bytes_beside(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const size_t length = strlen(name);
    char folder[4096] = ".";
    uint64_t bytes = 0;
    if (length < 6 || strcmp(name + length - 5, ".onnx") || (size_t)(name - path) >= sizeof folder)
        return 0;
    if (slash) {
        memcpy(folder, path, (size_t)(name - path));
        folder[name - path] = 0;
    }
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        struct stat st;
        if (!strncmp(entry->d_name, name, length - 5) && strcmp(entry->d_name, name) &&
            !fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode))
            bytes += (uint64_t)st.st_size;
    }
    if (dir)
        closedir(dir);
    return bytes;
}

#ifndef FT_HAVE_PROTOBUF_C
static int refuse(const char *path, const struct ft_reader_options *options,
                  struct ft_network **out, struct ft_error *err)
{
    (void)options;
    (void)out;
    /* FT_EFORMAT: other formats of protocol buffers begin alike, and are named */
    return ft_error_set(
        err, FT_EFORMAT,
        "'%s': an ONNX file, and this program was built without protobuf-c: install "
        "libprotobuf-c and build again",
        path);
}

const struct ft_reader ft_onnx_reader = {
    .name = "ONNX", .recognises = ft_onnx_is, .bytes_beside = ft_onnx_bytes_beside, .open = refuse
};

int ft_onnx_write(const struct ft_network *network, const struct ft_onnx_export *options,
                  const char *path, uint64_t *size, struct ft_error *err)
{
    (void)network, (void)options, (void)size;
    return ft_error_set(
        err, FT_EUNSUPPORTED,
        "'%s' cannot be written: this program was built without protobuf-c: install "
        "libprotobuf-c and build again",
        path);
}
#endif
