/* Methods of text in expressions: the part of Python's str that makes sense on options. */
#include "yaml/expr_internal.h"

#include <ctype.h>

static bool affix(struct expr *e, const struct expr_call *call, bool at_end, struct value *ret)
{
	const struct value *options = call->args;
	uint32_t count = 1;
	bool found = false;

	if (call->count != 1)
		return expr_wrong_count(e, call);
	if (call->args[0].type == V_TUPLE) {
		options = call->args[0].items;
		count = call->args[0].len;
	}
	for (uint32_t i = 0; i < count && !found; i++) {
		if (options[i].type != V_TEXT)
			return expr_fail(e, "%s first arg must be str or a tuple of str, not %s", call->name,
					 expr_type_name(&options[i]));
		found = options[i].len <= call->value->len &&
			memcmp(call->value->text + (at_end ? call->value->len - options[i].len : 0), options[i].text,
			       options[i].len) == 0;
	}
	*ret = (struct value){ .type = V_BOOL, .boolean = found };
	return true;
}

static bool m_startswith(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return affix(e, call, false, ret);
}
static bool m_endswith(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return affix(e, call, true, ret);
}

static bool stripped(struct expr *e, const struct expr_call *call, bool left, bool right, struct value *ret)
{
	const struct value *chars;

	if (!expr_strip_chars(e, call, &chars))
		return false;
	expr_strip(call->value, chars, left, right, ret);
	return true;
}
static bool m_strip(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return stripped(e, call, true, true, ret);
}
static bool m_lstrip(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return stripped(e, call, true, false, ret);
}
static bool m_rstrip(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return stripped(e, call, false, true, ret);
}

static bool one_text(struct expr *e, const struct expr_call *call)
{
	if (call->count != 1)
		return expr_wrong_count(e, call);
	if (call->args[0].type != V_TEXT)
		return expr_fail(e, "%s() argument must be str, not %s", call->name, expr_type_name(&call->args[0]));
	return true;
}

static bool m_split(struct expr *e, const struct expr_call *call, struct value *ret)
{
	const char *p = call->value->text, *end = p + call->value->len;
	struct value *items = expr_alloc(e, ((size_t)call->value->len + 1) * sizeof(*items));
	uint32_t n = 0;

	if (call->count && !one_text(e, call))
		return false;
	if (call->count && !call->args[0].len)
		return expr_fail(e, "empty separator");
	while (call->count) {
		const char *at = memmem(p, (size_t)(end - p), call->args[0].text, call->args[0].len);
		items[n++] = (struct value){ .type = V_TEXT, .len = (uint32_t)((at ? at : end) - p), .text = p };
		if (!at)
			break;
		p = at + call->args[0].len;
	}
	while (!call->count && p < end) {
		const char *start;
		while (p < end && isspace((unsigned char)*p))
			p++;
		for (start = p; p < end && !isspace((unsigned char)*p); p++)
			;
		if (p > start)
			items[n++] = (struct value){ .type = V_TEXT, .len = (uint32_t)(p - start), .text = start };
	}
	*ret = (struct value){ .type = V_LIST, .len = n, .items = items };
	return true;
}

static bool m_join(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return call->count == 1 ? expr_join(e, call->value, &call->args[0], true, ret) : expr_wrong_count(e, call);
}

static bool m_find(struct expr *e, const struct expr_call *call, struct value *ret)
{
	const char *at;

	if (!one_text(e, call))
		return false;
	at = memmem(call->value->text, call->value->len, call->args[0].text, call->args[0].len);
	*ret = (struct value){ .type = V_INT,
			       .integer = at ? (int64_t)expr_chars(call->value->text, (size_t)(at - call->value->text)) : -1 };
	return true;
}

static bool m_count(struct expr *e, const struct expr_call *call, struct value *ret)
{
	const char *p = call->value->text, *end = p + call->value->len;
	int64_t count = 0;

	if (!one_text(e, call))
		return false;
	if (!call->args[0].len)
		count = expr_chars(p, call->value->len) + 1;
	for (; call->args[0].len && (p = memmem(p, (size_t)(end - p), call->args[0].text, call->args[0].len));
	     p += call->args[0].len)
		count++;
	*ret = (struct value){ .type = V_INT, .integer = count };
	return true;
}

static bool all_are(const struct expr_call *call, int (*kind)(int), struct value *ret)
{
	bool all = call->value->len > 0;

	for (uint32_t i = 0; i < call->value->len; i++)
		all = all && kind((unsigned char)call->value->text[i]);
	*ret = (struct value){ .type = V_BOOL, .boolean = all };
	return true;
}
static bool m_isdigit(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return all_are(call, isdigit, ret);
}
static bool m_isalpha(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return all_are(call, isalpha, ret);
}
static bool m_isalnum(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return all_are(call, isalnum, ret);
}

static bool m_replace(struct expr *e, const struct expr_call *call, struct value *ret)
{
	for (uint32_t i = 0; i < MIN(call->count, 2u); i++)
		if (call->args[i].type != V_TEXT)
			return expr_fail(e, "replace() argument %u must be str, not %s", i + 1, expr_type_name(&call->args[i]));
	return expr_replace(e, call, ret);
}

static bool m_without(struct expr *e, const struct expr_call *call, bool at_end, struct value *ret)
{
	struct value found;

	if (!one_text(e, call) || !affix(e, call, at_end, &found))
		return false;
	*ret = *call->value;
	if (found.boolean) {
		ret->len -= call->args[0].len;
		ret->text += at_end ? 0 : call->args[0].len;
	}
	return true;
}
static bool m_removeprefix(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return m_without(e, call, false, ret);
}
static bool m_removesuffix(struct expr *e, const struct expr_call *call, struct value *ret)
{
	return m_without(e, call, true, ret);
}

static const struct { const char *name; expr_call_fn *fn; } methods[] = {
	{ "capitalize", expr_capitalize }, { "count", m_count }, { "endswith", m_endswith }, { "find", m_find },
	{ "isalnum", m_isalnum }, { "isalpha", m_isalpha }, { "isdigit", m_isdigit }, { "join", m_join },
	{ "lower", expr_lower }, { "lstrip", m_lstrip }, { "removeprefix", m_removeprefix },
	{ "removesuffix", m_removesuffix }, { "replace", m_replace }, { "rstrip", m_rstrip }, { "split", m_split },
	{ "startswith", m_startswith }, { "strip", m_strip }, { "title", expr_title }, { "upper", expr_upper },
};

bool expr_has_method(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (expr_name_is(name, len, methods[i].name))
			return true;
	return false;
}

bool expr_method(struct expr *e, const struct value *method, const struct value *args, uint32_t count,
		 struct value *ret)
{
	for (uint32_t i = 0; i < count; i++)
		if (!expr_defined(e, &args[i]))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (expr_name_is(method->text, method->len, methods[i].name)) {
			struct expr_call call = { methods[i].name, method->self, args, count };
			return methods[i].fn(e, &call, ret);
		}
	bug("method %.*s went missing", (int)method->len, method->text);
}
