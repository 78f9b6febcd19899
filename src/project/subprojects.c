/* Projects behind junctions, by the path of their junctions' names (compat 1.9). */
#include "project/project_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int override_subproject(struct loaded_project *project, const char *name, struct loaded_project **ret,
			       struct diag *diag)
{
	struct overriding *others = NULL, winner;
	size_t count = 0;
	int r = 0;

	winner = overrides_find(project, name, &others, &count);
	*ret = NULL;
	if (winner.by) {
		const struct yaml_node *node = winner.override->target_node;

		r = loader_get(winner.by, node->text, node, true, ret, diag);
		assert(r < 0 || *ret); /* who wants subprojects loaded gets them */
		/* It can still be reached by the old path, so those projects have a say in conflicts, too. */
		if (r >= 0 && *ret != project)
			*items_add(&(*ret)->alternative_parents) = project;
		for (size_t i = 0; r >= 0 && i < count; i++)
			*items_add(&(*ret)->alternative_parents) = others[i].by;
	}
	free(others);
	return r;
}

static int shallow_path(struct loaded_project *project, const char **path, const struct yaml_node **asked_by,
			struct diag *diag)
{
	const char *colon = strrchr(*path, ':'), *name = colon ? colon + 1 : *path, *junction = NULL;
	struct arena *arena = project->load->arena;
	struct loaded_project *target = project;
	struct load_element *element;
	int r;

	if (colon) {
		junction = arena_strndup(arena, *path, (size_t)(colon - *path));
		if ((r = loader_get(project, junction, *asked_by, false, &target, diag)) < 0)
			return r;
	}
	*path = NULL;
	if (!target)
		return 0;
	element = loader_known(target, name);
	if (!element && (r = loader_read(target, name, *asked_by, true, &element, diag)) < 0)
		return r;
	if (element && element->link_target) {
		*asked_by = element->link_target;
		*path = junction ? arena_printf(arena, "%s:%s", junction, element->link_target->text) :
				   element->link_target->text;
	}
	return 0;
}

/* Makes links known that overrides go through, as far as their projects are loaded. */
static int shallow_overrides(struct loaded_project *project, struct diag *diag)
{
	for (; project->parent; project = project->parent) {
		const struct kinds_junction *junction = project->junction_config;

		for (uint32_t i = 0; i < junction->override_count; i++) {
			const struct yaml_node *asked_by = junction->overrides[i].target_node;
			const char *path = junction->overrides[i].path;
			unsigned hops = 0;
			int r;

			while (path) {
				if ((r = shallow_path(project, &path, &asked_by, diag)) < 0)
					return r;
				if (++hops > LOADER_MOST_LEVELS)
					return yaml_error(diag, asked_by, "circular-reference",
							  "Links lead in a circle");
			}
		}
	}
	return 0;
}

static int open_subproject(struct loaded_project *project, struct load_element *element,
			   const struct yaml_node *asked_by, struct loaded_project **ret, struct diag *diag)
{
	struct project_place place;
	int r;

	if (strcmp(element->kind, "junction") != 0) {
		diag_set(diag, "load", "invalid-data", "%s: Expected junction but element kind is %s", element->name,
			 element->kind);
		if (asked_by)
			yaml_where(diag, asked_by);
		return -EINVAL;
	}
	if (element->dep_count > 0)
		return yaml_error(diag, element->deps[0].node, "invalid-junction",
				  "Dependencies are forbidden for 'junction' elements");
	if ((r = junction_open(element, asked_by, &place, diag)) < 0 ||
	    (r = loader_new_project(project->load, &place, project, element, asked_by, ret, diag)) < 0) {
		const struct kinds_junction *junction;

		if (r == PROJECT_STOP || !diag || !str_eq(diag->reason, "missing-project-conf"))
			return r;
		diag_set(diag, "load", "invalid-junction",
			 "Could not find the project.conf file in the project referred to by junction element '%s'.",
			 element->name);
		junction = element->early->config;
		if (*junction->path)
			buf_printf(&diag->message, " Was expecting it at path '%s' in the junction's source.",
				   junction->path);
		if (asked_by)
			yaml_where(diag, asked_by);
		return r;
	}
	strmap_put(&project->subprojects, element->name, strlen(element->name), (*ret)->id);
	return shallow_overrides(*ret, diag);
}

/* The subproject behind one junction of this project; *ret is NULL if it is not loaded and shall not be. */
static int get_one(struct loaded_project *project, const char *name, const struct yaml_node *asked_by,
		   bool load_subprojects, struct loaded_project **ret, struct diag *diag)
{
	uint32_t known = strmap_get(&project->subprojects, name, strlen(name));
	struct load_element *element;
	int r;

	*ret = NULL;
	if (known != STRMAP_NONE) {
		*ret = project->load->projects.at[known];
		return 0;
	}
	if ((r = override_subproject(project, name, ret, diag)) < 0)
		return r;
	if (*ret) {
		strmap_put(&project->subprojects, arena_strdup(project->load->arena, name), strlen(name), (*ret)->id);
		return 0;
	}
	if ((r = loader_file(project, name, asked_by, load_subprojects, &element, diag)) < 0)
		return r;
	element = loader_known(project, path_normal(project->load->arena, name));
	if (element->link_target) {
		struct loaded_project *target;

		r = loader_parse_name(project, element->link_target->text, element->link_target, load_subprojects, &target,
			       &name, diag);
		return r < 0 || !target ? r : loader_get(target, name, element->link_target, load_subprojects, ret, diag);
	}
	return load_subprojects ? open_subproject(project, element, asked_by, ret, diag) : 0;
}

static int circular(struct loaded_project *project, const char *path, const struct yaml_node *asked_by,
		    const struct yaml_node *before, struct diag *diag)
{
	diag_set(diag, "load", "circular-reference", "Circular reference while searching for '%s'", path);
	if (asked_by)
		yaml_where(diag, asked_by);
	if (before != asked_by && diag) {
		_cleanup_buf_ struct buf place = BUF_INIT;

		yaml_provenance(&place, before);
		diag_detail(diag, "Already searching for '%s' at: %s", path, buf_text(&place));
	}
	return -ELOOP;
}

int loader_get(struct loaded_project *project, const char *path, const struct yaml_node *asked_by, bool load_subprojects,
	       struct loaded_project **ret, struct diag *diag)
{
	char *copy = arena_strdup(project->load->arena, path), *part;
	bool searching = load_subprojects && asked_by;
	struct loaded_project *at = project;
	int r = 0;

	*ret = NULL;
	for (size_t i = 0; load_subprojects && i < project->searches.count; i++)
		if (strcmp(project->searches.at[i].name, path) == 0)
			return circular(project, path, asked_by, project->searches.at[i].node, diag);
	if (searching)
		*items_add(&project->searches) = (struct search){ path, asked_by };
	while (r >= 0 && at && (part = strsep(&copy, ":")) != NULL)
		r = get_one(at, part, asked_by, load_subprojects, &at, diag);
	if (searching)
		project->searches.count--;
	if (r >= 0)
		*ret = at;
	return r;
}
