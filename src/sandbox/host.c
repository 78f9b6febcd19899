/* What this machine can do, and the directories of the room: probing, sweeping. */
#include "sandbox/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"

/* Tried in this order.  volatile spares the syncs that copying a file up costs otherwise: the layer is thrown away.
 * userxattr is what an ordinary user must have; root takes it too, so that layers do not depend on who made them. */
static const struct sandbox_mode modes[] = {
	{ false, "userxattr,volatile", "overlay (userxattr, volatile)" },
	{ false, "userxattr", "overlay (userxattr)" },
	{ false, "volatile", "overlay (volatile)" },
	{ false, "index=off,metacopy=off,redirect_dir=off", "overlay" },
	{ true, "userxattr,volatile", "overlay (user namespace, userxattr, volatile)" },
	{ true, "userxattr", "overlay (user namespace, userxattr)" },
};

int sandbox_host_new(struct sandbox_host **ret, const struct sandbox_host_options *options, struct diag *diag)
{
	struct sandbox_host *host = xcalloc(1, sizeof *host);

	host->cas = options->cas;
	host->no_overlay = options->no_overlay;
	host->layers_max_bytes = options->layers_max_bytes ? options->layers_max_bytes : (uint64_t)20 << 30;
	host->layers_fd = host->sandboxes_fd = -1;
	buf_printf(&host->base, "%s/millrace", cas_cachedir(options->cas));
	*ret = host;
	return 0;
}

void sandbox_host_free(struct sandbox_host *host)
{
	if (!host)
		return;
	close_fd(host->layers_fd);
	close_fd(host->sandboxes_fd);
	buf_release(&host->base);
	buf_release(&host->reason);
	free(host->bwrap);
	free(host);
}

void sandbox_host_set_check(struct sandbox_host *host, int (*check)(void *data), void *data)
{
	host->check = check;
	host->check_data = data;
}

int sandbox_host_ask(struct sandbox_host *host)
{
	return host->check ? host->check(host->check_data) : 0;
}

int sandbox_lock(int fd, bool exclusive)
{
	while (flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int write_map(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fs_write_all(fd, text, strlen(text));
}

static int map_user(unsigned uid, unsigned gid)
{
	char text[64];
	int r = write_map("/proc/self/setgroups", "deny");

	if (r < 0 && r != -ENOENT)
		return r;
	snprintf(text, sizeof text, "0 %u 1\n", uid);
	r = write_map("/proc/self/uid_map", text);
	if (r < 0)
		return r;
	snprintf(text, sizeof text, "0 %u 1\n", gid);
	return write_map("/proc/self/gid_map", text);
}

int sandbox_enter(const struct sandbox_mode *mode)
{
	unsigned uid = geteuid(), gid = getegid();

	if (unshare(CLONE_NEWNS | (mode->user_namespace ? CLONE_NEWUSER : 0)) < 0)
		return -errno;
	if (mode->user_namespace) {
		int r = map_user(uid, gid);

		if (r < 0)
			return r;
	}
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -errno : 0;
}

int sandbox_mount(const struct sandbox_mode *mode, unsigned layer_count)
{
	char options[256];

	snprintf(options, sizeof options, "lowerdir=%s,upperdir=upper,workdir=work,%s", layer_count > 1 ? "l0:l1" : "l0",
		 mode->options);
	return mount("overlay", "root", "overlay", MS_NOSUID | MS_NODEV, options) < 0 ? -errno : 0;
}

/* ---- probing ---- */

/* In the child: does an overlay mount, and does it do what we need (copy up, delete)? */
static int try_mode(const struct sandbox_mode *mode, int scratch_fd)
{
	int r, fd;

	if (fchdir(scratch_fd) < 0) /* before sandbox_enter: descriptors stay in the mount namespace they came from */
		return errno;
	r = sandbox_enter(mode);
	if (r >= 0)
		r = sandbox_mount(mode, 1);
	if (r < 0)
		return -r;
	fd = open("root/a", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) < 0 || unlink("root/a") < 0 || mkdir("root/a", 0755) < 0 ||
	    rmdir("root/d") < 0)
		return errno ? errno : EIO;
	return 0;
}

static int make_probe(int sandboxes_fd, char name[32])
{
	static const char *const dirs[] = { "", "/l0", "/l0/d", "/upper", "/work", "/root" };
	char path[64];

	snprintf(name, 32, "probe-%d", (int)getpid());
	fs_remove_all(sandboxes_fd, name);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof path, "%s%s", name, dirs[i]);
		if (mkdirat(sandboxes_fd, path, 0755) < 0)
			return -errno;
	}
	snprintf(path, sizeof path, "%s/l0/a", name);
	return fs_write_file(sandboxes_fd, path, "a", 1, 0644);
}

