/* yaml/vars.h: variables, %{name} (compat 1.6).
 *
 * A reference is "%{" [a-zA-Z][a-zA-Z0-9_-]* "}"; all else is plain text.  Values are expanded recursively; what an
 * expansion yields is not looked at again.
 *
 * Elements of one kind in one project share nearly all their variables.  So there are two layers: a struct
 * yaml_vars_base resolves what the project and the kind define, once, and knows who uses whom; a struct yaml_vars adds
 * what one element defines, and resolves anew only that and whatever uses it, directly or not.  Trees that many elements
 * expand (a kind's default commands, split rules, the environment) can be prepared: an element whose own definitions
 * touch nothing in such a subtree gets the very node that all others get, so that callers can cache by pointer.
 *
 * Chains and cycles of any length are safe.  Pure; one thread at a time per base.
 */
#ifndef YAML_VARS_H
#define YAML_VARS_H

#include "yaml/yaml.h"

/* Most that one variable, one scalar, and all variables of one element together may expand to. */
enum { YAML_VARS_MAX_BYTES = 64 << 20 };

struct yaml_vars_base;

/* Variables of a project (or project + kind), composed, as map name -> scalar; what is still undefined or circular is no
 * error here, an element may mend it.  Everything is allocated in arena and shares from map: both must outlive the base.
 * Errors: "invalid-data" (a value that is no scalar). */
int yaml_vars_base_new(struct arena *arena, const struct yaml_node *map, struct yaml_vars_base **ret,
		       struct diag *diag);
void yaml_vars_base_free(struct yaml_vars_base *base);
/* Expands node once for all elements that will ask for it or for a tree that shares subtrees with it.  What cannot be
 * resolved yet is left for them.  node must outlive the base. */
void yaml_vars_prepare(struct yaml_vars_base *base, const struct yaml_node *node);

struct yaml_var {
	const char *name, *text;
	uint32_t name_len, text_len;
};

struct yaml_vars {
	const struct yaml_vars_base *base;
	const struct yaml_var *values; /* by slot: those of the base, then those that only the element has; private */
	const struct yaml_node *const *definitions; /* by slot; NULL: referred to but defined nowhere; private */
	uint32_t count;
	const uint64_t *changed;     /* bit set: differs from the base's; private */
	const struct yaml_node *over; /* what the element defines; private */
	const uint32_t *over_slots;  /* slot of each of its entries; private */
};

/* Composes `over` (map name -> scalar, may be NULL) over the base and resolves every variable.  If `notparallel` is true,
 * max-jobs becomes 1.  Errors: "unresolved-variable" ("PROV: Reference to undefined variable 'x'", PROV that of the
 * definition that refers to it), "circular-reference-variable" with a detail line per hop, "invalid-data",
 * "illegal-composite".  All of it lives in arena and shares from base and over. */
int yaml_vars_init(struct yaml_vars *vars, struct arena *arena, const struct yaml_vars_base *base,
		   const struct yaml_node *over, struct diag *diag);

/* The same with vars' own tables in scratch: vars can be used as long as that lives, values and expanded nodes as long as
 * arena does. */
int yaml_vars_init_in(struct yaml_vars *vars, struct arena *arena, struct arena *scratch,
		      const struct yaml_vars_base *base, const struct yaml_node *over, struct diag *diag);

/* The resolved value, or NULL; *ret_len may be NULL. */
const char *yaml_vars_get(const struct yaml_vars *vars, const char *name, uint32_t *ret_len);
/* The definition's node (provenance, protected names), or NULL. */
const struct yaml_node *yaml_vars_definition(const struct yaml_vars *vars, const char *name);
/* All of them, sorted by name (code points), in arena. */
const struct yaml_var *yaml_vars_sorted(const struct yaml_vars *vars, struct arena *arena, uint32_t *ret_count);

/* The tree with every scalar expanded (keys are not).  Shares what has no references; returns node itself if nothing has
 * any.  Error: "unresolved-variable" at the scalar. */
int yaml_vars_expand(const struct yaml_vars *vars, struct arena *arena, const struct yaml_node *node,
		     const struct yaml_node **ret, struct diag *diag);
/* The expanded text of one scalar. */
int yaml_vars_expand_str(const struct yaml_vars *vars, struct arena *arena, const struct yaml_node *scalar,
			 const char **ret, struct diag *diag);

#endif
