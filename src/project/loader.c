/* Files, links, overrides and junctions by name (compat 1.9).
 *
 * Each project has its own name space of elements and of subprojects.  Names lead elsewhere in three ways: a link names
 * another element or junction; an override in an ancestor's junction replaces an element or a junction of a subproject;
 * "junction:name" crosses into a subproject.  Dependencies are followed iteratively within a project and recursively
 * where the project changes.
 */
#include "base/suggest.h"
#include "project/project_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each level is a change of project, so no real project comes near this. */
enum { MOST_LEVELS = 4000 };

static const char *const element_keys[] = {
	"kind", "depends", "sources", "sandbox", "variables", "environment", "environment-nocache", "config", "public",
	"description", "build-depends", "runtime-depends", NULL,
};

/* ---- links ---- */

static const char *expand_link(const struct loaded_project *project, const char *path)
{
	for (size_t i = 0; i < project->links.count; i++) {
		const struct link_path *link = &project->links.at[i];

		if (str_starts(path, link->path))
			return arena_printf(project->load->arena, "%s%s", link->target, path + strlen(link->path));
	}
	return path;
}

static void set_link(struct loaded_project *project, const char *path, const char *target)
{
	struct strmap_slot *slot = strmap_slot(&project->link_index, path, strlen(path));

	if (slot->value == STRMAP_NONE) {
		slot->value = (uint32_t)project->links.count;
		*items_add(&project->links) = (struct link_path){ path, target };
	} else {
		project->links.at[slot->value].target = target;
	}
	/* Whatever led to this link leads on to its target now. */
	for (size_t i = 0; i < project->links.count; i++)
		if (strcmp(expand_link(project, project->links.at[i].target), path) == 0)
			project->links.at[i].target = target;
	project->link_version++;
}

/* A link is known to its own project and, by longer paths, to all above it. */
static void announce_link(struct load_element *element)
{
	struct arena *arena = element->project->load->arena;
	const char *path = element->name, *target = element->link_target->text;

	set_link(element->project, path, target);
	for (struct loaded_project *project = element->project; project->parent; project = project->parent) {
		path = arena_join(arena, project->junction->name, ":", path);
		target = arena_join(arena, project->junction->name, ":", target);
		set_link(project->parent, path, target);
	}
}

/* ---- overrides ---- */

static void index_overrides(struct loaded_project *project)
{
	const struct kinds_junction *junction = project->junction_config;

	strmap_clear(&project->override_index);
	for (uint32_t i = 0; i < junction->override_count; i++)
		strmap_put(&project->override_index, junction->overrides[i].path, strlen(junction->overrides[i].path), i);
	/* An exact path goes first, then the first one that means this path through links. */
	for (uint32_t i = 0; i < junction->override_count; i++) {
		const char *path = expand_link(project, junction->overrides[i].path);
		struct strmap_slot *slot = strmap_slot(&project->override_index, path, strlen(path));

		if (slot->value == STRMAP_NONE)
			slot->value = i;
	}
	project->override_version = project->link_version;
}

static const struct kinds_override *local_override(struct loaded_project *project, const char *path)
{
	uint32_t i;

	if (!project->junction || project->junction_config->override_count == 0)
		return NULL;
	if (project->override_version != project->link_version || project->override_index.count == 0)
		index_overrides(project);
	i = strmap_get(&project->override_index, path, strlen(path));
	return i == STRMAP_NONE ? NULL : &project->junction_config->overrides[i];
}

struct overriding {
	struct loaded_project *by;
	const struct kinds_override *override;
};

/* The outermost override wins; the others are told through ret_others (heap, or NULL if not wanted). */
static struct overriding find_override(struct loaded_project *project, const char *name,
				       struct overriding **ret_others, size_t *ret_count)
{
	struct overriding found = { 0 };
	ITEMS(struct overriding) others = { 0 };
	const char *path = name;

	for (; project->parent; project = project->parent) {
		const struct kinds_override *override = local_override(project, path);

		if (override) {
			if (found.by && ret_others)
				*items_add(&others) = found;
			found = (struct overriding){ project->parent, override };
		}
		assert(project->junction); /* that the parent has it by */
		if (project->parent->parent)
			path = arena_join(project->load->arena, project->junction->name, ":", path);
	}
	if (ret_others) {
		*ret_others = others.at;
		*ret_count = others.count;
	}
	return found;
}

