/* Filters of expressions: the part of Jinja2's that makes sense on options. */
#include "yaml/expr_internal.h"

#include <ctype.h>
#include <float.h>
#include <stdlib.h>

static struct value text_value(const char *text)
{
	return (struct value){ .type = V_TEXT, .len = (uint32_t)strlen(text), .text = text };
}

/* The text of a value, as str() gives it. */
bool expr_as_text(struct expr *e, const struct value *value, struct value *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (value->type == V_TEXT)
		return *ret = *value, true;
	return expr_str(e, value, false, &text) && expr_text(e, buf_text(&text), text.len, ret);
}

/* ASCII letters change case; others stay (options are names, see docs). */
static bool map_text(struct expr *e, const struct value *value, int (*first)(int), int (*rest)(int), bool words,
		     struct value *ret)
{
	struct value text;
	char *out;
	bool start = true;

	if (!expr_as_text(e, value, &text) || !expr_text(e, text.text, text.len, ret))
		return false;
	out = (char *)(uintptr_t)ret->text; /* our own copy */
	for (uint32_t i = 0; i < ret->len; i++) {
		unsigned char c = (unsigned char)out[i];
		if (c < 0x80)
			out[i] = (char)(start ? first(c) : rest(c));
		start = words && c < 0x80 && !isalnum(c);
	}
	return true;
}

bool expr_lower(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return map_text(e, call->value, tolower, tolower, false, ret);
}
bool expr_upper(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return map_text(e, call->value, toupper, toupper, false, ret);
}
bool expr_capitalize(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return map_text(e, call->value, toupper, tolower, false, ret);
}
bool expr_title(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return map_text(e, call->value, toupper, tolower, true, ret);
}
static bool do_string(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return expr_as_text(e, call->value, ret);
}

/* Which ends a strip takes from, and which characters (NULL: blanks). */
void expr_strip(const struct value *value, const struct value *chars, bool left, bool right, struct value *ret)
{
	const char *text = value->text, *stripped;
	size_t len = value->len, inner = len;

	if (chars) {
		while (left && len && memchr(chars->text, *text, chars->len))
			text++, len--;
		while (right && len && memchr(chars->text, text[len - 1], chars->len))
			len--;
	} else {
		stripped = yaml_strip(text, &inner);
		if (right)
			len = (size_t)(stripped - text) + inner;
		if (left) {
			len -= (size_t)(stripped - text);
			text = stripped;
		}
	}
	*ret = (struct value){ .type = V_TEXT, .len = (uint32_t)len, .text = text };
}

bool expr_strip_chars(struct expr *e, const struct expr_call *call, const struct value **ret)
{
	*ret = NULL;
	if (call->count > 1)
		return expr_wrong_count(e, call);
	if (call->count == 0 || call->args[0].type == V_NONE)
		return true;
	if (call->args[0].type != V_TEXT)
		return expr_fail(e, "strip arg must be None or str");
	*ret = &call->args[0];
	return true;
}

static bool do_trim(struct expr *e, const struct expr_call *call, struct value *ret)
{
	const struct value *chars;
	struct value text;

	if (!expr_strip_chars(e, call, &chars) || !expr_as_text(e, call->value, &text))
		return false;
	expr_strip(&text, chars, true, true, ret);
	return true;
}

static bool do_length(struct expr *e, const struct expr_call *call, struct value *ret)
{
	const struct value *v = call->value;
	int64_t len;

	if (!expr_defined(e, v))
		return false;
	if (v->type == V_TEXT)
		len = expr_chars(v->text, v->len);
	else if (expr_is_sequence(v) || v->type == V_MAP || v->type == V_VOID)
		len = v->type == V_MAP ? v->len / 2 : v->type == V_VOID ? 0 : v->len;
	else
		return expr_fail(e, "object of type '%s' has no len()", expr_type_name(v));
	*ret = (struct value){ .type = V_INT, .integer = len };
	return true;
}

static bool do_default(struct expr *e, const struct expr_call *call, struct value *ret)
{
	bool empty_too = false, truth = true;

	if (call->count > 2)
		return expr_wrong_count(e, call);
	if (call->count > 1 && !expr_truth(e, &call->args[1], &empty_too))
		return false;
	if (call->value->type == V_UNDEFINED || call->value->type == V_VOID)
		truth = false;
	else if (empty_too && !expr_truth(e, call->value, &truth))
		return false;
	*ret = truth ? *call->value : call->count ? call->args[0] : text_value("");
	return true;
}

