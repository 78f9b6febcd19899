/* yaml/vars_internal.h: the base layer of variables, as resolve.c (values) and expand.c (trees) share it. */
#ifndef YAML_VARS_INTERNAL_H
#define YAML_VARS_INTERNAL_H

#include "yaml/vars.h"
#include "yaml/yaml_internal.h"

/* A tree expanded once for all, and the slots it depends on. */
struct prepared {
	const struct yaml_node *node, *expanded;
	const uint64_t *uses;
};

/* %{name} at byte `at` of a text. */
struct yaml_var_ref {
	uint32_t at, len_bytes, slot;
};

struct yaml_vars_base {
	struct arena *arena;
	const struct yaml_node *map;
	struct strmap names;     /* name -> slot; slots follow the map's order, names that are only referred to come last */
	struct yaml_var *values; /* text is NULL while it cannot be resolved */
	const struct yaml_node **definitions;
	/* What definition s refers to, in its text's order: refs[refs_from[s]] to refs[refs_from[s + 1] - 1]. */
	struct yaml_var_ref *refs;
	uint32_t *refs_from;
	uint32_t count, words;   /* slots, and 64-bit words of a set of slots */
	uint32_t *users_from;    /* slot -> where its users begin in `users`; count + 1 numbers */
	uint32_t *users;         /* slots whose definition refers to it */
	uint32_t *pending;       /* slots that are defined and not resolved */
	uint32_t pending_count;
	uint32_t *sorted;        /* defined slots by name */
	uint32_t sorted_count;
	uint64_t *none_changed;  /* the empty set */
	struct prepared *prepared; /* open addressing by node */
	size_t prepared_count, prepared_cap;
};

/* Slot of a name in base or element, or STRMAP_NONE. */
uint32_t yaml_vars_slot(const struct yaml_vars *vars, const char *name, size_t len);
/* Adds text with its references replaced.  0; or < 0: an unresolved reference, or *left (bytes) used up. */
int yaml_vars_subst(const struct yaml_vars *vars, const char *text, size_t len, struct buf *out, size_t *left);
/* Fills diag for the first fault that the peer's slow path meets below slot (STRMAP_NONE: below scalar). Returns < 0. */
int yaml_vars_explain(const struct yaml_vars *vars, uint32_t slot, const struct yaml_node *scalar, struct diag *diag);

static inline bool yaml_bit(const uint64_t *set, uint32_t i)
{
	return set[i / 64] >> (i % 64) & 1;
}
static inline void yaml_set_bit(uint64_t *set, uint32_t i)
{
	set[i / 64] |= (uint64_t)1 << (i % 64);
}

#endif
