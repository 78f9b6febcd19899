/* Where names lead elsewhere: links, and what junctions of ancestors override (compat 1.9). */
#include "project/project_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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

void links_announce(struct load_element *element)
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

struct overriding overrides_find(struct loaded_project *project, const char *name, struct overriding **ret_others,
				 size_t *ret_count)
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
