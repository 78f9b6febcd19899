/* The jobs that are under way: claimed (its resources are its own, a worker is on its way), sent, started, cancelled;
 * one table of what may happen.  What a job's end means to its element is plan.c's affair.
 */
#include "sched/sched_internal.h"

struct job *job_claim(struct sched *s, enum sched_queue queue, uint32_t element)
{
	struct job *job = &s->jobs[s->job_free];

	assert(s->job_free < s->job_cap);
	s->job_free = job->next;
	*job = (struct job){ .id = ++s->next_job << 16 | job_slot(s, job), .element = element,
			     .worker = SCHED_NONE, .next = SCHED_NONE,
			     .state = JOB_CLAIMED, .queue = (uint8_t)queue };
	s->job_count++;
	s->counts[queue].running++;
	resources_claim(s, queue);
	if (queue == SCHED_EXPIRE) {
		s->expiry_wanted = false;
		return job;
	}
	plan_event(s, element, ELEMENT_CLAIMED, NULL);
	s->elements[element].link = job_slot(s, job);
	return job;
}

void job_await_worker(struct sched *s, struct job *job)
{
	if (s->claimed_last == SCHED_NONE)
		s->claimed_first = job_slot(s, job);
	else
		s->jobs[s->claimed_last].next = job_slot(s, job);
	s->claimed_last = job_slot(s, job);
	s->claimed_count++;
	resource_use(s, SCHED_SUBPROCESS);
}

struct job *job_next_claimed(struct sched *s)
{
	struct job *job = &s->jobs[s->claimed_first];

	assert(s->claimed_count);
	s->claimed_first = job->next;
	if (s->claimed_first == SCHED_NONE)
		s->claimed_last = SCHED_NONE;
	s->claimed_count--;
	return job;
}

/* The job is over: everything it had is given back, then the element learns of it. */
static void release(struct sched *s, struct job *job)
{
	if (job->worker != SCHED_NONE)
		worker_event(s, job->worker, WORKER_LEAVE, job);
	resources_release(s, job->queue);
	s->counts[job->queue].running--;
	s->job_count--;
	job->state = JOB_FREE;
	job->next = s->job_free;
	s->job_free = job_slot(s, job);
}

static void element_event(struct sched *s, const struct job *job, enum element_event event, uint32_t drop)
{
	struct element_arg arg = { .drop = drop };

	if (job->queue != SCHED_EXPIRE)
		plan_event(s, job->element, event, &arg);
}

/* ---- one function per kind of cell ---- */

typedef int cell(struct sched *s, struct job *job, uint32_t arg);

static int ignore(struct sched *s, struct job *job, uint32_t arg)
{
	return SCHED_STALE;
}

static int dispatch(struct sched *s, struct job *job, uint32_t worker)
{
	job->state = JOB_SENT;
	job->attempt = 1;
	if (job->queue != SCHED_EXPIRE)
		job->attempt = ++s->elements[job->element].attempt;
	s->dispatched++;
	return worker_event(s, worker, WORKER_GET, job);
}

static int unclaim(struct sched *s, struct job *job, uint32_t arg)
{
	release(s, job);
	resource_leave(s, SCHED_SUBPROCESS);
	if (job->queue == SCHED_EXPIRE)
		s->expiry_wanted = true;
	element_event(s, job, ELEMENT_UNCLAIMED, 0);
	return SCHED_OK;
}

static int begin(struct sched *s, struct job *job, uint32_t arg)
{
	job->started = true;
	if (job->state == JOB_SENT)
		job->state = JOB_STARTED;
	return SCHED_OK;
}

static int succeed(struct sched *s, struct job *job, uint32_t drop)
{
	release(s, job);
	s->counts[job->queue].processed++;
	element_event(s, job, ELEMENT_PASSED, drop);
	return SCHED_OK;
}

static int skip(struct sched *s, struct job *job, uint32_t drop)
{
	release(s, job);
	s->counts[job->queue].skipped++;
	element_event(s, job, ELEMENT_PASSED, drop);
	return SCHED_OK;
}

