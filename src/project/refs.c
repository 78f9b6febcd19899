/* project.refs and junction.refs (compat 1.11): refs of sources kept in one file of the project. */
#include "project/project_internal.h"

#include <string.h>

static const char *const keys[] = { "projects", NULL };

int refs_load(struct loaded_project *project, const char *base_name, const struct option_pool *options,
	      const struct yaml_node **ret, struct diag *diag)
{
	struct arena *arena = project->load->arena;
	const struct yaml_node *root;
	const char *path;
	int r = project_path(project, base_name, &path);

	*ret = NULL;
	if (r < 0)
		return r;
	/* Named without the junction in errors, as the peer does. */
	r = yaml_load_file(arena, -1, path, NULL, base_name, project->id,
			   &root, diag);
	if (r < 0 && diag && str_eq(diag->reason, "missing-file")) {
		diag_release(diag);
		return 0; /* no refs yet */
	}
	if (r < 0 || (r = yaml_resolve_conditions(arena, root, &options->values, NULL, &root, diag)) < 0 ||
	    (r = yaml_check_composited(root, diag)) < 0 || (r = yaml_validate_keys(root, keys, diag)) < 0)
		return r;
	r = yaml_get_map(root, "projects", ret, diag);
	return r < 0 ? r : 0;
}

static const struct yaml_node *look_up(const struct yaml_node *projects, const char *project, const char *element,
				       uint32_t index)
{
	const struct yaml_node *node = projects ? yaml_get(projects, project) : NULL;

	if (node && yaml_is_map(node))
		node = yaml_get(node, element);
	if (!node || !yaml_is_list(node) || index >= node->count || !yaml_is_map(node->items[index]))
		return NULL;
	return node->items[index];
}

const struct yaml_node *refs_lookup(const struct loaded_project *project, bool of_junction, const char *element,
				    uint32_t index, bool *ret_drop)
{
	const struct loaded_project *top = project->load->top;
	const struct yaml_node *node = NULL;

	*ret_drop = false;
	if (project != top && top->project_refs)
		node = look_up(of_junction ? top->junction_refs : top->refs, project->name, element, index);
	if (node || !project->project_refs)
		return node;
	*ret_drop = true;
	return look_up(of_junction ? project->junction_refs : project->refs, project->name, element, index);
}
