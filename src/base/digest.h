/* base/digest.h: SHA-256 and REAPI digests.
 *
 * struct digest is a REAPI Digest (build/bazel/remote/execution/v2): SHA-256 of a blob and its size.  A cache key is
 * only a hash: struct key.  Any process, any thread.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <string.h>

#include "base/util.h"

enum { DIGEST_BYTES = 32, DIGEST_HEX = 64 };

struct digest {
	uint8_t hash[DIGEST_BYTES];
	int64_t size_bytes;
};

/* A cache key; all zero means "not known (yet)". */
struct key {
	uint8_t hash[DIGEST_BYTES];
};

static inline bool digest_eq(const struct digest *a, const struct digest *b)
{
	return a->size_bytes == b->size_bytes && memcmp(a->hash, b->hash, DIGEST_BYTES) == 0;
}
bool key_known(const struct key *key);
static inline bool key_eq(const struct key *a, const struct key *b)
{
	return memcmp(a->hash, b->hash, DIGEST_BYTES) == 0;
}

/* SHA-256 of size_bytes at data. */
void digest_sha256(uint8_t hash[DIGEST_BYTES], const void *data, size_t size_bytes);
/* The digest (hash and size) of a blob in memory. */
void digest_of(struct digest *ret, const void *data, size_t size_bytes);

/* Incremental hashing.  digest_stream_end frees the stream; so does _free (NULL accepted). */
struct digest_stream;
struct digest_stream *digest_stream_new(void);
void digest_stream_add(struct digest_stream *stream, const void *data, size_t size_bytes);
void digest_stream_end(struct digest_stream *stream, struct digest *ret);
void digest_stream_free(struct digest_stream *stream);

/* Hashes from fd's current position to its end.  Returns 0 or -errno. */
int digest_fd(struct digest *ret, int fd);

/* 64 lowercase hex digits and a NUL. */
void digest_to_hex(char hex[DIGEST_HEX + 1], const uint8_t hash[DIGEST_BYTES]);
/* Exactly 64 hex digits (either case) of text; the rest is not looked at. Returns false if they are not there. */
bool digest_from_hex(uint8_t hash[DIGEST_BYTES], const char *text);

/* Digest of zero bytes; also that of an empty REAPI Directory. */
extern const struct digest DIGEST_EMPTY;

#endif
