/* A virtual world around the scheduler: time, workers that take a while and die, messages under way, people. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

const char *const sim_kind_names[SIM_KINDS] = { "failures", "temporary", "deaths",     "spawn-failures", "late", "user",
						"suspend",  "limits",    "late-keys",  "changes",        "expiry", "retry",
						"excluded", "window",    "weights",    "roll" };

enum event_type {
	SPAWNED,      /* message: a worker is ready */
	SPAWN_FAILED, /* message */
	BEGIN,        /* in the worker */
	FINISH,       /* in the worker */
	CANCEL,       /* in the worker */
	KILL,         /* in the worker */
	STARTED,      /* message */
	RESULT,       /* message */
	DIED,         /* message */
	DUE,          /* the driver's timer */
	PEOPLE,       /* something from outside */
	TROUBLE,      /* likewise, if the schedule has not had its share */
};

struct event {
	uint64_t time, seq, job;
	enum event_type type;
	uint32_t slot, incarnation, version;
	enum sched_result result;
	uint32_t drop, element;
	enum sched_queue queue;
};

struct wjob {
	uint64_t id;
	uint32_t element, version, drop;
	enum sched_queue queue;
	enum sched_result result;
	bool begun, told_started, ended;
};

struct wworker {
	enum { GONE, COMING, ALIVE, DEAD, LEAVING } state; /* DEAD: the parent does not know yet */
	uint32_t incarnation, count;
	bool retired;
	uint64_t last_arrival;
	struct wjob jobs[16]; /* the first ones that have not ended for the parent */
};

struct world {
	const struct sim_params *params;
	struct sim_stats *stats;
	uint64_t random, now, seq;
	struct sim_graph graph;
	struct sched_config config;
	struct sched *sched;
	struct model model;
	struct twin *twin;
	struct wworker *workers;
	struct event *events;
	size_t event_count, event_cap;
	uint32_t people_left, fail_percent, temporary_percent, death_percent, faults;
	uint64_t steps, jobs;
	bool finished;
};

/* ---- saying what happens ---- */

