/* base/pattern.h: regular expressions in Python's language, as projects write them to find versions.
 *
 *   . [a-z] [^..] \d \w \s \b \D \W \S \B \A \Z ^ $ | (..) (?:..) (?P<name>..) (?P=name) \1 (?=..) (?!..) (?<=..) (?<!..)
 *   * + ? {n} {n,} {n,m}, each also lazy; (?ims) at the beginning; (?#..)
 * The first alternative that leads to a match counts, not the longest.  Characters are Unicode code points; \d and the cases
 * of letters are ASCII's, \w takes every letter beyond ASCII for one.  Atomic groups, possessive repeats, conditions and
 * the flag x are not understood.
 *
 * Matching gives up after a million steps, so no pattern can take longer than that.  Immutable once made: any thread.
 */
#ifndef BASE_PATTERN_H
#define BASE_PATTERN_H

#include "base/util.h"

enum { PATTERN_GROUPS = 32 }; /* the whole match is group 0 */

struct pattern;

struct pattern_match {
	size_t from[PATTERN_GROUPS], to[PATTERN_GROUPS]; /* bytes; from SIZE_MAX: the group had no part in it */
};

/* NULL for a text that is no pattern, is longer than 1,024 bytes, or says what is not understood. */
struct pattern *pattern_new(const char *text);
void pattern_free(struct pattern *pattern);
/* Capturing groups it has, the whole match not counted. */
size_t pattern_groups(const struct pattern *pattern);
/* The first match that begins at byte `from` of text or behind it.  False: there is none, or it took too many steps. */
bool pattern_search(const struct pattern *pattern, const char *text, size_t from, struct pattern_match *ret);

#endif
