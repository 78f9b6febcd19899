/* Walks the tree of an expression; the door's yaml_expr_eval is here. */
#include "yaml/expr_internal.h"

#include <errno.h>
#include <stdio.h>

void *expr_alloc(struct expr *e, size_t size_bytes)
{
	size_t rounded = (size_bytes + 15) & ~(size_t)15;
	void *at;

	if (rounded > sizeof(e->small) - e->small_used)
		return arena_alloc(&e->arena, size_bytes);
	at = e->small + e->small_used;
	e->small_used += rounded;
	return memset(at, 0, rounded);
}

void expr_set_error(struct expr *e, const char *fmt, ...)
{
	va_list ap;

	if (e->failed)
		return;
	e->failed = true;
	va_start(ap, fmt);
	buf_vprintf(&e->error, fmt, ap);
	va_end(ap);
}

static struct value undefined(struct expr *e, const char *text, size_t len)
{
	struct value ret = { .type = V_UNDEFINED };

	if (!expr_text(e, text, len, &ret))
		return ret;
	ret.type = V_UNDEFINED;
	return ret;
}

/* "'str object'", "'None'": Jinja2's object_type_repr. */
static void describe_type(struct buf *out, const struct value *value)
{
	if (value->type == V_NONE)
		buf_adds(out, "None");
	else
		buf_printf(out, "%s object", expr_type_name(value));
}

static struct value option_value(struct expr *e, const struct yaml_option *option)
{
	struct value ret = { .type = V_BOOL, .boolean = option->boolean }, *items;

	if (option->type == YAML_OPTION_TEXT)
		return (struct value){ .type = V_TEXT, .len = (uint32_t)strlen(option->text), .text = option->text };
	if (option->type != YAML_OPTION_LIST)
		return ret;
	items = expr_alloc(e, (option->item_count + 1) * sizeof(*items));
	for (uint32_t i = 0; i < option->item_count; i++)
		items[i] = (struct value){ .type = V_TEXT, .len = (uint32_t)strlen(option->items[i]), .text = option->items[i] };
	return (struct value){ .type = V_LIST, .len = option->item_count, .items = items };
}

static bool look_up(struct expr *e, const struct expr_node *node, struct value *ret)
{
	_cleanup_buf_ struct buf why = BUF_INIT;

	for (uint32_t i = 0; e->options && i < e->options->count; i++)
		if (expr_name_is(node->text, node->len, e->options->options[i].name)) {
			*ret = option_value(e, &e->options->options[i]);
			return true;
		}
	yaml_py_repr(&why, node->text, node->len);
	buf_adds(&why, " is undefined");
	*ret = undefined(e, buf_text(&why), why.len);
	return true;
}

/* ---- Attributes and items ---- */

static bool find_key(struct expr *e, const struct value *map, const struct value *key, struct value *ret)
{
	bool same = false;

	for (uint32_t i = 0; i < map->len; i += 2) {
		if (!expr_equal(e, &map->items[i], key, &same))
			return false;
		if (same)
			return *ret = map->items[i + 1], true;
	}
	return false;
}

bool expr_attribute(struct expr *e, const struct value *object, const char *name, size_t len, struct value *ret)
{
	struct value key = { .type = V_TEXT, .len = (uint32_t)len, .text = name }, *self;
	_cleanup_buf_ struct buf why = BUF_INIT, type = BUF_INIT;

	if (!expr_defined(e, object))
		return false;
	if (object->type == V_TEXT && expr_has_method(name, len)) {
		self = expr_alloc(e, sizeof(*self));
		*self = *object;
		*ret = (struct value){ .type = V_METHOD, .len = (uint32_t)len, .text = name, .self = self };
		return true;
	}
	if (object->type == V_MAP && (find_key(e, object, &key, ret) || e->failed))
		return !e->failed;
	describe_type(&type, object);
	yaml_py_repr(&why, buf_text(&type), type.len);
	buf_adds(&why, " has no attribute ");
	yaml_py_repr(&why, name, len);
	*ret = undefined(e, buf_text(&why), why.len);
	return true;
}

