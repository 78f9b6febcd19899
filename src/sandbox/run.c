/* A batch from tree to tree: prepare the tree, build its root, run, capture. */
#include "sandbox/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"

enum { STATUS_MAX = 65536 };

int sandbox_new(struct sandbox **ret, struct sandbox_host *host, const struct sandbox_spec *spec, struct diag *diag)
{
	struct sandbox *sandbox = xcalloc(1, sizeof *sandbox);
	int r = cas_tree_new(&sandbox->tree, host->cas, NULL);

	if (r < 0) {
		free(sandbox);
		return diag_errno(diag, "sandbox", NULL, -r, "Failed to make a sandbox");
	}
	sandbox->host = host;
	sandbox->spec = *spec;
	sandbox->scratch_fd = sandbox->pidfd = sandbox->status_fd = sandbox->log_fd = -1;
	*ret = sandbox;
	return 0;
}

struct cas_tree *sandbox_tree(struct sandbox *sandbox)
{
	return sandbox->tree;
}

int sandbox_staged(struct sandbox *sandbox, struct diag *diag)
{
	int r = cas_tree_digest(sandbox->tree, "", &sandbox->base);

	if (r < 0)
		return diag_errno(diag, "sandbox", NULL, -r, "Failed to store the staged tree");
	sandbox->staged = true;
	return 0;
}

static void wait_for_end(struct sandbox *sandbox);

static void end_batch(struct sandbox *sandbox)
{
	close_fd(steal_fd(&sandbox->pidfd));
	close_fd(steal_fd(&sandbox->status_fd));
	close_fd(steal_fd(&sandbox->log_fd));
	sandbox->pid = 0;
	buf_clear(&sandbox->status);
	if (sandbox->scratch_fd < 0)
		return;
	fs_remove_all(sandbox->scratch_fd, "upper");
	fs_remove_all(sandbox->scratch_fd, "work");
	fs_remove_all(sandbox->scratch_fd, "root");
	unlinkat(sandbox->scratch_fd, "l0", 0);
	unlinkat(sandbox->scratch_fd, "l1", 0);
}

void sandbox_free(struct sandbox *sandbox)
{
	if (!sandbox)
		return;
	if (sandbox->pid > 0) {
		sandbox_kill(sandbox);
		wait_for_end(sandbox);
	}
	end_batch(sandbox);
	if (sandbox->scratch_fd >= 0) {
		fs_remove_all(sandbox->host->sandboxes_fd, sandbox->scratch);
		close_fd(sandbox->scratch_fd);
	}
	sandbox_layers_release(&sandbox->layers);
	cas_tree_free(sandbox->tree);
	buf_release(&sandbox->status);
	buf_release(&sandbox->label);
	free(sandbox);
}

/* ---- preparing the tree ---- */

static bool has_command(struct sandbox *sandbox, const struct sandbox_command *command)
{
	const char *name = command->argv[0], *path = sandbox_environment_get(command, "PATH");
	struct cas_entry entry;

	if (name[0] == '/')
		return cas_tree_lookup(sandbox->tree, name, true, &entry) >= 0;
	if (strchr(name, '/'))
		return false;
	while (path) {
		const char *end = strchrnul(path, ':');
		char *try = xasprintf("%.*s/%s", (int)(end - path), path, name);
		int r = cas_tree_lookup(sandbox->tree, try, true, &entry);

		free(try);
		if (r >= 0)
			return true;
		path = *end ? end + 1 : NULL;
	}
	return false;
}

static int make_directory(struct sandbox *sandbox, const char *path, bool writable, struct diag *diag)
{
	int r = cas_tree_mkdir(sandbox->tree, path);

	if (r >= 0 && writable)
		r = cas_tree_set_read_only(sandbox->tree, path, CAS_READ_WRITE);
	if (r == -ENOTDIR)
		return diag_set(diag, "sandbox", "not-a-directory",
				"Cannot make directory '%s' in the sandbox: something else is in its way", path), r;
	return r < 0 ? diag_errno(diag, "sandbox", NULL, -r, "Cannot make directory '%s' in the sandbox", path) : 0;
}

