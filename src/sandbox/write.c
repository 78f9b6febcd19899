/* Trees onto disk: what an overlay needs to show one tree over another. */
#include "sandbox/sandbox_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <linux/fs.h>
#include <unistd.h>

#include "base/fs.h"

struct writer {
	struct sandbox_host *host; /* NULL when only counting */
	struct cas *cas;
	struct sandbox_size *size;
	struct diag *diag;
	bool count_only;
	uint64_t limit; /* of files, when only counting */
};

static const struct timespec constant_times[2] = {
	{ .tv_sec = CAS_ARBITRARY_MTIME }, { .tv_sec = CAS_ARBITRARY_MTIME }
};

static int failed(struct writer *writer, int r, const char *name)
{
	diag_errno(writer->diag, "sandbox", NULL, -r, "Failed to write '%s' for the sandbox", name);
	return r;
}

static int copy_bytes(int from, int to)
{
	char bytes[65536];

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	for (;;) {
		ssize_t n = copy_file_range(from, NULL, to, NULL, SIZE_MAX >> 2, 0);

		if (n == 0)
			return 0;
		if (n < 0)
			break;
	}
	for (;;) { /* file systems that cannot, and kernels before 5.19 across them */
		ssize_t n = fs_read_some(from, bytes, sizeof bytes);
		int r;

		if (n <= 0)
			return (int)n;
		r = fs_write_all(to, bytes, (size_t)n);
		if (r < 0)
			return r;
	}
}

static void entry_times(const struct cas_entry *entry, struct timespec times[2])
{
	memcpy(times, constant_times, sizeof constant_times);
	if (entry->has_mtime)
		times[1] = (struct timespec){ entry->mtime.seconds, entry->mtime.nanos };
}

static int write_file(struct writer *writer, int dirfd, const struct cas_entry *entry)
{
	_cleanup_close_ int from = cas_object_fd(writer->cas, &entry->digest), to = -1;
	struct timespec times[2];
	int r;

	if (from < 0)
		return from;
	to = openat(dirfd, entry->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	r = copy_bytes(from, to);
	entry_times(entry, times);
	if (r >= 0 && (fchmod(to, entry->executable ? 0755 : 0644) < 0 || futimens(to, times) < 0))
		r = -errno;
	return r;
}

static int write_directory(struct writer *writer, int dirfd, const struct digest *below, const struct cas_entry *entry);
static int write_over(struct writer *writer, int dirfd, const struct digest *below, const struct digest *tree);

/* One entry where nothing is yet; a directory with all below. */
static int write_entry(struct writer *writer, int dirfd, const struct cas_entry *entry)
{
	switch ((enum cas_type)entry->type) {
	case CAS_FILE:
		return write_file(writer, dirfd, entry);
	case CAS_SYMLINK:
		if (symlinkat(entry->target, dirfd, entry->name) < 0 ||
		    utimensat(dirfd, entry->name, constant_times, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		return 0;
	case CAS_DIRECTORY:
		return write_directory(writer, dirfd, NULL, entry);
	case CAS_NONE:
		break;
	}
	return -EINVAL;
}

/* Counts the entry itself; a directory's content is counted when it is written or walked. */
static int count_entry(struct writer *writer, const struct cas_entry *entry)
{
	writer->size->files++;
	if (writer->count_only && writer->size->files > writer->limit)
		return -EOVERFLOW;
	if (entry->type == CAS_FILE)
		writer->size->bytes += (uint64_t)entry->digest.size_bytes;
	return writer->host ? sandbox_check(writer->host) : 0;
}

static bool same(const struct cas_entry *a, const struct cas_entry *b)
{
	if (a->type != b->type || a->executable != b->executable || a->has_mtime != b->has_mtime)
		return false;
	if (a->has_mtime && (a->mtime.seconds != b->mtime.seconds || a->mtime.nanos != b->mtime.nanos))
		return false;
	return a->type == CAS_SYMLINK ? str_eq(a->target, b->target) : digest_eq(&a->digest, &b->digest);
}

static int whiteout(struct writer *writer, int dirfd, const char *name)
{
	writer->size->whiteouts++;
	if (writer->count_only)
		return 0;
	return mknodat(dirfd, name, S_IFCHR, makedev(0, 0)) < 0 ? -errno : 0;
}

/* below: the directory of that name on the other side, NULL if there is none. */
static int write_directory(struct writer *writer, int dirfd, const struct digest *below, const struct cas_entry *entry)
{
	_cleanup_close_ int fd = -1;

	if (writer->count_only)
		return write_over(writer, -1, below, &entry->digest);
	if (mkdirat(dirfd, entry->name, 0755) < 0)
		return -errno;
	fd = openat(dirfd, entry->name, O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write_over(writer, fd, below, &entry->digest);
}

static int write_change(struct writer *writer, int dirfd, const struct cas_entry *below, const struct cas_entry *entry)
{
	int r;

	if (below && entry && same(below, entry))
		return 0;
	if (!entry) {
		assert(below);
		return whiteout(writer, dirfd, below->name);
	}
	if (below && below->type == CAS_DIRECTORY && entry->type == CAS_DIRECTORY) {
		r = write_directory(writer, dirfd, &below->digest, entry);
	} else {
		r = count_entry(writer, entry);
		if (r >= 0 && (!writer->count_only || entry->type == CAS_DIRECTORY))
			r = write_entry(writer, dirfd, entry);
	}
	if (r < 0 && r != -EOVERFLOW && r != -ECANCELED && writer->diag && !writer->diag->domain)
		return failed(writer, r, entry->name);
	return r;
}

/* The entries of both sides side by side; both are sorted by name. */
static int write_over(struct writer *writer, int dirfd, const struct digest *below, const struct digest *tree)
{
	static const struct cas_directory nothing;
	const struct cas_directory *from = &nothing, *to;
	uint32_t i = 0, j = 0;
	int r = cas_directory_get(writer->cas, tree, &to);

	if (r >= 0 && below)
		r = cas_directory_get(writer->cas, below, &from);
	while (r >= 0 && (i < from->count || j < to->count)) {
		int order = i == from->count ? 1 : j == to->count ? -1 : strcmp(from->entries[i].name, to->entries[j].name);
		const struct cas_entry *before = order <= 0 ? &from->entries[i++] : NULL;

		r = write_change(writer, dirfd, before, order >= 0 ? &to->entries[j++] : NULL);
	}
	if (r >= 0 && !writer->count_only && (fchmod(dirfd, 0755) < 0 || futimens(dirfd, constant_times) < 0))
		r = -errno;
	return r;
}

int sandbox_write_difference(struct sandbox_host *host, int dirfd, const struct digest *below, const struct digest *tree,
			     struct sandbox_size *size, struct diag *diag)
{
	struct writer writer = { host, host->cas, size, diag, .limit = UINT64_MAX };
	int r = write_over(&writer, dirfd, below, tree);

	if (r < 0 && diag && !diag->domain)
		failed(&writer, r, "/");
	return r;
}

int sandbox_count_difference(struct cas *cas, const struct digest *below, const struct digest *tree, uint64_t limit,
			     struct sandbox_size *size)
{
	struct writer writer = { NULL, cas, size, NULL, true, limit };

	return write_over(&writer, -1, below, tree);
}
