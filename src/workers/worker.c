/* workers/worker.c: the worker process, from fork to _exit. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "workers/workers_internal.h"

enum { OUTBOX_BYTES = 32 * 1024 };

const char *const worker_boundary_names[WORKER_BOUNDARY_END] = {
	[WORKER_AT_START] = "start", [WORKER_AT_READY] = "ready", [WORKER_AT_DISPATCH] = "dispatch",
	[WORKER_AT_BEGIN] = "begin", [WORKER_AT_MESSAGE] = "message", [WORKER_AT_MESSAGED] = "messaged",
	[WORKER_AT_WAIT] = "wait", [WORKER_AT_RETURN] = "return", [WORKER_AT_RESULT] = "result",
	[WORKER_AT_CANCEL] = "cancel", [WORKER_AT_PING] = "ping", [WORKER_AT_QUIT] = "quit",
};

/* --- messages --- */

/* The parent is gone (or has given this worker up): nobody wants to know. */
static void lose_parent(struct worker *worker)
{
	worker->quitting = true;
	if (worker->job)
		worker->job->cancelled = true;
}

void worker_flush(struct worker *worker)
{
	if (worker->outbox.len > 0 && wire_send_all(worker->fd, &worker->outbox) < 0)
		lose_parent(worker);
	buf_clear(&worker->outbox);
}

void worker_emit(struct worker *worker, const struct wire_any *any, int flags)
{
	bool held = worker->holding && any->type == WIRE_MESSAGE && worker->outbox.len < OUTBOX_BYTES;
	int r;

	if (worker->hooks) {
		worker->hooks->emit(worker->hooks->data, any);
		return;
	}
	if (held || worker->outbox.len > 0) {
		wire_add(&worker->outbox, any, &worker->scratch);
		if (!held)
			worker_flush(worker);
		return;
	}
	r = wire_send(worker->fd, any, &worker->scratch, flags);
	if (r < 0 && !(r == -EAGAIN && flags & MSG_DONTWAIT))
		lose_parent(worker);
}

static void on_dispatch(struct worker *worker, const struct wire_any *any)
{
	uint32_t at = (worker->waiting_first + worker->waiting_count) % POOL_WINDOW_MAX;

	if (worker->waiting_count == POOL_WINDOW_MAX)
		bug("worker %u: more jobs than fit the window", worker->incarnation);
	worker->waiting[at] = any->dispatch;
	worker->waiting_cancelled[at] = false;
	worker->waiting_count++;
}

static void on_cancel(struct worker *worker, const struct wire_any *any)
{
	WORKER_SEAM(worker, WORKER_AT_CANCEL);
	if (worker->job && worker->job->id == any->number.number)
		worker->job->cancelled = true;
	for (uint32_t i = 0; i < worker->waiting_count; i++) {
		uint32_t at = (worker->waiting_first + i) % POOL_WINDOW_MAX;

		if (worker->waiting[at].job == any->number.number)
			worker->waiting_cancelled[at] = true;
	}
}

static void on_ping(struct worker *worker, const struct wire_any *any)
{
	struct wire_any pong = { .type = WIRE_PONG, .number = any->number };

	WORKER_SEAM(worker, WORKER_AT_PING);
	worker_emit(worker, &pong, 0);
}

static void on_quit(struct worker *worker, const struct wire_any *any UNUSED)
{
	WORKER_SEAM(worker, WORKER_AT_QUIT);
	worker->quitting = true;
}

int worker_receive(struct worker *worker, int flags)
{
	static void (*const actions[WIRE_TYPE_END])(struct worker *worker, const struct wire_any *any) = {
		[WIRE_DISPATCH] = on_dispatch,
		[WIRE_CANCEL] = on_cancel,
		[WIRE_PING] = on_ping,
		[WIRE_QUIT] = on_quit,
	};
	struct wire_any any;
	int r = wire_recv(worker->fd, &any, worker->inbox, flags);

	if (r == -EAGAIN)
		return 0;
	if (r <= 0) { /* the parent is gone: so should we, and what we started */
		worker->quitting = true;
		worker->waiting_count = 0;
		if (worker->job)
			worker->job->cancelled = true;
		return 0;
	}
	if (!actions[any.type])
		bug("worker %u: message of type %d from the parent", worker->incarnation, (int)any.type);
	actions[any.type](worker, &any);
	return 1;
}

