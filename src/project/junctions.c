/* Junctions: where their projects lie on disk, and which projects may be loaded more than once (compat 1.9). */
#include "project/project_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "keys/keys.h"

static int no_ref(struct load_element *junction, const struct yaml_node *asked_by, struct diag *diag)
{
	diag_set(diag, "load", "subproject-inconsistent", "Subproject has no ref for junction: %s", junction->name);
	if (asked_by)
		yaml_where(diag, asked_by);
	diag_detail(diag, "Try tracking the junction element with `bst source track %s`", junction->name);
	return -EINVAL;
}

/* The weak key of a junction, which has no dependencies: of a graph that holds nothing else. */
static int weak_key(struct load_element *junction, struct key *ret, struct diag *diag)
{
	struct graph_project project = { .name = junction->project->name };
	struct graph alone = { .elements = junction->early, .element_count = 1, .projects = &project, .project_count = 1 };
	uint32_t own_project = junction->early->project;
	struct keys_of_element all = { 0 };
	struct keys *keys;
	const char **fatal = ARENA_ARRAY(junction->project->load->arena, const char *,
					 junction->project->fatal_warnings.count);
	int r = sources_keys(junction, junction->early, diag);

	if (r < 0)
		return r;
	for (size_t i = 0; i < junction->project->fatal_warnings.count; i++)
		fatal[i] = junction->project->fatal_warnings.at[i];
	project.fatal_warnings = fatal;
	project.fatal_warning_count = (uint32_t)junction->project->fatal_warnings.count;
	junction->early->project = 0;
	keys = keys_new(&alone);
	keys_all(keys, NULL, &all);
	keys_free(keys);
	arena_release(&alone.arena);
	junction->early->project = own_project;
	*ret = all.weak;
	return 0;
}

static uint32_t publish(struct load_element *junction)
{
	struct graph *graph = junction->project->load->graph;

	if (junction->id == GRAPH_NONE) {
		order_stop_keys(junction->project->load);
		junction->id = graph_add_element(graph);
		graph->elements[junction->id] = *junction->early;
	}
	return junction->id;
}

static int staged(struct load_element *junction, const char **ret_directory, struct diag *diag)
{
	struct project_loader *load = junction->project->load;
	char hex[DIGEST_HEX + 1];
	struct key key;
	struct stat st;
	int r = weak_key(junction, &key, diag);

	if (r < 0)
		return r;
	digest_to_hex(hex, key.hash);
	*ret_directory = arena_printf(load->arena, "%s/.bst/staged-junctions/%s/%s", junction->project->directory,
				      junction->name, hex);
	if (stat(*ret_directory, &st) == 0)
		return 0;
	*items_add(&load->needs) = (struct project_need){ publish(junction), *ret_directory };
	return PROJECT_STOP;
}

int junction_open(struct load_element *junction, const struct yaml_node *asked_by, struct project_place *ret,
		  struct diag *diag)
{
	const struct graph_element *element;
	const struct kinds_junction *config;
	int r = element_configure(junction, diag);

	if (r < 0)
		return r;
	element = junction->early;
	config = element->config;
	if (!element->has_all_refs)
		return no_ref(junction, asked_by, diag);
	*ret = (struct project_place){ element->source_count == 1 ? kinds_local_path(&element->sources[0]) : NULL, NULL, 0 };
	if (!ret->directory && view_of_junction(junction, config->path, ret))
		return 0;
	if (!ret->directory && (r = staged(junction, &ret->directory, diag)) < 0)
		return r;
	if (*config->path)
		ret->directory = path_join(junction->project->load->arena, ret->directory, config->path);
	return 0;
}

/* ---- conflicts ---- */

typedef ITEMS(struct loaded_project *) project_list;

static bool contains(const project_list *list, const struct loaded_project *project)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->at[i] == project)
			return true;
	return false;
}

static void add_chain(struct loaded_project *project, project_list *ret)
{
	for (; project && !contains(ret, project); project = project->parent)
		*items_add(ret) = project;
}

/* All projects from which this one can be reached by a path, those included whose junctions were overridden. */
static void ancestors(struct loaded_project *project, project_list *ret)
{
	add_chain(project->parent, ret);
	for (size_t i = 0; i < project->alternative_parents.count; i++)
		add_chain(project->alternative_parents.at[i], ret);
}

