/* Recognises files of other programs by their content, so that the error message can say what opens
 * them. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backbone/backbone.h"

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
    if (n >= 8 && !memcmp(start + 4, "TFL3", 4))
        return "a TensorFlow Lite network, not a Keras file: LiteRT runs it; save the network it "
               "was "
               "converted from as .h5 or .keras";
    if (n >= 4 && !memcmp(start, "GGUF", 4))
        return "a GGUF file, not a Keras file: llama.cpp and programs based on it open it";
    if (n >= 10 && start[8] == '{' && !start[6] && !start[7] && contains(start, n, "\"dtype\""))
        return "weights in safetensors format, not a Keras file: the Python package safetensors "
               "opens "
               "them; load them into a Keras network and save that as .h5 or .keras";
    const bool zip = n >= 4 && !memcmp(start, "PK\3\4", 4) && contains(start, n, "/data.pkl");
    if (zip || (n >= 2 && start[0] == 0x80 && start[1] >= 2 && start[1] <= 5))
        return "a PyTorch or pickle file, not a Keras file: torch.load opens it; copy the weights "
               "into "
               "a Keras network and save that as .h5 or .keras";
    return NULL;
}
