/* workers/job.c: what a job can do: speak, wait, find out that it is to be given up.  The same under pool, fork, inline. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workers/workers_internal.h"

enum { LOOK_US = 20000, PROGRESS_US = 100000, WAIT_FDS_MAX = 1024 };

/* --- speaking --- */

void worker_message(struct worker_job *job, enum wire_kind kind, const char *text, const char *detail, const char *log,
		    int64_t elapsed_us)
{
	struct wire_any any = {
		.type = WIRE_MESSAGE,
		.message = { .job = job->id, .element = job->element, .kind = kind, .elapsed_us = MAX(elapsed_us, -1),
			     .at_us = util_now_us(), .text = text ? text : "", .detail = detail, .log = log },
	};

	WORKER_SEAM(job->worker, WORKER_AT_MESSAGE);
	worker_emit(job->worker, &any, 0);
	WORKER_SEAM(job->worker, WORKER_AT_MESSAGED);
}

void worker_hold(struct worker_job *job, bool hold)
{
	job->worker->holding = hold;
	if (!hold)
		worker_flush(job->worker);
}

void worker_say(struct worker_job *job, enum wire_kind kind, const char *fmt, ...)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	worker_message(job, kind, buf_text(&text), NULL, NULL, -1);
}

void worker_progress(struct worker_job *job, uint64_t done, uint64_t total, uint32_t unit, const char *text)
{
	struct worker *worker = job->worker;
	int64_t now_us = util_now_us();
	struct wire_any any = {
		.type = WIRE_PROGRESS,
		.progress = { .job = job->id, .done = total ? MIN(done, total) : done, .total = total, .unit = unit,
			      .text = text },
	};

	assert(unit <= 1);
	if (now_us - worker->progress_us < PROGRESS_US)
		return;
	worker->progress_us = now_us;
	worker_emit(worker, &any, MSG_DONTWAIT); /* a status line is not worth waiting for */
}

/* --- waiting --- */

/* Whether the job is to be given up, after everything that has arrived was looked at. */
static bool look(struct worker_job *job)
{
	struct worker *worker = job->worker;

	if (worker->hooks) {
		if (worker->hooks->pump && worker->hooks->pump(worker->hooks->data))
			job->cancelled = true;
		return job->cancelled;
	}
	while (worker_receive(worker, MSG_DONTWAIT) > 0)
		;
	return job->cancelled;
}

int worker_check(struct worker_job *job)
{
	int64_t now_us = util_now_us();

	if (now_us - job->worker->looked_us >= LOOK_US) {
		job->worker->looked_us = now_us;
		worker_flush(job->worker);
		look(job);
	}
	return job->cancelled ? -ECANCELED : 0;
}

static int timeout_ms(int64_t deadline_us)
{
	int64_t left_us;

	if (deadline_us < 0)
		return -1;
	left_us = deadline_us - util_now_us();
	return left_us <= 0 ? 0 : (int)MIN((left_us + 999) / 1000, INT32_MAX);
}

int worker_wait(struct worker_job *job, struct pollfd *fds, nfds_t count, int64_t deadline_us)
{
	struct worker *worker = job->worker;
	struct pollfd *all;
	int ready;

	assert(count < WAIT_FDS_MAX);
	worker->fds = all = util_grow(worker->fds, &worker->fds_cap, count + 1, sizeof(*all));
	if (count > 0)
		memcpy(all + 1, fds, count * sizeof(*fds));
	all[0] = (struct pollfd){ .fd = worker->hooks ? worker->hooks->pump_fd : worker->fd, .events = POLLIN };
	worker_flush(worker);
	WORKER_SEAM(worker, WORKER_AT_WAIT);
	for (;;) {
		if (look(job))
			return -ECANCELED;
		ready = poll(all, count + 1, timeout_ms(deadline_us));
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready < 0 || (ready > 0 && all[0].revents)) {
			if (look(job))
				return -ECANCELED;
			if (ready <= 1)
				continue;
			ready--;
		}
		break;
	}
	for (nfds_t i = 0; i < count; i++)
		fds[i].revents = all[i + 1].revents;
	return ready;
}