/* Does a list of junction paths of `by` lead to project? */
static int leads_to(struct loaded_project *by, const struct yaml_node *list, const struct loaded_project *project,
		    bool *ret, struct diag *diag)
{
	*ret = false;
	for (uint32_t i = 0; list && yaml_is_list(list) && i < list->count && !*ret; i++) {
		struct loaded_project *found;
		int r;

		if (!yaml_is_scalar(list->items[i]))
			continue;
		if ((r = loader_get(by, list->items[i]->text, list->items[i], false, &found, diag)) < 0)
			return r;
		*ret = found == project;
	}
	return 0;
}

struct relations { /* of one instance of a project */
	project_list duplicated_by, internal_to;
};

static int find_relations(struct loaded_project *project, struct relations *ret, struct diag *diag)
{
	project_list above = { 0 };
	int r = 0;

	ancestors(project, &above);
	for (size_t i = 0; r >= 0 && i < above.count; i++) {
		struct loaded_project *by = above.at[i];
		const struct yaml_node *paths = by->duplicates ? yaml_get(by->duplicates, project->name) : NULL;
		bool duplicated, internal;

		if ((r = leads_to(by, paths, project, &duplicated, diag)) < 0 ||
		    (r = leads_to(by, by->internal, project, &internal, diag)) < 0)
			break;
		if (duplicated)
			*items_add(&ret->duplicated_by) = by;
		if (internal)
			*items_add(&ret->internal_to) = by;
	}
	free(above.at);
	return r;
}

static void describe(const struct loaded_project *project, struct buf *out)
{
	buf_adds(out, project->name);
	if (!project->junction) {
		buf_adds(out, " (toplevel)");
		return;
	}
	buf_printf(out, " (%s)", project->junction->full_name);
	if (project->asked_by) {
		buf_adds(out, ": ");
		yaml_provenance(out, project->asked_by);
	}
}

static void describe_relations(const project_list *list, const char *what, struct buf *out)
{
	for (size_t i = 0; i < list->count; i++) {
		buf_printf(out, "\n  %s: ", what);
		describe(list->at[i], out);
	}
}

static int check_name(struct project_loader *load, struct loaded_project *first, struct diag *diag)
{
	_cleanup_buf_ struct buf detail = BUF_INIT;
	size_t primary = 0, duplicated = 0;
	int r = 0;

	for (size_t i = first->id; r >= 0 && i < load->projects.count; i++) {
		struct loaded_project *project = load->projects.at[i];
		struct relations relations = { 0 };

		if (strcmp(project->name, first->name) != 0)
			continue;
		r = find_relations(project, &relations, diag);
		primary += relations.duplicated_by.count == 0 && relations.internal_to.count == 0;
		duplicated += relations.duplicated_by.count > 0;
		describe(project, &detail);
		describe_relations(&relations.duplicated_by, "Duplicated by", &detail);
		describe_relations(&relations.internal_to, "Internal to", &detail);
		buf_addc(&detail, '\n');
		free(relations.duplicated_by.at);
		free(relations.internal_to.at);
	}
	if (r < 0 || !(primary > 1 || (primary == 1 && duplicated > 0)))
		return r;
	diag_set(diag, "load", "conflicting-junction", "Project '%s' was loaded in multiple contexts", first->name);
	diag_detail(diag,
		    "%sInternal projects do not cause any conflicts. Conflicts can also be avoided\n"
		    "by marking every instance of the project as a duplicate.",
		    buf_text(&detail));
	return -EEXIST;
}

int junction_check_conflicts(struct project_loader *load, struct diag *diag)
{
	struct strmap seen = STRMAP_INIT; /* name -> first project of that name, plus one; 0: checked */
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < load->projects.count; i++) {
		const char *name = load->projects.at[i]->name;
		uint32_t first = strmap_get(&seen, name, strlen(name));

		if (first == STRMAP_NONE) {
			strmap_put(&seen, name, strlen(name), i + 1);
		} else if (first > 0) { /* a second one: now it matters */
			strmap_put(&seen, name, strlen(name), 0);
			r = check_name(load, load->projects.at[first - 1], diag);
		}
	}
	strmap_release(&seen);
	return r;
}