static bool do_first(struct expr *e, const struct expr_call *call, struct value *ret)
{
	const struct value *items;
	uint32_t count;

	if (!expr_items(e, call->value, &items, &count))
		return false;
	*ret = count ? items[0] : text_value("No first item, sequence was empty.");
	ret->type = count ? ret->type : V_UNDEFINED;
	return true;
}

static bool do_last(struct expr *e, const struct expr_call *call, struct value *ret)
{
	const struct value *items;
	uint32_t count;

	if (!expr_items(e, call->value, &items, &count))
		return false;
	*ret = count ? items[count - 1] : text_value("No last item, sequence was empty.");
	ret->type = count ? ret->type : V_UNDEFINED;
	return true;
}

bool expr_join(struct expr *e, const struct value *glue, const struct value *list, bool texts_only,
		       struct value *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	const struct value *items;
	uint32_t count;

	if (!expr_items(e, list, &items, &count))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (texts_only && items[i].type != V_TEXT)
			return expr_fail(e, "sequence item %u: expected str instance, %s found", i, expr_type_name(&items[i]));
		if (i)
			buf_add(&text, glue->text, glue->len);
		if (!expr_str(e, &items[i], false, &text))
			return false;
	}
	return expr_text(e, buf_text(&text), text.len, ret);
}

static bool do_join(struct expr *e, const struct expr_call *call, struct value *ret)
{
	struct value glue = text_value("");

	if (call->count > 1)
		return expr_wrong_count(e, call);
	if (call->count && !expr_as_text(e, &call->args[0], &glue))
		return false;
	return expr_join(e, &glue, call->value, false, ret);
}

static bool do_list(struct expr *e, const struct expr_call *call, struct value *ret)
{
	ret->type = V_LIST;
	return expr_items(e, call->value, &ret->items, &ret->len);
}

static bool do_reverse(struct expr *e, const struct expr_call *call, struct value *ret)
{
	const struct value *items;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct value *out;
	uint32_t count;

	if (expr_is_number(call->value) || call->value->type == V_NONE)
		return expr_fail(e, "argument must be iterable");
	if (!expr_items(e, call->value, &items, &count))
		return false;
	out = expr_alloc(e, (count + 1) * sizeof(*out));
	for (uint32_t i = 0; i < count; i++)
		out[i] = items[count - 1 - i];
	*ret = (struct value){ .type = V_ITER, .len = count, .items = out };
	if (call->value->type != V_TEXT)
		return true;
	for (uint32_t i = 0; i < count; i++)
		buf_add(&text, out[i].text, out[i].len);
	return expr_text(e, buf_text(&text), text.len, ret);
}

/* Texts sort without regard to case, as Jinja2's filter does. */
static int caseless(const struct value *a, const struct value *b)
{
	for (uint32_t i = 0; i < MIN(a->len, b->len); i++) {
		int x = tolower((unsigned char)a->text[i]), y = tolower((unsigned char)b->text[i]);
		if (x != y)
			return x - y;
	}
	return (a->len > b->len) - (a->len < b->len);
}

static bool before(struct expr *e, const struct value *a, const struct value *b, bool *ret)
{
	if (a->type == V_TEXT && b->type == V_TEXT)
		return *ret = caseless(a, b) < 0, true;
	return expr_relate(e, R_LT, a, b, ret);
}

static bool sorted(struct expr *e, const struct value *value, struct value **ret, uint32_t *ret_count)
{
	const struct value *items;
	struct value *out;
	bool less = false;

	if (!expr_items(e, value, &items, ret_count))
		return false;
	if (*ret_count > 4096)
		return expr_fail(e, "a list of %u items is too long to sort", *ret_count);
	out = expr_alloc(e, (*ret_count + 1) * sizeof(*out));
	for (uint32_t i = 0; i < *ret_count; i++) {
		uint32_t at = i;

		for (; at > 0; at--) {
			if (!before(e, &items[i], &out[at - 1], &less))
				return false;
			if (!less)
				break;
			out[at] = out[at - 1];
		}
		out[at] = items[i];
	}
	*ret = out;
	return true;
}

static bool do_sort(struct expr *e, const struct expr_call *call, struct value *ret)
{
	struct value *items;
	uint32_t count;

	if (call->count)
		return expr_wrong_count(e, call);
	if (!sorted(e, call->value, &items, &count))
		return false;
	*ret = (struct value){ .type = V_LIST, .len = count, .items = items };
	return true;
}

