/* stack, link and junction: they shape the graph and have nothing of their own in keys but the number 1. */
#include "kinds/kinds_internal.h"

#include <string.h>

static void key(const struct graph_element *element, struct buf *out)
{
	buf_addc(out, '1');
}

/* ---- stack */

static int stack_preflight(const struct kinds_context *ctx, struct graph_element *element)
{
	for (uint32_t i = 0; i < element->dep_count; i++) {
		if (element->deps[i].type == GRAPH_ALL)
			continue;
		kinds_element_error(ctx, element, "stack-requires-build-and-run",
				    "All dependencies of 'stack' elements must be both build and runtime dependencies");
		diag_detail(ctx->diag, "Make sure you declare all dependencies in the `depends` list, without "
				       "specifying any `type`.");
		return -1;
	}
	return 0;
}

const struct kinds_element_work kinds_stack_work = {
	.config_size = sizeof(struct kinds_stack),
	.preflight = stack_preflight,
	.key = key,
};

/* ---- link */

static int link_configure(const struct kinds_context *ctx, struct graph_element *element,
			  const struct yaml_node *config)
{
	static const char *const names[] = { "target", NULL };
	struct kinds_link *link = element->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_need_scalar(config, "target", &link->target_node, ctx->diag);
	if (r >= 0)
		link->target = link->target_node->text;
	return r;
}

const struct kinds_element_work kinds_link_work = {
	.config_size = sizeof(struct kinds_link),
	.configure = link_configure,
	.key = key,
};

/* ---- junction */

static int read_overrides(const struct kinds_context *ctx, struct graph_element *element,
			  struct kinds_junction *junction, const struct yaml_node *map)
{
	struct kinds_override *overrides = ARENA_ARRAY(ctx->arena, struct kinds_override, map->count);

	for (uint32_t i = 0; i < map->count; i++) {
		const struct yaml_node *target = map->entries[i].value;

		if (!yaml_is_scalar(target))
			return yaml_error(ctx->diag, target, "invalid-data",
					  "Value of '%s' is not of the expected type 'scalar'", map->entries[i].key);
		if (strcmp(target->text, element->name) == 0) {
			diag_set(ctx->diag, "element", "override-junction-with-self",
				 "Attempt to override subproject junction '%s' with the overriding junction '%s' itself",
				 map->entries[i].key, target->text);
			yaml_where(ctx->diag, target);
			return -1;
		}
		overrides[i] = (struct kinds_override){ map->entries[i].key, target->text, target };
	}
	junction->overrides = overrides;
	junction->override_count = map->count;
	return 0;
}

static int junction_configure(const struct kinds_context *ctx, struct graph_element *element,
			      const struct yaml_node *config)
{
	static const char *const names[] = { "path", "options", "overrides", "aliases", "map-aliases", NULL };
	static const char *const strategies[] = { "none", "identity", NULL };
	struct kinds_junction *junction = element->config;
	const struct yaml_node *overrides = NULL;
	int strategy = 0;
	int r = yaml_validate_keys(config, names, ctx->diag);

	junction->path = "";
	if (r >= 0)
		r = yaml_get_str(config, "path", &junction->path, ctx->diag);
	if (r >= 0)
		r = yaml_get_map(config, "options", &junction->options, ctx->diag);
	if (r >= 0)
		r = yaml_get_map(config, "overrides", &overrides, ctx->diag);
	if (r >= 0 && overrides)
		r = read_overrides(ctx, element, junction, overrides);
	if (r >= 0)
		r = yaml_get_map(config, "aliases", &junction->aliases, ctx->diag);
	if (r >= 0)
		r = yaml_get_enum(config, "map-aliases", strategies, &strategy, ctx->diag);
	junction->map_aliases_identity = strategy == 1;
	return r;
}

const struct kinds_element_work kinds_junction_work = {
	.config_size = sizeof(struct kinds_junction),
	.configure = junction_configure,
	.key = key,
};
