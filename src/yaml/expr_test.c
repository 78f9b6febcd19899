/* Tests of expressions: what stands behind `is`. */
#include "yaml/expr_internal.h"

#include <ctype.h>

typedef bool test_fn(struct expr *e, const struct expr_call *call, bool *ret);

static bool is_defined(struct expr *e, const struct expr_call *call, bool *ret)
{
	*ret = call->value->type != V_UNDEFINED && call->value->type != V_VOID;
	return true;
}
static bool is_undefined(struct expr *e, const struct expr_call *call, bool *ret)
{
	return is_defined(e, call, ret), *ret = !*ret, true;
}
static bool is_none(struct expr *e, const struct expr_call *call, bool *ret)
{
	return *ret = call->value->type == V_NONE, true;
}
static bool is_boolean(struct expr *e, const struct expr_call *call, bool *ret)
{
	return *ret = call->value->type == V_BOOL, true;
}
static bool is_true(struct expr *e, const struct expr_call *call, bool *ret)
{
	return *ret = call->value->type == V_BOOL && call->value->boolean, true;
}
static bool is_false(struct expr *e, const struct expr_call *call, bool *ret)
{
	return *ret = call->value->type == V_BOOL && !call->value->boolean, true;
}
static bool is_integer(struct expr *e, const struct expr_call *call, bool *ret)
{
	return *ret = call->value->type == V_INT, true;
}
static bool is_float(struct expr *e, const struct expr_call *call, bool *ret)
{
	return *ret = call->value->type == V_FLOAT, true;
}
static bool is_number(struct expr *e, const struct expr_call *call, bool *ret)
{
	return *ret = expr_is_number(call->value), true;
}
static bool is_string(struct expr *e, const struct expr_call *call, bool *ret)
{
	return *ret = call->value->type == V_TEXT, true;
}
static bool is_mapping(struct expr *e, const struct expr_call *call, bool *ret)
{
	return *ret = call->value->type == V_MAP, true;
}
static bool is_callable(struct expr *e, const struct expr_call *call, bool *ret)
{
	return *ret = call->value->type == V_METHOD, true;
}

static bool is_sequence(struct expr *e, const struct expr_call *call, bool *ret)
{
	const struct value *v = call->value;

	if (!expr_defined(e, v))
		return false;
	*ret = v->type == V_TEXT || expr_is_sequence(v) || v->type == V_MAP || v->type == V_VOID;
	return true;
}

static bool is_iterable(struct expr *e, const struct expr_call *call, bool *ret)
{
	if (!expr_defined(e, call->value))
		return false;
	*ret = call->value->type == V_ITER;
	return *ret ? true : is_sequence(e, call, ret);
}

static bool text_case(struct expr *e, const struct expr_call *call, int (*wrong)(int), int (*right)(int), bool *ret)
{
	struct value text;
	bool any = false;

	if (!expr_as_text(e, call->value, &text))
		return false;
	*ret = true;
	for (uint32_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.text[i];
		any = any || (c < 0x80 && right(c));
		if (c < 0x80 && wrong(c))
			*ret = false;
	}
	*ret = *ret && any;
	return true;
}

static bool is_lower(struct expr *e, const struct expr_call *call, bool *ret)
{
	return text_case(e, call, isupper, islower, ret);
}
static bool is_upper(struct expr *e, const struct expr_call *call, bool *ret)
{
	return text_case(e, call, islower, isupper, ret);
}

static bool remainder_is_zero(struct expr *e, const struct value *a, int64_t by, bool *ret)
{
	struct value divisor = { .type = V_INT, .integer = by }, rest, zero = { .type = V_INT };

	return expr_arithmetic(e, E_MOD, a, &divisor, &rest) && expr_equal(e, &rest, &zero, ret);
}

static bool is_even(struct expr *e, const struct expr_call *call, bool *ret)
{
	return remainder_is_zero(e, call->value, 2, ret);
}

static bool is_odd(struct expr *e, const struct expr_call *call, bool *ret)
{
	struct value two = { .type = V_INT, .integer = 2 }, rest, one = { .type = V_INT, .integer = 1 };

	return expr_arithmetic(e, E_MOD, call->value, &two, &rest) && expr_equal(e, &rest, &one, ret);
}

