/* Recognises files of other programs by their content, so that the error message can say what opens
 * them. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backbone/backbone.h"
#include "image/formats.h"

enum { START = 4096 };

static bool contains(const uint8_t *start, size_t n, const char *text)
{
    return memmem(start, n, text, strlen(text)) != NULL;
}

static const char *of_folder(const char *path)
{
    char file[4096];
    struct stat st;
    if (snprintf(file, sizeof file, "%s/saved_model.pb", path) < (int)sizeof file &&
        !stat(file, &st))
        return "a TensorFlow SavedModel folder, not a Keras file: load it with tf_keras or "
               "TensorFlow "
               "and save the network as .h5 or .keras";
    return "a folder, not a Keras file";
}

/* Signatures at the beginning of a file. */
static const struct {
    const char *bytes;
    size_t n, at;
    const char *what;
} signatures[] = {
    { "TFL3", 4, 4,
      "a TensorFlow Lite network, not a Keras file: LiteRT runs it; save the network it was "
      "converted from as .h5 or .keras" },
    { "GGUF", 4, 0, "a GGUF file, not a Keras file: llama.cpp and programs based on it open it" },
    { "version https://git-lfs", 23, 0,
      "a pointer of Git LFS, not the file itself: 'git lfs pull' fetches it" },
    { "<!DOCTYPE", 9, 0, "a web page, not a Keras file: download the file itself" },
    { "<!doctype", 9, 0, "a web page, not a Keras file: download the file itself" },
    { "<html", 5, 0, "a web page, not a Keras file: download the file itself" },
    { "\x93NUMPY", 6, 0, "an array of NumPy, not a Keras file: numpy.load opens it" },
    { "{", 1, 0,
      "a JSON text, not a Keras file: an architecture has no weights; save the whole network as "
      ".h5 or .keras" },
};

/* Formats of protocol buffers have no signature. */
static const struct {
    const char *ending, *what;
} endings[] = {
    { ".pb", "a TensorFlow graph, not a Keras file: load it with TensorFlow and save the network "
             "as .h5 or "
             ".keras" },
    { ".index",
      "a TensorFlow checkpoint, not a Keras file: load the weights into the network and save it as "
      ".h5 or .keras" },
};

static bool is_safetensors(const uint8_t *start, size_t n)
{
    return n >= 10 && start[8] == '{' && !start[6] && !start[7] &&
           (contains(start, n, "\"dtype\"") || contains(start, n, "\"__metadata__\""));
}

static bool is_pickle(const uint8_t *start, size_t n)
{
    const bool zip = n >= 4 && !memcmp(start, "PK\3\4", 4) && contains(start, n, "/data.pkl");
    return zip || (n >= 2 && start[0] == 0x80 && start[1] >= 2 && start[1] <= 5);
}

static const char *of_content(const uint8_t *start, size_t n)
{
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++)
        if (n >= signatures[i].at + signatures[i].n &&
            !memcmp(start + signatures[i].at, signatures[i].bytes, signatures[i].n))
            return signatures[i].what;
    if (is_safetensors(start, n))
        return "weights in safetensors format, not a Keras file: the Python package safetensors "
               "opens them; load them into a Keras network and save that as .h5 or .keras";
    if (is_pickle(start, n))
        return "a PyTorch or pickle file, not a network that can be read: write it with "
               "torch.onnx.export and give the .onnx file";
    const struct ft_format *picture = ft_format_of(start, n);
    return picture ? "a picture, not a Keras file: name a network or model here" : NULL;
}

static const char *of_name(const char *path)
{
    const size_t length = strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t n = strlen(endings[i].ending);
        if (length > n && !strcmp(path + length - n, endings[i].ending))
            return endings[i].what;
    }
    return NULL;
}

const char *ft_foreign_format(const char *path)
{
    uint8_t start[START];
    struct stat st;
    if (stat(path, &st))
        return NULL;
    if (S_ISDIR(st.st_mode))
        return of_folder(path);
    FILE *f = S_ISREG(st.st_mode) ? fopen(path, "re") : NULL;
    if (!f)
        return NULL;
    const size_t n = fread(start, 1, sizeof start, f);
    fclose(f);
    const char *what = of_content(start, n);
    const bool hdf5 = n >= 8 && !memcmp(start, "\x89HDF\r\n\x1a\n", 8);
    return what || hdf5 ? what : of_name(path);
}
