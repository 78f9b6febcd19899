/* Reading TOML: see toml.h.  The rules are those of toml.io 1.0 as Python's tomllib has them. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sources/toml.h"

enum { TEXT_MAX = 4 << 20, KEYS_MAX = 20000, DEPTH_MAX = 64, FLOAT_DIGITS = 17, INTEGER_DIGITS_MAX = 4300 };

struct reader {
	struct arena *arena;
	const char *text, *at, *end;
	struct buf *why;
	unsigned section, depth;
	size_t keys;
};

/* A name with dots: its parts. */
struct name {
	struct toml_text parts[DEPTH_MAX];
	unsigned count;
};

static int fail(struct reader *reader, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int fail(struct reader *reader, const char *fmt, ...)
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

/* The byte at hand; 0 at the end, where a NUL in the text would be an error anyway. */
static char peek(const struct reader *reader)
{
	return reader->at < reader->end ? *reader->at : '\0';
}

static bool starts(const struct reader *reader, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(reader->end - reader->at) >= len && memcmp(reader->at, text, len) == 0;
}

static bool take(struct reader *reader, const char *text)
{
	if (!starts(reader, text))
		return false;
	reader->at += strlen(text);
	return true;
}

static void skip_blanks(struct reader *reader)
{
	while (peek(reader) == ' ' || peek(reader) == '\t')
		reader->at++;
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static int skip_comment(struct reader *reader)
{
	if (peek(reader) != '#')
		return 0;
	for (reader->at++; reader->at < reader->end && *reader->at != '\n'; reader->at++)
		if (is_control(*reader->at) && *reader->at != '\t')
			return fail(reader, "Found invalid character in a comment");
	return 0;
}

static int skip_lines(struct reader *reader)
{
	int r = 0;

	for (const char *before = NULL; r == 0 && before != reader->at;) {
		before = reader->at;
		while (peek(reader) == ' ' || peek(reader) == '\t' || peek(reader) == '\n')
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

static int hex_escape(struct reader *reader, unsigned digits, struct buf *out)
{
	uint32_t c = 0;

	for (unsigned i = 0; i < digits; i++, reader->at++) {
		char d = peek(reader), lower = (char)(d | 32);

		if (!(d >= '0' && d <= '9') && !(lower >= 'a' && lower <= 'f'))
			return fail(reader, "Invalid hex value");
		c = c << 4 | (uint32_t)(d <= '9' ? d - '0' : lower - 'a' + 10);
	}
	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return fail(reader, "Escaped character is not a Unicode scalar value");
	add_character(out, c);
	return 0;
}

/* A backslash at the end of a line takes the line's end and all blanks that follow. */
static bool is_line_end(const struct reader *reader)
{
	const char *at = reader->at;

	while (at < reader->end && (*at == ' ' || *at == '\t'))
		at++;
	return at > reader->at ? at == reader->end || *at == '\n' : peek(reader) == '\n';
}

/* What stands behind a backslash. */
static int escape(struct reader *reader, bool lines, struct buf *out)
{
	static const char names[] = "btnfr\"\\", values[] = "\b\t\n\f\r\"\\";
	char c = peek(reader);
	const char *found = c ? strchr(names, c) : NULL;

	if (lines && is_line_end(reader)) {
		while (peek(reader) == ' ' || peek(reader) == '\t' || peek(reader) == '\n')
			reader->at++;
		return 0;
	}
	if (take(reader, "u"))
		return hex_escape(reader, 4, out);
	if (take(reader, "U"))
		return hex_escape(reader, 8, out);
	if (!found)
		return fail(reader, "Unescaped '\\' in a string");
	buf_addc(out, values[found - names]);
	reader->at++;
	return 0;
}

/* Up to and with the mark that ends it; of one that is three quotes up to two more belong to the text. */
static int string_body(struct reader *reader, const char *mark, struct buf *out)
{
	bool lines = strlen(mark) == 3, basic = *mark == '"';
	int r = 0;

	while (r == 0 && !starts(reader, mark)) {
		char c = peek(reader);

		if (reader->at == reader->end)
			return fail(reader, "Unterminated string");
		if (basic && c == '\\') {
			reader->at++;
			r = escape(reader, lines, out);
			continue;
		}
		if (is_control(c) && c != '\t' && !(lines && c == '\n'))
			return fail(reader, "Illegal character in a string");
		buf_addc(out, c);
		reader->at++;
	}
	if (r < 0)
		return r;
	reader->at += strlen(mark);
	for (unsigned more = 0; lines && more < 2 && peek(reader) == *mark; more++, reader->at++)
		buf_addc(out, *mark);
	return 0;
}

static int read_string(struct reader *reader, bool may_have_lines, struct toml_text *ret)
{
	static const char *const marks[] = { "\"\"\"", "'''", "\"", "'" };
	_cleanup_buf_ struct buf text = BUF_INIT;
	unsigned i = may_have_lines ? 0 : 2;
	int r;

	while (!take(reader, marks[i]))
		i++; /* it begins with one of them */
	if (i < 2)
		(void)take(reader, "\n");
	r = string_body(reader, marks[i], &text);
	*ret = (struct toml_text){ arena_memdup(reader->arena, buf_text(&text), text.len + 1), text.len };
	return r;
}

/* ---- names ---- */

static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static int read_part(struct reader *reader, struct toml_text *ret)
{
	const char *start = reader->at;

	if (peek(reader) == '"' || peek(reader) == '\'')
		return read_string(reader, false, ret);
	while (is_bare(peek(reader)))
		reader->at++;
	if (start == reader->at)
		return fail(reader, "Invalid initial character for a key part");
	ret->len = (size_t)(reader->at - start);
	ret->at = arena_strndup(reader->arena, start, ret->len);
	return 0;
}

static int read_name(struct reader *reader, struct name *ret)
{
	int r;

	ret->count = 0;
	do {
		skip_blanks(reader);
		if (ret->count == DEPTH_MAX || reader->keys++ == KEYS_MAX)
			return fail(reader, "Too many names");
		r = read_part(reader, &ret->parts[ret->count++]);
		if (r < 0)
			return r;
		skip_blanks(reader);
	} while (take(reader, "."));
	return 0;
}

/* Can its content be said anew by a header, or by names of another section? */
static bool is_closed(const struct reader *reader, const struct toml *table)
{
	return table->frozen || table->is_declared || (table->section && table->section != reader->section);
}

/* The table at key in table, made if there is none; of a list of tables the last one.  NULL if something else stands there. */
static struct toml *enter(struct reader *reader, struct toml *table, const struct toml_text *key)
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

static int read_value(struct reader *reader, struct toml **ret);

static int read_array(struct reader *reader, struct toml **ret)
{
	struct toml *item = NULL;
	int r = skip_lines(reader);

	*ret = toml_new(reader->arena, TOML_ARRAY);
	while (r == 0 && !take(reader, "]")) {
		r = read_value(reader, &item);
		if (r < 0)
			return r;
		toml_append(reader->arena, *ret, item);
		r = skip_lines(reader);
		if (r == 0 && take(reader, ","))
			r = skip_lines(reader);
		else if (r == 0 && peek(reader) != ']')
			return fail(reader, "Unclosed array");
	}
	return r;
}

static int read_pair(struct reader *reader, struct name *name, struct toml **value)
{
	int r = read_name(reader, name);

	if (r < 0)
		return r;
	if (!take(reader, "="))
		return fail(reader, "Expected '=' after a key in a key/value pair");
	skip_blanks(reader);
	return read_value(reader, value);
}

/* Puts the value at a name of dots below table.  dotted: the tables on the way can be added to in this section only. */
static int put_pair(struct reader *reader, struct toml *table, const struct name *name, struct toml *value, bool dotted)
{
	for (unsigned i = 0; i + 1 < name->count; i++) {
		struct toml *there = toml_get_text(table, &name->parts[i]);

		if (there && dotted && is_closed(reader, there))
			return fail(reader, "Cannot redefine namespace '%s'", name->parts[i].at);
		table = there && there->type != TOML_TABLE ? NULL : enter(reader, table, &name->parts[i]);
		if (!table)
			return fail(reader, "Cannot overwrite a value");
		if (dotted)
			table->section = reader->section;
	}
	if (toml_get_text(table, &name->parts[name->count - 1]))
		return fail(reader, "Cannot overwrite a value");
	toml_put(reader->arena, table, name->parts[name->count - 1], value);
	return 0;
}

static int read_inline_table(struct reader *reader, struct toml **ret)
{
	struct toml *value = NULL;
	struct name *name;
	int r;

	*ret = toml_new(reader->arena, TOML_TABLE);
	skip_blanks(reader);
	if (take(reader, "}"))
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
	} while (take(reader, ","));
	return take(reader, "}") ? 0 : fail(reader, "Unclosed inline table");
}

/* Digits of a base, with single underscores between them, to out without those.  0: not even one. */
static size_t digits(const char *at, const char *end, const char *set, struct buf *out)
{
	const char *start = at;

	while (at < end && *at && (strchr(set, *at) || (*at == '_' && at > start && at + 1 < end && at[1] && strchr(set, at[1])))) {
		if (*at != '_' && out)
			buf_addc(out, *at);
		at++;
	}
	return (size_t)(at - start);
}

static int plain(struct reader *reader, struct toml **ret, const char *text)
{
	*ret = toml_new_string(reader->arena, text);
	(*ret)->type = TOML_PLAIN;
	return 0;
}

/* The shortest digits that read back as the same number, laid out as Python does. */
static void print_float(struct buf *out, double value)
{
	char text[FLOAT_DIGITS + 16];
	int exponent, precision = 0;
	const char *sign = signbit(value) ? "-" : "";
	char *e;

	if (isinf(value) || isnan(value)) {
		buf_printf(out, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
		return;
	}
	do
		snprintf(text, sizeof text, "%.*e", precision, fabs(value));
	while (strtod(text, NULL) != fabs(value) && ++precision < FLOAT_DIGITS);
	e = strchr(text, 'e');
	exponent = (int)strtol(e + 1, NULL, 10);
	*e = '\0';
	if (exponent < -4 || exponent >= 16) {
		buf_printf(out, "%s%se%c%02d", sign, text, exponent < 0 ? '-' : '+', abs(exponent));
		return;
	}
	if (precision > 0) /* "d.ddd" -> "dddd" */
		memmove(text + 1, text + 2, (size_t)precision + 1);
	buf_adds(out, sign);
	if (exponent < 0) {
		buf_printf(out, "0.%.*s%s", -exponent - 1, "000", text);
		return;
	}
	for (int i = 0; i <= exponent; i++)
		buf_addc(out, i <= precision ? text[i] : '0');
	buf_printf(out, ".%s", precision > exponent ? text + exponent + 1 : "0");
}

static int read_based(struct reader *reader, int base, const char *set, struct toml **ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT, decimal = BUF_INIT;
	size_t len = digits(reader->at + 2, reader->end, set, &text);
	unsigned long long value;

	errno = 0;
	value = strtoull(buf_text(&text), NULL, base);
	if (errno == ERANGE)
		return fail(reader, "A number is too large");
	reader->at += 2 + len;
	buf_printf(&decimal, "%llu", value);
	return plain(reader, ret, buf_text(&decimal));
}

static int read_number(struct reader *reader, struct toml **ret)
{
	static const char decimal[] = "0123456789";
	_cleanup_buf_ struct buf text = BUF_INIT, out = BUF_INIT;
	const char *at = reader->at, *end = reader->end, *written;
	bool is_float = false;
	size_t len;

	if (*at == '+' || *at == '-')
		buf_addc(&text, *at++);
	if (at < end && *at == '0') {
		buf_addc(&text, '0');
		len = 1;
	} else {
		len = digits(at, end, decimal, &text);
	}
	if (!len)
		return fail(reader, "Invalid value");
	at += len;
	if (at < end && *at == '.' && digits(at + 1, end, decimal, NULL)) {
		is_float = true;
		buf_addc(&text, *at++);
		at += digits(at, end, decimal, &text);
	}
	if (at < end && (*at | 32) == 'e') {
		size_t sign = at + 1 < end && (at[1] == '+' || at[1] == '-');

		if (digits(at + 1 + sign, end, decimal, NULL)) {
			is_float = true;
			buf_add(&text, at, 1 + sign);
			at += 1 + sign;
			at += digits(at, end, decimal, &text);
		}
	}
	if (text.len > INTEGER_DIGITS_MAX)
		return fail(reader, "A number is too long");
	reader->at = at;
	if (is_float) {
		print_float(&out, strtod(buf_text(&text), NULL));
		return plain(reader, ret, buf_text(&out));
	}
	written = buf_text(&text);
	return plain(reader, ret, *written == '+' || str_eq(written, "-0") ? written + 1 : written);
}

/* ---- times ---- */

/* A number of so many digits from low to high; -1. */
static int fixed(const char *at, const char *end, unsigned count, int low, int high)
{
	int value = 0;

	if ((size_t)(end - at) < count)
		return -1;
	for (unsigned i = 0; i < count; i++) {
		if (at[i] < '0' || at[i] > '9')
			return -1;
		value = 10 * value + at[i] - '0';
	}
	return value >= low && value <= high ? value : -1;
}

/* hh:mm:ss and a fraction, as many bytes; 0 if it is none.  micros: the fraction's first six digits. */
static size_t time_of_day(const char *at, const char *end, int *micros)
{
	size_t len = strlen("hh:mm:ss"), count = 0;

	*micros = 0;
	if ((size_t)(end - at) < len || at[2] != ':' || at[5] != ':' || fixed(at, end, 2, 0, 23) < 0 ||
	    fixed(at + 3, end, 2, 0, 59) < 0 || fixed(at + 6, end, 2, 0, 59) < 0)
		return 0;
	if (at + len + 1 >= end || at[len] != '.' || fixed(at + len + 1, end, 1, 0, 9) < 0)
		return len;
	for (len++; at + len < end && at[len] >= '0' && at[len] <= '9'; len++, count++)
		if (count < 6)
			*micros = 10 * *micros + at[len] - '0';
	for (; count < 6; count++)
		*micros *= 10;
	return len;
}

static int days_in(int year, int month)
{
	if (month == 2)
		return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* "Z", "+hh:mm", "-hh:mm"; as Python prints it to out. */
static size_t zone(const char *at, const char *end, struct buf *out)
{
	if (at < end && (*at | 32) == 'z') {
		buf_addc(out, 'Z');
		return 1;
	}
	if (end - at < 6 || (*at != '+' && *at != '-') || at[3] != ':' || fixed(at + 1, end, 2, 0, 23) < 0 ||
	    fixed(at + 4, end, 2, 0, 59) < 0)
		return 0;
	if (memcmp(at + 1, "00:00", 5) == 0)
		buf_addc(out, 'Z');
	else
		buf_add(out, at, 6);
	return 6;
}

/* 1 if there was one, 0 if not. */
static int read_time(struct reader *reader, struct toml **ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *at = reader->at, *end = reader->end;
	int year = fixed(at, end, 4, 0, 9999), month, day, micros;
	size_t len;

	if (year >= 0 && end - at >= 10 && at[4] == '-' && at[7] == '-' && (month = fixed(at + 5, end, 2, 1, 12)) > 0 &&
	    (day = fixed(at + 8, end, 2, 1, 31)) > 0) {
		if (!year || day > days_in(year, month))
			return fail(reader, "Invalid date or datetime");
		buf_add(&text, at, 10);
		at += 10;
		len = at < end && (*at == ' ' || (*at | 32) == 't') ? time_of_day(at + 1, end, &micros) : 0;
		if (len) {
			buf_printf(&text, "T%.8s", at + 1);
			if (micros)
				buf_printf(&text, ".%06d", micros);
			at += 1 + len;
			at += zone(at, end, &text);
		}
	} else {
		len = time_of_day(at, end, &micros);
		if (!len)
			return 0;
		buf_add(&text, at, 8);
		if (micros)
			buf_printf(&text, ".%06d", micros);
		while (micros && text.data[text.len - 1] == '0')
			text.data[--text.len] = '\0';
		at += len;
	}
	reader->at = at;
	plain(reader, ret, buf_text(&text));
	return 1;
}

static int read_scalar(struct reader *reader, struct toml **ret)
{
	static const char *const words[][2] = { { "true", "true" }, { "false", "false" }, { "inf", "inf" },   { "nan", "nan" },
						{ "+inf", "inf" },  { "-inf", "-inf" },	  { "+nan", "nan" }, { "-nan", "nan" } };
	static const struct {
		const char *prefix, *set;
		int base;
	} bases[] = { { "0x", "0123456789abcdefABCDEF", 16 }, { "0o", "01234567", 8 }, { "0b", "01", 2 } };
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (take(reader, words[i][0]))
			return plain(reader, ret, words[i][1]);
	r = read_time(reader, ret);
	if (r != 0)
		return MIN(r, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
		if (starts(reader, bases[i].prefix) && digits(reader->at + 2, reader->end, bases[i].set, NULL))
			return read_based(reader, bases[i].base, bases[i].set, ret);
	return peek(reader) ? read_number(reader, ret) : fail(reader, "Invalid value");
}

static int read_value(struct reader *reader, struct toml **ret)
{
	int r;

	if (reader->depth == DEPTH_MAX)
		return fail(reader, "Values are nested too deep");
	reader->depth++;
	if (peek(reader) == '"' || peek(reader) == '\'') {
		*ret = toml_new(reader->arena, TOML_STRING);
		r = read_string(reader, true, &(*ret)->text);
	} else if (take(reader, "[")) {
		r = read_array(reader, ret);
	} else if (take(reader, "{")) {
		r = read_inline_table(reader, ret);
	} else {
		r = read_scalar(reader, ret);
	}
	if (r == 0 && (*ret)->type >= TOML_ARRAY)
		(*ret)->frozen = true;
	reader->depth--;
	return r;
}

/* ---- the file ---- */

/* [name] and [[name]]: where the pairs that follow go. */
static int read_header(struct reader *reader, struct toml *root, struct name *name, struct toml **ret)
{
	bool list = take(reader, "[[");
	struct toml *table = root, *there;
	const struct toml_text *last;
	int r;

	if (!list)
		reader->at++;
	reader->section++;
	r = read_name(reader, name);
	if (r < 0)
		return r;
	if (!take(reader, list ? "]]" : "]"))
		return fail(reader, "Expected '%s' at the end of a declaration", list ? "]]" : "]");
	for (unsigned i = 0; table && i + 1 < name->count; i++)
		table = enter(reader, table, &name->parts[i]);
	if (!table)
		return fail(reader, "Cannot overwrite a value");
	last = &name->parts[name->count - 1];
	there = toml_get_text(table, last);
	if (list) {
		if (there && (there->type != TOML_ARRAY || there->frozen))
			return fail(reader, "Cannot overwrite a value");
		if (!there) {
			there = toml_new(reader->arena, TOML_ARRAY);
			toml_put(reader->arena, table, *last, there);
		}
		*ret = toml_new(reader->arena, TOML_TABLE);
		toml_append(reader->arena, there, *ret);
		return 0;
	}
	if (there && (there->type != TOML_TABLE || is_closed(reader, there)))
		return fail(reader, "Cannot declare '%s' twice", last->at);
	*ret = enter(reader, table, last);
	if (*ret)
		(*ret)->is_declared = true;
	return *ret ? 0 : fail(reader, "Cannot overwrite a value");
}

static int read_statement(struct reader *reader, struct toml *root, struct name *name, struct toml **section)
{
	struct toml *value = NULL;
	int r = 0;

	skip_blanks(reader);
	if (peek(reader) == '[') {
		r = read_header(reader, root, name, section);
	} else if (peek(reader) && peek(reader) != '#' && peek(reader) != '\n') {
		r = read_pair(reader, name, &value);
		if (r == 0)
			r = put_pair(reader, *section, name, value, true);
	}
	if (r == 0) {
		skip_blanks(reader);
		r = skip_comment(reader);
	}
	if (r == 0 && reader->at < reader->end && !take(reader, "\n"))
		r = fail(reader, "Expected newline or end of document after a statement");
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
	struct reader reader = { .arena = arena, .why = why };
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
