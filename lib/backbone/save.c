/* The `finetune` attribute of a network file, and writing such a file. */
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "keras/blob.h"
#include "keras/keras.h"
#include "backbone/backbone.h"

int ft_attribute_read(const struct ft_network *network, cJSON **out, struct ft_error *err)
{
    cJSON *json = network->attribute ? cJSON_Parse(network->attribute) : NULL;
    if (network->attribute && !cJSON_IsObject(json)) {
        cJSON_Delete(json);
        return ft_error_set(err, FT_EFORMAT,
                            "its attribute 'finetune' is not a JSON object: the file is damaged");
    }
    *out = json;
    return 0;
}

int ft_network_save(const struct ft_network *network, const char *attribute,
                    const struct ft_extra *extra, const char *path, uint64_t *bytes,
                    struct ft_error *err)
{
    struct ft_replacement r = { 0 };
    struct stat st;
    int rc = ft_replace_begin(path, &r, err);
    if (rc)
        return rc;
    rc = ft_keras_write(network, attribute, r.path, err);
    if (!rc && extra)
        rc = ft_blob_write(r.path, extra->name, extra->data, extra->size, err);
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
