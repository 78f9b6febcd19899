/* What a batch changed: the writable layer of an overlay, read back as Directory messages.
 *
 * A directory of the layer is merged with the one below unless it is marked opaque; a 0:0 device removes what is below.
 * What the layer does not mention keeps its digest, so the work is proportional to what changed. */
#include "sandbox/sandbox_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

struct names {
	char **items;
	size_t count, cap;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void release_names(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
}

static int read_names(int dirfd, struct names *ret)
{
	int fd = openat(dirfd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		int r = -errno;

		close_fd(fd);
		return r;
	}
	while ((entry = readdir(dir))) {
		if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."))
			continue;
		ret->items = util_grow(ret->items, &ret->cap, ret->count + 1, sizeof *ret->items);
		ret->items[ret->count++] = xstrdup(entry->d_name);
	}
	closedir(dir);
	if (ret->count)
		qsort(ret->items, ret->count, sizeof *ret->items, by_name);
	return 0;
}

static bool is_opaque(int fd)
{
	char value[2];

	return (fgetxattr(fd, "user.overlay.opaque", value, sizeof value) == 1 && value[0] == 'y') ||
	       (fgetxattr(fd, "trusted.overlay.opaque", value, sizeof value) == 1 && value[0] == 'y');
}

static int failed(struct sandbox_capture *capture, int r, const char *name)
{
	if (!capture->diag || !capture->diag->domain)
		diag_errno(capture->diag, "sandbox", NULL, -r, "Failed to capture '%s' from the sandbox", name);
	return r;
}

/* Opens what a build may have made unreadable for its owner: mode bits are not captured, so they may change. */
static int open_anyway(int dirfd, const char *name, int flags, mode_t mode)
{
	int fd = openat(dirfd, name, flags | O_NOFOLLOW | O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, mode | 0700, 0) == 0)
		fd = openat(dirfd, name, flags | O_NOFOLLOW | O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int capture_file(struct sandbox_capture *capture, int dirfd, const char *name, const struct stat *st,
			struct cas_entry *ret)
{
	_cleanup_close_ int fd = open_anyway(dirfd, name, 0, st->st_mode & 07777);
	int r = fd < 0 ? fd : sandbox_check(capture->host);

	if (r < 0)
		return r;
	capture->files++;
	capture->bytes += (uint64_t)st->st_size;
	ret->type = CAS_FILE;
	ret->executable = st->st_mode & S_IXUSR;
	if (capture->keep_mtimes) {
		ret->has_mtime = true;
		ret->mtime.seconds = st->st_mtim.tv_sec;
		ret->mtime.nanos = (int32_t)(st->st_mtim.tv_nsec / 1000 * 1000);
	}
	return cas_take_fd(capture->cas, dirfd, name, fd, &ret->digest);
}

static int capture_link(int dirfd, const char *name, struct arena *arena, struct cas_entry *ret)
{
	char target[CAS_TARGET_MAX + 2];
	ssize_t len = readlinkat(dirfd, name, target, sizeof target);

	if (len < 0)
		return -errno;
	if (len > CAS_TARGET_MAX)
		return -ENAMETOOLONG;
	ret->type = CAS_SYMLINK;
	ret->target = arena_strndup(arena, target, (size_t)len);
	return 0;
}

static int capture_directory(struct sandbox_capture *capture, int dirfd, const struct digest *below, unsigned depth,
			     struct digest *ret);

/* One name of the layer.  1: ret is what it shows; 0: it shows nothing. */
static int capture_entry(struct sandbox_capture *capture, int dirfd, const char *name, const struct cas_entry *below,
			 struct arena *arena, unsigned depth, struct cas_entry *ret)
{
	struct stat st;
	int r;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*ret = (struct cas_entry){ .name = arena_strdup(arena, name), .name_len = (uint32_t)strlen(name) };
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		r = capture_file(capture, dirfd, name, &st, ret);
		break;
	case S_IFLNK:
		r = capture_link(dirfd, name, arena, ret);
		break;
	case S_IFDIR: {
		_cleanup_close_ int fd = open_anyway(dirfd, name, O_DIRECTORY, st.st_mode & 07777);

		ret->type = CAS_DIRECTORY;
		r = fd < 0 ? fd : capture_directory(capture, fd, below && below->type == CAS_DIRECTORY ? &below->digest : NULL,
						    depth + 1, &ret->digest);
		break;
	}
	default: /* a whiteout; or a socket, FIFO or device, which artifacts do not have */
		return 0;
	}
	return r < 0 ? failed(capture, r, name) : 1;
}

/* Layer and directory below side by side; both are sorted by name. */
static int merge(struct sandbox_capture *capture, int dirfd, const struct names *names, const struct cas_directory *below,
		 unsigned depth, struct arena *arena, struct cas_directory *ret)
{
	size_t i = 0, j = 0;

	ret->entries = ARENA_ARRAY(arena, struct cas_entry, names->count + below->count);
	while (i < names->count || j < below->count) {
		int order = i == names->count ? 1 : j == below->count ? -1 : strcmp(names->items[i], below->entries[j].name);
		const struct cas_entry *old = order >= 0 ? &below->entries[j++] : NULL;

		if (order > 0) {
			ret->entries[ret->count++] = *old;
		} else {
			int r = capture_entry(capture, dirfd, names->items[i++], old, arena, depth,
					      &ret->entries[ret->count]);

			if (r < 0)
				return r;
			ret->count += (uint32_t)r;
		}
	}
	return 0;
}

static int capture_directory(struct sandbox_capture *capture, int dirfd, const struct digest *below, unsigned depth,
			     struct digest *ret)
{
	static const struct cas_directory nothing;
	const struct cas_directory *lower = &nothing;
	struct cas_directory directory = { 0 };
	struct names names = { 0 };
	struct arena arena = ARENA_INIT;
	struct buf bytes = BUF_INIT;
	int r = depth > CAS_DEPTH_MAX ? -ELOOP : read_names(dirfd, &names);