/* 0 if the mode works, else why not (positive errno). */
static int probe_mode(const struct sandbox_host *host, const struct sandbox_mode *mode)
{
	char name[32];
	int status = 0, r = make_probe(host->sandboxes_fd, name), fd;
	pid_t pid;

	if (r < 0)
		return -r;
	fd = openat(host->sandboxes_fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	pid = fork();
	if (pid < 0)
		return errno;
	if (pid == 0)
		_exit(try_mode(mode, fd));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close_fd(fd);
	fs_remove_all(host->sandboxes_fd, name);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

static void probe(struct sandbox_host *host)
{
	int why = 0;

	host->probed = true;
	if (host->no_overlay) {
		buf_adds(&host->reason, "copy: as asked for");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (!modes[i].user_namespace && geteuid() != 0)
			continue;
		why = probe_mode(host, &modes[i]);
		if (why == 0) {
			host->mode = &modes[i];
			buf_adds(&host->reason, modes[i].description);
			return;
		}
	}
	buf_printf(&host->reason, "copy: mounting an overlay failed: %s", strerror(why));
}

enum sandbox_way sandbox_host_way(struct sandbox_host *host)
{
	if (!host->probed && sandbox_host_prepare(host, NULL) < 0)
		return SANDBOX_COPY;
	return host->mode ? SANDBOX_OVERLAY : SANDBOX_COPY;
}

const char *sandbox_host_reason(struct sandbox_host *host)
{
	sandbox_host_way(host);
	return buf_text(&host->reason);
}

/* ---- directories ---- */

static int open_below(struct sandbox_host *host, const char *name, int *ret, struct diag *diag)
{
	char *path = xasprintf("%s/%s", buf_text(&host->base), name);
	int r = fs_mkdir_p(AT_FDCWD, path, 0755);

	if (r >= 0) {
		*ret = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		r = *ret < 0 ? -errno : 0;
	}
	if (r < 0)
		diag_errno(diag, "sandbox", NULL, -r, "Failed to make '%s'", path);
	free(path);
	return r;
}

static char *find_bwrap(void)
{
	const char *path = getenv("PATH");

	for (const char *p = path ? path : "/usr/bin:/bin"; *p;) {
		size_t len = strcspn(p, ":");
		char *try = xasprintf("%.*s/bwrap", (int)len, p);

		if (try[0] == '/' && access(try, X_OK) == 0)
			return try;
		free(try);
		p += len + (p[len] == ':');
	}
	return NULL;
}

/* Asks the file system to put the directories made in this one far from each other.  ext4 does not hand out an inode for a minute
 * or more after its file was removed, and a new file has to walk past all such inodes of its directory's block group; beside
 * the remains of the sandbox before, making a file takes up to ten times as long.  Elsewhere the flag is unknown or does nothing. */
static void spread(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && !(flags & FS_TOPDIR_FL)) {
		flags |= FS_TOPDIR_FL;
		(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
}

int sandbox_host_open(struct sandbox_host *host, struct diag *diag)
{
	int r = 0;

	if (host->layers_fd < 0 && (r = open_below(host, "layers", &host->layers_fd, diag)) >= 0)
		spread(host->layers_fd);
	if (r >= 0 && host->sandboxes_fd < 0 && (r = open_below(host, "sandboxes", &host->sandboxes_fd, diag)) >= 0)
		spread(host->sandboxes_fd);
	return r;
}

int sandbox_host_prepare(struct sandbox_host *host, struct diag *diag)
{
	int r = sandbox_host_open(host, diag);

	if (r < 0)
		return r;
	if (!host->bwrap)
		host->bwrap = find_bwrap();
	if (!host->swept)
		sandbox_host_sweep(host);
	if (!host->probed)
		probe(host);
	return 0;
}

static int sweep_name(void *data, int dirfd, const char *name)
{
	const char *const *prefix = data;
	int lock = str_starts(name, *prefix) ? openat(dirfd, name, O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC) : -1;

	if (lock >= 0 && sandbox_lock(lock, true) == 0)
		fs_remove_all(dirfd, name);
	close_fd(lock);
	return 0;
}

/* Removes the entries of dirfd that nobody holds locked; only those beginning with prefix. */
static void sweep_unlocked(int dirfd, const char *prefix)
{
	(void)fs_each_name(dirfd, ".", sweep_name, &prefix);
}

void sandbox_host_sweep(struct sandbox_host *host)
{
	host->swept = true;
	if (host->layers_fd < 0 && sandbox_host_prepare(host, NULL) < 0)
		return;
	sweep_unlocked(host->sandboxes_fd, "");
	sweep_unlocked(host->layers_fd, "tmp.");
	sandbox_layers_sweep(host);
}

int sandbox_host_check(struct sandbox_host *host, const struct graph_sandbox *config, struct diag *diag)
{
	static const struct {
		const char *machine, *arch;
	} archs[] = {
		{ "x86_64", "x86-64" }, { "amd64", "x86-64" }, { "x86_64", "x86-32" }, { "i686", "x86-32" },
		{ "i586", "x86-32" }, { "i486", "x86-32" }, { "i386", "x86-32" }, { "aarch64", "aarch64" },
		{ "aarch64_be", "aarch64-be" }, { "armv7l", "aarch32" }, { "armv8l", "aarch32" }, { "aarch64", "aarch32" },
		{ "ppc64", "power-isa-be" }, { "ppc64le", "power-isa-le" }, { "sparc", "sparc-v9" }, { "sparc64", "sparc-v9" },
	};
	struct utsname uts;

	if (!host->bwrap)
		host->bwrap = find_bwrap();
	if (!host->bwrap)
		return diag_set(diag, "sandbox", "unavailable-local-sandbox", "bwrap not found: it comes with the package bubblewrap");
	if (!config || uname(&uts) < 0)
		return 0;
	if (config->build_os && !str_eq(config->build_os, "linux"))
		return diag_set(diag, "sandbox", "unavailable-local-sandbox", "OS '%s' is not supported by this machine.",
				config->build_os);
	if (!config->build_arch || str_eq(config->build_arch, uts.machine))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(archs); i++)
		if (str_eq(archs[i].machine, uts.machine) && str_eq(archs[i].arch, config->build_arch))
			return 0;
	return diag_set(diag, "sandbox", "unavailable-local-sandbox", "ISA '%s' is not supported by this machine.",
			config->build_arch);
}
