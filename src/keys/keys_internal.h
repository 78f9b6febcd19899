/* keys/keys_internal.h: what the files of room keys share. */
#ifndef KEYS_KEYS_INTERNAL_H
#define KEYS_KEYS_INTERNAL_H

#include "keys/keys.h"

struct yaml_node;

/* JSON text of YAML subtrees by the address of their node: equal address means equal content (yaml.h), and elements of
 * one kind share most of their public data.  A small direct-mapped table: a text is kept when its node is met for the
 * second time, so that what nobody shares costs no memory. */
enum { KEYS_CACHE_SLOTS = 4096 };
struct keys_cached {
	const struct yaml_node *node;
	char *text; /* NULL: met once */
	size_t len_bytes;
};
struct keys_cache {
	struct keys_cached *slots; /* KEYS_CACHE_SLOTS of them, made on first use */
};

/* Adds the JSON text of node, a map. */
void keys_json_public(struct keys_cache *cache, struct buf *out, const struct yaml_node *node);
void keys_cache_release(struct keys_cache *cache);

/* The entry of an element in a dependant's list of dependencies: `["project","element"` without the key and the closing
 * bracket; behind it, while all keys are computed, stands `,"<strict key>"],`. */
struct keys_name {
	char *text;
	uint32_t len_bytes;
};
enum { KEYS_TAIL_BYTES = DIGEST_HEX + 5 };

/* What one thread works with. */
struct keys_scratch {
	uint32_t *scope, scope_count; /* build scope of the last element walked */
	uint32_t *marks, mark;        /* by element: the last walk that met it */
	uint32_t *strict_marks;       /* by element: the dependant (id + 1) that was last seen to be strict about it */
	struct keys_frame {
		uint32_t element, next;
	} *stack;
	struct keys_cache cache;
	struct buf body;    /* what the keys of an element share */
	struct buf deps[3]; /* by enum keys_strength: text up to and with the dependencies */
};

struct keys {
	const struct graph *graph;
	struct arena arena;
	struct keys_name *names;    /* by element */
	bool have_tails;            /* of all elements whose strict key is known */
	struct keys_name *warnings; /* fatal-warnings as JSON, by project */
	uint32_t *order;            /* all elements, level by level: each after all that it depends on */
	/* Runtime dependencies of element i: run_deps[run_start[i]] to run_deps[run_start[i + 1] - 1].  The build scope is
	 * walked once for every element, and this is a twentieth of the memory that the graph's own edges take. */
	uint32_t *run_start, *run_deps;
	struct keys_scratch scratch; /* of the calling thread */
};

#endif