int worker_wait_child(struct worker_job *job, pid_t pid, siginfo_t *ret_info)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };
	int r;

	if (pidfd < 0)
		return -errno;
	r = worker_wait(job, &fd, 1, -1);
	if (r < 0)
		return r;
	memset(ret_info, 0, sizeof(*ret_info));
	return waitid(P_PIDFD, (id_t)pidfd, ret_info, WEXITED) < 0 ? -errno : 0;
}

/* --- running --- */

static void fail_oddly(struct worker_job *job, int r)
{
	if (!job->diag.domain)
		diag_set(&job->diag, "plugin", NULL, "The %s job failed without saying why (%d)",
			 job->worker->config->types[job->type].name, r);
}

static enum wire_outcome outcome_of(struct worker_job *job, int r)
{
	if (r == -ECANCELED || (job->cancelled && r < 0))
		return WIRE_CANCELLED;
	if (r >= 0)
		return r == 0 ? WIRE_DONE : WIRE_NOTHING;
	fail_oddly(job, r);
	return job->temporary ? WIRE_TEMPORARY : WIRE_FAILED;
}

static int64_t usec(const struct timeval *time)
{
	return (int64_t)time->tv_sec * 1000000 + time->tv_usec;
}

/* Processor time of children reaped since the last job that asked. */
static void measure_children(struct worker *worker, struct wire_result *result)
{
	struct rusage usage;

	/* A job that short has had no child worth measuring, and the call would be a tenth of its cost. */
	if (result->ended_us - result->started_us < 500 || getrusage(RUSAGE_CHILDREN, &usage) < 0)
		return;
	result->user_us = MAX(usec(&usage.ru_utime) - worker->child_user_us, 0);
	result->system_us = MAX(usec(&usage.ru_stime) - worker->child_system_us, 0);
	worker->child_user_us = usec(&usage.ru_utime);
	worker->child_system_us = usec(&usage.ru_stime);
}

static void fill_error(struct wire_result *result, struct worker_job *job)
{
	result->domain = job->diag.domain;
	result->reason = job->diag.reason;
	result->where = job->diag.where.len > 0 ? job->diag.where.data : NULL;
	result->text = buf_text(&job->diag.message);
	result->detail = job->diag.detail.len > 0 ? job->diag.detail.data : NULL;
}

/* What was left running by a job would outlive it, and hold on to its files. */
static void kill_leftovers(struct worker *worker)
{
	siginfo_t info = { 0 };

	if (worker->hooks) /* inline: the parent has no children of its own, see pool.h, but others may have */
		return;
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0) {
		pid_t *pids;
		size_t count;

		if (info.si_pid != 0) {
			info.si_pid = 0;
			continue;
		}
		count = descend_find(getpid(), &pids);
		if (count == 0) /* no /proc: the parent's SIGKILL at the end of this worker is what is left */
			return;
		for (size_t i = 0; i < count; i++)
			kill(pids[i], SIGKILL);
		util_free_p(&pids);
		/* At least one child is dying: wait for it, and see what is left. */
		if (waitid(P_ALL, 0, &info, WEXITED) < 0)
			return;
		info.si_pid = 0;
	}
}

static void send_result(struct worker *worker, struct worker_job *job, int r, int64_t applied, int64_t started_us)
{
	struct wire_any any = {
		.type = WIRE_RESULT,
		.result = { .job = job->id, .outcome = outcome_of(job, r), .applied = (uint64_t)applied, .log = job->log,
			    .started_us = started_us, .ended_us = util_now_us(), .command_us = MAX(job->command_us, 0),
			    .budget_us = MAX(job->budget_us, 0), .source_files = job->source_files },
	};
	struct wire_result *result = &any.result;

	measure_children(worker, result);
	if (result->outcome == WIRE_FAILED || result->outcome == WIRE_TEMPORARY)
		fill_error(result, job);
	if (result->outcome == WIRE_DONE || result->outcome == WIRE_NOTHING || result->outcome == WIRE_FAILED) {
		result->changes = job->changes.count > 0 ? job->changes.bytes.data : NULL;
		result->change_bytes = (uint32_t)job->changes.bytes.len;
		result->change_count = job->changes.count;
		if (!worker->hooks)
			state_keep(worker->config->state, result->changes, result->change_bytes);
	}
	worker_emit(worker, &any, 0);
}

