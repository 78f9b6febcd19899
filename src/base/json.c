/* JSON text as BuildStream hashes it: see json.h. */
#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One code point from at (n bytes left); *used gets its length; U+FFFD and 1 byte where the bytes are not UTF-8. */
static uint32_t code_point(const unsigned char *at, size_t n, size_t *used)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char c = at[0];
	size_t len = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
	uint32_t cp;

	*used = 1;
	if (len == 1)
		return c;
	if (len == 0 || len > n)
		return 0xfffd;
	cp = c & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0xfffd;
		cp = cp << 6 | (at[i] & 0x3fu);
	}
	if (cp < least[len] || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		return 0xfffd;
	*used = len;
	return cp;
}

static char *unicode_unit(char *to, uint32_t unit)
{
	static const char digits[] = "0123456789abcdef";

	*to++ = 'u';
	for (int shift = 12; shift >= 0; shift -= 4)
		*to++ = digits[unit >> shift & 15];
	return to;
}

/* Behind a backslash; at most 11 bytes, for a code point of four. */
static char *escape_unicode(char *to, uint32_t cp)
{
	if (cp <= 0xffff)
		return unicode_unit(to, cp);
	cp -= 0x10000;
	to = unicode_unit(to, 0xd800 + (cp >> 10));
	*to++ = '\\';
	return unicode_unit(to, 0xdc00 + (cp & 0x3ff));
}

static char short_escape(unsigned char c)
{
	switch (c) {
	case '"':
	case '\\':
		return (char)c;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	default:
		return 0;
	}
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Whether all of eight bytes are plain; false also for some that are. */
static bool are_plain(const unsigned char *at)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	uint64_t word, quote, slash;

	memcpy(&word, at, sizeof(word));
	quote = word ^ ones * '"';
	slash = word ^ ones * '\\';
	return !((word | (word - ones * 0x20) | (quote - ones) | (slash - ones)) & tops);
}

/* What does not stand for itself: an escape of *used bytes of text. */
static char *escape(char *to, const unsigned char *at, size_t left, size_t *used)
{
	char c = short_escape(*at);

	*used = 1;
	*to++ = '\\';
	if (c) {
		*to++ = c;
		return to;
	}
	return escape_unicode(to, code_point(at, left, used));
}

void json_string(struct buf *out, const char *text, size_t len_bytes)
{
	enum { PIECE_BYTES = 4096, MOST_PER_BYTE = 6 };
	const unsigned char *at = (const unsigned char *)text, *end = at + len_bytes;

	buf_addc(out, '"');
	while (at < end) {
		const unsigned char *stop = (size_t)(end - at) > PIECE_BYTES ? at + PIECE_BYTES : end;
		char *start = buf_room(out, (size_t)(stop - at) * MOST_PER_BYTE + 2 * MOST_PER_BYTE), *to = start;

		while (at < stop) {
			size_t used;

			if (stop - at >= 8 && are_plain(at)) {
				memcpy(to, at, 8);
				to += 8, at += 8;
			} else if (is_plain(*at)) {
				*to++ = (char)*at++;
			} else {
				/* what is cut between two pieces may look beyond the first */
				to = escape(to, at, (size_t)(end - at), &used);
				at += used;
			}
		}
		out->len += (size_t)(to - start);
	}
	buf_addc(out, '"');
}

void json_str(struct buf *out, const char *text)
{
	if (text)
		json_string(out, text, strlen(text));
	else
		buf_adds(out, "null");
}

void json_int(struct buf *out, int64_t value)
{
	buf_printf(out, "%" PRId64, value);
}

void json_bool(struct buf *out, bool value)
{
	buf_adds(out, value ? "true" : "false");
}

void json_comma(struct buf *out)
{
	char last = out->len ? out->data[out->len - 1] : '[';

	if (last != '[' && last != '{' && last != ':')
		buf_addc(out, ',');
}

void json_member(struct buf *out, const char *name)
{
	json_comma(out);
	json_str(out, name);
	buf_addc(out, ':');
}
