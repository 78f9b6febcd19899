/* Jinja2's expression grammar, by recursive descent: the precedences are those of its parser.py. */
#include "yaml/expr_internal.h"

static struct expr_node *parse_expression(struct expr *e);
static struct expr_node *parse_unary(struct expr *e, bool with_filter);

static struct expr_node *new_node(struct expr *e, enum expr_op op, struct expr_node *a, struct expr_node *b)
{
	struct expr_node *node = expr_alloc(e, sizeof(*node));

	node->op = op;
	node->a = a;
	node->b = b;
	node->height = (uint16_t)(1 + MAX(a ? a->height : 0, b ? b->height : 0));
	if (node->height > EXPR_MAX_HEIGHT) {
		expr_set_error(e, "the expression is nested too deeply");
		return NULL;
	}
	return node;
}

static struct expr_node *named(struct expr *e, enum expr_op op, struct expr_node *a, const char *text, uint32_t len)
{
	struct expr_node *node = new_node(e, op, a, NULL);

	if (node) {
		node->text = text;
		node->len = len;
	}
	return node;
}

static struct expr_node *constant(struct expr *e, struct value value)
{
	struct expr_node *node = new_node(e, E_CONST, NULL, NULL);

	if (node)
		node->value = value;
	return node;
}

static bool is_word(const struct expr *e, const char *word)
{
	return e->token == T_NAME && expr_name_is(e->token_text, e->token_len, word);
}

static bool expect(struct expr *e, enum expr_token token)
{
	_cleanup_buf_ struct buf got = BUF_INIT;

	if (e->token == token)
		return token == T_END || expr_next(e);
	expr_describe(e, &got);
	return expr_fail(e, "expected token '%s', got %s", expr_token_name(token), buf_text(&got));
}

static struct expr_node *fail_here(struct expr *e, const char *what)
{
	_cleanup_buf_ struct buf got = BUF_INIT;

	expr_describe(e, &got);
	expr_set_error(e, "%s%s", what, buf_text(&got));
	return NULL;
}

/* ---- Lists of things ---- */

struct chain { /* nodes linked by next, and the height of the highest */
	struct expr_node *first, **end;
	uint16_t height;
};

static void link_node(struct chain *chain, struct expr_node *node)
{
	if (!chain->first)
		chain->end = &chain->first;
	*chain->end = node;
	chain->end = &node->next;
	chain->height = MAX(chain->height, node->height);
}

static struct expr_node *with_chain(struct expr *e, enum expr_op op, struct expr_node *a, const struct chain *chain)
{
	struct expr_node *node = new_node(e, op, a, NULL);

	if (!node)
		return NULL;
	node->b = chain->first;
	node->height = MAX(node->height, (uint16_t)(chain->height + 1));
	if (node->height > EXPR_MAX_HEIGHT)
		return expr_set_error(e, "the expression is nested too deeply"), NULL;
	return node;
}

static bool add_item(struct expr *e, struct chain *chain)
{
	struct expr_node *item = parse_expression(e);

	if (item)
		link_node(chain, item);
	return item;
}

static struct expr_node *parse_list(struct expr *e)
{
	struct chain chain = { 0 };

	if (!expr_next(e))
		return NULL;
	while (e->token != T_RBRACKET) {
		if (chain.first && !expect(e, T_COMMA))
			return NULL;
		if (e->token == T_RBRACKET)
			break;
		if (!add_item(e, &chain))
			return NULL;
	}
	return expr_next(e) ? with_chain(e, E_LIST, NULL, &chain) : NULL;
}

static struct expr_node *parse_map(struct expr *e)
{
	struct chain chain = { 0 };

	if (!expr_next(e))
		return NULL;
	while (e->token != T_RBRACE) {
		if (chain.first && !expect(e, T_COMMA))
			return NULL;
		if (e->token == T_RBRACE)
			break;
		if (!add_item(e, &chain) || !expect(e, T_COLON) || !add_item(e, &chain))
			return NULL;
	}
	return expr_next(e) ? with_chain(e, E_MAP, NULL, &chain) : NULL;
}