/* ---- single files ---- */

/* "junction:name" into project and normalised name.  *ret_project is NULL if the subproject is not loaded. */
static int parse_name(struct loaded_project *project, const char *name, const struct yaml_node *asked_by,
		      bool load_subprojects, struct loaded_project **ret_project, const char **ret_name,
		      struct diag *diag)
{
	const char *colon = strrchr(name, ':');
	struct arena *arena = project->load->arena;

	*ret_project = project;
	*ret_name = path_normal(arena, colon ? colon + 1 : name);
	if (!colon)
		return 0;
	return loader_get(project, arena_strndup(arena, name, (size_t)(colon - name)), asked_by, load_subprojects,
			  ret_project, diag);
}

static int check_name(const char *name, const struct yaml_node *asked_by, struct diag *diag)
{
	if (!str_ends(name, ".bst")) {
		diag_set(diag, "load", "bad-element-suffix",
			 "Element '%s' does not have expected file extension `.bst`", name);
	} else {
		const char *c = name;

		while (*c >= 32 && *c <= 126 && !strchr("<>\"|?*", *c))
			c++;
		if (!*c)
			return 0;
		diag_set(diag, "load", "bad-characters-in-name", "Element '%s' has invalid characters.", name);
	}
	if (asked_by)
		yaml_where(diag, asked_by);
	return -EINVAL;
}

static void suggest_element(struct loaded_project *project, const char *name, struct diag *diag)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct suggest suggest;
	path_list paths = { 0 };

	suggest_init(&suggest, name);
	path_elements(project, true, &paths);
	for (size_t i = 0; i < paths.count; i++)
		suggest_offer(&suggest, paths.at[i]);
	suggest_format(&suggest, &text);
	if (text.len)
		diag_detail(diag, "%s", buf_text(&text));
	free(paths.at);
}

static int missing_file(struct loaded_project *project, const char *name, const struct yaml_node *asked_by,
			struct diag *diag)
{
	const char *prefix = path_normal(project->load->arena, project->element_path_written);

	if (project->junction)
		diag_set(diag, "load", "missing-file",
			 "Could not find element '%s' in project referred to by junction element '%s'", name,
			 project->junction->name);
	else
		diag_set(diag, "load", "missing-file", "Could not find element '%s' in elements directory '%s'", name,
			 project->element_path);
	if (asked_by)
		yaml_where(diag, asked_by);
	/* Many give the path of the file: say what they mean. */
	if (str_starts(name, prefix) && name[strlen(prefix)] == '/') {
		const struct yaml_node *node;
		const char *rest = name + strlen(prefix) + 1;

		if (load_yaml(project, rest, project->element_fd, project->element_path, rest, &node, NULL) >= 0) {
			diag_detail(diag, "Did you mean '%s'?", rest);
			return -ENOENT;
		}
	}
	suggest_element(project, name, diag);
	return -ENOENT;
}

static struct load_element *new_element(struct loaded_project *project, const char *name, const char *kind,
					const struct yaml_node *node)
{
	struct project_loader *load = project->load;
	struct load_element *element = ARENA_NEW(load->arena, struct load_element);

	*element = (struct load_element){ .project = project, .name = name, .kind = kind, .node = node,
					  .id = GRAPH_NONE, .index = (uint32_t)load->elements.count };
	element->full_name = project->junction ?
		arena_join(load->arena, project->junction->full_name, ":", name) : name;
	element->first_pass = str_eq(kind, "junction") || str_eq(kind, "link");
	*items_add(&load->elements) = element;
	return element;
}

static int open_link(struct load_element *element, struct diag *diag)
{
	struct load_dep *deps;
	uint32_t count;
	int r = element_configure(element, diag);

	if (r < 0 || (r = deps_extract(element->project->load, element->node, &deps, &count, diag)) < 0)
		return r;
	if (count > 0)
		return diag_set(diag, "load", "link-forbidden-dependencies",
				"%s: Dependencies are forbidden for 'link' elements", element->full_name);
	return 0;
}

