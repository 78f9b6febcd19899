/* The BuildElement family (the peer's buildelement.py): manual, autotools, cmake, make, meson, pip, ... all of which
 * are the same code with other default commands. */
#include "kinds/kinds_internal.h"

#include <string.h>

/* By enum kinds_step. */
static const char *const step_names[] = { "configure-commands", "build-commands", "install-commands",
					  "strip-commands", NULL };

static int configure(const struct kinds_context *ctx, struct graph_element *element, const struct yaml_node *config)
{
	struct kinds_build *build = element->config;
	const char *notparallel = graph_variable(element, "notparallel");
	int r = yaml_validate_keys(config, step_names, ctx->diag);

	for (int i = 0; r >= 0 && i < KINDS_STEPS; i++)
		r = kinds_get_strings(ctx, config, step_names[i], &build->commands[i]);
	build->command_subdir = graph_variable(element, "command-subdir");
	/* The peer asks for the truth of the text, so "False" counts (compat, trap 7). */
	build->notparallel = notparallel && *notparallel;
	return r;
}

static int add_dependency(const struct kinds_context *ctx, struct kinds_build *build, const struct kinds_dep *dep,
			  uint32_t room)
{
	static const char *const names[] = { "digest-environment", "location", NULL };
	struct kinds_layout_item item = { dep->dep->element, dep->dep->path };
	const char *location = "/", *variable = NULL;
	int r = 0;

	if (dep->config && dep->config->count) {
		r = yaml_validate_keys(dep->config, names, ctx->diag);
		if (r >= 0)
			r = yaml_get_str(dep->config, "location", &location, ctx->diag);
		if (r >= 0)
			r = yaml_get_str(dep->config, "digest-environment", &variable, ctx->diag);
		if (r < 0)
			return r;
	}
	if (variable)
		kinds_layout_add(ctx->arena, &build->digest_environment, variable, &item, room);
	kinds_layout_add(ctx->arena, &build->layout, location, &item, room);
	return 0;
}

static int dependencies(const struct kinds_context *ctx, struct graph_element *element)
{
	uint32_t room = kinds_count_deps(element);
	struct kinds_dep_walk walk = { 0 };
	struct kinds_dep dep;
	int r = 0;

	for (; r >= 0 && kinds_next_dep(element, &walk, &dep); room--)
		r = add_dependency(ctx, element->config, &dep, room);
	return r;
}

static bool all_at_root(const struct kinds_layout *layout)
{
	return layout->count == 0 || (layout->count == 1 && strcmp(layout->places[0].location, "/") == 0);
}

static void key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_build *build = element->config;

	buf_adds(out, "{\"build-commands\":");
	kinds_json_strings(out, &build->commands[KINDS_BUILD]);
	if (build->command_subdir && *build->command_subdir) {
		buf_adds(out, ",\"command-subdir\":");
		json_str(out, build->command_subdir);
	}
	buf_adds(out, ",\"configure-commands\":");
	kinds_json_strings(out, &build->commands[KINDS_CONFIGURE]);
	if (build->digest_environment.count) {
		buf_adds(out, ",\"digest-enviornment\":"); /* the peer's spelling, part of every such key */
		kinds_json_layout(out, &build->digest_environment);
	}
	buf_adds(out, ",\"install-commands\":");
	kinds_json_strings(out, &build->commands[KINDS_INSTALL]);
	if (!all_at_root(&build->layout)) {
		buf_adds(out, ",\"layout\":");
		kinds_json_layout(out, &build->layout);
	}
	if (build->notparallel)
		buf_adds(out, ",\"notparallel\":true");
	buf_adds(out, ",\"strip-commands\":");
	kinds_json_strings(out, &build->commands[KINDS_STRIP]);
	buf_addc(out, '}');
}

const struct kinds_element_work kinds_build_work = {
	.config_size = sizeof(struct kinds_build),
	.configure = configure,
	.dependencies = dependencies,
	.key = key,
};
