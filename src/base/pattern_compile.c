/* From a pattern's text to its program. */
#include <stdlib.h>
#include <string.h>

#include "base/pattern_internal.h"

enum { TEXT_MAX = 1024, CODE_MAX = 8192, REPEAT_MAX = 255, NESTING_MAX = 50, NAME_MAX_BYTES = 40, VARIABLE = -1 };

struct compiler {
	struct pattern *pattern;
	const char *at;
	unsigned nesting;
	uint32_t marks;
	bool bad;
	struct {
		const char *name;
		size_t len;
	} names[PATTERN_GROUPS];
};

static int parse_alternatives(struct compiler *c);

static int fail(struct compiler *c)
{
	c->bad = true;
	return 0;
}

static size_t emit(struct compiler *c, enum pattern_op op, bool negative, uint32_t a, uint32_t b)
{
	struct pattern *pattern = c->pattern;

	if (pattern->count >= CODE_MAX)
		c->bad = true;
	else
		pattern->code = util_grow(pattern->code, &pattern->cap, pattern->count + 1, sizeof *pattern->code);
	if (!c->bad)
		pattern->code[pattern->count++] = (struct pattern_inst){ op, negative, a, b };
	return pattern->count ? pattern->count - 1 : 0;
}

/* Puts one instruction before what begins at start: distances within that stay what they are. */
static void insert(struct compiler *c, size_t start, enum pattern_op op, uint32_t a, uint32_t b)
{
	struct pattern *pattern = c->pattern;

	emit(c, op, false, a, b);
	if (c->bad)
		return;
	memmove(pattern->code + start + 1, pattern->code + start, (pattern->count - 1 - start) * sizeof *pattern->code);
	pattern->code[start] = (struct pattern_inst){ op, false, a, b };
}

static bool accept(struct compiler *c, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(c->at, word, len) != 0)
		return false;
	c->at += len;
	return true;
}

/* ---- sets and escapes ---- */

static void add_range(struct compiler *c, char class, uint32_t from, uint32_t to)
{
	struct pattern *pattern = c->pattern;

	pattern->ranges = util_grow(pattern->ranges, &pattern->range_cap, pattern->range_count + 1, sizeof *pattern->ranges);
	pattern->ranges[pattern->range_count++] = (struct pattern_range){ class, from, to };
}

static uint32_t next_char(struct compiler *c)
{
	uint32_t ret = 0;

	if (!*c->at)
		c->bad = true;
	else
		c->at += pattern_char(c->at, strlen(c->at), &ret);
	return ret;
}

static uint32_t hex(struct compiler *c, int digits)
{
	uint32_t ret = 0;

	for (; digits > 0 && !c->bad; digits--) {
		const char *found = *c->at ? strchr("0123456789abcdef", *c->at | 32) : NULL;

		if (!found)
			c->bad = true;
		else
			ret = ret << 4 | (uint32_t)(found - "0123456789abcdef");
		c->at++;
	}
	return ret;
}

/* The character behind a backslash, where it stands for one. */
static uint32_t escaped(struct compiler *c)
{
	static const char names[] = "nrtfva", values[] = "\n\r\t\f\v\a";
	char name = *c->at;
	const char *found = name ? strchr(names, name) : NULL;

	if (found) {
		c->at++;
		return (uint32_t)values[found - names];
	}
	if (accept(c, "x"))
		return hex(c, 2);
	if (accept(c, "u"))
		return hex(c, 4);
	if ((name >= '0' && name <= '9') || ((name | 32) >= 'a' && (name | 32) <= 'z'))
		c->bad = true;
	return next_char(c);
}

static bool is_class(char c)
{
	return c && strchr("dDwWsS", c);
}

/* One end of a range; true if it was a class instead. */
static bool set_item(struct compiler *c, uint32_t *ret)
{
	if (!accept(c, "\\")) {
		*ret = next_char(c);
		return false;
	}
	if (is_class(*c->at)) {
		add_range(c, *c->at++, 0, 0);
		return true;
	}
	*ret = accept(c, "b") ? '\b' : escaped(c);
	return false;
}

static void parse_set(struct compiler *c)
{
	bool negative = accept(c, "^"), first = true;
	uint32_t start = (uint32_t)c->pattern->range_count, from, to;

	for (; !c->bad && (first || *c->at != ']'); first = false) {
		if (set_item(c, &from))
			continue;
		to = from;
		if (c->at[0] == '-' && c->at[1] && c->at[1] != ']') {
			c->at++;
			if (set_item(c, &to) || to < from)
				c->bad = true;
		}
		add_range(c, 0, from, to);
	}
	if (!accept(c, "]"))
		c->bad = true;
	emit(c, PATTERN_SET, negative, start, (uint32_t)c->pattern->range_count);
}

