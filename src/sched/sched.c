/* The door: making a scheduler, events that come in, what people see of it. */
#include <stdlib.h>
#include <string.h>

#include "sched/sched_internal.h"

void sched_config_default(struct sched_config *config, uint32_t builders, uint32_t fetchers, uint32_t pushers)
{
	*config = (struct sched_config){
		.mode = SCHED_POOL,
		.queues = SCHED_ALL_QUEUES,
		.eager = SCHED_BIT(SCHED_TRACK) | SCHED_BIT(SCHED_QUERY),
		.imperative = SCHED_BUILD,
		.on_error = SCHED_ON_ERROR_QUIT,
		.limits = { [SCHED_DOWNLOAD] = fetchers, [SCHED_PROCESS] = builders, [SCHED_UPLOAD] = pushers },
		.max_workers = MIN(MAX_WORKERS, builders + 4),
		.window = 1,
		.network_retries = 2,
		.death_retries = 1,
		.spawn_retries = 4,
	};
}

/* ---- memory: all of it, here ---- */

static uint32_t row_size(const struct row *row, uint32_t count)
{
	return row->start[count];
}

/* Who has me as a dependency: the same edges by their other end (counting sort). */
static struct row reverse(const struct row *row, uint32_t count, uint32_t **ret_memory)
{
	uint32_t *start = xcalloc((size_t)count + 1, sizeof(*start));
	uint32_t *ids = xcalloc(row_size(row, count), sizeof(*ids));

	for (uint32_t i = 0; i < row_size(row, count); i++) {
		assert(row->ids[i] < count);
		start[row->ids[i]]++;
	}
	for (uint32_t e = 1; e <= count; e++)
		start[e] += start[e - 1]; /* where its row ends */
	for (uint32_t e = count; e-- > 0;) {
		for (uint32_t i = row->start[e]; i < row->start[e + 1]; i++)
			ids[--start[row->ids[i]]] = e;
	}
	ret_memory[0] = start;
	ret_memory[1] = ids;
	return (struct row){ .start = start, .ids = ids };
}

static struct row row_or_empty(struct sched *s, const uint32_t *start, const uint32_t *ids)
{
	if (start)
		return (struct row){ .start = start, .ids = ids };
	if (!s->no_edges)
		s->no_edges = xcalloc((size_t)s->count + 1, sizeof(*s->no_edges));
	return (struct row){ .start = s->no_edges, .ids = s->no_edges };
}

static void make_elements(struct sched *s, const struct sched_graph *graph)
{
	size_t count = graph->count;

	s->count = graph->count;
	s->elements = xcalloc(count, sizeof(*s->elements));
	s->required.items = xcalloc(count, sizeof(uint32_t));
	s->ready.items = xcalloc(count, sizeof(uint32_t));
	s->build = row_or_empty(s, graph->build_start, graph->build_deps);
	s->run = row_or_empty(s, graph->run_start, graph->run_deps);
	s->rev_build = reverse(&s->build, s->count, &s->rev_memory[0]);
	s->rev_run = reverse(&s->run, s->count, &s->rev_memory[2]);
	s->announce_first = s->announce_last = SCHED_NONE;
}

static void make_jobs(struct sched *s)
{
	s->job_cap = s->config.max_workers * s->config.window;
	s->jobs = xcalloc(s->job_cap, sizeof(*s->jobs));
	for (uint32_t i = 0; i < s->job_cap; i++)
		s->jobs[i].next = i + 1;
	s->claimed_first = s->claimed_last = SCHED_NONE;
	s->workers = xcalloc(s->config.max_workers, sizeof(*s->workers));
	for (uint32_t w = 0; w < s->config.max_workers; w++)
		slots_add(&s->none, w);
}

static void take_config(struct sched *s, const struct sched_config *config)
{
	struct sched_config *own = &s->config;

	*own = *config;
	assert(own->max_workers <= MAX_WORKERS && own->window <= MAX_WINDOW);
	own->queues &= SCHED_ALL_QUEUES;
	own->max_workers = own->mode == SCHED_INLINE ? 1 : MAX(own->max_workers, 1u);
	own->window = own->mode == SCHED_POOL ? MAX(own->window, 1u) : 1;
	own->network_retries = MIN(own->network_retries, 30000u);
	own->death_retries = MIN(own->death_retries, 200u);
	for (unsigned r = 0; r < SCHED_RESOURCES; r++)
		sched_set_limit(s, r, config->limits[r]);
}

