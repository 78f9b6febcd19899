/* deb: the files of a Debian package, which is an `ar` archive with a data.tar in it.
 *
 * ar: "!<arch>\n", then for each member a header of 60 bytes of text (name 16, time 12, uid 6, gid 6, mode 8, size 10, "`\n") and
 * its bytes, padded to an even length (deb(5)).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "sources/sources_internal.h"
#include "sources/unpack.h"

enum { MAGIC_BYTES = 8, NAME_BYTES = 16, SIZE_AT = 48, SIZE_BYTES = 10, HEADER_BYTES = 60, COPY_BYTES = 256 << 10 };

static int bad_package(struct sources_context *ctx, const char *why)
{
	return diag_set(ctx->diag, "source", NULL, "Error staging source: %s", why);
}

static int read_exactly(int fd, char *ret, size_t len, off_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = fs_pread_some(fd, ret + done, len - done, at + (off_t)done);

		if (n <= 0)
			return n < 0 ? (int)n : -EBADMSG;
		done += (size_t)n;
	}
	return 0;
}

/* Where the member with data.tar in its name begins, and how long it is.  -EBADMSG for what is no ar archive, -ENOENT. */
static int find_data(int fd, off_t *ret_at, int64_t *ret_size)
{
	char header[HEADER_BYTES + 1] = "";
	off_t at = MAGIC_BYTES;
	int r = read_exactly(fd, header, MAGIC_BYTES, 0);

	if (r < 0 || memcmp(header, "!<arch>\n", MAGIC_BYTES) != 0)
		return r < 0 ? r : -EBADMSG;
	while (fs_pread_some(fd, header, 1, at) > 0) {
		char size[SIZE_BYTES + 1] = "", *end;
		int64_t bytes;

		r = read_exactly(fd, header, HEADER_BYTES, at);
		if (r < 0 || header[HEADER_BYTES - 2] != '`' || header[HEADER_BYTES - 1] != '\n')
			return r < 0 ? r : -EBADMSG;
		memcpy(size, header + SIZE_AT, SIZE_BYTES);
		bytes = strtoll(size, &end, 10);
		if (end == size || bytes < 0)
			return -EBADMSG;
		if (memmem(header, NAME_BYTES, "data.tar", 8)) {
			*ret_at = at + HEADER_BYTES;
			*ret_size = bytes;
			return 0;
		}
		at += HEADER_BYTES + bytes + bytes % 2;
	}
	return -ENOENT;
}

/* The member as a file of its own, without a name: what reads archives reads to the end. */
static int copy_member(struct sources_context *ctx, int fd, off_t at, int64_t size)
{
	_cleanup_free_ char *chunk = xmalloc(COPY_BYTES);
	_cleanup_close_ int out = -1;
	int r = fs_mkdir_p(AT_FDCWD, ctx->tmpdir, 0755);

	if (r < 0)
		return r;
	out = open(ctx->tmpdir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (out < 0)
		return -errno;
	while (r >= 0 && size > 0) {
		size_t len = (size_t)MIN(size, (int64_t)COPY_BYTES);

		r = read_exactly(fd, chunk, len, at);
		if (r >= 0)
			r = fs_write_all(out, chunk, len);
		at += (off_t)len;
		size -= (int64_t)len;
	}
	if (r >= 0 && lseek(out, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : steal_fd(&out);
}

static int deb_tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		    struct digest *ret)
{
	static const struct archive_rules rules = { .format = ARCHIVE_TAR };
	const struct kinds_tar *config = source->config;
	_cleanup_close_ int fd = sources_download_open(ctx, source), data = -1;
	int64_t size = 0;
	off_t at = 0;
	int r;

	if (fd < 0)
		return fd;
	r = find_data(fd, &at, &size);
	if (r == -ENOENT)
		return bad_package(ctx, "there is no data.tar in the package");
	if (r >= 0)
		data = r = copy_member(ctx, fd, at, size);
	if (r == -EBADMSG)
		return bad_package(ctx, "the package is damaged, or none");
	if (r < 0)
		return diag_errno(ctx->diag, "source", NULL, -r, "Error staging source");
	return sources_archive_tree(ctx, data, &rules, config->base_dir, ret);
}

const struct sources_ops sources_deb = {
	.kind = "deb",
	.have = sources_download_have,
	.fetch = sources_download_fetch,
	.tree = deb_tree,
	.track = sources_download_track,
};
