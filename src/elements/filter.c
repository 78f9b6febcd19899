/* filter: part of the one build dependency, by its split rules. */
#include "elements/elements_internal.h"

#include "yaml/yaml.h"

struct filtering {
	struct overlaps *overlaps;
	const struct elements_split *split;
	uint32_t stamp;
};

/* The direct build dependency: there is exactly one, which loading has made sure of. */
static const struct elements_dep *parent(struct build *build)
{
	const struct graph_element *element = build->element;

	for (uint32_t i = 0; i < element->dep_count; i++)
		for (uint32_t j = 0; element->deps[i].type & GRAPH_BUILD && j < build->job->dep_count; j++)
			if (build->job->deps[j].element == element->deps[i].element)
				return &build->job->deps[j];
	return NULL;
}

static void unknown_domains(struct buf *detail, const struct yaml_node *rules, const struct kinds_strings *domains,
			    const struct yaml_node *node)
{
	bool any = false;

	for (uint32_t i = 0; i < domains->count; i++) {
		if (rules && yaml_get(rules, domains->items[i]))
			continue;
		if (!any) {
			buf_printf(detail, "%sUnknown domains were used in ", detail->len ? "\n" : "");
			yaml_provenance(detail, node);
		}
		any = true;
		buf_printf(detail, "\n - %s", domains->items[i]);
	}
}

static int check_domains(const struct kinds_filter *config, const struct yaml_node *public_data, struct diag *diag)
{
	const struct yaml_node *bst = NULL, *rules = NULL;
	_cleanup_buf_ struct buf detail = BUF_INIT;
	int r = public_data ? yaml_get_map(public_data, "bst", &bst, diag) : 0;

	if (r >= 0 && bst)
		r = yaml_get_map(bst, "split-rules", &rules, diag);
	if (r < 0)
		return r;
	unknown_domains(&detail, rules, &config->include, config->include_node);
	unknown_domains(&detail, rules, &config->exclude, config->exclude_node);
	if (!detail.len)
		return 0;
	r = diag_set(diag, "element", NULL, "Unknown domains declared.");
	diag_detail(diag, "%s", buf_text(&detail));
	return r;
}

static bool wanted(void *data, const char *path, enum cas_type type)
{
	return elements_split_match(((struct filtering *)data)->split, path);
}

static void on_event(void *data, enum cas_event event, const char *path, uint32_t previous)
{
	struct filtering *filtering = data;

	overlaps_event(filtering->overlaps, filtering->stamp, event, path, previous);
}

static int stage_parent(struct build *build, const struct elements_dep *dep, struct diag *diag)
{
	const struct kinds_filter *config = build->element->config;
	struct elements_split *split;
	struct filtering filtering = { build->overlaps };
	struct cas_merge merge = { wanted, on_event, &filtering, 0 };
	int r = elements_split_new(&split, dep_public(build->job, dep), config->include.items, config->include.count,
				   config->exclude.items, config->exclude.count, config->include_orphans, diag);

	if (r < 0)
		return r;
	overlaps_begin(build->overlaps, "/");
	merge.stamp = filtering.stamp = overlaps_stamp(build->overlaps, dep);
	filtering.split = split;
	if (config->include_orphans && !config->include.count && !config->exclude.count)
		merge.filter = NULL; /* everything: whole directories are taken as they are */
	if (dep->has_files)
		r = cas_tree_merge(build->tree, "", &dep->files, &merge, diag);
	elements_split_free(split);
	return r < 0 ? build_error(diag, r, "Failed to stage artifacts") : overlaps_end(build->overlaps, diag);
}

static int stage(struct build *build, struct diag *diag)
{
	struct activity activity = build_begin(build, "Staging artifact", NULL);
	const struct elements_dep *dep = parent(build);
	int r;

	if (!dep)
		r = diag_set(diag, "element", NULL, "A dependency of %s has not been built", build->element->full_name);
	else if ((r = check_domains(build->element->config, dep_public(build->job, dep), diag)) >= 0)
		r = stage_parent(build, dep, diag);
	return build_end(build, &activity, r);
}

/* Its own integration commands come behind those of the dependency. */
static int pass_integration(struct build *build, struct diag *diag)
{
	struct arena *arena = build->job->arena;
	const struct yaml_node *theirs = NULL, *mine = NULL, *bst = NULL, *own = NULL, *joined;
	const struct yaml_node *public_data = build->result->public_data, *their_public = dep_public(build->job, parent(build));
	int r = their_public ? yaml_get_map(their_public, "bst", &bst, diag) : 0;

	if (r > 0)
		r = yaml_get_list(bst, "integration-commands", &theirs, diag);
	if (r >= 0 && public_data)
		r = yaml_get_map(public_data, "bst", &own, diag);
	if (r >= 0 && own)
		r = yaml_get_list(own, "integration-commands", &mine, diag);
	if (r < 0)
		return r;
	joined = yaml_list_join(arena, theirs ? theirs : yaml_list(arena, NULL, 0, NULL), mine);
	own = yaml_map_set(arena, own ? own : yaml_empty_map(arena, NULL), "integration-commands", joined);
	build->result->public_data =
		yaml_map_set(arena, public_data ? public_data : yaml_empty_map(arena, NULL), "bst", own);
	return 0;
}

static int assemble(struct build *build, const char **collect, struct diag *diag)
{
	const struct kinds_filter *config = build->element->config;
	int r = config->pass_integration ? pass_integration(build, diag) : 0;

	*collect = "";
	return r < 0 ? r : ELEMENTS_BUILT;
}

const struct elements_kind elements_filter = { "filter", NULL, stage, assemble };
