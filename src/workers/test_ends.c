/* workers/test_ends.c: every way a worker can end at every boundary, and what it leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workers/test_bench.h"

struct death {
	enum job_type type;
	uint32_t flags;
	enum pool_end why;
	const char *text; /* part of the line */
};

static void test_deaths(void **unused UNUSED)
{
	static const struct death deaths[] = {
		{ JOB_DIE, SIGKILL, POOL_DIED, "was killed by signal 9" },
		{ JOB_DIE, SIGSEGV, POOL_DIED, "was killed by signal 11" },
		{ JOB_DIE, 0, POOL_DIED, "exited with status 9" },
		{ JOB_DIE, SIGSTOP, POOL_SILENT, "did not answer" },
		{ JOB_DEAF, 0, POOL_SILENT, "did not answer" },
		{ JOB_GARBAGE, 0, POOL_MALFORMED, "sent a malformed message" },
		{ JOB_CLOSE, 0, POOL_CLOSED, "closed its socket" },
		{ JOB_OTHER, 0, POOL_MALFORMED, "a change that it may not make" },
		{ JOB_FALSE, 0, POOL_MALFORMED, "a job that it does not have" },
	};
	struct bench bench;
	size_t fds;

	open_bench(&bench, POOL_WORKERS);
	assert_int_equal(pool_spawn(bench.pool, 1), 0);
	run_one(&bench, 1, JOB_EMPTY, 0, 0);
	fds = count_fds();
	for (size_t i = 0; i < ARRAY_SIZE(deaths); i++) {
		uint32_t incarnation = 0;

		assert_int_equal(pool_spawn(bench.pool, 0), 0);
		assert_true(pool_incarnation(bench.pool, 0) > incarnation);
		incarnation = pool_incarnation(bench.pool, 0);
		run_one(&bench, 0, JOB_CHANGE, (uint32_t)i, 0);
		dispatch(&bench, 0, deaths[i].type, 3, deaths[i].flags);
		until(&bench, &bench.gones, bench.gones + 1);
		assert_int_equal(bench.gone_slot, 0);
		assert_int_equal(bench.gone_why, deaths[i].why);
		assert_true(bench.gone_begun == bench.jobs);
		if (!strstr(bench.gone_text, deaths[i].text))
			fail_msg("%s: expected %s", bench.gone_text, deaths[i].text);
		/* The other worker goes on, and knows what the dead one had achieved. */
		run_one(&bench, 1, JOB_SEES, 0, (uint32_t)i);
		assert_int_equal(bench.result.outcome, WIRE_DONE);
		assert_int_equal(count_fds(), fds);
	}
	close_bench(&bench);
}

/* Whoever slept (^Z by other means, a busy machine) must not take the others for silent: their answers lie unread. */
static void test_we_slept(void **unused UNUSED)
{
	struct bench bench;

	open_bench(&bench, POOL_WORKERS);
	bench.pool->config.ping_deadline_us = 100000;
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	dispatch(&bench, 0, JOB_WAIT, 0, 0);
	for (uint64_t pings = 0; pings < 3 && bench.gones == 0; pings = pool_stats(bench.pool)->pings) {
		while (pool_stats(bench.pool)->pings == pings && bench.gones == 0)
			assert_true(loop_turn(bench.loop, 5000) >= 0);
		usleep(300000);
	}
	assert_int_equal(bench.gones, 0);
	pool_cancel(bench.pool, bench.jobs);
	until(&bench, &bench.results, 1);
	assert_int_equal(bench.result.outcome, WIRE_CANCELLED);
	close_bench(&bench);
}

/* Every boundary x signal: the jobs that were dispatched end exactly once, by result or with their worker, and a job that
 * was not begun is not said to be. */
static void die_once(enum worker_boundary boundary, int signal)
{
	struct bench bench;
	bool begun;

	open_bench(&bench, POOL_WORKERS);
	die_at = boundary;
	die_by = signal;
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	die_by = 0; /* in the parent: the next one lives */
	if (boundary == WORKER_AT_CANCEL || boundary == WORKER_AT_WAIT || boundary == WORKER_AT_PING)
		dispatch(&bench, 0, JOB_WAIT, 1, 0);
	else if (boundary == WORKER_AT_QUIT)
		pool_retire(bench.pool, 0);
	else
		dispatch(&bench, 0, JOB_SPEAK, 1, 2);
	if (boundary == WORKER_AT_CANCEL)
		pool_cancel(bench.pool, bench.jobs);
	until(&bench, &bench.gones, 1);
	assert_int_equal(bench.results, boundary == WORKER_AT_RESULT ? 1 : 0);
	begun = boundary >= WORKER_AT_BEGIN && boundary != WORKER_AT_RESULT && boundary != WORKER_AT_QUIT;
	if (boundary != WORKER_AT_CANCEL) /* may come before the job began */
		assert_true(bench.gone_begun == (begun ? bench.jobs : 0));
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	run_one(&bench, 0, JOB_EMPTY, 1, 0);
	close_bench(&bench);
}

