/* See test_bench.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workers/test_bench.h"

/* --- jobs --- */

int worker_fd = -1;
char pid_path[64];

static int run_change(struct worker_job *job)
{
	struct state_artifact artifact = { .outcome = STATE_ARTIFACT_SUCCESS };

	artifact.files.size_bytes = job->element + 1;
	return state_change_artifact(&job->changes, job->element, &artifact);
}

static int run_sees(struct worker_job *job)
{
	const struct state_element *element = state_get(job->state, job->flags);

	return element->artifact.outcome == STATE_ARTIFACT_SUCCESS && element->artifact.files.size_bytes == job->flags + 1
		       ? 0 : 1;
}

static int run_speak(struct worker_job *job)
{
	for (uint32_t i = 0; i < job->flags; i++)
		worker_say(job, WIRE_INFO, "message %u of %u", i + 1, job->flags);
	worker_progress(job, 1, 2, 0, NULL);
	return 0;
}

static int run_fail(struct worker_job *job)
{
	state_change_fetched(&job->changes, job->element, STATE_FETCHED_NO);
	diag_where(&job->diag, "a.bst", 3, 4);
	return diag_set(&job->diag, "source", "missing-file", "no such thing");
}

static int run_retry(struct worker_job *job)
{
	state_change_fetched(&job->changes, job->element, STATE_FETCHED_YES); /* dropped with the failed attempt */
	job->temporary = true;
	return job->attempt > 1 ? 0 : diag_set(&job->diag, "source", NULL, "net down");
}

static int run_wait(struct worker_job *job)
{
	return worker_wait(job, NULL, 0, -1);
}

static int run_check(struct worker_job *job)
{
	int r;

	while ((r = worker_check(job)) == 0)
		;
	return r;
}

static int run_deaf(struct worker_job *job)
{
	signal(SIGTERM, job->flags ? SIG_IGN : SIG_DFL);
	while (getppid() > 0)
		pause();
	return 0;
}

static int run_die(struct worker_job *job)
{
	if (job->flags == 0)
		_exit(9);
	raise((int)job->flags);
	return 0;
}

static int run_garbage(struct worker_job *job UNUSED)
{
	send(worker_fd, "this is no message at all", 25, 0);
	pause();
	return 0;
}

static int run_close(struct worker_job *job UNUSED)
{
	close(worker_fd);
	while (getppid() > 0)
		pause();
	return 0;
}

static int run_other(struct worker_job *job)
{
	return state_change_fetched(&job->changes, job->element + 1, STATE_FETCHED_YES);
}

static int run_false(struct worker_job *job)
{
	job->id++;
	worker_say(job, WIRE_INFO, "I am another");
	pause();
	return 0;
}

static void leave_children(void)
{
	FILE *file = fopen(pid_path, "w");
	int noted[2];
	char byte;

	if (!file || pipe2(noted, O_CLOEXEC) < 0)
		_exit(1);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			if (i == 1)
				setsid();
			if (i == 1 && fork() > 0) /* a daemon: its parent is gone at once */
				_exit(0);
			fprintf(file, "%d\n", (int)getpid());
			fflush(file);
			if (write(noted[1], "x", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
	}
	for (int i = 0; i < 2; i++) /* both have written their names */
		while (read(noted[0], &byte, 1) < 0 && errno == EINTR)
			;
	close(noted[0]);
	close(noted[1]);
	fclose(file);
}

static int run_child(struct worker_job *job)
{
	leave_children();
	worker_say(job, WIRE_INFO, "children are there");
	if (job->flags)
		return run_deaf(job);
	return worker_wait(job, NULL, 0, -1);
}

static int run_litter(struct worker_job *job)
{
	leave_children();
	return 0;
}

static int run_ping(struct worker_job *job)
{
	return worker_wait(job, NULL, 0, util_now_us() + job->flags * 1000);
}

static int run_fds(struct worker_job *job)
{
	DIR *dir = opendir("/proc/self/fd");
	char link[256], path[64];
	_cleanup_buf_ struct buf extra = BUF_INIT;
	struct dirent *entry;

	while ((entry = readdir(dir))) {
		int fd = (int)strtol(entry->d_name, NULL, 10);
		ssize_t len;

		if (fd <= 2 || fd == worker_fd || fd == dirfd(dir))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, link, sizeof(link) - 1);
		link[MAX(len, 0)] = '\0';
		if (!strstr(link, "memfd:millrace-state") && fcntl(fd, F_GETFD) & FD_CLOEXEC)
			buf_printf(&extra, "%s ", link); /* those without were there before the test */
	}
	closedir(dir);
	return extra.len > 0 ? diag_set(&job->diag, "plugin", NULL, "descriptors too many: %s", extra.data) : 0;
}