/* "a", "a, b", "a," and, in parentheses, "". */
static struct expr_node *parse_tuple(struct expr *e, bool in_parentheses)
{
	struct chain chain = { 0 };
	bool tuple = false;

	for (;;) {
		if (tuple && !expect(e, T_COMMA))
			return NULL;
		if (e->token == T_END || e->token == T_RPAREN)
			break;
		if (!add_item(e, &chain))
			return NULL;
		if (e->token != T_COMMA)
			break;
		tuple = true;
	}
	if (!tuple && chain.first)
		return chain.first;
	if (!tuple && !in_parentheses)
		return fail_here(e, "Expected an expression, got ");
	return with_chain(e, E_TUPLE, NULL, &chain);
}

static struct expr_node *parse_primary(struct expr *e)
{
	static const struct { const char *word; struct value value; } words[] = {
		{ "true", { .type = V_BOOL, .boolean = true } }, { "True", { .type = V_BOOL, .boolean = true } },
		{ "false", { .type = V_BOOL } }, { "False", { .type = V_BOOL } },
		{ "none", { .type = V_NONE } }, { "None", { .type = V_NONE } },
	};
	struct expr_node *node;
	struct value value;

	if (e->token == T_LPAREN) {
		if (!expr_next(e))
			return NULL;
		node = parse_tuple(e, true);
		return node && expect(e, T_RPAREN) ? node : NULL;
	}
	if (e->token == T_LBRACKET)
		return parse_list(e);
	if (e->token == T_LBRACE)
		return parse_map(e);
	if (e->token == T_NAME) {
		node = named(e, E_NAME, NULL, e->token_text, e->token_len);
		for (size_t i = 0; node && i < ARRAY_SIZE(words); i++)
			if (is_word(e, words[i].word))
				node = constant(e, words[i].value);
		return node && expr_next(e) ? node : NULL;
	}
	if (e->token != T_STRING && e->token != T_INTEGER && e->token != T_FLOAT)
		return fail_here(e, "unexpected ");
	value = e->token_value;
	for (bool text = e->token == T_STRING; expr_next(e) && text && e->token == T_STRING;) {
		char *both = expr_alloc(e, (size_t)value.len + e->token_value.len + 1);
		memcpy(both, value.text, value.len);
		memcpy(both + value.len, e->token_value.text, e->token_value.len);
		value.text = both;
		value.len += e->token_value.len;
	}
	return e->failed ? NULL : constant(e, value);
}

/* ---- What follows a primary ---- */

static bool parse_argument(struct expr *e, struct chain *chain)
{
	const char *name = e->token_text;
	uint32_t len = e->token_len;
	struct expr_node *value, *keyword;
	bool is_keyword = e->token == T_NAME;

	if (e->token == T_MUL || e->token == T_POW)
		return expr_fail(e, "unpacked arguments are not supported");
	if (is_keyword) { /* name '=' ? */
		size_t at = e->at;
		while (at < e->len && (e->text[at] == ' ' || (e->text[at] >= '\t' && e->text[at] <= '\r')))
			at++;
		is_keyword = at < e->len && e->text[at] == '=' && !(at + 1 < e->len && e->text[at + 1] == '=');
	}
	if (is_keyword && !(expr_next(e) && expr_next(e)))
		return false;
	value = parse_expression(e);
	if (!value)
		return false;
	if (!is_keyword)
		return link_node(chain, value), true;
	keyword = named(e, E_KEYWORD, value, name, len);
	if (keyword)
		link_node(chain, keyword);
	return keyword;
}

/* "(a, b, c=d)" */
static bool parse_arguments(struct expr *e, struct chain *chain)
{
	if (!expect(e, T_LPAREN))
		return false;
	while (e->token != T_RPAREN) {
		if (chain->first && !expect(e, T_COMMA))
			return false;
		if (e->token == T_RPAREN)
			break;
		if (!parse_argument(e, chain))
			return false;
	}
	return expr_next(e);
}

/* One of the three places of "a[from:to:step]", NULL where it is empty. */
static bool slice_part(struct expr *e, struct expr_node **ret)
{
	*ret = NULL;
	if (e->token == T_COLON || e->token == T_RBRACKET || e->token == T_COMMA)
		return true;
	*ret = parse_expression(e);
	return *ret;
}

