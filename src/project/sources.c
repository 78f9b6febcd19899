/* Sources of an element: their configuration, refs and keys. */
#include "project/project_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int tree_digest(void *data, const char *path, bool mtimes, struct digest *ret, struct diag *diag)
{
	return digests_tree(((const struct asking *)data)->element->project->load, path, mtimes, ret, diag);
}

static int file_digest(void *data, const char *path, struct digest *ret, struct diag *diag)
{
	return digests_file(((const struct asking *)data)->element->project->load, path, ret, diag);
}

static int path_in_project(void *data, const char *path, const char **ret)
{
	return project_path(((const struct asking *)data)->element->project, path, ret);
}

static bool directory_inside(void *data, const char *directory, size_t len)
{
	return path_directory_inside(((const struct asking *)data)->element->project, directory, len);
}

/* ---- configuration ---- */

static void make_context(struct kinds_context *ctx, struct kinds_host *host, struct asking *ask,
			 const struct kinds_plugin *plugin, struct diag *diag)
{
	struct loaded_project *project = ask->element->project;

	*host = (struct kinds_host){ .data = ask, .translate_url = url_translate, .tree_digest = tree_digest,
				     .file_digest = file_digest, .directory_inside = directory_inside,
				     .project_path = path_in_project };
	*ctx = (struct kinds_context){ .arena = element_arena(ask->element), .diag = diag, .graph = project->load->graph,
				       .host = host, .project = project->id, .plugin = plugin,
				       .project_directory = project->directory };
}

static int source_base_get(struct loaded_project *project, const char *kind, bool first_pass,
			   const struct yaml_node *node, struct source_base **ret, struct diag *diag)
{
	struct strmap *index = first_pass ? &project->first_source_index : &project->source_index;
	const struct yaml_node *overrides = first_pass ? project->first.source_overrides : project->second.source_overrides;
	const struct yaml_node *defaults = NULL;
	struct source_base *base;
	const char *yaml;
	uint32_t known = strmap_get(index, kind, strlen(kind));
	int r;

	if (known != STRMAP_NONE) {
		*ret = project->sources.at[known];
		return 0;
	}
	base = ARENA_NEW(project->load->arena, struct source_base);
	base->kind = arena_strdup(project->load->arena, kind);
	if ((r = plugins_identify(project, PLUGIN_SOURCE, kind, node, &base->plugin, &yaml, diag)) < 0 ||
	    (overrides && (r = yaml_get_map(overrides, kind, &defaults, diag)) < 0) ||
	    (defaults && (r = yaml_get_map(defaults, "config", &base->config, diag)) < 0))
		return r;
	base->ops = kinds_find_source(kind);
	strmap_put(index, base->kind, strlen(kind), (uint32_t)project->sources.count);
	*items_add(&project->sources) = *ret = base;
	return 0;
}

/* The ref may stand in project.refs: its members replace those of the configuration. */
static const struct yaml_node *apply_ref(struct load_element *element, const struct source_base *base, uint32_t index,
					 const struct yaml_node *config)
{
	struct loaded_project *project = element->project;
	struct arena *arena = element_arena(element);
	const struct yaml_node *ref;
	bool drop;

	if (base->ops->flags & KINDS_NEVER_REF)
		return config;
	ref = refs_lookup(project, strcmp(element->kind, "junction") == 0, element->name, index, &drop);
	for (const char *const *key = base->ops->ref_keys; (drop || ref) && key && *key; key++) {
		if (!yaml_get(config, *key))
			continue;
		if (drop)
			load_warn(project->load, NULL, NULL,
				  "Ignoring redundant source reference of '%s': refs of this project are in project.refs",
				  element->full_name);
		config = yaml_map_remove(arena, config, *key);
	}
	for (uint32_t i = 0; ref && i < ref->count; i++)
		config = yaml_map_set(arena, config, ref->entries[i].key, ref->entries[i].value);
	return config;
}

/* homepage, issue-tracker and such: checked against project.conf, then for `show` alone. */
static int check_provenance(struct loaded_project *project, const struct yaml_node *node, struct diag *diag)
{
	for (uint32_t i = 0; i < node->count; i++) {
		const struct yaml_node *value = node->entries[i].value;

		if (project->provenance_attributes && !yaml_get(project->provenance_attributes, node->entries[i].key))
			return yaml_error(diag, value, "undefined-source-provenance-attribute",
					  "Specified source provenance attribute not defined in project config\n "
					  "Unexpected key: %s",
					  node->entries[i].key);
		if (!yaml_is_scalar(value))
			return yaml_error(diag, value, "invalid-data",
					  "Expected string for the value of provenance attribute '%s'",
					  node->entries[i].key);
	}
	return 0;
}

