/* base/pattern_internal.h: the program that a pattern is compiled to. */
#ifndef BASE_PATTERN_INTERNAL_H
#define BASE_PATTERN_INTERNAL_H

#include "base/pattern.h"

enum { PATTERN_MARKS = 64 }; /* repeats that could take nothing */

enum pattern_op {
	PATTERN_CHAR,     /* a: the code point */
	PATTERN_ANY,
	PATTERN_SET,      /* ranges a to b */
	PATTERN_SPLIT,    /* on at +a; at +b if that fails */
	PATTERN_JUMP,     /* +a */
	PATTERN_SAVE,     /* slot a: the position */
	PATTERN_PROGRESS, /* skips what follows if nothing was taken since slot a was saved */
	PATTERN_START,    /* ^ (a: lines count), \A */
	PATTERN_END,      /* $ (a: lines count), \Z */
	PATTERN_WORD,     /* \b */
	PATTERN_BACK,     /* the text of group a */
	PATTERN_AHEAD,    /* the program up to PATTERN_MATCH; goes on at +a */
	PATTERN_BEHIND,   /* the same, b characters before */
	PATTERN_MATCH,
};

struct pattern_inst {
	enum pattern_op op;
	bool negative;
	uint32_t a, b; /* distances may go back: they wrap around */
};

struct pattern_range {
	char class; /* 'd' and so on, or 0: */
	uint32_t from, to;
};

struct pattern {
	struct pattern_inst *code;
	size_t count, cap;
	struct pattern_range *ranges;
	size_t range_count, range_cap;
	size_t groups;
	bool ignore_case, dot_all, multi_line;
};

/* One character of UTF-8; bytes that are none count as themselves.  Returns its bytes. */
size_t pattern_char(const char *text, size_t left, uint32_t *ret);
bool pattern_in_class(char name, uint32_t c);

#endif
