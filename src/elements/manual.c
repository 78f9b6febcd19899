/* The BuildElement family: manual, autotools, cmake, make, meson, pip and the like, which differ in default commands only
 * (the peer's buildelement.py). */
#include "elements/elements_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	const struct graph_pair *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static const char *work_directory(struct build *build, const struct kinds_build *config, const char *build_root)
{
	if (!config->command_subdir || !*config->command_subdir)
		return build_root;
	if (config->command_subdir[0] == '/') /* as os.path.join has it */
		return config->command_subdir;
	return arena_printf(build->job->arena, "%s%s%s", build_root, str_ends(build_root, "/") ? "" : "/",
			    config->command_subdir);
}

/* One variable: the digest of what these dependencies look like when staged by themselves. */
static int digest_variable(struct build *build, const struct kinds_layout_place *place, const char **ret_value,
			   struct digest *ret, struct diag *diag)
{
	char *brief = arena_printf(build->job->arena, "Staging dependencies for '%s' in subsandbox", place->location);
	struct activity activity = build_begin(build, brief, NULL);
	struct overlaps *overlaps = overlaps_new(build->job);
	struct cas_tree *tree = NULL;
	char hex[DIGEST_HEX + 1];
	uint32_t count = 0;
	const struct elements_dep **deps = build_select(build, place->items, place->count, &count);
	int r = deps ? cas_tree_new(&tree, build->job->cas, NULL) : -ENOENT;

	if (r >= 0)
		r = stage_artifacts(build->job, overlaps, tree, deps, count, "/", diag);
	if (r >= 0)
		r = cas_tree_digest(tree, "", ret);
	if (r >= 0) {
		digest_to_hex(hex, ret->hash);
		*ret_value = arena_printf(build->job->arena, "%s/%" PRId64, hex, ret->size_bytes);
	} else {
		build_error(diag, r, "Failed to stage dependencies for an environment variable");
	}
	cas_tree_free(tree);
	overlaps_free(overlaps);
	return build_end(build, &activity, r);
}

static int digest_environment(struct build *build, const struct kinds_layout *layout, struct diag *diag)
{
	uint32_t count = build->environment_count;
	struct graph_pair *pairs = ARENA_ARRAY(build->job->arena, struct graph_pair, count + layout->count);
	struct digest *digests = ARENA_ARRAY(build->job->arena, struct digest, layout->count);

	memcpy(pairs, build->environment, count * sizeof *pairs);
	for (uint32_t i = 0; i < layout->count; i++) {
		struct graph_pair pair = { .name = layout->places[i].location };
		int r = digest_variable(build, &layout->places[i], &pair.value, &digests[i], diag);
		uint32_t at = 0;

		if (r < 0)
			return r;
		while (at < count && !str_eq(pairs[at].name, pair.name))
			at++;
		pairs[at] = pair;
		count += at == count;
	}
	qsort(pairs, count, sizeof *pairs, by_name);
	build->environment = pairs;
	build->environment_count = count;
	build->result->subsandboxes = digests;
	build->result->subsandbox_count = layout->count;
	return 0;
}

int manual_configure(struct build *build, struct diag *diag)
{
	const struct kinds_build *config = build->element->config;
	const char *build_root = graph_variable(build->element, "build-root");
	const char *install_root = graph_variable(build->element, "install-root");

	build->marked[build->marked_count++] = build_root ? build_root : "/buildstream";
	build->marked[build->marked_count++] = install_root ? install_root : "/buildstream-install";
	build->cwd = work_directory(build, config, build->marked[0]);
	build->environment = build->element->environment;
	build->environment_count = build->element->environment_count;
	return config->digest_environment.count ? digest_environment(build, &config->digest_environment, diag) : 0;
}

static int stage_sources(struct build *build, struct diag *diag)
{
	struct activity activity = build_begin(build, "Staging sources", NULL);
	const char *build_root = build->marked[0];
	const struct cas_directory *there;
	struct digest digest;
	int r = cas_tree_mkdir(build->tree, build_root);

	if (r >= 0)
		r = cas_tree_digest(build->tree, build_root, &digest);
	if (r >= 0)
		r = cas_directory_get(build->job->cas, &digest, &there);
	if (r >= 0 && there->count)
		r = diag_set(diag, "element", NULL, "Staging directory '[CAS:/%s]' is not empty", build_root);
	else if (r >= 0)
		r = cas_tree_merge(build->tree, build_root, build_sources(build), NULL, diag);
	if (r < 0)
		build_error(diag, r, "Failed to stage sources");
	return build_end(build, &activity, r);
}

int manual_stage(struct build *build, struct diag *diag)
{
	const struct kinds_build *config = build->element->config;
	int r = build_stage_layout(build, &config->layout, diag);

	return r == 0 ? stage_sources(build, diag) : r;
}

/* In a workspace configuring is done once: a file tells that it has been. */
static bool is_prepared(struct build *build)
{
	struct cas_entry entry;
	char *path = arena_printf(build->job->arena, "%s/.bst-prepared", build->marked[0]);

	return build->element->workspace && cas_tree_lookup(build->tree, path, false, &entry) >= 0;
}

int manual_run(struct build *build, const struct kinds_strings commands[KINDS_STEPS], bool clean, struct diag *diag)
{
	const struct kinds_strings *configuring = &commands[KINDS_CONFIGURE];
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;

	batch.root_read_only = true;
	if (!configuring->count || !is_prepared(build)) {
		for (uint32_t i = 0; i < configuring->count; i++)
			build_command(build, &batch, configuring->items[i]);
		if (build->element->workspace)
			sandbox_batch_touch(&batch, ".bst-prepared");
	}
	for (int step = KINDS_BUILD; step < KINDS_STEPS; step++)
		for (uint32_t i = 0; i < commands[step].count; i++)
			build_command(build, &batch, commands[step].items[i]);
	if (clean)
		build_clean(build, &batch);
	return build_run(build, &batch, diag);
}

static int assemble(struct build *build, const char **collect, struct diag *diag)
{
	const struct kinds_build *config = build->element->config;

	*collect = build->marked[1];
	return manual_run(build, config->commands, true, diag);
}

const struct elements_kind elements_manual = { "manual", manual_configure, manual_stage, assemble };
