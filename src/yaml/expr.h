/* yaml/expr.h: the expressions of (?), and what (?) and (!) do to a tree.
 *
 * The peer puts EXPR into the template "{% if EXPR %}" of Jinja2 with strict undefined names and no globals, and the
 * project's options as the only names (compat 1.3).  This is Jinja2's expression language without attribute access to
 * Python objects: literals (strings, integers, floats, true/false/none, lists, tuples, maps), names, or/and/not,
 * comparison chains, in / not in, + - * / // % ** ~, inline `a if b else c`, subscripts and slices, the built-in tests
 * that make sense on options (`is defined`, `is none`, `is in`, ...), the common filters (`|lower`, `|length`,
 * `|default`, `|join`, ...) and the common string methods (x.startswith('a')).
 *
 * Values: bool options are booleans, flags and element masks lists of strings, all others strings.  Pure; any process;
 * expressions nest at most 200 levels deep.
 */
#ifndef YAML_EXPR_H
#define YAML_EXPR_H

#include "yaml/yaml.h"

enum yaml_option_type { YAML_OPTION_BOOL, YAML_OPTION_TEXT, YAML_OPTION_LIST };

struct yaml_option {
	const char *name;
	enum yaml_option_type type;
	bool boolean;
	const char *text;
	const char *const *items; /* of a list, item_count of them */
	uint32_t item_count;
};

struct yaml_options {
	const struct yaml_option *options; /* not owned */
	uint32_t count;
};

/* Evaluates text to *ret: is it true?  Error: "expression-failed", "Failed to evaluate expression (EXPR): WHY", without
 * provenance: the caller sets that of the map the expression is a key of. */
int yaml_expr_eval(const char *text, const struct yaml_options *options, bool *ret, struct diag *diag);

/* The tree with every (?) resolved at any depth, as the peer's OptionPool.process_node does: the mapping's own first, again
 * while fragments bring new ones, then its values.  `restricted` (NULL-terminated, may be NULL) names keys that a fragment
 * of the root may not set ("The 'K' key cannot be specified conditionally.").  Errors: "expression-failed",
 * "user-assertion" for a (!), "illegal-composite", "invalid-data".  Returns node itself if there was nothing to do. */
int yaml_resolve_conditions(struct arena *arena, const struct yaml_node *node, const struct yaml_options *options,
			    const char *const *restricted, const struct yaml_node **ret, struct diag *diag);

#endif
