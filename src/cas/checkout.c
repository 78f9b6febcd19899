/* Trees into the file system, over directory descriptors: nothing outside the target can be reached. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "cas/cas_internal.h"

enum { SMALL_BYTES = 64 << 10 };

struct checkout {
	struct cas *cas;
	const struct cas_checkout *options;
	struct diag *diag;
	mode_t umask;
	bool no_clone; /* this file system cannot */
	struct buf path;
};

static int fail(struct checkout *out, int err)
{
	if (out->diag && !out->diag->domain)
		diag_errno(out->diag, "cas", err == -ENOENT ? "missing-objects" : "checkout", -err, "Cannot write %s",
			   buf_text(&out->path));
	return err;
}

/* Times of what was just written: the node's own, or the constant, or nothing (now). */
static bool times_for(const struct checkout *out, const struct cas_mtime *own, struct timespec times[2])
{
	struct timespec time = { 0 };

	if (own) {
		time.tv_sec = own->seconds;
		time.tv_nsec = own->nanos;
	} else if (out->options->flags & CAS_CHECKOUT_MTIME) {
		time.tv_sec = out->options->mtime;
	} else {
		return false;
	}
	times[0] = time;
	times[1] = time;
	return true;
}

static int copy_small(struct checkout *out, int from, int to, const struct digest *digest)
{
	char bytes[SMALL_BYTES];
	struct digest found;
	size_t len = 0;

	while (len < sizeof bytes) {
		ssize_t n = fs_read_some(from, bytes + len, sizeof bytes - len);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len == (size_t)digest->size_bytes)
			break;
	}
	if (out->options->flags & CAS_CHECKOUT_VERIFY) {
		digest_of(&found, bytes, len);
		if (!digest_eq(&found, digest)) {
			cas_drop(out->cas, digest);
			return -ENOENT;
		}
	}
	return fs_write_all(to, bytes, len);
}

static int copy_big(struct checkout *out, int from, int to, const struct digest *digest)
{
	int64_t left = digest->size_bytes;
	struct buf bytes = BUF_INIT;
	int r = 0;

	if (out->options->flags & CAS_CHECKOUT_VERIFY && (r = cas_verify(out->cas, digest)) < 0)
		return r;
	if (!out->no_clone) {
		if (ioctl(to, FICLONE, from) == 0)
			return 0;
		out->no_clone = true;
	}
	while (left > 0) {
		ssize_t n = copy_file_range(from, NULL, to, NULL, (size_t)left, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		left -= n;
	}
	if (left == 0)
		return 0;
	if (left != digest->size_bytes)
		return -EIO;
	/* not between these two file systems: by hand */
	while (r == 0 && left > 0) {
		buf_clear(&bytes);
		ssize_t n = fs_read_some(from, buf_room(&bytes, 1 << 20), 1 << 20);

		if (n <= 0)
			r = n < 0 ? (int)n : -EIO;
		else
			r = fs_write_all(to, bytes.data, (size_t)n);
		left -= n;
	}
	buf_release(&bytes);
	return r;
}

/* Creates name, replacing any file or symlink of that name. */
static int create(int dirfd, const char *name, mode_t mode)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0 && errno == EEXIST && unlinkat(dirfd, name, 0) == 0)
		fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	return fd < 0 ? -errno : fd;
}

static int link_object(struct checkout *out, int dirfd, const struct cas_entry *entry)
{
	char object[OBJECT_NAME_BYTES];
	int r = cas_has(out->cas, &entry->digest);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	cas_object_name(object, entry->digest.hash);
	if (linkat(out->cas->objects_fd, object, dirfd, entry->name, 0) == 0)
		return 0;
	if (errno == EEXIST && unlinkat(dirfd, entry->name, 0) == 0 &&
	    linkat(out->cas->objects_fd, object, dirfd, entry->name, 0) == 0)
		return 0;
	return errno == EXDEV || errno == EMLINK || errno == EPERM ? 1 : -errno;
}

