/* loop/test_loop.c: phases, order, removal from inside callbacks, timers, children, signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "loop/loop.h"

static char order[256];
static size_t order_len;

static void note(char c)
{
	assert_true(order_len + 1 < sizeof(order));
	order[order_len++] = c;
	order[order_len] = '\0';
}

static int setup(void **state)
{
	struct loop *loop;

	order_len = 0;
	order[0] = '\0';
	assert_int_equal(loop_new(&loop), 0);
	*state = loop;
	return 0;
}

static int teardown(void **state)
{
	loop_free(*state);
	return 0;
}

static void on_timer(struct loop_timer *timer UNUSED, void *data)
{
	note(*(char *)data);
}

static void on_fd(struct loop_fd *handle UNUSED, uint32_t ready UNUSED, void *data)
{
	note(*(char *)data);
}

static void on_task(struct loop_task *task UNUSED, void *data)
{
	note(*(char *)data);
}

static void test_phases(void **state)
{
	struct loop *loop = *state;
	struct loop_timer timer = { 0 };
	struct loop_fd handle = { 0 };
	struct loop_task task = { 0 };
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	loop_defer(loop, &task, on_task, (char[]){ 'd' });
	assert_int_equal(loop_fd_add(loop, &handle, fds[0], EPOLLIN, on_fd, (char[]){ 'f' }), 0);
	loop_timer_set(loop, &timer, 1, on_timer, (char[]){ 't' });
	assert_int_equal(loop_turn(loop, -1) >= 3, 1);
	assert_string_equal(order, "tfd");
	loop_fd_remove(&handle);
	loop_fd_remove(&handle); /* twice is nothing */
	close(fds[0]);
	close(fds[1]);
}

/* Two handles ready in the same turn; whichever comes first removes both and its memory goes. */
struct pair {
	struct loop_fd *handles[2];
	int calls;
};

static void on_remove_both(struct loop_fd *handle UNUSED, uint32_t ready UNUSED, void *data)
{
	struct pair *pair = data;

	pair->calls++;
	for (int i = 0; i < 2; i++) {
		loop_fd_remove(pair->handles[i]);
		free(pair->handles[i]);
	}
}

static void test_remove_inside(void **state)
{
	struct loop *loop = *state;
	struct pair pair = { .calls = 0 };
	int fds[2][2];

	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(fds[i]), 0);
		assert_int_equal(write(fds[i][1], "x", 1), 1);
		pair.handles[i] = calloc(1, sizeof(struct loop_fd));
		assert_int_equal(loop_fd_add(loop, pair.handles[i], fds[i][0], EPOLLIN, on_remove_both, &pair), 0);
	}
	assert_true(loop_turn(loop, -1) >= 0);
	assert_int_equal(pair.calls, 1);
	for (int i = 0; i < 4; i++)
		close(fds[i / 2][i % 2]);
}

static int64_t last_at;
static int fired;

static void on_ordered(struct loop_timer *timer, void *data UNUSED)
{
	assert_true(timer->at_us >= last_at);
	last_at = timer->at_us;
	fired++;
}

static void test_timer_order(void **state)
{
	enum { COUNT = 500 };
	struct loop *loop = *state;
	struct loop_timer timers[COUNT] = { 0 };
	uint64_t seed = 7;
	int cleared = 0;
	int64_t now = util_now_us();

	last_at = 0;
	fired = 0;
	for (int i = 0; i < COUNT; i++)
		loop_timer_set(loop, &timers[i], now - 10 - random_below(&seed, 1000), on_ordered, NULL);
	for (int i = 0; i < COUNT; i += 3) /* move some, clear some */
		loop_timer_set(loop, &timers[i], now - 10 - random_below(&seed, 1000), on_ordered, NULL);
	for (int i = 1; i < COUNT; i += 5, cleared++)
		loop_timer_clear(&timers[i]);
	loop_timer_clear(&timers[1]);
	assert_true(loop_turn(loop, 0) >= 0);
	assert_int_equal(fired, COUNT - cleared);
}

static void on_again(struct loop_timer *timer, void *data)
{
	note('a');
	loop_timer_set(data, timer, 0, on_again, data); /* due at once, but in the next turn */
}

static void test_timer_does_not_starve(void **state)
{
	struct loop *loop = *state;
	struct loop_timer timer = { 0 };

	loop_timer_set(loop, &timer, 0, on_again, loop);
	for (int i = 0; i < 3; i++)
		assert_true(loop_turn(loop, -1) >= 0);
	assert_true(order_len <= 3 && order_len >= 2);
	loop_timer_clear(&timer);
}