struct sched *sched_new(const struct sched_config *config, const struct sched_graph *graph)
{
	struct sched *s = xcalloc(1, sizeof(*s));

	take_config(s, config);
	make_jobs(s);
	make_elements(s, graph);
	plan_start(s, graph);
	if (s->config.mode == SCHED_INLINE)
		worker_event(s, 0, WORKER_READY, NULL);
	return s;
}

void sched_free(struct sched *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(s->rev_memory); i++)
		free(s->rev_memory[i]);
	free(s->no_edges);
	free(s->required.items);
	free(s->ready.items);
	free(s->elements);
	free(s->workers);
	free(s->jobs);
	free(s);
}

/* ---- events ---- */

/* What came of an event, once what it set off has been carried out. */
static int settled(struct sched *s, int result)
{
	plan_settle(s);
	return result;
}

int sched_worker_ready(struct sched *s, uint32_t worker)
{
	assert(worker < s->config.max_workers);
	return worker_event(s, worker, WORKER_READY, NULL);
}

int sched_worker_died(struct sched *s, uint32_t worker)
{
	assert(worker < s->config.max_workers);
	return settled(s, worker_event(s, worker, WORKER_DIED, NULL));
}

static struct job *find_job(const struct sched *s, uint64_t id)
{
	uint32_t slot = id & 0xffff;

	if (slot >= s->job_cap || s->jobs[slot].id != id || s->jobs[slot].state == JOB_FREE)
		return NULL;
	return &s->jobs[slot];
}

int sched_job_started(struct sched *s, uint64_t id)
{
	struct job *job = find_job(s, id);

	return job ? job_event(s, job, JOB_START, 0) : SCHED_STALE;
}

int sched_job_done(struct sched *s, uint64_t id, enum sched_result result, uint32_t drop)
{
	struct job *job = find_job(s, id);

	assert(result <= SCHED_CANCELLED);
	return job ? settled(s, job_event(s, job, JOB_SUCCESS + result, drop)) : SCHED_STALE;
}

/* An event about an element that is not about one of its jobs. */
static int tell_element(struct sched *s, uint32_t e, enum element_event event, const struct element_arg *arg)
{
	int result;

	assert(e < s->count);
	result = plan_event(s, e, event, arg);
	if (result == SCHED_OK)
		s->told_finished = false;
	return settled(s, result);
}

int sched_retry_due(struct sched *s, uint32_t e)
{
	return tell_element(s, e, ELEMENT_DUE, NULL);
}

int sched_change(struct sched *s, uint32_t e, uint32_t needs, bool held)
{
	struct element_arg arg = { .change = { .needs = needs, .held = held } };

	return tell_element(s, e, ELEMENT_CHANGED, &arg);
}

int sched_retry_failed(struct sched *s, uint32_t e, enum sched_queue queue)
{
	struct element_arg arg = { .queue = queue };

	assert(queue < SCHED_EXPIRE);
	return s->mode == MODE_TERMINATE ? SCHED_STALE : tell_element(s, e, ELEMENT_RETRY, &arg);
}

void sched_set_weight(struct sched *s, uint32_t e, uint32_t weight)
{
	assert(e < s->count && weight <= INT32_MAX);
	s->elements[e].weight = weight;
}

void sched_set_limit(struct sched *s, enum sched_resource r, uint32_t limit)
{
	assert(r < SCHED_RESOURCES);
	if (r == SCHED_SUBPROCESS)
		limit = limit ? MIN(limit, s->config.max_workers) : s->config.max_workers;
	if (r == SCHED_CACHE)
		limit = SCHED_UNLIMITED;
	if (limit && (!s->limits[r] || limit < s->limits[r]))
		jobs_unclaim_all(s); /* claims that are not in use yet do not outlive the limit they were made under */
	s->limits[r] = limit;
	workers_trim(s);
}

void sched_set_on_error(struct sched *s, enum sched_on_error on_error)
{
	s->config.on_error = on_error;
}

void sched_request_expiry(struct sched *s)
{
	if (s->expiry_wanted)
		return;
	for (uint32_t i = s->claimed_first; i != SCHED_NONE; i = s->jobs[i].next) {
		if (s->jobs[i].queue == SCHED_EXPIRE)
			return; /* it has the cache, but no worker yet */
	}
	s->expiry_wanted = true;
	s->expiry_returns = 0;
	s->told_finished = false;
	s->counts[SCHED_EXPIRE].total++;
}

