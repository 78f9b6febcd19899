/* sched_check: recounts everything from the rows and compares; and the names of things, for traces and coverage. */
#include <stdlib.h>

#include "sched/sched_internal.h"

static const char *const queue_names[SCHED_QUEUES] = { "track", "query", "pull",        "fetch",
						       "build", "push",  "source-push", "expire" };
static const char *const resource_names[SCHED_RESOURCES] = { "cache", "download", "process", "upload", "subprocess" };

const char *sched_queue_name(enum sched_queue queue)
{
	return queue < SCHED_QUEUES ? queue_names[queue] : "end";
}

const char *sched_resource_name(enum sched_resource resource)
{
	return resource < SCHED_RESOURCES ? resource_names[resource] : "none";
}

/* ---- elements ---- */

static uint32_t not_ready(const struct sched *s, const struct row *row, uint32_t e)
{
	uint32_t count = 0;

	for (uint32_t i = row->start[e]; i < row->start[e + 1]; i++)
		count += !(s->elements[row->ids[i]].flags & READY);
	return count;
}

static bool all_required(const struct sched *s, const struct row *row, uint32_t e)
{
	for (uint32_t i = row->start[e]; i < row->start[e + 1]; i++) {
		if (!(s->elements[row->ids[i]].flags & REQUIRED))
			return false;
	}
	return true;
}

static const char *check_counters(const struct sched *s, uint32_t e)
{
	const struct element *el = &s->elements[e];

	if (el->build_wait != not_ready(s, &s->build, e))
		return "build dependencies that are not ready: miscounted";
	if (el->run_wait != not_ready(s, &s->run, e))
		return "runtime dependencies that are not ready: miscounted";
	if (!!(el->flags & READY) != (el->flags & BUILT && !el->run_wait))
		return "ready is not: built, and runtime dependencies ready";
	if (el->flags & REQUIRED && !all_required(s, &s->run, e))
		return "a required element's runtime dependency is not required";
	if (el->flags & PLANNED && !all_required(s, &s->build, e))
		return "a planned element's build dependency is not required";
	return NULL;
}

static const char *check_built(const struct element *el)
{
	bool in_way = remaining(el) & UNBUILT || el->flags & HELD || el->failed & SCHED_BIT(SCHED_BUILD);

	if (el->flags & BUILT && (remaining(el) & UNBUILT || el->failed & SCHED_BIT(SCHED_BUILD)))
		return "built, but a query, pull or build is still to come or failed";
	if (!(el->flags & BUILT) && !in_way)
		return "not built, but nothing is in the way";
	if (el->state != SCHED_STOPPED && el->flags & REQUIRED && !(el->flags & (HELD | PLANNED | OUTSIDE)) && !(remaining(el) & UNKNOWN) &&
	    remaining(el) & SCHED_BIT(SCHED_BUILD))
		return "must be built, but not planned";
	return NULL;
}

static const char *check_state(const struct sched *s, uint32_t e)
{
	const struct element *el = &s->elements[e];
	bool in_queue = el->state >= SCHED_BLOCKED && el->state <= SCHED_DELAYED;

	if (in_queue && (el->stage >= END || !(el->needs & SCHED_BIT(el->stage))))
		return "in a queue it does not need";
	if (in_queue && !(el->flags & REQUIRED) && !(s->config.eager & SCHED_BIT(el->stage)))
		return "in a queue, but not required";
	if (in_queue && el->flags & HELD && el->stage != SCHED_TRACK)
		return "in a queue, but its keys are not known";
	if (el->state == SCHED_BLOCKED && (el->stage != SCHED_BUILD || !el->build_wait))
		return "blocked by nothing";
	if (in_queue && el->state != SCHED_BLOCKED && el->stage == SCHED_BUILD && el->build_wait)
		return "to be built before its dependencies are ready";
	if (el->state == SCHED_ACTIVE) {
		const struct job *job = &s->jobs[el->link];

		if (job->state == JOB_FREE || job->element != e || job->queue != el->stage)
			return "active without a job";
	}
	if (el->state == SCHED_DONE && (el->stage != END || el->failed))
		return "done before the end, or failed";
	return NULL;
}

struct tally {
	uint32_t session, done, delayed, failed_elements, active;
	uint32_t at[SCHED_QUEUES], failed[SCHED_QUEUES], ready[SCHED_QUEUES];
};

static void tally_element(const struct element *el, struct tally *tally)
{
	tally->session += !!(el->flags & SEEN);
	tally->done += el->state == SCHED_DONE;
	tally->delayed += el->state == SCHED_DELAYED;
	tally->active += el->state == SCHED_ACTIVE;
	tally->failed_elements += !!el->failed;
	if (el->state >= SCHED_BLOCKED && el->state <= SCHED_DELAYED)
		tally->at[el->stage]++;
	if (el->state == SCHED_READY)
		tally->ready[el->stage]++;
	for (unsigned queue = 0; queue < END; queue++)
		tally->failed[queue] += el->failed >> queue & 1;
}