static int run_signals(struct worker_job *job)
{
	struct sigaction action;
	sigset_t mask;
	int death;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	sigaction(SIGINT, NULL, &action);
	prctl(PR_GET_PDEATHSIG, &death);
	if (sigismember(&mask, SIGINT) || sigismember(&mask, SIGTERM) || action.sa_handler != SIG_DFL || death != SIGTERM ||
	    getpgrp() != getpid())
		return diag_set(&job->diag, "plugin", NULL, "signals are not as promised");
	return 0;
}

static int run_hungry(struct worker_job *job)
{
	/* Much, now and then: pages that come and go with each job are what would take the time here. */
	for (int i = 0; i < (job->id % 32 ? 2 : 40); i++)
		memset(arena_alloc(job->arena, 5000), 1, 5000);
	worker_say(job, WIRE_INFO, "%s", arena_printf(job->arena, "job %llu", (unsigned long long)job->id));
	return run_change(job);
}

static const struct worker_type types[JOB_TYPES] = {
	[JOB_EMPTY] = { .name = "empty", .run = NULL },
	[JOB_CHANGE] = { .name = "change", .run = run_change },
	[JOB_SEES] = { .name = "sees", .run = run_sees },
	[JOB_SPEAK] = { .name = "speak", .run = run_speak },
	[JOB_FAIL] = { .name = "fail", .run = run_fail },
	[JOB_RETRY] = { .name = "retry", .run = run_retry },
	[JOB_WAIT] = { .name = "wait", .run = run_wait },
	[JOB_CHECK] = { .name = "check", .run = run_check },
	[JOB_DEAF] = { .name = "deaf", .run = run_deaf },
	[JOB_DIE] = { .name = "die", .run = run_die },
	[JOB_GARBAGE] = { .name = "garbage", .run = run_garbage },
	[JOB_CLOSE] = { .name = "close", .run = run_close },
	[JOB_OTHER] = { .name = "other", .run = run_other },
	[JOB_FALSE] = { .name = "false", .run = run_false },
	[JOB_CHILD] = { .name = "child", .run = run_child },
	[JOB_LITTER] = { .name = "litter", .run = run_litter },
	[JOB_PING] = { .name = "ping", .run = run_ping },
	[JOB_FDS] = { .name = "fds", .run = run_fds },
	[JOB_SIGNALS] = { .name = "signals", .run = run_signals },
	[JOB_HUNGRY] = { .name = "hungry", .run = run_hungry },
};
static struct worker_type filled_types[JOB_TYPES];

static int run_empty(struct worker_job *job UNUSED)
{
	return 0;
}

/* --- a bench with a pool on it --- */

static void on_message(void *data, uint32_t slot UNUSED, const struct wire_message *message)
{
	struct bench *bench = data;

	if (message->kind == WIRE_DEBUG) {
		bench->debugs++;
		return;
	}
	bench->messages++;
	snprintf(bench->message_text, sizeof(bench->message_text), "%s", message->text);
}

static void on_progress(void *data, uint32_t slot UNUSED, const struct wire_progress *progress UNUSED)
{
	((struct bench *)data)->progresses++;
}

static void on_result(void *data, uint32_t slot, uint32_t incarnation, const struct wire_result *result)
{
	struct bench *bench = data;

	assert_int_equal(state_commit(bench->state, incarnation, result->changes, result->change_bytes, result->change_count),
			 0);
	bench->results++;
	bench->result = *result;
	bench->result_slot = slot;
	bench->result_incarnation = incarnation;
	snprintf(bench->result_text, sizeof(bench->result_text), "%s", result->text ? result->text : "");
}

static void on_gone(void *data, uint32_t slot, enum pool_end why, uint64_t begun, const char *text)
{
	struct bench *bench = data;

	bench->gones++;
	bench->gone_slot = slot;
	bench->gone_why = why;
	bench->gone_begun = begun;
	snprintf(bench->gone_text, sizeof(bench->gone_text), "%s", text);
}