/* Reads one file.  only_first_pass: anything but junctions and links is left alone (*ret = NULL). */
static int read_element(struct loaded_project *project, const char *name, const struct yaml_node *asked_by,
			bool only_first_pass, struct load_element **ret, struct diag *diag)
{
	const struct yaml_node *node;
	struct load_element *element;
	const char *kind;
	int r;

	*ret = NULL;
	if ((r = check_name(name, asked_by, diag)) < 0)
		return r;
	if (project->place.visible && str_starts(name, "../")) {
		const char *path = path_join(project->load->arena, project->element_path_written, name);

		if ((r = project_path(project, path, &path)) < 0)
			return r;
		if (access(path, F_OK) < 0) /* the directory holds it, but the project does not see it */
			return missing_file(project, name, asked_by, diag);
	}
	r = load_yaml(project, name, project->element_fd, project->element_path, name, &node, diag);
	if (r < 0)
		return diag && str_eq(diag->reason, "missing-file") ? missing_file(project, name, asked_by, diag) : r;
	if ((r = yaml_need_str(node, "kind", &kind, diag)) < 0)
		return r;
	if (strcmp(kind, "junction") == 0 || strcmp(kind, "link") == 0) {
		r = yaml_resolve_conditions(project->load->arena, node, &project->first.options.values, NULL, &node,
					    diag);
	} else if (only_first_pass) {
		return 0;
	} else if ((r = conf_ensure_full(project, diag)) >= 0) {
		r = includes_process(project, node, INCLUDE_OPTIONS, &node, diag);
	}
	if (r < 0 || (r = yaml_validate_keys(node, element_keys, diag)) < 0 ||
	    (r = yaml_need_str(node, "kind", &kind, diag)) < 0)
		return r;
	name = arena_strdup(project->load->arena, name);
	element = new_element(project, name, kind, node);
	if (strcmp(kind, "link") == 0 && (r = open_link(element, diag)) < 0)
		return r;
	strmap_put(&project->elements, name, strlen(name), element->index);
	if (element->link_target)
		announce_link(element);
	*ret = element;
	return 0;
}

static struct load_element *known_element(const struct loaded_project *project, const char *name)
{
	uint32_t index = strmap_get(&project->elements, name, strlen(name));

	return index == STRMAP_NONE ? NULL : project->load->elements.at[index];
}

/* The element a name stands for, overrides and links followed; its dependencies may not be loaded yet. */
static int load_one(struct loaded_project *project, const char *written, const struct yaml_node *asked_by,
		    bool load_subprojects, struct load_element **ret, struct diag *diag)
{
	const char *name = path_normal(project->load->arena, written);
	struct load_element *element = known_element(project, name);
	struct loaded_project *target;
	struct overriding overriding;
	int r;

	*ret = element;
	if (element && element->fully_loaded)
		return 0;
	if (!element && (r = read_element(project, name, asked_by, false, &element, diag)) < 0)
		return r;
	overriding = find_override(project, name, NULL, NULL);
	if (overriding.by) {
		const struct yaml_node *node = overriding.override->target_node;

		r = parse_name(overriding.by, node->text, node, true, &target, &name, diag);
		return r < 0 ? r : loader_file(target, name, node, true, ret, diag);
	}
	*ret = element;
	if (!element->link_target)
		return 0;
	if ((r = parse_name(project, element->link_target->text, element->link_target, load_subprojects, &target, &name,
			    diag)) < 0)
		return r;
	*ret = NULL;
	return target ? loader_file(target, name, element->link_target, load_subprojects, ret, diag) : 0;
}

/* ---- dependencies ---- */

struct level { /* an element whose dependencies are being loaded */
	struct load_element *element;
	uint32_t next;
};
typedef ITEMS(struct level) level_stack;

static int push_level(level_stack *stack, struct load_element *element, struct diag *diag)
{
	int r;

	element->fully_loaded = true;
	*items_add(stack) = (struct level){ .element = element };
	r = deps_extract(element->project->load, element->node, &element->deps, &element->dep_count, diag);
	for (uint32_t i = 0; r >= 0 && i < element->dep_count; i++)
		if (!element->deps[i].junction)
			load_soon(element->project, element->deps[i].name);
	load_go(element->project->load);
	return r;
}

/* Different names may have led to one element: the first dependency takes in what the later ones said. */
static void merge_same(struct load_element *element)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < element->dep_count; i++) {
		struct load_dep *dep = &element->deps[i];

		assert(dep->element);
		if (dep->element->mark == element->index + 1) {
			deps_merge(element->project->load->arena, &element->deps[dep->element->merge_index], dep);
			continue;
		}
		dep->element->mark = element->index + 1;
		dep->element->merge_index = kept;
		element->deps[kept++] = *dep;
	}
	element->dep_count = kept;
}

