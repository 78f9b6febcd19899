/* Reading literals: see starlark.h. */
#include <errno.h>
#include <string.h>

#include "sources/starlark.h"

enum { TEXT_MAX = 64 << 20, DEPTH_MAX = 100 };

struct reader {
	struct arena *arena;
	const char *text, *at, *end;
	struct buf *why;
	unsigned depth;
};

static int fail(struct reader *reader, const char *what)
{
	unsigned line = 1;

	for (const char *at = reader->text; at < reader->at && at < reader->end; at++)
		line += *at == '\n';
	buf_printf(reader->why, "%s in line %u", what, line);
	return -EBADMSG;
}

static char peek(const struct reader *reader)
{
	return reader->at < reader->end ? *reader->at : '\0';
}

static bool take(struct reader *reader, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, text, len) != 0)
		return false;
	reader->at += len;
	return true;
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Blanks, comments and lines that are continued; ends of lines too. */
static void skip(struct reader *reader, bool lines)
{
	for (;;) {
		char c = peek(reader);

		if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || (lines && c == '\n'))
			reader->at++;
		else if (c == '#')
			while (reader->at < reader->end && *reader->at != '\n')
				reader->at++;
		else if (!take(reader, "\\\n"))
			return;
	}
}

/* ---- texts ---- */

static void add_character(struct buf *out, uint32_t c)
{
	if (c >= 0x80) {
		if (c >= 0x10000)
			buf_addc(out, (char)(0xf0 | c >> 18));
		if (c >= 0x800)
			buf_addc(out, (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 0x3f) : 0xe0 | c >> 12));
		buf_addc(out, (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6));
		c = 0x80 | (c & 0x3f);
	}
	buf_addc(out, (char)c);
}