/* ---- what people want ---- */

void sched_stop(struct sched *s, enum run_mode mode)
{
	if (mode <= s->mode)
		return;
	s->mode = mode;
	jobs_unclaim_all(s);
	if (mode == MODE_TERMINATE)
		jobs_cancel_all(s);
}

void element_failed(struct sched *s)
{
	if (s->config.on_error == SCHED_ON_ERROR_QUIT)
		sched_stop(s, MODE_QUIT);
	if (s->config.on_error == SCHED_ON_ERROR_TERMINATE)
		sched_stop(s, MODE_TERMINATE);
}

void sched_quit(struct sched *s)
{
	sched_stop(s, MODE_QUIT);
}

void sched_terminate(struct sched *s)
{
	sched_stop(s, MODE_TERMINATE);
}

void sched_continue(struct sched *s)
{
	if (s->mode != MODE_QUIT)
		return;
	s->mode = MODE_RUN;
	s->spawn_failures = 0;
	s->told_finished = false;
}

void sched_suspend(struct sched *s)
{
	s->suspended = true;
}

void sched_resume(struct sched *s)
{
	s->suspended = false;
}

/* ---- for people to see ---- */

void sched_counts(const struct sched *s, enum sched_queue queue, struct sched_counts *ret_counts)
{
	assert(queue < SCHED_QUEUES);
	*ret_counts = s->counts[queue];
	ret_counts->waiting = queue == SCHED_EXPIRE ? s->expiry_wanted : ready_count(s, queue);
}

void sched_totals(const struct sched *s, struct sched_totals *ret_totals)
{
	*ret_totals = (struct sched_totals){
		.elements = s->count,
		.session = s->session,
		.unfinished = s->session - s->done - s->failed_elements,
		.workers = s->alive,
		.jobs = s->dispatched,
	};
	for (unsigned queue = 0; queue < SCHED_QUEUES; queue++)
		ret_totals->failures += s->counts[queue].failed;
}

static bool view(const struct job *job, struct sched_job_view *ret_job)
{
	*ret_job = (struct sched_job_view){
		.job = job->id,
		.element = job->element,
		.worker = job->worker,
		.attempt = job->attempt,
		.queue = job->queue,
		.started = job->started,
		.cancelled = job->state == JOB_CANCELLED,
	};
	return true;
}

bool sched_running(const struct sched *s, uint32_t i, struct sched_job_view *ret_job)
{
	for (uint32_t slot = 0; slot < s->job_cap; slot++) {
		if (s->jobs[slot].state != JOB_FREE && i-- == 0)
			return view(&s->jobs[slot], ret_job);
	}
	return false;
}

bool sched_job(const struct sched *s, uint64_t id, struct sched_job_view *ret_job)
{
	const struct job *job = find_job(s, id);

	return job && view(job, ret_job);
}

bool sched_worker_jobs(const struct sched *s, uint32_t worker, uint32_t i, struct sched_job_view *ret_job)
{
	uint32_t slot;

	assert(worker < s->config.max_workers);
	if (i >= s->workers[worker].count)
		return false;
	for (slot = s->workers[worker].first; i; i--)
		slot = s->jobs[slot].next;
	return view(&s->jobs[slot], ret_job);
}

void sched_element_view(const struct sched *s, uint32_t e, struct sched_element_view *ret_view)
{
	const struct element *el;

	assert(e < s->count);
	el = &s->elements[e];
	*ret_view = (struct sched_element_view){
		.state = el->state,
		.queue = el->stage == END ? SCHED_QUEUES : (enum sched_queue)el->stage,
		.needs = (uint8_t)remaining(el),
		.failed = el->failed,
		.required = el->flags & REQUIRED,
		.built = el->flags & BUILT,
		.ready = el->flags & READY,
		.attempt = el->attempt,
	};
}

uint32_t sched_next_failed(const struct sched *s, uint32_t from)
{
	if (!s->failed_elements)
		return SCHED_NONE;
	for (uint32_t e = from; e < s->count; e++) {
		if (s->elements[e].failed)
			return e;
	}
	return SCHED_NONE;
}
