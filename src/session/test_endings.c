/* session/test_endings.c: how sessions end before their work does, and how they are stopped: on-error, signals, a person's
 * answers, in all three modes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session/test_rig.h"

/* on-error terminate is a terminate like any other: a signal then finds no more patience. */
static void test_terminate_on_error(void **unused UNUSED)
{
	for (int signalled = 0; signalled < 2; signalled++) {
		struct run *run = new_run(SCHED_POOL, 8);

		run->plan.build_start = run->plan.build_deps = NULL;
		memset(run->project.start, 0, sizeof(run->project.start));
		for (uint32_t e = 0; e < 8; e++) {
			run->project.behaviour[e] = e == 2 ? BAD : DEAF;
			run->project.needs[e] = SCHED_BIT(SCHED_BUILD);
		}
		run->fetched = true;
		run->config.sched.on_error = SCHED_ON_ERROR_TERMINATE;
		run->signal_on_failure = signalled ? SIGTERM : 0;
		if (signalled)
			run->config.patience_us = PATIENT_US;
		go(run);
		assert_int_equal(run->outcome, SCHED_END_FAILED);
		assert_int_equal(run->ends[DRIVER_FAILED], 1);
		if (signalled)
			assert_true(run->took_us < PATIENT_US); /* left alone, the deaf would have had so much */
		end_run(run);
	}
}

/* ^C and friends while builds wait for ever: gone within a second, also those that do not listen. */
static void test_terminate(void **unused UNUSED)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	for (enum sched_mode mode = SCHED_POOL; mode <= SCHED_INLINE; mode++)
		for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
			struct run *run = new_run(mode, 40);

			for (uint32_t e = 0; e < 40; e++)
				run->project.behaviour[e] = mode != SCHED_INLINE && i == 0 ? DEAF : WAITS;
			run->signal_at_start = signals[i];
			run->signals_left = 1;
			go(run);
			assert_int_equal(run->outcome, SCHED_END_TERMINATED);
			assert_int_equal(driver_signal(run->driver), signals[i]);
			assert_true(run->took_us < PATIENT_US); /* a second, and what a busy machine adds */
			assert_int_equal(run->ends[DRIVER_FAILED], 0);
			end_run(run);
		}
}

/* Under nohup a hangup is nothing. */
static void test_nohup(void **unused UNUSED)
{
	struct run *run = new_run(SCHED_POOL, 20);

	signal(SIGHUP, SIG_IGN);
	run->signal_at_start = SIGHUP;
	run->signals_left = 1;
	go(run);
	assert_int_equal(run->outcome, SCHED_END_SUCCESS);
	assert_int_equal(driver_signal(run->driver), 0);
	end_run(run);
	signal(SIGHUP, SIG_DFL);
}

static void test_second_signal(void **unused UNUSED)
{
	struct run *run = new_run(SCHED_POOL, 40);

	for (uint32_t e = 0; e < 40; e++)
		run->project.behaviour[e] = DEAF;
	run->signal_at_start = SIGTERM;
	run->signals_left = 1;
	run->second_signal = SIGINT;
	run->config.tick_us = 10000;
	run->config.patience_us = PATIENT_US;
	go(run);
	assert_int_equal(run->outcome, SCHED_END_TERMINATED);
	assert_true(run->took_us < PATIENT_US); /* those that do not listen would have had so much otherwise */
	end_run(run);
}

static void test_interrupt(void **unused UNUSED)
{
	struct run *run;

	run = new_run(SCHED_POOL, 40);
	run->config.interactive = true;
	run->answer = DRIVER_CONTINUE;
	run->signal_at_start = SIGINT;
	run->signals_left = 3;
	go(run);
	assert_int_equal(run->outcome, SCHED_END_SUCCESS);
	assert_true(run->interrupts >= 1);
	assert_int_equal(run->ends[DRIVER_DONE], 80);
	end_run(run);

	/* The time in which a person thinks is no time of the jobs. */
	run = new_run(SCHED_POOL, 3);
	run->config.interactive = true;
	run->answer = DRIVER_CONTINUE;
	run->thinks_us = 1500000;
	run->signal_at_start = SIGINT;
	run->signals_left = 1;
	run->project.behaviour[0] = SLOW;
	go(run);
	assert_int_equal(run->interrupts, 1);
	assert_true(run->took_us > 1500000 && run->longest_us < 1000000);
	end_run(run);

	run = new_run(SCHED_POOL, 40);
	run->config.interactive = true;
	run->answer = DRIVER_QUIT;
	run->signal_at_start = SIGINT;
	run->signals_left = 1;
	go(run);
	assert_int_equal(run->interrupts, 1);
	assert_true(run->ends[DRIVER_DONE] < 80);
	end_run(run);

	run = new_run(SCHED_POOL, 40);
	run->config.interactive = true;
	run->answer = DRIVER_TERMINATE;
	run->signal_at_start = SIGINT;
	run->signals_left = 1;
	for (uint32_t e = 0; e < 40; e++)
		run->project.behaviour[e] = WAITS;
	go(run);
	assert_int_equal(run->outcome, SCHED_END_TERMINATED);
	end_run(run);
}

/* ^Z: somebody else wakes us up again. */
static void test_stop(void **unused UNUSED)
{
	struct run *run = new_run(SCHED_POOL, 40);
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) { /* a process of its own, so that stopping it is seen from here */
		run->signal_at_start = SIGTSTP;
		run->signals_left = 1;
		go(run);
		status = run->outcome == SCHED_END_SUCCESS && driver_elapsed_us(run->driver) < run->took_us - 100000 ? 0 : 1;
		driver_free(run->driver);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	usleep(150000);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	state_free(run->state);
	graph_release(&run->graph);
	free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_terminate_on_error), cmocka_unit_test(test_terminate), cmocka_unit_test(test_second_signal),
		cmocka_unit_test(test_nohup), cmocka_unit_test(test_interrupt), cmocka_unit_test(test_stop),
	};

	signal(SIGHUP, SIG_DFL); /* whoever runs the tests under nohup */
	return cmocka_run_group_tests(tests, make_marks, drop_marks);
}
