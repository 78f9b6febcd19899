/* A backtracking matcher: the pattern becomes a little program, branches that wait stand on a stack. */
#include "base/pattern.h"

#include <stdlib.h>
#include <string.h>

#include "base/pattern_internal.h"

enum { STEPS_MAX = 1000000, SLOTS_MAX = 2 * PATTERN_GROUPS + PATTERN_MARKS };

struct frame { /* a branch to take when this way fails, or what a slot was before */
	bool undo;
	uint32_t pc; /* or slot */
	size_t at;   /* or its value */
};

struct run {
	const struct pattern *pattern;
	const char *text;
	size_t len, steps;
	size_t slots[SLOTS_MAX];
	struct frame *stack;
	size_t depth, cap;
};

static void push(struct run *run, bool undo, uint32_t pc, size_t at)
{
	run->stack = util_grow(run->stack, &run->cap, run->depth + 1, sizeof *run->stack);
	run->stack[run->depth++] = (struct frame){ undo, pc, at };
}

static void set_slot(struct run *run, uint32_t slot, size_t value)
{
	push(run, true, slot, run->slots[slot]);
	run->slots[slot] = value;
}

/* ---- characters ---- */

size_t pattern_char(const char *text, size_t left, uint32_t *ret)
{
	unsigned char c = (unsigned char)*text;
	size_t width = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	*ret = c;
	if (width == 1 || width > left)
		return 1;
	*ret = c & (0x7fu >> width);
	for (size_t i = 1; i < width; i++)
		*ret = *ret << 6 | ((unsigned char)text[i] & 0x3f);
	return width;
}

static size_t char_before(const struct run *run, size_t at)
{
	do
		at--;
	while (at && ((unsigned char)run->text[at] & 0xc0) == 0x80);
	return at;
}

static bool is_word(uint32_t c)
{
	return c >= 0x80 || c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static bool is_space(uint32_t c)
{
	return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f) || c == 0x85 || c == 0xa0;
}

bool pattern_in_class(char name, uint32_t c)
{
	switch (name) {
	case 'd': return c >= '0' && c <= '9';
	case 'D': return !(c >= '0' && c <= '9');
	case 'w': return is_word(c);
	case 'W': return !is_word(c);
	case 's': return is_space(c);
	default: return !is_space(c); /* S */
	}
}

