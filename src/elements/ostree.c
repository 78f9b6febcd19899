/* ostree: a system root, committed to a repository that the install root becomes. */
#include "elements/elements_internal.h"

#include <errno.h>

/* os.path.join for a name that is not absolute. */
static const char *below(struct build *build, const char *directory, const char *name)
{
	return arena_printf(build->job->arena, "%s%s%s", directory, str_ends(directory, "/") ? "" : "/", name);
}

static int configure(struct build *build, struct diag *diag)
{
	const char *build_root = graph_variable(build->element, "build-root");
	const char *install_root = graph_variable(build->element, "install-root");

	(void)diag;
	build->marked[build->marked_count++] = build_root ? build_root : "/buildstream";
	build->marked[build->marked_count++] = install_root ? install_root : "/buildstream-install";
	build->environment = build->element->environment;
	build->environment_count = build->element->environment_count;
	return 0;
}

static const struct kinds_layout_place *find_place(struct build *build, const char *name)
{
	const struct kinds_ostree_element *config = build->element->config;

	for (uint32_t i = 0; i < config->places.count; i++)
		if (str_eq(config->places.places[i].location, name))
			return &config->places.places[i];
	return NULL;
}

static const struct elements_dep **select_place(struct build *build, const char *name, uint32_t *count, struct diag *diag)
{
	const struct kinds_layout_place *place = find_place(build, name);
	const struct elements_dep **deps = place ? build_select(build, place->items, place->count, count) : NULL;

	if (place && !deps)
		diag_set(diag, "element", NULL, "A dependency of %s has not been built", build->element->full_name);
	if (!place)
		*count = 0;
	return deps;
}

static int stage_environment(struct build *build, struct diag *diag)
{
	struct activity activity = build_begin(build, "Staging environment", NULL);
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;
	uint32_t count;
	const struct elements_dep **deps = select_place(build, "env", &count, diag);
	int r = count ? deps ? stage_artifacts(build->job, build->overlaps, build->tree, deps, count, "/", diag) : -ENOENT : 0;

	build_end(build, &activity, r);
	if (r >= 0)
		r = sandbox_staged(build->sandbox, diag);
	if (r < 0)
		return r;
	activity = build_begin(build, "Integrating sandbox", NULL);
	r = integrate(build->job, &batch, deps, count, diag);
	if (r >= 0)
		r = build_run(build, &batch, diag);
	else
		sandbox_batch_release(&batch);
	return build_end(build, &activity, r);
}

/* The plugin stages all of them once for each of them. */
static int stage_sysroot(struct build *build, struct diag *diag)
{
	struct activity activity = build_begin(build, "Staging sysroot", NULL);
	const struct kinds_layout_place *place = find_place(build, "sysroot");
	const char *location = graph_variable(build->element, "sysroot");
	uint32_t count;
	const struct elements_dep **deps = select_place(build, "sysroot", &count, diag);
	int r = place && !deps ? -ENOENT : 0;

	for (uint32_t i = 0; r >= 0 && place && i < place->count; i++)
		r = stage_artifacts(build->job, build->overlaps, build->tree, deps, count, location ? location : "/", diag);
	return build_end(build, &activity, r);
}

static int stage(struct build *build, struct diag *diag)
{
	int r = stage_environment(build, diag);

	return r == 0 ? stage_sysroot(build, diag) : r;
}

static void add_command(struct build *build, struct sandbox_batch *batch, const char *const *argv, uint32_t argc)
{
	sandbox_batch_command(batch, &(struct sandbox_command){ arena_memdup(build->job->arena, argv, argc * sizeof *argv), argc,
								 NULL, "/", build->environment, build->environment_count });
}

static int assemble(struct build *build, const char **collect, struct diag *diag)
{
	const struct kinds_ostree_element *config = build->element->config;
	const char *bare = below(build, build->marked[0], "barerepo"), *sysroot = below(build, build->marked[0], "sysroot");
	const char *const make_bare[] = { "ostree", "init", "--repo", bare };
	const char *const commit[] = { "ostree",   "commit",       "--repo",      bare,
				       "--consume", sysroot,        "--branch",    config->branch,
				       "--timestamp", "2011-11-11 11:11:11+00:00" };
	const char *const make_archive[] = { "ostree", "init", "--repo", build->marked[1], "--mode", "archive" };
	const char *const pull[] = { "ostree", "pull-local", "--repo", build->marked[1], bare };
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;

	for (uint32_t i = 0; i < config->initial_commands.count; i++) {
		const char *const shell[] = { "sh", "-c", "-e", config->initial_commands.items[i] };

		add_command(build, &batch, shell, ARRAY_SIZE(shell));
	}
	add_command(build, &batch, make_bare, ARRAY_SIZE(make_bare));
	add_command(build, &batch, commit, ARRAY_SIZE(commit));
	add_command(build, &batch, make_archive, ARRAY_SIZE(make_archive));
	add_command(build, &batch, pull, ARRAY_SIZE(pull));
	*collect = build->marked[1];
	return build_run(build, &batch, diag);
}

const struct elements_kind elements_ostree = { "ostree", configure, stage, assemble };
