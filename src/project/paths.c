/* Paths of projects: finding project.conf, what a file may point to, lists of elements. */
#include "project/project_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

const char *path_join(struct arena *arena, const char *directory, const char *name)
{
	size_t len = strlen(directory);

	if (*name == '/')
		return arena_strdup(arena, name);
	return arena_join(arena, directory, len && directory[len - 1] == '/' ? "" : "/", name);
}

const char *path_normal(struct arena *arena, const char *path)
{
	_cleanup_buf_ struct buf normal = BUF_INIT;
	const char *odd = path;

	/* Nearly all are normal: nothing but single slashes between names that do not begin with a dot. */
	while (odd && *odd && *odd != '/' && *odd != '.')
		odd = (odd = strchr(odd, '/')) ? odd + 1 : NULL;
	if (!odd)
		return path;
	fs_normpath(&normal, path);
	return arena_strdup(arena, buf_text(&normal));
}

/* ---- what configuration may point to ---- */

static bool follows_inside(const struct loaded_project *project, const char *path)
{
	size_t root = strcmp(project->resolved, "/") == 0 ? 0 : strlen(project->resolved);
	char resolved[PATH_MAX];

	return realpath(path, resolved) && strncmp(resolved, project->resolved, root) == 0 &&
	       (resolved[root] == '/' || !resolved[root]);
}

/* A real directory in one that lies inside does so, too: no need to follow its path from the root. */
static bool is_plain_child(struct loaded_project *project, const char *directory)
{
	const char *slash = strrchr(directory, '/');
	struct stat st;

	return slash && strcmp(slash, "/..") != 0 && strcmp(slash, "/.") != 0 && slash[1] &&
	       path_directory_inside(project, directory, (size_t)(slash - directory)) && lstat(directory, &st) == 0 &&
	       S_ISDIR(st.st_mode);
}

bool path_directory_inside(struct loaded_project *project, const char *directory, size_t len)
{
	size_t top = strlen(project->directory);
	uint32_t known;
	bool inside;

	/* Only below the project's own directory, so this goes down as far as the path is long, at most. */
	if (len <= top || strncmp(directory, project->directory, top) != 0 || directory[top] != '/')
		return len == top && strncmp(directory, project->directory, top) == 0;
	known = strmap_get(&project->inside, directory, len);
	if (known != STRMAP_NONE)
		return known;
	directory = arena_strndup(project->load->arena, directory, len);
	inside = is_plain_child(project, directory) || follows_inside(project, directory);
	strmap_put(&project->inside, directory, len, inside);
	return inside;
}

static int outside(const struct yaml_node *node, const char *path, struct diag *diag)
{
	return yaml_error(diag, node, "proj-path-invalid",
			  "Specified path '%s' must not lead outside of the project directory", path);
}

static int check_kind(const struct yaml_node *node, const char *resolved, enum path_kind kind, struct diag *diag)
{
	const char *path = node->text;
	struct stat st;

	if (stat(resolved, &st) != 0)
		return yaml_error(diag, node, "missing-file", "Specified path '%s' does not exist", path);
	if (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISBLK(st.st_mode))
		return yaml_error(diag, node, "proj-path-invalid-kind",
				  "Specified path '%s' points to an unsupported file kind", path);
	if (kind == PATH_FILE && !S_ISREG(st.st_mode))
		return yaml_error(diag, node, "proj-path-invalid-kind", "Specified path '%s' is not a regular file", path);
	if (kind == PATH_DIR && !S_ISDIR(st.st_mode))
		return yaml_error(diag, node, "proj-path-invalid-kind", "Specified path '%s' is not a directory", path);
	return 0;
}

int path_check(const struct loaded_project *project, const struct yaml_node *node, enum path_kind kind,
	       struct diag *diag)
{
	const char *path = node->text, *full = path_join(project->load->arena, project->resolved, path);
	size_t inside = strlen(project->resolved);
	char resolved[PATH_MAX];
	struct stat st;

	if (lstat(full, &st) == 0 && S_ISLNK(st.st_mode))
		return yaml_error(diag, node, "proj-path-invalid-kind",
				  "Specified path '%s' must not point to symbolic links ", path);
	if (strcmp(path, "..") == 0 || str_starts(path, "../"))
		return yaml_error(diag, node, "proj-path-invalid",
				  "Specified path '%s' first component must not be '..'", path);
	if (!realpath(full, resolved))
		return yaml_error(diag, node, "missing-file", "Specified path '%s' does not exist", path);
	if (strncmp(resolved, project->resolved, inside) != 0 || (resolved[inside] != '/' && resolved[inside] != '\0' && inside > 1))
		return outside(node, path, diag);
	if (*path == '/')
		return yaml_error(diag, node, "proj-path-invalid",
				  "Absolute path: '%s' invalid.\nPlease specify a path relative to the project's root.",
				  path);
	return check_kind(node, resolved, kind, diag);
}

