/* The files behind open workspaces: see workspaces.h. */
#include "session/workspaces.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "yaml/yaml.h"

#define PROJECT_FILE ".bstproject.yaml"

static struct session_workspace *add_item(struct session_workspaces *workspaces, const char *element)
{
	struct session_workspace *item;

	workspaces->items = util_grow(workspaces->items, &workspaces->cap, workspaces->count + 1u, sizeof(*item));
	item = &workspaces->items[workspaces->count++];
	*item = (struct session_workspace){ .element = arena_strdup(&workspaces->session->arena, element) };
	return item;
}

static int read_item(struct session_workspaces *workspaces, const char *element, const struct yaml_node *node)
{
	struct session *session = workspaces->session;
	struct session_workspace *item = add_item(workspaces, element);
	int r;

	if (!yaml_is_map(node))
		return yaml_error(&session->diag, node, "invalid-data", "Value of '%s' is not of the expected type 'dict'",
				  element);
	r = yaml_need_str(node, "path", &item->path, &session->diag);
	if (r == 0)
		r = yaml_get_str(node, "last_build", &item->last_build, &session->diag);
	if (r < 0)
		return r;
	/* The list outlives the loader. */
	item->path = arena_strdup(&session->arena, item->path);
	if (item->last_build)
		item->last_build = arena_strdup(&session->arena, item->last_build);
	return 0;
}

int session_workspaces_load(struct session_workspaces *ret, struct session *session)
{
	const struct yaml_node *map = project_workspaces(session->loader);
	const char *project = project_directory(session->loader);
	int r = 0;

	*ret = (struct session_workspaces){ .session = session };
	if (project)
		ret->project = arena_strdup(&session->arena, project);
	for (uint32_t i = 0; r == 0 && map && i < map->count; i++)
		r = read_item(ret, map->entries[i].key, map->entries[i].value);
	return r;
}

void session_workspaces_release(struct session_workspaces *workspaces)
{
	free(workspaces->items);
	*workspaces = (struct session_workspaces){ 0 };
}

struct session_workspace *session_workspaces_find(const struct session_workspaces *workspaces, const char *element)
{
	for (uint32_t i = 0; i < workspaces->count; i++)
		if (str_eq(workspaces->items[i].element, element))
			return &workspaces->items[i];
	return NULL;
}

const char *session_workspaces_path(const struct session_workspaces *workspaces, const struct session_workspace *workspace)
{
	if (*workspace->path == '/')
		return workspace->path;
	return arena_printf(&workspaces->session->arena, "%s/%s", workspaces->project, workspace->path);
}

/* The directory as the file names it: relative to the project if it lies inside. */
static const char *shorten(const struct session_workspaces *workspaces, const char *directory)
{
	size_t len = strlen(workspaces->project);

	if (strncmp(directory, workspaces->project, len) != 0)
		return directory;
	if (!directory[len])
		return ".";
	return directory[len] == '/' ? directory + len + 1 : directory;
}

static int write_file(struct session *session, const char *path, const struct buf *text)
{
	int r = fs_write_file(AT_FDCWD, path, buf_text(text), text->len, 0666);

	return r < 0 ? diag_errno(&session->diag, "stream", NULL, -r, "Failed to write '%s'", path) : 0;
}

static void add_scalar(struct buf *out, const char *before, const char *text)
{
	buf_adds(out, before);
	yaml_write_scalar(out, text, strlen(text));
	buf_addc(out, '\n');
}

static int write_project_file(struct session_workspaces *workspaces, const char *element, const char *directory)
{
	struct session *session = workspaces->session;
	_cleanup_free_ char *path = xasprintf("%s/" PROJECT_FILE, directory);
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (access(path, F_OK) == 0)
		session_tell(session, SESSION_MESSAGE_WARN, PROJECT_FILE " was staged from this element's sources", NULL,
			     graph_find(&session->graph, element), -1);
	add_scalar(&text, "projects:\n- project-path: ", workspaces->project);
	add_scalar(&text, "  element-name: ", element);
	buf_adds(&text, "format-version: 1\n");
	return write_file(session, path, &text);
}

int session_workspaces_add(struct session_workspaces *workspaces, const char *element, const char *directory)
{
	struct session_workspace *item = session_workspaces_find(workspaces, element);

	if (!item)
		item = add_item(workspaces, element);
	item->path = arena_strdup(&workspaces->session->arena, shorten(workspaces, directory));
	item->last_build = NULL;
	return write_project_file(workspaces, element, directory);
}

void session_workspaces_remove(struct session_workspaces *workspaces, const char *element)
{
	struct session_workspace *item = session_workspaces_find(workspaces, element);
	_cleanup_free_ char *path = NULL;

	if (!item)
		return;
	path = xasprintf("%s/" PROJECT_FILE, session_workspaces_path(workspaces, item));
	(void)unlink(path); /* the directory may be gone */
	workspaces->count--;
	memmove(item, item + 1, (size_t)(&workspaces->items[workspaces->count] - item) * sizeof(*item));
}

int session_workspaces_save(const struct session_workspaces *workspaces)
{
	struct session *session = workspaces->session;
	_cleanup_free_ char *directory = xasprintf("%s/.bst2", workspaces->project);
	_cleanup_free_ char *path = xasprintf("%s/workspaces.yml", directory);
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = fs_mkdir_p(AT_FDCWD, directory, 0777);

	if (r < 0)
		return diag_errno(&session->diag, "stream", NULL, -r, "Failed to create '%s'", directory);
	buf_printf(&text, "format-version: 4\nworkspaces:%s\n", workspaces->count ? "" : " {}");
	for (uint32_t i = 0; i < workspaces->count; i++) {
		const struct session_workspace *item = &workspaces->items[i];

		buf_adds(&text, "  ");
		yaml_write_scalar(&text, item->element, strlen(item->element));
		add_scalar(&text, ":\n    path: ", item->path);
		if (item->last_build)
			add_scalar(&text, "    last_build: ", item->last_build);
	}
	return write_file(session, path, &text);
}
