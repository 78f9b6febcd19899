/* script: commands in a sandbox whose layout the dependencies say; also the key of all that is built on it. */
#include "kinds/script.h"

#include <string.h>

void kinds_script_root(struct kinds_script *script, const struct graph_element *element)
{
	const char *cwd = graph_variable(element, "cwd"), *root = graph_variable(element, "install-root");

	script->cwd = cwd && *cwd ? cwd : "/";
	script->install_root = root && *root ? root : "/";
}

static int configure(const struct kinds_context *ctx, struct graph_element *element, const struct yaml_node *config)
{
	static const char *const names[] = { "commands", "root-read-only", NULL };
	struct kinds_script *script = element->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	script->groups = ARENA_NEW(ctx->arena, struct kinds_command_group);
	script->groups->name = "commands";
	script->group_count = 1;
	kinds_script_root(script, element);
	if (r >= 0)
		r = kinds_need_strings(ctx, config, "commands", &script->groups->commands);
	if (r >= 0)
		r = yaml_get_bool(config, "root-read-only", &script->root_read_only, ctx->diag);
	return r;
}

static int dependencies(const struct kinds_context *ctx, struct graph_element *element)
{
	static const char *const names[] = { "location", NULL };
	struct kinds_script *script = element->config;
	uint32_t room = kinds_count_deps(element);
	struct kinds_dep_walk walk = { 0 };
	struct kinds_dep dep;

	for (; kinds_next_dep(element, &walk, &dep); room--) {
		struct kinds_layout_item item = { dep.dep->element, dep.dep->path };
		const char *location = "/";

		if (dep.config && dep.config->count) {
			int r = yaml_validate_keys(dep.config, names, ctx->diag);

			if (r >= 0)
				r = yaml_get_str(dep.config, "location", &location, ctx->diag);
			if (r < 0)
				return r;
		}
		kinds_layout_add(ctx->arena, &script->layout, location, &item, room);
	}
	return 0;
}

/* Groups are a dictionary in the key: sorted by name, the last of one name counts. */
static void json_groups(struct buf *out, const struct kinds_script *script)
{
	const char *last = NULL;

	buf_addc(out, '{');
	for (uint32_t done = 0; done < script->group_count; done++) {
		const struct kinds_command_group *next = NULL;

		for (uint32_t i = 0; i < script->group_count; i++) {
			const struct kinds_command_group *group = &script->groups[i];

			if ((!last || strcmp(group->name, last) > 0) &&
			    (!next || strcmp(group->name, next->name) <= 0))
				next = group;
		}
		if (!next)
			break;
		json_member(out, next->name);
		kinds_json_strings(out, &next->commands);
		last = next->name;
	}
	buf_addc(out, '}');
}

void kinds_script_key_place(const struct kinds_script *script, struct buf *out)
{
	buf_adds(out, "\"cwd\":");
	json_str(out, script->cwd);
	buf_adds(out, ",\"install-root\":");
	json_str(out, script->install_root);
	buf_adds(out, ",\"layout\":");
	kinds_json_layout(out, &script->layout);
	buf_adds(out, ",\"root-read-only\":");
	json_bool(out, script->root_read_only);
}

void kinds_script_key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_script *script = element->config;

	buf_adds(out, "{\"commands\":");
	json_groups(out, script);
	buf_addc(out, ',');
	kinds_script_key_place(script, out);
	buf_addc(out, '}');
}

const struct kinds_element_work kinds_script_work = {
	.config_size = sizeof(struct kinds_script),
	.configure = configure,
	.dependencies = dependencies,
	.key = kinds_script_key,
};