	if (r >= 0 && below && !is_opaque(dirfd))
		r = cas_directory_get(capture->cas, below, &lower);
	if (r >= 0)
		r = merge(capture, dirfd, &names, lower, depth, &arena, &directory);
	if (r >= 0) {
		cas_directory_encode(&directory, &bytes);
		r = cas_put(capture->cas, buf_text(&bytes), bytes.len, ret);
	}
	buf_release(&bytes);
	arena_release(&arena);
	release_names(&names);
	return r;
}

int sandbox_capture(struct sandbox_capture *capture, int dirfd, const struct digest *below, struct digest *ret)
{
	int r = capture_directory(capture, dirfd, below, 0, ret);

	return r < 0 ? failed(capture, r, "/") : r;
}

/* ---- a whole batch ---- */

/* Digest of the directory at path in a stored tree; false if it has none. */
static bool stored_directory(struct cas *cas, const struct digest *tree, const char *path, struct digest *ret)
{
	*ret = *tree;
	for (const char *p = path; *(p += strspn(p, "/"));) {
		const struct cas_directory *directory;
		size_t len = strcspn(p, "/");
		const struct cas_entry *entry =
			cas_directory_get(cas, ret, &directory) < 0 ? NULL : cas_directory_find(directory, p, len);

		if (!entry || entry->type != CAS_DIRECTORY)
			return false;
		*ret = entry->digest;
		p += len;
	}
	return true;
}

/* Opens a directory below fd without following symlinks.  Takes fd over. */
static int open_path(int fd, const char *path)
{
	for (const char *p = path; *(p += strspn(p, "/"));) {
		size_t len = strcspn(p, "/");
		char *name = xstrndup(p, len);
		int next = openat(fd, name, O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC), r = -errno;

		free(name);
		close_fd(fd);
		if (next < 0)
			return r;
		fd = next;
		p += len;
	}
	return fd;
}

static int capture_at(struct sandbox *sandbox, struct sandbox_capture *capture, const char *path)
{
	bool overlay = sandbox->way == SANDBOX_OVERLAY;
	struct digest below, changed;
	bool has_below = overlay && stored_directory(capture->cas, &sandbox->base, path, &below);
	int fd = openat(sandbox->scratch_fd, overlay ? "upper" : "root", O_DIRECTORY | O_RDONLY | O_CLOEXEC), r = 0;

	if (fd >= 0)
		fd = open_path(fd, path);
	if (fd >= 0)
		r = sandbox_capture(capture, fd, has_below ? &below : NULL, &changed);
	else if (has_below)
		changed = below; /* nothing in it was touched */
	else
		r = fd;
	close_fd(fd);
	return r < 0 ? r : cas_tree_set(sandbox->tree, path, &changed);
}

int sandbox_capture_batch(struct sandbox *sandbox, struct sandbox_result *ret, struct diag *diag)
{
	struct sandbox_capture capture = { sandbox->host, sandbox->host->cas, sandbox->spec.keep_mtimes, .diag = diag };
	int r = 0;

	if (!sandbox->read_only)
		r = capture_at(sandbox, &capture, "");
	for (uint32_t i = 0; r >= 0 && sandbox->read_only && i < sandbox->spec.marked_count; i++)
		r = capture_at(sandbox, &capture, sandbox->spec.marked[i]);
	ret->captured_files = capture.files;
	ret->captured_bytes = capture.bytes;
	if (r < 0 && diag && !diag->domain)
		diag_errno(diag, "sandbox", NULL, -r, "Failed to capture what the commands changed");
	return r;
}