static int checkout_file(struct checkout *out, int dirfd, const struct cas_entry *entry)
{
	mode_t mode = entry->executable ? 0755 : 0644;
	_cleanup_close_ int from = -1, to = -1;
	struct timespec times[2];
	int r;

	/* an executable would need the object's mode changed; the object may be a plain file elsewhere */
	if (out->options->flags & CAS_CHECKOUT_HARDLINK && !entry->executable && !entry->has_mtime) {
		r = link_object(out, dirfd, entry);
		if (r <= 0)
			return r;
	}
	from = cas_object_fd(out->cas, &entry->digest);
	if (from < 0)
		return from;
	to = create(dirfd, entry->name, mode);
	if (to < 0)
		return to;
	r = entry->digest.size_bytes <= SMALL_BYTES ? copy_small(out, from, to, &entry->digest)
						    : copy_big(out, from, to, &entry->digest);
	if (r < 0)
		return r;
	if (mode & out->umask && fchmod(to, mode) < 0)
		return -errno;
	if (times_for(out, entry->has_mtime ? &entry->mtime : NULL, times) && futimens(to, times) < 0)
		return -errno;
	return 0;
}

static int checkout_symlink(struct checkout *out, int dirfd, const struct cas_entry *entry)
{
	struct timespec times[2];

	if (symlinkat(entry->target, dirfd, entry->name) < 0 &&
	    (errno != EEXIST || unlinkat(dirfd, entry->name, 0) < 0 ||
	     symlinkat(entry->target, dirfd, entry->name) < 0))
		return -errno;
	if (times_for(out, NULL, times) && utimensat(dirfd, entry->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

/* Opens directory name, making it if need be; what else stands there is removed, a symlink to a directory too. */
static int open_directory(struct checkout *out, int dirfd, const char *name)
{
	for (unsigned tries = 0; tries < 2; tries++) {
		int fd;

		if (mkdirat(dirfd, name, 0755) == 0) {
			if (0755 & out->umask && fchmodat(dirfd, name, 0755, 0) < 0)
				return -errno;
		} else if (errno != EEXIST) {
			return -errno;
		}
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0)
			return fd;
		if ((errno != ENOTDIR && errno != ELOOP) || unlinkat(dirfd, name, 0) < 0)
			return -errno;
	}
	return -ENOTDIR;
}

static int checkout_directory(struct checkout *out, int fd, const struct digest *digest, unsigned depth);

static int checkout_entry(struct checkout *out, int dirfd, const struct cas_entry *entry, unsigned depth)
{
	int fd, r;

	if (entry->type == CAS_FILE)
		return checkout_file(out, dirfd, entry);
	if (entry->type == CAS_SYMLINK)
		return checkout_symlink(out, dirfd, entry);
	fd = open_directory(out, dirfd, entry->name);
	if (fd < 0)
		return fd;
	r = checkout_directory(out, fd, &entry->digest, depth + 1);
	close_fd(fd);
	return r;
}

static int checkout_directory(struct checkout *out, int fd, const struct digest *digest, unsigned depth)
{
	const struct cas_directory *directory;
	size_t base = out->path.len;
	struct timespec times[2];
	int r = depth > CAS_DEPTH_MAX ? -ELOOP : cas_directory_get(out->cas, digest, &directory);

	if (r < 0)
		return fail(out, r);
	for (uint32_t i = 0; r == 0 && i < directory->count; i++) {
		const struct cas_entry *entry = &directory->entries[i];

		buf_addc(&out->path, '/');
		buf_add(&out->path, entry->name, entry->name_len);
		r = checkout_entry(out, fd, entry, depth);
		if (r < 0)
			fail(out, r);
		out->path.len = base;
		out->path.data[base] = '\0';
	}
	if (r == 0 && times_for(out, directory->has_mtime ? &directory->mtime : NULL, times) && futimens(fd, times) < 0)
		r = fail(out, -errno);
	return r;
}

int cas_checkout(struct cas *cas, const struct digest *directory, int dirfd, const char *path,
		 const struct cas_checkout *options, struct diag *diag)
{
	static const struct cas_checkout plain;
	struct checkout out = { .cas = cas, .options = options ? options : &plain, .diag = diag };
	_cleanup_close_ int fd = -1;
	int r;

	buf_adds(&out.path, path);
	out.umask = umask(0);
	umask(out.umask);
	r = fs_mkdir_p(dirfd, path, 0755);
	if (r == 0) {
		fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = fd < 0 ? -errno : 0;
	}
	if (r == 0)
		r = checkout_directory(&out, fd, directory, 0);
	else
		fail(&out, r);
	buf_release(&out.path);
	return r;
}
