/* SHA-256 by libcrypto (which uses the processor's SHA extensions): see digest.h. */
#include "base/digest.h"

#include <endian.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "base/fs.h"

const struct digest DIGEST_EMPTY = {
	.hash = { 0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
		  0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55 },
	.size_bytes = 0,
};

/* The low-level SHA256_* calls are deprecated in OpenSSL 3 in favour of EVP, but EVP costs a microsecond of look-ups
 * and an allocation for each of the many small blobs that keys and directories are made of. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

struct digest_stream {
	SHA256_CTX ctx;
	int64_t size_bytes;
};

bool key_known(const struct key *key)
{
	static const struct key none;

	return !key_eq(key, &none);
}

void digest_sha256(uint8_t hash[DIGEST_BYTES], const void *data, size_t size_bytes)
{
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, data, size_bytes);
	SHA256_Final(hash, &ctx);
}

void digest_of(struct digest *ret, const void *data, size_t size_bytes)
{
	digest_sha256(ret->hash, data, size_bytes);
	ret->size_bytes = (int64_t)size_bytes;
}

struct digest_stream *digest_stream_new(void)
{
	struct digest_stream *stream = xcalloc(1, sizeof(*stream));

	SHA256_Init(&stream->ctx);
	return stream;
}

void digest_stream_add(struct digest_stream *stream, const void *data, size_t size_bytes)
{
	SHA256_Update(&stream->ctx, data, size_bytes);
	stream->size_bytes += (int64_t)size_bytes;
}

void digest_stream_end(struct digest_stream *stream, struct digest *ret)
{
	SHA256_Final(ret->hash, &stream->ctx);
	ret->size_bytes = stream->size_bytes;
	digest_stream_free(stream);
}

void digest_stream_free(struct digest_stream *stream)
{
	free(stream);
}

int digest_fd(struct digest *ret, int fd)
{
	enum { CHUNK_BYTES = 256 << 10 };
	_cleanup_free_ char *chunk = xmalloc(CHUNK_BYTES);
	SHA256_CTX ctx;
	int64_t total = 0;

	SHA256_Init(&ctx);
	for (;;) {
		ssize_t n = fs_read_some(fd, chunk, CHUNK_BYTES);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		SHA256_Update(&ctx, chunk, (size_t)n);
		total += n;
	}
	SHA256_Final(ret->hash, &ctx);
	ret->size_bytes = total;
	return 0;
}

/* Eight hex digits of four bytes, all at once: nibbles into bytes, then '0' + nibble, + 39 from 'a' on. */
static uint64_t hex_of_four(const uint8_t *bytes)
{
	uint32_t word;
	uint64_t x, carry;

	memcpy(&word, bytes, sizeof(word));
	x = le32toh(word);
	x = (x | x << 16) & 0x0000ffff0000ffffu;
	x = (x | x << 8) & 0x00ff00ff00ff00ffu;
	x = (x >> 4 & 0x000f000f000f000fu) | (x & 0x000f000f000f000fu) << 8;
	carry = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
	return htole64(x + 0x3030303030303030u + carry * 39);
}

void digest_to_hex(char hex[DIGEST_HEX + 1], const uint8_t hash[DIGEST_BYTES])
{
	for (int i = 0; i < DIGEST_BYTES; i += 4) {
		uint64_t digits = hex_of_four(hash + i);

		memcpy(hex + 2 * i, &digits, sizeof(digits));
	}
	hex[DIGEST_HEX] = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool digest_from_hex(uint8_t hash[DIGEST_BYTES], const char *text)
{
	uint8_t out[DIGEST_BYTES];

	for (int i = 0; i < DIGEST_BYTES; i++) {
		int high = nibble(text[2 * i]), low = high < 0 ? -1 : nibble(text[2 * i + 1]);

		if (low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(hash, out, sizeof(out));
	return true;
}
