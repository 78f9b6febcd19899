/* Staging artifacts and collecting integration commands. */
#include "elements/elements_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "yaml/yaml.h"

const struct yaml_node *dep_public(const struct elements_job *job, const struct elements_dep *dep)
{
	return dep->public_data ? dep->public_data : job->graph->elements[dep->element].public_data;
}

int bst_strings(const struct elements_job *job, const struct yaml_node *public_data, const char *key,
		const char *const **ret, uint32_t *ret_count, struct diag *diag)
{
	const struct yaml_node *bst = NULL;
	int r;

	*ret = NULL;
	*ret_count = 0;
	if (!public_data)
		return 0;
	r = yaml_get_map(public_data, "bst", &bst, diag);
	if (r > 0)
		r = yaml_get_strs(job->arena, bst, key, ret, ret_count, diag);
	return r < 0 ? r : 0;
}

struct staging {
	struct overlaps *overlaps;
	uint32_t stamp;
	const struct elements_split *split; /* NULL: all files */
};

static bool wanted(void *data, const char *path, enum cas_type type)
{
	return elements_split_match(((struct staging *)data)->split, path);
}

static void on_event(void *data, enum cas_event event, const char *path, uint32_t previous)
{
	const struct staging *staging = data;

	overlaps_event(staging->overlaps, staging->stamp, event, path, previous);
}

static int stage_one(const struct elements_job *job, struct overlaps *overlaps, struct cas_tree *tree,
		     const struct elements_dep *dep, const char *location, const struct elements_split *split,
		     struct diag *diag)
{
	struct staging staging = { overlaps, overlaps_stamp(overlaps, dep), split };
	struct cas_merge merge = { .filter = split ? wanted : NULL, .event = on_event, .data = &staging,
				   .stamp = staging.stamp };
	_cleanup_buf_ struct buf text = BUF_INIT;
	char hex[DIGEST_HEX + 1];
	int r;

	digest_to_hex(hex, dep->key.hash);
	buf_printf(&text, "Staging %s/%.*s", job->graph->elements[dep->element].name,
		   (int)(job->key_length ? job->key_length : 8), hex);
	build_message(job, ELEMENTS_STATUS, dep->element, buf_text(&text), NULL);
	if (!dep->has_files)
		return cas_tree_mkdir(tree, location);
	r = cas_tree_merge(tree, location, &dep->files, &merge, diag);
	if (r < 0 && diag && diag->domain)
		diag_detail(diag, "while staging %s", job->graph->elements[dep->element].full_name);
	return r;
}

static int stage_part(const struct elements_job *job, struct overlaps *overlaps, struct cas_tree *tree,
		      const struct elements_dep *dep, const char *location, const struct part *part, struct diag *diag)
{
	struct elements_split *split = NULL;
	int r = 0;

	if (part && (part->include.count || part->exclude.count || !part->orphans))
		r = elements_split_new(&split, dep_public(job, dep), part->include.items, part->include.count,
				       part->exclude.items, part->exclude.count, part->orphans, diag);
	if (r >= 0)
		r = stage_one(job, overlaps, tree, dep, location, split, diag);
	elements_split_free(split);
	return r;
}

int stage_artifacts(const struct elements_job *job, struct overlaps *overlaps, struct cas_tree *tree,
		    const struct elements_dep *const *deps, uint32_t count, const char *location, struct diag *diag)
{
	return stage_parts(job, overlaps, tree, deps, count, location, NULL, diag);
}

int stage_parts(const struct elements_job *job, struct overlaps *overlaps, struct cas_tree *tree,
		const struct elements_dep *const *deps, uint32_t count, const char *location, const struct part *part,
		struct diag *diag)
{
	int r = 0;

	overlaps_begin(overlaps, location);
	for (uint32_t i = 0; r >= 0 && i < count; i++)
		r = stage_part(job, overlaps, tree, deps[i], location, part, diag);
	if (r >= 0)
		r = overlaps_end(overlaps, diag);
	return r < 0 ? build_error(diag, r, "Failed to stage artifacts") : 0;
}

static const struct elements_dep **pointers(const struct elements_job *job, const struct elements_dep *deps,
					    uint32_t count)
{
	const struct elements_dep **list = ARENA_ARRAY(job->arena, const struct elements_dep *, count);

	for (uint32_t i = 0; i < count; i++)
		list[i] = &deps[i];
	return list;
}

int elements_stage(const struct elements_job *job, struct cas_tree *tree, const struct elements_dep *deps,
		   uint32_t dep_count, const char *location, struct diag *diag)
{
	struct overlaps *overlaps = overlaps_new(job);
	int r = stage_artifacts(job, overlaps, tree, pointers(job, deps, dep_count), dep_count, location, diag);

	overlaps_free(overlaps);
	return r;
}

/* ---- integration ---- */

int integrate(const struct elements_job *job, struct sandbox_batch *batch, const struct elements_dep *const *deps,
	      uint32_t count, struct diag *diag)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct graph_element *element = &job->graph->elements[deps[i]->element];
		const char *const *commands;
		uint32_t command_count;
		int r = bst_strings(job, dep_public(job, deps[i]), "integration-commands", &commands, &command_count, diag);

		if (r < 0)
			return r;
		for (uint32_t j = 0; j < command_count; j++) {
			const char **argv = ARENA_ARRAY(job->arena, const char *, 4);

			argv[0] = "sh";
			argv[1] = "-e"; /* the peer's build commands have these two the other way round */
			argv[2] = "-c";
			argv[3] = commands[j];
			sandbox_batch_command(batch, &(struct sandbox_command){ argv, 4, commands[j], "/",
										 element->environment,
										 element->environment_count });
		}
	}
	return 0;
}

int elements_integrate(const struct elements_job *job, struct sandbox_batch *batch, const struct elements_dep *deps,
		       uint32_t dep_count, struct diag *diag)
{
	return integrate(job, batch, pointers(job, deps, dep_count), dep_count, diag);
}

/* ---- layouts ---- */

static int stage_place(struct build *build, const struct kinds_layout_place *place, struct diag *diag)
{
	char *brief = arena_printf(build->job->arena, "Staging dependencies at: %s", place->location);
	struct activity activity = build_begin(build, brief, NULL);
	uint32_t count;
	const struct elements_dep **deps = build_select(build, place->items, place->count, &count);
	int r = deps ? stage_artifacts(build->job, build->overlaps, build->tree, deps, count, place->location, diag) :
		       diag_set(diag, "element", NULL, "A dependency of %s has not been built", build->element->full_name);

	return build_end(build, &activity, r);
}

static int integrate_place(struct build *build, const struct kinds_layout_place *place, struct diag *diag)
{
	struct activity activity = build_begin(build, "Integrating sandbox", NULL);
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;
	uint32_t count;
	const struct elements_dep **deps = build_select(build, place->items, place->count, &count);
	int r = integrate(build->job, &batch, deps, count, diag);

	if (r >= 0)
		r = build_run(build, &batch, diag);
	else
		sandbox_batch_release(&batch);
	return build_end(build, &activity, r);
}

int build_stage_layout(struct build *build, const struct kinds_layout *layout, struct diag *diag)
{
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < layout->count; i++)
		r = stage_place(build, &layout->places[i], diag);
	if (r >= 0)
		r = sandbox_staged(build->sandbox, diag);
	for (uint32_t i = 0; r == 0 && i < layout->count; i++)
		if (str_eq(layout->places[i].location, "/"))
			r = integrate_place(build, &layout->places[i], diag);
	return r;
}