static bool extreme(struct expr *e, const struct expr_call *call, bool largest, struct value *ret)
{
	struct value *items;
	uint32_t count;

	if (!sorted(e, call->value, &items, &count))
		return false;
	*ret = count ? items[largest ? count - 1 : 0] : text_value("No aggregated item, sequence was empty.");
	ret->type = count ? ret->type : V_UNDEFINED;
	return true;
}

static bool do_min(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return extreme(e, call, false, ret);
}
static bool do_max(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return extreme(e, call, true, ret);
}

static bool do_unique(struct expr *e, const struct expr_call *call, struct value *ret)
{
	const struct value *items;
	struct value *out;
	uint32_t count, n = 0;

	if (!expr_items(e, call->value, &items, &count))
		return false;
	out = expr_alloc(e, (count + 1) * sizeof(*out));
	for (uint32_t i = 0; i < count; i++) {
		bool seen = false;

		for (uint32_t k = 0; k < n && !seen; k++) {
			if (items[i].type == V_TEXT && out[k].type == V_TEXT)
				seen = caseless(&items[i], &out[k]) == 0;
			else if (!expr_equal(e, &items[i], &out[k], &seen))
				return false;
		}
		if (!seen)
			out[n++] = items[i];
	}
	*ret = (struct value){ .type = V_ITER, .len = n, .items = out };
	return true;
}

static bool replace_text(struct expr *e, const struct value *in, const struct value *from, const struct value *to,
			 int64_t most, struct value *ret)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	const char *p = in->text, *end = p + in->len, *at;

	if (from->len == 0)
		return expr_fail(e, "an empty text cannot be replaced");
	for (; most != 0 && (at = memmem(p, (size_t)(end - p), from->text, from->len)); most--) {
		buf_add(&out, p, (size_t)(at - p));
		buf_add(&out, to->text, to->len);
		p = at + from->len;
		if (out.len > EXPR_MAX_TEXT)
			break;
	}
	buf_add(&out, p, (size_t)(end - p));
	return expr_text(e, buf_text(&out), out.len, ret);
}

bool expr_replace(struct expr *e, const struct expr_call *call, struct value *ret)
{
	struct value in, from, to;
	bool counted = call->count == 3 && call->args[2].type == V_INT;

	if (call->count < 2 || call->count > 3)
		return expr_wrong_count(e, call);
	return expr_as_text(e, call->value, &in) && expr_as_text(e, &call->args[0], &from) && expr_as_text(e, &call->args[1], &to) &&
	       replace_text(e, &in, &from, &to, counted ? call->args[2].integer : -1, ret);
}

static bool do_abs(struct expr *e, const struct expr_call *call, struct value *ret)
{
	const struct value *v = call->value;

	if (!expr_defined(e, v))
		return false;
	if (!expr_is_number(v))
		return expr_fail(e, "bad operand type for abs(): '%s'", expr_type_name(v));
	*ret = *v;
	if (v->type == V_FLOAT)
		ret->real = v->real < 0 ? -v->real : v->real;
	else
		*ret = (struct value){ .type = V_INT, .integer = expr_integer(v) < 0 ? -expr_integer(v) : expr_integer(v) };
	return true;
}

static bool fits_int(double real)
{
	return real > -9e18 && real < 9e18;
}

/* Text as a number; what is none becomes the default (0). */
static bool do_int(struct expr *e, const struct expr_call *call, struct value *ret)
{
	const struct value *v = call->value;
	struct value fallback = call->count ? call->args[0] : (struct value){ .type = V_INT };
	const char *text;
	char *end = NULL;
	size_t len;

	if (!expr_defined(e, v))
		return false;
	*ret = fallback;
	if (v->type == V_FLOAT && fits_int(v->real))
		*ret = (struct value){ .type = V_INT, .integer = (int64_t)v->real };
	else if (v->type == V_INT || v->type == V_BOOL)
		*ret = (struct value){ .type = V_INT, .integer = expr_integer(v) };
	if (v->type != V_TEXT || !expr_text(e, v->text, v->len, ret))
		return !e->failed;
	len = ret->len;
	text = yaml_strip(ret->text, &len);
	*ret = fallback;
	if (len && len < 18 && strspn(text, "+-0123456789.eE") >= len) {
		double real = strtod(text, &end);
		if (end == text + len && fits_int(real))
			*ret = (struct value){ .type = V_INT, .integer = memchr(text, '.', len) || memchr(text, 'e', len) ?
							(int64_t)real : strtoll(text, NULL, 10) };
	}
	return true;
}

