/* People, and whatever else comes from outside. */
#include "world.h"

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
void babble(struct world *w)
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

void people(struct world *w)
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
void trouble(struct world *w)
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
