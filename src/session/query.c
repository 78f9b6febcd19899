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

static bool look_up(struct session *session, struct scratch *scratch, uint32_t id, const struct key *key,
		    struct artifact *ret)
{
	if (!key_known(key))
		return false;
	session_artifact_name_of(session, id, key, &scratch->name);
	return artifact_cached(ret, &scratch->arena, session->cas, buf_text(&scratch->name)) == 1;
}

/* A build that failed is as good as none where it is to be tried again: always if a person wants that, and in a
 * non-strict plan if what it was built from may be another thing now (the peer's _load_artifact). */
static bool discards(struct session *session, uint32_t id, const struct artifact *artifact)
{
	bool retries = session->context.retry_failed;
	_cleanup_free_ char *detail = NULL;
	struct key strong = { 0 };

	if (session->request->command != SESSION_BUILD || artifact->build_success)
		return false;
	(void)digest_from_hex(strong.hash, artifact->strong_key);
	if (!retries && key_eq(&strong, &session->all_keys[id].strict))
		return false;
	detail = xasprintf("Discarded '%s'\n%s", artifact->strong_key,
			   retries ? "because retrying failed builds is enabled." :
				     "in non strict mode because intermediate dependencies may have changed.");
	session_tell(session, SESSION_MESSAGE_INFO, "Discarded failed build", detail, id, -1);
	return true;
}

/* What was found says in a non-strict plan which strong key the element has: that of what it was built from. */
static void take_strong_key(struct session *session, uint32_t id, struct state_element *element)
{
	if (session_is_strict(session, id) || !key_known(&element->artifact.strong_key))
		return;
	element->strong = element->artifact.strong_key;
	session->all_keys[id].strong = element->strong;
}

static void query_artifact(struct session *session, struct scratch *scratch, uint32_t id, struct state_element *element)
{
	const struct key *exact = key_known(&element->strong) ? &element->strong : &element->strict;
	struct artifact artifact;
	bool by_weak_key = false;

	element->artifact.outcome = STATE_ARTIFACT_ABSENT;
	if (!look_up(session, scratch, id, exact, &artifact)) {
		by_weak_key = !session_is_strict(session, id) && look_up(session, scratch, id, &element->weak, &artifact);
		if (!by_weak_key)
			return;
	}
	if (discards(session, id, &artifact))
		return;
	jobs_artifact_state(&element->artifact, &artifact);
	if (by_weak_key)
		element->artifact.flags |= STATE_ARTIFACT_BY_WEAK_KEY;
	take_strong_key(session, id, element);
	if (artifact.build_success)
		return;
	/* The build job that replays a failure knows the record by its digest only. */
	buf_clear(&scratch->bytes);
	artifact_encode(&artifact, &scratch->bytes);
	(void)cas_put(session->cas, scratch->bytes.data, scratch->bytes.len, &element->artifact.proto);
}

int session_read_artifact(struct session *session, struct arena *arena, uint32_t element, struct artifact *ret)
{
	const struct state_element *state = session->state ? state_get(session->state, element) : NULL;
	_cleanup_buf_ struct buf name = BUF_INIT;

	if (!session_artifact_name(session, element, &name))
		return 0;
	if (artifact_cached(ret, arena, session->cas, buf_text(&name)) == 1)
		return 1;
	/* The name it was found by may be the only one it still has. */
	if (!state || !(state->artifact.flags & STATE_ARTIFACT_BY_WEAK_KEY))
		return 0;
	session_artifact_name_of(session, element, &state->weak, &name);
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
	if (r == 0)
		cas_whole_load(session->cas);
	for (uint32_t i = 0; r == 0 && i < ids->count; i++) {
		struct state_element *element = state_preload(session->state, ids->ids[i]);

		arena_reset(&scratch.arena);
		query_artifact(session, &scratch, ids->ids[i], element);
		if (sources_of_cached || element->artifact.outcome != STATE_ARTIFACT_SUCCESS)
			query_sources(session, ids->ids[i], element);
	}
	if (r == 0)
		cas_whole_save(session->cas);
	arena_release(&scratch.arena);
	buf_release(&scratch.name);
	buf_release(&scratch.bytes);
	session_end_counted(&activity, r == 0, ids->count, ids->count);
	return r;
}

/* --- strong keys in a non-strict plan --- */

struct wanted {
	struct session *session;
	bool *required;
	struct session_ids todo;
};

static void require(struct wanted *wanted, uint32_t id)
{
	if (wanted->required[id])
		return;
	wanted->required[id] = true;
	session_ids_add(&wanted->todo, id);
}

static void require_deps(struct wanted *wanted, uint32_t id, unsigned types)
{
	const struct graph_element *e = &wanted->session->graph.elements[id];

	for (uint32_t i = 0; i < e->dep_count; i++)
		if (e->deps[i].type & types)
			require(wanted, e->deps[i].element);
}

void session_settle_keys(struct session *session, const struct session_ids *ids, const struct session_ids *roots,
			 enum session_deps deps)
{
	struct wanted r = { .session = session };

	if (session->graph.projects[0].strict)
		return;
	r.required = xcalloc(session->graph.element_count, sizeof(*r.required));
	for (uint32_t i = 0; i < roots->count; i++)
		require(&r, roots->ids[i]);
	for (uint32_t i = 0; i < r.todo.count; i++) {
		uint32_t id = r.todo.ids[i];

		if (deps != SESSION_DEPS_NONE || i >= roots->count)
			require_deps(&r, id, GRAPH_RUNTIME);
		if (state_get(session->state, id)->artifact.outcome == STATE_ARTIFACT_ABSENT)
			require_deps(&r, id, GRAPH_BUILD);
	}
	for (uint32_t i = 0; i < ids->count; i++) {
		uint32_t id = ids->ids[i];

		if (r.required[id] && session_settle_key(session, id))
			state_preload(session->state, id)->strong = session->all_keys[id].strong;
	}
	session_ids_release(&r.todo);
	free(r.required);
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