static struct expr_node *parse_subscript(struct expr *e, struct expr_node *object)
{
	struct expr_node *from = NULL, *to = NULL, *by = NULL, *slice;

	if (!expr_next(e))
		return NULL;
	if (e->token == T_RBRACKET) /* a[]: an empty tuple as index */
		return expr_next(e) ? new_node(e, E_ITEM, object, new_node(e, E_TUPLE, NULL, NULL)) : NULL;
	if (!slice_part(e, &from))
		return NULL;
	if (e->token != T_COLON)
		return expect(e, T_RBRACKET) ? new_node(e, E_ITEM, object, from) : NULL;
	if (!expr_next(e) || !slice_part(e, &to))
		return NULL;
	if (e->token == T_COLON && (!expr_next(e) || !slice_part(e, &by)))
		return NULL;
	if (!expect(e, T_RBRACKET))
		return NULL;
	slice = new_node(e, E_SLICE, from, to);
	if (!slice)
		return NULL;
	slice->c = by;
	slice->height = MAX(slice->height, (uint16_t)(by ? by->height + 1 : 1));
	return new_node(e, E_ITEM, object, slice);
}

static struct expr_node *parse_attribute(struct expr *e, struct expr_node *object)
{
	struct expr_node *node;

	if (!expr_next(e))
		return NULL;
	if (e->token == T_NAME)
		node = named(e, E_ATTR, object, e->token_text, e->token_len);
	else if (e->token == T_INTEGER)
		node = new_node(e, E_ITEM, object, constant(e, e->token_value));
	else
		return expr_next(e) ? (expr_set_error(e, "expected name or number"), NULL) : NULL;
	return node && expr_next(e) ? node : NULL;
}

static struct expr_node *parse_call(struct expr *e, struct expr_node *object)
{
	struct chain chain = { 0 };

	return parse_arguments(e, &chain) ? with_chain(e, E_CALL, object, &chain) : NULL;
}

static struct expr_node *parse_postfix(struct expr *e, struct expr_node *node)
{
	while (node) {
		if (e->token == T_DOT)
			node = parse_attribute(e, node);
		else if (e->token == T_LBRACKET)
			node = parse_subscript(e, node);
		else if (e->token == T_LPAREN)
			node = parse_call(e, node);
		else
			break;
	}
	return node;
}

/* The name of a filter or test, dots and all. */
static bool parse_dotted(struct expr *e, const char **ret, uint32_t *ret_len)
{
	_cleanup_buf_ struct buf name = BUF_INIT;
	struct value text;

	*ret = e->token_text;
	*ret_len = e->token_len;
	if (!expect(e, T_NAME))
		return false;
	if (e->token != T_DOT)
		return true;
	buf_add(&name, *ret, *ret_len);
	while (e->token == T_DOT) {
		if (!expr_next(e))
			return false;
		buf_addc(&name, '.');
		buf_add(&name, e->token_text, e->token_len);
		if (!expect(e, T_NAME))
			return false;
	}
	if (!expr_text(e, buf_text(&name), name.len, &text))
		return false;
	*ret = text.text;
	*ret_len = text.len;
	return true;
}

static struct expr_node *parse_filter(struct expr *e, struct expr_node *value)
{
	struct chain chain = { 0 };
	struct expr_node *node;
	const char *name;
	uint32_t len;

	if (!expr_next(e) || !parse_dotted(e, &name, &len))
		return NULL;
	if (e->token == T_LPAREN && !parse_arguments(e, &chain))
		return NULL;
	node = with_chain(e, E_FILTER, value, &chain);
	if (node) {
		node->text = name;
		node->len = len;
	}
	return node;
}

/* A test without parentheses may take one primary as its argument: "x is eq 3". */
static bool takes_argument(const struct expr *e)
{
	if (e->token == T_NAME)
		return !is_word(e, "else") && !is_word(e, "or") && !is_word(e, "and");
	return e->token == T_STRING || e->token == T_INTEGER || e->token == T_FLOAT || e->token == T_LBRACKET ||
	       e->token == T_LBRACE;
}

