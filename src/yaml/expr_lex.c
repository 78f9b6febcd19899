/* Tokens of expressions, as Jinja2's lexer cuts them inside "{% if ... %}". */
#include "yaml/expr_internal.h"

#include <stdlib.h>

enum { OFFSET = 6 }; /* of the expression within the template: positions in messages count from there */

/* The six of two characters first. */
enum { LONG_OPERATORS = 6 };
static const struct { char text[3]; enum expr_token token; } operators[] = {
	{ "**", T_POW }, { "//", T_FLOORDIV }, { "==", T_EQ }, { "!=", T_NE }, { ">=", T_GTEQ }, { "<=", T_LTEQ },
	{ "+", T_ADD }, { "-", T_SUB }, { "/", T_DIV }, { "*", T_MUL }, { "%", T_MOD }, { "~", T_TILDE }, { "[", T_LBRACKET },
	{ "]", T_RBRACKET }, { "(", T_LPAREN }, { ")", T_RPAREN }, { "{", T_LBRACE }, { "}", T_RBRACE }, { ">", T_GT },
	{ "<", T_LT }, { "=", T_ASSIGN }, { ".", T_DOT }, { ":", T_COLON }, { "|", T_PIPE }, { ",", T_COMMA },
	{ ";", T_SEMICOLON },
};

const char *expr_token_name(enum expr_token token)
{
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
		if (operators[i].token == token)
			return operators[i].text;
	switch ((int)token) {
	case T_NAME: return "name";
	case T_INTEGER: return "integer";
	case T_FLOAT: return "float";
	case T_STRING: return "string";
	default: return "end of statement block";
	}
}

void expr_describe(struct expr *e, struct buf *out)
{
	if (e->token == T_NAME)
		yaml_py_repr(out, e->token_text, e->token_len);
	else
		buf_printf(out, "'%s'", expr_token_name(e->token));
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Text that follows the expression in the template closes the tag; a blank stands between. */
static char peek(const struct expr *e, size_t at)
{
	static const char tail[] = " %}";

	if (at < e->len)
		return e->text[at];
	return at - e->len < sizeof(tail) ? tail[at - e->len] : '\0';
}

/* Length of digits with single '_' between them, in base `base`. */
static size_t digits(const struct expr *e, size_t at, unsigned base)
{
	size_t start = at, end = at;

	for (;; at++) {
		char c = peek(e, at) | 0x20;
		bool fits = base == 16 ? is_digit(peek(e, at)) || (c >= 'a' && c <= 'f') :
					 is_digit(peek(e, at)) && (unsigned)(peek(e, at) - '0') < base;

		if (fits)
			end = at + 1;
		else if (peek(e, at) != '_' || end != at)
			return end - start;
	}
}

/* Length of a float at `at`, or 0. */
static size_t float_length(const struct expr *e, size_t at)
{
	size_t n = at + digits(e, at, 10), fraction = 0, exponent, sign;

	if (n == at || (at > 0 && e->text[at - 1] == '.'))
		return 0;
	if (peek(e, n) == '.')
		fraction = digits(e, n + 1, 10);
	n += fraction ? fraction + 1 : 0;
	if ((peek(e, n) | 0x20) == 'e') {
		sign = peek(e, n + 1) == '+' || peek(e, n + 1) == '-';
		exponent = digits(e, n + 1 + sign, 10);
		if (exponent)
			return n + 1 + sign + exponent - at;
	}
	return fraction ? n - at : 0;
}

static size_t integer_length(const struct expr *e, size_t at, unsigned *base)
{
	static const struct { char letter; unsigned base; } bases[] = { { 'b', 2 }, { 'o', 8 }, { 'x', 16 } };
	size_t n;

	*base = 10;
	if (peek(e, at) != '0')
		return digits(e, at, 10);
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		if ((peek(e, at + 1) | 0x20) != bases[i].letter)
			continue;
		n = digits(e, at + 2 + (peek(e, at + 2) == '_'), bases[i].base);
		if (n) {
			*base = bases[i].base;
			return n + 2 + (peek(e, at + 2) == '_');
		}
	}
	return digits(e, at, 1); /* zeros only: "012" is 0, then 12 */
}

static bool take_number(struct expr *e)
{
	char copy[64] = { 0 }, *out = copy;
	unsigned base;
	size_t n = float_length(e, e->at);

	e->token = n ? T_FLOAT : T_INTEGER;
	if (!n)
		n = integer_length(e, e->at, &base);
	if (n >= sizeof(copy))
		return expr_fail(e, "number is too long");
	for (size_t i = 0; i < n; i++)
		if (e->text[e->at + i] != '_')
			*out++ = e->text[e->at + i];
	*out = '\0';
	if (e->token == T_FLOAT) {
		e->token_value = (struct value){ .type = V_FLOAT, .real = strtod(copy, NULL) };
	} else {
		e->token_value = (struct value){ .type = V_INT };
		for (const char *p = base == 10 ? copy : copy + 2; *p; p++) {
			int64_t digit = is_digit(*p) ? *p - '0' : (*p | 0x20) - 'a' + 10;
			if (__builtin_mul_overflow(e->token_value.integer, (int64_t)base, &e->token_value.integer) ||
			    __builtin_add_overflow(e->token_value.integer, digit, &e->token_value.integer))
				return expr_fail(e, "integer is too large");
		}
	}
	e->token_len = (uint32_t)n;
	e->at += n;
	return true;
}

