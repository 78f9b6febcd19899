/* `show`: the pipeline, a line (or what the format says) for each element. */
#include "session/session_internal.h"

#include <stdlib.h>
#include <string.h>

struct named {
	const char *name;
	uint32_t id, position;
};

/* By name within the project, as the peer compares elements; equal names keep their order. */
static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : (x->position > y->position) - (x->position < y->position);
}

static void sort_by_name(const struct session *session, struct session_ids *ids)
{
	struct named *named = xcalloc(ids->count, sizeof(*named));

	for (uint32_t i = 0; i < ids->count; i++)
		named[i] = (struct named){ session->graph.elements[ids->ids[i]].name, ids->ids[i], i };
	qsort(named, ids->count, sizeof(*named), by_name);
	for (uint32_t i = 0; i < ids->count; i++)
		ids->ids[i] = named[i].id;
	free(named);
}

/* Are the caches asked?  Keys of a strict plan are known without them. */
static bool needs_query(const struct session *session, uint64_t needs)
{
	uint64_t asks = SESSION_SHOW_BIT(SESSION_SHOW_STATE) | SESSION_SHOW_BIT(SESSION_SHOW_ARTIFACT_CAS_DIGEST);

	if (!session->graph.projects[0].strict)
		asks |= SESSION_SHOW_NEEDS_CACHE;
	return needs & asks;
}

/* Is more of an element asked for than who it is, what it depends on and its key? */
static bool needs_bodies(uint64_t needs)
{
	static const enum session_show_field fields[] = {
		SESSION_SHOW_STATE, SESSION_SHOW_CONFIG, SESSION_SHOW_VARS, SESSION_SHOW_ENV, SESSION_SHOW_PUBLIC,
		SESSION_SHOW_SOURCE_INFO, SESSION_SHOW_ARTIFACT_CAS_DIGEST,
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (needs & SESSION_SHOW_BIT(fields[i]))
			return true;
	return false;
}

/* Whether an element can be built depends on elements that are not shown: the whole pipeline is asked for. */
static int query(struct session *session, const struct session_ids *shown)
{
	struct session_ids all = { 0 };
	int r;

	graph_walk_targets(&session->walk, &session->graph, session->targets.ids, session->targets.count, GRAPH_SCOPE_ALL);
	for (uint32_t i = 0; i < session->walk.count; i++)
		session_ids_add(&all, session->walk.ids[i]);
	r = session_query(session, &all, false);
	if (r == 0)
		session_settle_keys(session, &all, shown, (enum session_deps)session->request->deps);
	session_ids_release(&all);
	return r;
}

static void print(struct session *session, const struct session_ids *ids, uint64_t needs)
{
	struct session_frontend *frontend = session->frontend;
	struct arena arena = ARENA_INIT;

	for (uint32_t i = 0; i < ids->count; i++) {
		struct session_element element;

		arena_reset(&arena);
		session_describe(session, &arena, ids->ids[i], needs, &element);
		frontend->show_element(frontend->data, &element);
	}
	arena_release(&arena);
}

int session_show(struct session *session)
{
	const struct session_request *request = session->request;
	struct session_ids ids = { 0 };
	int64_t needs = session->frontend->show_needs(session->frontend->data, request->format, &session->diag);
	int r;

	if (needs < 0)
		return (int)needs;
	r = session_load(session, SESSION_LOAD_ALONE | (needs_bodies((uint64_t)needs) ? 0 : SESSION_LOAD_BRIEF));
	if (r == 0)
		r = session_select(session, (enum session_deps)request->deps, &ids);
	if (r == 0 && needs_query(session, (uint64_t)needs))
		r = query(session, &ids);
	if (r == 0) {
		if (request->order == SESSION_ORDER_ALPHA)
			sort_by_name(session, &ids);
		print(session, &ids, (uint64_t)needs);
	}
	session_ids_release(&ids);
	return r;
}
