/* base/suggest.h: "did you mean".
 *
 * The measure is the one of Python's difflib.get_close_matches, which click uses for the peer's own suggestions: twice
 * the characters in matching blocks over all characters, at least 0.6, the best three.  Pure; any process.
 */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

#include "base/buf.h"

#define SUGGEST_MAX 3

struct suggest {
	const char *word;               /* what was written; not owned */
	const char *items[SUGGEST_MAX]; /* best first; not owned */
	double scores[SUGGEST_MAX];
	size_t count;
};

/* word stays alive as long as suggest is used. */
void suggest_init(struct suggest *suggest, const char *word);
/* Considers one candidate (kept alive by the caller if it may be among the best).  Words of more than 199 bytes are
 * never suggested.  Cheap for most candidates: lengths and letters are compared first. */
void suggest_offer(struct suggest *suggest, const char *candidate);
/* Adds "Did you mean 'x'?" or "(Did you mean one of: 'x', 'y'?)" to out, nothing if nothing is close. */
void suggest_format(const struct suggest *suggest, struct buf *out);
/* The similarity of a and b, 0 to 1. */
double suggest_ratio(const char *a, size_t a_len, const char *b, size_t b_len);

#endif