/* --- the process --- */

/* Kills the processes listed in text, pids in decimal with blanks.  Returns whether there were any. */
static bool kill_listed(const char *text, ssize_t len)
{
	bool any = false;
	pid_t pid = 0;

	for (ssize_t i = 0; i < len; i++) {
		if (text[i] >= '0' && text[i] <= '9') {
			pid = pid * 10 + (text[i] - '0');
		} else if (pid > 0) {
			kill(pid, SIGKILL);
			any = true;
			pid = 0;
		}
	}
	return any;
}

/* The parent wants us gone at once, or is gone itself (PR_SET_PDEATHSIG): take everything along.  Our children first;
 * theirs become ours then, since we are a subreaper, daemons and sandboxes too; at last the process group.  Only
 * async-signal-safe calls: this may interrupt anything. */
static void on_term(int signal UNUSED)
{
	const struct timespec pause_ns = { .tv_nsec = 1000000 };
	char text[4096];

	for (int round = 0; round < 100; round++) {
		int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
		ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

		close(fd);
		if (len <= 0)
			break;
		text[len] = ' ';
		if (!kill_listed(text, len + 1))
			break;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		nanosleep(&pause_ns, NULL);
	}
	kill(0, SIGKILL);
}

static void reset_signals(void)
{
	static const int inherited[] = { SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGTTIN, SIGTTOU, SIGWINCH,
					 SIGCHLD, SIGALRM, SIGUSR1, SIGUSR2 };
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (size_t i = 0; i < ARRAY_SIZE(inherited); i++)
		sigaction(inherited[i], &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
	action.sa_handler = on_term;
	sigaction(SIGTERM, &action, NULL);
	/* A stopped worker whose parent dies gets SIGHUP and SIGCONT, since its process group is orphaned then. */
	sigaction(SIGHUP, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become_worker(void)
{
	setpgid(0, 0); /* before signals are reset: on_term speaks to the group */
	reset_signals();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void greet(struct worker *worker)
{
	struct wire_any any = {
		.type = WIRE_READY,
		.ready = { .incarnation = worker->incarnation,
			   .generation = worker->config->graph ? worker->config->graph->generation : 0,
			   .position = state_cursor(worker->config->state) },
	};

	worker_emit(worker, &any, 0);
	WORKER_SEAM(worker, WORKER_AT_READY);
}

static void serve(struct worker *worker)
{
	while (!worker->quitting || worker->waiting_count > 0) {
		struct wire_dispatch dispatch;
		bool cancelled;

		if (worker->waiting_count == 0) {
			worker_receive(worker, 0);
			continue;
		}
		/* A cancel may have come for what waits; look once, so that it need not begin. */
		if (worker->waiting_count > 1)
			while (worker_receive(worker, MSG_DONTWAIT) > 0)
				;
		dispatch = worker->waiting[worker->waiting_first];
		cancelled = worker->waiting_cancelled[worker->waiting_first];
		worker->waiting_first = (worker->waiting_first + 1) % POOL_WINDOW_MAX;
		worker->waiting_count--;
		worker_run(worker, &dispatch, cancelled);
	}
}

void worker_main(const struct worker_config *config, int fd, uint32_t incarnation, _Atomic uint64_t *started,
		 const struct wire_dispatch *first)
{
	struct worker worker = { .config = config, .fd = fd, .incarnation = incarnation, .started = started };

	become_worker();
	if (state_attach(config->state, incarnation) < 0)
		bug("worker %u: no state journal", incarnation);
	worker.inbox = wire_inbox_new();
	WORKER_SEAM(&worker, WORKER_AT_START);
	if (first) {
		worker_run(&worker, first, false);
	} else {
		greet(&worker);
		serve(&worker);
	}
	_exit(0);
}
