/* base/glob.h: BuildStream's glob language, compiled once, matched many times.
 *
 *   *       any characters but '/'         **      any characters
 *   ?       one character but '/'          [abc]   one of these; [a-z] a range; [!..] none of these
 * No escapes; '[' without a matching ']' stands for itself; ']' right after '[' or '[!' too.  A class may match '/'.  The
 * whole text must match.  Characters are Unicode code points (bytes that are not UTF-8 count as one each).
 * (The peer: utils.py _glob2re.)
 *
 * A set holds several patterns and matches if one of them does.  Time to match is at most proportional to length of text x
 * number of tokens / 64, whatever the pattern; most patterns are decided by their literal beginning or end.
 * Immutable after the last glob_add, then usable by any number of threads.
 */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include "base/util.h"

struct glob_set;

struct glob_set *glob_new(void);
/* Adds a pattern.  -EINVAL for a class with a reversed range ("[z-a]"), which the peer refuses too. */
int glob_add(struct glob_set *set, const char *pattern);
bool glob_match(const struct glob_set *set, const char *text);
void glob_free(struct glob_set *set);

#endif
