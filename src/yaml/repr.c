/* Text as Python's repr() shows it: error messages of the peer quote paths and events that way. */
#include "yaml/yaml_internal.h"

/* The code point at text and its width; width 1 and the byte itself where UTF-8 is broken. */
static uint32_t decode(const unsigned char *s, size_t len, size_t *width)
{
	uint32_t c = s[0];
	size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

	*width = 1;
	if (n == 1 || n > len)
		return c;
	c &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++)
		c = c << 6 | (s[i] & 0x3f);
	*width = n;
	return c;
}

/* str.isprintable for what is met in practice: blanks, controls and format characters are escaped. */
static bool printable(uint32_t c)
{
	if (c < 0x20 || c == 0x7f || (c >= 0x80 && c <= 0xa0) || c == 0xad)
		return false;
	return !(c == 0x1680 || (c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) ||
		 (c >= 0x205f && c <= 0x206f) || c == 0x3000 || c == 0xfeff || (c >= 0xd800 && c <= 0xf8ff) ||
		 (c & 0xfffe) == 0xfffe);
}

static void escape(struct buf *out, uint32_t c)
{
	if (c == '\n' || c == '\r' || c == '\t')
		buf_printf(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
	else if (c < 0x100)
		buf_printf(out, "\\x%02x", c);
	else
		buf_printf(out, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
}

void yaml_py_repr(struct buf *out, const char *text, size_t len)
{
	char quote = memchr(text, '\'', len) && !memchr(text, '"', len) ? '"' : '\'';

	buf_addc(out, quote);
	for (size_t i = 0, width; i < len; i += width) {
		uint32_t c = decode((const unsigned char *)text + i, len - i, &width);
		if (c == (uint32_t)quote || c == '\\') {
			buf_addc(out, '\\');
			buf_addc(out, (char)c);
		} else if (printable(c)) {
			buf_add(out, text + i, width);
		} else {
			escape(out, c);
		}
	}
	buf_addc(out, quote);
}
