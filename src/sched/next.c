/* What to do next: sched_next looks at what events left behind and says one thing at a time. */
#include "sched/sched_internal.h"

/* Later queues first, as the peer does: what is nearly done frees what others wait for, and no pull is waited for by
 * all before the first build begins. */
static const uint8_t order[] = { SCHED_EXPIRE, SCHED_SOURCE_PUSH, SCHED_PUSH, SCHED_BUILD,
				 SCHED_FETCH,  SCHED_PULL,        SCHED_QUERY, SCHED_TRACK };

/* The one resource, of those with a limit, that makes jobs of this queue rivals of each other. */
static enum sched_resource rival(enum sched_queue queue)
{
	uint32_t shared = sched_claims[queue].shared;

	for (enum sched_resource r = SCHED_DOWNLOAD; r <= SCHED_UPLOAD; r++) {
		if (shared >> r & 1)
			return r;
	}
	return SCHED_CACHE;
}

static bool mode_allows(const struct sched *s, enum sched_queue queue)
{
	if (s->mode == MODE_RUN)
		return true;
	if (s->mode == MODE_TERMINATE || queue == SCHED_EXPIRE)
		return false;
	/* What was handed out before quit is carried to its end. */
	return queue > s->config.imperative || s->again[queue].count;
}

/* Has it a job that may start, workers apart? */
static bool startable(const struct sched *s, enum sched_queue queue)
{
	bool any = queue == SCHED_EXPIRE ? s->expiry_wanted : ready_count(s, queue) > 0;

	return any && mode_allows(s, queue) && resources_fit(s, queue);
}

static uint32_t startable_queues(const struct sched *s)
{
	uint32_t bits = 0;

	for (unsigned queue = 0; queue < SCHED_QUEUES; queue++)
		bits |= startable(s, queue) ? SCHED_BIT(queue) : 0;
	return bits;
}

/* a - b, but never below zero. */
static uint32_t less(uint32_t a, uint32_t b)
{
	return a - MIN(a, b);
}

/* How many more jobs may claim a worker of their own: idle, on its way, or one that may be spawned. */
static uint32_t free_workers(const struct sched *s)
{
	uint32_t limit = s->limits[SCHED_SUBPROCESS], have = s->idle.count + s->spawning;

	if (!workers_gave_up(s))
		have += less(limit, s->alive);
	return MIN(less(have, s->claimed_count), less(limit, s->used[SCHED_SUBPROCESS]));
}

/* Every kind of work that could run keeps at least one worker, where there are enough: a kind that has one already
 * leaves the last ones to those that have none.  So builds cannot starve fetches, nor the other way round. */
static bool must_yield(const struct sched *s, enum sched_queue queue, uint32_t ready, uint32_t workers)
{
	uint32_t kinds = 0;

	if (!s->used[rival(queue)])
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		enum sched_resource other = rival(order[i]);

		if (ready >> order[i] & 1 && !s->used[other])
			kinds |= 1u << other;
	}
	return (uint32_t)__builtin_popcount(kinds) >= workers;
}

/* The queue that gets the next worker; SCHED_QUEUES if none. */
static enum sched_queue pick(const struct sched *s, uint32_t workers)
{
	uint32_t ready = startable_queues(s);

	for (unsigned i = 0; ready && i < ARRAY_SIZE(order); i++) {
		enum sched_queue queue = order[i];

		if (!(ready >> queue & 1))
			continue;
		if (workers ? !must_yield(s, queue, ready, workers) : may_share_worker(queue))
			return queue;
	}
	return SCHED_QUEUES;
}

static struct job *claim(struct sched *s, enum sched_queue queue)
{
	struct ready *ready = s->again[queue].count ? &s->again[queue] : &s->fresh[queue];

	return job_claim(s, queue, queue == SCHED_EXPIRE ? SCHED_NONE : ready_pop(ready, s->elements));
}

static bool send(struct sched *s, struct sched_command *command, struct job *job, uint32_t worker)
{
	job_event(s, job, JOB_DISPATCH, worker);
	*command = (struct sched_command){ .type = SCHED_DISPATCH, .queue = job->queue, .job = job->id,
					   .worker = worker, .incarnation = s->workers[worker].incarnation,
					   .element = job->element, .attempt = job->attempt };
	return true;
}

