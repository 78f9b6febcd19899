/* workers/process.c: worker processes as the parent sees them: forked, heard, killed, reaped. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "workers/workers_internal.h"

enum {
	READ_MAX = 32,          /* datagrams of one worker in one turn of the loop */
	DRAIN_MAX = 4096,       /* datagrams that a dead worker can have left */
	CLOSED_GRACE_US = 50000 /* from a closed socket to SIGKILL: a dying process closes its files before it is gone */
};

static void on_readable(struct loop_fd *handle, uint32_t ready, void *data);
static void on_child(struct loop_child *child, const siginfo_t *info, void *data);

/* --- forking --- */

/* In the child: what is the parent's alone goes. */
static void shed(struct pool *pool)
{
	for (struct process *other = pool->processes.next; other != &pool->processes; other = other->next)
		if (other->fd >= 0)
			close(other->fd);
	loop_after_fork(pool->config.loop);
	if (pool->config.after_fork)
		pool->config.after_fork(pool->config.data);
	dup2(pool->null_fd, STDIN_FILENO);
	close(pool->null_fd);
}

static int adopt(struct pool *pool, struct process *process)
{
	int r = loop_child_add(pool->config.loop, &process->child, process->pid, on_child, process);

	if (r == 0) {
		r = loop_fd_add(pool->config.loop, &process->handle, process->fd, EPOLLIN, on_readable, process);
		if (r < 0)
			loop_child_remove(&process->child);
	}
	if (r < 0) { /* out of descriptors: as if the fork had failed */
		kill(process->pid, SIGKILL);
		waitpid(process->pid, NULL, 0);
	}
	return r;
}

static void link_process(struct pool *pool, struct process *process)
{
	process->prev = pool->processes.prev;
	process->next = &pool->processes;
	process->prev->next = process;
	pool->processes.prev = process;
	pool->process_count++;
}

