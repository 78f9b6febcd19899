/* What is in the caches: which artifacts, which sources; and what that makes of an element. */
#include "session/session_internal.h"

#include <stdlib.h>

#include "jobs/jobs.h"
#include "kinds/kinds.h"
#include "sources/sources.h"

void session_artifact_name_of(const struct session *session, uint32_t element, const struct key *key, struct buf *ret)
{
	const struct graph_element *e = &session->graph.elements[element];
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, key->hash);
	buf_clear(ret);
	artifact_name(ret, session->graph.projects[e->project].name, e->normal_name, hex);
}

bool session_artifact_name(const struct session *session, uint32_t element, struct buf *ret)
{
	const struct state_element *state = session->state ? state_get(session->state, element) : NULL;
	const struct key *key = state ? &state->strong : &session->all_keys[element].strong;

	if (!key_known(key))
		key = &session->all_keys[element].strict;
	if (!key_known(key))
		return false;
	session_artifact_name_of(session, element, key, ret);
	return true;
}

static void make_state(struct session *session)
{
	session->state = state_new(session->graph.element_count);
	for (uint32_t i = 0; i < session->graph.element_count; i++) {
		struct state_element *element = state_preload(session->state, i);

		element->weak = session->all_keys[i].weak;
		element->strict = session->all_keys[i].strict;
		element->strong = session->all_keys[i].strong;
	}
}

/* Scratch of a query: reset for each element. */
struct scratch {
	struct arena arena;
	struct buf name, bytes;
};

static void query_artifact(struct session *session, struct scratch *scratch, uint32_t id, struct state_element *element)
{
	struct artifact artifact;

	element->artifact.outcome = STATE_ARTIFACT_ABSENT;
	if (!session_artifact_name(session, id, &scratch->name))
		return;
	if (artifact_cached(&artifact, &scratch->arena, session->cas, buf_text(&scratch->name)) != 1)
		return;
	jobs_artifact_state(&element->artifact, &artifact);
	if (artifact.build_success)
		return;
	/* The build job that replays a failure knows the record by its digest only. */
	buf_clear(&scratch->bytes);
	artifact_encode(&artifact, &scratch->bytes);
	(void)cas_put(session->cas, scratch->bytes.data, scratch->bytes.len, &element->artifact.proto);
}

int session_read_artifact(struct session *session, struct arena *arena, uint32_t element, struct artifact *ret)
{
	_cleanup_buf_ struct buf name = BUF_INIT;

	if (!session_artifact_name(session, element, &name))
		return 0;
	return artifact_cached(ret, arena, session->cas, buf_text(&name)) == 1;
}

static void query_sources(struct session *session, uint32_t id, struct state_element *element)
{
	struct sources_context context = {
		.cas = session->cas,
		.graph = &session->graph,
		.element = id,
		.sourcedir = session->context.sourcedir,
	};

	element->fetched = STATE_FETCHED_NO;
	if (!session->graph.elements[id].has_all_refs)
		return;
	if (sources_cached(session->cas, &session->graph, id, &element->sources) == 1 || sources_have_originals(&context) == 1)
		element->fetched = STATE_FETCHED_YES;
	else
		element->sources = (struct digest){ 0 };
}

int session_query(struct session *session, const struct session_ids *ids, bool sources_of_cached)
{
	struct session_activity activity = session_begin(session, "Query cache", GRAPH_NONE);
	struct scratch scratch = { 0 };
	int r = session_open_cache(session, false);

	if (!session->state)
		make_state(session);
	for (uint32_t i = 0; r == 0 && i < ids->count; i++) {
		struct state_element *element = state_preload(session->state, ids->ids[i]);

		arena_reset(&scratch.arena);
		query_artifact(session, &scratch, ids->ids[i], element);
		if (sources_of_cached || element->artifact.outcome != STATE_ARTIFACT_SUCCESS)
			query_sources(session, ids->ids[i], element);
	}
	arena_release(&scratch.arena);
	buf_release(&scratch.name);
	buf_release(&scratch.bytes);
	session_end_counted(&activity, r == 0, ids->count, ids->count);
	return r;
}

/* Are all build dependencies, and what they need to run, cached? */
static bool is_buildable(struct session *session, uint32_t id)
{
	graph_walk_scope(&session->walk, &session->graph, id, GRAPH_SCOPE_BUILD);
	for (uint32_t i = 0; i < session->walk.count; i++)
		if (state_get(session->state, session->walk.ids[i])->artifact.outcome != STATE_ARTIFACT_SUCCESS)
			return false;
	return true;
}

enum session_state session_element_state(struct session *session, uint32_t id)
{
	const struct graph_element *e = &session->graph.elements[id];
	const struct state_element *element = state_get(session->state, id);

	if (!e->has_all_refs)
		return SESSION_STATE_NO_REFERENCE;
	if (str_eq(e->ops->name, "junction"))
		return SESSION_STATE_JUNCTION;
	if (!key_known(&element->weak))
		return SESSION_STATE_WAITING;
	if (element->artifact.outcome == STATE_ARTIFACT_FAILURE)
		return SESSION_STATE_FAILED;
	if (element->artifact.outcome == STATE_ARTIFACT_SUCCESS)
		return SESSION_STATE_CACHED;
	if (element->fetched == STATE_FETCHED_NO)
		return SESSION_STATE_FETCH_NEEDED;
	return is_buildable(session, id) ? SESSION_STATE_BUILDABLE : SESSION_STATE_WAITING;
}
