/* `workspace open`: sources in a directory to work in, and from then on the element is built from there.
 *
 * All that can be checked is checked before anything is changed. */
#include "session/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "kinds/kinds.h"
#include "sources/sources.h"

struct opening {
	struct session *session;
	struct session_workspaces *workspaces;
	const struct session_strings *names;
	const char *directory; /* --directory, or NULL */
	bool no_checkout, force;
	struct session_ids ids;   /* elements, filters followed */
	const char **directories; /* absolute, for each */
};

/* --- checks --- */

static int has_no_sources(struct session *session, const struct graph_element *element)
{
	_cleanup_buf_ struct buf names = BUF_INIT;
	int r = diag_set(&session->diag, "stream", NULL, "The element %s has no sources", element->name);

	for (uint32_t d = 0; d < element->dep_count; d++)
		if (element->deps[d].type & GRAPH_BUILD)
			buf_printf(&names, "%s%s", names.len ? "  \n" : "", session->graph.elements[element->deps[d].element].name);
	if (names.len)
		diag_detail(&session->diag, "Try opening a workspace on one of its dependencies instead:\n%s", buf_text(&names));
	return r;
}

/* An open workspace is in the way, or with --force closed now.  1 if it was closed. */
static int make_way(struct opening *opening, uint32_t id)
{
	struct session *session = opening->session;
	const struct graph_element *element = &session->graph.elements[id];
	struct session_workspace *workspace = session_workspaces_find(opening->workspaces, element->full_name);
	_cleanup_free_ char *text = NULL;
	const char *path;
	int r;

	if (!workspace)
		return 0;
	path = session_workspaces_path(opening->workspaces, workspace);
	if (!opening->force)
		return diag_set(&session->diag, "stream", NULL, "Element '%s' already has an open workspace defined at: %s",
				element->name, path);
	text = xasprintf("Replacing existing workspace for element '%s' defined at: %s", element->name, path);
	if (!opening->no_checkout)
		session_tell(session, SESSION_MESSAGE_WARN, text, NULL, id, -1);
	r = session_workspace_end(opening->workspaces, element->full_name, !opening->no_checkout);
	return r < 0 ? r : 1;
}

static int check_elements(struct opening *opening, bool *ret_closed)
{
	struct session *session = opening->session;

	for (uint32_t i = 0; i < opening->ids.count; i++) {
		const struct graph_element *element = &session->graph.elements[opening->ids.ids[i]];
		int r;

		if (!element->source_count)
			return has_no_sources(session, element);
		r = make_way(opening, opening->ids.ids[i]);
		if (r < 0)
			return r;
		*ret_closed |= r > 0;
	}
	return 0;
}

/* path made absolute and normal, in the session's arena. */
static const char *absolute(struct session *session, const char *path)
{
	_cleanup_buf_ struct buf whole = BUF_INIT, normal = BUF_INIT;
	_cleanup_free_ char *cwd = *path == '/' ? NULL : getcwd(NULL, 0);

	if (cwd)
		buf_printf(&whole, "%s/", cwd);
	buf_adds(&whole, path);
	fs_normpath(&normal, buf_text(&whole));
	return arena_strdup(&session->arena, buf_text(&normal));
}

static int choose_directories(struct opening *opening)
{
	struct session *session = opening->session;

	opening->directories = ARENA_ARRAY(&session->arena, const char *, opening->ids.count + 1u);
	if (opening->directory && opening->ids.count != 1)
		return diag_set(&session->diag, "stream", "directory-with-multiple-elements",
				"Exactly one element can be given if --directory is used");
	for (uint32_t i = 0; i < opening->ids.count; i++) {
		const char *name = session->graph.elements[opening->ids.ids[i]].name;
		int stem = (int)strlen(name) - (str_ends(name, ".bst") ? 4 : 0);
		const char *path = opening->directory;

		if (!path)
			path = arena_printf(&session->arena, "%s/%.*s", session->context.workspacedir, stem, name);
		opening->directories[i] = absolute(session, path);
	}
	return 0;
}

static int check_directory(struct opening *opening, const char *name, const char *path)
{
	struct session *session = opening->session;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return 0;
	if (!S_ISDIR(st.st_mode))
		return diag_set(&session->diag, "stream", "bad-directory",
				"For element '%s', Directory path is not a directory: %s", name, path);
	if (opening->no_checkout || session_directory_empty(path))
		return 0;
	if (!opening->force)
		return diag_set(&session->diag, "stream", "bad-directory",
				"For element '%s', Directory path is not empty: %s", name, path);
	r = fs_remove_all(AT_FDCWD, path);
	return r < 0 ? diag_errno(&session->diag, "stream", NULL, -r, "Could not remove '%s'", path) : 0;
}

