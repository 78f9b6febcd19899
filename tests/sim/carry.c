/* Carries out what the scheduler says, and judges it. */
#include "world.h"

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
	tell_parent(w, c->worker, (struct event){ .type = chance(w, SIM_SPAWN_FAILURES, 40) ? SPAWN_FAILED : SPAWNED });
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
		tell_parent(w, c->worker, (struct event){ .type = DIED });
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

void commands(struct world *w)
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
	if (sched_finished(w->sched) && !w->finished)
		wrong(w, "it says that it has finished, and did not say so");
	w->finished = sched_finished(w->sched); /* if not any more, it must say so again before all is over */
}
