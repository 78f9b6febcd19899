/* Host tools that some kinds need (patch, git): run, watched, their output kept. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
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
	*ret = path;
	path = NULL;
	return 0;
}

/* The environment with names set, as posix_spawn wants it; the array is heap, its strings are not. */
static const char **environment(const char *const *set, bool alone)
{
	size_t count = 0, extra = 0, len = 0;
	const char **ret;

	while (environ[count])
		count++;
	while (set && set[extra])
		extra++;
	ret = xreallocarray(NULL, count + extra + 1, sizeof *ret);
	for (size_t i = 0; i < extra; i++)
		ret[len++] = set[i];
	for (size_t i = 0; i < count; i++) {
		bool replaced = alone && !str_starts(environ[i], "PATH=");

		for (size_t j = 0; j < extra && !replaced; j++)
			replaced = strncmp(environ[i], set[j], strcspn(set[j], "=") + 1) == 0;
		if (!replaced)
			ret[len++] = environ[i];
	}
	ret[len] = NULL;
	return ret;
}

/* As Python prints a list of texts. */
static void not_found(struct sources_context *ctx, const char *name, const char *path)
{
	_cleanup_buf_ struct buf list = BUF_INIT;

	for (const char *at = path, *next; at; at = next) {
		size_t len = strcspn(at, ":");

		next = at[len] ? at + len + 1 : NULL;
		buf_printf(&list, "%s'%.*s'", list.len ? ", " : "", (int)len, at);
	}
	diag_set(ctx->diag, "prog-not-found", NULL, "Did not find '%s' in PATH: [%s]", name, buf_text(&list));
}

static const char *search_path(void)
{
	const char *path = getenv("PATH");

	return path ? path : "";
}

int sources_host_tool(struct sources_context *ctx, const char *name, char **ret)
{
	const char *path = search_path();

	for (const char *at = path, *next; at; at = next) {
		size_t len = strcspn(at, ":");
		_cleanup_free_ char *full = xasprintf("%.*s%s%s", (int)len, at, len ? "/" : "", name);
		struct stat st;

		next = at[len] ? at + len + 1 : NULL;
		if (access(full, X_OK) == 0 && stat(full, &st) == 0 && S_ISREG(st.st_mode)) {
			*ret = steal_pointer(&full);
			return 0;
		}
	}
	not_found(ctx, name, path);
	return -ENOENT;
}

int sources_check_argument(struct sources_context *ctx, const char *tool, const char *text)
{
	if (text && *text && *text != '-')
		return 0;
	return diag_set(ctx->diag, "source", "invalid-ref", "Not something %s could fetch: '%s'", tool, text ? text : "");
}

/* The child starts with signals as a shell would give them: a worker ignores SIGPIPE. */
static int spawn(const struct sources_command *command, int out, int err, pid_t *pid)
{
	_cleanup_free_ const char **env = environment(command->environment, command->alone);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	if (command->input > 0)
		posix_spawn_file_actions_adddup2(&actions, command->input, STDIN_FILENO);
	else
		posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
	if (command->directory)
		posix_spawn_file_actions_addchdir_np(&actions, command->directory);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawnp(pid, command->argv[0], &actions, &attributes, (char *const *)command->argv, (char *const *)env);
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

int sources_command(struct sources_context *ctx, const struct sources_command *command)
{
	_cleanup_close_ int out = memfd_create("output", MFD_CLOEXEC), err = -1;
	bool apart = command->output || command->output_fd > 0;
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *tool = command->argv[0];
	int status = 0, r;
	pid_t pid;

	if (apart)
		err = memfd_create("errors", MFD_CLOEXEC);
	if (out < 0 || (apart && err < 0))
		return diag_errno(ctx->diag, "source", NULL, errno, "Cannot run %s", tool);
	r = spawn(command, command->output_fd > 0 ? command->output_fd : out, apart ? err : out, &pid);
	if (r == -ENOENT && !strchr(tool, '/'))
		not_found(ctx, tool, search_path());
	else if (r < 0)
		diag_errno(ctx->diag, "source", NULL, -r, "Cannot run the host tool '%s'", tool);
	if (r < 0)
		return r;
	r = wait_for(ctx, pid, &status);
	if (r < 0)
		return r;
	if (command->output && (r = read_back(command->output, out)) < 0)
		return diag_errno(ctx->diag, "source", NULL, -r, "Cannot read the output of %s", tool);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (command->probe && WIFEXITED(status))
		return WEXITSTATUS(status);
	diag_set(ctx->diag, "source", NULL, "%s", command->fail ? command->fail : tool);
	if (read_back(&text, apart ? err : out) == 0 && text.len)
		diag_detail(ctx->diag, "%.*s", (int)MIN(text.len, (size_t)DETAIL_MAX), text.data);
	return -EIO;
}

int sources_run(struct sources_context *ctx, const char *const *argv, const char *fail, struct buf *output)
{
	const struct sources_command command = { .argv = argv, .fail = fail, .output = output };

	return sources_command(ctx, &command);
}
