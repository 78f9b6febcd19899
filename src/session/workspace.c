/* `workspace close`, `list` and `reset`; `open` is in workspace_open.c. */
#include "session/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "yaml/yaml.h"

/* --- what all of them need --- */

/* The project, without any element, and its workspaces. */
static int load(struct session *session, struct session_workspaces *workspaces)
{
	int r = session_load_project(session);

	if (r < 0 && str_eq(session->diag.reason, "project-not-loaded")) {
		r = diag_set(&session->diag, "stream", "project-not-loaded", "Unable to locate workspaces");
		diag_detail(&session->diag, "No project.conf or active workspace was located");
	}
	return r < 0 ? r : session_workspaces_load(workspaces, session);
}

/* The elements that the command is about: named, all that are open, or the one in whose workspace we are. */
static int choose(struct session *session, const struct session_workspaces *workspaces, const char *missing,
		  struct session_strings *ret)
{
	const struct session_request *request = session->request;
	const char *here = project_workspace_element(session->loader);

	*ret = request->targets;
	if (!request->all && request->targets.count)
		return 0;
	if (!request->all && !here)
		return diag_set(&session->diag, "app", NULL, "%s", missing);
	ret->items = ARENA_ARRAY(&session->arena, const char *, workspaces->count + 1u);
	ret->count = 0;
	if (!request->all)
		ret->items[ret->count++] = arena_strdup(&session->arena, here);
	for (uint32_t i = 0; request->all && i < workspaces->count; i++)
		ret->items[ret->count++] = workspaces->items[i].element;
	return 0;
}

static int check_open(const struct session_workspaces *workspaces, const struct session_strings *names, const char *domain)
{
	struct diag *diag = &workspaces->session->diag;
	_cleanup_buf_ struct buf missing = BUF_INIT;

	for (size_t i = 0; i < names->count; i++)
		if (!session_workspaces_find(workspaces, names->items[i]))
			buf_printf(&missing, "%s%s", missing.len ? "\n" : "", names->items[i]);
	if (!missing.len)
		return 0;
	diag_set(diag, domain, NULL, "Workspace does not exist");
	diag_detail(diag, "%s", buf_text(&missing));
	return -EINVAL;
}

static int remove_directory(struct session *session, const char *path)
{
	_cleanup_free_ char *text = xasprintf("Removing workspace directory %s", path);
	struct session_activity activity = session_begin(session, text, GRAPH_NONE);
	struct stat st;
	int r = lstat(path, &st) < 0 ? -errno : fs_remove_all(AT_FDCWD, path);

	session_end(&activity, r == 0);
	return r < 0 ? diag_errno(&session->diag, "stream", NULL, -r, "Could not remove  '%s'", path) : 0;
}

int session_workspace_end(struct session_workspaces *workspaces, const char *element, bool remove_dir)
{
	struct session *session = workspaces->session;
	struct session_workspace *workspace = session_workspaces_find(workspaces, element);
	_cleanup_free_ char *text = xasprintf("Closed workspace for %s", element);
	int r = remove_dir ? remove_directory(session, session_workspaces_path(workspaces, workspace)) : 0;

	if (r < 0)
		return r;
	session_workspaces_remove(workspaces, element);
	r = session_workspaces_save(workspaces);
	if (r == 0)
		session_say(session, SESSION_MESSAGE_INFO, text, NULL);
	return r;
}

/* --- workspace list --- */

int session_workspace_list(struct session *session)
{
	struct session_workspaces workspaces = { 0 };
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = load(session, &workspaces);

	if (r < 0) {
		session_workspaces_release(&workspaces);
		return r;
	}
	buf_printf(&text, "workspaces:%s\n", workspaces.count ? "" : " []");
	for (uint32_t i = 0; i < workspaces.count; i++) {
		const struct session_workspace *item = &workspaces.items[i];
		const char *path = session_workspaces_path(&workspaces, item);

		buf_adds(&text, "- element: ");
		yaml_write_scalar(&text, item->element, strlen(item->element));
		buf_adds(&text, "\n  directory: ");
		yaml_write_scalar(&text, path, strlen(path));
		buf_addc(&text, '\n');
	}
	session->frontend->output(session->frontend->data, buf_text(&text), text.len);
	session_workspaces_release(&workspaces);
	return 0;
}

