/* Serialises a network. The isolated process that reads a file sends these bytes to the process
 * that uses the network. Tensors that can be used directly from the file are not copied; only their
 * offset in the file is sent. */
#ifndef FT_NETWORK_TRANSFER_H
#define FT_NETWORK_TRANSFER_H

#include "base/isolate.h"
#include "network/network.h"

/* Appends the network. A tensor inside storage.file is sent as its offset in the file. */
void ft_network_send(const struct ft_network *network, struct ft_outbox *outbox);

/* Makes a network of bytes [n] from ft_network_send, which are not trusted: kinds, inputs, shapes
 * and weights are checked (FT_EFORMAT). Its tensors point into `bytes`, or into `file` [file_size]
 * if they were sent as offsets; both must outlive the network, whose storage is empty. On failure
 * *out is untouched. */
int ft_network_receive(const uint8_t *bytes, size_t n, const uint8_t *file, size_t file_size,
                       struct ft_network **out, struct ft_error *err);

#endif
