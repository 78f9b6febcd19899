/* Junctions that need no copy.
 *
 * The peer stages a junction whose sources are several into a directory of its own.  Many such junctions take parts of the
 * very project they stand in: `local` sources, each put where it came from ({path: elements, directory: elements}).  The
 * staged tree would then hold nothing but copies, made anew whenever any file changes, of files that are right here.  So
 * they are read where they are: the subproject's directory is that of the project around it, and of what lies at its top
 * only what the sources name can be seen.
 *
 * Whatever asks for more than that (the top directory itself as an element-path or a local source, its path in an alias)
 * has the junction staged after all: it is marked, and loading starts over.  What cannot be seen has a path where nothing
 * is, so that it is missing for whoever looks.
 */
#include "project/project_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "kinds/source_configs.h"

/* Where a source is put, normalised; NULL if that depends on variables. */
static const char *put_at(struct arena *arena, const struct graph_source *source)
{
	const char *directory = source->directory ? source->directory : "";

	if (strstr(directory, "%{"))
		return NULL;
	directory += strspn(directory, "/");
	return path_normal(arena, *directory ? directory : ".");
}

/* The name at the top of the project that this source takes and leaves where it is, or NULL. */
static const char *same_place(struct loaded_project *project, const struct graph_source *source)
{
	struct arena *arena = project->load->arena;
	const char *from, *to = put_at(arena, source);
	struct stat st;

	if (!to || !str_eq(source->ops->name, "local") || stat(kinds_local_path(source), &st) < 0)
		return NULL;
	from = path_normal(arena, ((const struct kinds_local *)source->config)->path);
	if (strchr(from, '/') || str_eq(from, ".") || str_eq(from, "..") || str_eq(from, ".bst"))
		return NULL;
	if (S_ISDIR(st.st_mode))
		return str_eq(from, to) ? from : NULL;
	return S_ISREG(st.st_mode) && str_eq(to, ".") ? from : NULL; /* a file is put into a directory */
}

static const char *mark_of(const struct load_element *junction)
{
	return arena_join(junction->project->load->arena, junction->project->directory, "//", junction->name);
}

static bool sees(const struct project_place *place, const char *path)
{
	size_t len = strcspn(path, "/");

	for (uint32_t i = 0; i < place->visible_count; i++)
		if (strlen(place->visible[i]) == len && strncmp(place->visible[i], path, len) == 0)
			return true;
	return false;
}

bool view_of_junction(struct load_element *junction, const char *path, struct project_place *ret)
{
	struct loaded_project *project = junction->project;
	const struct graph_element *element = junction->early;
	const char *mark = mark_of(junction), **names;

	if (strmap_get(&project->load->staged_whole, mark, strlen(mark)) != STRMAP_NONE || element->workspace)
		return false;
	names = ARENA_ARRAY(project->load->arena, const char *, element->source_count);
	for (uint32_t i = 0; i < element->source_count; i++) {
		names[i] = same_place(project, &element->sources[i]);
		/* The project around may be such a view, too; kinds_local_path knows, names[i] is what it lets see. */
		if (!names[i])
			return false;
	}
	*ret = (struct project_place){ project->directory, names, element->source_count };
	path = path_normal(project->load->arena, *path ? path : ".");
	if (str_eq(path, "."))
		return sees(ret, "project.conf");
	if (!sees(ret, path))
		return false;
	*ret = (struct project_place){ path_join(project->load->arena, project->directory, path), NULL, 0 };
	return true;
}

int view_leave(struct loaded_project *project)
{
	struct project_loader *load = project->load;
	const char *mark = mark_of(project->junction);

	strmap_put(&load->staged_whole, mark, strlen(mark), 1);
	load->again = true;
	return PROJECT_STOP;
}

int project_path(struct loaded_project *project, const char *path, const char **ret)
{
	struct arena *arena = project->load->arena;
	const char *normal;

	*ret = path_join(arena, project->directory, path);
	if (!project->place.visible || *path == '/')
		return 0;
	normal = path_normal(arena, *path ? path : ".");
	if (str_eq(normal, "."))
		return view_leave(project);
	if (!sees(&project->place, normal))
		*ret = arena_printf(arena, "%s/.bst/staged-junctions/%s/%s", project->directory, project->junction->name, path);
	return 0;
}

/* Does a scalar anywhere in node refer to the directory of the project? */
static bool names_root(const struct yaml_node *node)
{
	if (!node || !(node->flags & YAML_HAS_REF))
		return false;
	if (yaml_is_scalar(node))
		return strstr(node->text, "project-root") != NULL;
	for (uint32_t i = 0; i < node->count; i++)
		if (names_root(yaml_is_list(node) ? node->items[i] : node->entries[i].value))
			return true;
	return false;
}

int view_check_urls(struct loaded_project *project, const struct yaml_node *urls)
{
	return project->place.visible && names_root(urls) ? view_leave(project) : 0;
}