static bool is_divisible(struct expr *e, const struct expr_call *call, bool *ret)
{
	struct value rest, zero = { .type = V_INT };

	if (call->count != 1)
		return expr_wrong_count(e, call);
	return expr_arithmetic(e, E_MOD, call->value, &call->args[0], &rest) && expr_equal(e, &rest, &zero, ret);
}

/* Python's `is`: for what options and literals can be, the same type and value will do. */
static bool is_same(struct expr *e, const struct expr_call *call, bool *ret)
{
	if (call->count != 1)
		return expr_wrong_count(e, call);
	*ret = false;
	if (call->value->type != call->args[0].type)
		return true;
	return call->value->type == V_UNDEFINED ? true : expr_equal(e, call->value, &call->args[0], ret);
}

static bool is_filter(struct expr *e, const struct expr_call *call, bool *ret)
{
	*ret = call->value->type == V_TEXT && expr_is_filter(call->value->text, call->value->len);
	return true;
}

static bool is_test(struct expr *e, const struct expr_call *call, bool *ret);

/* Relations are tests, too; the table's number says which. */
enum { NO_RELATION = -1 };
static const struct { const char *name; test_fn *fn; int relation; } tests[] = {
	{ "!=", NULL, R_NE }, { "<", NULL, R_LT }, { "<=", NULL, R_LTEQ }, { "==", NULL, R_EQ }, { ">", NULL, R_GT },
	{ ">=", NULL, R_GTEQ }, { "boolean", is_boolean, NO_RELATION }, { "callable", is_callable, NO_RELATION },
	{ "defined", is_defined, NO_RELATION }, { "divisibleby", is_divisible, NO_RELATION }, { "eq", NULL, R_EQ },
	{ "equalto", NULL, R_EQ }, { "even", is_even, NO_RELATION }, { "false", is_false, NO_RELATION },
	{ "filter", is_filter, NO_RELATION }, { "float", is_float, NO_RELATION }, { "ge", NULL, R_GTEQ },
	{ "greaterthan", NULL, R_GT }, { "gt", NULL, R_GT }, { "in", NULL, R_IN }, { "integer", is_integer, NO_RELATION },
	{ "iterable", is_iterable, NO_RELATION }, { "le", NULL, R_LTEQ }, { "lessthan", NULL, R_LT },
	{ "lower", is_lower, NO_RELATION }, { "lt", NULL, R_LT }, { "mapping", is_mapping, NO_RELATION }, { "ne", NULL, R_NE },
	{ "none", is_none, NO_RELATION }, { "number", is_number, NO_RELATION }, { "odd", is_odd, NO_RELATION },
	{ "sameas", is_same, NO_RELATION }, { "sequence", is_sequence, NO_RELATION }, { "string", is_string, NO_RELATION },
	{ "test", is_test, NO_RELATION }, { "true", is_true, NO_RELATION }, { "undefined", is_undefined, NO_RELATION },
	{ "upper", is_upper, NO_RELATION },
};

static bool is_test(struct expr *e, const struct expr_call *call, bool *ret)
{
	*ret = false;
	for (size_t i = 0; call->value->type == V_TEXT && i < ARRAY_SIZE(tests) && !*ret; i++)
		*ret = expr_name_is(call->value->text, call->value->len, tests[i].name);
	return true;
}

bool expr_test(struct expr *e, const char *name, size_t len, const struct value *value, const struct value *args,
	       uint32_t count, bool *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct expr_call call = { tests[i].name, value, args, count };

		if (!expr_name_is(name, len, tests[i].name))
			continue;
		if (tests[i].fn && count && tests[i].fn != is_divisible && tests[i].fn != is_same)
			return expr_wrong_count(e, &call);
		if (tests[i].fn)
			return tests[i].fn(e, &call, ret);
		if (count != 1)
			return expr_wrong_count(e, &call);
		return expr_relate(e, (enum expr_relation)tests[i].relation, value, &args[0], ret);
	}
	return expr_fail(e, "No test named '%.*s' found.", (int)len, name);
}