static void trace_applied(void *data, uint32_t element, const char *line)
{
	struct worker_job *job = data;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct wire_any any = {
		.type = WIRE_MESSAGE,
		.message = { .job = job->id, .element = element, .kind = WIRE_DEBUG, .elapsed_us = -1,
			     .at_us = util_now_us(), .action = "state" },
	};

	/* A name of its own, since the message is shown under the job's element. */
	buf_printf(&text, "worker %u applies: ", job->worker->incarnation);
	if (job->graph && element < job->graph->element_count)
		buf_printf(&text, "%s: ", job->graph->elements[element].full_name);
	buf_adds(&text, line);
	any.message.text = buf_text(&text);
	worker_emit(job->worker, &any, 0);
}

static int64_t follow(struct worker *worker, struct worker_job *job, const struct wire_dispatch *dispatch)
{
	int64_t applied;

	if (worker->hooks)
		return 0; /* the parent's own state */
	applied = state_follow(worker->config->state, dispatch->as_of, worker->config->trace ? trace_applied : NULL, job);
	if (applied < 0)
		bug("worker %u: state as of %llu cannot be reached from %llu: %s", worker->incarnation,
		    (unsigned long long)dispatch->as_of,
		    (unsigned long long)state_cursor(worker->config->state), strerror((int)-applied));
	return applied;
}

void worker_run(struct worker *worker, const struct wire_dispatch *dispatch, bool cancelled)
{
	const struct worker_config *config = worker->config;
	struct worker_job job = {
		.id = dispatch->job, .type = dispatch->type, .element = dispatch->element, .attempt = dispatch->attempt,
		.flags = dispatch->flags, .tokens = dispatch->tokens, .pipe_read = dispatch->pipe_read,
		.pipe_write = dispatch->pipe_write, .graph = config->graph, .state = config->state, .arena = &worker->arena,
		.context = config->context, .worker = worker, .cancelled = cancelled,
	};
	int64_t applied, started_us = util_now_us();
	int r;

	if (dispatch->type >= config->type_count || (config->graph && dispatch->generation != config->graph->generation))
		bug("worker %u: job of type %u, generation %u", worker->incarnation, dispatch->type, dispatch->generation);
	worker->job = &job;
	WORKER_SEAM(worker, WORKER_AT_DISPATCH);
	if (worker->started)
		atomic_store_explicit(worker->started, job.id, memory_order_relaxed);
	worker->looked_us = started_us;
	applied = follow(worker, &job, dispatch);
	WORKER_SEAM(worker, WORKER_AT_BEGIN);
	r = cancelled ? -ECANCELED : config->types[job.type].run(&job);
	WORKER_SEAM(worker, WORKER_AT_RETURN);
	kill_leftovers(worker);
	send_result(worker, &job, r, applied, started_us);
	worker->job = NULL;
	worker->holding = false;
	WORKER_SEAM(worker, WORKER_AT_RESULT);
	state_changes_release(&job.changes);
	diag_release(&job.diag);
	arena_reset(&worker->arena);
}

/* --- inline --- */

void worker_run_inline(const struct worker_config *config, const struct worker_inline *hooks,
		       const struct wire_dispatch *dispatch)
{
	struct worker worker = { .config = config, .hooks = hooks, .fd = -1 };

	worker_run(&worker, dispatch, false);
	arena_release(&worker.arena);
	buf_release(&worker.scratch);
	free(worker.fds);
}