static bool do_float(struct expr *e, const struct expr_call *call, struct value *ret)
{
	const struct value *v = call->value;
	struct value text;
	char *end = NULL;
	double real;

	if (!expr_defined(e, v))
		return false;
	*ret = call->count ? call->args[0] : (struct value){ .type = V_FLOAT };
	if (expr_is_number(v))
		*ret = (struct value){ .type = V_FLOAT, .real = expr_real(v) };
	if (v->type != V_TEXT || !v->len || !expr_text(e, v->text, v->len, &text))
		return !e->failed;
	real = strtod(text.text, &end);
	if (end == text.text + text.len && real >= -DBL_MAX && real <= DBL_MAX)
		*ret = (struct value){ .type = V_FLOAT, .real = real };
	return true;
}

/* Items of a value; of a false one none, whatever it is. */
static bool truthy_items(struct expr *e, const struct value *value, const struct value **ret, uint32_t *ret_count)
{
	bool truth;

	if (!expr_truth(e, value, &truth))
		return false;
	*ret_count = 0;
	return truth ? expr_items(e, value, ret, ret_count) : true;
}

/* select('eq', 'one') and reject: items for which a test holds, or does not. */
static bool pick(struct expr *e, const struct expr_call *call, bool wanted, struct value *ret)
{
	const struct value *items = NULL;
	struct value *out;
	uint32_t count, n = 0;

	if (!truthy_items(e, call->value, &items, &count))
		return false;
	if (call->count && call->args[0].type != V_TEXT)
		return expr_fail(e, "the name of a test must be a string");
	out = expr_alloc(e, (count + 1) * sizeof(*out));
	for (uint32_t i = 0; i < count; i++) {
		bool holds = false;

		if (call->count ? !expr_test(e, call->args[0].text, call->args[0].len, &items[i], call->args + 1, call->count - 1,
					     &holds) : !expr_truth(e, &items[i], &holds))
			return false;
		if (holds == wanted)
			out[n++] = items[i];
	}
	*ret = (struct value){ .type = V_ITER, .len = n, .items = out };
	return true;
}

static bool do_select(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return pick(e, call, true, ret);
}
static bool do_reject(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return pick(e, call, false, ret);
}

static bool do_map(struct expr *e, const struct expr_call *call, struct value *ret)
{
	const struct value *items;
	struct value *out;
	uint32_t count;

	if (!call->count || call->args[0].type != V_TEXT || expr_name_is(call->args[0].text, call->args[0].len, "map"))
		return expr_fail(e, "map requires a filter argument");
	if (!truthy_items(e, call->value, &items, &count))
		return false;
	out = expr_alloc(e, (count + 1) * sizeof(*out));
	for (uint32_t i = 0; i < count; i++)
		if (!expr_filter(e, call->args[0].text, call->args[0].len, &items[i], call->args + 1, call->count - 1, &out[i]))
			return false;
	*ret = (struct value){ .type = V_ITER, .len = count, .items = out };
	return true;
}

static const struct { const char *name; expr_call_fn *fn; } filters[] = {
	{ "abs", do_abs }, { "capitalize", expr_capitalize }, { "count", do_length }, { "d", do_default },
	{ "default", do_default }, { "first", do_first }, { "float", do_float }, { "int", do_int }, { "join", do_join },
	{ "last", do_last }, { "length", do_length }, { "list", do_list }, { "lower", expr_lower }, { "map", do_map },
	{ "max", do_max }, { "min", do_min }, { "reject", do_reject }, { "replace", expr_replace },
	{ "reverse", do_reverse }, { "select", do_select }, { "sort", do_sort }, { "string", do_string },
	{ "title", expr_title }, { "trim", do_trim }, { "unique", do_unique }, { "upper", expr_upper },
};

bool expr_is_filter(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
		if (expr_name_is(name, len, filters[i].name))
			return true;
	return false;
}

bool expr_filter(struct expr *e, const char *name, size_t len, const struct value *value, const struct value *args,
		 uint32_t count, struct value *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
		if (expr_name_is(name, len, filters[i].name)) {
			struct expr_call call = { filters[i].name, value, args, count };
			return filters[i].fn(e, &call, ret);
		}
	return expr_fail(e, "No filter named '%.*s' found.", (int)len, name);
}

