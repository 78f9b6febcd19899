/* Trees as block-style YAML: see yaml_write.
 *
 * Scalars are written as the peer's writer (ruamel.yaml, every scalar a string, no limit of width) writes them, so that what it
 * shows and stores is the same text: plain wherever a reader takes it as it stands, then single-quoted, double-quoted where a
 * quote, a line break or a character that cannot be seen is in it.  Keys longer than libyaml's 1,024 characters for a one-line
 * key take the "? key" form.
 */
#include "yaml/yaml_internal.h"

#include <assert.h>

enum { SIMPLE_KEY_BYTES = 900 };

enum style { PLAIN, SINGLE, DOUBLE };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';
}

/* Nothing to a reader but itself, wherever it stands. */
static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '.';
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

/* May it stand as it is, in quotes at least?  Separators of lines and paragraphs, and what is broken, may not. */
static bool is_printable(uint32_t c)
{
	return (c >= 0x20 && c < 0x7f) ||
	       (c >= 0xa0 && c != 0x2028 && c != 0x2029 && c != 0xfeff && c != 0xfffe && c != 0xffff);
}

/* Could a reader take the character at i for syntax?  The ends of the text count as blanks. */
static bool is_indicator(const char *text, size_t len, size_t i)
{
	bool before_blank = i + 1 == len || is_blank(text[i + 1]);

	switch (text[i]) {
	case ':':
		return before_blank;
	case '#':
		return i == 0 || is_blank(text[i - 1]);
	case '?':
	case '-':
		return i == 0 && before_blank;
	default:
		return i == 0 && strchr(",[]{}&*!|>'\"%@`", text[i]);
	}
}

static enum style choose_style(const char *text, size_t len)
{
	bool marks_document = len >= 3 && (memcmp(text, "---", 3) == 0 || memcmp(text, "...", 3) == 0);
	bool plain = !marks_document && !(len && (text[0] == ' ' || text[len - 1] == ' '));
	bool apostrophe = false;

	for (size_t i = 0, width; i < len; i += width) {
		uint32_t c = 0;

		if (is_letter(text[i])) { /* most of all text */
			width = 1;
			continue;
		}
		width = utf8_width((const unsigned char *)text + i, len - i, &c);
		if (!width || !is_printable(c))
			return DOUBLE;
		apostrophe |= c == '\'';
		plain = plain && !is_indicator(text, len, i);
	}
	return plain ? PLAIN : apostrophe ? DOUBLE : SINGLE;
}

void yaml_write_escape(struct buf *out, uint32_t c)
{
	static const struct {
		uint32_t c;
		char letter;
	} letters[] = { { 0, '0' },     { '\a', 'a' }, { '\b', 'b' }, { '\t', 't' },  { '\n', 'n' },    { '\v', 'v' },  { '\f', 'f' },
			{ '\r', 'r' }, { 0x1b, 'e' }, { '"', '"' },  { '\\', '\\' }, { 0x85, 'N' }, { 0x2028, 'L' }, { 0x2029, 'P' } };

	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		if (letters[i].c == c) {
			buf_addc(out, '\\');
			buf_addc(out, letters[i].letter);
			return;
		}
	buf_printf(out, c < 0x100 ? "\\x%02X" : c < 0x10000 ? "\\u%04X" : "\\U%08X", c);
}

static void write_double(struct buf *out, const char *text, size_t len)
{
	buf_addc(out, '"');
	for (size_t i = 0, width; i < len; i += width) {
		uint32_t c = 0;

		width = utf8_width((const unsigned char *)text + i, len - i, &c);
		if (width && is_printable(c) && c != '"' && c != '\\') {
			buf_add(out, text + i, width);
		} else if (width) {
			yaml_write_escape(out, c);
		} else { /* bytes that are no UTF-8 have no place in YAML */
			buf_adds(out, "\xef\xbf\xbd");
			width = 1;
		}
	}
	buf_addc(out, '"');
}

static void write_styled(struct buf *out, const char *text, size_t len, enum style style)
{
	if (style == DOUBLE) {
		write_double(out, text, len);
		return;
	}
	if (style == SINGLE)
		buf_addc(out, '\'');
	buf_add(out, text, len);
	if (style == SINGLE)
		buf_addc(out, '\'');
}

void yaml_write_scalar(struct buf *out, const char *text, size_t len)
{
	write_styled(out, text, len, choose_style(text, len));
}

static void write_key(struct buf *out, const char *text, size_t len)
{
	write_styled(out, text, len, len ? choose_style(text, len) : SINGLE);
}

void yaml_write_pair(struct buf *out, const char *key, const char *value)
{
	write_key(out, key, strlen(key));
	buf_adds(out, *value ? ": " : ":");
	yaml_write_scalar(out, value, strlen(value));
	buf_addc(out, '\n');
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
		if (value->count)
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

		write_key(out, entry->key, entry->key_len);
		if (out->len - start <= SIMPLE_KEY_BYTES) {
			buf_addc(out, ':');
			write_value(out, entry->value, indent + 2);
			return;
		}
		out->len = start; /* escapes made it too long */
		out->data[start] = '\0';
	}
	buf_adds(out, "? ");
	write_key(out, entry->key, entry->key_len);
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
