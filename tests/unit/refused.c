/* keras/: what it does not read. Each hostile file (tests/bad) has its message and its code, and
 * files of other kinds are not taken for Keras files. */
#include "../test.h"

#include <dirent.h>

#include "keras/keras.h"
#include "network/network.h"

static void refused(void)
{
    static const struct {
        const char *file, *says;
        int code;
    } bad[] = {
        { "absurd-shape", "layer 'last': weight 'kernel:0' has a shape that is not possible",
          FT_ELIMIT },
        { "activation", "layer 'first': activation 'celu' is not supported", FT_EUNSUPPORTED },
        { "bar", "layer 'relu': the operation '|Add' is not supported", FT_EUNSUPPORTED },
        { "bars", "the operation 'Add|__operators__.add' is not supported", FT_EUNSUPPORTED },
        { "bomb", "would unpack to 1024 MB", FT_ELIMIT },
        { "causal", "keras-causal.h5': layer 'first': padding 'causal' is not supported",
          FT_EUNSUPPORTED },
        { "channels-first", "data_format 'channels_first'", FT_EUNSUPPORTED },
        { "cycle", "layer 'relu': its input depends on itself", FT_EFORMAT },
        { "deep-config", "not JSON", FT_EFORMAT },
        { "empty-shape", "a shape that is not possible", FT_ELIMIT },
        { "empty", "an empty file", FT_EFORMAT },
        { "external-link", "'last' is a soft or external link", FT_EUNSUPPORTED },
        { "external-storage", "stored in another file", FT_EUNSUPPORTED },
        { "filters", "layer 'first': the shape of 'kernel' does not fit", FT_EFORMAT },
        { "integers", "layer 'last': weight 'kernel:0' is stored as integers", FT_EUNSUPPORTED },
        { "missing", "layer 'last': weight 'kernel:0' is missing", FT_EFORMAT },
        { "no-such-input", "layer 'pool': its input 'relu' is not in the network", FT_EFORMAT },
        { "number-as-config", "'model_config' is not a string", FT_EFORMAT },
        { "policy", "layer 'last': its dtype policy 'DTypePolicy' has no name", FT_EUNSUPPORTED },
        { "subclass", "the class 'Mine' has its layers in Python code", FT_EUNSUPPORTED },
        { "same-name", "two layers are called 'first'", FT_EFORMAT },
        { "later-call",
          "layer 'pool': its input 'relu' is called 1 times, but a later call is used",
          FT_EFORMAT },
        { "slash", "its input 'first' is not in the network", FT_EFORMAT },
        { "soft-link", "'kernel:0' is a soft or external link", FT_EUNSUPPORTED },
        { "strides", "setting 'strides' has an unexpected value", FT_EFORMAT },
        { "text-as-config", "not JSON", FT_EFORMAT },
        { "text", "not a Keras file", FT_EFORMAT },
        { "truncated", "a damaged HDF5 file", FT_EFORMAT },
        { "twice", "weight 'last/kernel:0' is there twice", FT_EFORMAT },
        { "two-outputs", "the network has 2 outputs, of layers 'last' and 'pool'",
          FT_EUNSUPPORTED },
        { "unknown-class", "layer 'relu': code inside a file is not run", FT_EUNSUPPORTED },
        { "weights-only", "no attribute 'model_config'", FT_EUNSUPPORTED },
        { "wrong-shape", "layer 'last': the shape of 'kernel' does not fit", FT_EFORMAT },
        { "wrong-type", "weight 'kernel:0' is not numeric", FT_EUNSUPPORTED },
        { "zip", " archive", 0 },
    };
    const int n = sizeof bad / sizeof *bad;
    for (int i = 0; i < n; i++) {
        char relative[64];
        struct ft_network *network = NULL;
        struct ft_error err = { 0 };
        snprintf(relative, sizeof relative, "bad/keras-%s.h5", bad[i].file);
        const int rc = ft_keras_open(data_path(relative), NULL, &network, &err);
        CHECK((bad[i].code ? rc == bad[i].code : rc < 0) && !network); /* 0: it depends on libzip */
        if (!strstr(err.msg, bad[i].says))
            CHECK_STR(err.msg, bad[i].says);
    }
    int files = 0;
    DIR *dir = opendir(data_path("bad"));
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        files += !strncmp(entry->d_name, "keras-", 6);
    closedir(dir);
    CHECK(files == n);
    struct ft_error err;
    struct ft_network *network = NULL;
    CHECK(ft_keras_open("/nonexistent.h5", NULL, &network, &err) == FT_EIO);
    CHECK_STR(err.msg, "'/nonexistent.h5': cannot be opened: no such file or directory");
    CHECK(ft_keras_open("/dev/null", NULL, &network, &err) == FT_EFORMAT);
}

static void recognised(void)
{
    static const struct {
        const char *start;
        size_t n;
        bool is;
    } cases[] = {
        { "\211HDF\r\n\032\n", 8, true },
        { "\211HDF\r\n\032", 7, false },
        { "PK\003\004", 4, true },
        { "PK\003", 3, false },
        { "GGUF", 4, false },
        { "", 0, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(ft_keras_reader.recognises("m.h5", (const uint8_t *)cases[i].start, cases[i].n) ==
              cases[i].is);
}

int main(void)
{
    RUN(refused);
    RUN(recognised);
    return test_end();
}
