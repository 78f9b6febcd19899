/* Values of expressions, with Python's rules for truth, order, arithmetic and text. */
#include "yaml/expr_internal.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>

/* libm would be one more library to load at every start, for this: */
static double round_down(double value)
{
	double whole;

	if (!(value > -9e15 && value < 9e15))
		return value; /* no room for a fraction */
	whole = (double)(int64_t)value;
	return whole > value ? whole - 1 : whole;
}

/* base to a whole exponent, by squaring. */
static double power(double base, int64_t exponent)
{
	double r = 1;

	for (uint64_t n = exponent < 0 ? -(uint64_t)exponent : (uint64_t)exponent; n; n >>= 1, base *= base)
		if (n & 1)
			r *= base;
	return exponent < 0 ? 1 / r : r;
}

bool expr_name_is(const char *name, size_t len, const char *what)
{
	return strlen(what) == len && memcmp(name, what, len) == 0;
}

const char *expr_type_name(const struct value *value)
{
	static const char *const names[] = {
		[V_NONE] = "NoneType", [V_BOOL] = "bool", [V_INT] = "int", [V_FLOAT] = "float", [V_TEXT] = "str",
		[V_LIST] = "list", [V_TUPLE] = "tuple", [V_MAP] = "dict", [V_ITER] = "generator",
		[V_UNDEFINED] = "StrictUndefined", [V_VOID] = "Undefined", [V_METHOD] = "builtin_function_or_method",
	};

	return names[value->type];
}

bool expr_defined(struct expr *e, const struct value *value)
{
	if (value->type == V_UNDEFINED)
		return expr_fail(e, "%.*s", (int)value->len, value->text);
	return true;
}

bool expr_text(struct expr *e, const char *text, size_t len, struct value *ret)
{
	char *copy;

	if (len > EXPR_MAX_TEXT)
		return expr_fail(e, "a text grows beyond %d bytes", EXPR_MAX_TEXT);
	copy = expr_alloc(e, len + 1);
	if (len)
		memcpy(copy, text, len);
	*ret = (struct value){ .type = V_TEXT, .len = (uint32_t)len, .text = copy };
	return true;
}

bool expr_truth(struct expr *e, const struct value *value, bool *ret)
{
	switch ((int)value->type) {
	case V_BOOL: *ret = value->boolean; break;
	case V_INT: *ret = value->integer != 0; break;
	case V_FLOAT: *ret = value->real != 0; break;
	case V_TEXT: case V_LIST: case V_TUPLE: case V_MAP: *ret = value->len > 0; break;
	case V_ITER: case V_METHOD: *ret = true; break;
	case V_UNDEFINED: return expr_defined(e, value);
	default: *ret = false;
	}
	return true;
}

/* ---- Text ---- */

