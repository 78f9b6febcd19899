/* What loading needs from outside: the sources of junctions, fetched and staged, until the whole graph is loaded.
 *
 * project_load never touches the network; it stops with a batch of needs.  A staged junction is a directory that appears
 * under its final name only when it is complete, so that a crash leaves nothing that looks usable. */
#include "session/session_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "sources/sources.h"

/* The junction whose sources are being fetched. */
struct fetching {
	struct session *session;
	uint32_t element;
};

static void say_line(void *data, const char *text)
{
	const struct fetching *fetching = data;

	session_say(fetching->session, SESSION_MESSAGE_STATUS, text, NULL);
}

static const char *const *on_urls(void *data, const char *original, const char *translated, bool tracking)
{
	const struct fetching *fetching = data;

	return project_urls(fetching->session->loader, fetching->element, original, translated, tracking,
			    &fetching->session->arena);
}

static int stage(struct session *session, const struct project_need *need, const struct digest *tree)
{
	static const struct cas_checkout options = { 0 };
	_cleanup_free_ char *temp = xasprintf("%s.%d.tmp", need->directory, (int)getpid()), *parent = NULL;
	int r;

	parent = xstrndup(need->directory, (size_t)(strrchr(need->directory, '/') - need->directory));
	r = fs_mkdir_p(AT_FDCWD, parent, 0777);
	if (r < 0)
		return diag_errno(&session->diag, "load", NULL, -r, "Could not make %s", parent);
	r = cas_checkout(session->cas, tree, AT_FDCWD, temp, &options, &session->diag);
	if (r >= 0 && rename(temp, need->directory) < 0 && errno != EEXIST && errno != ENOTEMPTY)
		r = diag_errno(&session->diag, "load", NULL, errno, "Could not make %s", need->directory);
	(void)fs_remove_all(AT_FDCWD, temp);
	return MIN(r, 0);
}

static int provide(struct session *session, const struct project_need *need)
{
	const struct graph_element *junction = &session->graph.elements[need->element];
	struct fetching fetching = { session, need->element };
	struct sources_context sources = {
		.cas = session->cas,
		.graph = &session->graph,
		.element = need->element,
		.sourcedir = session->context.sourcedir,
		.tmpdir = arena_printf(&session->arena, "%s/millrace/tmp", session->context.cachedir),
		.diag = &session->diag,
		.data = &fetching,
		.urls = on_urls,
		.say = say_line,
	};
	_cleanup_free_ char *text = xasprintf("Fetching junction %s", junction->full_name);
	struct session_activity activity = session_begin(session, text, GRAPH_NONE);
	struct digest tree;
	int r = -EAGAIN;

	for (int64_t tries = 0; r < 0 && tries <= session->context.network_retries; tries++) {
		sources.temporary = false;
		r = sources_fetch(&sources, 0, &tree);
		if (!sources.temporary)
			break;
	}
	if (r >= 0)
		r = stage(session, need, &tree);
	else
		diag_element(&session->diag, junction->full_name);
	session_end(&activity, r >= 0);
	return MIN(r, 0);
}

int session_junctions(struct session *session)
{
	int r = session_open_cache(session, true);

	while (r == 0) {
		uint32_t count;
		const struct project_need *needs = project_needs(session->loader, &count);

		for (uint32_t i = 0; r == 0 && i < count; i++)
			r = provide(session, &needs[i]);
		if (r == 0)
			r = project_load(session->loader, &session->graph, &session->diag);
		if (r != PROJECT_NEEDS)
			break;
		r = 0;
	}
	return r;
}
