/* session/facts.h: what a key is made of, as a flat list that can be compared.
 *
 * A fact is a path and a value: "environment.PATH" -> "\"/usr/bin\"", "sources[0].key" -> ..., and for each dependency
 * "dependencies.PROJECT:ELEMENT" -> its key ("" where only the name counts).  Values are JSON texts.  Pure; memory is
 * in the arena that was given.
 */
#ifndef SESSION_FACTS_H
#define SESSION_FACTS_H

#include "base/arena.h"
#include "base/buf.h"

struct fact {
	const char *path, *value;
};
struct facts {
	struct fact *items; /* heap */
	size_t count, cap;
};

void facts_add(struct facts *facts, const char *path, const char *value);
/* Adds all of a JSON text, as room keys writes it, below prefix ("" for none).  Text that is no JSON adds what comes before
 * the fault. */
void facts_add_json(struct facts *facts, struct arena *arena, const char *prefix, const char *json);
void facts_sort(struct facts *facts);
void facts_release(struct facts *facts);

/* Calls fn for each path whose value differs (NULL: not there), both lists sorted. */
void facts_compare(const struct facts *before, const struct facts *after,
		   void (*fn)(void *data, const char *path, const char *before, const char *after), void *data);

#endif