/* A backslash outside of sets; returns the width. */
static int parse_escape(struct compiler *c)
{
	char name = *c->at;

	if (is_class(name)) {
		add_range(c, *c->at++, 0, 0);
		emit(c, PATTERN_SET, false, (uint32_t)c->pattern->range_count - 1, (uint32_t)c->pattern->range_count);
		return 1;
	}
	if (name == 'A' || name == 'Z' || name == 'b' || name == 'B') {
		c->at++;
		emit(c, name == 'A' ? PATTERN_START : name == 'Z' ? PATTERN_END : PATTERN_WORD, name == 'B', 0, 0);
		return 0;
	}
	if (name >= '1' && name <= '9') {
		uint32_t group = (uint32_t)(*c->at++ - '0');

		if ((*c->at >= '0' && *c->at <= '9') || group > c->pattern->groups)
			return fail(c);
		emit(c, PATTERN_BACK, false, group, 0);
		return VARIABLE;
	}
	emit(c, PATTERN_CHAR, false, escaped(c), 0);
	return 1;
}

/* ---- groups ---- */

static size_t name_length(const struct compiler *c, char end)
{
	size_t len = strcspn(c->at, "()<>=! \t");

	return len && len <= NAME_MAX_BYTES && c->at[len] == end ? len : 0;
}

static int parse_named_back(struct compiler *c)
{
	size_t len = name_length(c, ')');

	for (uint32_t i = 1; len && i <= c->pattern->groups; i++)
		if (c->names[i].name && c->names[i].len == len && memcmp(c->names[i].name, c->at, len) == 0) {
			c->at += len + 1;
			emit(c, PATTERN_BACK, false, i, 0);
			return VARIABLE;
		}
	return fail(c);
}

static int parse_look(struct compiler *c, bool behind, bool negative)
{
	size_t start = emit(c, behind ? PATTERN_BEHIND : PATTERN_AHEAD, negative, 0, 0);
	int width = parse_alternatives(c);

	emit(c, PATTERN_MATCH, false, 0, 0);
	if (c->bad || (behind && width == VARIABLE) || !accept(c, ")"))
		return fail(c);
	c->pattern->code[start].a = (uint32_t)(c->pattern->count - start);
	c->pattern->code[start].b = (uint32_t)width;
	return 0;
}

static int parse_capture(struct compiler *c, size_t name_len)
{
	uint32_t group = (uint32_t)++c->pattern->groups;
	int width;

	if (group >= PATTERN_GROUPS)
		return fail(c);
	c->names[group].name = c->at;
	c->names[group].len = name_len;
	if (name_len)
		c->at += name_len + 1;
	emit(c, PATTERN_SAVE, false, 2 * group, 0);
	width = parse_alternatives(c);
	emit(c, PATTERN_SAVE, false, 2 * group + 1, 0);
	return accept(c, ")") ? width : fail(c);
}

static int parse_group(struct compiler *c)
{
	size_t len;
	int width;

	if (accept(c, "?:")) {
		width = parse_alternatives(c);
		return accept(c, ")") ? width : fail(c);
	}
	if (accept(c, "?=") || accept(c, "?!"))
		return parse_look(c, false, c->at[-1] == '!');
	if (accept(c, "?<=") || accept(c, "?<!"))
		return parse_look(c, true, c->at[-1] == '!');
	if (accept(c, "?P="))
		return parse_named_back(c);
	if (accept(c, "?#")) {
		c->at += strcspn(c->at, ")");
		return accept(c, ")") ? 0 : fail(c);
	}
	if (accept(c, "?P<"))
		return (len = name_length(c, '>')) ? parse_capture(c, len) : fail(c);
	return *c->at == '?' ? fail(c) : parse_capture(c, 0);
}

/* ---- what is repeated ---- */

static int parse_atom(struct compiler *c)
{
	if (accept(c, "("))
		return parse_group(c);
	if (accept(c, "[")) {
		parse_set(c);
		return 1;
	}
	if (accept(c, "\\"))
		return parse_escape(c);
	if (accept(c, ".")) {
		emit(c, PATTERN_ANY, false, 0, 0);
		return 1;
	}
	if (accept(c, "^")) {
		emit(c, PATTERN_START, false, 1, 0);
		return 0;
	}
	if (accept(c, "$")) {
		emit(c, PATTERN_END, false, 1, 0);
		return 0;
	}
	if (strchr("*+?", *c->at))
		return fail(c);
	emit(c, PATTERN_CHAR, false, next_char(c), 0);
	return 1;
}

static bool number(struct compiler *c, int *ret)
{
	const char *start = c->at;

	for (*ret = 0; *c->at >= '0' && *c->at <= '9' && *ret <= REPEAT_MAX; c->at++)
		*ret = *ret * 10 + (*c->at - '0');
	return c->at > start;
}

