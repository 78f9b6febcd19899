/* workers/pool_care.c: jobs that are cancelled, workers that fall silent, and the whole pool stopped and going on. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "workers/workers_internal.h"

/* --- cancelling --- */

static void on_term_grace(struct loop_timer *timer UNUSED, void *data)
{
	process_kill(data, POOL_KILLED, NULL);
}

static void on_cancel_grace(struct loop_timer *timer, void *data)
{
	struct process *process = data;

	/* Its handler takes the process group along; what is outside of that goes with SIGKILL. */
	kill(process->pid, SIGTERM);
	process->state = PROCESS_QUITTING;
	process->end = POOL_KILLED;
	loop_timer_set(process->pool->config.loop, timer, pool_now_us(process->pool) + process->pool->config.term_grace_us,
		       on_term_grace, process);
}

static struct pool_job *find_job(struct pool *pool, uint64_t id, uint32_t *ret_slot, bool *ret_first)
{
	for (uint32_t i = 0; i < pool->config.max_workers; i++)
		for (uint32_t j = 0; j < pool->slots[i].queue.count; j++)
			if (pool_queue_at(&pool->slots[i].queue, j)->id == id) {
				*ret_slot = i;
				*ret_first = j == 0;
				return pool_queue_at(&pool->slots[i].queue, j);
			}
	return NULL;
}

bool pool_cancel(struct pool *pool, uint64_t id)
{
	struct wire_any any = { .type = WIRE_CANCEL, .number = { id } };
	struct process *process;
	struct pool_job *job;
	uint32_t slot;
	bool first;

	job = find_job(pool, id, &slot, &first);
	if (!job)
		return false;
	if (job->cancelled)
		return true;
	job->cancelled = true;
	if (pool->config.mode == POOL_INLINE && first && pool->inline_running)
		pool->inline_cancelled = true;
	process = pool->slots[slot].process;
	if (!process || !job->sent)
		return true;
	process_send(process, &any);
	if (first && process->state == PROCESS_LIVE && !process->closed)
		loop_timer_set(pool->config.loop, &process->timer, pool_now_us(pool) + pool->config.cancel_grace_us,
			       on_cancel_grace, process);
	return true;
}

void pool_kill(struct pool *pool)
{
	if (pool->dead)
		return;
	pool->dead = true;
	pool->inline_cancelled = true;
	for (struct process *process = pool->processes.next; process != &pool->processes; process = process->next)
		process_kill(process, POOL_KILLED, NULL);
	pool_defer(pool);
}

/* --- liveness --- */

/* passed_us: since the last look at it, as far as it counts. */
static void check_alive(struct pool *pool, struct process *process, int64_t passed_us)
{
	struct wire_any any = { .type = WIRE_PING };
	bool busy = process->slot != POOL_NO_SLOT && pool->slots[process->slot].queue.count > 0;

	if (process->state == PROCESS_KILLED || process->closed)
		return;
	/* Cancelled ones have a timer of their own; retired ones have the time of a ping. */
	if (process->state == PROCESS_QUITTING ? !busy : process->ping != 0) {
		process->silent_us += passed_us;
		if (process->silent_us > pool->config.ping_deadline_us)
			process_kill(process, POOL_SILENT, NULL);
		return;
	}
	if (process->state == PROCESS_QUITTING)
		return;
	if (!busy || pool_now_us(pool) - process->heard_us < pool->config.ping_after_us)
		return;
	any.number.number = process->ping = ++pool->pings;
	process->silent_us = 0;
	pool->stats.pings++;
	process_send(process, &any);
}

static void on_ping_timer(struct loop_timer *timer, void *data)
{
	struct pool *pool = data;
	int64_t step_us = MIN(pool->config.ping_after_us, pool->config.ping_deadline_us) / 2 + 1;
	/* Nobody was silent while we did not listen: if we were stopped, or the machine, for minutes, that counts as no
	 * more than a little lateness, and answers that have come meanwhile are read before the next look. */
	int64_t passed_us = MIN(pool_now_us(pool) - pool->looked_us, 2 * step_us);

	pool->looked_us = pool_now_us(pool);
	if (!pool->suspended)
		for (struct process *process = pool->processes.next; process != &pool->processes; process = process->next)
			check_alive(pool, process, passed_us);
	if (pool->process_count > 0)
		loop_timer_set(pool->config.loop, timer, pool_now_us(pool) + step_us, on_ping_timer, pool);
}

void pool_watch(struct pool *pool)
{
	if (pool->ping_timer.loop || pool->process_count == 0)
		return;
	pool->looked_us = pool_now_us(pool);
	loop_timer_set(pool->config.loop, &pool->ping_timer, pool_now_us(pool) + pool->config.ping_after_us, on_ping_timer,
		       pool);
}

/* --- stopping and going on --- */

/* Everything below the parent: workers and sandboxes.  Workers first when stopping, so that they start nothing meanwhile,
 * and a second look for what they had just started. */
static void signal_all(struct pool *pool, int signal)
{
	pid_t *pids;
	size_t count;

	for (int round = 0; round < (signal == SIGSTOP ? 2 : 1); round++) {
		count = descend_find(getpid(), &pids);
		for (size_t i = 0; i < count; i++)
			kill(pids[i], signal);
		free(pids);
	}
}

void pool_suspend(struct pool *pool)
{
	if (pool->suspended)
		return;
	pool->suspended = true;
	signal_all(pool, SIGSTOP);
}

void pool_resume(struct pool *pool)
{
	if (!pool->suspended)
		return;
	pool->suspended = false;
	signal_all(pool, SIGCONT);
	if (pool->config.mode == POOL_INLINE && !pool->inline_running)
		pool_defer(pool); /* a job may have been put off meanwhile */
	for (struct process *process = pool->processes.next; process != &pool->processes; process = process->next) {
		process->heard_us = util_now_us();
		process->silent_us = 0;
	}
}
