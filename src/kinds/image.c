/* x86image, fastboot_bootimg, fastboot_ext4 and dpkg_deploy: scripts whose `input` dependencies are staged in the build
 * root, with a list of commands for each of their steps. */
#include "kinds/script.h"

static const char *const x86_steps[] = { "filesystem-tree-setup-commands", "filesystem-image-creation-commands",
					 "partition-commands", "final-commands", NULL };
static const char *const bootimg_steps[] = { "create_dtb", "create_img", "install_img", NULL };
static const char *const ext4_steps[] = { "create_dev_proc_shadow", "create_img", "install_img", NULL };

static const struct {
	const char *const *steps;
	bool validates; /* fastboot_bootimg takes any key and ignores it */
} variants[] = {
	[KINDS_X86IMAGE] = { x86_steps, true },
	[KINDS_FASTBOOT_BOOTIMG] = { bootimg_steps, false },
	[KINDS_FASTBOOT_EXT4] = { ext4_steps, true },
};

static int read_step(const struct kinds_context *ctx, struct graph_element *element, const struct yaml_node *config,
		     const char *step, struct kinds_command_group *group)
{
	group->name = step;
	if (variants[element->ops->variant].validates && !yaml_get(config, step))
		return kinds_element_error(ctx, element, NULL, "Unexpectedly missing command step '%s'", step);
	return kinds_need_strings(ctx, config, step, &group->commands);
}

static int configure(const struct kinds_context *ctx, struct graph_element *element, const struct yaml_node *config)
{
	struct kinds_script *script = element->config;
	const char *const *steps = variants[element->ops->variant].steps;
	int r = variants[element->ops->variant].validates ? yaml_validate_keys(config, steps, ctx->diag) : 0;

	while (steps[script->group_count])
		script->group_count++;
	script->groups = ARENA_ARRAY(ctx->arena, struct kinds_command_group, script->group_count);
	for (uint32_t i = 0; r >= 0 && i < script->group_count; i++)
		r = read_step(ctx, element, config, steps[i], &script->groups[i]);
	kinds_script_root(script, element);
	script->root_read_only = true;
	return r;
}

/* Lays the dependencies out; *ret_input is the last one with `input: true`, GRAPH_NONE if there is none. */
static int lay_out(const struct kinds_context *ctx, struct graph_element *element, uint32_t *ret_input)
{
	static const char *const names[] = { "input", NULL };
	const char *build_root = graph_variable(element, "build-root");
	struct kinds_script *script = element->config;
	uint32_t room = kinds_count_deps(element);
	struct kinds_dep_walk walk = { 0 };
	struct kinds_dep dep;

	*ret_input = GRAPH_NONE;
	for (; kinds_next_dep(element, &walk, &dep); room--) {
		struct kinds_layout_item item = { dep.dep->element, dep.dep->path };
		bool input = false;

		if (dep.config && dep.config->count) {
			int r = yaml_validate_keys(dep.config, names, ctx->diag);

			if (r >= 0)
				r = yaml_get_bool(dep.config, "input", &input, ctx->diag);
			if (r < 0)
				return r;
		}
		if (input)
			*ret_input = item.element;
		kinds_layout_add(ctx->arena, &script->layout, input && build_root ? build_root : "/", &item, room);
	}
	return 0;
}

static int dependencies(const struct kinds_context *ctx, struct graph_element *element)
{
	uint32_t input;
	int r = lay_out(ctx, element, &input);

	if (r >= 0 && input == GRAPH_NONE)
		r = kinds_element_error(ctx, element, NULL, "No 'input' dependency specified");
	return r;
}

const struct kinds_element_work kinds_image_work = {
	.config_size = sizeof(struct kinds_script),
	.configure = configure,
	.dependencies = dependencies,
	.key = kinds_script_key,
};

/* ---- dpkg_deploy */

static int deploy_configure(const struct kinds_context *ctx, struct graph_element *element,
			    const struct yaml_node *config)
{
	static const char *const names[] = { "build-commands", NULL };
	struct kinds_dpkg_deploy *deploy = element->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0 && !yaml_get(config, "build-commands"))
		r = kinds_element_error(ctx, element, NULL, "Unexpectedly missing command: 'build-commands'");
	if (r >= 0)
		r = kinds_need_strings(ctx, config, "build-commands", &deploy->build_commands);
	kinds_script_root(&deploy->script, element);
	deploy->script.root_read_only = true;
	return r;
}

static int deploy_dependencies(const struct kinds_context *ctx, struct graph_element *element)
{
	struct kinds_dpkg_deploy *deploy = element->config;
	int r = lay_out(ctx, element, &deploy->input);

	if (r >= 0 && deploy->input == GRAPH_NONE)
		r = kinds_element_error(ctx, element, NULL, "No dependency specified as the input element");
	return r;
}

static void deploy_key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_dpkg_deploy *deploy = element->config;

	buf_addc(out, '{');
	kinds_script_key_place(&deploy->script, out);
	buf_adds(out, ",\"unedited-commands\":{\"build-commands\":");
	kinds_json_strings(out, &deploy->build_commands);
	buf_adds(out, "}}");
}

const struct kinds_element_work kinds_dpkg_deploy_work = {
	.config_size = sizeof(struct kinds_dpkg_deploy),
	.configure = deploy_configure,
	.dependencies = deploy_dependencies,
	.key = deploy_key,
};