/* --- workspace close --- */

static bool element_exists(struct session *session, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", project_info(session->loader, 0)->element_path, name);
	struct stat st;

	return stat(path, &st) == 0;
}

/* Names of elements with a file are followed to the element whose sources they show (filter). */
static int redirect(struct session *session, struct session_strings *names)
{
	struct session_strings known = { ARENA_ARRAY(&session->arena, const char *, names->count + 1), 0 };
	struct session_strings all = { ARENA_ARRAY(&session->arena, const char *, names->count + 1), 0 };
	struct session_ids ids = { 0 };
	int r = 0;

	for (size_t i = 0; i < names->count; i++) {
		bool exists = element_exists(session, names->items[i]);
		struct session_strings *to = exists ? &known : &all;

		to->items[to->count++] = names->items[i];
	}
	if (known.count)
		r = session_reload(session, &known, SESSION_LOAD_NO_KEYS);
	if (r == 0 && known.count)
		session_redirect(session, &ids);
	for (uint32_t i = 0; i < ids.count; i++)
		all.items[all.count++] = arena_strdup(&session->arena, session->graph.elements[ids.ids[i]].full_name);
	session_ids_release(&ids);
	*names = all;
	return r;
}

static int close_all(struct session *session, struct session_workspaces *workspaces)
{
	struct session_strings names;
	int r = choose(session, workspaces, "No elements specified", &names);

	if (r == 0)
		r = redirect(session, &names);
	if (r == 0)
		r = check_open(workspaces, &names, "app");
	for (size_t i = 0; r == 0 && i < names.count; i++)
		r = session_workspace_end(workspaces, names.items[i], session->request->remove_dir);
	return r;
}

int session_workspace_close(struct session *session)
{
	struct session_workspaces workspaces = { 0 };
	int r = load(session, &workspaces);

	if (r == 0 && session->request->all && !workspaces.count)
		session->frontend->notice(session->frontend->data, "No open workspaces to close");
	else if (r == 0)
		r = close_all(session, &workspaces);
	session_workspaces_release(&workspaces);
	return r;
}

/* --- workspace reset --- */

static int reset_one(struct session_workspaces *workspaces, const char *name)
{
	struct session *session = workspaces->session;
	struct session_workspace *workspace = session_workspaces_find(workspaces, name);
	const char *path = session_workspaces_path(workspaces, workspace);
	int r;

	if (session->request->soft) {
		_cleanup_free_ char *text = xasprintf("Reset workspace state for %s at: %s", name, path);

		workspace->last_build = NULL;
		session_say(session, SESSION_MESSAGE_INFO, text, NULL);
		return session_workspaces_save(workspaces);
	}
	r = session_workspace_end(workspaces, name, true);
	return r < 0 ? r : session_workspace_begin(workspaces, session, &(struct session_strings){ &name, 1 }, path, false, true);
}

static int reset_all(struct session *session, struct session_workspaces *workspaces)
{
	struct session_strings names, full;
	struct session_ids ids = { 0 };
	int r = choose(session, workspaces, "No elements specified to reset", &names);

	if (r == 0)
		r = session_reload(session, &names, 0);
	if (r < 0)
		return r;
	session_redirect(session, &ids);
	full = (struct session_strings){ ARENA_ARRAY(&session->arena, const char *, ids.count + 1u), ids.count };
	for (uint32_t i = 0; i < ids.count; i++)
		full.items[i] = arena_strdup(&session->arena, session->graph.elements[ids.ids[i]].full_name);
	session_ids_release(&ids);
	r = check_open(workspaces, &full, "stream");
	for (size_t i = 0; r == 0 && i < full.count; i++)
		r = reset_one(workspaces, full.items[i]);
	return r;
}

int session_workspace_reset(struct session *session)
{
	const struct session_request *request = session->request;
	struct session_workspaces workspaces = { 0 };
	int r;

	if (request->all && request->targets.count)
		return diag_set(&session->diag, "app", NULL, "Specify either --all or elements, not both");
	r = load(session, &workspaces);
	if (r == 0 && request->all && !workspaces.count)
		r = diag_set(&session->diag, "app", NULL, "No open workspaces to reset");
	if (r == 0)
		r = reset_all(session, &workspaces);
	session_workspaces_release(&workspaces);
	return r;
}
