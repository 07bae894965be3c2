/* Serialises a network. The isolated process that reads a file sends these bytes to the process
 * that uses the network. Tensors that can be used directly from a file are not copied; only their
 * offset in the file is sent. */
#ifndef FT_NETWORK_TRANSFER_H
#define FT_NETWORK_TRANSFER_H

#include "base/isolate.h"
#include "network/network.h"

/* A file that a network was read from. */
struct ft_network_file {
    const uint8_t *bytes; /* [size] */
    size_t size;
    /* The file with every two bytes widened to a float [size / 2]: the bytes at an even offset o
     * are the float at byte 2 o. Returns NULL if memory runs out. NULL: there is no such file. */
    const float *(*widened)(void *user, bool bfloat16);
    void *user;
};

/* Appends the network. A tensor inside one of storage.files, or one that storage.narrow names, is
 * sent as the number of the file and its offset there. */
void ft_network_send(const struct ft_network *network, struct ft_outbox *outbox);

/* Makes a network of bytes [n] from ft_network_send, which are not trusted: kinds, inputs, shapes
 * and weights are checked (FT_EFORMAT). Its tensors point into `bytes`, or into files [n_files],
 * the sender's storage.files, if they were sent as offsets; all must outlive the network, whose
 * storage is empty. On failure *out is untouched. */
int ft_network_receive(const uint8_t *bytes, size_t n, const struct ft_network_file *files,
                       size_t n_files, struct ft_network **out, struct ft_error *err);

#endif