static bool no_element(struct expr *e, const struct value *object, const struct value *index, struct value *ret)
{
	_cleanup_buf_ struct buf why = BUF_INIT;

	if (index->type == V_TEXT)
		return expr_attribute(e, object, index->text, index->len, ret);
	describe_type(&why, object);
	buf_adds(&why, " has no element ");
	if (!expr_str(e, index, true, &why))
		return false;
	*ret = undefined(e, buf_text(&why), why.len);
	return true;
}

bool expr_subscript(struct expr *e, const struct value *object, const struct value *index, struct value *ret)
{
	bool whole = index->type == V_INT || index->type == V_BOOL;
	const struct value *items;
	uint32_t count;
	int64_t at;

	if (!expr_defined(e, object) || !expr_defined(e, index))
		return false;
	if (object->type == V_MAP) {
		if (find_key(e, object, index, ret))
			return true;
		return !e->failed && no_element(e, object, index, ret);
	}
	if (!whole || !(object->type == V_TEXT || expr_is_sequence(object)))
		return no_element(e, object, index, ret);
	if (!expr_items(e, object, &items, &count))
		return false;
	at = expr_integer(index);
	at += at < 0 ? count : 0;
	if (at < 0 || at >= count)
		return no_element(e, object, index, ret);
	*ret = items[at];
	return true;
}

/* A place of a slice, as Python clamps it to 0 .. count (or -1 .. count-1 when it runs backwards). */
static bool slice_bound(struct expr *e, const struct value *bound, int64_t count, bool backwards, int64_t empty,
			int64_t *ret)
{
	int64_t low = backwards ? -1 : 0, high = backwards ? count - 1 : count, at;

	*ret = empty;
	if (bound->type == V_NONE)
		return true;
	if (bound->type != V_INT && bound->type != V_BOOL)
		return expr_fail(e, "slice indices must be integers or None or have an __index__ method");
	at = expr_integer(bound);
	if (at < 0)
		at = at < -count ? -1 - count : at + count; /* far below: stays below */
	*ret = at < low ? low : at > high ? high : at;
	return true;
}

static bool no_slice(struct expr *e, const struct value *object, const struct value *from, const struct value *to,
		     const struct value *step, struct value *ret)
{
	_cleanup_buf_ struct buf why = BUF_INIT;

	describe_type(&why, object);
	buf_adds(&why, " has no element slice(");
	if (!expr_str(e, from, true, &why) || (buf_adds(&why, ", "), !expr_str(e, to, true, &why)) ||
	    (buf_adds(&why, ", "), !expr_str(e, step, true, &why)))
		return false;
	buf_adds(&why, ")");
	*ret = undefined(e, buf_text(&why), why.len);
	return true;
}

bool expr_slice(struct expr *e, const struct value *object, const struct value *from, const struct value *to,
		const struct value *step, struct value *ret)
{
	int64_t by = step->type == V_NONE ? 1 : expr_integer(step), start, stop;
	_cleanup_buf_ struct buf text = BUF_INIT;
	const struct value *items;
	struct value *out;
	uint32_t count, n = 0;

	if (!expr_defined(e, object))
		return false;
	if (object->type != V_TEXT && !expr_is_sequence(object))
		return no_slice(e, object, from, to, step, ret);
	if (step->type != V_NONE && step->type != V_INT && step->type != V_BOOL)
		return expr_fail(e, "slice indices must be integers or None or have an __index__ method");
	if (by == 0)
		return expr_fail(e, "slice step cannot be zero");
	if (!expr_items(e, object, &items, &count))
		return false;
	if (!slice_bound(e, from, count, by < 0, by < 0 ? (int64_t)count - 1 : 0, &start) ||
	    !slice_bound(e, to, count, by < 0, by < 0 ? -1 : (int64_t)count, &stop))
		return false;
	by = by > count ? (int64_t)count + 1 : by < -(int64_t)count ? -(int64_t)count - 1 : by;
	out = expr_alloc(e, (count + 1) * sizeof(*out));
	for (int64_t i = start; by > 0 ? i < stop : i > stop; i += by)
		out[n++] = items[i];
	if (object->type != V_TEXT)
		return *ret = (struct value){ .type = object->type, .len = n, .items = out }, true;
	for (uint32_t i = 0; i < n; i++)
		buf_add(&text, out[i].text, out[i].len);
	return expr_text(e, buf_text(&text), text.len, ret);
}

