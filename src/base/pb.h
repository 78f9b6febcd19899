/* base/pb.h: the protobuf wire format, just what small hand-written codecs need.
 *
 * Reading never leaves [at, end) and never allocates; a broken field sets `bad` and ends the loop:
 *
 *     struct pb_reader in = pb_reader(bytes, len);
 *     struct pb_field field;
 *     while (pb_next(&in, &field))
 *             switch (field.number) { ... }
 *     if (in.bad) return -EBADMSG;
 *
 * Writing appends to a buf; fields with default values are left out by the _opt forms, as proto3 does.
 * Format: https://protobuf.dev/programming-guides/encoding/ .  Pure; any process.
 */
#ifndef BASE_PB_H
#define BASE_PB_H

#include <string.h>

#include "base/buf.h"

enum pb_type { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb_reader {
	const uint8_t *at, *end;
	bool bad;
};

struct pb_field {
	uint32_t number;
	uint8_t type;        /* enum pb_type */
	uint64_t value;      /* PB_VARINT, PB_FIXED64, PB_FIXED32 */
	const uint8_t *data; /* PB_BYTES */
	size_t len;
};

static inline struct pb_reader pb_reader(const void *bytes, size_t len)
{
	/* an empty message may come with a NULL pointer */
	const uint8_t *at = bytes ? bytes : (const uint8_t *)"";

	return (struct pb_reader){ .at = at, .end = at + len };
}

static inline uint64_t pb_varint(struct pb_reader *in)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
		uint8_t byte = *in->at++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	in->bad = true;
	return 0;
}

static inline uint64_t pb_fixed(struct pb_reader *in, unsigned bytes)
{
	uint64_t value = 0;

	if ((size_t)(in->end - in->at) < bytes) {
		in->bad = true;
		return 0;
	}
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)in->at[i] << 8 * i;
	in->at += bytes;
	return value;
}

/* The next field; false at the end or when the bytes are broken (bad tells which). */
static inline bool pb_next(struct pb_reader *in, struct pb_field *field)
{
	uint64_t tag, len;

	if (in->bad || in->at >= in->end)
		return false;
	tag = pb_varint(in);
	*field = (struct pb_field){ .number = (uint32_t)(tag >> 3), .type = tag & 7 };
	if (tag >> 32 || !field->number)
		in->bad = true;
	if (in->bad)
		return false;
	switch (field->type) {
	case PB_VARINT:
		field->value = pb_varint(in);
		break;
	case PB_FIXED64:
		field->value = pb_fixed(in, 8);
		break;
	case PB_FIXED32:
		field->value = pb_fixed(in, 4);
		break;
	case PB_BYTES:
		len = pb_varint(in);
		if (in->bad || len > (uint64_t)(in->end - in->at)) {
			in->bad = true;
			break;
		}
		field->data = in->at;
		field->len = (size_t)len;
		in->at += len;
		break;
	default: /* groups are no part of proto3 */
		in->bad = true;
	}
	return !in->bad;
}

static inline struct pb_reader pb_sub(const struct pb_field *field)
{
	return pb_reader(field->data, field->len);
}

static inline void pb_put_varint(struct buf *out, uint64_t value)
{
	uint8_t bytes[10];
	unsigned count = 0;

	do {
		bytes[count] = (uint8_t)(value & 0x7f) | (value > 0x7f ? 0x80 : 0);
		value >>= 7;
		count++;
	} while (value);
	buf_add(out, bytes, count);
}

static inline void pb_put_tag(struct buf *out, uint32_t number, enum pb_type type)
{
	pb_put_varint(out, (uint64_t)number << 3 | type);
}

static inline void pb_put_bytes(struct buf *out, uint32_t number, const void *data, size_t len)
{
	pb_put_tag(out, number, PB_BYTES);
	pb_put_varint(out, len);
	buf_add(out, data, len);
}

static inline void pb_opt_bytes(struct buf *out, uint32_t number, const void *data, size_t len)
{
	if (len)
		pb_put_bytes(out, number, data, len);
}

/* NULL counts as "". */
static inline void pb_opt_string(struct buf *out, uint32_t number, const char *text)
{
	if (text && *text)
		pb_put_bytes(out, number, text, strlen(text));
}

/* Negative numbers take ten bytes, as int32 and int64 fields do. */
static inline void pb_opt_int(struct buf *out, uint32_t number, int64_t value)
{
	if (value) {
		pb_put_tag(out, number, PB_VARINT);
		pb_put_varint(out, (uint64_t)value);
	}
}

/* Length in bytes of value as a varint. */
static inline size_t pb_varint_len(uint64_t value)
{
	size_t len = 1;

	while (value >>= 7)
		len++;
	return len;
}

#endif
