/* Trees into the file system, over directory descriptors: nothing outside the target can be reached. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "cas/cas_internal.h"
#include "cas/copiers.h"

struct checkout {
	struct cas *cas;
	const struct cas_checkout *options;
	struct diag *diag;
	mode_t umask;
	struct copiers *copiers;
	struct buf path;
};

/* A copy failed; which one, copiers_end says. */
enum { STOPPED = -ECANCELED };

static int fail(struct checkout *out, int err)
{
	if (err != STOPPED && out->diag && !out->diag->domain)
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
	struct copy copy;
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
	copy = (struct copy){ .from = steal_fd(&from), .to = steal_fd(&to), .digest = entry->digest, .mode = mode,
			      .set_mode = mode & out->umask, .verify = out->options->flags & CAS_CHECKOUT_VERIFY,
			      .path = xstrdup(out->path.data) };
	copy.set_times = times_for(out, entry->has_mtime ? &entry->mtime : NULL, copy.times);
	return copiers_give(out->copiers, &copy) ? 0 : STOPPED;
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

/* Waits for the copies; what went wrong with one of them came first. */
static int finish_copies(struct checkout *out, int r)
{
	struct copy failed;
	bool broken;
	int error = copiers_end(out->copiers, &failed, &broken);

	if (error < 0) {
		if (broken)
			cas_drop(out->cas, &failed.digest);
		buf_clear(&out->path);
		buf_adds(&out->path, failed.path);
		fail(out, error);
		free(failed.path);
		r = error;
	}
	return r;
}

int cas_checkout(struct cas *cas, const struct digest *directory, int dirfd, const char *path,
		 const struct cas_checkout *options, struct diag *diag)
{
	static const struct cas_checkout plain;
	struct checkout out = { .cas = cas, .options = options ? options : &plain, .diag = diag, .copiers = copiers_new() };
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
	r = finish_copies(&out, r);
	buf_release(&out.path);
	return r;
}