static int fail(struct sched *s, struct job *job, uint32_t arg)
{
	release(s, job);
	s->counts[job->queue].failed++;
	element_event(s, job, ELEMENT_FAILED, 0);
	if (job->queue != SCHED_EXPIRE)
		element_failed(s);
	return SCHED_FAILED;
}

static int retry_or_fail(struct sched *s, struct job *job, uint32_t arg)
{
	if (!(sched_claims[job->queue].shared & NETWORK_RESOURCES) ||
	    s->elements[job->element].temporaries >= s->config.network_retries)
		return fail(s, job, arg);
	s->elements[job->element].temporaries++;
	release(s, job);
	element_event(s, job, ELEMENT_DELAYED, 0);
	return SCHED_RETRIED;
}

static int died(struct sched *s, struct job *job, uint32_t arg)
{
	if (job->queue == SCHED_EXPIRE || s->elements[job->element].deaths >= s->config.death_retries)
		return fail(s, job, arg);
	s->elements[job->element].deaths++;
	release(s, job);
	element_event(s, job, ELEMENT_RETURNED, 0);
	return SCHED_RETRIED;
}

static int give_back(struct sched *s, struct job *job, uint32_t arg)
{
	uint8_t *returns = job->queue == SCHED_EXPIRE ? &s->expiry_returns : &s->elements[job->element].returns;

	if (*returns >= MAX_RETURNS)
		return died(s, job, arg);
	++*returns;
	release(s, job);
	if (job->queue == SCHED_EXPIRE) {
		s->expiry_wanted = true;
		return SCHED_RETURNED;
	}
	s->elements[job->element].attempt--; /* that one was none */
	element_event(s, job, ELEMENT_RETURNED, 0);
	return SCHED_RETURNED;
}

static int cancel(struct sched *s, struct job *job, uint32_t arg)
{
	job->state = JOB_CANCELLED;
	return SCHED_OK;
}

static int drop(struct sched *s, struct job *job, uint32_t arg)
{
	release(s, job);
	s->counts[job->queue].skipped++;
	element_event(s, job, ELEMENT_DROPPED, 0);
	return SCHED_DROPPED;
}

#define never NULL /* our own fault */

static cell *const cells[JOB_STATES][JOB_EVENTS] = {
	/*                  DISPATCH  UNCLAIM  START   SUCCESS  SKIPPED FAILURE TEMPORARY      CANCEL_RESULT DEATH      CANCEL */
	[JOB_FREE]      = { never,    never,   never,  never,   never,  never,  never,         never,        never,     never },
	[JOB_CLAIMED]   = { dispatch, unclaim, ignore, ignore,  ignore, ignore, ignore,        ignore,       never,     never },
	[JOB_SENT]      = { never,    never,   begin,  succeed, skip,   fail,   retry_or_fail, fail,         give_back, cancel },
	[JOB_STARTED]   = { never,    never,   ignore, succeed, skip,   fail,   retry_or_fail, fail,         died,      cancel },
	[JOB_CANCELLED] = { never,    never,   begin,  succeed, skip,   drop,   drop,          drop,         drop,      never },
};

int job_event(struct sched *s, struct job *job, enum job_event event, uint32_t arg)
{
	enum job_state state = job->state;
	cell *action = cells[state][event];

	s->job_hits[state][event]++;
	if (!action)
		bug("sched: job %llu in state %d met event %d", (unsigned long long)job->id, (int)state, (int)event);
	return action(s, job, arg);
}

bool jobs_possible(enum job_state state, enum job_event event)
{
	return cells[state][event] != NULL;
}

void jobs_unclaim_all(struct sched *s)
{
	uint32_t slot = SCHED_NONE;

	while (s->claimed_count) {
		struct job *job = job_next_claimed(s);

		job->next = slot;
		slot = job_slot(s, job);
	}
	while (slot != SCHED_NONE) { /* the last first: each goes before those behind it in its line */
		struct job *job = &s->jobs[slot];

		slot = job->next;
		job_event(s, job, JOB_UNCLAIM, 0);
	}
}

void jobs_cancel_all(struct sched *s)
{
	for (uint32_t i = 0; i < s->job_cap; i++) {
		if (s->jobs[i].state != JOB_FREE)
			job_event(s, &s->jobs[i], JOB_CANCEL, 0);
	}
	s->cancel_at = 0;
}
