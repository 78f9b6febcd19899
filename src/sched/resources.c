/* What jobs claim, and exact accounts of it. */
#include "sched/sched_internal.h"

#define R(resource) (1u << SCHED_##resource)

/* As the peer's queues have it; but its fetches and pushes write and read the store through a daemon of its own, which
 * takes care of expiry, ours do it themselves: so they share the cache too. */
const struct sched_claim sched_claims[SCHED_QUEUES] = {
	[SCHED_TRACK]       = { R(SUBPROCESS) | R(DOWNLOAD), 0 },
	[SCHED_QUERY]       = { R(SUBPROCESS) | R(PROCESS) | R(CACHE), 0 },
	[SCHED_PULL]        = { R(SUBPROCESS) | R(DOWNLOAD) | R(CACHE), 0 },
	[SCHED_FETCH]       = { R(SUBPROCESS) | R(DOWNLOAD) | R(CACHE), 0 },
	[SCHED_BUILD]       = { R(SUBPROCESS) | R(PROCESS) | R(CACHE), 0 },
	[SCHED_PUSH]        = { R(SUBPROCESS) | R(UPLOAD) | R(CACHE), 0 },
	[SCHED_SOURCE_PUSH] = { R(SUBPROCESS) | R(UPLOAD) | R(CACHE), 0 },
	[SCHED_EXPIRE]      = { R(SUBPROCESS), R(CACHE) },
};

void resource_use(struct sched *s, enum sched_resource r)
{
	s->used[r]++;
}

void resource_leave(struct sched *s, enum sched_resource r)
{
	assert(s->used[r]);
	s->used[r]--;
}

/* SUBPROCESS goes with the worker, see jobs.c and workers.c. */
void resources_claim(struct sched *s, enum sched_queue queue)
{
	uint32_t bits = sched_claims[queue].shared | sched_claims[queue].exclusive;

	for (unsigned r = 0; r < SCHED_SUBPROCESS; r++) {
		if (bits >> r & 1)
			resource_use(s, r);
	}
	if (sched_claims[queue].exclusive)
		s->exclusive_held = true;
}

void resources_release(struct sched *s, enum sched_queue queue)
{
	uint32_t bits = sched_claims[queue].shared | sched_claims[queue].exclusive;

	for (unsigned r = 0; r < SCHED_SUBPROCESS; r++) {
		if (bits >> r & 1)
			resource_leave(s, r);
	}
	if (sched_claims[queue].exclusive)
		s->exclusive_held = false;
}

bool resources_fit(const struct sched *s, enum sched_queue queue)
{
	uint32_t bits = sched_claims[queue].shared;

	if (sched_claims[queue].exclusive)
		return s->used[SCHED_CACHE] == 0;
	/* Who waits to have it alone must not starve: from then on nobody new shares it. */
	if (bits & R(CACHE) && (s->exclusive_held || (s->expiry_wanted && s->mode == MODE_RUN)))
		return false;
	for (unsigned r = 0; r < SCHED_SUBPROCESS; r++) {
		if (bits >> r & 1 && s->limits[r] && s->used[r] >= s->limits[r])
			return false;
	}
	return true;
}