static uint32_t fold(const struct pattern *pattern, uint32_t c)
{
	return pattern->ignore_case && c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static bool in_set(const struct pattern *pattern, const struct pattern_inst *inst, uint32_t c)
{
	for (uint32_t i = inst->a; i < inst->b; i++) {
		const struct pattern_range *range = &pattern->ranges[i];

		if (range->class ? pattern_in_class(range->class, c) :
				   (c >= range->from && c <= range->to) ||
					   (fold(pattern, c) != c && fold(pattern, c) >= range->from && fold(pattern, c) <= range->to) ||
					   (pattern->ignore_case && c >= 'a' && c <= 'z' && c - 32 >= range->from && c - 32 <= range->to))
			return !inst->negative;
	}
	return inst->negative;
}

/* One character at *at, if the instruction takes it. */
static bool take(struct run *run, const struct pattern_inst *inst, size_t *at)
{
	uint32_t c;
	size_t width;

	if (*at >= run->len)
		return false;
	width = pattern_char(run->text + *at, run->len - *at, &c);
	if (inst->op == PATTERN_CHAR ? fold(run->pattern, c) != fold(run->pattern, inst->a) :
	    inst->op == PATTERN_SET  ? !in_set(run->pattern, inst, c) :
				       c == '\n' && !run->pattern->dot_all)
		return false;
	*at += width;
	return true;
}

static bool word_at(const struct run *run, size_t at)
{
	uint32_t c;

	if (at >= run->len)
		return false;
	pattern_char(run->text + at, run->len - at, &c);
	return is_word(c);
}

/* Conditions that take nothing. */
static bool holds(const struct run *run, const struct pattern_inst *inst, size_t at)
{
	bool multi = run->pattern->multi_line;

	if (inst->op == PATTERN_START)
		return at == 0 || (inst->a && multi && run->text[at - 1] == '\n');
	if (inst->op == PATTERN_END)
		return at == run->len || (inst->a && run->text[at] == '\n' && (multi || at + 1 == run->len));
	if (!run->len) /* PATTERN_WORD; Python's \B, too, finds nothing in nothing */
		return false;
	return ((at > 0 && word_at(run, char_before(run, at))) != word_at(run, at)) != inst->negative;
}

static bool take_group(const struct run *run, uint32_t group, size_t *at)
{
	size_t from = run->slots[2 * group], to = run->slots[2 * group + 1];

	if (from == SIZE_MAX || to == SIZE_MAX || to - from > run->len - *at ||
	    memcmp(run->text + from, run->text + *at, to - from) != 0)
		return false;
	*at += to - from;
	return true;
}

/* ---- the program ---- */

static bool match_from(struct run *run, uint32_t pc, size_t at, size_t *end);

/* A look ahead or behind: what it captured stays, its other branches are forgotten. */
static bool look(struct run *run, uint32_t pc, size_t at)
{
	const struct pattern_inst *inst = &run->pattern->code[pc];
	size_t base = run->depth, kept = base, end;
	bool found;

	for (uint32_t i = 0; inst->op == PATTERN_BEHIND && i < inst->b; i++) {
		if (at == 0)
			return inst->negative;
		at = char_before(run, at);
	}
	found = match_from(run, pc + 1, at, &end);
	for (size_t i = base; i < run->depth; i++)
		if (run->stack[i].undo)
			run->stack[kept++] = run->stack[i];
	run->depth = kept;
	return found != inst->negative;
}

/* Runs one instruction; false if this way ends here. */
static bool step(struct run *run, uint32_t *pc, size_t *at)
{
	const struct pattern_inst *inst = &run->pattern->code[*pc];
	uint32_t next = *pc + 1;

	switch (inst->op) {
	case PATTERN_CHAR:
	case PATTERN_ANY:
	case PATTERN_SET:
		if (!take(run, inst, at))
			return false;
		break;
	case PATTERN_SPLIT:
		push(run, false, *pc + inst->b, *at);
		next = *pc + inst->a;
		break;
	case PATTERN_JUMP:
		next = *pc + inst->a;
		break;
	case PATTERN_SAVE:
		set_slot(run, inst->a, *at);
		break;
	case PATTERN_PROGRESS: /* a repeat that took nothing is the last: on behind the jump back */
		next += run->slots[inst->a] == *at;
		break;
	case PATTERN_BACK:
		if (!take_group(run, inst->a, at))
			return false;
		break;
	case PATTERN_AHEAD:
	case PATTERN_BEHIND:
		if (!look(run, *pc, *at))
			return false;
		next = *pc + inst->a;
		break;
	case PATTERN_START:
	case PATTERN_END:
	case PATTERN_WORD:
		if (!holds(run, inst, *at))
			return false;
		break;
	case PATTERN_MATCH:
		break;
	}
	*pc = next;
	return true;
}

static bool match_from(struct run *run, uint32_t pc, size_t at, size_t *end)
{
	size_t base = run->depth;

	while (run->steps++ < STEPS_MAX) {
		if (run->pattern->code[pc].op == PATTERN_MATCH) {
			*end = at;
			return true;
		}
		if (step(run, &pc, &at))
			continue;
		for (;;) {
			struct frame frame;

			if (run->depth == base)
				return false;
			frame = run->stack[--run->depth];
			if (frame.undo) {
				run->slots[frame.pc] = frame.at;
				continue;
			}
			pc = frame.pc;
			at = frame.at;
			break;
		}
	}
	return false;
}

bool pattern_search(const struct pattern *pattern, const char *text, size_t from, struct pattern_match *ret)
{
	struct run run = { .pattern = pattern, .text = text, .len = strlen(text) };
	bool found = false;

	for (size_t at = from; !found && at <= run.len && run.steps < STEPS_MAX; at++) {
		size_t end;

		if (at < run.len && ((unsigned char)text[at] & 0xc0) == 0x80)
			continue;
		memset(run.slots, 0xff, sizeof run.slots);
		run.depth = 0;
		found = match_from(&run, 0, at, &end);
		if (found) {
			run.slots[0] = at;
			run.slots[1] = end;
		}
	}
	for (size_t i = 0; found && i < PATTERN_GROUPS; i++) {
		bool whole = run.slots[2 * i] != SIZE_MAX && run.slots[2 * i + 1] != SIZE_MAX;

		ret->from[i] = whole ? run.slots[2 * i] : SIZE_MAX;
		ret->to[i] = whole ? run.slots[2 * i + 1] : SIZE_MAX;
	}
	free(run.stack);
	return found;
}

size_t pattern_groups(const struct pattern *pattern)
{
	return pattern->groups;
}

void pattern_free(struct pattern *pattern)
{
	if (!pattern)
		return;
	free(pattern->code);
	free(pattern->ranges);
	free(pattern);
}
