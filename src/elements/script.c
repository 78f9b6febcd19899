/* script: commands over staged dependencies, the root writable unless told otherwise (the peer's scriptelement.py); and
 * the image kinds, which are scripts with one more writable directory. */
#include "elements/elements_internal.h"

static int configure(struct build *build, struct diag *diag)
{
	const struct kinds_script *config = build->element->config;

	build->cwd = config->cwd;
	build->environment = build->element->environment;
	build->environment_count = build->element->environment_count;
	build->marked[build->marked_count++] = config->install_root;
	return 0;
}

static int integrate_all(struct build *build, struct diag *diag)
{
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;
	int r = integrate(build->job, &batch, build_all(build), build->job->dep_count, diag);

	if (r >= 0)
		return build_run(build, &batch, diag);
	sandbox_batch_release(&batch);
	return r;
}

static int stage_everything(struct build *build, struct diag *diag)
{
	struct activity activity = build_begin(build, "Staging dependencies", NULL);
	int r = stage_artifacts(build->job, build->overlaps, build->tree, build_all(build), build->job->dep_count, "/",
				diag);

	build_end(build, &activity, r);
	if (r >= 0)
		r = sandbox_staged(build->sandbox, diag);
	return r < 0 ? r : integrate_all(build, diag);
}

int script_stage(struct build *build, struct diag *diag)
{
	const struct kinds_script *config = build->element->config;
	int r = config->layout.count ? build_stage_layout(build, &config->layout, diag) : stage_everything(build, diag);

	if (r != 0)
		return r;
	r = cas_tree_mkdir(build->tree, config->install_root);
	return r < 0 ? build_error(diag, r, "Cannot make the install root") : 0;
}

int script_run(struct build *build, const struct kinds_command_group *groups, uint32_t count, const char **collect,
	       struct diag *diag)
{
	const struct kinds_script *config = build->element->config;
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;
	int r;

	batch.root_read_only = config->root_read_only;
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < groups[i].commands.count; j++)
			build_command(build, &batch, groups[i].commands.items[j]);
	build_clean(build, &batch);
	*collect = config->install_root;
	r = build_run(build, &batch, diag);
	/* a failed script leaves what it had installed, unless it did not even start */
	if (r == ELEMENTS_FAILED && diag && str_eq(diag->reason, "command-failed"))
		build->failed_collect = config->install_root;
	return r;
}

static int assemble(struct build *build, const char **collect, struct diag *diag)
{
	const struct kinds_script *config = build->element->config;

	return script_run(build, config->groups, config->group_count, collect, diag);
}

const struct elements_kind elements_script = { "script", configure, script_stage, assemble };

int script_configure_image(struct build *build, struct diag *diag)
{
	int r = configure(build, diag);

	build->marked[build->marked_count++] = "/buildstream";
	return r;
}

const struct elements_kind elements_image = { "x86image", script_configure_image, script_stage, assemble };