static void trace(const struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void trace(const struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->params->trace)
		return;
	printf("%6llu  ", (unsigned long long)w->now);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static NORETURN void wrong(const struct world *w, const char *what)
{
	printf("sim: seed %llu at %llu: %s\n", (unsigned long long)w->params->seed, (unsigned long long)w->now, what);
	fflush(stdout);
	exit(1);
}

static void right(const struct world *w, const char *what)
{
	if (what)
		wrong(w, what);
}

static uint32_t below(struct world *w, uint32_t n)
{
	return random_below(&w->random, n);
}

/* Draws in any case, so that leaving one kind of trouble out changes the rest as little as can be. */
static bool chance(struct world *w, uint32_t kind, uint32_t per_mille)
{
	bool hit = below(w, 1000) < per_mille;

	return hit && !(w->params->without & kind);
}

static void fault(struct world *w, uint32_t kind)
{
	w->faults++;
	w->stats->faults++;
	w->stats->faults_by_kind[__builtin_ctz(kind)]++;
}

/* Trouble that is a property of the world rather than a blow: counted by kind, but not as one of a schedule's faults. */
static void notice(struct world *w, uint32_t kind)
{
	w->stats->faults_by_kind[__builtin_ctz(kind)]++;
}

/* ---- events in time ---- */

static bool earlier(const struct event *a, const struct event *b)
{
	return a->time != b->time ? a->time < b->time : a->seq < b->seq;
}

static void post(struct world *w, uint64_t delay, struct event event)
{
	size_t i = w->event_count++;

	w->events = util_grow(w->events, &w->event_cap, w->event_count, sizeof(*w->events));
	event.time = w->now + delay;
	event.seq = w->seq++;
	while (i > 0 && earlier(&event, &w->events[(i - 1) / 2])) {
		w->events[i] = w->events[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->events[i] = event;
}

static struct event next_event(struct world *w)
{
	struct event top = w->events[0], last = w->events[--w->event_count];
	size_t i = 0;

	while (i * 2 + 1 < w->event_count) {
		size_t child = i * 2 + 1;

		if (child + 1 < w->event_count && earlier(&w->events[child + 1], &w->events[child]))
			child++;
		if (!earlier(&w->events[child], &last))
			break;
		w->events[i] = w->events[child];
		i = child;
	}
	w->events[i] = last;
	return top;
}

/* A message of a worker to the parent: they arrive in the order in which they were sent. */
static void send(struct world *w, uint32_t slot, struct event event)
{
	struct wworker *worker = &w->workers[slot];
	uint64_t soonest = w->now + below(w, 3), at = MAX(soonest, worker->last_arrival);

	worker->last_arrival = at;
	event.slot = slot;
	event.incarnation = worker->incarnation;
	post(w, at - w->now, event);
}

/* ---- workers ---- */

static void begin_next(struct world *w, uint32_t slot, uint64_t delay)
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

static struct wjob *find_job(struct world *w, uint32_t slot, uint64_t id)
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

static void choose_result(struct world *w, struct wjob *job)
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
		send(w, event->slot, (struct event){ .type = STARTED, .job = job->id });
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
	send(w, event->slot, result);
	if (chance(w, SIM_LATE, 10)) {
		fault(w, SIM_LATE);
		result.type = STARTED; /* nonsense after the end */
		send(w, event->slot, result);
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
	send(w, event->slot, (struct event){ .type = DIED });
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

/* ---- people ---- */

static void change(struct world *w, uint32_t e, uint32_t needs, bool held)
{
	int verdict = sched_change(w->sched, e, needs, held);

	trace(w, "change %u: needs %x, held %d -> %d", e, needs, held, verdict);
	if (w->twin)
		twin_parent_change(w->twin, e, &w->random);
	right(w, model_change(&w->model, e, needs, held, verdict));
}

static void people_stop(struct world *w)
{
	uint32_t what = below(w, 10);

	fault(w, SIM_USER);
	if (what < 4) {
		trace(w, "quit");
		sched_quit(w->sched);
		w->model.quit = true;
	} else if (what < 7) {
		trace(w, "continue");
		sched_continue(w->sched);
		w->model.quit = false;
	} else if (what < 9) {
		enum sched_on_error on_error = below(w, 3);

		sched_set_on_error(w->sched, on_error);
		w->model.config.on_error = on_error;
	} else {
		trace(w, "terminate");
		sched_terminate(w->sched);
		w->model.terminated = true;
	}
}

static void people_limits(struct world *w)
{
	enum sched_resource r = below(w, SCHED_RESOURCES);
	uint32_t limit = below(w, 6);

	fault(w, SIM_LIMITS);
	trace(w, "limit of %s: %u", sched_resource_name(r), limit);
	sched_set_limit(w->sched, r, limit);
	model_limit(&w->model, r, limit);
}

static void people_retry(struct world *w, uint32_t aimed)
{
	uint32_t e = below(w, 3) ? sched_next_failed(w->sched, below(w, w->graph.count)) : aimed;
	enum sched_queue queue = below(w, SCHED_EXPIRE);
	int verdict;

	if (e == SCHED_NONE)
		e = below(w, w->graph.count);
	else if (below(w, 8))
		queue = (unsigned)__builtin_ctz(w->model.elements[e].failed | 1u << SCHED_PUSH);
	if (w->model.elements[e].failed & SCHED_BIT(queue))
		fault(w, SIM_RETRY);
	verdict = sched_retry_failed(w->sched, e, queue);
	trace(w, "retry %u in %s -> %d", e, sched_queue_name(queue), verdict);
	right(w, model_retry(&w->model, e, queue, verdict));
}

/* Messages that make no sense; nothing may come of them. */
static void babble(struct world *w)
{
	uint32_t slot = below(w, w->config.max_workers);
	struct sched_job_view job;

	fault(w, SIM_LATE);
	for (uint32_t i = 0; sched_running(w->sched, i, &job); i++) {
		bool early = job.worker == SCHED_NONE;

		if (early && sched_job_done(w->sched, job.job, below(w, SCHED_CANCELLED + 1), 0) != SCHED_STALE)
			wrong(w, "a job ended before it was dispatched");
		if ((early || (job.started && !job.cancelled)) && sched_job_started(w->sched, job.job) != SCHED_STALE)
			wrong(w, "a job started twice, or before it was dispatched");
	}
	if (sched_job_done(w->sched, random_next(&w->random), SCHED_SUCCESS, 0) != SCHED_STALE)
		wrong(w, "a job that never was has ended");
	if (w->workers[slot].state != COMING && w->workers[slot].state != GONE &&
	    sched_worker_ready(w->sched, slot) != SCHED_STALE)
		wrong(w, "a worker became ready twice");
}

/* An element in some state drawn first: most elements are where nothing happens, so that rare states would rarely be met
 * by chance alone. */
static uint32_t aim(struct world *w)
{
	uint32_t state = below(w, SCHED_STATES + 1), from = below(w, w->graph.count);
	struct sched_element_view view;

	if (state == SCHED_STATES)
		state = SCHED_DELAYED; /* the rarest of them */
	for (uint32_t i = 0; i < w->graph.count; i++) {
		sched_element_view(w->sched, (from + i) % w->graph.count, &view);
		if (view.state == state)
			return (from + i) % w->graph.count;
	}
	return from;
}

static void people(struct world *w)
{
	uint32_t what = below(w, 16), e = below(w, 4) ? aim(w) : below(w, w->graph.count);

	if (what == 0 && chance(w, SIM_USER, 500))
		people_stop(w);
	if ((what == 1 || w->model.suspended) && chance(w, SIM_SUSPEND, 700)) {
		fault(w, SIM_SUSPEND);
		w->model.suspended = !w->model.suspended;
		trace(w, w->model.suspended ? "suspend" : "resume");
		(w->model.suspended ? sched_suspend : sched_resume)(w->sched);
	}
	if (what == 2 && chance(w, SIM_LIMITS, 900))
		people_limits(w);
	if (what == 3 && chance(w, SIM_EXPIRY, 700)) {
		fault(w, SIM_EXPIRY);
		trace(w, "expiry wanted");
		sched_request_expiry(w->sched);
		w->model.expiry_wanted = true;
	}
	if ((what == 4 || what == 5) && !(w->params->without & SIM_RETRY))
		people_retry(w, e);
	if (what == 6 && chance(w, SIM_CHANGES, 700)) {
		fault(w, SIM_CHANGES);
		change(w, e, (uint32_t)random_next(&w->random) & SCHED_ALL_QUEUES, below(w, 4) == 0);
	}
	if (what == 7 && !(w->params->without & SIM_WEIGHTS)) {
		notice(w, SIM_WEIGHTS);
		sched_set_weight(w->sched, e, below(w, 1000));
	}
	if (what == 8 && w->twin && w->config.window <= 1 && chance(w, SIM_ROLL, 500)) {
		fault(w, SIM_ROLL);
		twin_roll(w->twin);
	}
	if (what == 9 && sched_retry_due(w->sched, e) == SCHED_OK) { /* a timer that goes off early */
		if (!w->model.elements[e].delayed || !w->model.elements[e].announced)
			wrong(w, "a retry that nobody was told of");
		w->model.elements[e].delayed = false;
	}
	if (what == 10 && chance(w, SIM_LATE, 900))
		babble(w);
	if (what >= 11 && !(w->params->without & SIM_LATE_KEYS)) { /* keys become known */
		for (uint32_t i = 0; i < w->graph.count; i++) {
			if (!w->model.elements[i].held || !below(w, 2))
				continue;
			notice(w, SIM_LATE_KEYS);
			change(w, i, (uint32_t)random_next(&w->random) & SCHED_ALL_QUEUES, false);
		}
	}
}

/* Two faults for every schedule, whatever its dice say: small worlds end too soon to have any by chance. */
static void trouble(struct world *w)
{
	uint32_t without = w->params->without;

	if (w->faults >= 2)
		return;
	if (below(w, 3) == 0 && !(without & SIM_LIMITS)) {
		people_limits(w);
	} else if (below(w, 2) && !(without & SIM_CHANGES)) {
		fault(w, SIM_CHANGES);
		change(w, aim(w), (uint32_t)random_next(&w->random) & SCHED_ALL_QUEUES, below(w, 4) == 0);
	} else if (!(without & SIM_LATE)) {
		babble(w);
	}
}

/* ---- commands ---- */

static uint32_t alive(const struct world *w)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < w->config.max_workers; i++)
		count += w->workers[i].state != GONE;
	return count;
}

static void do_spawn(struct world *w, const struct sched_command *c)
{
	struct wworker *worker = &w->workers[c->worker];

	if (worker->state != GONE)
		wrong(w, "spawned into a slot that is taken");
	if (w->model.suspended)
		wrong(w, "spawned while suspended");
	if (alive(w) >= w->model.limits[SCHED_SUBPROCESS])
		wrong(w, "spawned one worker too many");
	*worker = (struct wworker){ .state = COMING, .incarnation = c->incarnation, .last_arrival = w->now };
	if (w->twin)
		twin_spawn(w->twin, c->worker);
	send(w, c->worker, (struct event){ .type = chance(w, SIM_SPAWN_FAILURES, 40) ? SPAWN_FAILED : SPAWNED });
}

static void do_dispatch(struct world *w, const struct sched_command *c)
{
	struct wworker *worker = &w->workers[c->worker];
	bool busy = worker->count > 0;
	struct wjob *job;

	if ((worker->state != ALIVE && worker->state != DEAD) || worker->incarnation != c->incarnation)
		wrong(w, "dispatched to a worker that is not there");
	if (worker->count >= MAX(w->config.window, 1u))
		wrong(w, "dispatched to a worker that has no room");
	if (busy && (c->queue == SCHED_BUILD || worker->jobs[0].queue == SCHED_BUILD || c->queue == SCHED_EXPIRE))
		wrong(w, "something was queued behind a build, or a build behind something");
	right(w, model_dispatch(&w->model, c, busy));
	job = &worker->jobs[worker->count++];
	*job = (struct wjob){ .id = c->job, .element = c->element, .queue = c->queue };
	choose_result(w, job);
	w->stats->jobs++;
	w->jobs++;
	if (w->twin)
		twin_dispatch(w->twin, c->worker, c->job);
	if (worker->state == ALIVE)
		begin_next(w, c->worker, below(w, 3));
}

static void do_retire(struct world *w, const struct sched_command *c)
{
	struct wworker *worker = &w->workers[c->worker];

	if (worker->state == GONE || worker->state == COMING || worker->count)
		wrong(w, "retired a worker that has a job or is not there");
	worker->retired = true;
	if (worker->state == ALIVE) {
		worker->state = LEAVING;
		send(w, c->worker, (struct event){ .type = DIED });
	}
}

static void do_finished(struct world *w, const struct sched_command *c)
{
	if (w->model.suspended && !w->model.terminated)
		wrong(w, "finished while suspended");
	right(w, model_finished(&w->model, c->outcome, w->sched));
	w->stats->outcomes[c->outcome]++;
	w->finished = true;
}

static const char *const command_names[] = { "SPAWN", "DISPATCH", "CANCEL", "RETIRE", "RETRY IN", "FINISHED" };

static void carry_out(struct world *w, const struct sched_command *c)
{
	trace(w, "%s worker %u/%u job %llx %s of %d attempt %u outcome %d", command_names[c->type], c->worker,
	      c->incarnation, (unsigned long long)c->job, sched_queue_name(c->queue), (int)c->element, c->attempt,
	      (int)c->outcome);
	w->finished = w->finished && c->type == SCHED_RETIRE;
	switch (c->type) {
	case SCHED_SPAWN:
		do_spawn(w, c);
		return;
	case SCHED_DISPATCH:
		do_dispatch(w, c);
		return;
	case SCHED_CANCEL:
		if (!w->model.terminated || !find_job(w, c->worker, c->job))
			wrong(w, "cancelled without need");
		post(w, below(w, 3), (struct event){ .type = CANCEL, .slot = c->worker, .job = c->job,
						     .incarnation = c->incarnation });
		return;
	case SCHED_RETIRE:
		do_retire(w, c);
		return;
	case SCHED_RETRY_IN:
		if (!w->model.elements[c->element].delayed ||
		    c->attempt != w->model.elements[c->element].attempts + 1)
			wrong(w, "announced a retry that is none");
		w->model.elements[c->element].announced = true;
		post(w, below(w, 200), (struct event){ .type = DUE, .element = c->element });
		return;
	case SCHED_FINISHED:
		do_finished(w, c);
		return;
	}
}

static bool waits_for_spawn(const struct world *w)
{
	for (uint32_t i = 0; i < w->config.max_workers; i++) {
		if (w->workers[i].state == COMING)
			return true;
	}
	return false;
}

static void commands(struct world *w)
{
	struct sched_command command;
	uint32_t idle = 0;

	while (sched_next(w->sched, &command)) {
		w->stats->commands++;
		carry_out(w, &command);
		right(w, sched_check(w->sched));
	}
	if (waits_for_spawn(w) && chance(w, SIM_LATE, 20)) { /* it lasts a moment only */
		babble(w);
		right(w, sched_check(w->sched));
	}
	for (uint32_t i = 0; i < w->config.max_workers; i++)
		idle += (w->workers[i].state == ALIVE || w->workers[i].state == DEAD) && !w->workers[i].count &&
			!w->workers[i].retired;
	right(w, model_quiet(&w->model, idle, w->sched));
	right(w, model_same(&w->model, w->sched, w->jobs));
	if (sched_finished(w->sched) != w->finished && !(w->model.suspended && w->finished))
		wrong(w, "finished, or not: it says otherwise than it said");
}

static bool in_worker(enum event_type type)
{
	return type == BEGIN || type == FINISH || type == CANCEL || type == KILL;
}

static void happen(struct world *w, const struct event *event)
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

/* ---- one schedule ---- */

static void make_config(struct world *w)
{
	struct sched_config *config = &w->config;

	sched_config_default(config, 1 + below(w, 4), below(w, 5), below(w, 5));
	config->mode = below(w, 8) == 0 ? SCHED_INLINE : below(w, 4) == 0 ? SCHED_FORK : SCHED_POOL;
	config->queues = below(w, 3) ? (uint8_t)(random_next(&w->random) | SCHED_BIT(SCHED_BUILD)) : SCHED_ALL_QUEUES;
	config->eager = below(w, 2) ? config->eager : (uint8_t)random_next(&w->random) | SCHED_BIT(SCHED_FETCH);
	config->imperative = below(w, 4) ? SCHED_BUILD : below(w, SCHED_QUEUES + 1);
	config->on_error = below(w, 4) ? SCHED_ON_ERROR_CONTINUE : below(w, 3);
	config->max_workers = 1 + below(w, 9);
	config->limits[SCHED_SUBPROCESS] = below(w, 9);
	if (chance(w, SIM_WINDOW, 250))
		config->window = 2 + below(w, 4);
	config->network_retries = below(w, 4);
	config->death_retries = below(w, 3);
	config->spawn_retries = 1 + below(w, 5);
	if (config->mode == SCHED_INLINE)
		config->max_workers = config->window = 1;
	if (config->mode == SCHED_FORK)
		config->window = 1;
	w->fail_percent = below(w, 3) ? below(w, 12) : 0;
	w->temporary_percent = below(w, 8) ? w->fail_percent : 20 + below(w, 40);
	w->death_percent = below(w, 3) ? below(w, 40) : 0;
	if (config->mode == SCHED_INLINE)
		w->death_percent = 0;
}

static uint32_t random_size(struct world *w)
{
	uint32_t n = below(w, 10);

	if (n < 4)
		return 1 + below(w, 50);
	if (n < 9)
		return 50 + below(w, 30);
	return 80 + below(w, 150);
}

static void make_world(struct world *w)
{
	const struct sim_graph *real;
	uint32_t count;

	make_config(w);
	count = random_size(w);
	if (w->params->elements)
		count = w->params->elements;
	real = w->params->seed % 5 == 0 ? w->params->real : NULL;
	if (real)
		count = MIN(count, real->count);
	w->stats->real += real != NULL;
	sim_graph_make(&w->graph, &w->random, count, w->config.queues, w->params->without, real);
	w->sched = sched_new(&w->config, &(struct sched_graph){ count, w->graph.build_start, w->graph.build_deps,
								w->graph.run_start, w->graph.run_deps, w->graph.needs,
								w->graph.flags, w->graph.weights });
	w->config.queues &= SCHED_ALL_QUEUES;
	model_init(&w->model, &w->graph, &w->config);
	if (w->config.window > 1)
		notice(w, SIM_WINDOW);
	for (uint32_t e = 0; e < count; e++) {
		if (w->graph.flags[e] & SCHED_OUTSIDE)
			notice(w, SIM_EXCLUDED);
	}
	w->workers = xcalloc(w->config.max_workers, sizeof(*w->workers));
	if (w->params->state && w->params->seed % w->params->state == 0)
		w->twin = twin_new(count, w->config.max_workers, w->config.window <= 1);
	if (w->config.mode == SCHED_INLINE) {
		w->workers[0].state = ALIVE;
		w->workers[0].incarnation = 1;
		if (w->twin)
			twin_spawn(w->twin, 0);
	}
	w->people_left = below(w, 3) ? below(w, 30) : 0;
	for (uint32_t i = 0; i < w->people_left; i++)
		post(w, below(w, 40 + count * 20), (struct event){ .type = PEOPLE });
	for (uint32_t i = 0; i < 2; i++)
		post(w, 1 + below(w, 20 + count * 10), (struct event){ .type = TROUBLE });
	trace(w, "%u elements, mode %d, queues %x, eager %x, imperative %d, on-error %d, workers %u, limits %u/%u/%u/%u, "
	      "window %u", count, (int)w->config.mode, w->config.queues, w->config.eager, (int)w->config.imperative,
	      (int)w->config.on_error, w->config.max_workers, w->config.limits[1], w->config.limits[2],
	      w->config.limits[3], w->config.limits[4], w->config.window);
}

static void free_world(struct world *w)
{
	struct sim_stats *stats = w->stats;

	stats->schedules++;
	stats->over_two_faults += w->faults >= 2;
	stats->elements_at_least_50 += w->graph.count >= 50;
	stats->sizes[MIN(w->graph.count, SIM_HISTOGRAM - 1u)]++;
	stats->fault_counts[MIN(w->faults, SIM_HISTOGRAM - 1u)]++;
	if (w->twin)
		stats->records += twin_records(w->twin);
	for (uint32_t i = 0; i < sched_cell_count(); i++) {
		const char *table, *state, *event;
		bool possible;
		uint64_t hits;

		sched_cell(w->sched, i, &table, &state, &event, &possible, &hits);
		stats->cells[i] += hits;
	}
	twin_free(w->twin);
	model_release(&w->model);
	sched_free(w->sched);
	sim_graph_release(&w->graph);
	free(w->workers);
	free(w->events);
}

static void one_event(struct world *w)
{
	struct event event = next_event(w);

	w->now = event.time;
	w->stats->events++;
	if (++w->steps > 200000)
		wrong(w, "it goes on for ever");
	happen(w, &event);
	right(w, sched_check(w->sched));
}

void sim_run(const struct sim_params *params, struct sim_stats *stats)
{
	struct world w = { .params = params, .stats = stats, .random = params->seed * 0x9e3779b97f4a7c15u + 1 };

	make_world(&w);
	right(&w, sched_check(w.sched));
	commands(&w);
	while (w.event_count || w.model.suspended) {
		if (w.event_count)
			one_event(&w);
		if (!w.event_count && w.model.suspended) {
			w.model.suspended = false;
			sched_resume(w.sched);
		}
		if (!w.event_count || w.events[0].time > w.now + 1 || below(&w, 3)) /* else there is more to report first */
			commands(&w);
	}
	if (!w.finished)
		wrong(&w, "nothing happens any more, and it has not finished");
	free_world(&w);
}
