/* yaml/expr_internal.h: one expression on its way from text to truth: tokens, tree, values. */
#ifndef YAML_EXPR_INTERNAL_H
#define YAML_EXPR_INTERNAL_H

#include "yaml/expr.h"
#include "yaml/yaml_internal.h"

enum {
	EXPR_MAX_DEPTH = 200,        /* nesting of parentheses and the like */
	EXPR_MAX_HEIGHT = 1000,      /* of the tree: "a or b or c ..." makes it high, too */
	EXPR_MAX_ITEMS = 1 << 16,    /* of a list that an operator makes */
	EXPR_MAX_TEXT = 1 << 20,     /* bytes of a text that an operator makes */
	EXPR_SMALL_BYTES = 4096,     /* most expressions need no more, and so no arena */
};

enum expr_token {
	T_NAME, T_INTEGER, T_FLOAT, T_STRING, T_END,
	T_ADD, T_SUB, T_DIV, T_FLOORDIV, T_MUL, T_MOD, T_POW, T_TILDE, T_LBRACKET, T_RBRACKET, T_LPAREN, T_RPAREN,
	T_LBRACE, T_RBRACE, T_EQ, T_NE, T_GT, T_GTEQ, T_LT, T_LTEQ, T_ASSIGN, T_DOT, T_COLON, T_PIPE, T_COMMA,
	T_SEMICOLON,
};

enum value_type {
	V_NONE, V_BOOL, V_INT, V_FLOAT, V_TEXT, V_LIST, V_TUPLE,
	V_MAP,       /* items are key, value, key, value ... */
	V_ITER,      /* a generator: always true, has no length */
	V_UNDEFINED, /* text says why: whoever uses it fails with that */
	V_VOID,      /* `a if false`: undefined, but lenient */
	V_METHOD,    /* text is its name, items[0] its object */
};

struct value {
	enum value_type type;
	uint32_t len;             /* bytes or items */
	union {
		bool boolean;
		int64_t integer;
		double real;
		const char *text;
		const struct value *items;
	};
	const struct value *self; /* of V_METHOD */
};

enum expr_op {
	E_CONST, E_NAME, E_LIST, E_TUPLE, E_MAP, E_OR, E_AND, E_NOT, E_IF, E_COMPARE, E_ADD, E_SUB, E_MUL, E_DIV, E_FLOORDIV,
	E_MOD, E_POW, E_CONCAT, E_NEG, E_POS, E_ATTR, E_ITEM, E_SLICE, E_CALL, E_FILTER, E_TEST, E_KEYWORD,
};

enum expr_relation { R_EQ, R_NE, R_LT, R_LTEQ, R_GT, R_GTEQ, R_IN, R_NOTIN };

struct expr_node {
	enum expr_op op;
	uint16_t height;
	enum expr_relation relation; /* of an operand of E_COMPARE */
	const char *text;            /* name of E_NAME, E_ATTR, E_FILTER, E_TEST, E_KEYWORD */
	uint32_t len;
	struct value value;          /* of E_CONST */
	struct expr_node *a, *b, *c; /* children; a may be NULL in E_SLICE */
	struct expr_node *next;      /* in a list of items, operands or arguments, which starts at the parent's b */
};

struct expr {
	const char *text;        /* the expression */
	size_t len, at;          /* at: where the next token begins */
	const struct yaml_options *options;
	struct buf error;        /* why it failed, as Jinja2 or Python say it */
	bool failed;
	unsigned depth;
	enum expr_token token;   /* the current one */
	const char *token_text;  /* its source text; of a string the value */
	uint32_t token_len;
	struct value token_value; /* of numbers and strings */
	char brackets[EXPR_MAX_DEPTH];
	unsigned bracket_count;
	struct arena arena;      /* what does not fit in small */
	size_t small_used;
	_Alignas(16) char small[EXPR_SMALL_BYTES];
};

