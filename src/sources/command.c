/* Host tools that some kinds need (patch, git): run, watched, their output kept. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "sources/sources_internal.h"

enum { OUTPUT_MAX = 64 << 20, DETAIL_MAX = 64 << 10 };

extern char **environ;

int sources_scratch(struct sources_context *ctx, char **ret)
{
	_cleanup_free_ char *path = xasprintf("%s/source-XXXXXX", ctx->tmpdir);
	int r = fs_mkdir_p(AT_FDCWD, ctx->tmpdir, 0755);

	if (r == 0 && !mkdtemp(path))
		r = -errno;
	if (r < 0) {
		diag_errno(ctx->diag, "source", NULL, -r, "Cannot make a directory in %s", ctx->tmpdir);
		return r;
	}
	*ret = steal_pointer(&path);
	return 0;
}

/* The child starts with signals as a shell would give them: a worker ignores SIGPIPE. */
static int spawn(const char *const *argv, int out, int err, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawnp(pid, argv[0], &actions, &attributes, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

static int wait_for(struct sources_context *ctx, pid_t pid, int *status)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r = pidfd < 0 ? -errno : 0;

	while (r == 0) {
		struct pollfd fd = { .fd = pidfd, .events = POLLIN };

		r = sources_wait(ctx, &fd, 1, -1);
	}
	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	return r < 0 ? r : 0;
}

/* What a file in memory holds from its beginning. */
static int read_back(struct buf *ret, int fd)
{
	return lseek(fd, 0, SEEK_SET) < 0 ? -errno : fs_read_fd(ret, fd, OUTPUT_MAX);
}

int sources_run(struct sources_context *ctx, const char *const *argv, const char *fail, struct buf *output)
{
	_cleanup_close_ int out = memfd_create("output", MFD_CLOEXEC), err = -1;
	_cleanup_buf_ struct buf text = BUF_INIT;
	int status = 0, r;
	pid_t pid;

	if (output)
		err = memfd_create("errors", MFD_CLOEXEC);
	if (out < 0 || (output && err < 0))
		return diag_errno(ctx->diag, "source", NULL, errno, "Cannot run %s", argv[0]);
	r = spawn(argv, out, output ? err : out, &pid);
	if (r < 0) {
		diag_errno(ctx->diag, "source", "missing-host-tool", -r, "Cannot run the host tool '%s'", argv[0]);
		return r;
	}
	r = wait_for(ctx, pid, &status);
	if (r < 0)
		return r;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return output ? read_back(output, out) : 0;
	diag_set(ctx->diag, "source", NULL, "%s", fail);
	if (read_back(&text, output ? err : out) == 0 && text.len)
		diag_detail(ctx->diag, "%.*s", (int)MIN(text.len, (size_t)DETAIL_MAX), text.data);
	return -EIO;
}
