/* The child between fork and exec: namespaces, the overlay mount, descriptors; then it is bubblewrap.
 *
 * What goes wrong here is written to status_fd as "millrace: text"; bubblewrap writes its JSON there. */
#include "sandbox/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static NORETURN void fail(int status_fd, const char *what, int err)
{
	dprintf(status_fd, "millrace: %s: %s\n", what, strerror(err));
	_exit(125);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	signal(SIGPIPE, SIG_IGN); /* the peer's runner leaves it so, and pipelines of build scripts can tell */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void set_descriptors(const struct sandbox_spawn *spawn)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (!spawn->shell &&
	    (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(spawn->log_fd, 1) < 0 || dup2(spawn->log_fd, 2) < 0))
		fail(spawn->status_fd, "descriptors", errno);
	syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
	if (fcntl(spawn->args_fd, F_SETFD, 0) < 0 || fcntl(spawn->status_fd, F_SETFD, 0) < 0)
		fail(spawn->status_fd, "descriptors", errno);
	if (spawn->jobserver && !spawn->jobserver->fifo &&
	    (fcntl(spawn->jobserver->read_fd, F_SETFD, 0) < 0 ||
	     fcntl(spawn->jobserver->write_fd, F_SETFD, 0) < 0))
		fail(spawn->status_fd, "descriptors", errno);
}

static NORETURN void child(const struct sandbox_spawn *spawn, pid_t parent)
{
	static char *no_environment[] = { NULL };
	int r = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(125);
	if (!spawn->shell)
		setsid(); /* a terminal's ^C is the session's to handle */
	reset_signals();
	umask(022);
	if (fchdir(spawn->scratch_fd) < 0) /* before the namespaces: descriptors stay in the one they came from */
		fail(spawn->status_fd, "scratch directory", errno);
	if (spawn->mode) {
		r = sandbox_enter(spawn->mode);
		if (r < 0)
			fail(spawn->status_fd, "namespaces", -r);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* new credentials have cleared it */
		if (getppid() != parent)
			_exit(125);
		r = sandbox_mount(spawn->mode, spawn->layer_count);
		if (r < 0)
			fail(spawn->status_fd, "overlay mount", -r);
	}
	set_descriptors(spawn);
	if (spawn->linux32)
		personality(PER_LINUX32);
	execve(spawn->bwrap, spawn->argv, no_environment);
	fail(spawn->status_fd, spawn->bwrap, errno);
}

pid_t sandbox_spawn(const struct sandbox_spawn *spawn)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		child(spawn, parent);
	return pid < 0 ? -errno : pid;
}
