/* Reading TOML's numbers and times, which are kept as Python would print them: see toml.h. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "sources/toml_internal.h"

enum { FLOAT_DIGITS = 17, INTEGER_DIGITS_MAX = 4300 };

/* ---- numbers ---- */

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

static int plain(struct toml_reader *reader, struct toml **ret, const char *text)
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

static int read_based(struct toml_reader *reader, int base, const char *set, struct toml **ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT, decimal = BUF_INIT;
	size_t len = digits(reader->at + 2, reader->end, set, &text);
	unsigned long long value;

	errno = 0;
	value = strtoull(buf_text(&text), NULL, base);
	if (errno == ERANGE)
		return toml_fail(reader, "A number is too large");
	reader->at += 2 + len;
	buf_printf(&decimal, "%llu", value);
	return plain(reader, ret, buf_text(&decimal));
}

static int read_number(struct toml_reader *reader, struct toml **ret)
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
		return toml_fail(reader, "Invalid value");
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
		return toml_fail(reader, "A number is too long");
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
static int read_time(struct toml_reader *reader, struct toml **ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *at = reader->at, *end = reader->end;
	int year = fixed(at, end, 4, 0, 9999), month, day, micros;
	size_t len;

	if (year >= 0 && end - at >= 10 && at[4] == '-' && at[7] == '-' && (month = fixed(at + 5, end, 2, 1, 12)) > 0 &&
	    (day = fixed(at + 8, end, 2, 1, 31)) > 0) {
		if (!year || day > days_in(year, month))
			return toml_fail(reader, "Invalid date or datetime");
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

int toml_read_scalar(struct toml_reader *reader, struct toml **ret)
{
	static const char *const words[][2] = { { "true", "true" }, { "false", "false" }, { "inf", "inf" },   { "nan", "nan" },
						{ "+inf", "inf" },  { "-inf", "-inf" },	  { "+nan", "nan" }, { "-nan", "nan" } };
	static const struct {
		const char *prefix, *set;
		int base;
	} bases[] = { { "0x", "0123456789abcdefABCDEF", 16 }, { "0o", "01234567", 8 }, { "0b", "01", 2 } };
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (toml_take(reader, words[i][0]))
			return plain(reader, ret, words[i][1]);
	r = read_time(reader, ret);
	if (r != 0)
		return MIN(r, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
		if (toml_starts(reader, bases[i].prefix) && digits(reader->at + 2, reader->end, bases[i].set, NULL))
			return read_based(reader, bases[i].base, bases[i].set, ret);
	return toml_peek(reader) ? read_number(reader, ret) : toml_fail(reader, "Invalid value");
}
