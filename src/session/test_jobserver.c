/* session/test_jobserver.c: the pipes of the budget of compilers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "session/jobserver.h"

/* A named pipe holds the tokens given, is gone with its build, and those that others left long ago go too; nothing else does. */
static void test_named_pipes(void **unused UNUSED)
{
	const struct timespec long_ago[2] = { { .tv_sec = 1000000 }, { .tv_sec = 1000000 } };
	char top[] = "/tmp/test_fifos.XXXXXX", prefix[64], path[96], bytes[8];
	struct jobserver_build build = { .want = 2, .most = 3, .fifo = 42 };
	struct jobserver_pipe tube;
	struct jobserver *server;
	struct loop *loop;
	struct stat st;
	int top_fd, fd;

	assert_non_null(mkdtemp(top));
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkfifoat(top_fd, "jobserver-17-1", 0600), 0);
	assert_int_equal(mkfifoat(top_fd, "jobserver-18-1", 0600), 0);
	close(openat(top_fd, "jobserver-19-1", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); /* no pipe */
	assert_int_equal(mkfifoat(top_fd, "other-17-1", 0600), 0);
	assert_int_equal(utimensat(top_fd, "jobserver-17-1", long_ago, 0), 0);
	assert_int_equal(utimensat(top_fd, "jobserver-19-1", long_ago, 0), 0);
	assert_int_equal(utimensat(top_fd, "other-17-1", long_ago, 0), 0);
	snprintf(prefix, sizeof(prefix), "%s/jobserver-20-", top);
	snprintf(path, sizeof(path), "%s42", prefix);
	assert_int_equal(loop_new(&loop), 0);
	server = jobserver_new(loop, 4, 2, prefix);
	assert_int_equal(jobserver_join(server, 1, &build, &tube), 0);
	assert_int_equal(tube.tokens, 2);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 2);
	close(fd);
	assert_int_equal(fstatat(top_fd, "jobserver-17-1", &st, 0), -1);
	jobserver_leave(server, 1);
	assert_int_equal(stat(path, &st), -1);
	build.fifo = 18; /* a name that is taken is not taken over */
	snprintf(path, sizeof(path), "%s18", prefix);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(jobserver_join(server, 0, &build, &tube), -EEXIST);
	assert_int_equal(jobserver_given(server), 0);
	jobserver_free(server);
	loop_free(loop);
	assert_int_equal(unlinkat(top_fd, "jobserver-18-1", 0) | unlinkat(top_fd, "jobserver-19-1", 0) | unlinkat(top_fd, "other-17-1", 0), 0);
	assert_int_equal(unlink(path), 0); /* still there */
	close(top_fd);
	assert_int_equal(rmdir(top), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_named_pipes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