static void test_timer_waits(void **state)
{
	struct loop *loop = *state;
	struct loop_timer timer = { 0 }, never = { 0 };
	int64_t start = util_now_us();

	loop_timer_set(loop, &never, start + 3600 * 1000000LL, on_timer, (char[]){ 'n' });
	loop_timer_set(loop, &timer, start + 20000, on_timer, (char[]){ 't' });
	while (order_len == 0)
		assert_true(loop_turn(loop, -1) >= 0);
	assert_true(util_now_us() - start >= 20000);
	assert_string_equal(order, "t");
	/* A wait with nothing due ends at its timeout. */
	start = util_now_us();
	while (util_now_us() - start < 5000)
		assert_true(loop_turn(loop, 5000) >= 0);
	assert_string_equal(order, "t");
	loop_timer_clear(&never);
}

static void on_defer_again(struct loop_task *task, void *data)
{
	note('x');
	loop_defer(data, task, on_defer_again, data);
}

static void on_cancel_other(struct loop_task *task UNUSED, void *data)
{
	note('c');
	loop_task_cancel(data);
}

static void test_tasks(void **state)
{
	struct loop *loop = *state;
	struct loop_task again = { 0 }, cancels = { 0 }, victim = { 0 };

	loop_defer(loop, &again, on_defer_again, loop);
	loop_defer(loop, &cancels, on_cancel_other, &victim);
	loop_defer(loop, &victim, on_task, (char[]){ 'v' });
	assert_true(loop_turn(loop, -1) >= 0);
	assert_string_equal(order, "xc");
	assert_true(loop_turn(loop, -1) >= 0);
	assert_string_equal(order, "xcx");
	loop_task_cancel(&again);
	assert_int_equal(loop_turn(loop, 0), 0);
}

static siginfo_t child_info;

static void on_child(struct loop_child *child, const siginfo_t *info, void *data)
{
	assert_int_equal(child->pid, info->si_pid);
	child_info = *info;
	loop_stop(data);
}

static void test_children(void **state)
{
	struct loop *loop = *state;
	struct loop_child child = { 0 };
	pid_t pid = fork();

	if (pid == 0)
		_exit(7);
	assert_int_equal(loop_child_add(loop, &child, pid, on_child, loop), 0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(child_info.si_code, CLD_EXITED);
	assert_int_equal(child_info.si_status, 7);

	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(loop_child_add(loop, &child, pid, on_child, loop), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(child_info.si_code, CLD_KILLED);
	assert_int_equal(child_info.si_status, SIGKILL);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie */
}

static int signals_seen[65];

static void on_signal(struct loop *loop UNUSED, const struct signalfd_siginfo *info, void *data UNUSED)
{
	signals_seen[info->ssi_signo]++;
}

static void test_signals(void **state)
{
	struct loop *loop = *state;
	int signals[] = { SIGUSR1, SIGUSR2 };
	sigset_t mask;
	int status;
	pid_t pid;

	assert_int_equal(loop_signals_fd(loop), -1);
	assert_int_equal(loop_signals(loop, signals, 2, on_signal, NULL), 0);
	kill(getpid(), SIGUSR1);
	assert_int_equal(loop_turn(loop, -1), 1);
	assert_int_equal(signals_seen[SIGUSR1], 1);
	kill(getpid(), SIGUSR2);
	assert_int_equal(loop_signals_pump(loop), 1);
	assert_int_equal(signals_seen[SIGUSR2], 1);

	/* A forked child gets the old mask and none of the loop's descriptors. */
	pid = fork();
	if (pid == 0) {
		loop_after_fork(loop);
		sigprocmask(SIG_SETMASK, NULL, &mask);
		_exit(sigismember(&mask, SIGUSR1) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(loop_turn(loop, 0), 0); /* the child took nothing away from us */
	kill(getpid(), SIGUSR1);
	assert_int_equal(loop_turn(loop, -1), 1);

	assert_int_equal(loop_signals(loop, NULL, 0, NULL, NULL), 0);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	assert_false(sigismember(&mask, SIGUSR1));
}

static int turns_of[100];

static void on_count(struct loop_fd *handle UNUSED, uint32_t ready UNUSED, void *data)
{
	turns_of[(int *)data - turns_of]++;
}

/* More ready descriptors than one turn takes: all get their turn. */
static void test_many(void **state)
{
	struct loop *loop = *state;
	struct loop_fd handles[100] = { 0 };
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	for (int i = 0; i < 100; i++)
		assert_int_equal(loop_fd_add(loop, &handles[i], dup(fds[0]), EPOLLIN, on_count, &turns_of[i]), 0);
	for (int i = 0; i < 4; i++)
		assert_true(loop_turn(loop, -1) <= LOOP_EVENTS);
	for (int i = 0; i < 100; i++) {
		assert_true(turns_of[i] >= 2);
		loop_fd_remove(&handles[i]);
		close(handles[i].fd);
	}
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_phases, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_does_not_starve, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tasks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_children, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