static void test_boundaries(void **unused UNUSED)
{
	static const int signals[] = { SIGKILL, SIGSEGV, SIGSTOP };

	for (enum worker_boundary boundary = WORKER_AT_START; boundary < WORKER_BOUNDARY_END; boundary++)
		for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
			/* An idle worker that stops is not missed before it is asked to work or to leave. */
			if (signals[i] == SIGSTOP && boundary == WORKER_AT_RESULT)
				continue;
			die_once(boundary, signals[i]);
		}
}

static bool all_dead(void)
{
	FILE *file = fopen(pid_path, "r");
	int pid, count = 0, alive = 0;

	while (file && fscanf(file, "%d", &pid) == 1) {
		count++;
		alive += kill(pid, 0) == 0;
	}
	if (file)
		fclose(file);
	assert_int_equal(count, 2);
	return alive == 0;
}

static void no_survivors(struct bench *bench)
{
	for (int i = 0; i < 400 && !all_dead(); i++)
		assert_true(loop_turn(bench->loop, 5000) >= 0);
	assert_true(all_dead());
	unlink(pid_path);
}

static void test_descendants(void **unused UNUSED)
{
	struct bench bench;
	int64_t start_us;

	snprintf(pid_path, sizeof(pid_path), "/tmp/test_pool.%d", (int)getpid());
	open_bench(&bench, POOL_WORKERS);

	/* cancelled politely */
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	dispatch(&bench, 0, JOB_CHILD, 1, 0);
	until(&bench, &bench.messages, 1);
	pool_cancel(bench.pool, bench.jobs);
	until(&bench, &bench.results, 1);
	assert_int_equal(bench.result.outcome, WIRE_CANCELLED);
	no_survivors(&bench);

	/* ends well, but leaves children */
	run_one(&bench, 0, JOB_LITTER, 1, 0);
	no_survivors(&bench);
	assert_int_equal(bench.gones, 0);

	/* does not heed the cancel, nor SIGTERM; that it does not answer a ping either is not to be found out first */
	bench.pool->config.ping_deadline_us = 60 * 1000000LL;
	start_us = util_now_us();
	dispatch(&bench, 0, JOB_CHILD, 1, 1);
	until(&bench, &bench.messages, 2);
	pool_cancel(bench.pool, bench.jobs);
	until(&bench, &bench.gones, 1);
	assert_int_equal(bench.gone_why, POOL_KILLED);
	no_survivors(&bench);
	assert_true(util_now_us() - start_us < 60 * 1000000LL);

	/* the worker is killed by somebody else */
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	dispatch(&bench, 0, JOB_CHILD, 1, 0);
	until(&bench, &bench.messages, 3);
	kill(pool_pid(bench.pool, 0), SIGKILL);
	until(&bench, &bench.gones, 2);
	assert_int_equal(bench.gone_why, POOL_DIED);
	no_survivors(&bench);

	/* everything at once */
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	assert_int_equal(pool_spawn(bench.pool, 1), 0);
	dispatch(&bench, 0, JOB_CHILD, 1, 0);
	until(&bench, &bench.messages, 4);
	pool_kill(bench.pool);
	until(&bench, &bench.gones, 4);
	no_survivors(&bench);
	assert_int_equal(pool_spawn(bench.pool, 2), -ESHUTDOWN);
	while (pool_alive(bench.pool) > 0)
		assert_true(loop_turn(bench.loop, 5000) >= 0);
	close_bench(&bench);
}

/* The parent itself is killed: nothing of it is left. */
static void test_parent_killed(void **unused UNUSED)
{
	int fds[2];
	pid_t pid;
	char c;

	snprintf(pid_path, sizeof(pid_path), "/tmp/test_pool.%d", (int)getpid());
	assert_int_equal(pipe(fds), 0);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	pid = fork();
	if (pid == 0) {
		struct bench bench;

		open_bench(&bench, POOL_WORKERS);
		pool_spawn(bench.pool, 0);
		dispatch(&bench, 0, JOB_CHILD, 1, 0);
		until(&bench, &bench.messages, 1);
		if (write(fds[1], "x", 1) == 1)
			pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &c, 1), 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	/* The worker and what it started hold the pipe too: the end of all of them is the end of file. */
	assert_int_equal(read(fds[0], &c, 1), 0);
	close(fds[0]);
	waitpid(pid, NULL, 0);
	assert_true(all_dead());
	unlink(pid_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_we_slept),
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_descendants),
		cmocka_unit_test(test_parent_killed),
	};

	worker_test_hook = die_hook;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