/* ---- Nodes ---- */

static bool eval_optional(struct expr *e, const struct expr_node *node, struct value *ret)
{
	*ret = (struct value){ .type = V_NONE };
	return !node || expr_eval_node(e, node, ret);
}

static bool eval_item(struct expr *e, const struct expr_node *node, struct value *ret)
{
	struct value object, index, to, step;

	if (!expr_eval_node(e, node->a, &object))
		return false;
	if (node->b->op != E_SLICE)
		return expr_eval_node(e, node->b, &index) && expr_subscript(e, &object, &index, ret);
	return eval_optional(e, node->b->a, &index) && eval_optional(e, node->b->b, &to) &&
	       eval_optional(e, node->b->c, &step) && expr_slice(e, &object, &index, &to, &step, ret);
}

/* The values of a chain of nodes. */
static bool eval_chain(struct expr *e, const struct expr_node *first, struct value **ret, uint32_t *ret_count)
{
	uint32_t count = 0, i = 0;

	for (const struct expr_node *n = first; n; n = n->next)
		count++;
	*ret = expr_alloc(e, (count + 1) * sizeof(**ret));
	*ret_count = count;
	for (const struct expr_node *n = first; n; n = n->next)
		if (!expr_eval_node(e, n, &(*ret)[i++]))
			return false;
	return true;
}

/* Arguments of a call; by position only. */
static bool eval_arguments(struct expr *e, const struct expr_node *first, struct value **ret, uint32_t *ret_count)
{
	for (const struct expr_node *n = first; n; n = n->next)
		if (n->op == E_KEYWORD)
			return expr_fail(e, "keyword arguments are not supported ('%.*s')", (int)n->len, n->text);
	return eval_chain(e, first, ret, ret_count);
}

static bool eval_compare(struct expr *e, const struct expr_node *node, struct value *ret)
{
	struct value left, right;
	bool holds = true;

	if (!expr_eval_node(e, node->a, &left))
		return false;
	for (const struct expr_node *n = node->b; n && holds; n = n->next) {
		if (!expr_eval_node(e, n, &right) || !expr_relate(e, n->relation, &left, &right, &holds))
			return false;
		left = right;
	}
	*ret = (struct value){ .type = V_BOOL, .boolean = holds };
	return true;
}

/* Python's or and and: the value that decides. */
static bool eval_logic(struct expr *e, const struct expr_node *node, struct value *ret)
{
	bool truth;

	if (!expr_eval_node(e, node->a, ret) || !expr_truth(e, ret, &truth))
		return false;
	return truth == (node->op == E_OR) ? true : expr_eval_node(e, node->b, ret);
}

static bool eval_if(struct expr *e, const struct expr_node *node, struct value *ret)
{
	struct value condition;
	bool truth;

	if (!expr_eval_node(e, node->b, &condition) || !expr_truth(e, &condition, &truth))
		return false;
	if (truth)
		return expr_eval_node(e, node->a, ret);
	*ret = (struct value){ .type = V_VOID };
	return node->c ? expr_eval_node(e, node->c, ret) : true;
}

static bool eval_not(struct expr *e, const struct expr_node *node, struct value *ret)
{
	bool truth;

	if (!expr_eval_node(e, node->a, ret) || !expr_truth(e, ret, &truth))
		return false;
	*ret = (struct value){ .type = V_BOOL, .boolean = !truth };
	return true;
}

static bool eval_sign(struct expr *e, const struct expr_node *node, struct value *ret)
{
	struct value zero = { .type = V_INT }, operand;

	if (!expr_eval_node(e, node->a, &operand) || !expr_defined(e, &operand))
		return false;
	if (!expr_is_number(&operand))
		return expr_fail(e, "bad operand type for unary %c: '%s'", node->op == E_NEG ? '-' : '+',
				 expr_type_name(&operand));
	return expr_arithmetic(e, node->op == E_NEG ? E_SUB : E_ADD, &zero, &operand, ret);
}

