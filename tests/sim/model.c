/* The rules, computed the slow way: every set from scratch, over the whole graph, after each event. */
#include <stdlib.h>

#include "sim.h"

#define BIT(q) SCHED_BIT(q)
#define END ((unsigned)SCHED_EXPIRE)

void model_init(struct model *model, const struct sim_graph *graph, const struct sched_config *config)
{
	*model = (struct model){ .graph = graph, .config = *config };
	model->elements = xcalloc(graph->count, sizeof(*model->elements));
	for (uint32_t e = 0; e < graph->count; e++) {
		struct model_element *el = &model->elements[e];

		el->needs = graph->needs[e] & config->queues;
		el->held = graph->flags[e] & SCHED_HELD;
		el->outside = graph->flags[e] & SCHED_OUTSIDE;
		el->required = graph->flags[e] & SCHED_REQUIRED;
		el->back = SCHED_QUEUES;
	}
	for (unsigned r = 0; r < SCHED_RESOURCES; r++)
		model_limit(model, r, config->limits[r]);
	model_update(model);
}

void model_release(struct model *model)
{
	free(model->elements);
}

static uint32_t left(const struct model_element *el)
{
	return el->needs & ~(BIT(el->stage) - 1);
}

static bool open_gate(const struct model *model, const struct model_element *el, unsigned q)
{
	return (el->required || model->config.eager & BIT(q)) && (!el->held || q == SCHED_TRACK);
}

static void strike(struct model_element *el, unsigned q)
{
	el->failed &= (uint8_t)(BIT(q) - 1);
	el->stage = (uint8_t)q;
	el->back = SCHED_QUEUES;
	el->stopped = el->again = false;
	el->attempts = el->temporaries = el->deaths = el->returns = 0;
}

/* Moves it past the queues it need not stop at. */
static void walk(const struct model *model, struct model_element *el)
{
	if (el->outside || el->stopped)
		return;
	for (;;) {
		bool wanted;

		if (el->stage == END && el->back < END)
			strike(el, el->back);
		if (el->stage == END)
			return;
		wanted = model->config.queues & BIT(el->stage);
		if (wanted && (!open_gate(model, el, el->stage) || el->needs & BIT(el->stage)))
			return;
		el->stage++;
		el->again = false;
		el->attempts = el->temporaries = el->deaths = el->returns = 0;
	}
}

static void mark(struct model *model, const uint32_t *start, const uint32_t *deps, uint32_t e)
{
	for (uint32_t i = start[e]; i < start[e + 1]; i++)
		model->elements[deps[i]].required = true;
}

static bool all_ready(const struct model *model, const uint32_t *start, const uint32_t *deps, uint32_t e)
{
	for (uint32_t i = start[e]; i < start[e + 1]; i++) {
		if (!model->elements[deps[i]].ready)
			return false;
	}
	return true;
}

void model_update(struct model *model)
{
	const struct sim_graph *g = model->graph;
	const uint32_t unknown = BIT(SCHED_TRACK) | BIT(SCHED_QUERY) | BIT(SCHED_PULL);
	const uint32_t unbuilt = BIT(SCHED_QUERY) | BIT(SCHED_PULL) | BIT(SCHED_BUILD);

	for (uint32_t i = g->count; i-- > 0;) { /* users before what they use */
		uint32_t e = g->order[i];
		struct model_element *el = &model->elements[e];

		walk(model, el);
		if (el->required && !el->held && !el->outside && !el->stopped && !(left(el) & unknown) && left(el) & BIT(SCHED_BUILD))
			el->planned = true;
		if (el->required)
			mark(model, g->run_start, g->run_deps, e);
		if (el->planned)
			mark(model, g->build_start, g->build_deps, e);
	}
	for (uint32_t i = 0; i < g->count; i++) {
		uint32_t e = g->order[i];
		struct model_element *el = &model->elements[e];

		if (!el->held && !(left(el) & unbuilt) && !(el->failed & BIT(SCHED_BUILD)))
			el->built = true;
		el->ready = el->built && all_ready(model, g->run_start, g->run_deps, e);
	}
}

bool model_settled(const struct model *model, uint32_t e)
{
	const struct model_element *el = &model->elements[e];

	return el->outside || el->stopped || el->stage == END;
}

static bool in_queue(const struct model *model, const struct model_element *el)
{
	return !el->outside && !el->stopped && el->stage < END && open_gate(model, el, el->stage) &&
	       model->config.queues & el->needs & BIT(el->stage);
}

bool model_may_run(const struct model *model, uint32_t e, enum sched_queue *ret_queue)
{
	const struct sim_graph *g = model->graph;
	const struct model_element *el = &model->elements[e];

	if (!in_queue(model, el) || el->running || el->delayed)
		return false;
	*ret_queue = el->stage;
	return el->stage != SCHED_BUILD || all_ready(model, g->build_start, g->build_deps, e);
}