static bool say_cancel(struct sched *s, struct sched_command *command)
{
	while (s->cancel_at < s->job_cap) {
		const struct job *job = &s->jobs[s->cancel_at++];

		if (job->state != JOB_CANCELLED)
			continue; /* none, or it ended meanwhile */
		*command = (struct sched_command){ .type = SCHED_CANCEL, .queue = job->queue, .job = job->id,
						   .worker = job->worker, .element = job->element,
						   .incarnation = s->workers[job->worker].incarnation };
		return true;
	}
	return false;
}

static bool say_retire(struct sched *s, struct sched_command *command)
{
	uint32_t worker;

	if (!s->retire.count)
		return false;
	worker = slots_lowest(&s->retire);
	slots_remove(&s->retire, worker);
	*command = (struct sched_command){ .type = SCHED_RETIRE, .worker = worker,
					   .incarnation = s->workers[worker].incarnation };
	return true;
}

static bool say_retry_in(struct sched *s, struct sched_command *command)
{
	uint32_t e = s->announce_first;
	struct element *el = &s->elements[e];

	if (e == SCHED_NONE)
		return false;
	s->announce_first = el->link;
	if (s->announce_first == SCHED_NONE)
		s->announce_last = SCHED_NONE;
	el->flags |= ANNOUNCED;
	*command = (struct sched_command){ .type = SCHED_RETRY_IN, .queue = el->stage, .element = e,
					   .attempt = el->attempt + 1u };
	return true;
}

static bool say_dispatch(struct sched *s, struct sched_command *command)
{
	if (s->suspended)
		return false;
	if (s->claimed_count && s->idle.count) {
		struct job *job = job_next_claimed(s);

		send(s, command, job, slots_lowest(&s->idle));
		resource_leave(s, SCHED_SUBPROCESS); /* its worker holds it now */
		return true;
	}
	for (;;) {
		uint32_t workers = free_workers(s);
		enum sched_queue queue = workers || s->room.count ? pick(s, workers) : SCHED_QUEUES;

		if (queue == SCHED_QUEUES)
			return false;
		if (workers && s->idle.count)
			return send(s, command, claim(s, queue), slots_lowest(&s->idle));
		if (!workers) {
			s->room_cursor = slots_from(&s->room, s->room_cursor);
			return send(s, command, claim(s, queue), s->room_cursor++);
		}
		job_await_worker(s, claim(s, queue));
	}
}

static bool say_spawn(struct sched *s, struct sched_command *command)
{
	uint32_t worker;

	if (s->suspended || s->claimed_count <= s->spawning || workers_gave_up(s) ||
	    s->alive >= s->limits[SCHED_SUBPROCESS])
		return false;
	worker = slots_lowest(&s->none);
	worker_event(s, worker, WORKER_SPAWN, NULL);
	*command = (struct sched_command){ .type = SCHED_SPAWN, .worker = worker,
					   .incarnation = s->workers[worker].incarnation };
	return true;
}

static bool work_left(const struct sched *s)
{
	if (s->job_count)
		return true;
	return s->mode != MODE_TERMINATE && (s->delayed || startable_queues(s));
}

static enum sched_outcome outcome(const struct sched *s, bool no_workers)
{
	if (no_workers)
		return SCHED_END_NO_WORKERS;
	if (s->failed_elements)
		return SCHED_END_FAILED;
	return s->mode == MODE_TERMINATE ? SCHED_END_TERMINATED : SCHED_END_SUCCESS;
}

static bool say_finished(struct sched *s, struct sched_command *command)
{
	bool no_workers = workers_gave_up(s) && !s->alive;

	if (s->told_finished || (s->suspended && s->mode != MODE_TERMINATE))
		return false;
	if (no_workers)
		jobs_unclaim_all(s);
	no_workers = no_workers && work_left(s);
	if (!no_workers && work_left(s))
		return false;
	s->told_finished = true;
	*command = (struct sched_command){ .type = SCHED_FINISHED, .outcome = outcome(s, no_workers) };
	return true;
}

bool sched_finished(const struct sched *s)
{
	return s->told_finished;
}

bool sched_next(struct sched *s, struct sched_command *command)
{
	return say_cancel(s, command) || say_retire(s, command) || say_retry_in(s, command) ||
	       say_dispatch(s, command) || say_spawn(s, command) || say_finished(s, command);
}
