/* Sandboxes that end before their time: killed, given up, stopped, or with the process that made them. */
#include "sandbox/test_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void wait_for_log(int log_fd, off_t at_least)
{
	struct stat st;

	for (int i = 0; i < 500; i++) {
		if (fstat(log_fd, &st) == 0 && st.st_size >= at_least)
			return;
		usleep(10000);
	}
	fail();
}

static void test_kill(void **state)
{
	struct diag diag = DIAG_INIT;
	struct rig rig;
	int log_fd;
	int64_t before;

	if (rig_skipped)
		skip();
	rig_init(&rig, false, NULL);
	log_fd = rig_open_log();
	assert_int_equal(rig_start(&rig, "touch /i/x; (sleep 100 &) ; echo started; sleep 100", true, log_fd, &diag), SANDBOX_SUCCESS);
	wait_for_log(log_fd, 60);
	before = util_now_us();
	sandbox_kill(rig.sandbox);
	assert_int_equal(poll(&(struct pollfd){ sandbox_pidfd(rig.sandbox), POLLIN, 0 }, 1, 1000), 1);
	assert_int_equal(sandbox_finish(rig.sandbox, &rig.result, &diag), SANDBOX_KILLED);
	assert_true(util_now_us() - before < 1000000);
	rig_assert_tree(&rig, "i", "");
	close(log_fd);
	rig_release(&rig);
}

/* Whoever is still writing when the command ends is gone before its files are hashed. */
static void test_left_running(void **state)
{
	enum { FILES = 20 };
	struct diag diag = DIAG_INIT;
	int log_fd = rig_open_log();

	if (rig_skipped)
		skip();
	for (int round = 0; round < 5; round++) {
		struct rig rig;

		rig_init(&rig, false, NULL);
		assert_int_equal(rig_start(&rig, "n=0; while [ $n -lt 20 ]; do (head -c 400000 /dev/zero; while :; do echo $n; done) >/i/$n & n=$((n+1)); done; sleep 0.3",
					   true, log_fd, &diag), SANDBOX_SUCCESS);
		assert_int_equal(sandbox_finish(rig.sandbox, &rig.result, &diag), SANDBOX_SUCCESS);
		for (int n = 0; n < FILES; n++) {
			struct cas_entry entry;
			char path[16];

			snprintf(path, sizeof path, "/i/%d", n);
			assert_int_equal(cas_tree_lookup(sandbox_tree(rig.sandbox), path, false, &entry), 0);
			assert_int_equal(cas_verify(rig_cas, &entry.digest), 0);
		}
		rig_release(&rig);
	}
	close(log_fd);
}

static unsigned count_names(const char *where, const char *prefix)
{
	char *path = xasprintf("%s/millrace/%s", rig_base_dir, where);
	DIR *dir = opendir(path);
	unsigned count = 0;

	free(path);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.' && str_starts(entry->d_name, prefix);
	closedir(dir);
	return count;
}

static unsigned count_scratch(void)
{
	return count_names("sandboxes", "");
}

/* A process is killed while its sandbox runs: everything inside dies with it, and the next process cleans up. */
static void test_sudden_death(void **state)
{
	struct diag diag = DIAG_INIT;
	struct rig rig;
	int fds[2];
	char text[4096];
	pid_t pid;

	if (rig_skipped)
		skip();
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		rig_init(&rig, false, NULL);
		rig_start(&rig, "(trap '' TERM HUP; sleep 100) & echo run''ning; sleep 100", true, fds[1], &diag);
		pause();
	}
	close(fds[1]);
	for (size_t len = 0; len < sizeof text - 1;) {
		ssize_t n = read(fds[0], text + len, sizeof text - 1 - len);

		assert_true(n > 0);
		len += (size_t)n;
		text[len] = '\0';
		if (strstr(text, "running"))
			break;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* nobody inside holds the other end any more */
	assert_int_equal(poll(&(struct pollfd){ fds[0], POLLIN, 0 }, 1, 5000), 1);
	assert_int_equal(read(fds[0], text, sizeof text), 0);
	close(fds[0]);
	rig_init(&rig, false, NULL);
	assert_true(count_scratch() >= 1);
	sandbox_host_sweep(rig.host);
	assert_int_equal(count_scratch(), 0);
	rig_release(&rig);
}

static int stop_at(void *data)
{
	return --*(int *)data ? 0 : -ECANCELED;
}

