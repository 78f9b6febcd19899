/* Starlark (or Python), as much of it as bazel's list of resolved repositories has: names that are given literal values.
 *
 * Values are those of toml.h: texts, TOML_PLAIN for numbers, True, False and None, arrays for lists and tuples, tables for
 * dictionaries (whose keys must be texts).  Calls, operators and other names are refused.  Limits: 64 MB, 100 levels.
 */
#ifndef SOURCES_STARLARK_H
#define SOURCES_STARLARK_H

#include "sources/toml.h"

/* Reads text of len bytes.  0 and a table of the names, or -EBADMSG with a message in why. */
int starlark_read(struct arena *arena, const char *text, size_t len, struct toml **ret, struct buf *why);

#endif
