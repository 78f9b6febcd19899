/* `artifact show` and `artifact delete`: which artifacts are in the cache, and out with them. */
#include "session/session_internal.h"

#include <errno.h>
#include <string.h>

#include "base/map.h"

/* Loads what the request selects and asks the cache about it. */
static int load(struct session *session, struct session_ids *ids)
{
	int r = session_load(session, SESSION_LOAD_ARTIFACTS);

	if (r == 0)
		r = session_select(session, (enum session_deps)session->request->deps, ids);
	return r < 0 ? r : session_query(session, ids, false);
}

/* --- artifact show --- */

static void show(struct session *session, uint32_t id)
{
	static const enum session_artifact_state states[] = {
		[STATE_ARTIFACT_UNKNOWN] = SESSION_ARTIFACT_NOT_CACHED,
		[STATE_ARTIFACT_ABSENT] = SESSION_ARTIFACT_NOT_CACHED,
		[STATE_ARTIFACT_SUCCESS] = SESSION_ARTIFACT_CACHED,
		[STATE_ARTIFACT_FAILURE] = SESSION_ARTIFACT_FAILED,
	};
	const struct graph_element *element = &session->graph.elements[id];
	const struct state_element *state = state_get(session->state, id);
	_cleanup_buf_ struct buf name = BUF_INIT;

	/* Who asks for an artifact by its weak key is told its strong one. */
	if (!session_is_artifact(session, id) || !session_artifact_name(session, id, &name)) {
		buf_clear(&name);
		buf_adds(&name, element->full_name);
	}
	session->frontend->artifact_state(session->frontend->data, buf_text(&name), states[state->artifact.outcome]);
}

int session_artifact_show(struct session *session)
{
	struct session_ids ids = { 0 };
	int r = load(session, &ids);

	for (uint32_t i = 0; r == 0 && i < ids.count; i++)
		show(session, ids.ids[i]);
	if (r == 0) /* as the peer ends its report */
		session->frontend->output(session->frontend->data, "\n", 1);
	session_ids_release(&ids);
	return r;
}

/* --- artifact delete --- */

struct removal {
	struct session *session;
	struct strmap seen; /* several targets may have the same key */
	bool any;
};

static void remove_ref(struct removal *removal, uint32_t id, const struct key *key)
{
	struct session *session = removal->session;
	_cleanup_buf_ struct buf name = BUF_INIT, text = BUF_INIT;
	int r;

	if (!key_known(key))
		return;
	session_artifact_name_of(session, id, key, &name);
	if (strmap_get(&removal->seen, buf_text(&name), name.len) != STRMAP_NONE)
		return;
	strmap_put(&removal->seen, arena_strndup(&session->arena, buf_text(&name), name.len), name.len, 1);
	r = artifact_remove(session->cas, buf_text(&name));
	if (r == 0)
		buf_printf(&text, "Removed: %s", buf_text(&name));
	else if (r == -ENOENT)
		buf_printf(&text, "Could not find ref '%s'", buf_text(&name));
	else
		buf_printf(&text, "System error while removing ref '%s': %s", buf_text(&name), strerror(-r));
	session_say(session, r == 0 ? SESSION_MESSAGE_INFO : SESSION_MESSAGE_WARN, buf_text(&text), NULL);
	removal->any |= r == 0;
}

int session_artifact_delete(struct session *session)
{
	struct removal removal = { .session = session };
	struct session_ids ids = { 0 };
	int r = load(session, &ids);

	for (uint32_t i = 0; r == 0 && i < ids.count; i++) {
		const struct state_element *state = state_get(session->state, ids.ids[i]);

		remove_ref(&removal, ids.ids[i], &state->strong);
		remove_ref(&removal, ids.ids[i], &state->weak);
	}
	if (r == 0 && !removal.any)
		session_say(session, SESSION_MESSAGE_INFO, "No artifacts were removed", NULL);
	strmap_release(&removal.seen);
	session_ids_release(&ids);
	return r;
}