static size_t put_utf8(char *out, uint32_t c)
{
	if (c < 0x80)
		return *out = (char)c, 1;
	if (c < 0x800)
		return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 0x3f)), 2;
	if (c < 0x10000)
		return out[0] = (char)(0xe0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 0x3f)),
		       out[2] = (char)(0x80 | (c & 0x3f)), 3;
	return out[0] = (char)(0xf0 | c >> 18), out[1] = (char)(0x80 | (c >> 12 & 0x3f)),
	       out[2] = (char)(0x80 | (c >> 6 & 0x3f)), out[3] = (char)(0x80 | (c & 0x3f)), 4;
}

/* \xHH, \uHHHH, \UHHHHHHHH: `width` hexadecimal digits behind the letter. */
static bool hex_escape(struct expr *e, const char **in, const char *end, char **out)
{
	char letter = (*in)[1];
	int width = letter == 'x' ? 2 : letter == 'u' ? 4 : 8;
	uint32_t c = 0;

	for (int i = 0; i < width; i++) {
		const char *p = *in + 2 + i;
		char lower = p < end ? *p | 0x20 : 0;

		if (p >= end || !(is_digit(*p) || (lower >= 'a' && lower <= 'f')))
			return expr_fail(e, "truncated \\%c%.*s escape", letter, width, "XXXXXXXX");
		c = c << 4 | (uint32_t)(is_digit(*p) ? *p - '0' : lower - 'a' + 10);
	}
	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return expr_fail(e, "illegal Unicode character");
	*out += put_utf8(*out, c);
	*in += 2 + width;
	return true;
}

/* One backslash sequence of Python's; unknown ones stay as they are. */
static bool escape(struct expr *e, const char **in, const char *end, char **out)
{
	static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
	const char *known = strchr(from, (*in)[1]);
	uint32_t octal = 0;
	int n = 0;

	if ((*in)[1] == '\n') {
		*in += 2;
		return true;
	}
	if (known && (*in)[1]) {
		*(*out)++ = to[known - from];
		*in += 2;
		return true;
	}
	if ((*in)[1] == 'x' || (*in)[1] == 'u' || (*in)[1] == 'U')
		return hex_escape(e, in, end, out);
	while (n < 3 && *in + 1 + n < end && (*in)[1 + n] >= '0' && (*in)[1 + n] <= '7')
		octal = octal * 8 + (uint32_t)((*in)[1 + n++] - '0');
	if (n) {
		*out += put_utf8(*out, octal);
		*in += 1 + n;
		return true;
	}
	*(*out)++ = *(*in)++;
	return true;
}

static bool unexpected_char(struct expr *e)
{
	_cleanup_buf_ struct buf repr = BUF_INIT;
	size_t width = 1;

	while (e->at + width < e->len && ((unsigned char)e->text[e->at + width] & 0xc0) == 0x80)
		width++;
	yaml_py_repr(&repr, e->text + e->at, width);
	return expr_fail(e, "unexpected char %s at %u", buf_text(&repr), expr_chars(e->text, e->at) + OFFSET);
}

static bool take_string(struct expr *e)
{
	char quote = e->text[e->at], *value, *out;
	size_t end = e->at + 1;
	const char *in, *stop;

	while (end < e->len && e->text[end] != quote)
		end += e->text[end] == '\\' ? 2 : 1;
	if (end >= e->len)
		return unexpected_char(e);
	in = e->text + e->at + 1;
	stop = e->text + end;
	out = value = expr_alloc(e, (size_t)(stop - in) + 1);
	while (in < stop) {
		if (*in != '\\')
			*out++ = *in++;
		else if (!escape(e, &in, stop, &out))
			return false;
	}
	e->token = T_STRING;
	e->token_value = (struct value){ .type = V_TEXT, .len = (uint32_t)(out - value), .text = value };
	e->at = end + 1;
	return true;
}

/* Brackets must pair up even before the parser sees them. */
static bool balance(struct expr *e, enum expr_token token)
{
	static const char open[] = "([{", closed[] = ")]}";
	const char *text = expr_token_name(token), *at = strchr(open, *text);

	if (token == T_LPAREN || token == T_LBRACKET || token == T_LBRACE) {
		if (e->bracket_count == EXPR_MAX_DEPTH)
			return expr_fail(e, "the expression is nested too deeply");
		e->brackets[e->bracket_count++] = closed[at - open];
	} else if (token == T_RPAREN || token == T_RBRACKET || token == T_RBRACE) {
		if (!e->bracket_count)
			return expr_fail(e, "unexpected '%s'", text);
		if (e->brackets[--e->bracket_count] != *text)
			return expr_fail(e, "unexpected '%s', expected '%c'", text, e->brackets[e->bracket_count]);
	}
	return true;
}

static bool take_operator(struct expr *e)
{
	char c = peek(e, e->at);

	for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
		size_t len = i < LONG_OPERATORS ? 2 : 1;

		if (c != operators[i].text[0] || (len == 2 && peek(e, e->at + 1) != operators[i].text[1]))
			continue;
		e->token = operators[i].token;
		e->at += len;
		return balance(e, e->token);
	}
	return unexpected_char(e);
}

bool expr_next(struct expr *e)
{
	char c;

	while ((c = peek(e, e->at)) == ' ' || (c >= '\t' && c <= '\r'))
		e->at++;
	e->token_text = e->at < e->len ? e->text + e->at : "";
	e->token_len = 0;
	if (!e->bracket_count && c == '%' && peek(e, e->at + 1) == '}') {
		e->token = T_END;
		return true;
	}
	if (is_digit(c))
		return take_number(e);
	if (is_name_char(c)) {
		while (is_name_char(peek(e, e->at + e->token_len)))
			e->token_len++;
		e->token = T_NAME;
		e->at += e->token_len;
		return true;
	}
	if (c == '\'' || c == '"')
		return take_string(e);
	return take_operator(e);
}