/* ---- finding the project ---- */

static bool is_file(const char *directory, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	return (size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) < sizeof(path) && stat(path, &st) == 0 &&
	       S_ISREG(st.st_mode);
}

/* .bstproject.yaml of an open workspace: which project and element it belongs to. */
static int read_workspace_project(struct project_loader *load, const char *directory, const char **ret_directory,
				  const char **ret_element, struct diag *diag)
{
	const struct yaml_node *root, *projects, *first;
	int version, r;

	r = yaml_load_file(load->arena, -1, path_join(load->arena, directory, ".bstproject.yaml"), NULL,
			   ".bstproject.yaml", 0, &root, diag);
	if (r < 0 || (r = yaml_need_int(root, "format-version", &version, diag)) < 0)
		return r;
	if (version != 1)
		return yaml_error(diag, root, "invalid-data", "Format version 1 not found in workspace project file");
	if ((r = yaml_need_list(root, "projects", &projects, diag)) < 0)
		return r;
	if (projects->count == 0)
		return yaml_error(diag, projects, "invalid-data", "No project is named in the workspace project file");
	if ((r = yaml_item_map(projects, 0, &first, diag)) < 0 ||
	    (r = yaml_need_str(first, "project-path", ret_directory, diag)) < 0)
		return r;
	return yaml_need_str(first, "element-name", ret_element, diag);
}

int path_find_project(struct project_loader *load, const char *start, const char **ret_directory,
		      const char **ret_element, struct diag *diag)
{
	_cleanup_buf_ struct buf path = BUF_INIT, absolute = BUF_INIT;
	char cwd[PATH_MAX];

	if (*start != '/' && getcwd(cwd, sizeof(cwd)))
		buf_printf(&absolute, "%s/", cwd);
	buf_adds(&absolute, start);
	fs_normpath(&path, buf_text(&absolute));
	*ret_element = NULL;
	for (;;) {
		char *slash = strrchr(path.data, '/');

		if (is_file(path.data, "project.conf")) {
			*ret_directory = arena_strdup(load->arena, path.data);
			return 0;
		}
		if (is_file(path.data, ".bstproject.yaml"))
			return read_workspace_project(load, path.data, ret_directory, ret_element, diag);
		if (!slash || path.data[1] == '\0')
			break;
		*(slash == path.data ? slash + 1 : slash) = '\0';
	}
	buf_clear(&path);
	fs_normpath(&path, buf_text(&absolute));
	return diag_set(diag, "load", "missing-project-conf",
			"None of ['project.conf', '.bstproject.yaml'] found in '%s' or any of its parent directories", start);
}

/* ---- lists ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Adds what lies below directory: files by name, then each sub-directory by name with what is below it. */
static void list_tree(struct arena *arena, const char *directory, const char *prefix, bool skip_dot_bst,
		      bool elements_only, path_list *ret)
{
	DIR *dir = opendir(directory);
	path_list directories = { 0 };
	size_t first = ret->count;
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL) {
		const char *name = entry->d_name;
		bool is_dir = entry->d_type == DT_DIR;
		struct stat st;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (entry->d_type == DT_UNKNOWN && fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			is_dir = S_ISDIR(st.st_mode);
		if (is_dir && skip_dot_bst && strcmp(name, ".bst") == 0)
			continue;
		if (elements_only && !is_dir && !str_ends(name, ".bst"))
			continue;
		name = *prefix ? arena_join(arena, prefix, "/", name) : arena_strdup(arena, name);
		*(is_dir ? items_add(&directories) : items_add(ret)) = name;
	}
	if (dir)
		closedir(dir);
	if (ret->count > first)
		qsort(ret->at + first, ret->count - first, sizeof(*ret->at), by_text);
	if (directories.count)
		qsort(directories.at, directories.count, sizeof(*directories.at), by_text);
	for (size_t i = 0; i < directories.count; i++) {
		const char *base = strrchr(directories.at[i], '/');
		const char *below = path_join(arena, directory, base ? base + 1 : directories.at[i]);

		if (!elements_only)
			*items_add(ret) = directories.at[i];
		list_tree(arena, below, directories.at[i], skip_dot_bst, elements_only, ret);
	}
	free(directories.at);
}

void path_elements(const struct loaded_project *project, bool skip_dot_bst, path_list *ret)
{
	list_tree(project->load->arena, project->element_path, "", skip_dot_bst, true, ret);
}

void path_relative(struct arena *arena, const char *directory, path_list *ret)
{
	list_tree(arena, directory, "", false, false, ret);
}
