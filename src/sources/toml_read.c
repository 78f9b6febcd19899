/* Reading TOML: see toml.h.  The rules are those of toml.io 1.0 as Python's tomllib has them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sources/toml_internal.h"

enum { TEXT_MAX = 4 << 20, KEYS_MAX = 20000, DEPTH_MAX = 64 };

/* A name with dots: its parts. */
struct name {
	struct toml_text parts[DEPTH_MAX];
	unsigned count;
};

int toml_fail(struct toml_reader *reader, const char *fmt, ...)
{
	unsigned line = 1;
	va_list ap;

	for (const char *at = reader->text; at < reader->at; at++)
		line += *at == '\n';
	va_start(ap, fmt);
	buf_vprintf(reader->why, fmt, ap);
	va_end(ap);
	buf_printf(reader->why, " (at line %u)", line);
	return -EBADMSG;
}

static void skip_blanks(struct toml_reader *reader)
{
	while (toml_peek(reader) == ' ' || toml_peek(reader) == '\t')
		reader->at++;
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static int skip_comment(struct toml_reader *reader)
{
	if (toml_peek(reader) != '#')
		return 0;
	for (reader->at++; reader->at < reader->end && *reader->at != '\n'; reader->at++)
		if (is_control(*reader->at) && *reader->at != '\t')
			return toml_fail(reader, "Found invalid character in a comment");
	return 0;
}

static int skip_lines(struct toml_reader *reader)
{
	int r = 0;

	for (const char *before = NULL; r == 0 && before != reader->at;) {
		before = reader->at;
		while (toml_peek(reader) == ' ' || toml_peek(reader) == '\t' || toml_peek(reader) == '\n')
			reader->at++;
		r = skip_comment(reader);
	}
	return r;
}

/* ---- strings ---- */

static void add_character(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_addc(out, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_addc(out, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buf_addc(out, (char)(0xe0 | c >> 12));
		} else {
			buf_addc(out, (char)(0xf0 | c >> 18));
			buf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_addc(out, (char)(0x80 | (c & 0x3f)));
}

static int hex_escape(struct toml_reader *reader, unsigned digits, struct buf *out)
{
	uint32_t c = 0;

	for (unsigned i = 0; i < digits; i++, reader->at++) {
		char d = toml_peek(reader), lower = (char)(d | 32);

		if (!(d >= '0' && d <= '9') && !(lower >= 'a' && lower <= 'f'))
			return toml_fail(reader, "Invalid hex value");
		c = c << 4 | (uint32_t)(d <= '9' ? d - '0' : lower - 'a' + 10);
	}
	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return toml_fail(reader, "Escaped character is not a Unicode scalar value");
	add_character(out, c);
	return 0;
}

/* A backslash at the end of a line takes the line's end and all blanks that follow. */
static bool is_line_end(const struct toml_reader *reader)
{
	const char *at = reader->at;

	while (at < reader->end && (*at == ' ' || *at == '\t'))
		at++;
	return at > reader->at ? at == reader->end || *at == '\n' : toml_peek(reader) == '\n';
}

/* What stands behind a backslash. */
static int escape(struct toml_reader *reader, bool lines, struct buf *out)
{
	static const char names[] = "btnfr\"\\", values[] = "\b\t\n\f\r\"\\";
	char c = toml_peek(reader);
	const char *found = c ? strchr(names, c) : NULL;

	if (lines && is_line_end(reader)) {
		while (toml_peek(reader) == ' ' || toml_peek(reader) == '\t' || toml_peek(reader) == '\n')
			reader->at++;
		return 0;
	}
	if (toml_take(reader, "u"))
		return hex_escape(reader, 4, out);
	if (toml_take(reader, "U"))
		return hex_escape(reader, 8, out);
	if (!found)
		return toml_fail(reader, "Unescaped '\\' in a string");
	buf_addc(out, values[found - names]);
	reader->at++;
	return 0;
}

/* Up to and with the mark that ends it; of one that is three quotes up to two more belong to the text. */
static int string_body(struct toml_reader *reader, const char *mark, struct buf *out)
{
	bool lines = strlen(mark) == 3, basic = *mark == '"';
	int r = 0;

	while (r == 0 && !toml_starts(reader, mark)) {
		char c = toml_peek(reader);

		if (reader->at == reader->end)
			return toml_fail(reader, "Unterminated string");
		if (basic && c == '\\') {
			reader->at++;
			r = escape(reader, lines, out);
			continue;
		}
		if (is_control(c) && c != '\t' && !(lines && c == '\n'))
			return toml_fail(reader, "Illegal character in a string");
		buf_addc(out, c);
		reader->at++;
	}
	if (r < 0)
		return r;
	reader->at += strlen(mark);
	for (unsigned more = 0; lines && more < 2 && toml_peek(reader) == *mark; more++, reader->at++)
		buf_addc(out, *mark);
	return 0;
}

static int read_string(struct toml_reader *reader, bool may_have_lines, struct toml_text *ret)
{
	static const char *const marks[] = { "\"\"\"", "'''", "\"", "'" };
	_cleanup_buf_ struct buf text = BUF_INIT;
	unsigned i = may_have_lines ? 0 : 2;
	int r;

	while (!toml_take(reader, marks[i]))
		i++; /* it begins with one of them */
	if (i < 2)
		(void)toml_take(reader, "\n");
	r = string_body(reader, marks[i], &text);
	*ret = (struct toml_text){ arena_memdup(reader->arena, buf_text(&text), text.len + 1), text.len };
	return r;
}

/* ---- names ---- */

static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static int read_part(struct toml_reader *reader, struct toml_text *ret)
{
	const char *start = reader->at;

	if (toml_peek(reader) == '"' || toml_peek(reader) == '\'')
		return read_string(reader, false, ret);
	while (is_bare(toml_peek(reader)))
		reader->at++;
	if (start == reader->at)
		return toml_fail(reader, "Invalid initial character for a key part");
	ret->len = (size_t)(reader->at - start);
	ret->at = arena_strndup(reader->arena, start, ret->len);
	return 0;
}

static int read_name(struct toml_reader *reader, struct name *ret)
{
	int r;

	ret->count = 0;
	do {
		skip_blanks(reader);
		if (ret->count == DEPTH_MAX || reader->keys++ == KEYS_MAX)
			return toml_fail(reader, "Too many names");
		r = read_part(reader, &ret->parts[ret->count++]);
		if (r < 0)
			return r;
		skip_blanks(reader);
	} while (toml_take(reader, "."));
	return 0;
}

/* Can its content be said anew by a header, or by names of another section? */
static bool is_closed(const struct toml_reader *reader, const struct toml *table)
{
	return table->frozen || table->is_declared || (table->section && table->section != reader->section);
}

/* The table at key in table, made if there is none; of a list of tables the last one.  NULL if something else stands there. */
static struct toml *enter(struct toml_reader *reader, struct toml *table, const struct toml_text *key)
{
	struct toml *next = toml_get_text(table, key);

	if (!next) {
		next = toml_new(reader->arena, TOML_TABLE);
		toml_put(reader->arena, table, *key, next);
	}
	if (next->frozen)
		return NULL;
	if (next->type == TOML_ARRAY)
		next = next->items[next->count - 1];
	return next->type == TOML_TABLE ? next : NULL;
}

/* ---- values ---- */

static int read_value(struct toml_reader *reader, struct toml **ret);

static int read_array(struct toml_reader *reader, struct toml **ret)
{
	struct toml *item = NULL;
	int r = skip_lines(reader);

	*ret = toml_new(reader->arena, TOML_ARRAY);
	while (r == 0 && !toml_take(reader, "]")) {
		r = read_value(reader, &item);
		if (r < 0)
			return r;
		toml_append(reader->arena, *ret, item);
		r = skip_lines(reader);
		if (r == 0 && toml_take(reader, ","))
			r = skip_lines(reader);
		else if (r == 0 && toml_peek(reader) != ']')
			return toml_fail(reader, "Unclosed array");
	}
	return r;
}

static int read_pair(struct toml_reader *reader, struct name *name, struct toml **value)
{
	int r = read_name(reader, name);

	if (r < 0)
		return r;
	if (!toml_take(reader, "="))
		return toml_fail(reader, "Expected '=' after a key in a key/value pair");
	skip_blanks(reader);
	return read_value(reader, value);
}

/* Puts the value at a name of dots below table.  dotted: the tables on the way can be added to in this section only. */
static int put_pair(struct toml_reader *reader, struct toml *table, const struct name *name, struct toml *value, bool dotted)
{
	for (unsigned i = 0; i + 1 < name->count; i++) {
		struct toml *there = toml_get_text(table, &name->parts[i]);

		if (there && dotted && is_closed(reader, there))
			return toml_fail(reader, "Cannot redefine namespace '%s'", name->parts[i].at);
		table = there && there->type != TOML_TABLE ? NULL : enter(reader, table, &name->parts[i]);
		if (!table)
			return toml_fail(reader, "Cannot overwrite a value");
		if (dotted)
			table->section = reader->section;
	}
	if (toml_get_text(table, &name->parts[name->count - 1]))
		return toml_fail(reader, "Cannot overwrite a value");
	toml_put(reader->arena, table, name->parts[name->count - 1], value);
	return 0;
}

static int read_inline_table(struct toml_reader *reader, struct toml **ret)
{
	struct toml *value = NULL;
	struct name *name;
	int r;

	*ret = toml_new(reader->arena, TOML_TABLE);
	skip_blanks(reader);
	if (toml_take(reader, "}"))
		return 0;
	name = ARENA_NEW(reader->arena, struct name);
	do {
		skip_blanks(reader);
		r = read_pair(reader, name, &value);
		if (r == 0)
			r = put_pair(reader, *ret, name, value, false);
		if (r < 0)
			return r;
		skip_blanks(reader);
	} while (toml_take(reader, ","));
	return toml_take(reader, "}") ? 0 : toml_fail(reader, "Unclosed inline table");
}

static int read_value(struct toml_reader *reader, struct toml **ret)
{
	int r;

	if (reader->depth == DEPTH_MAX)
		return toml_fail(reader, "Values are nested too deep");
	reader->depth++;
	if (toml_peek(reader) == '"' || toml_peek(reader) == '\'') {
		*ret = toml_new(reader->arena, TOML_STRING);
		r = read_string(reader, true, &(*ret)->text);
	} else if (toml_take(reader, "[")) {
		r = read_array(reader, ret);
	} else if (toml_take(reader, "{")) {
		r = read_inline_table(reader, ret);
	} else {
		r = toml_read_scalar(reader, ret);
	}
	if (r == 0 && (*ret)->type >= TOML_ARRAY)
		(*ret)->frozen = true;
	reader->depth--;
	return r;
}

/* ---- the file ---- */

/* [name] and [[name]]: where the pairs that follow go. */
static int read_header(struct toml_reader *reader, struct toml *root, struct name *name, struct toml **ret)
{
	bool list = toml_take(reader, "[[");
	struct toml *table = root, *there;
	const struct toml_text *last;
	int r;

	if (!list)
		reader->at++;
	reader->section++;
	r = read_name(reader, name);
	if (r < 0)
		return r;
	if (!toml_take(reader, list ? "]]" : "]"))
		return toml_fail(reader, "Expected '%s' at the end of a declaration", list ? "]]" : "]");
	for (unsigned i = 0; table && i + 1 < name->count; i++)
		table = enter(reader, table, &name->parts[i]);
	if (!table)
		return toml_fail(reader, "Cannot overwrite a value");
	last = &name->parts[name->count - 1];
	there = toml_get_text(table, last);
	if (list) {
		if (there && (there->type != TOML_ARRAY || there->frozen))
			return toml_fail(reader, "Cannot overwrite a value");
		if (!there) {
			there = toml_new(reader->arena, TOML_ARRAY);
			toml_put(reader->arena, table, *last, there);
		}
		*ret = toml_new(reader->arena, TOML_TABLE);
		toml_append(reader->arena, there, *ret);
		return 0;
	}
	if (there && (there->type != TOML_TABLE || is_closed(reader, there)))
		return toml_fail(reader, "Cannot declare '%s' twice", last->at);
	*ret = enter(reader, table, last);
	if (*ret)
		(*ret)->is_declared = true;
	return *ret ? 0 : toml_fail(reader, "Cannot overwrite a value");
}

static int read_statement(struct toml_reader *reader, struct toml *root, struct name *name, struct toml **section)
{
	struct toml *value = NULL;
	int r = 0;

	skip_blanks(reader);
	if (toml_peek(reader) == '[') {
		r = read_header(reader, root, name, section);
	} else if (toml_peek(reader) && toml_peek(reader) != '#' && toml_peek(reader) != '\n') {
		r = read_pair(reader, name, &value);
		if (r == 0)
			r = put_pair(reader, *section, name, value, true);
	}
	if (r == 0) {
		skip_blanks(reader);
		r = skip_comment(reader);
	}
	if (r == 0 && reader->at < reader->end && !toml_take(reader, "\n"))
		r = toml_fail(reader, "Expected newline or end of document after a statement");
	return r;
}

/* One character of UTF-8: its bytes, 0 if it is none. */
static size_t utf8_len(const unsigned char *at, size_t len)
{
	size_t more = *at < 0x80 ? 0 : *at >= 0xc2 && *at < 0xe0 ? 1 : (*at & 0xf0) == 0xe0 ? 2 : *at >= 0xf0 && *at < 0xf5 ? 3 : len;

	if (more >= len)
		return 0;
	for (size_t i = 1; i <= more; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((*at == 0xe0 && at[1] < 0xa0) || (*at == 0xed && at[1] >= 0xa0) || (*at == 0xf0 && at[1] < 0x90) ||
	    (*at == 0xf4 && at[1] >= 0x90))
		return 0;
	return more + 1;
}

/* A copy whose lines end with "\n" alone; NULL if it is not UTF-8. */
static char *clean_copy(struct arena *arena, const char *text, size_t len, size_t *ret_len)
{
	char *copy = arena_bytes(arena, len + 1);
	size_t out = 0;

	for (size_t at = 0; at < len;) {
		size_t width = utf8_len((const unsigned char *)text + at, len - at);

		if (!width)
			return NULL;
		if (text[at] != '\r' || at + 1 == len || text[at + 1] != '\n') {
			memcpy(copy + out, text + at, width);
			out += width;
		}
		at += width;
	}
	copy[out] = '\0';
	*ret_len = out;
	return copy;
}

int toml_read(struct arena *arena, const char *text, size_t len, struct toml **ret, struct buf *why)
{
	struct toml_reader reader = { .arena = arena, .why = why };
	struct toml *root = toml_new(arena, TOML_TABLE), *section = root;
	struct name *name = ARENA_NEW(arena, struct name);
	size_t clean_len = 0;
	int r = 0;

	reader.text = len > TEXT_MAX ? NULL : clean_copy(arena, text, len, &clean_len);
	if (!reader.text) {
		buf_adds(why, len > TEXT_MAX ? "It is too long" : "It is not UTF-8");
		return -EBADMSG;
	}
	reader.at = reader.text;
	reader.end = reader.text + clean_len;
	reader.section = 1;
	while (r == 0 && reader.at < reader.end)
		r = read_statement(&reader, root, name, &section);
	if (r == 0)
		*ret = root;
	return r;
}
