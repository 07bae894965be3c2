/* Networks: what describes them, and what holds them. */
#include <cjson/cJSON.h>
#include <string.h>
#include <sys/mman.h>

#include "fuzz.h"
#include "keras/archive.h"
#include "keras/draft.h"
#include "keras/read_config.h"
#include "keras/sort.h"
#include "backbone/backbone.h"
#include "network/hash.h"
#include "network/transfer.h"
#include "onnx/onnx.h"

void fuzz_config(const uint8_t *data, size_t size)
{
    struct ft_draft draft = { 0 };
    struct ft_error err = { 0 };
    char *text = fuzz_text(data, size);
    int rc = ft_draft_parse(text, &draft, &err);
    if (!rc)
        rc = ft_draft_sort(&draft, &err);
    if (!rc)
        rc = ft_draft_name(&draft, &err);
    REQUIRE(!rc || *err.msg);
    for (int i = 0; !rc && i < draft.n; i++)
        for (int k = 0; k < draft.layers[i].layer.n_inputs; k++)
            REQUIRE(draft.layers[i].layer.inputs[k] < i);
    ft_draft_release(&draft);
    free(text);
}

void fuzz_metadata(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    const struct ft_network network = { .attribute = text };
    struct ft_geometry geometry = { .crop = 0.875 };
    struct ft_error err = { 0 };
    cJSON *json = NULL;
    if (!ft_attribute_read(&network, &json, &err) &&
        !ft_geometry_read(cJSON_GetObjectItemCaseSensitive(json, "input"), 224, 224, NULL,
                          &geometry, &err)) {
        REQUIRE(geometry.width > 0 && geometry.height > 0);
        REQUIRE(geometry.crop > 0 && geometry.crop <= 1);
    }
    cJSON_Delete(json);
    free(text);
}

void fuzz_archive(const uint8_t *data, size_t size)
{
    char *config;
    uint8_t *weights;
    size_t weights_size;
    struct ft_error err = { 0 };
    if (!ft_archive_is(data, size))
        return;
    if (ft_archive_read(data, size, &config, &weights, &weights_size, &err)) {
        REQUIRE(*err.msg);
        return;
    }
    free(config);
    munmap(weights, weights_size);
}

static const float *widened(void *user, bool bfloat16)
{
    static const float values[128];
    (void)user, (void)bfloat16;
    return values;
}

void fuzz_transfer(const uint8_t *data, size_t size)
{
    static const float bytes_of_file[64];
    const struct ft_network_file files[] = {
        { (const uint8_t *)bytes_of_file, sizeof bytes_of_file, widened, NULL },
        { (const uint8_t *)bytes_of_file, sizeof bytes_of_file / 2, NULL, NULL },
    };
    struct ft_network *network;
    struct ft_error err = { 0 };
    uint64_t hash[2];
    uint8_t *bytes = aligned_alloc(64, (size + 64) / 64 * 64);
    REQUIRE(bytes);
    memcpy(bytes, data, size);
    if (!ft_network_receive(bytes, size, files, 2, &network, &err)) {
        REQUIRE(!ft_network_hash(network, network->output, hash, &err));
        ft_network_free(network);
    } else
        REQUIRE(*err.msg);
    free(bytes);
}

void fuzz_hdf5(const uint8_t *data, size_t size)
{
    struct ft_model *model;
    struct ft_error err = { 0 };
    if (ft_model_open(fuzz_file(data, size), NULL, &model, &err))
        REQUIRE(*err.msg && err.code);
    else
        ft_model_free(model);
}

/* In this process: what the isolated reader does before it sends the network. */
void fuzz_onnx(const uint8_t *data, size_t size)
{
    const struct ft_reader_options options = { 0 };
    struct ft_network *network;
    struct ft_error err = { 0 };
    uint64_t hash[2];
    if (ft_onnx_reader.open(fuzz_file(data, size), &options, &network, &err)) {
        REQUIRE(*err.msg && err.code);
        return;
    }
    for (int i = 1; i < network->n_layers; i++)
        for (int k = 0; k < network->layers[i].n_inputs; k++)
            REQUIRE(network->layers[i].inputs[k] < i);
    REQUIRE(!ft_network_hash(network, network->output, hash, &err));
    ft_network_free(network);
}
