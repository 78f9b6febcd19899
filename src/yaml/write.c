/* Trees as block-style YAML: see yaml_write.
 *
 * Plain scalars are a cautious choice among those that every YAML reader takes as they stand; all else is double-quoted.
 * Keys longer than libyaml's 1,024 characters for a one-line key take the "? key" form.
 */
#include "yaml/yaml_internal.h"

#include <assert.h>

enum { SIMPLE_KEY_BYTES = 900 };

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Safe as a plain scalar anywhere in block style? */
static bool is_plain(const char *text, size_t len)
{
	if (len == 0 || len > SIMPLE_KEY_BYTES || !(is_alnum(text[0]) || text[0] == '/' || text[0] == '_'))
		return false;
	for (size_t i = 0; i < len; i++) {
		char next = i + 1 < len ? text[i + 1] : ' ';

		if (is_alnum(text[i]) || strchr("_./+=@%-$(){}<>,;^~*!&|?", text[i]))
			continue;
		if (text[i] == ':' && next != ' ')
			continue;
		if (text[i] == ' ' && next != ' ' && next != '#' && i + 1 < len)
			continue;
		return false;
	}
	return true;
}

/* Width of the well-formed UTF-8 character at s, its code point in *c; 0 if it is broken. */
static size_t utf8_width(const unsigned char *s, size_t len, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t width = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

	if (width == 0 || width > len)
		return 0;
	*c = width == 1 ? s[0] : s[0] & (0x7fu >> width);
	for (size_t i = 1; i < width; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (s[i] & 0x3f);
	}
	return *c < least[width] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000) ? 0 : width;
}

static void quoted_char(struct buf *out, const char *at, size_t width, uint32_t c)
{
	bool raw = (c >= 0x20 && c < 0x7f) || (c > 0xa0 && c < 0x2000) || (c >= 0x2070 && c < 0xfe00) || c >= 0x10000;

	if (c == '"' || c == '\\')
		buf_printf(out, "\\%c", (char)c);
	else if (c == '\n' || c == '\t' || c == '\r')
		buf_adds(out, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
	else if (raw)
		buf_add(out, at, width);
	else
		buf_printf(out, c < 0x100 ? "\\x%02x" : "\\u%04x", c);
}

void yaml_write_scalar(struct buf *out, const char *text, size_t len)
{
	if (is_plain(text, len)) {
		buf_add(out, text, len);
		return;
	}
	buf_addc(out, '"');
	for (size_t i = 0, width; i < len; i += width) {
		uint32_t c = 0;

		width = utf8_width((const unsigned char *)text + i, len - i, &c);
		if (!width) {
			c = 0xfffd; /* bytes that are no UTF-8 have no place in YAML */
			width = 1;
		}
		quoted_char(out, c == 0xfffd ? "\xef\xbf\xbd" : text + i, c == 0xfffd ? 3 : width, c);
	}
	buf_addc(out, '"');
}

static void indent_by(struct buf *out, unsigned indent)
{
	memset(buf_room(out, indent), ' ', indent);
	out->len += indent;
	out->data[out->len] = '\0';
}

static void write_node(struct buf *out, const struct yaml_node *node, unsigned indent, bool in_line);

/* What stands behind "key:" or "-"; lists in a map stand at the key's own column, as the peer writes them. */
static void write_value(struct buf *out, const struct yaml_node *value, unsigned indent)
{
	if (value->type == YAML_SCALAR) {
		buf_addc(out, ' ');
		yaml_write_scalar(out, value->text, value->count);
		buf_addc(out, '\n');
	} else if (value->count == 0) {
		buf_adds(out, value->type == YAML_MAP ? " {}\n" : " []\n");
	} else {
		buf_addc(out, '\n');
		write_node(out, value, value->type == YAML_LIST ? indent - 2 : indent, false);
	}
}

static void write_entry(struct buf *out, const struct yaml_entry *entry, unsigned indent)
{
	if (entry->key_len <= SIMPLE_KEY_BYTES) {
		size_t start = out->len;

		yaml_write_scalar(out, entry->key, entry->key_len);
		if (out->len - start <= SIMPLE_KEY_BYTES) {
			buf_addc(out, ':');
			write_value(out, entry->value, indent + 2);
			return;
		}
		out->len = start; /* escapes made it too long */
		out->data[start] = '\0';
	}
	buf_adds(out, "? ");
	yaml_write_scalar(out, entry->key, entry->key_len);
	buf_addc(out, '\n');
	indent_by(out, indent);
	buf_addc(out, ':');
	write_value(out, entry->value, indent + 2);
}

/* A map or list that is not empty; in_line: the first line's indentation is there already ("- key: value"). */
static void write_node(struct buf *out, const struct yaml_node *node, unsigned indent, bool in_line)
{
	for (uint32_t i = 0; i < node->count; i++) {
		if (i > 0 || !in_line)
			indent_by(out, indent);
		if (node->type == YAML_MAP) {
			write_entry(out, &node->entries[i], indent);
		} else if (node->items[i]->type == YAML_SCALAR || node->items[i]->count == 0) {
			buf_addc(out, '-');
			write_value(out, node->items[i], indent);
		} else {
			buf_adds(out, "- ");
			write_node(out, node->items[i], indent + 2, true);
		}
	}
}

void yaml_write(struct buf *out, const struct yaml_node *map)
{
	assert(map->type == YAML_MAP);
	if (map->count == 0)
		buf_adds(out, "{}\n");
	else
		write_node(out, map, 0, false);
}
