/* Workers that take a while and die, their messages, and what becomes of them in the parent. */
#include <string.h>

#include "world.h"

/* ---- workers ---- */

void begin_next(struct world *w, uint32_t slot, uint64_t delay)
{
	struct wworker *worker = &w->workers[slot];

	for (uint32_t i = 0; i < worker->count; i++) {
		if (worker->jobs[i].ended)
			continue;
		if (!worker->jobs[i].begun) {
			worker->jobs[i].begun = true;
			post(w, delay, (struct event){ .type = BEGIN, .slot = slot, .incarnation = worker->incarnation,
						       .job = worker->jobs[i].id });
		}
		return;
	}
}

struct wjob *find_job(struct world *w, uint32_t slot, uint64_t id)
{
	struct wworker *worker = &w->workers[slot];

	for (uint32_t i = 0; i < worker->count; i++) {
		if (worker->jobs[i].id == id)
			return &worker->jobs[i];
	}
	return NULL;
}

static void forget_job(struct world *w, uint32_t slot, const struct wjob *job)
{
	struct wworker *worker = &w->workers[slot];
	size_t i = (size_t)(job - worker->jobs);

	memmove(worker->jobs + i, worker->jobs + i + 1, (worker->count - i - 1) * sizeof(*job));
	if (--worker->count == 0)
		w->model.used[SCHED_SUBPROCESS]--;
	if (w->model.limits[SCHED_SUBPROCESS])
		w->model.ceilings[SCHED_SUBPROCESS] =
			MAX(w->model.limits[SCHED_SUBPROCESS],
			    MIN(w->model.ceilings[SCHED_SUBPROCESS], w->model.used[SCHED_SUBPROCESS]));
}

void choose_result(struct world *w, struct wjob *job)
{
	uint32_t later = SCHED_ALL_QUEUES & ~((SCHED_BIT(job->queue) << 1) - 1);

	job->result = SCHED_SUCCESS;
	job->drop = 0;
	if (below(w, 4) == 0)
		job->result = SCHED_SKIPPED;
	if ((job->queue == SCHED_QUERY || job->queue == SCHED_PULL) && below(w, 2))
		job->drop = SCHED_BIT(SCHED_PULL) | SCHED_BIT(SCHED_FETCH) | SCHED_BIT(SCHED_BUILD);
	if (below(w, 20) == 0)
		job->drop = (uint32_t)random_next(&w->random);
	if (job->queue != SCHED_QUERY && job->queue != SCHED_PULL)
		job->drop &= ~(later & SCHED_BIT(SCHED_BUILD));
	if (chance(w, SIM_FAILURES, w->fail_percent * 10)) {
		job->result = SCHED_FAILURE;
		fault(w, SIM_FAILURES);
	}
	if (chance(w, SIM_TEMPORARY, w->temporary_percent * 10)) {
		job->result = SCHED_TEMPORARY;
		fault(w, SIM_TEMPORARY);
	}
	if (chance(w, SIM_FAILURES, 3)) {
		job->result = SCHED_CANCELLED;
		fault(w, SIM_FAILURES);
	}
}

static void on_begin(struct world *w, const struct event *event)
{
	struct wworker *worker = &w->workers[event->slot];
	struct wjob *job = find_job(w, event->slot, event->job);

	if (!job || job->ended) /* cancelled before it could begin */
		return;
	if (w->twin)
		right(w, twin_begin(w->twin, event->slot, job->id));
	trace(w, "  worker %u begins job %llx", event->slot, (unsigned long long)job->id);
	if (chance(w, SIM_LATE, 100)) /* lost: the message is optional */
		notice(w, SIM_LATE);
	else
		tell_parent(w, event->slot, (struct event){ .type = STARTED, .job = job->id });
	post(w, below(w, 4) ? below(w, 30) : below(w, 300),
	     (struct event){ .type = FINISH, .slot = event->slot, .incarnation = worker->incarnation, .job = job->id,
			     .version = job->version });
}

static void on_finish(struct world *w, const struct event *event)
{
	struct wjob *job = find_job(w, event->slot, event->job);
	struct event result = { .type = RESULT, .job = event->job };

	if (!job || job->version != event->version || job->ended)
		return;
	job->ended = true;
	if (w->twin)
		twin_end(w->twin, event->slot, job->id, job->element, &w->random);
	result.result = job->result;
	result.drop = job->drop;
	result.queue = job->queue;
	result.element = job->element;
	tell_parent(w, event->slot, result);
	if (chance(w, SIM_LATE, 10)) {
		fault(w, SIM_LATE);
		result.type = STARTED; /* nonsense after the end */
		tell_parent(w, event->slot, result);
	}
	begin_next(w, event->slot, 0);
}

static void on_cancel(struct world *w, const struct event *event)
{
	struct wjob *job = find_job(w, event->slot, event->job);

	if (!job || job->ended || below(w, 3) == 0) /* too late, or it does not care */
		return;
	job->result = SCHED_CANCELLED;
	job->version++;
	if (!job->begun && w->twin)
		job->begun = true; /* it is answered without having begun: nothing is read */
	post(w, below(w, 10), (struct event){ .type = FINISH, .slot = event->slot, .incarnation = event->incarnation,
					      .job = job->id, .version = job->version });
}

static void on_kill(struct world *w, const struct event *event)
{
	struct wworker *worker = &w->workers[event->slot];
	bool late = chance(w, SIM_LATE, 300);

	if (worker->state == GONE || worker->state == DEAD || worker->state == COMING)
		return;
	fault(w, SIM_DEATHS);
	trace(w, "  worker %u dies", event->slot);
	worker->state = DEAD;
	if (late) { /* its death is noticed before its last messages arrive */
		fault(w, SIM_LATE);
		worker->last_arrival = w->now;
	}
	tell_parent(w, event->slot, (struct event){ .type = DIED });
}