/* A number of at most max digits; exactly so many if it is hexadecimal. */
static int numbered(struct reader *reader, unsigned base, unsigned max, struct buf *out)
{
	uint32_t c = 0;
	unsigned i = 0;

	for (; i < max; i++, reader->at++) {
		char d = peek(reader), lower = (char)(d | 32);
		unsigned digit = d >= '0' && d <= '9' ? (unsigned)(d - '0') : lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a') + 10 : 16;

		if (digit >= base)
			break;
		c = c * base + digit;
	}
	if ((base == 16 && i < max) || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return fail(reader, "A character that does not exist");
	add_character(out, c);
	return 0;
}

/* What stands behind a backslash; one that means nothing stands for itself. */
static int escape(struct reader *reader, struct buf *out)
{
	static const char names[] = "\n\\'\"abfnrtv", values[] = "\0\\'\"\a\b\f\n\r\t\v";
	char c = peek(reader);
	const char *found = c ? strchr(names, c) : NULL;

	if (c >= '0' && c <= '7')
		return numbered(reader, 8, 3, out);
	if (take(reader, "x"))
		return numbered(reader, 16, 2, out);
	if (take(reader, "u"))
		return numbered(reader, 16, 4, out);
	if (take(reader, "U"))
		return numbered(reader, 16, 8, out);
	if (!found) {
		buf_addc(out, '\\');
		return 0;
	}
	reader->at++;
	if (c != '\n')
		buf_addc(out, values[found - names]);
	return 0;
}

static int read_text(struct reader *reader, struct toml *ret)
{
	static const char *const marks[] = { "\"\"\"", "'''", "\"", "'" };
	_cleanup_buf_ struct buf text = BUF_INIT;
	bool raw = take(reader, "r");
	unsigned i = 0;
	int r = 0;

	while (!take(reader, marks[i]))
		i++; /* it begins with one of them */
	while (r == 0 && !take(reader, marks[i])) {
		char c = peek(reader);

		if (reader->at == reader->end || (c == '\n' && i > 1))
			return fail(reader, "A text without an end");
		reader->at++;
		if (c == '\\' && !raw) {
			r = escape(reader, &text);
			continue;
		}
		buf_addc(&text, c);
		if (c == '\\' && reader->at < reader->end)
			buf_addc(&text, *reader->at++);
	}
	ret->text = (struct toml_text){ arena_memdup(reader->arena, buf_text(&text), text.len + 1), text.len };
	return r;
}

static bool at_text(const struct reader *reader)
{
	char c = peek(reader), next = reader->at + 1 < reader->end ? reader->at[1] : '\0';

	return c == '"' || c == '\'' || (c == 'r' && (next == '"' || next == '\''));
}

/* ---- values ---- */

static int read_value(struct reader *reader, struct toml **ret);

static int read_list(struct reader *reader, const char *end, struct toml **ret)
{
	struct toml *item = NULL;
	int r = 0;

	*ret = toml_new(reader->arena, TOML_ARRAY);
	for (skip(reader, true); r == 0 && !take(reader, end); skip(reader, true)) {
		r = read_value(reader, &item);
		if (r < 0)
			return r;
		toml_append(reader->arena, *ret, item);
		skip(reader, true);
		if (!take(reader, ",") && peek(reader) != *end)
			return fail(reader, "A list without an end");
	}
	return r;
}

static int read_dictionary(struct reader *reader, struct toml **ret)
{
	struct toml *key = toml_new(reader->arena, TOML_STRING), *value = NULL;
	int r = 0;

	*ret = toml_new(reader->arena, TOML_TABLE);
	for (skip(reader, true); r == 0 && !take(reader, "}"); skip(reader, true)) {
		r = at_text(reader) ? read_text(reader, key) : fail(reader, "A key that is no text");
		if (r < 0)
			return r;
		skip(reader, true);
		if (!take(reader, ":"))
			return fail(reader, "A key without a value");
		skip(reader, true);
		r = read_value(reader, &value);
		if (r < 0)
			return r;
		toml_put(reader->arena, *ret, key->text, value);
		skip(reader, true);
		if (!take(reader, ",") && peek(reader) != '}')
			return fail(reader, "A dictionary without an end");
	}
	return r;
}

/* A number (whatever Python makes of it) or one of three names. */
static int read_word(struct reader *reader, struct toml **ret)
{
	static const char *const names[] = { "True", "False", "None" };
	const char *start = reader->at;
	bool number = (*start >= '0' && *start <= '9') || *start == '-' || *start == '+';
	size_t len;

	reader->at += number;
	while (is_name(peek(reader)) || (number && peek(reader) == '.'))
		reader->at++;
	len = (size_t)(reader->at - start);
	*ret = toml_new_string(reader->arena, arena_strndup(reader->arena, start, len));
	(*ret)->type = TOML_PLAIN;
	for (size_t i = 0; !number && i < ARRAY_SIZE(names); i++)
		if (str_eq((*ret)->text.at, names[i]))
			return 0;
	return number ? 0 : fail(reader, "Something that is no literal");
}

static int read_value(struct reader *reader, struct toml **ret)
{
	int r;

	if (reader->depth == DEPTH_MAX)
		return fail(reader, "Values nested too deep");
	reader->depth++;
	if (at_text(reader)) {
		*ret = toml_new(reader->arena, TOML_STRING);
		r = read_text(reader, *ret);
	} else if (take(reader, "[")) {
		r = read_list(reader, "]", ret);
	} else if (take(reader, "(")) {
		r = read_list(reader, ")", ret);
	} else if (take(reader, "{")) {
		r = read_dictionary(reader, ret);
	} else {
		r = peek(reader) ? read_word(reader, ret) : fail(reader, "A value is missing");
	}
	reader->depth--;
	return r;
}

/* `name = value`, or a text that stands for itself. */
static int read_statement(struct reader *reader, struct toml *names)
{
	const char *start = reader->at;
	struct toml_text name = { NULL, 0 };
	struct toml *value = NULL;
	int r;

	if (!at_text(reader)) {
		while (is_name(peek(reader)))
			reader->at++;
		name.len = (size_t)(reader->at - start);
		name.at = arena_strndup(reader->arena, start, name.len);
		skip(reader, false);
		if (!name.len || !take(reader, "="))
			return fail(reader, "Something that gives no name a value");
		skip(reader, false);
	}
	r = read_value(reader, &value);
	if (r == 0 && name.len)
		toml_put(reader->arena, names, name, value);
	skip(reader, false);
	if (r == 0 && reader->at < reader->end && !take(reader, "\n") && !take(reader, ";"))
		r = fail(reader, "Something behind a value");
	return r;
}

int starlark_read(struct arena *arena, const char *text, size_t len, struct toml **ret, struct buf *why)
{
	struct reader reader = { .arena = arena, .text = text, .at = text, .end = text + len, .why = why };
	struct toml *names = toml_new(arena, TOML_TABLE);
	int r = len > TEXT_MAX ? fail(&reader, "More than can be read") : 0;

	for (skip(&reader, true); r == 0 && reader.at < reader.end; skip(&reader, true))
		r = read_statement(&reader, names);
	if (r == 0)
		*ret = names;
	return r;
}