static struct expr_node *parse_test(struct expr *e, struct expr_node *value)
{
	struct chain chain = { 0 };
	struct expr_node *node, *argument;
	const char *name;
	uint32_t len;
	bool negated;

	if (!expr_next(e))
		return NULL;
	negated = is_word(e, "not");
	if (negated && !expr_next(e))
		return NULL;
	if (!parse_dotted(e, &name, &len))
		return NULL;
	if (e->token == T_LPAREN) {
		if (!parse_arguments(e, &chain))
			return NULL;
	} else if (takes_argument(e)) {
		if (is_word(e, "is"))
			return expr_set_error(e, "You cannot chain multiple tests with is"), NULL;
		argument = parse_primary(e);
		argument = argument ? parse_postfix(e, argument) : NULL;
		if (!argument)
			return NULL;
		link_node(&chain, argument);
	}
	node = with_chain(e, E_TEST, value, &chain);
	if (!node)
		return NULL;
	node->text = name;
	node->len = len;
	return negated ? new_node(e, E_NOT, node, NULL) : node;
}

/* ---- Operators, tightest first ---- */

static struct expr_node *parse_unary_inner(struct expr *e, bool with_filter)
{
	struct expr_node *node;

	if (e->token == T_SUB || e->token == T_ADD) {
		enum expr_op op = e->token == T_SUB ? E_NEG : E_POS;
		node = expr_next(e) ? parse_unary(e, false) : NULL;
		node = node ? new_node(e, op, node, NULL) : NULL;
	} else {
		node = parse_primary(e);
	}
	node = node ? parse_postfix(e, node) : NULL;
	while (node && with_filter) {
		if (e->token == T_PIPE)
			node = parse_filter(e, node);
		else if (is_word(e, "is"))
			node = parse_test(e, node);
		else if (e->token == T_LPAREN)
			node = parse_call(e, node);
		else
			break;
	}
	return node;
}

static struct expr_node *parse_unary(struct expr *e, bool with_filter)
{
	struct expr_node *node;

	if (++e->depth > EXPR_MAX_DEPTH)
		return expr_set_error(e, "the expression is nested too deeply"), NULL;
	node = parse_unary_inner(e, with_filter);
	e->depth--;
	return node;
}

/* Left-associative operators of one precedence. */
struct level {
	struct { enum expr_token token; enum expr_op op; } operators[4];
	unsigned count;
};
static const struct level levels[] = {
	{ { { T_ADD, E_ADD }, { T_SUB, E_SUB } }, 2 },
	{ { { T_TILDE, E_CONCAT } }, 1 },
	{ { { T_MUL, E_MUL }, { T_DIV, E_DIV }, { T_FLOORDIV, E_FLOORDIV }, { T_MOD, E_MOD } }, 4 },
	{ { { T_POW, E_POW } }, 1 },
};

static const enum expr_op *find_operator(const struct level *level, enum expr_token token)
{
	for (unsigned i = 0; i < level->count; i++)
		if (level->operators[i].token == token)
			return &level->operators[i].op;
	return NULL;
}

static struct expr_node *parse_level(struct expr *e, unsigned l)
{
	struct expr_node *left = l < ARRAY_SIZE(levels) ? parse_level(e, l + 1) : parse_unary(e, true), *right;
	const enum expr_op *op;

	while (left && l < ARRAY_SIZE(levels) && (op = find_operator(&levels[l], e->token))) {
		right = expr_next(e) ? parse_level(e, l + 1) : NULL;
		left = right ? new_node(e, *op, left, right) : NULL;
	}
	return left;
}

/* Is the next token `in`?  Looked up in the text: tokens are cut one at a time. */
static bool in_follows(const struct expr *e)
{
	size_t at = e->at;

	while (at < e->len && (e->text[at] == ' ' || (e->text[at] >= '\t' && e->text[at] <= '\r')))
		at++;
	return at + 2 <= e->len && memcmp(e->text + at, "in", 2) == 0 &&
	       !(at + 2 < e->len && (e->text[at + 2] == '_' || (e->text[at + 2] >= '0' && e->text[at + 2] <= '9') ||
				     ((e->text[at + 2] | 0x20) >= 'a' && (e->text[at + 2] | 0x20) <= 'z')));
}