static bool mode_allows(const struct model *model, const struct model_element *el, enum sched_queue queue)
{
	if (model->terminated)
		return false;
	return !model->quit || queue > model->config.imperative || el->again;
}

/* ---- resources ---- */

void model_limit(struct model *model, enum sched_resource r, uint32_t limit)
{
	if (r == SCHED_SUBPROCESS && (!limit || limit > model->config.max_workers))
		limit = model->config.max_workers;
	if (r == SCHED_CACHE)
		limit = 0;
	model->limits[r] = limit;
	model->ceilings[r] = MAX(limit, model->used[r]);
}

/* The claims, spelt out once more. */
static uint32_t claims(enum sched_queue queue)
{
	switch (queue) {
	case SCHED_TRACK:
		return 1u << SCHED_DOWNLOAD;
	case SCHED_PULL:
	case SCHED_FETCH:
		return 1u << SCHED_DOWNLOAD | 1u << SCHED_CACHE;
	case SCHED_QUERY:
	case SCHED_BUILD:
		return 1u << SCHED_PROCESS | 1u << SCHED_CACHE;
	case SCHED_PUSH:
	case SCHED_SOURCE_PUSH:
		return 1u << SCHED_UPLOAD | 1u << SCHED_CACHE;
	case SCHED_EXPIRE:
		return 1u << SCHED_CACHE;
	case SCHED_QUEUES:
		break;
	}
	abort();
}

static enum sched_resource kind_of(enum sched_queue queue)
{
	uint32_t bits = claims(queue) & ~(1u << SCHED_CACHE);

	return bits ? (enum sched_resource)__builtin_ctz(bits) : SCHED_CACHE;
}

static const char *take(struct model *model, enum sched_queue queue, bool new_worker)
{
	uint32_t bits = claims(queue) | (new_worker ? 1u << SCHED_SUBPROCESS : 0);

	for (unsigned r = 0; r < SCHED_RESOURCES; r++) {
		if (!(bits >> r & 1))
			continue;
		model->used[r]++;
		if (model->limits[r] && model->used[r] > model->ceilings[r])
			return "a resource went above its limit";
	}
	return NULL;
}

static void give(struct model *model, enum sched_queue queue)
{
	uint32_t bits = claims(queue);

	for (unsigned r = 0; r < SCHED_SUBPROCESS; r++) {
		if (!(bits >> r & 1))
			continue;
		model->used[r]--;
		if (model->limits[r])
			model->ceilings[r] = MAX(model->limits[r], MIN(model->ceilings[r], model->used[r]));
	}
	for (unsigned r = SCHED_DOWNLOAD; r <= SCHED_UPLOAD; r++) {
		if (kind_of(queue) != r)
			model->passed_over[r]++;
	}
}

/* ---- what the scheduler did ---- */

const char *model_dispatch(struct model *model, const struct sched_command *c, bool worker_busy)
{
	struct model_element *el;
	enum sched_queue queue;

	if (model->suspended || model->terminated)
		return "dispatched while suspended or terminated";
	if (model->expiry_running && claims(c->queue) & 1u << SCHED_CACHE)
		return "dispatched while expiry has the cache alone";
	if (c->queue == SCHED_EXPIRE) {
		if (!model->expiry_wanted || model->quit)
			return "expiry that nobody asked for";
		if (model->used[SCHED_CACHE])
			return "expiry while others use the cache";
		model->expiry_wanted = false;
		model->expiry_running = true;
		return take(model, c->queue, !worker_busy);
	}
	el = &model->elements[c->element];
	if (!model_may_run(model, c->element, &queue))
		return "dispatched what may not run";
	if (queue != c->queue)
		return "dispatched in the wrong queue";
	if (!mode_allows(model, el, queue))
		return "started something new after quit";
	if (++el->attempts != c->attempt)
		return "the wrong number of the attempt";
	el->running = el->again = true;
	return take(model, c->queue, !worker_busy);
}

static void advance(struct model_element *el)
{
	el->stage++;
	el->again = false;
	el->attempts = el->temporaries = el->deaths = el->returns = 0;
}

static void fail(struct model *model, struct model_element *el, enum sched_queue queue)
{
	el->failed |= (uint8_t)BIT(queue);
	if (queue < SCHED_BUILD)
		el->stopped = true;
	else
		advance(el);
	if (model->config.on_error == SCHED_ON_ERROR_QUIT)
		model->quit = true;
	if (model->config.on_error == SCHED_ON_ERROR_TERMINATE)
		model->terminated = true;
}