static bool eval_two(struct expr *e, const struct expr_node *node, struct value *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct value a, b;

	if (!expr_eval_node(e, node->a, &a) || !expr_eval_node(e, node->b, &b))
		return false;
	if (node->op != E_CONCAT)
		return expr_arithmetic(e, node->op, &a, &b, ret);
	return expr_str(e, &a, false, &text) && expr_str(e, &b, false, &text) &&
	       expr_text(e, buf_text(&text), text.len, ret);
}

static bool eval_items(struct expr *e, const struct expr_node *node, struct value *ret)
{
	struct value *items;
	uint32_t count;

	if (!eval_chain(e, node->b, &items, &count))
		return false;
	*ret = (struct value){ .type = node->op == E_LIST ? V_LIST : node->op == E_TUPLE ? V_TUPLE : V_MAP, .len = count,
			       .items = items };
	return true;
}

static bool eval_call(struct expr *e, const struct expr_node *node, struct value *ret)
{
	struct value object, *args;
	uint32_t count;

	if (!expr_eval_node(e, node->a, &object) || !eval_arguments(e, node->b, &args, &count) ||
	    !expr_defined(e, &object))
		return false;
	if (object.type != V_METHOD)
		return expr_fail(e, "'%s' object is not callable", expr_type_name(&object));
	return expr_method(e, &object, args, count, ret);
}

static bool eval_named(struct expr *e, const struct expr_node *node, struct value *ret)
{
	struct value object, *args;
	uint32_t count;
	bool holds = false;

	if (!expr_eval_node(e, node->a, &object) || !eval_arguments(e, node->b, &args, &count))
		return false;
	if (node->op == E_FILTER)
		return expr_filter(e, node->text, node->len, &object, args, count, ret);
	if (!expr_test(e, node->text, node->len, &object, args, count, &holds))
		return false;
	*ret = (struct value){ .type = V_BOOL, .boolean = holds };
	return true;
}

bool expr_eval_node(struct expr *e, const struct expr_node *node, struct value *ret)
{
	struct value object;

	switch (node->op) {
	case E_CONST: *ret = node->value; return true;
	case E_NAME: return look_up(e, node, ret);
	case E_LIST: case E_TUPLE: case E_MAP: return eval_items(e, node, ret);
	case E_OR: case E_AND: return eval_logic(e, node, ret);
	case E_NOT: return eval_not(e, node, ret);
	case E_IF: return eval_if(e, node, ret);
	case E_COMPARE: return eval_compare(e, node, ret);
	case E_NEG: case E_POS: return eval_sign(e, node, ret);
	case E_ATTR:
		return expr_eval_node(e, node->a, &object) && expr_attribute(e, &object, node->text, node->len, ret);
	case E_ITEM: return eval_item(e, node, ret);
	case E_CALL: return eval_call(e, node, ret);
	case E_FILTER: case E_TEST: return eval_named(e, node, ret);
	case E_ADD: case E_SUB: case E_MUL: case E_DIV: case E_FLOORDIV: case E_MOD: case E_POW: case E_CONCAT:
		return eval_two(e, node, ret);
	case E_SLICE: case E_KEYWORD: break; /* part of E_ITEM and of calls */
	}
	bug("expression node %d has no value", node->op);
}

int yaml_expr_eval(const char *text, const struct yaml_options *options, bool *ret, struct diag *diag)
{
	struct expr e;
	const struct expr_node *node;
	struct value value;
	bool truth = false;

	memset(&e, 0, offsetof(struct expr, small));
	e.text = text;
	e.len = strlen(text);
	e.options = options;
	node = expr_parse(&e);
	if (node && expr_eval_node(&e, node, &value) && expr_truth(&e, &value, &truth))
		*ret = truth;
	if (e.failed)
		diag_set(diag, "load", "expression-failed", "Failed to evaluate expression (%s): %s", text, buf_text(&e.error));
	buf_release(&e.error);
	arena_release(&e.arena);
	return e.failed ? -EINVAL : 0;
}