/* Takes kind, directory and provenance off; the rest is for the kind. */
static int split_members(struct load_element *element, const struct yaml_node *node, struct graph_source *source,
			 const struct yaml_node **ret_config, const char **ret_kind, struct diag *diag)
{
	struct arena *arena = element_arena(element);
	const struct yaml_node *kind, *provenance = NULL;
	int r;

	if ((r = yaml_need_scalar(node, "kind", &kind, diag)) < 0)
		return r;
	if (strcmp(kind->text, "workspace") == 0) {
		yaml_error(diag, kind, "invalid-data", "Invalid usage of workspace source kind");
		return -EINVAL;
	}
	if ((r = yaml_get_str(node, "directory", &source->directory, diag)) < 0 ||
	    (r = yaml_get_map(node, "provenance", &provenance, diag)) < 0)
		return r;
	*ret_kind = kind->text;
	node = yaml_map_remove(arena, node, "kind");
	if (source->directory && *source->directory)
		node = yaml_map_remove(arena, node, "directory");
	if (provenance && provenance->count > 0) {
		if ((r = check_provenance(element->project, provenance, diag)) < 0)
			return r;
		source->provenance = provenance;
		node = yaml_map_remove(arena, node, "provenance");
	}
	*ret_config = node;
	return 0;
}

static int configure_one(struct load_element *element, const struct yaml_vars *vars, const struct yaml_node *node,
			 uint32_t index, struct graph_source *source, struct diag *diag)
{
	struct arena *arena = element_arena(element);
	struct asking ask = { .element = element, .source = source };
	const struct yaml_node *config;
	struct source_base *base;
	struct kinds_context ctx;
	struct kinds_host host;
	int r;

	source->node = node;
	if ((r = split_members(element, node, source, &config, &ask.kind, diag)) != 0 ||
	    (r = source_base_get(element->project, ask.kind, element->first_pass, node, &base, diag)) < 0 ||
	    (base->config && (r = yaml_compose(arena, config, base->config, &config, diag)) < 0) ||
	    (r = yaml_check_composited(config, diag)) < 0)
		return r;
	config = yaml_clone(arena, config);
	if (element->first_pass)
		r = conf_expand(element->project->load, element->early_variables, config, &config, diag);
	else
		r = yaml_vars_expand(vars, arena, config, &config, diag);
	if (r < 0)
		return r;
	config = apply_ref(element, base, index, config);
	source->ops = base->ops;
	source->node = config;
	make_context(&ctx, &host, &ask, base->plugin, diag);
	r = kinds_configure_source(&ctx, source, config);
	if (r >= 0 && str_eq(ask.kind, "local"))
		digests_expect_tree(element->project->load, kinds_local_path(source));
	return r;
}

static int open_workspace(struct load_element *element, const char *path, struct graph_element *graph_element,
			  struct diag *diag)
{
	struct asking ask = { .element = element };
	struct kinds_context ctx;
	struct kinds_host host;
	int r;

	graph_element->sources = ARENA_NEW(element_arena(element), struct graph_source);
	graph_element->source_count = 1;
	make_context(&ctx, &host, &ask, NULL, diag);
	r = kinds_workspace_source(&ctx, graph_element->sources, path);
	/* A workspace whose directory is gone has no key. */
	graph_element->sources[0].has_ref = graph_element->has_all_refs = access(path, F_OK) == 0;
	return r;
}

/* Path of the element's open workspace, or NULL, and the key of its last build. */
static int find_workspace(struct load_element *element, struct graph_element *ret, struct diag *diag)
{
	const struct project_loader *load = element->project->load;
	const struct yaml_node *node = load->workspaces ? yaml_get(load->workspaces, element->full_name) : NULL;
	int r;

	ret->workspace = NULL;
	if (!node)
		return 0;
	if (!yaml_is_map(node))
		return yaml_error(diag, node, "invalid-data", "Value of '%s' is not of the expected type 'dict'",
				  element->full_name);
	if ((r = yaml_need_str(node, "path", &ret->workspace, diag)) < 0 ||
	    (r = yaml_get_str(node, "last_build", &ret->last_build, diag)) < 0)
		return r;
	ret->workspace = path_join(load->arena, load->top->directory, ret->workspace);
	return 0;
}

int sources_configure(struct load_element *element, const struct yaml_vars *vars, struct graph_element *graph_element,
		      struct diag *diag)
{
	const struct yaml_node *list = NULL, *node;
	int r = find_workspace(element, graph_element, diag);

	if (r < 0)
		return r;
	if (graph_element->workspace)
		return open_workspace(element, graph_element->workspace, graph_element, diag);
	graph_element->has_all_refs = true;
	if ((r = yaml_get_list(element->node, "sources", &list, diag)) <= 0)
		return r;
	graph_element->sources = ARENA_ARRAY(element_arena(element), struct graph_source, list->count);
	for (uint32_t i = 0; i < list->count; i++) {
		if ((r = yaml_item_map(list, i, &node, diag)) < 0 ||
		    (r = configure_one(element, vars, node, i, &graph_element->sources[i], diag)) < 0) {
			diag_element(diag, element->full_name);
			return r;
		}
		graph_element->source_count++;
		graph_element->has_all_refs &= graph_element->sources[i].has_ref;
	}
	return 0;
}

int sources_keys(struct load_element *element, struct graph_element *graph_element, struct diag *diag)
{
	struct asking ask = { .element = element };
	struct kinds_context ctx;
	struct kinds_host host;
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < graph_element->source_count; i++) {
		const struct kinds_plugin *plugin = NULL;

		ask.source = &graph_element->sources[i];
		make_context(&ctx, &host, &ask, plugin, diag);
		r = kinds_source_key(&ctx, &graph_element->sources[i]);
	}
	if (r < 0)
		diag_element(diag, element->full_name);
	return r;
}