/* What must be there to mount on and to start in; under a read-only root the writable ones are marked in the tree. */
static int prepare_tree(struct sandbox *sandbox, const struct sandbox_batch *batch, struct diag *diag)
{
	static const char *const needed[] = { "dev", "proc", "tmp" };
	bool read_only = batch->root_read_only;
	int r = 0;

	if (batch->first.cwd[1])
		r = make_directory(sandbox, batch->first.cwd, false, diag);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(needed); i++)
		r = make_directory(sandbox, needed[i], read_only, diag);
	for (uint32_t i = 0; r >= 0 && i < sandbox->spec.marked_count; i++)
		r = make_directory(sandbox, sandbox->spec.marked[i], read_only, diag);
	if (r >= 0 && batch->shell)
		r = sandbox_mount_points(sandbox, batch->shell, diag);
	if (r >= 0 && read_only)
		r = cas_tree_set_read_only(sandbox->tree, "", CAS_READ_ONLY);
	return r;
}

/* ---- the root on disk ---- */

static int make_scratch(struct sandbox *sandbox, struct diag *diag)
{
	struct sandbox_host *host = sandbox->host;
	struct stat st;
	int r;

	for (int attempt = 0; sandbox->scratch_fd < 0 && attempt < 10; attempt++) {
		int fd;

		snprintf(sandbox->scratch, sizeof sandbox->scratch, "%d-%u", (int)getpid(), host->counter++);
		if (mkdirat(host->sandboxes_fd, sandbox->scratch, 0755) < 0 && errno != EEXIST)
			return diag_errno(diag, "sandbox", NULL, errno, "Failed to make a scratch directory");
		fd = openat(host->sandboxes_fd, sandbox->scratch, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		/* a sweeper of another process may have come between */
		if (sandbox_lock(fd, true) < 0 || fstatat(host->sandboxes_fd, sandbox->scratch, &st, 0) < 0) {
			close_fd(fd);
			continue;
		}
		sandbox->scratch_fd = fd;
	}
	if (sandbox->scratch_fd < 0)
		return diag_errno(diag, "sandbox", NULL, EAGAIN, "Failed to make a scratch directory");
	end_batch(sandbox);
	r = mkdirat(sandbox->scratch_fd, "root", 0755);
	return r < 0 ? diag_errno(diag, "sandbox", NULL, errno, "Failed to make a scratch directory") : 0;
}

static int link_layers(struct sandbox *sandbox)
{
	for (unsigned i = 0; i < sandbox->layers.count; i++) {
		char *target = xasprintf("../../layers/%s/tree", sandbox->layers.names[i]);
		int r = symlinkat(target, sandbox->scratch_fd, i ? "l1" : "l0") < 0 ? -errno : 0;

		free(target);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_root(struct sandbox *sandbox, const char *where, const struct digest *below, const struct digest *tree,
		      struct diag *diag)
{
	struct sandbox_size size = { 0 };
	_cleanup_close_ int fd = openat(sandbox->scratch_fd, where, O_DIRECTORY | O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return diag_errno(diag, "sandbox", NULL, errno, "Failed to write the sandbox's root");
	return sandbox_write_difference(sandbox->host, fd, below, tree, &size, diag);
}

/* The tree as a directory: layers and what goes over them, or all of it. */
static int make_root(struct sandbox *sandbox, struct diag *diag)
{
	struct digest tree;
	int r = cas_tree_digest(sandbox->tree, "", &tree);

	if (r < 0)
		return diag_errno(diag, "sandbox", NULL, -r, "Failed to store the sandbox's tree");
	sandbox->shown = tree;
	r = make_scratch(sandbox, diag);
	if (r < 0)
		return r;
	sandbox->way = sandbox->host->mode ? SANDBOX_OVERLAY : SANDBOX_COPY;
	if (sandbox->way == SANDBOX_COPY)
		return write_root(sandbox, "root", NULL, &tree, diag);
	if (!sandbox->staged) {
		sandbox->base = tree;
		sandbox->staged = true;
	}
	if (!sandbox->layers.count || !digest_eq(&sandbox->layers.digest, &sandbox->base)) {
		sandbox_layers_release(&sandbox->layers);
		r = sandbox_layers_get(sandbox->host, &sandbox->base, &sandbox->layers, diag);
		if (r < 0)
			return r;
	}
	r = link_layers(sandbox);
	if (r >= 0 && (mkdirat(sandbox->scratch_fd, "upper", 0755) < 0 || mkdirat(sandbox->scratch_fd, "work", 0755) < 0))
		r = -errno;
	if (r < 0)
		return diag_errno(diag, "sandbox", NULL, -r, "Failed to write the sandbox's root");
	return write_root(sandbox, "upper", &sandbox->base, &tree, diag);
}

/* ---- starting ---- */

static bool wants_linux32(const struct sandbox *sandbox)
{
	struct utsname uts;

	return sandbox->spec.config && str_eq(sandbox->spec.config->build_arch, "x86-32") && uname(&uts) == 0 &&
	       str_eq(uts.machine, "x86_64");
}

enum { BWRAP_ARGS = 5 }; /* before the command */

/* bubblewrap and what it runs: the script, or the shell's command. */
static char **make_argv(const struct sandbox_batch *batch, char *args_number, char *status_number)
{
	const char *const script[] = { "sh", "-c", "-e", batch->script.data };
	const char *const *command = batch->shell ? batch->first.argv : script;
	uint32_t count = batch->shell ? batch->first.argc : ARRAY_SIZE(script);
	char **argv = xcalloc(count + BWRAP_ARGS + 1u, sizeof(*argv));

	argv[0] = (char *)"bwrap";
	argv[1] = (char *)"--args";
	argv[2] = args_number;
	argv[3] = (char *)"--json-status-fd";
	argv[4] = status_number;
	memcpy(argv + BWRAP_ARGS, command, count * sizeof(*argv));
	return argv;
}

static int spawn(struct sandbox *sandbox, const struct sandbox_batch *batch, struct diag *diag)
{
	_cleanup_close_ int args_fd = sandbox_arguments(sandbox, batch), status_write = -1;
	char args_number[12], status_number[12];
	struct sandbox_spawn how = { .mode = sandbox->host->mode, .layer_count = sandbox->layers.count,
				     .bwrap = sandbox->host->bwrap, .scratch_fd = sandbox->scratch_fd };
	int pipe_fds[2];
	pid_t pid;

	if (args_fd < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
		return diag_errno(diag, "sandbox", NULL, args_fd < 0 ? -args_fd : errno, "Failed to start the sandbox");
	sandbox->status_fd = pipe_fds[0];
	status_write = pipe_fds[1];
	fcntl(sandbox->status_fd, F_SETFL, O_NONBLOCK);
	snprintf(args_number, sizeof args_number, "%d", args_fd);
	snprintf(status_number, sizeof status_number, "%d", status_write);
	how.args_fd = args_fd;
	how.status_fd = status_write;
	how.log_fd = sandbox->log_fd;
	how.linux32 = wants_linux32(sandbox);
	how.shell = batch->shell != NULL;
	how.jobserver = batch->jobserver;
	how.argv = make_argv(batch, args_number, status_number);
	/* What bubblewrap leaves behind becomes our child, to be waited for. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = sandbox_spawn(&how);
	free(how.argv);
	if (pid < 0)
		return diag_errno(diag, "sandbox", NULL, (int)-pid, "Failed to start the sandbox");
	sandbox->pid = pid;
	sandbox->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (sandbox->pidfd < 0)
		return diag_errno(diag, "sandbox", NULL, errno, "Failed to watch the sandbox");
	fcntl(sandbox->pidfd, F_SETFD, FD_CLOEXEC);
	return 0;
}

int sandbox_start(struct sandbox *sandbox, const struct sandbox_batch *batch, int log_fd, struct diag *diag)
{
	int64_t start = util_now_us();
	struct sandbox_command wanted;
	int r;

	assert(sandbox->pid == 0);
	if (!batch->any)
		return SANDBOX_NOTHING;
	r = sandbox_host_prepare(sandbox->host, diag);
	if (r >= 0)
		r = sandbox_host_check(sandbox->host, sandbox->spec.config, diag);
	if (r < 0)
		return r;
	wanted = (struct sandbox_command){ .argv = batch->shell ? batch->first.argv : (const char *const[]){ "sh" },
					   .argc = 1,
					   .cwd = batch->first.cwd,
					   .environment = batch->first.environment,
					   .environment_count = batch->first.environment_count };
	if (!has_command(sandbox, &wanted)) {
		diag_set(diag, "sandbox", "missing-command", "Staged artifacts do not provide command '%s'", wanted.argv[0]);
		return SANDBOX_COMMAND_MISSING;
	}
	sandbox->read_only = batch->root_read_only;
	sandbox->shell = batch->shell != NULL;
	sandbox->killed = false;
	r = prepare_tree(sandbox, batch, diag);
	if (r >= 0)
		r = make_root(sandbox, diag);
	if (r >= 0) {
		sandbox->log_fd = fcntl(log_fd, F_DUPFD_CLOEXEC, 3);
		sandbox->log_start = lseek(log_fd, 0, SEEK_END);
		r = sandbox->log_fd < 0 ? diag_errno(diag, "sandbox", NULL, errno, "Failed to open the log") :
					  spawn(sandbox, batch, diag);
	}
	if (r < 0 && sandbox->pid == 0)
		end_batch(sandbox);
	sandbox->started_us = util_now_us();
	sandbox->prepare_us = sandbox->started_us - start;
	return r < 0 ? r : SANDBOX_SUCCESS;
}

int sandbox_pidfd(const struct sandbox *sandbox)
{
	return sandbox->pidfd;
}

/* ---- the end ---- */

static void read_status(struct sandbox *sandbox)
{
	while (sandbox->status.len < STATUS_MAX) {
		ssize_t n = fs_read_some(sandbox->status_fd, buf_room(&sandbox->status, 512), 512);

		if (n <= 0)
			return;
		sandbox->status.len += (size_t)n;
		sandbox->status.data[sandbox->status.len] = '\0';
	}
}

/* A number of bubblewrap's JSON, or -1. */
static int status_number(const struct sandbox *sandbox, const char *member)
{
	const char *found = strstr(buf_text(&sandbox->status), member);

	if (!found)
		return -1;
	found += strlen(member);
	return (int)strtol(found + strspn(found, "\": "), NULL, 10);
}

void sandbox_kill(struct sandbox *sandbox)
{
	int inner;

	if (sandbox->pid <= 0)
		return;
	sandbox->killed = true;
	read_status(sandbox);
	inner = status_number(sandbox, "\"child-pid\"");
	/* The init of the pid namespace takes all with it, and bubblewrap ends when they are gone.  Before there is one,
	 * bubblewrap itself goes. */
	if (inner > 1 && kill(inner, SIGKILL) == 0)
		return;
	kill(sandbox->pid, SIGKILL);
}

/* bubblewrap ends with the command, not with what that has left running.  Its end takes the init of the pid namespace along, and that
 * all the others; but until they are gone, somebody may write to files that are about to be hashed.  That init is our child
 * now: see sandbox_start. */
static void wait_for_rest(struct sandbox *sandbox)
{
	int inner = status_number(sandbox, "\"child-pid\"");
	siginfo_t info;

	if (inner <= 1 || waitid(P_PID, (id_t)inner, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return;
	kill(inner, SIGKILL); /* bubblewrap may have been killed before it had arranged for that */
	while (waitpid(inner, NULL, 0) < 0 && errno == EINTR)
		;
}

static void wait_for_end(struct sandbox *sandbox)
{
	while (waitpid(sandbox->pid, NULL, 0) < 0 && errno == EINTR)
		;
	read_status(sandbox);
	wait_for_rest(sandbox);
}

/* The last line the script writes when a command fails: "Command 'label' failed with exitcode N". */
static void find_label(struct sandbox *sandbox, struct sandbox_result *ret)
{
	enum { TAIL = 65536 };
	static const char begin[] = "Command '", end[] = "' failed with exitcode ";
	_cleanup_free_ char *text = xmalloc(TAIL + 1);
	off_t size = lseek(sandbox->log_fd, 0, SEEK_END), from = size > TAIL ? size - TAIL : 0;
	char *found = NULL, *label = NULL;
	ssize_t n;

	from = MAX(from, sandbox->log_start);
	n = size < 0 ? -1 : pread(sandbox->log_fd, text, TAIL, from);
	if (n <= 0)
		return;
	text[n] = '\0';
	for (char *p = text; (p = memmem(p, (size_t)(text + n - p), end, sizeof end - 1)); p++)
		found = p;
	for (char *p = text; found && (p = memmem(p, (size_t)(found - p), begin, sizeof begin - 1)); p++)
		if (p == text || p[-1] == '\n')
			label = p;
	if (!label)
		return;
	label += sizeof begin - 1;
	buf_clear(&sandbox->label);
	buf_add(&sandbox->label, label, (size_t)(found - label));
	ret->label = buf_text(&sandbox->label);
	ret->exit_code = (int)strtol(found + sizeof end - 1, NULL, 10);
}

static int judge(struct sandbox *sandbox, struct sandbox_result *ret, struct diag *diag)
{
	const char *own = strstr(buf_text(&sandbox->status), "millrace: ");
	int code = status_number(sandbox, "\"exit-code\"");

	if (sandbox->killed) {
		ret->outcome = SANDBOX_KILLED;
		return 0;
	}
	if (own)
		return diag_set(diag, "sandbox", NULL, "The sandbox could not be set up: %.*s", (int)strcspn(own + 10, "\n"),
				own + 10);
	if (code < 0 && geteuid() != 0)
		return diag_set(diag, "sandbox", NULL,
				"bubblewrap failed; the log has its message (an ordinary user needs user namespaces: see "
				"sysctl user.max_user_namespaces and kernel.unprivileged_userns_clone)");
	if (code < 0)
		return diag_set(diag, "sandbox", NULL, "bubblewrap failed; the log has its message");
	ret->exit_code = code;
	ret->outcome = code == 0 ? SANDBOX_SUCCESS : SANDBOX_COMMAND_FAILED;
	if (code != 0 && !sandbox->shell)
		find_label(sandbox, ret);
	return 0;
}

int sandbox_finish(struct sandbox *sandbox, struct sandbox_result *ret, struct diag *diag)
{
	int64_t ended;
	int r;

	assert(sandbox->pid > 0);
	*ret = (struct sandbox_result){ .way = sandbox->way };
	wait_for_end(sandbox);
	ended = util_now_us();
	ret->prepare_us = sandbox->prepare_us;
	ret->run_us = ended - sandbox->started_us;
	r = judge(sandbox, ret, diag);
	if (r >= 0 && ret->outcome != SANDBOX_KILLED && !sandbox->shell)
		r = sandbox_capture_batch(sandbox, ret, diag);
	end_batch(sandbox);
	ret->capture_us = util_now_us() - ended;
	return r < 0 ? r : (int)ret->outcome;
}