/* ---- what arrives in the parent ---- */

static void on_result(struct world *w, const struct event *event)
{
	struct wjob *job = find_job(w, event->slot, event->job);
	bool live = job && w->workers[event->slot].incarnation == event->incarnation, cancelled = w->model.terminated;
	struct sched_job_view view;
	int verdict;

	if (live != sched_job(w->sched, event->job, &view))
		wrong(w, "the scheduler and the world differ about whether a job is over");
	if (live && w->twin)
		right(w, twin_accept(w->twin, event->job));
	verdict = sched_job_done(w->sched, event->job, event->result, event->drop);
	trace(w, "job %llx (%s of %u) done: result %d, drop %x -> %d", (unsigned long long)event->job,
	      sched_queue_name(event->queue), event->element, (int)event->result, event->drop, verdict);
	if (!live) {
		if (verdict != SCHED_STALE)
			wrong(w, "a late result was not recognised");
		return;
	}
	if (sched_job_done(w->sched, event->job, event->result, 0) != SCHED_STALE)
		wrong(w, "a job ended twice");
	forget_job(w, event->slot, job);
	right(w, model_done(&w->model, event->queue, event->queue == SCHED_EXPIRE ? 0 : event->element, event->result,
			    event->drop, cancelled, verdict));
}

static void on_started(struct world *w, const struct event *event)
{
	struct wjob *job = find_job(w, event->slot, event->job);
	int verdict = sched_job_started(w->sched, event->job);

	if (job && w->workers[event->slot].incarnation == event->incarnation) {
		if ((verdict == SCHED_OK) == job->told_started && !w->model.terminated)
			wrong(w, "started: wrong verdict");
		job->told_started = true;
	} else if (verdict != SCHED_STALE) {
		wrong(w, "a late start was not recognised");
	}
}

static void on_died(struct world *w, const struct event *event)
{
	struct wworker *worker = &w->workers[event->slot], before = *worker;
	int verdict;

	if (worker->incarnation != event->incarnation || worker->state == GONE)
		return;
	verdict = sched_worker_died(w->sched, event->slot);
	trace(w, "worker %u is gone, with %u jobs -> %d", event->slot, before.count, verdict);
	if (w->twin)
		twin_gone(w->twin, event->slot);
	worker->state = GONE;
	while (worker->count) {
		struct wjob job = worker->jobs[0];

		forget_job(w, event->slot, &worker->jobs[0]);
		right(w, model_died(&w->model, job.queue, job.queue == SCHED_EXPIRE ? 0 : job.element, job.told_started,
				    w->model.terminated, verdict, before.count == 1));
	}
	if (chance(w, SIM_LATE, 200) && sched_worker_died(w->sched, event->slot) != SCHED_STALE)
		wrong(w, "a worker died twice");
}

static void on_spawned(struct world *w, const struct event *event)
{
	struct wworker *worker = &w->workers[event->slot];

	worker->state = ALIVE;
	w->model.spawn_failures = 0;
	if (sched_worker_ready(w->sched, event->slot) != SCHED_OK)
		wrong(w, "a spawned worker was not accepted");
	if (chance(w, SIM_LATE, 20) && sched_worker_ready(w->sched, event->slot) != SCHED_STALE)
		wrong(w, "a worker became ready twice");
	if (chance(w, SIM_DEATHS, w->death_percent * 10))
		post(w, below(w, 400), (struct event){ .type = KILL, .slot = event->slot,
						       .incarnation = event->incarnation });
}

static void on_spawn_failed(struct world *w, const struct event *event)
{
	fault(w, SIM_SPAWN_FAILURES);
	trace(w, "spawn of worker %u fails", event->slot);
	w->workers[event->slot].state = GONE;
	w->model.spawn_failures++;
	if (sched_worker_died(w->sched, event->slot) != SCHED_OK)
		wrong(w, "a failed spawn was not accepted");
	if (w->twin)
		twin_gone(w->twin, event->slot);
}

static void on_due(struct world *w, const struct event *event)
{
	struct model_element *el = &w->model.elements[event->element];
	int verdict = sched_retry_due(w->sched, event->element);

	trace(w, "retry of %u is due -> %d", event->element, verdict);
	/* A timer of an earlier delay may go off now; before this one is announced nothing is due. */
	if ((verdict == SCHED_OK) != (el->delayed && el->announced))
		wrong(w, "retry due: wrong verdict");
	el->delayed = el->delayed && verdict != SCHED_OK;
}

static bool in_worker(enum event_type type)
{
	return type == BEGIN || type == FINISH || type == CANCEL || type == KILL;
}

void happen(struct world *w, const struct event *event)
{
	static void (*const handlers[])(struct world *, const struct event *) = {
		[SPAWNED] = on_spawned, [SPAWN_FAILED] = on_spawn_failed, [BEGIN] = on_begin, [FINISH] = on_finish,
		[CANCEL] = on_cancel,   [KILL] = on_kill,                 [STARTED] = on_started, [RESULT] = on_result,
		[DIED] = on_died,       [DUE] = on_due,
	};

	if (event->type == PEOPLE || event->type == TROUBLE) {
		(event->type == PEOPLE ? people : trouble)(w);
		return;
	}
	if (in_worker(event->type) && (w->workers[event->slot].incarnation != event->incarnation ||
				       w->workers[event->slot].state != ALIVE))
		return;
	handlers[event->type](w, event);
}