static const struct pool_events events = {
	.message = on_message, .progress = on_progress, .result = on_result, .gone = on_gone,
};

static void on_signal(struct loop *loop UNUSED, const struct signalfd_siginfo *info, void *data)
{
	struct bench *bench = data;

	if (info->ssi_signo == SIGUSR1)
		pool_cancel(bench->pool, bench->jobs);
}

void open_bench(struct bench *bench, enum pool_mode mode)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGUSR1 };
	struct pool_config config = {
		.mode = mode, .max_workers = SLOTS, .events = &events, .data = bench,
		.ping_after_us = 20000, .ping_deadline_us = 1500000, .cancel_grace_us = 1500000, .term_grace_us = 300000,
	};

	memset(bench, 0, sizeof(*bench));
	memcpy(filled_types, types, sizeof(types));
	filled_types[JOB_EMPTY].run = run_empty;
	graph_init(&bench->graph);
	assert_int_equal(loop_new(&bench->loop), 0);
	assert_int_equal(loop_signals(bench->loop, signals, ARRAY_SIZE(signals), on_signal, bench), 0);
	bench->state = state_new(ELEMENTS);
	assert_int_equal(state_open(bench->state, 0), 0);
	config.loop = bench->loop;
	config.worker = (struct worker_config){ .types = filled_types, .type_count = JOB_TYPES, .graph = &bench->graph,
						.state = bench->state, .trace = true };
	bench->pool = pool_new(&config);
}

size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

void close_bench(struct bench *bench)
{
	pool_free(bench->pool);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* neither zombies nor survivors */
	assert_int_equal(errno, ECHILD);
	loop_free(bench->loop);
	state_free(bench->state);
	graph_release(&bench->graph);
}

uint64_t dispatch(struct bench *bench, uint32_t slot, enum job_type type, uint32_t element, uint32_t flags)
{
	struct wire_dispatch job = { .job = ++bench->jobs, .type = type, .element = element, .attempt = 1, .flags = flags };

	pool_dispatch(bench->pool, slot, &job);
	return bench->jobs;
}

/* Turns until *counter reaches want; gives up after two minutes. */
void until(struct bench *bench, const uint32_t *counter, uint32_t want)
{
	int64_t end_us = util_now_us() + 120 * 1000000LL; /* a busy machine is no failure */

	while (*counter < want) {
		assert_true(loop_turn(bench->loop, 100000) >= 0);
		if (util_now_us() > end_us)
			fail_msg("nothing happened for two minutes");
	}
}

void run_one(struct bench *bench, uint32_t slot, enum job_type type, uint32_t element, uint32_t flags)
{
	uint32_t want = bench->results + 1;

	dispatch(bench, slot, type, element, flags);
	until(bench, &bench->results, want);
	assert_true(bench->result.job == bench->jobs);
}

void refill(struct bench *bench, uint32_t slot, enum pool_mode mode)
{
	uint32_t gones = bench->gones;

	if (mode != POOL_FORK)
		return;
	pool_retire(bench->pool, slot);
	until(bench, &bench->gones, gones + 1);
	assert_int_equal(bench->gone_why, POOL_RETIRED);
	assert_int_equal(pool_spawn(bench->pool, slot), 0);
}

void all_modes(void (*test)(struct bench *bench, enum pool_mode mode))
{
	for (enum pool_mode mode = POOL_WORKERS; mode <= POOL_INLINE; mode++) {
		struct bench bench;

		open_bench(&bench, mode);
		if (mode != POOL_INLINE)
			assert_int_equal(pool_spawn(bench.pool, 0), 0);
		test(&bench, mode);
		close_bench(&bench);
	}
}

enum worker_boundary die_at;
int die_by;

void die_hook(enum worker_boundary boundary, uint32_t incarnation UNUSED, uint64_t job UNUSED, int fd)
{
	static const int caught[] = { SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSYS };

	worker_fd = fd;
	if (boundary == WORKER_AT_START) /* cmocka's handlers would go on with the tests, in the worker */
		for (size_t i = 0; i < ARRAY_SIZE(caught); i++)
			signal(caught[i], SIG_DFL);
	if (boundary == die_at && die_by)
		raise(die_by);
}
