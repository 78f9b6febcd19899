/* Blobs into files.
 *
 * The peer trusts any file it finds under its name, so that must be whole from its first moment.  What is in memory goes
 * into a file without a name (O_TMPFILE), which gets its own when it is whole: no two processes meet in one directory of
 * temporary names, and a crash leaves nothing behind.  Where that cannot be done, and what is written piece by piece, has a
 * temporary name in cas/tmp and is renamed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "cas/cas_internal.h"

enum { COPY_BYTES = 256 << 10, NEWS_IN_A_ROW = 32 };

int cas_make_bucket(struct cas *cas, const uint8_t hash[DIGEST_BYTES])
{
	char name[3];

	if (cas->made[hash[0]])
		return 0;
	snprintf(name, sizeof name, "%02x", hash[0]);
	if (mkdirat(cas->objects_fd, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	cas->made[hash[0]] = true;
	return 0;
}

int cas_temp(struct cas *cas, char ret[TEMP_NAME_BYTES])
{
	for (unsigned tries = 0; tries < 100; tries++) {
		int fd;

		snprintf(ret, TEMP_NAME_BYTES, "millrace-%08x-%d-%u", cas->temp_random, (int)getpid(), cas->temp_count++);
		fd = openat(cas->tmp_fd, ret, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
		if (fd >= 0)
			return fd;
		if (errno == ENOENT && fs_mkdir_p(cas->root_fd, "cas/tmp", 0755) == 0) {
			/* someone cleared the cache under us */
			int dir = openat(cas->root_fd, "cas/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

			if (dir >= 0) {
				close_fd(cas->tmp_fd);
				cas->tmp_fd = dir;
				continue;
			}
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int cas_temp_commit(struct cas *cas, const char *temp, const struct digest *digest)
{
	char name[OBJECT_NAME_BYTES];
	int r = cas_make_room(cas, digest->size_bytes);

	cas_object_name(name, digest->hash);
	if (r == 0 && renameat(cas->tmp_fd, temp, cas->objects_fd, name) < 0) {
		r = -errno;
		if (r == -ENOENT) { /* the first of its bucket, or the bucket was removed meanwhile */
			cas->made[digest->hash[0]] = false;
			r = cas_make_bucket(cas, digest->hash);
			if (r == 0 && renameat(cas->tmp_fd, temp, cas->objects_fd, name) < 0)
				r = -errno;
		}
	}
	if (r < 0)
		unlinkat(cas->tmp_fd, temp, 0);
	else
		cas_saw(cas, digest);
	if (r == 0)
		usage_add(cas, digest->size_bytes);
	return r;
}

/* The umask may have taken read bits from a temporary.  It does not change while we run: one look is enough. */
static int finish_mode(struct cas *cas, int fd)
{
	struct stat st;

	if (cas->mode_sure)
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	cas->mode_sure = (st.st_mode & 07777) == 0444;
	return !cas->mode_sure && fchmod(fd, 0444) < 0 ? -errno : 0;
}

/* All of an object into its file, which has no name of an object's yet. */
static int fill(struct cas *cas, int fd, const void *data, size_t len)
{
	int r = cas_check_space(cas, fs_write_all(fd, data, len));

	return r == 0 ? finish_mode(cas, fd) : r;
}

static int put_named(struct cas *cas, const void *data, size_t len, const struct digest *digest)
{
	char temp[TEMP_NAME_BYTES];
	_cleanup_close_ int fd = cas_temp(cas, temp);
	int r;

	if (fd < 0)
		return fd;
	r = fill(cas, fd, data, len);
	if (r < 0) {
		unlinkat(cas->tmp_fd, temp, 0);
		return r;
	}
	return cas_temp_commit(cas, temp, digest);
}

/* A file without a name in the object's bucket; -ENOTSUP, -EISDIR or -EINVAL where kernel or file system have none. */
static int open_nameless(struct cas *cas, const uint8_t hash[DIGEST_BYTES])
{
	const int flags = O_WRONLY | O_TMPFILE | O_CLOEXEC;
	char bucket[3];
	int fd;

	snprintf(bucket, sizeof bucket, "%02x", hash[0]);
	fd = openat(cas->objects_fd, bucket, flags, 0444);
	if (fd < 0 && errno == ENOENT) { /* the first of its bucket, or the bucket was removed meanwhile */
		int r;

		cas->made[hash[0]] = false;
		r = cas_make_bucket(cas, hash);
		if (r < 0)
			return r;
		fd = openat(cas->objects_fd, bucket, flags, 0444);
	}
	if (fd < 0)
		return -errno;
	cas->temp_count++;
	return fd;
}

/* 1: something stands there already; -ENOTSUP: not in this way. */
static int put_nameless(struct cas *cas, const void *data, size_t len, const struct digest *digest)
{
	_cleanup_close_ int fd = open_nameless(cas, digest->hash);
	char name[OBJECT_NAME_BYTES];
	int r;

	if (fd < 0)
		return fd;
	r = fill(cas, fd, data, len);
	if (r == 0)
		r = cas_make_room(cas, digest->size_bytes);
	cas_object_name(name, digest->hash);
	if (r == 0)
		r = fs_link_nameless(fd, cas->objects_fd, name, &cas->way);
	if (r == 0) {
		cas_saw(cas, digest);
		usage_add(cas, digest->size_bytes);
	}
	return r == -EEXIST ? 1 : r;
}

/* Is it there?  Where all was news for a while, the kernel is not asked first: its answer comes with the name. */
static int known_before(struct cas *cas, const struct digest *digest)
{
	int r;

	if (cas_look(cas, digest))
		return 1;
	r = cas->news < NEWS_IN_A_ROW || cas->way == FS_LINK_NOT ? cas_has(cas, digest) : 0;
	cas->news = r == 0 ? MIN(cas->news + 1, (uint32_t)NEWS_IN_A_ROW) : 0;
	return r;
}

int cas_put_known(struct cas *cas, const void *data, size_t len, const struct digest *digest)
{
	int r = known_before(cas, digest);

	if (r != 0)
		return r < 0 ? r : 0;
	if (cas->way == FS_LINK_NOT)
		return put_named(cas, data, len, digest);
	r = put_nameless(cas, data, len, digest);
	if (r == 1) {
		cas->news = 0;
		r = cas_has(cas, digest);
		if (r != 0)
			return MIN(r, 0);
		return put_named(cas, data, len, digest); /* what stands there is no object */
	}
	if (r == -ENOTSUP || r == -EISDIR || r == -EINVAL || r == -ENOENT) {
		cas->way = FS_LINK_NOT;
		r = put_named(cas, data, len, digest);
	}
	return r;
}

int cas_put(struct cas *cas, const void *data, size_t len, struct digest *ret)
{
	struct digest digest;
	int r;

	digest_of(&digest, data, len);
	r = cas_put_known(cas, data, len, &digest);
	if (r == 0 && ret)
		*ret = digest;
	return r;
}

struct cas_writer {
	struct cas *cas;
	struct digest_stream *stream;
	int fd;
	char temp[TEMP_NAME_BYTES];
};

int cas_writer_new(struct cas_writer **ret, struct cas *cas)
{
	struct cas_writer *writer = xcalloc(1, sizeof *writer);

	writer->fd = cas_temp(cas, writer->temp);
	if (writer->fd < 0) {
		int r = writer->fd;

		free(writer);
		return r;
	}
	writer->cas = cas;
	writer->stream = digest_stream_new();
	*ret = writer;
	return 0;
}

int cas_writer_add(struct cas_writer *writer, const void *data, size_t len)
{
	digest_stream_add(writer->stream, data, len);
	return cas_check_space(writer->cas, fs_write_all(writer->fd, data, len));
}

void cas_writer_free(struct cas_writer *writer)
{
	if (!writer)
		return;
	close_fd(writer->fd);
	unlinkat(writer->cas->tmp_fd, writer->temp, 0);
	digest_stream_free(writer->stream);
	free(writer);
}

int cas_writer_end(struct cas_writer *writer, const struct digest *expect, struct digest *ret)
{
	struct cas *cas = writer->cas;
	struct digest digest;
	int r;

	digest_stream_end(writer->stream, &digest);
	writer->stream = NULL;
	r = expect && !digest_eq(expect, &digest) ? -EBADMSG : cas_has(cas, &digest);
	if (r == 0)
		r = finish_mode(cas, writer->fd);
	else if (r > 0) { /* there already */
		if (ret)
			*ret = digest;
		cas_writer_free(writer);
		return 0;
	}
	if (r < 0) {
		cas_writer_free(writer);
		return r;
	}
	r = cas_temp_commit(cas, writer->temp, &digest);
	if (r == 0 && ret)
		*ret = digest;
	close_fd(writer->fd);
	free(writer);
	return r;
}

/* What is hashed is what is stored: a big file is copied while it is hashed, since it may change under us. */
static int put_big(struct cas *cas, int fd, struct digest *ret)
{
	_cleanup_free_ char *chunk = xmalloc(COPY_BYTES);
	struct cas_writer *writer;
	off_t at = 0;
	ssize_t n;
	int r = cas_writer_new(&writer, cas);

	if (r < 0)
		return r;
	while ((n = fs_pread_some(fd, chunk, COPY_BYTES, at)) != 0) {
		r = n < 0 ? (int)n : cas_writer_add(writer, chunk, (size_t)n);
		if (r < 0) {
			cas_writer_free(writer);
			return r;
		}
		at += n;
	}
	return cas_writer_end(writer, NULL, ret);
}

int cas_put_open(struct cas *cas, int fd, const struct stat *st, struct digest *ret)
{
	_cleanup_free_ char *heap = NULL;
	char small[8192], *data = small;
	size_t len = 0, cap = sizeof small;

	if (st->st_size >= COPY_BYTES)
		return put_big(cas, fd, ret);
	if ((size_t)st->st_size >= cap) {
		cap = (size_t)st->st_size + 1;
		heap = xmalloc(cap);
		data = heap;
	}
	while (len < cap) {
		ssize_t n = fs_pread_some(fd, data + len, cap - len, (off_t)len);

		if (n < 0)
			return (int)n;
		len += (size_t)n;
		if (n == 0 || len == (size_t)st->st_size)
			return cas_put(cas, data, len, ret);
	}
	return put_big(cas, fd, ret); /* it grew while we read */
}

int cas_put_fd(struct cas *cas, int fd, struct digest *ret)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? -errno : cas_put_open(cas, fd, &st, ret);
}

int cas_put_file(struct cas *cas, int dirfd, const char *path, struct digest *ret)
{
	struct stat st;
	/* O_NONBLOCK: opening a FIFO must not wait for its other end */
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? cas_put_open(cas, fd, &st, ret) : -EINVAL;
}