/* "{n,m}"; false, and nothing taken, if it is none: then the brace stands for itself. */
static bool parse_braces(struct compiler *c, int *min, int *max)
{
	const char *start = c->at;
	bool low, high = false;

	c->at++;
	low = number(c, min);
	*max = *min;
	if (accept(c, ",")) {
		high = number(c, max);
		if (!high)
			*max = VARIABLE;
	} else if (!low) {
		*max = -2;
	}
	if (*max == -2 || !accept(c, "}")) {
		c->at = start;
		return false;
	}
	if (*min > REPEAT_MAX || *max > REPEAT_MAX || (*max != VARIABLE && *max < *min))
		c->bad = true;
	return true;
}

static bool parse_quantifier(struct compiler *c, int *min, int *max)
{
	*min = 0;
	*max = VARIABLE;
	if (accept(c, "*"))
		return true;
	if (accept(c, "+")) {
		*min = 1;
		return true;
	}
	if (accept(c, "?")) {
		*max = 1;
		return true;
	}
	return *c->at == '{' && parse_braces(c, min, max);
}

static void copy(struct compiler *c, const struct pattern_inst *atom, size_t count)
{
	for (size_t i = 0; i < count; i++)
		emit(c, atom[i].op, atom[i].negative, atom[i].a, atom[i].b);
}

static void emit_split(struct compiler *c, uint32_t distance, bool lazy)
{
	emit(c, PATTERN_SPLIT, false, lazy ? distance : 1, lazy ? 1 : distance);
}

/* The atom at start, which is the last thing in the program, min to max times. */
static void repeat(struct compiler *c, size_t start, int min, int max, bool lazy)
{
	struct pattern *pattern = c->pattern;
	size_t count = pattern->count - start;
	struct pattern_inst *atom = xreallocarray(NULL, count + 1, sizeof *atom);
	uint32_t mark = 2 * PATTERN_GROUPS + c->marks;

	memcpy(atom, pattern->code + start, count * sizeof *atom);
	pattern->count = start;
	for (int i = 0; i < min; i++)
		copy(c, atom, count);
	if (max == VARIABLE) {
		if (c->marks++ >= PATTERN_MARKS)
			c->bad = true;
		emit_split(c, (uint32_t)count + 4, lazy);
		emit(c, PATTERN_SAVE, false, mark, 0);
		copy(c, atom, count);
		emit(c, PATTERN_PROGRESS, false, mark, 0);
		emit(c, PATTERN_JUMP, false, (uint32_t)-(int64_t)(count + 3), 0);
	}
	for (int i = min; i < max; i++) {
		emit_split(c, (uint32_t)((size_t)(max - i) * (count + 1)), lazy);
		copy(c, atom, count);
	}
	free(atom);
}

static int parse_piece(struct compiler *c)
{
	size_t start = c->pattern->count;
	int width = parse_atom(c), min, max;
	bool lazy;

	if (c->bad || !parse_quantifier(c, &min, &max))
		return width;
	lazy = accept(c, "?");
	if (c->bad || (*c->at && strchr("*+?", *c->at)))
		return fail(c); /* possessive, or twice */
	repeat(c, start, min, max, lazy);
	return width != VARIABLE && min == max ? width * min : VARIABLE;
}

static int parse_alternatives(struct compiler *c)
{
	size_t start = c->pattern->count, jump;
	int width = 0, other;

	if (++c->nesting > NESTING_MAX)
		return fail(c);
	while (!c->bad && *c->at && *c->at != '|' && *c->at != ')') {
		int piece = parse_piece(c);

		width = width == VARIABLE || piece == VARIABLE ? VARIABLE : width + piece;
	}
	if (!c->bad && accept(c, "|")) {
		insert(c, start, PATTERN_SPLIT, 1, (uint32_t)(c->pattern->count - start) + 2);
		jump = emit(c, PATTERN_JUMP, false, 0, 0);
		other = parse_alternatives(c);
		if (!c->bad)
			c->pattern->code[jump].a = (uint32_t)(c->pattern->count - jump);
		width = width == other ? width : VARIABLE;
	}
	c->nesting--;
	return width;
}

static void parse_flags(struct compiler *c)
{
	size_t len;

	if (c->at[0] != '(' || c->at[1] != '?')
		return;
	len = strspn(c->at + 2, "aimsu");
	if (!len || c->at[2 + len] != ')')
		return;
	for (size_t i = 0; i < len; i++) {
		c->pattern->ignore_case |= c->at[2 + i] == 'i';
		c->pattern->multi_line |= c->at[2 + i] == 'm';
		c->pattern->dot_all |= c->at[2 + i] == 's';
	}
	c->at += len + 3;
}

struct pattern *pattern_new(const char *text)
{
	struct pattern *pattern;
	struct compiler c = { .at = text };

	if (strlen(text) > TEXT_MAX)
		return NULL;
	pattern = xcalloc(1, sizeof *pattern);
	c.pattern = pattern;
	parse_flags(&c);
	parse_alternatives(&c);
	emit(&c, PATTERN_MATCH, false, 0, 0);
	if (!c.bad && !*c.at)
		return pattern;
	pattern_free(pattern);
	return NULL;
}
