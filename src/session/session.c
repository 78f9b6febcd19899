/* The table of commands and the frame around each: see session.h. */
#include "session/session_internal.h"

#include <errno.h>
#include <stdlib.h>

struct command {
	session_command_fn *run;
	const char *prefix; /* "Error PREFIX: ..." is how the peer introduces what went wrong; NULL: bare */
};

static const struct command commands[SESSION_COMMANDS_COUNT] = {
	[SESSION_BUILD] = { session_build, NULL },
	[SESSION_SHOW] = { session_show, NULL },
	[SESSION_SOURCE_FETCH] = { session_source_fetch, NULL },
	[SESSION_SHELL] = { session_shell, "Error launching shell" },
	[SESSION_SOURCE_CHECKOUT] = { session_source_checkout, NULL },
	[SESSION_WORKSPACE_OPEN] = { session_workspace_open, NULL },
	[SESSION_WORKSPACE_CLOSE] = { session_workspace_close, NULL },
	[SESSION_WORKSPACE_RESET] = { session_workspace_reset, NULL },
	[SESSION_WORKSPACE_LIST] = { session_workspace_list, NULL },
	[SESSION_ARTIFACT_CHECKOUT] = { session_artifact_checkout, NULL },
	[SESSION_ARTIFACT_SHOW] = { session_artifact_show, NULL },
	[SESSION_ARTIFACT_DELETE] = { session_artifact_delete, NULL },
	[SESSION_ARTIFACT_LOG] = { session_artifact_log, NULL },
	[SESSION_INSPECT] = { session_inspect, NULL },
	[SESSION_WHY] = { session_why, NULL },
	[SESSION_GRAPH] = { session_graph, NULL },
	[SESSION_RDEPS] = { session_rdeps, NULL },
	[SESSION_PATH] = { session_path, NULL },
	[SESSION_CACHE_DU] = { session_cache_du, NULL },
	[SESSION_CACHE_GC] = { session_cache_gc, NULL },
	[SESSION_CACHE_FSCK] = { session_cache_fsck, NULL },
	[SESSION_ARTIFACT_LIST_CONTENTS] = { session_artifact_list_contents, NULL },
};

bool session_has(enum session_command command)
{
	return command < SESSION_COMMANDS_COUNT && commands[command].run;
}

int session_run(const struct session_request *request, struct session_frontend *frontend)
{
	struct session session = { .request = request, .frontend = frontend, .start_us = util_now_us() };
	int r;

	if (!session_has(request->command))
		bug("command %d has no function", request->command);
	graph_init(&session.graph);
	r = session_configure(&session);
	if (r == 0)
		r = commands[request->command].run(&session);
	frontend->flush(frontend->data);
	if (r < 0) {
		/* Failures of jobs were told as they came; what is left then has no text. */
		if (session.diag.domain && session.diag.message.len)
			frontend->error(frontend->data, commands[request->command].prefix, &session.diag);
		else
			frontend->session_failed(frontend->data, &session.diag);
		r = 255;
	}
	session_release(&session);
	return r;
}

void session_ids_add(struct session_ids *list, uint32_t id)
{
	list->ids = util_grow(list->ids, &list->cap, list->count + 1u, sizeof(*list->ids));
	list->ids[list->count++] = id;
}

void session_ids_release(struct session_ids *list)
{
	free(list->ids);
	*list = (struct session_ids){ 0 };
}

void session_unload(struct session *session)
{
	state_free(session->state);
	session->state = NULL;
	keys_free(session->keys);
	session->keys = NULL;
	free(session->all_keys);
	session->all_keys = NULL;
	if (session->graph.frozen)
		graph_thaw(&session->graph); /* the loader has tables of its own in there */
	project_loader_free(session->loader);
	session->loader = NULL;
	if (session->statcache)
		(void)cas_statcache_save(session->statcache);
	cas_statcache_free(session->statcache);
	session->statcache = NULL;
	graph_release(&session->graph);
	graph_init(&session->graph);
	session_ids_release(&session->targets);
	session_ids_release(&session->except);
	session->artifact_names = (struct session_strings){ 0 };
	session->artifacts = NULL;
}

void session_release(struct session *session)
{
	if (session->cas && session->cas_session && session->ran_jobs == SESSION_NO_JOBS)
		cas_session_end_idle(session->cas, true);
	else if (session->cas && session->cas_session)
		cas_session_end(session->cas, true);
	session_unload(session);
	cas_free(session->cas);
	graph_walk_release(&session->walk);
	graph_release(&session->graph);
	if (session->has_context)
		project_context_release(&session->context);
	arena_release(&session->arena);
	diag_release(&session->diag);
}
