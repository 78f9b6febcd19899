/* elements/pyjson.h: JSON as Python's json.dump writes it: ASCII only, ", " and ": ", or one member a line.
 *
 * Commas and line ends come from what was written last, so calls just follow the structure:
 *     pyjson_open(&json, '{'); pyjson_key(&json, "a"); pyjson_text(&json, "b"); pyjson_close(&json, '}');
 */
#ifndef ELEMENTS_PYJSON_H
#define ELEMENTS_PYJSON_H

#include "base/buf.h"

struct yaml_node;

struct pyjson {
	struct buf text;
	int indent;     /* blanks a level; -1: all on one line */
	unsigned depth; /* private */
	bool after_key; /* private */
};
#define PYJSON_INIT(blanks) { .text = BUF_INIT, .indent = (blanks) }

void pyjson_open(struct pyjson *json, char bracket);
void pyjson_close(struct pyjson *json, char bracket);
void pyjson_key(struct pyjson *json, const char *key);
/* A value as it stands: a number, true, false, null. */
void pyjson_word(struct pyjson *json, const char *word);
void pyjson_text(struct pyjson *json, const char *text);
void pyjson_int(struct pyjson *json, int64_t value);
/* A tree of maps, lists and texts in their order; pyjson_none is null. */
void pyjson_node(struct pyjson *json, const struct yaml_node *node);
extern const struct yaml_node pyjson_none; /* Python's None in a tree; an empty text to everybody else */

/* As repr() shows such a tree: {'a': 'b'}. */
void pyjson_repr(struct buf *out, const struct yaml_node *node);

#endif