/* Zeroed memory that lives as long as the expression. */
void *expr_alloc(struct expr *e, size_t size_bytes);
/* Notes the first failure. */
void expr_set_error(struct expr *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The same as a value, so that every reader (analysers too) sees that it is false. */
#define expr_fail(...) (expr_set_error(__VA_ARGS__), false)

/* Goes to the next token; false on an error. */
bool expr_next(struct expr *e);
/* "'and'", "end of statement block": how Jinja2 calls a token type, without quotes. */
const char *expr_token_name(enum expr_token token);
/* The current token as error messages show it. */
void expr_describe(struct expr *e, struct buf *out);

/* The tree of the whole expression, or NULL. */
struct expr_node *expr_parse(struct expr *e);

bool expr_eval_node(struct expr *e, const struct expr_node *node, struct value *ret);
bool expr_truth(struct expr *e, const struct value *value, bool *ret);
bool expr_equal(struct expr *e, const struct value *a, const struct value *b, bool *ret);
bool expr_relate(struct expr *e, enum expr_relation relation, const struct value *a, const struct value *b, bool *ret);
bool expr_attribute(struct expr *e, const struct value *object, const char *name, size_t len, struct value *ret);
bool expr_subscript(struct expr *e, const struct value *object, const struct value *index, struct value *ret);
bool expr_slice(struct expr *e, const struct value *object, const struct value *from, const struct value *to,
		const struct value *step, struct value *ret);
bool expr_arithmetic(struct expr *e, enum expr_op op, const struct value *a, const struct value *b, struct value *ret);

/* One call of a filter, test or method. */
struct expr_call {
	const char *name;
	const struct value *value, *args;
	uint32_t count;
};
typedef bool expr_call_fn(struct expr *e, const struct expr_call *call, struct value *ret);
static inline bool expr_wrong_count(struct expr *e, const struct expr_call *call)
{
	return expr_fail(e, "wrong number of arguments for '%s'", call->name);
}
/* The value as str() gives it. */
bool expr_as_text(struct expr *e, const struct value *value, struct value *ret);
/* The argument of a strip: the characters it takes, NULL for blanks. */
bool expr_strip_chars(struct expr *e, const struct expr_call *call, const struct value **ret);
/* Takes from which ends? */
void expr_strip(const struct value *value, const struct value *chars, bool left, bool right, struct value *ret);
bool expr_join(struct expr *e, const struct value *glue, const struct value *list, bool texts_only, struct value *ret);
/* Filters that are methods, too. */
expr_call_fn expr_lower, expr_upper, expr_capitalize, expr_title, expr_replace;
bool expr_is_filter(const char *name, size_t len);

bool expr_filter(struct expr *e, const char *name, size_t len, const struct value *value, const struct value *args,
		 uint32_t count, struct value *ret);
bool expr_test(struct expr *e, const char *name, size_t len, const struct value *value, const struct value *args,
	       uint32_t count, bool *ret);
bool expr_method(struct expr *e, const struct value *method, const struct value *args, uint32_t count,
		 struct value *ret);
bool expr_has_method(const char *name, size_t len);

/* Items to walk over: those of a list, tuple or iterator, keys of a map, characters of a text. */
bool expr_items(struct expr *e, const struct value *value, const struct value **ret, uint32_t *ret_count);
/* Python's str() (or repr()) of a value, added to out. */
bool expr_str(struct expr *e, const struct value *value, bool repr, struct buf *out);
const char *expr_type_name(const struct value *value);
/* A text value with a copy of text. */
bool expr_text(struct expr *e, const char *text, size_t len, struct value *ret);
/* Fails with the reason of an undefined value; true for any other. */
bool expr_defined(struct expr *e, const struct value *value);
/* Characters of UTF-8 text, and the byte where character n begins. */
uint32_t expr_chars(const char *text, size_t len);
size_t expr_char_at(const char *text, size_t len, uint32_t n);
bool expr_name_is(const char *name, size_t len, const char *what);

static inline bool expr_is_number(const struct value *v)
{
	return v->type == V_BOOL || v->type == V_INT || v->type == V_FLOAT;
}
static inline bool expr_is_sequence(const struct value *v)
{
	return v->type == V_LIST || v->type == V_TUPLE;
}
static inline int64_t expr_integer(const struct value *v)
{
	return v->type == V_BOOL ? v->boolean : v->integer;
}
static inline double expr_real(const struct value *v)
{
	return v->type == V_FLOAT ? v->real : (double)expr_integer(v);
}

#endif