static int load_dependency(struct loaded_project *project, level_stack *stack, struct load_dep *dep,
			   bool load_subprojects, struct diag *diag)
{
	struct loaded_project *target;
	int r;

	if (dep->junction) {
		if ((r = loader_get(project, dep->junction, dep->node, true, &target, diag)) < 0)
			return r;
		return loader_file(target, dep->name, dep->node, true, &dep->element, diag);
	}
	if ((r = load_one(project, dep->name, dep->node, load_subprojects, &dep->element, diag)) < 0)
		return r;
	if (!dep->element || dep->element->fully_loaded)
		return 0;
	if ((r = push_level(stack, dep->element, diag)) < 0)
		return r;
	if (strcmp(dep->element->kind, "junction") == 0)
		return yaml_error(diag, dep->node, "invalid-data", "Cannot depend on junction");
	return 0;
}

/* A dependency leads into a subproject that is not loaded and shall not be: as with the peer, what was found until
 * then are the dependencies, here and above. */
static void stop_here(level_stack *stack)
{
	stack->at[stack->count - 1].next--;
	for (; stack->count > 0; stack->count--) {
		struct level *level = &stack->at[stack->count - 1];

		level->element->dep_count = level->next;
		merge_same(level->element);
	}
}

/* Only without load_subprojects may it end early (see stop_here). */
static int load_dependencies(struct loaded_project *project, struct load_element *top, bool load_subprojects,
			     struct diag *diag)
{
	level_stack stack = { 0 };
	int r = push_level(&stack, top, diag);

	while (r >= 0 && stack.count > 0) {
		struct level *level = &stack.at[stack.count - 1];

		if (level->next == level->element->dep_count) {
			merge_same(level->element);
			stack.count--;
		} else {
			struct load_dep *dep = &level->element->deps[level->next++];

			r = load_dependency(project, &stack, dep, load_subprojects, diag);
			if (r >= 0 && !dep->element)
				stop_here(&stack);
		}
	}
	free(stack.at);
	return r;
}

int loader_file(struct loaded_project *project, const char *name, const struct yaml_node *asked_by,
		bool load_subprojects, struct load_element **ret, struct diag *diag)
{
	struct project_loader *load;
	int r;

	assert(project); /* who wants subprojects loaded gets them */
	load = project->load;
	if (load->depth > MOST_LEVELS)
		return diag_set(diag, "load", "circular-reference", "Too many junctions, links and overrides lead to '%s'",
				name);
	load->depth++;
	r = load_one(project, name, asked_by, load_subprojects, ret, diag);
	/* The peer looks names of dependencies up from here, even where a link or an override led elsewhere; but then
	 * the element is fully loaded by its own project already. */
	if (r >= 0 && *ret && !(*ret)->fully_loaded)
		r = load_dependencies(project, *ret, load_subprojects, diag);
	load->depth--;
	return r;
}

/* ---- subprojects ---- */

static int override_subproject(struct loaded_project *project, const char *name, struct loaded_project **ret,
			       struct diag *diag)
{
	struct overriding *others = NULL, winner;
	size_t count = 0;
	int r = 0;

	winner = find_override(project, name, &others, &count);
	*ret = NULL;
	if (winner.by) {
		const struct yaml_node *node = winner.override->target_node;

		r = loader_get(winner.by, node->text, node, true, ret, diag);
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
	element = known_element(target, name);
	if (!element && (r = read_element(target, name, *asked_by, true, &element, diag)) < 0)
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
				if (++hops > MOST_LEVELS)
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
	element = known_element(project, path_normal(project->load->arena, name));
	if (element->link_target) {
		struct loaded_project *target;

		r = parse_name(project, element->link_target->text, element->link_target, load_subprojects, &target,
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

int loader_target(struct loaded_project *top, const char *name, struct load_element **ret, struct diag *diag)
{
	struct loaded_project *project;
	int r;

	if (*name == '/')
		return diag_set(diag, "load", "invalid-data",
				"Target '%s' was not specified as a relative path to the base project directory: %s", name,
				top->element_path);
	if ((r = parse_name(top, name, NULL, true, &project, &name, diag)) < 0)
		return r;
	return loader_file(project, name, NULL, true, ret, diag);
}