static const char *expiry_done(struct model *model, enum sched_result result, bool cancelled, int verdict)
{
	model->expiry_running = false;
	if (result == SCHED_SUCCESS)
		model->processed[SCHED_EXPIRE]++;
	else if (result == SCHED_SKIPPED || cancelled)
		model->skipped[SCHED_EXPIRE]++;
	else
		model->failed[SCHED_EXPIRE]++;
	if (result <= SCHED_SKIPPED)
		return verdict == SCHED_OK ? NULL : "expiry went well, but the verdict is not OK";
	return verdict == (cancelled ? SCHED_DROPPED : SCHED_FAILED) ? NULL : "expiry went badly: wrong verdict";
}

const char *model_done(struct model *model, enum sched_queue queue, uint32_t e, enum sched_result result, uint32_t drop,
		       bool cancelled, int verdict)
{
	struct model_element *el = &model->elements[e];
	bool network = claims(queue) & (1u << SCHED_DOWNLOAD | 1u << SCHED_UPLOAD);
	const char *wrong = NULL;

	give(model, queue);
	if (queue == SCHED_EXPIRE)
		return expiry_done(model, result, cancelled, verdict);
	el->running = false;
	if (result <= SCHED_SKIPPED) {
		if (result == SCHED_SUCCESS)
			model->processed[queue]++;
		el->needs &= (uint8_t)~(drop & ~((BIT(queue) << 1) - 1));
		advance(el);
		wrong = verdict == SCHED_OK ? NULL : "a job went well, but the verdict is not OK";
	} else if (cancelled) {
		el->stopped = true;
		wrong = verdict == SCHED_DROPPED ? NULL : "a cancelled job: wrong verdict";
	} else if (result == SCHED_TEMPORARY && network && el->temporaries < model->config.network_retries) {
		el->temporaries++;
		el->delayed = true;
		el->announced = false;
		wrong = verdict == SCHED_RETRIED ? NULL : "a temporary failure was not retried";
	} else {
		fail(model, el, queue);
		wrong = verdict == SCHED_FAILED ? NULL : "a failed job: wrong verdict";
	}
	model_update(model);
	return wrong;
}

const char *model_died(struct model *model, enum sched_queue queue, uint32_t e, bool started, bool cancelled, int verdict,
		       bool known)
{
	struct model_element *el = &model->elements[e];
	int right;

	give(model, queue);
	if (queue == SCHED_EXPIRE) {
		model->expiry_running = false;
		if (!cancelled && !started && model->elements) {
			if (verdict == SCHED_FAILED)
				model->failed[queue]++;
			else
				model->expiry_wanted = true;
		} else if (cancelled) {
			model->skipped[queue]++;
		} else {
			model->failed[queue]++;
		}
		return NULL;
	}
	el->running = false;
	if (cancelled) {
		el->stopped = true;
		right = SCHED_DROPPED;
	} else if (!started && el->returns < 8) {
		el->returns++;
		el->attempts--;
		right = SCHED_RETURNED;
	} else if (el->deaths < model->config.death_retries) {
		el->deaths++;
		right = SCHED_RETRIED;
	} else {
		fail(model, el, queue);
		right = SCHED_FAILED;
	}
	model_update(model);
	return !known || right == verdict ? NULL : "a worker's death: wrong verdict about its job";
}

const char *model_change(struct model *model, uint32_t e, uint32_t needs, bool held, int verdict)
{
	struct model_element *el = &model->elements[e];
	bool inside = in_queue(model, el), over = el->stopped || el->stage == END;
	uint32_t ahead = model->config.queues & ~(BIT(inside ? el->stage + 1u : el->stage) - 1);

	if (over && !el->outside)
		return verdict == SCHED_STALE ? NULL : "changed an element at the end of its way";
	if (verdict != SCHED_OK)
		return "refused a change";
	if (el->built)
		ahead &= ~(BIT(SCHED_QUERY) | BIT(SCHED_PULL) | BIT(SCHED_BUILD));
	if (!el->built && (!inside || el->stage == SCHED_TRACK))
		el->held = held;
	el->needs = (uint8_t)((el->needs & ~ahead) | (needs & ahead));
	model_update(model);
	return NULL;
}

const char *model_retry(struct model *model, uint32_t e, enum sched_queue queue, int verdict)
{
	struct model_element *el = &model->elements[e];

	if (model->terminated || !(el->failed & BIT(queue)))
		return verdict == SCHED_STALE ? NULL : "retried what had not failed";
	if (verdict != SCHED_OK)
		return "refused to retry";
	if (!in_queue(model, el))
		strike(el, queue);
	else
		el->back = (uint8_t)MIN((unsigned)el->back, (unsigned)queue);
	model_update(model);
	return NULL;
}