static bool parse_relation(struct expr *e, enum expr_relation *ret)
{
	static const struct { enum expr_token token; enum expr_relation relation; } table[] = {
		{ T_EQ, R_EQ }, { T_NE, R_NE }, { T_LT, R_LT }, { T_LTEQ, R_LTEQ }, { T_GT, R_GT }, { T_GTEQ, R_GTEQ },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (e->token == table[i].token)
			return *ret = table[i].relation, expr_next(e);
	if (is_word(e, "in"))
		return *ret = R_IN, expr_next(e);
	if (is_word(e, "not") && in_follows(e))
		return *ret = R_NOTIN, expr_next(e) && expr_next(e);
	return false;
}

static struct expr_node *parse_compare(struct expr *e)
{
	struct expr_node *first = parse_level(e, 0), *operand;
	struct chain chain = { 0 };
	enum expr_relation relation;

	while (first && parse_relation(e, &relation)) {
		operand = parse_level(e, 0);
		if (!operand)
			return NULL;
		operand->relation = relation;
		link_node(&chain, operand);
	}
	if (!first || e->failed)
		return NULL;
	return chain.first ? with_chain(e, E_COMPARE, first, &chain) : first;
}

static struct expr_node *parse_not(struct expr *e)
{
	struct expr_node *node;

	if (!is_word(e, "not"))
		return parse_compare(e);
	if (++e->depth > EXPR_MAX_DEPTH)
		return expr_set_error(e, "the expression is nested too deeply"), NULL;
	node = expr_next(e) ? parse_not(e) : NULL;
	e->depth--;
	return node ? new_node(e, E_NOT, node, NULL) : NULL;
}

static struct expr_node *parse_and(struct expr *e)
{
	struct expr_node *left = parse_not(e), *right;

	while (left && is_word(e, "and")) {
		right = expr_next(e) ? parse_not(e) : NULL;
		left = right ? new_node(e, E_AND, left, right) : NULL;
	}
	return left;
}

static struct expr_node *parse_or(struct expr *e)
{
	struct expr_node *left = parse_and(e), *right;

	while (left && is_word(e, "or")) {
		right = expr_next(e) ? parse_and(e) : NULL;
		left = right ? new_node(e, E_OR, left, right) : NULL;
	}
	return left;
}

/* "a if b else c": a is the node's a, b its b, c its c. */
static struct expr_node *parse_expression(struct expr *e)
{
	struct expr_node *node = parse_or(e), *condition, *other;

	while (node && is_word(e, "if")) {
		condition = expr_next(e) ? parse_or(e) : NULL;
		if (!condition)
			return NULL;
		other = NULL;
		if (is_word(e, "else")) {
			if (++e->depth > EXPR_MAX_DEPTH)
				return expr_set_error(e, "the expression is nested too deeply"), NULL;
			other = expr_next(e) ? parse_expression(e) : NULL;
			e->depth--;
			if (!other)
				return NULL;
		}
		node = new_node(e, E_IF, node, condition);
		if (node)
			node->c = other;
		if (node && other)
			node->height = MAX(node->height, (uint16_t)(other->height + 1));
	}
	return node;
}

/* The tag itself takes no inline `if`, but a tuple without parentheses. */
struct expr_node *expr_parse(struct expr *e)
{
	struct chain chain = { 0 };
	struct expr_node *node;
	bool tuple = false;

	if (!expr_next(e))
		return NULL;
	if (e->token == T_END)
		return fail_here(e, "Expected an expression, got ");
	for (;;) {
		node = parse_or(e);
		if (!node)
			return NULL;
		link_node(&chain, node);
		if (e->token != T_COMMA)
			break;
		tuple = true;
		if (!expr_next(e))
			return NULL;
		if (e->token == T_END)
			break;
	}
	if (e->token == T_COLON && !expr_next(e)) /* "{% if a: %}" is allowed */
		return NULL;
	if (!expect(e, T_END))
		return NULL;
	if (e->at < e->len) /* a "%}" of the expression's own: the template goes on behind it */
		return expr_set_error(e, "Encountered unknown tag 'else'."), NULL;
	return tuple ? with_chain(e, E_TUPLE, NULL, &chain) : chain.first;
}
