/* Elements by name (compat 1.9): their files, and what they depend on.
 *
 * Each project has its own name space of elements and of subprojects.  Names lead elsewhere in three ways: a link names
 * another element or junction; an override in an ancestor's junction replaces an element or a junction of a subproject
 * (overrides.c); "junction:name" crosses into a subproject (subprojects.c).  Dependencies are followed iteratively within a
 * project and recursively where the project changes.
 */
#include "base/suggest.h"
#include "project/project_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const element_keys[] = {
	"kind", "depends", "sources", "sandbox", "variables", "environment", "environment-nocache", "config", "public",
	"description", "build-depends", "runtime-depends", NULL,
};

/* ---- single files ---- */

int loader_parse_name(struct loaded_project *project, const char *name, const struct yaml_node *asked_by,
		      bool load_subprojects, struct loaded_project **ret_project, const char **ret_name, struct diag *diag)
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

int loader_read(struct loaded_project *project, const char *name, const struct yaml_node *asked_by, bool only_first_pass,
		struct load_element **ret, struct diag *diag)
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
		links_announce(element);
	*ret = element;
	return 0;
}

struct load_element *loader_known(const struct loaded_project *project, const char *name)
{
	uint32_t index = strmap_get(&project->elements, name, strlen(name));

	return index == STRMAP_NONE ? NULL : project->load->elements.at[index];
}

/* The element a name stands for, overrides and links followed; its dependencies may not be loaded yet. */
static int load_one(struct loaded_project *project, const char *written, const struct yaml_node *asked_by,
		    bool load_subprojects, struct load_element **ret, struct diag *diag)
{
	const char *name = path_normal(project->load->arena, written);
	struct load_element *element = loader_known(project, name);
	struct loaded_project *target;
	struct overriding overriding;
	int r;

	*ret = element;
	if (element && element->fully_loaded)
		return 0;
	if (!element && (r = loader_read(project, name, asked_by, false, &element, diag)) < 0)
		return r;
	overriding = overrides_find(project, name, NULL, NULL);
	if (overriding.by) {
		const struct yaml_node *node = overriding.override->target_node;

		r = loader_parse_name(overriding.by, node->text, node, true, &target, &name, diag);
		return r < 0 ? r : loader_file(target, name, node, true, ret, diag);
	}
	*ret = element;
	if (!element->link_target)
		return 0;
	if ((r = loader_parse_name(project, element->link_target->text, element->link_target, load_subprojects, &target, &name,
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
	if (load->depth > LOADER_MOST_LEVELS)
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

int loader_target(struct loaded_project *top, const char *name, struct load_element **ret, struct diag *diag)
{
	struct loaded_project *project;
	int r;

	if (*name == '/')
		return diag_set(diag, "load", "invalid-data",
				"Target '%s' was not specified as a relative path to the base project directory: %s", name,
				top->element_path);
	if ((r = loader_parse_name(top, name, NULL, true, &project, &name, diag)) < 0)
		return r;
	return loader_file(project, name, NULL, true, ret, diag);
}