static int check_directories(struct opening *opening)
{
	int r = choose_directories(opening);

	for (uint32_t i = 0; r == 0 && i < opening->ids.count; i++)
		r = check_directory(opening, opening->session->graph.elements[opening->ids.ids[i]].name, opening->directories[i]);
	return r;
}

/* --- opening --- */

static int make_directory(struct opening *opening, uint32_t i)
{
	struct session *session = opening->session;
	int r = fs_mkdir_p(AT_FDCWD, opening->directories[i], 0777);

	if (r == 0)
		return 0;
	diag_errno(&session->diag, "stream", "workspace-directory-failure", -r, "Failed to create workspace directory: '%s'",
		   opening->directories[i]);
	for (uint32_t j = i + 1; j < opening->ids.count; j++)
		diag_detail(&session->diag, "%s%s", j == i + 1 ? "\nDid not try to create workspaces for " : " ",
			    session->graph.elements[opening->ids.ids[j]].name);
	return -EINVAL;
}

/* The files as they would be built, then what else each kind has for those who work on them. */
static int stage(struct opening *opening, uint32_t id, const char *directory)
{
	/* One and the same time, but for local sources: nothing looks out of date to make. */
	static const struct cas_checkout options = { .flags = CAS_CHECKOUT_MTIME, .mtime = CAS_ARBITRARY_MTIME };
	struct session *session = opening->session;
	_cleanup_free_ char *text = xasprintf("Staging sources to %s", directory);
	struct sources_context sources = {
		.cas = session->cas,
		.graph = &session->graph,
		.element = id,
		.sourcedir = session->context.sourcedir,
		.tmpdir = arena_printf(&session->arena, "%s/millrace/tmp", session->context.cachedir),
		.diag = &session->diag,
	};
	struct session_activity activity = session_begin(session, text, id);
	const struct digest *tree = &state_get(session->state, id)->sources;
	int r = cas_checkout(session->cas, tree, AT_FDCWD, directory, &options, &session->diag);

	if (r >= 0)
		r = sources_open_workspace(&sources, tree, directory);
	session_end(&activity, r >= 0);
	return MIN(r, 0);
}

static int open_one(struct opening *opening, uint32_t i)
{
	struct session *session = opening->session;
	const struct graph_element *element = &session->graph.elements[opening->ids.ids[i]];
	_cleanup_free_ char *creating = xasprintf("Creating workspace for element %s", element->name);
	_cleanup_free_ char *created = xasprintf("Created a workspace for element %s", element->full_name);
	int r;

	session_say(session, SESSION_MESSAGE_STATUS, creating, NULL);
	r = make_directory(opening, i);
	if (r == 0 && !opening->no_checkout)
		r = stage(opening, opening->ids.ids[i], opening->directories[i]);
	if (r == 0)
		r = session_workspaces_add(opening->workspaces, element->full_name, opening->directories[i]);
	if (r == 0)
		r = session_workspaces_save(opening->workspaces);
	if (r == 0)
		session_say(session, SESSION_MESSAGE_INFO, created, NULL);
	return r;
}

/* Loads the elements, and brings their sources here. */
static int load(struct opening *opening)
{
	struct session *session = opening->session;
	int r = session_reload(session, opening->names, 0);

	session_workspaces_release(opening->workspaces);
	session_ids_release(&opening->ids);
	if (r == 0)
		r = session_workspaces_load(opening->workspaces, session);
	if (r < 0)
		return r;
	session_redirect(session, &opening->ids);
	return opening->no_checkout ? 0 : session_need_sources(session, &opening->ids, true);
}

static int run(struct opening *opening)
{
	bool closed = false;
	int r = load(opening);

	if (r == 0)
		r = check_elements(opening, &closed);
	/* What was a workspace until now has its own sources again. */
	if (r == 0 && closed && !opening->no_checkout)
		r = load(opening);
	if (r == 0)
		r = check_directories(opening);
	for (uint32_t i = 0; r == 0 && i < opening->ids.count; i++)
		r = open_one(opening, i);
	return r;
}

int session_workspace_begin(struct session_workspaces *workspaces, struct session *session,
			    const struct session_strings *names, const char *directory, bool no_checkout, bool force)
{
	struct opening opening = { .session = session, .workspaces = workspaces, .names = names, .directory = directory,
				   .no_checkout = no_checkout, .force = force };
	int r = session_open_cache(session, true);

	if (r == 0)
		r = run(&opening);
	session_ids_release(&opening.ids);
	return r;
}

int session_workspace_open(struct session *session)
{
	const struct session_request *request = session->request;
	struct session_workspaces workspaces = { 0 };
	int r = session_workspace_begin(&workspaces, session, &request->targets, request->location, request->no_checkout,
					request->force);

	session_workspaces_release(&workspaces);
	return r;
}
