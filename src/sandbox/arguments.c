/* What bubblewrap is told: namespaces, mounts, environment. */
#include "sandbox/sandbox_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"

static void arg(struct buf *args, const char *text)
{
	buf_add(args, text, strlen(text) + 1);
}

static void arg3(struct buf *args, const char *option, const char *a, const char *b)
{
	arg(args, option);
	arg(args, a);
	arg(args, b);
}

/* The marked directories, absolute and normalised, without the root and those that are there twice. */
static uint32_t normal_marks(const struct sandbox *sandbox, struct buf *paths, const char **ret)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < sandbox->spec.marked_count; i++) {
		_cleanup_buf_ struct buf path = BUF_INIT;

		fs_normpath(&path, sandbox->spec.marked[i]);
		if (!str_eq(buf_text(&path), "/"))
			arg(paths, buf_text(&path));
	}
	for (size_t at = 0; at < paths->len; at += strlen(paths->data + at) + 1) {
		bool again = false;

		for (uint32_t i = 0; i < count; i++)
			again |= str_eq(ret[i], paths->data + at);
		if (!again)
			ret[count++] = paths->data + at;
	}
	return count;
}

struct cover {
	const struct sandbox *sandbox;
	struct buf *args;
	const char *root; /* on the host */
	const char **marks;
	uint32_t mark_count;
};

enum cover_what { COVER, LEAVE, DESCEND };

static enum cover_what what_of(const struct cover *cover, const char *path)
{
	size_t len = strlen(path);
	enum cover_what ret = COVER;

	for (uint32_t i = 0; i < cover->mark_count; i++) {
		if (str_eq(cover->marks[i], path))
			return LEAVE;
		if (strncmp(cover->marks[i], path, len) == 0 && cover->marks[i][len] == '/')
			ret = DESCEND;
	}
	return ret;
}

/* Makes all in this directory read-only but what is marked. */
static void cover_directory(const struct cover *cover, const char *path, const struct digest *digest)
{
	const struct cas_directory *directory;

	if (cas_directory_get(cover->sandbox->host->cas, digest, &directory) < 0)
		return;
	for (uint32_t i = 0; i < directory->count; i++) {
		const struct cas_entry *entry = &directory->entries[i];
		char *child = xasprintf("%s/%s", path, entry->name), *source = xasprintf("%s%s", cover->root, child);
		enum cover_what what = what_of(cover, child);

		if (what == DESCEND && entry->type == CAS_DIRECTORY)
			cover_directory(cover, child, &entry->digest);
		else if (what == COVER && entry->type != CAS_SYMLINK)
			arg3(cover->args, "--ro-bind", source, child);
		free(source);
		free(child);
	}
	arg3(cover->args, "--chmod", "0555", *path ? path : "/");
}

/* A read-only root with writable directories in it.  One alone is a mount of its own.  Several are in one mount with the
 * root, so that files can be moved and linked from one to the other (as the peer's FUSE lets them); everything else is
 * covered by read-only mounts, and the few directories above the marked ones lose their write permission. */
static void read_only_args(const struct sandbox *sandbox, const char *root, struct buf *args)
{
	_cleanup_buf_ struct buf paths = BUF_INIT;
	const char **marks = xcalloc(sandbox->spec.marked_count + 1u, sizeof(*marks));
	struct cover cover = { sandbox, args, root, marks, normal_marks(sandbox, &paths, marks) };

	arg3(args, cover.mark_count > 1 ? "--bind" : "--ro-bind", root, "/");
	if (cover.mark_count > 1) {
		cover_directory(&cover, "", &sandbox->shown);
	} else if (cover.mark_count == 1) {
		char *source = xasprintf("%s%s", root, marks[0]);

		arg3(args, "--bind", source, marks[0]);
		free(source);
	}
	free(marks);
}

static void mount_args(const struct sandbox *sandbox, const struct sandbox_batch *batch, struct buf *args)
{
	char *root = xasprintf("%s/sandboxes/%s/root", buf_text(&sandbox->host->base), sandbox->scratch);

	if (batch->root_read_only)
		read_only_args(sandbox, root, args);
	else
		arg3(args, "--bind", root, "/");
	free(root);
}

/* All but the command itself, NUL-separated, for `--args`: environments may be larger than one argument may be. */
static void option_args(const struct sandbox *sandbox, const struct sandbox_batch *batch, struct buf *args)
{
	static const char *const fixed[] = { "--unshare-pid", "--die-with-parent", "--unshare-ipc", "--unshare-user",
					     "--cap-drop", "ALL", "--clearenv" };
	static const char *const alone[] = { "--unshare-net", "--unshare-uts", "--hostname", "buildbox" };
	const struct graph_sandbox *config = sandbox->spec.config;
	bool open = batch->shell && batch->shell->open;
	const struct sandbox_command *first = &batch->first;
	char id[24];

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		arg(args, fixed[i]);
	for (size_t i = 0; !open && i < ARRAY_SIZE(alone); i++)
		arg(args, alone[i]);
	mount_args(sandbox, batch, args);
	arg(args, "--uid");
	snprintf(id, sizeof id, "%" PRId64, open ? (int64_t)geteuid() : config && config->build_uid > 0 ? config->build_uid : 0);
	arg(args, id);
	arg(args, "--gid");
	snprintf(id, sizeof id, "%" PRId64, open ? (int64_t)getegid() : config && config->build_gid > 0 ? config->build_gid : 0);
	arg(args, id);
	for (uint32_t i = 0; i < first->environment_count; i++) {
		const struct graph_pair *pair = &first->environment[i];
		_cleanup_buf_ struct buf flags = BUF_INIT;

		if (str_eq(pair->name, "PWD"))
			continue;
		if (batch->jobserver && str_eq(pair->name, "MAKEFLAGS") &&
		    sandbox_makeflags(&flags, pair->value, batch->jobserver))
			arg3(args, "--setenv", pair->name, buf_text(&flags));
		else
			arg3(args, "--setenv", pair->name, pair->value);
	}
	arg3(args, "--setenv", "PWD", first->cwd);
	arg3(args, "--proc", "/proc", "--tmpfs");
	arg(args, "/tmp");
	if (batch->shell) {
		arg3(args, "--dev-bind", "/dev", "/dev");
		for (uint32_t i = 0; i < batch->shell->mount_count; i++)
			arg3(args, "--dev-bind", batch->shell->mounts[i].source, batch->shell->mounts[i].target);
	} else {
		arg(args, "--dev");
		arg(args, "/dev");
		if (batch->jobserver && batch->jobserver->fifo)
			arg3(args, "--bind", batch->jobserver->fifo, SANDBOX_FIFO);
	}
	arg(args, "--chdir");
	arg(args, first->cwd);
}

int sandbox_arguments(const struct sandbox *sandbox, const struct sandbox_batch *batch)
{
	_cleanup_buf_ struct buf args = BUF_INIT;
	int fd = memfd_create("bwrap-args", MFD_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	option_args(sandbox, batch, &args);
	r = fs_write_all(fd, args.data, args.len);
	if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r < 0)
		close_fd(fd);
	return r < 0 ? r : fd;
}
