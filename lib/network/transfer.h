/* A network as bytes, from the isolated process that reads a file to the one that uses it.
 * Tensors that lie in the file as they are used are not copied: their offset is passed on.
 */
#ifndef FT_NETWORK_TRANSFER_H
#define FT_NETWORK_TRANSFER_H

#include "base/isolate.h"
#include "network/network.h"

/* Appends the network. A tensor inside storage.file is passed on as its offset there. */
void ft_network_send(const struct ft_network *network, struct ft_outbox *outbox);

/* Makes a network of bytes [n] from ft_network_send, which are not believed: kinds, inputs, shapes
 * and weights are checked (FT_EFORMAT). Its tensors point into `bytes`, or into `file` [file_size]
 * for those that were passed on as offsets; both must outlive the network, whose storage is empty.
 * On failure *out is untouched. */
int ft_network_receive(const uint8_t *bytes, size_t n, const uint8_t *file, size_t file_size,
                       struct ft_network **out, struct ft_error *err);

#endif