/* Adds up in `total` who stands in the line. */
static const char *check_line(const struct sched *s, enum sched_queue queue, const struct ready *ready, uint32_t line,
			      uint32_t *total)
{
	uint32_t e = ready->lines[line].first, last;

	do {
		const struct element *el = &s->elements[e];

		if (el->state != SCHED_READY || el->stage != queue || el->line != line)
			return "in a line of ready elements, but not ready there";
		if (!(el->flags & AGAIN) != (ready == &s->fresh[queue]))
			return "handed out before, but not in line with such, or the other way round";
		last = e;
		e = el->link;
		++*total;
	} while (e != SCHED_NONE && *total <= ready->count);
	return last == ready->lines[line].last ? NULL : "a line does not end where it should";
}

static const char *check_ready(const struct sched *s, enum sched_queue queue, const struct ready *ready)
{
	const char *wrong = NULL;
	uint32_t total = 0;

	for (uint32_t line = 0; line < READY_LINES && !wrong; line++) {
		if ((ready->any >> line / 64 & 1) != (ready->bits[line / 64] != 0))
			wrong = "bits of ready lines disagree";
		else if (!ready->bits[line / 64])
			line |= 63; /* none of these */
		else if (ready->bits[line / 64] >> line % 64 & 1)
			wrong = check_line(s, queue, ready, line, &total);
	}
	if (!wrong && total != ready->count)
		wrong = "ready elements: miscounted";
	return wrong;
}

static const char *check_elements(const struct sched *s)
{
	struct tally tally = { 0 };
	const char *wrong = NULL;

	for (uint32_t e = 0; e < s->count && !wrong; e++) {
		tally_element(&s->elements[e], &tally);
		wrong = check_counters(s, e);
		wrong = wrong ? wrong : check_built(&s->elements[e]);
		wrong = wrong ? wrong : check_state(s, e);
	}
	for (unsigned queue = 0; queue < END && !wrong; queue++) {
		const struct sched_counts *counts = &s->counts[queue];

		wrong = check_ready(s, queue, &s->fresh[queue]);
		wrong = wrong ? wrong : check_ready(s, queue, &s->again[queue]);
		if (counts->total != counts->processed + counts->skipped + counts->failed + tally.at[queue])
			wrong = "a queue's total is not the sum of its parts";
		if (counts->failed != tally.failed[queue])
			wrong = "failed elements of a queue: miscounted";
		if (ready_count(s, queue) != tally.ready[queue])
			wrong = "ready elements and their lines differ";
	}
	if (wrong)
		return wrong;
	if (tally.session != s->session || tally.done != s->done || tally.delayed != s->delayed ||
	    tally.failed_elements != s->failed_elements)
		return "session, done, delayed or failed elements: miscounted";
	return tally.active + s->counts[SCHED_EXPIRE].running == s->job_count ? NULL : "jobs and active elements differ";
}

/* ---- jobs, workers, resources ---- */

static const char *check_job(const struct sched *s, const struct job *job)
{
	const struct worker *worker;

	if (job->state == JOB_CLAIMED)
		return job->worker == SCHED_NONE ? NULL : "a claimed job has a worker already";
	if (job->worker >= s->config.max_workers)
		return "a job that was sent has no worker";
	worker = &s->workers[job->worker];
	if (worker->state != WORKER_BUSY)
		return "a job's worker is not busy";
	if (worker->count > 1 && !may_share_worker(job->queue))
		return "a build or an expiry shares a worker";
	return NULL;
}

static const char *check_jobs(const struct sched *s)
{
	uint32_t used[SCHED_RESOURCES] = { 0 }, count = 0, running[SCHED_QUEUES] = { 0 }, claimed = 0;

	for (uint32_t i = 0; i < s->job_cap; i++) {
		const struct job *job = &s->jobs[i];
		const char *wrong;
		uint32_t bits;

		if (job->state == JOB_FREE)
			continue;
		wrong = check_job(s, job);
		if (wrong)
			return wrong;
		count++;
		claimed += job->state == JOB_CLAIMED;
		running[job->queue]++;
		bits = sched_claims[job->queue].shared | sched_claims[job->queue].exclusive;
		for (unsigned r = 0; r < SCHED_SUBPROCESS; r++)
			used[r] += bits >> r & 1;
	}
	used[SCHED_SUBPROCESS] = s->busy + claimed;
	for (unsigned r = 0; r < SCHED_RESOURCES; r++) {
		if (used[r] != s->used[r])
			return "a resource in use: miscounted";
	}
	for (unsigned queue = 0; queue < SCHED_QUEUES; queue++) {
		if (running[queue] != s->counts[queue].running)
			return "running jobs of a queue: miscounted";
	}
	if (s->exclusive_held != (running[SCHED_EXPIRE] > 0) || (s->exclusive_held && used[SCHED_CACHE] != 1))
		return "the cache is not held by expiry alone";
	return count == s->job_count && claimed == s->claimed_count ? NULL : "jobs: miscounted";
}

