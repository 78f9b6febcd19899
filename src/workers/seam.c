/* workers/seam.c: dying at a chosen boundary, for tests; compiled into test programs only (see worker.h). */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "workers/workers_internal.h"

void (*worker_test_hook)(enum worker_boundary boundary, uint32_t incarnation, uint64_t job, int fd);

static void log_death(void)
{
	const char *path = getenv("MILLRACE_TEST_DIE_LOG");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

	if (fd >= 0 && write(fd, "x", 1) != 1)
		bug("MILLRACE_TEST_DIE_LOG: cannot be written");
	close_fd(fd);
}

/* Besides signals: what a worker can do to its socket. */
enum { BABBLE = 100, CLOSE = 101 };

static void misbehave(int number, int fd)
{
	if (number == BABBLE && send(fd, "what is this", 12, MSG_NOSIGNAL) < 0)
		bug("babbling failed");
	if (number == CLOSE && dup3(open("/dev/null", O_RDWR | O_CLOEXEC), fd, O_CLOEXEC) < 0)
		bug("closing failed");
	if (number == BABBLE || number == CLOSE)
		sleep(30); /* it will not live that long */
	else
		raise(number);
}

void worker_seam_deadlines(struct pool_config *config)
{
	const char *told = getenv("MILLRACE_TEST_PING_MS"); /* after how long, how long */
	long after_ms, deadline_ms;

	if (!told || sscanf(told, "%ld:%ld", &after_ms, &deadline_ms) != 2)
		return;
	config->ping_after_us = after_ms * 1000;
	config->ping_deadline_us = deadline_ms * 1000;
}

static void die_as_told(enum worker_boundary boundary, uint32_t incarnation, int fd)
{
	const char *told = getenv("MILLRACE_TEST_DIE");
	unsigned every;
	char name[32];
	int number;

	if (!told || sscanf(told, "%31[a-z]:%d:%u", name, &number, &every) != 3 || every == 0)
		return;
	if (incarnation % every != 1 % every || !str_eq(name, worker_boundary_names[boundary]))
		return;
	log_death();
	misbehave(number, fd);
}

void worker_seam(struct worker *worker, enum worker_boundary boundary)
{
	if (worker->hooks) /* inline: the parent is not to die */
		return;
	if (worker_test_hook)
		worker_test_hook(boundary, worker->incarnation, worker->job ? worker->job->id : 0, worker->fd);
	else
		die_as_told(boundary, worker->incarnation, worker->fd);
}
