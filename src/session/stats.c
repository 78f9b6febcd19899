/* Where the time went, worker by worker: see stats.h. */
#include "session/stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* All threads of this process; workers are not in it. */
static int64_t own_cpu_us(void)
{
	struct rusage usage = { 0 };

	(void)getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) + usage.ru_utime.tv_usec +
	       usage.ru_stime.tv_usec;
}

void session_stats_begin(struct session_stats *stats)
{
	stats->before_us = own_cpu_us();
}

static void add(struct session_worker_stats *to, const struct session_worker_stats *from)
{
	to->jobs += from->jobs;
	to->busy_us += from->busy_us;
	to->command_us += from->command_us;
	to->budget_us += from->budget_us;
	to->wait_us += from->wait_us;
}

void session_stats_add(struct session_stats *stats, const struct driver_job *job, const struct wire_result *result,
		       int64_t elapsed_us)
{
	int64_t whole_us = elapsed_us - job->started_us;
	struct session_worker_stats one = { .jobs = 1 };

	if (job->slot >= stats->count) {
		size_t count = job->slot + 1u;

		stats->workers = util_grow(stats->workers, &stats->cap, count, sizeof(*stats->workers));
		memset(stats->workers + stats->count, 0, (count - stats->count) * sizeof(*stats->workers));
		stats->count = count;
	}
	if (result) {
		one.busy_us = result->ended_us - result->started_us;
		one.command_us = result->command_us;
		one.budget_us = result->budget_us;
	}
	one.wait_us = MAX(whole_us - one.busy_us, 0);
	add(&stats->workers[job->slot], &one);
	if (job->queue == SCHED_BUILD)
		add(&stats->builds, &one);
}

static int64_t rest_us(const struct session_worker_stats *worker)
{
	return MAX(worker->busy_us - worker->command_us - worker->budget_us, 0);
}

static void add_row(struct buf *out, const char *name, const struct session_worker_stats *worker, int64_t wall_us)
{
	buf_printf(out, "%-8s %6" PRIu32 " %9.2f s %9.2f s %9.2f s %9.2f s %9.2f s\n", name, worker->jobs,
		   (double)worker->command_us / 1e6, (double)worker->budget_us / 1e6, (double)rest_us(worker) / 1e6,
		   (double)worker->wait_us / 1e6, (double)MAX(wall_us - worker->busy_us - worker->wait_us, 0) / 1e6);
}

/* How much of the time between dispatch and result was not the builds' own. */
static void add_builds(struct buf *out, const struct session_worker_stats *builds)
{
	int64_t whole_us = builds->busy_us + builds->wait_us - builds->budget_us;

	if (whole_us > 0)
		buf_printf(out, "%" PRIu32 " builds: %.2f %% of their time was not their commands'\n", builds->jobs,
			   100.0 * (double)(whole_us - builds->command_us) / (double)whole_us);
}

void session_stats_report(const struct session_stats *stats, struct session *session, const struct driver *driver)
{
	const struct pool_stats *pool = driver_pool_stats(driver);
	int64_t wall_us = driver_elapsed_us(driver);
	struct session_worker_stats sum = { 0 };
	_cleanup_buf_ struct buf out = BUF_INIT;
	int64_t cpu_us = own_cpu_us();
	char name[24];

	buf_adds(&out, "worker     jobs    commands      budget     the rest    dispatch         idle\n");
	for (size_t i = 0; i < stats->count; i++) {
		const struct session_worker_stats *worker = &stats->workers[i];

		if (!worker->jobs)
			continue;
		snprintf(name, sizeof(name), "%zu", i + 1);
		add_row(&out, name, worker, wall_us);
		add(&sum, worker);
	}
	add_row(&out, "all", &sum, 0);
	add_builds(&out, &stats->builds);
	buf_printf(&out, "%" PRIu64 " processes forked in %.1f ms, %" PRIu64 " jobs dispatched, %" PRIu64 " + %" PRIu64
		   " bytes of messages, %.2f s in all\n", pool->spawned, (double)pool->fork_us / 1e3, pool->dispatched,
		   pool->bytes_sent, pool->bytes_received, (double)wall_us / 1e6);
	/* Inline, the jobs' own work is in it too. */
	buf_printf(&out, "%.3f s of processor time in this process, of that %.3f s while jobs ran\n", (double)cpu_us / 1e6,
		   (double)(cpu_us - stats->before_us) / 1e6);
	session_say(session, SESSION_MESSAGE_INFO, "Where the time went", buf_text(&out));
}

void session_stats_release(struct session_stats *stats)
{
	free(stats->workers);
	*stats = (struct session_stats){ 0 };
}