/* ---- when it is quiet ---- */

static bool fits(const struct model *model, enum sched_queue queue, const uint32_t *used)
{
	uint32_t bits = claims(queue);

	if (bits & 1u << SCHED_CACHE && (model->expiry_running || (model->expiry_wanted && !model->quit)))
		return false;
	for (unsigned r = 0; r < SCHED_SUBPROCESS; r++) {
		if (bits >> r & 1 && model->limits[r] && used[r] >= model->limits[r])
			return false;
	}
	return true;
}

/* Are there workers enough, or will there be, for each kind of work to have one?  After too many failed spawns there are
 * those that are left, and the rule is for three or more. */
static bool enough_workers(const struct model *model, const struct sched *sched)
{
	struct sched_totals totals;

	sched_totals(sched, &totals);
	return model->limits[SCHED_SUBPROCESS] >= 3 &&
	       (totals.workers >= 3 || model->spawn_failures <= model->config.spawn_retries);
}

const char *model_quiet(struct model *model, uint32_t idle, const struct sched *sched)
{
	uint32_t used[SCHED_RESOURCES], able = 0, kinds = 0, busy = 0;
	struct sched_job_view job;

	for (unsigned r = 0; r < SCHED_RESOURCES; r++)
		used[r] = model->used[r];
	for (uint32_t i = 0; sched_running(sched, i, &job); i++) {
		for (unsigned r = 0; job.worker == SCHED_NONE && r < SCHED_SUBPROCESS; r++)
			used[r] += claims(job.queue) >> r & 1;
		busy |= 1u << kind_of(job.queue);
	}
	if (model->suspended || model->terminated)
		return NULL;
	for (uint32_t e = 0; e < model->graph->count; e++) {
		enum sched_queue queue;

		if (!model_may_run(model, e, &queue) || !mode_allows(model, &model->elements[e], queue) ||
		    !fits(model, queue, used))
			continue;
		able++;
		kinds |= 1u << kind_of(queue);
	}
	/* Jobs that are sure of a worker that is being spawned look runnable to the model: they take idle ones first. */
	if (idle && able && used[SCHED_SUBPROCESS] < model->limits[SCHED_SUBPROCESS])
		return "a worker is idle, and something could run";
	for (unsigned r = SCHED_DOWNLOAD; r <= SCHED_UPLOAD; r++) {
		if (!(kinds >> r & 1) || busy >> r & 1 || !enough_workers(model, sched))
			model->passed_over[r] = 0;
		if (model->passed_over[r] > 3 * model->config.max_workers + 8 && model->config.window <= 1 && !model->quit)
			return "one kind of work starves";
	}
	return NULL;
}

const char *model_finished(struct model *model, enum sched_outcome outcome, const struct sched *sched)
{
	uint32_t failed[SCHED_QUEUES] = { 0 }, failures = 0, left_over = 0;
	struct sched_totals totals;

	for (uint32_t e = 0; e < model->graph->count; e++) {
		const struct model_element *el = &model->elements[e];
		enum sched_queue queue;

		if (el->running)
			return "finished while a job runs";
		if (el->delayed && !model->terminated && outcome != SCHED_END_NO_WORKERS)
			return "finished while an element waits for its next attempt";
		for (unsigned q = 0; q < END; q++)
			failed[q] += el->failed >> q & 1;
		failures += !!el->failed;
		left_over += el->delayed;
		if (model_may_run(model, e, &queue) && mode_allows(model, el, queue))
			left_over++;
	}
	left_over += model->expiry_wanted && !model->quit && !model->terminated;
	if (left_over && outcome != SCHED_END_NO_WORKERS && !model->terminated)
		return "finished, but something could run";
	if (!left_over && outcome == SCHED_END_NO_WORKERS)
		return "no workers, but nothing to do for them either";
	if (outcome != SCHED_END_NO_WORKERS) {
		enum sched_outcome right = failures            ? SCHED_END_FAILED
					   : model->terminated ? SCHED_END_TERMINATED
							       : SCHED_END_SUCCESS;

		if (outcome != right)
			return "the wrong outcome";
	}
	for (unsigned q = 0; q < SCHED_QUEUES; q++) {
		struct sched_counts counts;

		sched_counts(sched, q, &counts);
		if (counts.processed != model->processed[q])
			return "processed: miscounted";
		if (counts.failed != (q == SCHED_EXPIRE ? model->failed[q] : failed[q]))
			return "failed: miscounted";
		if (counts.running)
			return "finished, but something is counted as running";
	}
	sched_totals(sched, &totals);
	return totals.elements == model->graph->count ? NULL : "elements: miscounted";
}