uint32_t expr_chars(const char *text, size_t len)
{
	uint32_t count = 0;

	for (size_t i = 0; i < len; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

size_t expr_char_at(const char *text, size_t len, uint32_t n)
{
	size_t i = 0;

	for (; i < len; i++)
		if (((unsigned char)text[i] & 0xc0) != 0x80 && n-- == 0)
			break;
	return i;
}

/* repr() of a float: the shortest digits that read back the same. */
static void add_float(struct buf *out, double value)
{
	char text[40];

	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	if ((value >= 1e6 || value <= -1e6) && value < 1e16 && value > -1e16 && value == round_down(value))
		snprintf(text, sizeof(text), "%.1f", value);
	buf_adds(out, text);
	if (!strpbrk(text, ".enai"))
		buf_adds(out, ".0");
}

static bool add_items(struct expr *e, const struct value *value, struct buf *out)
{
	static const char *const brackets[] = { [V_LIST] = "[]", [V_TUPLE] = "()", [V_MAP] = "{}" };
	const char *pair = brackets[value->type];

	buf_addc(out, pair[0]);
	for (uint32_t i = 0; i < value->len; i++) {
		buf_adds(out, i == 0 ? "" : value->type == V_MAP && i % 2 ? ": " : ", ");
		if (!expr_str(e, &value->items[i], true, out))
			return false;
	}
	buf_adds(out, value->type == V_TUPLE && value->len == 1 ? "," : "");
	buf_addc(out, pair[1]);
	return true;
}

bool expr_str(struct expr *e, const struct value *value, bool repr, struct buf *out)
{
	if (out->len > EXPR_MAX_TEXT)
		return expr_fail(e, "a text grows beyond %d bytes", EXPR_MAX_TEXT);
	switch ((int)value->type) {
	case V_NONE: buf_adds(out, "None"); return true;
	case V_BOOL: buf_adds(out, value->boolean ? "True" : "False"); return true;
	case V_INT: buf_printf(out, "%lld", (long long)value->integer); return true;
	case V_FLOAT: add_float(out, value->real); return true;
	case V_LIST: case V_TUPLE: case V_MAP: return add_items(e, value, out);
	case V_UNDEFINED: return expr_defined(e, value);
	case V_VOID: return true;
	case V_TEXT:
		if (repr)
			yaml_py_repr(out, value->text, value->len);
		else
			buf_add(out, value->text, value->len);
		return true;
	default:
		buf_printf(out, "<%s object>", expr_type_name(value));
		return true;
	}
}

/* ---- Sequences ---- */

static bool text_items(struct expr *e, const struct value *value, const struct value **ret, uint32_t *ret_count)
{
	uint32_t count = expr_chars(value->text, value->len), n = 0;
	struct value *items;

	if (count > EXPR_MAX_ITEMS)
		return expr_fail(e, "a list grows beyond %d items", EXPR_MAX_ITEMS);
	items = expr_alloc(e, (count + 1) * sizeof(*items));
	for (size_t at = 0, end; at < value->len; at = end, n++) {
		for (end = at + 1; end < value->len && ((unsigned char)value->text[end] & 0xc0) == 0x80; end++)
			;
		items[n < count ? n : 0] = (struct value){ .type = V_TEXT, .len = (uint32_t)(end - at), .text = value->text + at };
	}
	*ret = items;
	*ret_count = MIN(n, count);
	return true;
}

bool expr_items(struct expr *e, const struct value *value, const struct value **ret, uint32_t *ret_count)
{
	struct value *keys;

	if (!expr_defined(e, value))
		return false;
	if (expr_is_sequence(value) || value->type == V_ITER) {
		*ret = value->items;
		*ret_count = value->len;
		return true;
	}
	if (value->type == V_TEXT)
		return text_items(e, value, ret, ret_count);
	if (value->type == V_VOID)
		return *ret_count = 0, true;
	if (value->type != V_MAP)
		return expr_fail(e, "'%s' object is not iterable", expr_type_name(value));
	keys = expr_alloc(e, (value->len / 2 + 1) * sizeof(*keys));
	for (uint32_t i = 0; i < value->len; i += 2)
		keys[i / 2] = value->items[i];
	*ret = keys;
	*ret_count = value->len / 2;
	return true;
}

/* ---- Comparing ---- */

static bool same_items(struct expr *e, const struct value *a, const struct value *b, bool *ret)
{
	*ret = a->len == b->len;
	for (uint32_t i = 0; i < a->len && *ret; i++)
		if (!expr_equal(e, &a->items[i], &b->items[i], ret))
			return false;
	return true;
}

static const struct value *map_value(struct expr *e, const struct value *map, const struct value *key)
{
	bool same = false;

	for (uint32_t i = 0; i < map->len; i += 2)
		if (expr_equal(e, &map->items[i], key, &same) && same)
			return &map->items[i + 1];
	return NULL;
}

static bool same_maps(struct expr *e, const struct value *a, const struct value *b, bool *ret)
{
	*ret = a->len == b->len;
	for (uint32_t i = 0; i < a->len && *ret; i += 2) {
		const struct value *other = map_value(e, b, &a->items[i]);

		if (e->failed)
			return false;
		*ret = other;
		if (other && !expr_equal(e, &a->items[i + 1], other, ret))
			return false;
	}
	return true;
}

bool expr_equal(struct expr *e, const struct value *a, const struct value *b, bool *ret)
{
	if (!expr_defined(e, a) || !expr_defined(e, b))
		return false;
	if (expr_is_number(a) && expr_is_number(b)) {
		*ret = a->type == V_FLOAT || b->type == V_FLOAT ? expr_real(a) == expr_real(b) :
								 expr_integer(a) == expr_integer(b);
		return true;
	}
	if (a->type != b->type)
		return *ret = false, true;
	if (a->type == V_TEXT)
		return *ret = a->len == b->len && memcmp(a->text, b->text, a->len) == 0, true;
	if (expr_is_sequence(a))
		return same_items(e, a, b, ret);
	if (a->type == V_MAP)
		return same_maps(e, a, b, ret);
	return *ret = a->type == V_NONE || a->type == V_VOID, true;
}

static bool no_order(struct expr *e, const char *op, const struct value *a, const struct value *b)
{
	return expr_fail(e, "'%s' not supported between instances of '%s' and '%s'", op, expr_type_name(a),
			 expr_type_name(b));
}

static bool order(struct expr *e, const char *op, const struct value *a, const struct value *b, int *ret);

static bool order_items(struct expr *e, const char *op, const struct value *a, const struct value *b, int *ret)
{
	for (uint32_t i = 0; i < MIN(a->len, b->len); i++) {
		bool same;

		if (!expr_equal(e, &a->items[i], &b->items[i], &same))
			return false;
		if (!same)
			return order(e, op, &a->items[i], &b->items[i], ret);
	}
	*ret = (a->len > b->len) - (a->len < b->len);
	return true;
}

/* < 0, 0, > 0; NaN cannot arise from what expressions can say. */
static bool order(struct expr *e, const char *op, const struct value *a, const struct value *b, int *ret)
{
	if (!expr_defined(e, a) || !expr_defined(e, b))
		return false;
	if (expr_is_number(a) && expr_is_number(b)) {
		if (a->type == V_FLOAT || b->type == V_FLOAT)
			*ret = (expr_real(a) > expr_real(b)) - (expr_real(a) < expr_real(b));
		else
			*ret = (expr_integer(a) > expr_integer(b)) - (expr_integer(a) < expr_integer(b));
		return true;
	}
	if (a->type != b->type)
		return no_order(e, op, a, b);
	if (a->type == V_TEXT) {
		int c = memcmp(a->text, b->text, MIN(a->len, b->len));
		*ret = c ? c : (a->len > b->len) - (a->len < b->len);
		return true;
	}
	return expr_is_sequence(a) ? order_items(e, op, a, b, ret) : no_order(e, op, a, b);
}

static bool contains(struct expr *e, const struct value *item, const struct value *in, bool *ret)
{
	if (!expr_defined(e, in))
		return false;
	if (in->type == V_TEXT) {
		if (!expr_defined(e, item))
			return false;
		if (item->type != V_TEXT)
			return expr_fail(e, "'in <string>' requires string as left operand, not %s", expr_type_name(item));
		return *ret = memmem(in->text, in->len, item->text, item->len), true;
	}
	*ret = false;
	if (in->type == V_VOID)
		return true;
	if (!expr_is_sequence(in) && in->type != V_ITER && in->type != V_MAP)
		return expr_fail(e, "argument of type '%s' is not iterable", expr_type_name(in));
	for (uint32_t i = 0; i < in->len && !*ret; i += in->type == V_MAP ? 2 : 1)
		if (!expr_equal(e, &in->items[i], item, ret))
			return false;
	return true;
}

bool expr_relate(struct expr *e, enum expr_relation relation, const struct value *a, const struct value *b, bool *ret)
{
	static const char *const signs[] = { [R_LT] = "<", [R_LTEQ] = "<=", [R_GT] = ">", [R_GTEQ] = ">=" };
	bool equal = false;
	int sign = 0;

	if (relation == R_IN || relation == R_NOTIN) {
		if (!contains(e, a, b, &equal))
			return false;
		return *ret = equal == (relation == R_IN), true;
	}
	if (relation == R_EQ || relation == R_NE) {
		if (!expr_equal(e, a, b, &equal))
			return false;
		return *ret = equal == (relation == R_EQ), true;
	}
	if (!order(e, signs[relation], a, b, &sign))
		return false;
	*ret = relation == R_LT ? sign < 0 : relation == R_LTEQ ? sign <= 0 : relation == R_GT ? sign > 0 : sign >= 0;
	return true;
}

/* ---- Arithmetic ---- */

static bool bad_operands(struct expr *e, enum expr_op op, const struct value *a, const struct value *b)
{
	const char *sign = op == E_ADD ? "+" : op == E_SUB ? "-" : op == E_MUL ? "*" : op == E_DIV ? "/" :
			   op == E_FLOORDIV ? "//" : op == E_MOD ? "%" : "** or pow()";

	if (op == E_ADD && a->type == V_TEXT)
		return expr_fail(e, "can only concatenate str (not \"%s\") to str", expr_type_name(b));
	return expr_fail(e, "unsupported operand type(s) for %s: '%s' and '%s'", sign, expr_type_name(a),
			 expr_type_name(b));
}

static bool too_large(struct expr *e)
{
	return expr_fail(e, "a number is out of range");
}

static bool floats(struct expr *e, enum expr_op op, double a, double b, struct value *ret)
{
	double r = 0;

	if (b == 0 && (op == E_DIV || op == E_FLOORDIV || op == E_MOD))
		return expr_fail(e, op == E_DIV ? "division by zero" : op == E_MOD ? "float modulo" : "float floor division by zero");
	switch ((int)op) {
	case E_ADD: r = a + b; break;
	case E_SUB: r = a - b; break;
	case E_MUL: r = a * b; break;
	case E_DIV: r = a / b; break;
	case E_FLOORDIV: r = round_down(a / b); break;
	case E_MOD: r = a - b * round_down(a / b); break;
	default:
		if (b != round_down(b) || b > 1e9 || b < -1e9)
			return expr_fail(e, "powers of fractions are not supported");
		r = power(a, (int64_t)b);
	}
	if (!(r >= -DBL_MAX && r <= DBL_MAX))
		return too_large(e);
	*ret = (struct value){ .type = V_FLOAT, .real = r };
	return true;
}

static bool int_power(struct expr *e, int64_t a, int64_t b, int64_t *ret)
{
	*ret = 1;
	if (a == 0 || a == 1 || a == -1)
		return *ret = b == 0 ? 1 : a == -1 && b % 2 == 0 ? 1 : a, true;
	for (; b > 0; b--)
		if (__builtin_mul_overflow(*ret, a, ret))
			return too_large(e);
	return true;
}

/* Division that rounds down, and its remainder, as Python's. */
static bool int_division(struct expr *e, enum expr_op op, int64_t a, int64_t b, int64_t *ret)
{
	int64_t quotient, rest;

	if (b == 0)
		return expr_fail(e, op == E_MOD ? "integer modulo by zero" : "integer division or modulo by zero");
	if (a == INT64_MIN && b == -1)
		return too_large(e);
	quotient = a / b;
	rest = a % b;
	if (rest && (rest < 0) != (b < 0)) {
		quotient--;
		rest += b;
	}
	*ret = op == E_MOD ? rest : quotient;
	return true;
}

static bool integers(struct expr *e, enum expr_op op, int64_t a, int64_t b, struct value *ret)
{
	int64_t r = 0;
	bool fits = true;

	if (op == E_DIV || (op == E_POW && b < 0))
		return floats(e, op, (double)a, (double)b, ret);
	if (op == E_ADD)
		fits = !__builtin_add_overflow(a, b, &r);
	else if (op == E_SUB)
		fits = !__builtin_sub_overflow(a, b, &r);
	else if (op == E_MUL)
		fits = !__builtin_mul_overflow(a, b, &r);
	else if (!(op == E_POW ? int_power(e, a, b, &r) : int_division(e, op, a, b, &r)))
		return false;
	if (!fits)
		return too_large(e);
	*ret = (struct value){ .type = V_INT, .integer = r };
	return true;
}

static bool join_sequences(struct expr *e, const struct value *a, const struct value *b, struct value *ret)
{
	struct value *items;

	if ((uint64_t)a->len + b->len > EXPR_MAX_ITEMS)
		return expr_fail(e, "a list grows beyond %d items", EXPR_MAX_ITEMS);
	items = expr_alloc(e, ((size_t)a->len + b->len + 1) * sizeof(*items));
	if (a->len)
		memcpy(items, a->items, a->len * sizeof(*items));
	if (b->len)
		memcpy(items + a->len, b->items, b->len * sizeof(*items));
	*ret = (struct value){ .type = a->type, .len = a->len + b->len, .items = items };
	return true;
}

static bool repeat(struct expr *e, const struct value *a, int64_t times, struct value *ret)
{
	size_t unit = a->type == V_TEXT ? 1 : sizeof(struct value), bytes = a->len * unit;
	size_t most = a->type == V_TEXT ? EXPR_MAX_TEXT : EXPR_MAX_ITEMS;
	char *copy;

	times = MAX(times, 0);
	if (a->len && (uint64_t)times > most / a->len)
		return expr_fail(e, "a text or list grows beyond %zu", most);
	times = a->len ? times : 0;
	copy = expr_alloc(e, bytes * (size_t)times + 1);
	for (int64_t i = 0; i < times; i++)
		memcpy(copy + (size_t)i * bytes, a->text, bytes);
	*ret = *a;
	ret->len = a->len * (uint32_t)times;
	ret->text = copy;
	return true;
}

/* "%s" and "%d" (and "%%") of Python's format operator. */
static bool format(struct expr *e, const struct value *a, const struct value *b, struct value *ret)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	uint32_t used = 0, count = b->type == V_TUPLE ? b->len : 1;
	const struct value *args = b->type == V_TUPLE ? b->items : b;

	for (uint32_t i = 0; i < a->len; i++) {
		char kind = i + 1 < a->len ? a->text[i + 1] : '\0';

		if (a->text[i] != '%') {
			buf_addc(&out, a->text[i]);
			continue;
		}
		i++;
		if (kind == '%') {
			buf_addc(&out, '%');
			continue;
		}
		if (kind != 's' && kind != 'd' && kind != 'r')
			return expr_fail(e, "unsupported format character '%c'", kind ? kind : '%');
		if (used == count)
			return expr_fail(e, "not enough arguments for format string");
		if (kind == 'd' && !expr_is_number(&args[used]))
			return expr_fail(e, "%%d format: a real number is required, not %s", expr_type_name(&args[used]));
		if (!expr_str(e, &args[used++], kind == 'r', &out))
			return false;
	}
	if (used < count && b->type != V_MAP)
		return expr_fail(e, "not all arguments converted during string formatting");
	return expr_text(e, buf_text(&out), out.len, ret);
}

bool expr_arithmetic(struct expr *e, enum expr_op op, const struct value *a, const struct value *b, struct value *ret)
{
	if (!expr_defined(e, a) || !expr_defined(e, b))
		return false;
	if (op == E_MOD && a->type == V_TEXT)
		return format(e, a, b, ret);
	if (expr_is_number(a) && expr_is_number(b))
		return a->type == V_FLOAT || b->type == V_FLOAT ? floats(e, op, expr_real(a), expr_real(b), ret) :
								  integers(e, op, expr_integer(a), expr_integer(b), ret);
	if (op == E_ADD && a->type == V_TEXT && b->type == V_TEXT) {
		_cleanup_buf_ struct buf both = BUF_INIT;
		buf_add(&both, a->text, a->len);
		buf_add(&both, b->text, b->len);
		return expr_text(e, buf_text(&both), both.len, ret);
	}
	if (op == E_ADD && expr_is_sequence(a) && a->type == b->type)
		return join_sequences(e, a, b, ret);
	if (op == E_MUL && (a->type == V_TEXT || expr_is_sequence(a)) && (b->type == V_INT || b->type == V_BOOL))
		return repeat(e, a, expr_integer(b), ret);
	if (op == E_MUL && (b->type == V_TEXT || expr_is_sequence(b)) && (a->type == V_INT || a->type == V_BOOL))
		return repeat(e, b, expr_integer(a), ret);
	return bad_operands(e, op, a, b);
}
