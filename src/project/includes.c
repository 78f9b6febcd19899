/* Include directives, (@) (compat 1.4).
 *
 * An included file is processed (its own conditions and includes) once for each way of using it and then shared: trees
 * are immutable, and nothing in the result depends on who includes it.  The four ways, as index of
 * loaded_project.includes: for project.conf in the first pass (only files of the same project), in the second pass, and
 * for elements; with and without conditions being resolved meanwhile.
 */
#include "project/project_internal.h"

#include <errno.h>
#include <string.h>

struct includes {
	struct project_loader *load;
	struct loaded_project *root;    /* whose file it started from: owns the cache */
	struct loaded_project *current; /* whose directory paths are relative to */
	unsigned flags;
	const struct includes *outer; /* chain of files being processed */
	const char *path;             /* of this one, NULL for the first */
};

static int process(struct includes *at, const struct yaml_node *node, const struct yaml_node **ret,
		   struct diag *diag);

static bool in_progress(const struct includes *at, const char *path)
{
	for (; at; at = at->outer)
		if (at->path && strcmp(at->path, path) == 0)
			return true;
	return false;
}

/* Reads a file; one of another project is expanded with that project's own variables at once. */
static int read_file(struct includes *at, struct loaded_project *owner, const char *path,
		     const struct yaml_node *scalar, const struct yaml_node **ret, struct diag *diag)
{
	int r = load_yaml(owner, path, -1, NULL, scalar->text, ret, diag);

	if (r < 0) {
		load_wrap(diag, scalar);
		return r;
	}
	if (owner != at->current)
		r = conf_expand(at->load, owner->second.variables, *ret, ret, diag);
	return r;
}

static struct loaded_project *owner_of(struct includes *at, const struct yaml_node *scalar, const char **ret_file,
				       int *ret_error, struct diag *diag)
{
	const char *colon = strrchr(scalar->text, ':');
	struct loaded_project *owner = at->current;

	*ret_error = 0;
	*ret_file = scalar->text;
	if (!colon)
		return owner;
	*ret_file = colon + 1;
	*ret_error = loader_get(at->current,
				arena_strndup(at->load->arena, scalar->text, (size_t)(colon - scalar->text)), scalar,
				true, &owner, diag);
	if (*ret_error >= 0)
		*ret_error = conf_ensure_full(owner, diag);
	return owner;
}

static int include_one(struct includes *at, const struct yaml_node *directive, const struct yaml_node *scalar,
		       const struct yaml_node **ret, struct diag *diag)
{
	struct includes inner = *at;
	const struct yaml_node *node;
	const char *file, *path, *key;
	struct strmap *cache;
	uint32_t known;
	int r;

	inner.current = owner_of(at, scalar, &file, &r, diag);
	if (r < 0)
		return r;
	if ((r = project_path(inner.current, file, &path)) < 0)
		return r;
	if (in_progress(at, path)) {
		yaml_error(diag, directive, "recursive-include", "trying to recursively include %s", path);
		return -EINVAL;
	}
	if (inner.current != at->current)
		inner.flags |= INCLUDE_OPTIONS;
	cache = &at->root->includes[inner.flags & 3];
	key = arena_printf(at->load->arena, "%u:%d:%s", inner.current->id, inner.current != at->current, path);
	known = strmap_get(cache, key, strlen(key));
	if (known != STRMAP_NONE) {
		*ret = at->root->include_nodes.at[known];
		return 0;
	}
	if ((r = read_file(at, inner.current, path, scalar, &node, diag)) < 0)
		return r;
	inner.outer = at;
	inner.path = path;
	if ((r = process(&inner, yaml_clone(at->load->arena, node), ret, diag)) < 0)
		return r;
	strmap_put(cache, key, strlen(key), (uint32_t)at->root->include_nodes.count);
	*items_add(&at->root->include_nodes) = *ret;
	return 0;
}

static int apply(struct arena *arena, const struct yaml_node **map, unsigned depth, void *data, struct diag *diag)
{
	struct includes *at = data;
	const struct yaml_node *directive = yaml_get(*map, "(@)"), *included;
	bool single = directive && yaml_is_scalar(directive);
	uint32_t count;
	int r;

	if (!directive)
		return 0;
	if (yaml_is_map(directive))
		return yaml_error(diag, directive, "invalid-data",
				  "Value of '(@)' is not one of the following: scalar, list");
	count = single ? 1 : directive->count;
	if (count == 0)
		return 0; /* an empty list stays where it is, and some check will reject it */
	*map = yaml_map_remove(arena, *map, "(@)");
	while (count-- > 0) {
		const struct yaml_node *scalar = single ? directive : directive->items[count];

		if (!yaml_is_scalar(scalar))
			return yaml_error(diag, scalar, "invalid-data",
					  "List item is not of the expected type 'scalar'");
		if ((at->flags & INCLUDE_ONLY_LOCAL) && strchr(scalar->text, ':'))
			continue;
		if ((r = include_one(at, directive, scalar, &included, diag)) != 0 ||
		    (r = yaml_compose_under(arena, included, *map, map, diag)) < 0)
			return r;
	}
	return 0;
}

static int process(struct includes *at, const struct yaml_node *node, const struct yaml_node **ret,
		   struct diag *diag)
{
	int r = 0;

	if (at->flags & INCLUDE_OPTIONS)
		r = yaml_resolve_conditions(at->load->arena, node, &at->current->second.options.values, NULL, &node,
					    diag);
	if (r < 0)
		return r;
	return yaml_rewrite(at->load->arena, node, YAML_HAS_INCLUDE, apply, at, ret, diag);
}

int includes_process(struct loaded_project *project, const struct yaml_node *node, unsigned flags,
		     const struct yaml_node **ret, struct diag *diag)
{
	struct includes at = { .load = project->load, .root = project, .current = project, .flags = flags };

	return process(&at, node, ret, diag);
}
