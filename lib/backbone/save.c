/* The `finetune` attribute of a network file, and writing such a file. */
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/isolate.h"
#include "base/json.h"
#include "keras/blob.h"
#include "keras/keras.h"
#include "backbone/backbone.h"
#include "network/hash.h"

int ft_attribute_read(const struct ft_network *network, cJSON **out, struct ft_error *err)
{
    const char *text = network->attribute;
    cJSON *json = NULL;
    if (text && ft_json_parse(text, strlen(text), &json, err) == FT_ENOMEM)
        return FT_ENOMEM;
    if (text && !cJSON_IsObject(json)) {
        cJSON_Delete(json);
        return ft_error_set(err, FT_EFORMAT,
                            "its attribute 'finetune' is not a JSON object: the file is damaged");
    }
    *out = json;
    return 0;
}

struct saving {
    const struct ft_network *network;
    const char *attribute, *path;
    const struct ft_extra *extra;
    bool archive;
};

static int write_file(void *user, struct ft_outbox *outbox, struct ft_error *err)
{
    const struct saving *s = user;
    (void)outbox;
    const int rc = s->archive ? ft_keras_write_archive(s->network, s->attribute, s->path, err)
                              : ft_keras_write(s->network, s->attribute, s->path, err);
    return !rc && s->extra
               ? ft_blob_write(s->path, s->extra->name, s->extra->data, s->extra->size, err)
               : rc;
}

/* HDF5 crashes if memory runs out while it writes, so it writes in a process of its own. */
static int write_isolated(struct saving *s, struct ft_error *err)
{
    struct ft_isolated isolated;
    uint8_t *bytes;
    size_t n;
    int rc = ft_isolated_begin(&isolated, FT_ISOLATED_TRUSTED, write_file, s, err);
    if (rc)
        return rc;
    rc = ft_isolated_end(&isolated, &bytes, &n, err);
    if (!rc)
        ft_isolated_unmap(bytes, n);
    else if (!isolated.reported)
        rc = ft_error_set(err, FT_EIO, "the process that writes it ended early");
    return rc;
}

/* Checks the new file: it must contain the saved network and the attribute. */
static int verify(const struct saving *s, struct ft_error *err)
{
    struct ft_network *saved = NULL;
    uint64_t wanted[2], found[2];
    int rc = ft_network_hash(s->network, s->network->output, wanted, err);
    if (!rc)
        rc = ft_network_open(s->path, NULL, &saved, err);
    if (!rc)
        rc = ft_network_hash(saved, saved->output, found, err);
    if (!rc && (memcmp(wanted, found, sizeof wanted) ||
                strcmp(s->attribute ? s->attribute : "", saved->attribute ? saved->attribute : "")))
        rc = ft_error_set(err, FT_EIO, "what was written is not what is in memory");
    ft_network_free(saved);
    return rc;
}

static int save(struct saving *saving, const char *path, uint64_t *bytes, struct ft_error *err)
{
    struct ft_replacement r = { 0 };
    struct stat st;
    int rc = ft_replace_begin(path, &r, err);
    if (rc)
        return rc;
    saving->path = r.path;
    rc = write_isolated(saving, err);
    if (!rc)
        rc = verify(saving, err);
    if (rc == FT_EIO) /* the message names the temporary file, which the user does not know */
        ft_error_set(err, rc, "cannot write '%s': is the disk full?", path);
    else if (rc)
        ft_error_prefix(err, rc, "cannot write '%s'", path);
    if (!rc && bytes && !stat(r.path, &st))
        *bytes = (uint64_t)st.st_size;
    if (!rc)
        rc = ft_replace_commit(&r, err);
    ft_replace_abort(&r);
    return rc;
}

int ft_network_save(const struct ft_network *network, const char *attribute,
                    const struct ft_extra *extra, const char *path, uint64_t *bytes,
                    struct ft_error *err)
{
    struct saving saving = { .network = network, .attribute = attribute, .extra = extra };
    return save(&saving, path, bytes, err);
}

int ft_network_save_archive(const struct ft_network *network, const char *attribute,
                            const char *path, uint64_t *bytes, struct ft_error *err)
{
    struct saving saving = { .network = network, .attribute = attribute, .archive = true };
    return save(&saving, path, bytes, err);
}
