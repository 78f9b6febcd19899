/* Hashes by libcrypto: see hash.h. */
#include "base/hash.h"

#include <openssl/md5.h>
#include <openssl/sha.h>
#include <stdio.h>

#include "base/fs.h"
#include "base/util.h"

/* As in digest.c.  They are also all of libcrypto that a static library brings along: EVP would bring the whole. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

enum { CHUNK_BYTES = 1 << 17 };

union hash_context {
	MD5_CTX md5;
	SHA256_CTX sha256;
	SHA512_CTX sha512; /* of SHA-384, too */
};

struct hash_kind {
	const char *name;
	size_t bytes;
	void (*init)(union hash_context *context);
	void (*add)(union hash_context *context, const void *data, size_t size_bytes);
	void (*end)(union hash_context *context, unsigned char *hash);
};

/* The init, add and end of one, by the names libcrypto has for them. */
#define HASH_FUNCTIONS(name, NAME, member)                                                                    \
	static void name##_init(union hash_context *context)                                                  \
	{                                                                                                     \
		NAME##_Init(&context->member);                                                                \
	}                                                                                                     \
	static void name##_add(union hash_context *context, const void *data, size_t size_bytes)              \
	{                                                                                                     \
		NAME##_Update(&context->member, data, size_bytes);                                            \
	}                                                                                                     \
	static void name##_end(union hash_context *context, unsigned char *hash)                              \
	{                                                                                                     \
		NAME##_Final(hash, &context->member);                                                         \
	}

HASH_FUNCTIONS(md5, MD5, md5)
HASH_FUNCTIONS(sha256, SHA256, sha256)
HASH_FUNCTIONS(sha384, SHA384, sha512)
HASH_FUNCTIONS(sha512, SHA512, sha512)

static const struct hash_kind kinds[] = {
	{ "md5", MD5_DIGEST_LENGTH, md5_init, md5_add, md5_end },
	{ "sha256", SHA256_DIGEST_LENGTH, sha256_init, sha256_add, sha256_end },
	{ "sha384", SHA384_DIGEST_LENGTH, sha384_init, sha384_add, sha384_end },
	{ "sha512", SHA512_DIGEST_LENGTH, sha512_init, sha512_add, sha512_end },
};

const struct hash_kind *hash_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_eq(kinds[i].name, name))
			return &kinds[i];
	bug("no hash is called %s", name);
}

static void end(const struct hash_kind *kind, union hash_context *context, char hex[HASH_HEX_MAX + 1])
{
	unsigned char hash[HASH_HEX_MAX / 2];

	kind->end(context, hash);
	for (size_t i = 0; i < kind->bytes; i++)
		snprintf(hex + 2 * i, 3, "%02x", hash[i]);
}

void hash_data(const struct hash_kind *kind, char hex[HASH_HEX_MAX + 1], const void *data, size_t size_bytes)
{
	union hash_context context;

	kind->init(&context);
	kind->add(&context, data, size_bytes);
	end(kind, &context, hex);
}

int hash_fd(const struct hash_kind *kind, char hex[HASH_HEX_MAX + 1], int fd)
{
	_cleanup_free_ char *chunk = xmalloc(CHUNK_BYTES);
	union hash_context context;
	ssize_t n;

	kind->init(&context);
	for (off_t at = 0; (n = fs_pread_some(fd, chunk, CHUNK_BYTES, at)) > 0; at += n)
		kind->add(&context, chunk, (size_t)n);
	if (n < 0)
		return (int)n;
	end(kind, &context, hex);
	return 0;
}
