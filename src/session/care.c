/* Room in the cache: how much there may be, and what is done when it is used up.
 *
 * Whoever stores an object for which there is no room (any worker, in the middle of any job) makes some: layers first,
 * they are made again from what is stored; then artifacts and sources, the one used longest ago first.  Nothing that this
 * session or another live one has used goes (cas/care.h), so nothing has to stand still meanwhile.  If there is no room then,
 * the job fails with the peer's "cache-too-full".
 */
#include "session/session_internal.h"

#include <errno.h>

#include "artifacts/care.h"
#include "base/fs.h"

#define LAYERS_DEFAULT_BYTES ((int64_t)20 << 30)

static int ask(void *data)
{
	struct session *session = data;

	return session->layers ? sandbox_host_ask(session->layers) : 0;
}

int64_t session_objects_target(int64_t low_bytes, int64_t layers_bytes)
{
	return low_bytes == CAS_QUOTA_INFINITE ? low_bytes : MAX(low_bytes - MIN(layers_bytes, low_bytes / 2), 0);
}

static int trim_layers(struct session *session, struct cas *cas, int64_t need_bytes, uint64_t *left_bytes)
{
	struct sandbox_host_options options = session_host_options(session);
	struct sandbox_host *host = session->layers;
	int64_t objects_bytes = 0, layers_bytes;
	uint64_t removed_bytes;
	int r = 0;

	(void)cas_usage(cas, &objects_bytes, &layers_bytes);
	options.cas = cas;
	if (!host)
		r = sandbox_host_new(&host, &options, NULL);
	if (r < 0)
		return r;
	*left_bytes = sandbox_layers_trim(host, (uint64_t)MAX(cas_low_bytes(cas, need_bytes) - objects_bytes, 0), false,
					  &removed_bytes);
	if (host != session->layers)
		sandbox_host_free(host);
	return 0;
}

static int make_room(void *data, struct cas *cas, int64_t need_bytes)
{
	struct session *session = data;
	_cleanup_close_ int lock = care_lock(cas);
	struct care_census *census = NULL;
	int64_t objects_bytes, layers_bytes, since_ns;
	uint64_t left_bytes = 0;
	struct care_result result;
	int r = MIN(lock, 0);

	if (r < 0)
		return r;
	since_ns = care_since(cas);
	if (!cas_usage(cas, &objects_bytes, &layers_bytes)) /* not counted lately: nothing to reckon with */
		r = care_census_new(&census, cas, ask, session);
	if (r == 0)
		r = trim_layers(session, cas, need_bytes, &left_bytes);
	if (r == 0 && cas_lacking(cas, need_bytes) > 0) { /* not when another worker has done it while we waited */
		if (!census)
			r = care_census_new(&census, cas, ask, session);
		if (r == 0)
			r = care_expire(cas, census, since_ns,
					session_objects_target(cas_low_bytes(cas, need_bytes), (int64_t)left_bytes), false,
					&result);
	}
	care_census_free(census);
	return r;
}

void session_limits(struct session *session)
{
	const struct project_context *context = &session->context;
	struct cas_limits limits = {
		.quota_bytes = context->quota_bytes == PROJECT_QUOTA_INFINITE ? CAS_QUOTA_INFINITE : context->quota_bytes,
		.reserved_bytes = context->reserved_bytes,
		.low_watermark = context->low_watermark,
	};

	cas_set_limits(session->cas, &limits);
	cas_on_full(session->cas, make_room, session);
}

int session_count(struct session *session)
{
	struct care_census *census;
	int64_t objects_bytes, layers_bytes;
	int r;

	/* The peer's daemon would believe its old count. */
	care_forget_peer_count(session->cas);
	if (session->context.quota_bytes == PROJECT_QUOTA_INFINITE ||
	    (cas_usage(session->cas, &objects_bytes, &layers_bytes) && !care_peer_lives(session->cas)))
		return 0;
	r = care_census_new(&census, session->cas, NULL, NULL);
	if (r == 0)
		care_census_free(census);
	return r;
}

struct sandbox_host_options session_host_options(const struct session *session)
{
	int64_t max_bytes = session->context.layers_bytes ? session->context.layers_bytes : LAYERS_DEFAULT_BYTES;

	/* Beside objects there should be room for some; beyond that they go first whenever there is none. */
	max_bytes = MIN(max_bytes, MAX(session->context.quota_bytes / 2, 1));
	return (struct sandbox_host_options){ .cas = session->cas, .layers_max_bytes = (uint64_t)max_bytes };
}