/* Of this thread: what others do to a busy machine meanwhile is not the fork's. */
static int64_t cpu_ns(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int process_spawn(struct pool *pool, uint32_t slot, const struct wire_dispatch *first)
{
	struct process *process;
	int r, fds[2];
	int64_t before_ns;

	r = wire_pair(fds);
	if (r < 0)
		return r;
	process = xcalloc(1, sizeof(*process));
	process->pool = pool;
	process->slot = slot;
	process->incarnation = ++pool->incarnations;
	assert(process->incarnation != 0);
	process->generation = pool->config.worker.graph ? pool->config.worker.graph->generation : 0;
	process->epoch = state_epoch(pool->config.worker.state);
	process->followed = state_position(pool->config.worker.state);
	process->end = POOL_DIED;
	process->fd = fds[0];
	atomic_store_explicit(&pool->begun[slot * BEGUN_STRIDE], 0, memory_order_relaxed);
	before_ns = cpu_ns();
	process->pid = fork();
	if (process->pid == 0) {
		close(fds[0]);
		shed(pool);
		worker_main(&pool->config.worker, fds[1], process->incarnation, &pool->begun[slot * BEGUN_STRIDE], first);
	}
	r = process->pid < 0 ? -errno : 0;
	pool->stats.fork_us += (cpu_ns() - before_ns) / 1000;
	close(fds[1]);
	if (r == 0)
		r = adopt(pool, process);
	if (r < 0) {
		close(fds[0]);
		free(process);
		return r;
	}
	process->heard_us = loop_now_us(pool->config.loop);
	link_process(pool, process);
	pool->slots[slot].process = process;
	pool->stats.spawned++;
	if (pool->suspended)
		kill(process->pid, SIGSTOP);
	pool_trace(pool, "worker %u forked in slot %u (pid %d)", process->incarnation, slot, (int)process->pid);
	return 0;
}

/* --- killing --- */

static void signal_process(struct process *process, int signal)
{
	/* Through the pidfd: the pid may be somebody else's by now. */
	if (process->child.pidfd >= 0 && process->child.next)
		syscall(SYS_pidfd_send_signal, process->child.pidfd, signal, NULL, 0);
}

void process_kill(struct process *process, enum pool_end end, const char *why)
{
	bool idle = process->slot != POOL_NO_SLOT && process->pool->slots[process->slot].queue.count == 0;
	pid_t *pids = NULL;
	size_t count = 0;

	if (process->state == PROCESS_KILLED)
		return;
	process->state = PROCESS_KILLED;
	process->end = end;
	process->why = why;
	loop_timer_clear(&process->timer);
	/* The worker first, so that it starts nothing more; what it had becomes our child (we are a subreaper) and is found
	 * again when the worker has been reaped.  An idle worker has nothing below it (job.c saw to that). */
	if (!idle)
		count = descend_find(process->pid, &pids);
	signal_process(process, SIGKILL);
	for (size_t i = 0; i < count; i++)
		kill(pids[i], SIGKILL);
	free(pids);
}

static void on_closed_grace(struct loop_timer *timer UNUSED, void *data)
{
	process_kill(data, POOL_CLOSED, NULL);
}

static void on_closed(struct process *process)
{
	process->closed = true;
	loop_fd_remove(&process->handle);
	if (process->state == PROCESS_LIVE || process->state == PROCESS_QUITTING)
		loop_timer_set(process->pool->config.loop, &process->timer,
			       loop_now_us(process->pool->config.loop) + CLOSED_GRACE_US, on_closed_grace, process);
}

void process_send(struct process *process, const struct wire_any *any)
{
	int r;

	if (process->state == PROCESS_KILLED || process->closed)
		return;
	r = wire_send(process->fd, any, &process->pool->scratch, MSG_DONTWAIT);
	if (r == -EPIPE) /* its end will be known soon */
		return;
	if (r < 0) /* a socket full of dispatches and pings: it does not read */
		process_kill(process, POOL_SILENT, NULL);
	else
		process->pool->stats.bytes_sent += process->pool->scratch.len;
}

void process_quit(struct process *process)
{
	struct wire_any any = { .type = WIRE_QUIT };

	if (process->state != PROCESS_LIVE)
		return;
	process->state = PROCESS_QUITTING;
	process->end = POOL_RETIRED;
	process_send(process, &any);
	/* A worker that does not go will be found by its silence. */
	process->silent_us = 0;
}

/* --- hearing --- */

/* Returns false when there is nothing more to read now. */
static bool read_message(struct process *process)
{
	struct pool *pool = process->pool;
	struct wire_any any;
	int r;

	r = wire_recv(process->fd, &any, pool->inbox, MSG_DONTWAIT);
	if (r == -EAGAIN)
		return false;
	if (r == 1) {
		process->heard_us = loop_now_us(pool->config.loop);
		process->silent_us = 0;
		pool->stats.bytes_received += pool->inbox->size;
		if (process->state != PROCESS_KILLED)
			pool_received(process, &any);
		return true;
	}
	if (r == -EBADMSG) {
		process_kill(process, POOL_MALFORMED, "sent a malformed message");
		return true;
	}
	on_closed(process);
	return false;
}

/* All that came in one datagram, since the next process's goes into the same inbox. */
static bool read_datagram(struct process *process)
{
	bool more = read_message(process);

	while (wire_more(process->pool->inbox))
		more = read_message(process);
	return more;
}

static void on_readable(struct loop_fd *handle UNUSED, uint32_t ready UNUSED, void *data)
{
	struct process *process = data;
	struct pool_slot *slot = process->slot == POOL_NO_SLOT ? NULL : &process->pool->slots[process->slot];
	uint64_t results = process->pool->stats.results;

	/* A worker without a job says nothing: after a result there is no need to ask the kernel whether there is more
	 * (the next turn would tell). */
	for (int i = 0; i < READ_MAX && read_datagram(process); i++)
		if (!slot || process->pool->stats.results != results)
			break;
}

/* --- the end --- */

static void describe_end(const struct process *process, const siginfo_t *info, char *text, size_t size)
{
	char how[128] = "";
	const char *what = "ended";

	if (info->si_code == CLD_EXITED)
		snprintf(how, sizeof(how), "exited with status %d", info->si_status);
	else
		snprintf(how, sizeof(how), "was killed by signal %d (%s)%s", info->si_status, strsignal(info->si_status),
			 info->si_code == CLD_DUMPED ? ", core dumped" : "");
	switch (process->end) {
	case POOL_RETIRED:
	case POOL_DIED:
		what = how;
		break;
	case POOL_SILENT:
		what = "did not answer and was killed";
		break;
	case POOL_MALFORMED:
		snprintf(how, sizeof(how), "%s and was killed", process->why);
		what = how;
		break;
	case POOL_CLOSED:
		what = "closed its socket and was killed";
		break;
	case POOL_KILLED:
		what = "was killed";
		break;
	case POOL_END_END:
		break;
	}
	snprintf(text, size, "worker %u (pid %d) %s", process->incarnation, (int)process->pid, what);
}

/* Children of ours that are no workers: a dead worker's, now ours to kill and reap.  Returns how many there are. */
static size_t kill_orphans(struct pool *pool)
{
	pid_t *pids;
	size_t count = descend_find(getpid(), &pids), orphans = 0;

	for (size_t i = 0; i < count; i++) {
		bool known = false;

		for (struct process *other = pool->processes.next; other != &pool->processes && !known; other = other->next)
			known = other->pid == pids[i];
		/* Only direct children: what lives below a living worker is that worker's. */
		if (known || waitpid(pids[i], NULL, WNOHANG) != 0)
			continue;
		kill(pids[i], SIGKILL);
		orphans++;
	}
	free(pids);
	return orphans;
}

static void on_orphans(struct loop_timer *timer, void *data)
{
	enum { ROUND_US = 5000, ROUNDS_MAX = 400 };
	struct pool *pool = data;

	pool->orphans = kill_orphans(pool) > 0;
	/* Bounded: one in uninterruptible sleep is init's sooner or later. */
	if (pool->orphans && ++pool->orphan_rounds < ROUNDS_MAX)
		loop_timer_set(pool->config.loop, timer, loop_now_us(pool->config.loop) + ROUND_US, on_orphans, pool);
	else
		pool->orphans = false;
}

static void on_child(struct loop_child *child UNUSED, const siginfo_t *info, void *data)
{
	struct process *process = data;
	struct pool *pool = process->pool;
	bool clean = info->si_code == CLD_EXITED && info->si_status == 0 && process->state != PROCESS_KILLED;
	char text[256];

	/* What it said before it died counts. */
	for (int i = 0; i < DRAIN_MAX && !process->closed; i++)
		if (!read_datagram(process))
			break;
	loop_timer_clear(&process->timer);
	loop_fd_remove(&process->handle);
	process->fd = close_fd(process->fd);
	process->prev->next = process->next;
	process->next->prev = process->prev;
	pool->process_count--;
	if (!clean) { /* a worker that leaves by itself has nothing left below it (job.c) */
		pool->orphan_rounds = 0;
		pool->orphans = true;
		on_orphans(&pool->orphan_timer, pool);
		if (process->end == POOL_RETIRED)
			process->end = POOL_DIED;
	}
	describe_end(process, info, text, sizeof(text));
	pool_trace(pool, "%s", text);
	pool_process_ended(process, text);
	free(process);
}
