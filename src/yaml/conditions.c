/* (?) and (!): what options do to a tree.  See expr.h. */
#include "yaml/expr.h"

#include <errno.h>

#include "yaml/yaml_internal.h"

struct conditions {
	const struct yaml_options *options;
	const char *const *restricted; /* keys that a fragment of the root may not set */
};

static int check_restricted(const char *const *restricted, const struct yaml_node *fragment, struct diag *diag)
{
	for (; restricted && *restricted; restricted++) {
		const struct yaml_node *value = yaml_get(fragment, *restricted);

		if (value)
			return yaml_error(diag, value, "illegal-composite", "The '%s' key cannot be specified conditionally.",
					  *restricted);
	}
	return 0;
}

/* One entry of a (?) list over *map. */
static int apply(struct arena *arena, const struct conditions *c, const struct yaml_node *entry,
		 const char *const *restricted, const struct yaml_node **map, struct diag *diag)
{
	const struct yaml_node *fragment;
	bool holds = false;

	/* The peer dies of an AttributeError or IndexError on an entry that is no map, or an empty one. */
	if (entry->type != YAML_MAP)
		return yaml_error(diag, entry, "invalid-data", "Conditional statement is not of the expected type 'dict'");
	if (entry->count == 0)
		return yaml_error(diag, entry, "invalid-data", "Conditional statement has no key");
	if (entry->count > 1)
		return yaml_error(diag, entry, "invalid-data", "Conditional statement has more than one key");
	if (yaml_expr_eval(entry->entries[0].key, c->options, &holds, diag) < 0) {
		yaml_where(diag, entry);
		return -EINVAL;
	}
	fragment = entry->entries[0].value;
	if (fragment->type != YAML_MAP)
		return yaml_error(diag, entry, "illegal-composite", "Only values of type 'dict' can be composed.");
	if (check_restricted(restricted, fragment, diag) < 0)
		return -EINVAL;
	return holds ? yaml_compose(arena, fragment, *map, map, diag) : 0;
}

/* One round: 1 if there was a (?), 0 if not. */
static int one_round(struct arena *arena, const struct conditions *c, const char *const *restricted,
		     const struct yaml_node **map, struct diag *diag)
{
	const struct yaml_node *list = NULL, *assertion = NULL;

	if (yaml_get_list(*map, "(?)", &list, diag) < 0 || yaml_get_scalar(*map, "(!)", &assertion, diag) < 0)
		return -EINVAL;
	if (assertion) {
		size_t len = assertion->count;
		const char *text = yaml_strip(assertion->text, &len);
		return yaml_error(diag, assertion, "user-assertion", "%.*s", (int)len, text);
	}
	if (!list)
		return 0;
	*map = yaml_map_remove(arena, *map, "(?)");
	for (uint32_t i = 0; i < list->count; i++)
		if (apply(arena, c, list->items[i], restricted, map, diag) < 0)
			return -EINVAL;
	return 1;
}

static int resolve_map(struct arena *arena, const struct yaml_node **map, unsigned depth, void *data,
		       struct diag *diag)
{
	const struct conditions *c = data;
	int r;

	do
		r = one_round(arena, c, depth == 1 ? c->restricted : NULL, map, diag);
	while (r > 0);
	return r;
}

int yaml_resolve_conditions(struct arena *arena, const struct yaml_node *node, const struct yaml_options *options,
			    const char *const *restricted, const struct yaml_node **ret, struct diag *diag)
{
	struct conditions c = { options, restricted };

	return yaml_rewrite(arena, node, YAML_HAS_CONDITION, resolve_map, &c, ret, diag);
}