static const char *check_worker_jobs(const struct sched *s, uint32_t w)
{
	const struct worker *worker = &s->workers[w];
	uint32_t count = 0, last = SCHED_NONE;

	for (uint32_t i = worker->count ? worker->first : SCHED_NONE; i != SCHED_NONE && count <= worker->count;
	     i = s->jobs[i].next) {
		if (s->jobs[i].worker != w)
			return "a worker's list holds another's job";
		last = i;
		count++;
	}
	if (count != worker->count || count > s->config.window || (count && worker->last != last))
		return "a worker's jobs: miscounted";
	return (worker->state == WORKER_BUSY) == (count > 0) ? NULL : "a worker is busy without a job, or the reverse";
}

static const char *check_workers(const struct sched *s)
{
	uint32_t counts[WORKER_STATES] = { 0 }, room = 0;

	for (uint32_t w = 0; w < s->config.max_workers; w++) {
		const struct worker *worker = &s->workers[w];
		const char *wrong = check_worker_jobs(s, w);

		if (wrong)
			return wrong;
		counts[worker->state]++;
		if (slots_has(&s->idle, w) != (worker->state == WORKER_IDLE) ||
		    slots_has(&s->none, w) != (worker->state == WORKER_NONE) ||
		    (slots_has(&s->retire, w) && worker->state != WORKER_RETIRING))
			return "a worker is in the wrong set";
		if (slots_has(&s->room, w)) {
			room++;
			if (worker->state != WORKER_BUSY || worker->count >= s->config.window)
				return "a worker has no room for another job";
		}
	}
	if (counts[WORKER_SPAWNING] != s->spawning || counts[WORKER_RETIRING] != s->retiring ||
	    counts[WORKER_BUSY] != s->busy || s->config.max_workers - counts[WORKER_NONE] != s->alive ||
	    counts[WORKER_IDLE] != s->idle.count || room != s->room.count)
		return "workers: miscounted";
	return NULL;
}

const char *sched_check(const struct sched *s)
{
	const char *wrong = check_elements(s);

	wrong = wrong ? wrong : check_jobs(s);
	return wrong ? wrong : check_workers(s);
}

/* ---- coverage ---- */

static const char *const element_states[SCHED_STATES] = { "at rest", "keyless", "blocked", "ready",
							  "active",  "delayed", "done",    "stopped" };
static const char *const element_events[ELEMENT_EVENTS] = { "required", "changed", "deps ready", "claimed",
							    "unclaimed", "passed", "failed",     "delayed",
							    "returned", "dropped", "due",        "retry" };
static const char *const job_states[JOB_STATES] = { "free", "claimed", "sent", "started", "cancelled" };
static const char *const job_events[JOB_EVENTS] = { "dispatch", "unclaim",   "start",         "success", "skipped",
						    "failure",  "temporary", "cancel result", "death",   "cancel" };
static const char *const worker_states[WORKER_STATES] = { "none", "spawning", "idle", "busy", "retiring" };
static const char *const worker_events[WORKER_EVENTS] = { "spawn", "ready", "get", "leave", "retire", "died" };

uint32_t sched_cell_count(void)
{
	return SCHED_STATES * ELEMENT_EVENTS + JOB_STATES * JOB_EVENTS + WORKER_STATES * WORKER_EVENTS;
}

void sched_cell(const struct sched *s, uint32_t i, const char **ret_table, const char **ret_state,
		const char **ret_event, bool *ret_possible, uint64_t *ret_hits)
{
	if (i < SCHED_STATES * ELEMENT_EVENTS) {
		*ret_table = "element";
		*ret_state = element_states[i / ELEMENT_EVENTS];
		*ret_event = element_events[i % ELEMENT_EVENTS];
		*ret_possible = plan_possible(i / ELEMENT_EVENTS, i % ELEMENT_EVENTS);
		*ret_hits = s->element_hits[i / ELEMENT_EVENTS][i % ELEMENT_EVENTS];
		return;
	}
	i -= SCHED_STATES * ELEMENT_EVENTS;
	if (i < JOB_STATES * JOB_EVENTS) {
		*ret_table = "job";
		*ret_state = job_states[i / JOB_EVENTS];
		*ret_event = job_events[i % JOB_EVENTS];
		*ret_possible = jobs_possible(i / JOB_EVENTS, i % JOB_EVENTS);
		*ret_hits = s->job_hits[i / JOB_EVENTS][i % JOB_EVENTS];
		return;
	}
	i -= JOB_STATES * JOB_EVENTS;
	*ret_table = "worker";
	*ret_state = worker_states[i / WORKER_EVENTS];
	*ret_event = worker_events[i % WORKER_EVENTS];
	*ret_possible = workers_possible(i / WORKER_EVENTS, i % WORKER_EVENTS);
	*ret_hits = s->worker_hits[i / WORKER_EVENTS][i % WORKER_EVENTS];
}