/* Giving up while the root is written or captured. */
static void test_give_up(void **state)
{
	struct diag diag = DIAG_INIT;
	struct rig rig;
	int left = 3, log_fd = rig_open_log();

	if (rig_skipped)
		skip();
	rig_init(&rig, true, NULL);
	sandbox_host_set_check(rig.host, stop_at, &left);
	assert_int_equal(rig_start(&rig, "true", true, log_fd, &diag), -ECANCELED);
	diag_release(&diag);
	left = 1000;
	assert_int_equal(rig_start(&rig, "touch /i/a /i/b /i/c", true, log_fd, &diag), SANDBOX_SUCCESS);
	left = 2;
	assert_int_equal(sandbox_finish(rig.sandbox, &rig.result, &diag), -ECANCELED);
	diag_release(&diag);
	sandbox_host_set_check(rig.host, NULL, NULL);
	rig_expect(&rig, true, "ls /i", "");
	close(log_fd);
	rig_release(&rig);
}

struct other_maker {
	int lock_fd, left;
};

/* The other is done when we have looked some times; nothing was begun meanwhile. */
static int let_go_at(void *data)
{
	struct other_maker *other = data;

	if (other->lock_fd < 0)
		return 0;
	assert_int_equal(count_names("layers", "tmp."), 0);
	if (--other->left == 0) {
		close(other->lock_fd);
		other->lock_fd = -1;
	}
	return 0;
}

/* Somebody else is writing out a whole tree: ours waits, can be cancelled meanwhile, and goes on afterwards. */
static void test_wait_for_layer(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/millrace/layers/making", rig_base_dir);
	struct sandbox_spec spec = { .marked = rig_marked, .marked_count = 2 };
	struct diag diag = DIAG_INIT;
	struct rig rig = { 0 };
	struct other_maker other = { -1, 5 };
	int left = 5, log_fd = rig_open_log();

	if (rig_skipped)
		skip();
	assert_int_equal(sandbox_host_new(&rig.host, &(struct sandbox_host_options){ rig_cas, false }, &diag), 0);
	other.lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_true(other.lock_fd >= 0);
	assert_int_equal(flock(other.lock_fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(sandbox_new(&rig.sandbox, rig.host, &spec, &diag), 0);
	rig_put_base(sandbox_tree(rig.sandbox));
	for (unsigned i = 0; i < 40; i++) { /* far from every layer that is there */
		_cleanup_free_ char *name = xasprintf("waiting-%u", i);

		rig_put(sandbox_tree(rig.sandbox), name, name, false);
	}
	assert_int_equal(sandbox_staged(rig.sandbox, &diag), 0);
	rig_put_sources(sandbox_tree(rig.sandbox));
	sandbox_host_set_check(rig.host, stop_at, &left);
	assert_int_equal(rig_start(&rig, "true", true, log_fd, &diag), -ECANCELED);
	diag_release(&diag);
	sandbox_host_set_check(rig.host, let_go_at, &other);
	assert_int_equal(rig_start(&rig, "cat /waiting-7", true, log_fd, &diag), SANDBOX_SUCCESS);
	assert_int_equal(other.lock_fd, -1);
	close(log_fd);
	rig_release(&rig);
}

static void test_stop(void **state)
{
	struct diag diag = DIAG_INIT;
	struct stat before, after;
	struct rig rig;
	int log_fd;

	if (rig_skipped)
		skip();
	rig_init(&rig, false, NULL);
	log_fd = rig_open_log();
	assert_int_equal(rig_start(&rig, "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo tick; sleep 0.05; done", true, log_fd, &diag),
			 SANDBOX_SUCCESS);
	wait_for_log(log_fd, 140);
	sandbox_signal(rig.sandbox, SIGSTOP);
	usleep(100000);
	fstat(log_fd, &before);
	usleep(300000);
	fstat(log_fd, &after);
	assert_int_equal(before.st_size, after.st_size);
	sandbox_signal(rig.sandbox, SIGCONT);
	assert_int_equal(sandbox_finish(rig.sandbox, &rig.result, &diag), SANDBOX_SUCCESS);
	close(log_fd);
	rig_release(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill), cmocka_unit_test(test_left_running),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_sudden_death),
		cmocka_unit_test(test_give_up),
		cmocka_unit_test(test_wait_for_layer),
	};

	return cmocka_run_group_tests_name("endings", tests, rig_setup, rig_teardown);
}
