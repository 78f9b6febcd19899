/* The workers, as slots: none, spawning, idle, busy, retiring; one table of what may happen. */
#include "sched/sched_internal.h"

bool may_share_worker(enum sched_queue queue)
{
	return queue != SCHED_BUILD && queue != SCHED_EXPIRE; /* nothing is queued behind a build */
}

bool workers_gave_up(const struct sched *s)
{
	return s->config.mode == SCHED_INLINE || s->spawn_failures > s->config.spawn_retries;
}

static void note_room(struct sched *s, uint32_t w)
{
	struct worker *worker = &s->workers[w];

	slots_remove(&s->room, w);
	if (worker->state == WORKER_BUSY && worker->count < s->config.window &&
	    may_share_worker(s->jobs[worker->first].queue))
		slots_add(&s->room, w);
}

static int retire(struct sched *s, uint32_t w, struct job *job)
{
	slots_remove(&s->idle, w);
	slots_add(&s->retire, w);
	s->workers[w].state = WORKER_RETIRING;
	s->retiring++;
	return SCHED_OK;
}

void workers_trim(struct sched *s)
{
	while (s->idle.count && s->alive - s->retiring > s->limits[SCHED_SUBPROCESS] && s->config.mode != SCHED_INLINE)
		worker_event(s, slots_highest(&s->idle), WORKER_RETIRE, NULL);
}

static void become_idle(struct sched *s, uint32_t w)
{
	s->workers[w].state = WORKER_IDLE;
	slots_add(&s->idle, w);
	workers_trim(s);
}

/* ---- one function per kind of cell ---- */

typedef int cell(struct sched *s, uint32_t w, struct job *job);

static int ignore(struct sched *s, uint32_t w, struct job *job)
{
	return SCHED_STALE;
}

static int spawn(struct sched *s, uint32_t w, struct job *job)
{
	slots_remove(&s->none, w);
	s->workers[w] = (struct worker){ .incarnation = ++s->next_incarnation, .first = SCHED_NONE,
					 .last = SCHED_NONE, .state = WORKER_SPAWNING };
	s->alive++;
	s->spawning++;
	return SCHED_OK;
}

static int spawned(struct sched *s, uint32_t w, struct job *job)
{
	s->spawning--;
	s->spawn_failures = 0;
	become_idle(s, w);
	return SCHED_OK;
}

/* A worker that was there before. */
static int adopt(struct sched *s, uint32_t w, struct job *job)
{
	spawn(s, w, job);
	s->told_finished = false;
	return spawned(s, w, job);
}

static int spawn_failed(struct sched *s, uint32_t w, struct job *job)
{
	s->workers[w].state = WORKER_NONE;
	slots_add(&s->none, w);
	s->alive--;
	s->spawning--;
	s->spawn_failures++;
	return SCHED_OK;
}

static int get(struct sched *s, uint32_t w, struct job *job)
{
	struct worker *worker = &s->workers[w];

	if (worker->state == WORKER_IDLE) {
		worker->state = WORKER_BUSY;
		slots_remove(&s->idle, w);
		s->busy++;
		resource_use(s, SCHED_SUBPROCESS);
	}
	job->worker = w;
	job->next = SCHED_NONE;
	if (worker->last == SCHED_NONE)
		worker->first = job_slot(s, job);
	else
		s->jobs[worker->last].next = job_slot(s, job);
	worker->last = job_slot(s, job);
	worker->count++;
	note_room(s, w);
	return SCHED_OK;
}

static void unlink_job(struct sched *s, struct worker *worker, const struct job *job)
{
	uint32_t *at = &worker->first, before = SCHED_NONE;

	while (*at != job_slot(s, job)) {
		before = *at;
		at = &s->jobs[*at].next;
	}
	*at = job->next;
	if (worker->last == job_slot(s, job))
		worker->last = before;
	worker->count--;
}

static int leave(struct sched *s, uint32_t w, struct job *job)
{
	struct worker *worker = &s->workers[w];

	unlink_job(s, worker, job);
	if (!worker->count) {
		s->busy--;
		resource_leave(s, SCHED_SUBPROCESS);
		become_idle(s, w);
		if (s->config.mode == SCHED_FORK && worker->state == WORKER_IDLE)
			worker_event(s, w, WORKER_RETIRE, NULL);
	}
	note_room(s, w);
	return SCHED_OK;
}

static int gone(struct sched *s, uint32_t w, struct job *job)
{
	struct worker *worker = &s->workers[w];

	if (worker->state == WORKER_RETIRING)
		s->retiring--;
	slots_remove(&s->idle, w);
	slots_remove(&s->retire, w);
	worker->state = WORKER_NONE;
	slots_add(&s->none, w);
	s->alive--;
	return SCHED_OK;
}

/* Its jobs leave it first, so that what they set off finds the accounts in order. */
static int died_busy(struct sched *s, uint32_t w, struct job *unused)
{
	struct worker *worker = &s->workers[w];
	uint32_t first = worker->first;
	int result = SCHED_OK;

	s->busy--;
	resource_leave(s, SCHED_SUBPROCESS);
	slots_remove(&s->room, w);
	worker->count = 0;
	gone(s, w, NULL);
	for (uint32_t i = first; i != SCHED_NONE;) {
		struct job *job = &s->jobs[i];
		bool counts = i == first || job->started;
		int fate;

		i = job->next;
		job->worker = SCHED_NONE;
		fate = job_event(s, job, JOB_DEATH, 0);
		result = counts ? fate : result;
	}
	return result;
}

#define never NULL /* our own fault */

static cell *const cells[WORKER_STATES][WORKER_EVENTS] = {
	/*                     SPAWN  READY    GET    LEAVE  RETIRE  DIED */
	[WORKER_NONE]     = { spawn, adopt,   never, never, never,  ignore },
	[WORKER_SPAWNING] = { never, spawned, never, never, never,  spawn_failed },
	[WORKER_IDLE]     = { never, ignore,  get,   never, retire, gone },
	[WORKER_BUSY]     = { never, ignore,  get,   leave, never,  died_busy },
	[WORKER_RETIRING] = { never, ignore,  never, never, never,  gone },
};

int worker_event(struct sched *s, uint32_t w, enum worker_event event, struct job *job)
{
	enum worker_state state = s->workers[w].state;
	cell *action = cells[state][event];

	s->worker_hits[state][event]++;
	if (!action)
		bug("sched: worker %u in state %d met event %d", w, (int)state, (int)event);
	return action(s, w, job);
}

bool workers_possible(enum worker_state state, enum worker_event event)
{
	return cells[state][event] != NULL;
}
