/* keys/keys_internal.h: what the files of room keys share. */
#ifndef KEYS_KEYS_INTERNAL_H
#define KEYS_KEYS_INTERNAL_H

#include <stdatomic.h>

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
	uint32_t age;              /* of struct keys, when the table was last emptied */
};

/* Adds the JSON text of node, a map. */
void keys_json_public(struct keys_cache *cache, struct buf *out, const struct yaml_node *node);
/* Empties the table if nodes were forgotten since it was last asked. */
void keys_cache_refresh(struct keys_cache *cache, uint32_t age);
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

struct keys_range {
	uint32_t from, to; /* the first, and one behind the last */
};

struct keys_team;

struct keys {
	const struct graph *graph;
	uint32_t count; /* elements */
	struct arena arena;
	struct keys_name *names;    /* by element */
	bool have_tails;            /* of all elements whose strict key is known */
	struct keys_name *warnings; /* fatal-warnings as JSON, by project */
	uint32_t *order;            /* elements, each after all that it depends on: */
	atomic_uint fed;            /* so many; what stands before is not written any more */
	atomic_uint age;            /* how often nodes were forgotten */
	/* Runtime dependencies of element i are run_deps[run[i].from] to run_deps[run[i].to - 1].  The build scope is
	 * walked once for every element, and this is a twentieth of the memory that the graph's own edges take. */
	struct keys_range *run;
	uint32_t *run_deps, run_count;
	size_t most_deps, all_deps; /* room in run_deps; dependencies of any kind so far */
	struct buf text;            /* of a name, while it is made */
	struct keys_team *team;     /* at work, or NULL */
	struct keys_scratch scratch; /* of the calling thread */
};

void keys_scratch_init(struct keys_scratch *scratch, size_t count);
void keys_scratch_release(struct keys_scratch *scratch);
/* The part of an element's text that does not depend on other elements; false if a source has no ref. */
bool keys_render_body(const struct keys *keys, struct keys_scratch *scratch, const struct keys_view *view, uint32_t id);
/* What remains when the body is rendered and all dependencies have their keys. */
void keys_hash_all(const struct keys *keys, struct keys_scratch *scratch, const struct keys_view *view, uint32_t id,
		   struct keys_of_element *all);

/* team.c: ends the second thread, if there is one, whether all is done or not. */
void keys_team_stop(struct keys *keys);

#endif
