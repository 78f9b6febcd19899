/* base/hash.h: hashes that foreign formats ask for by name.  Our own digests and keys are SHA-256: digest.h.
 *
 * Any process, any thread.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>

enum { HASH_HEX_MAX = 128 };

struct hash_kind;

/* "md5", "sha256", "sha384" or "sha512"; anything else is a fault of ours. */
const struct hash_kind *hash_kind(const char *name);
/* Of size_bytes at data: lowercase hex digits and a NUL. */
void hash_data(const struct hash_kind *kind, char hex[HASH_HEX_MAX + 1], const void *data, size_t size_bytes);
/* Of a whole file, wherever its position is.  0 or -errno. */
int hash_fd(const struct hash_kind *kind, char hex[HASH_HEX_MAX + 1], int fd);

#endif
