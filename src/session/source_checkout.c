/* `source checkout`: sources of elements, each in a directory of its own, in a directory or a tar file.
 *
 * All of it is one tree in the store first; nothing of the destination is touched before that is complete. */
#include "session/session_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "session/tarball.h"

/* "<junction>/<normal name>": junctions of junctions go first. */
static void add_directory(struct session *session, uint32_t id, struct buf *out)
{
	const struct graph_element *element = &session->graph.elements[id];
	const char *junction = session->graph.projects[element->project].junction;
	uint32_t above = junction ? project_find(session->loader, junction) : GRAPH_NONE;

	if (above != GRAPH_NONE) {
		add_directory(session, above, out);
		buf_addc(out, '/');
	}
	buf_adds(out, element->normal_name);
}

static int stage(struct session *session, struct cas_tree *tree, uint32_t id)
{
	_cleanup_buf_ struct buf path = BUF_INIT;
	struct session_activity activity;
	int r;

	if (!session->graph.elements[id].source_count)
		return 0;
	activity = session_begin(session, "Staging sources", id);
	add_directory(session, id, &path);
	r = cas_tree_merge(tree, buf_text(&path), &state_get(session->state, id)->sources, NULL, &session->diag);
	session_end(&activity, r >= 0);
	return MIN(r, 0);
}

static int fill(struct session *session, struct cas_tree *tree, const struct session_ids *ids)
{
	struct session_ids scripts = { 0 };
	bool wanted = session->request->include_build_scripts;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < ids->count; i++)
		r = stage(session, tree, ids->ids[i]);
	for (uint32_t i = 0; wanted && r >= 0 && i < ids->count; i++) {
		r = session_script(session, tree, ids->ids[i]);
		if (r > 0)
			session_ids_add(&scripts, ids->ids[i]);
	}
	if (wanted && r >= 0)
		r = session_script_all(session, tree, &scripts);
	session_ids_release(&scripts);
	return MIN(r, 0);
}

static int write_out(struct session *session, struct cas_tree *tree, const char *location)
{
	static const struct cas_checkout options = { .flags = CAS_CHECKOUT_MTIME, .mtime = CAS_ARBITRARY_MTIME };
	const struct session_request *request = session->request;
	struct digest digest;
	int r = cas_tree_digest(tree, "", &digest);

	if (r < 0)
		return diag_errno(&session->diag, "stream", NULL, -r, "Error while writing sources");
	if (request->tar)
		return session_tarball(session, &digest, "", request->tar, request->compression);
	return cas_checkout(session->cas, &digest, AT_FDCWD, location, &options, &session->diag);
}

static int run(struct session *session, struct session_ids *ids, const char *location)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct cas_tree *tree = NULL;
	int r = session_select(session, (enum session_deps)session->request->deps, ids);

	if (r == 0)
		r = session_need_sources(session, ids, false);
	if (r == 0) {
		r = cas_tree_new(&tree, session->cas, NULL);
		if (r < 0)
			diag_errno(&session->diag, "stream", NULL, -r, "Error while writing sources");
	}
	if (r == 0)
		r = fill(session, tree, ids);
	if (r == 0)
		r = write_out(session, tree, location);
	cas_tree_free(tree);
	if (r < 0)
		return r;
	buf_printf(&text, "Checked out sources to '%s'", session->request->tar ? session->request->tar : location);
	session_say(session, SESSION_MESSAGE_INFO, buf_text(&text), NULL);
	return 0;
}

int session_source_checkout(struct session *session)
{
	const char *location = session->request->location;
	struct session_ids ids = { 0 };
	bool named = session->request->targets.count != 0;
	int r = named ? session_check_location(session, location) : 0;

	if (r == 0)
		r = session_load(session, SESSION_LOAD_ONE);
	if (r == 0 && session->targets.count != 1)
		r = diag_set(&session->diag, "app", NULL, "Missing argument \"ELEMENT\".");
	if (r == 0 && !named)
		r = session_check_location(session, location);
	if (r == 0)
		r = session_open_cache(session, true);
	if (r == 0)
		r = run(session, &ids, location);
	session_ids_release(&ids);
	return r;
}
