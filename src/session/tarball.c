/* A stored tree as a tar file: see tarball.h. */
#include "session/tarball.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/module.h"
#include "base/compress_module.h"

struct tarball {
	int fd;
	const struct compress_module *module; /* NULL: plain */
	struct compress_stream *stream;
};

static int write_bytes(void *data, const void *bytes, size_t len)
{
	struct tarball *tarball = data;

	return tarball->stream ? tarball->module->write(tarball->stream, bytes, len) : fs_write_all(tarball->fd, bytes, len);
}

static int open_filter(struct tarball *tarball, enum session_compression compression, struct diag *diag)
{
	static const char *const filters[] = {
		[SESSION_COMPRESSION_NONE] = NULL, [SESSION_COMPRESSION_GZ] = "gz", [SESSION_COMPRESSION_XZ] = "xz",
		[SESSION_COMPRESSION_BZ2] = "bz2",
	};

	if (!filters[compression])
		return 0;
	tarball->module = module_open("compress", COMPRESS_MODULE_SYMBOL, diag);
	if (!tarball->module)
		return -ENOENT;
	tarball->stream = tarball->module->open(tarball->fd, filters[compression]);
	if (!tarball->stream)
		return diag_set(diag, "stream", NULL, "Compression '%s' is not available", filters[compression]);
	return 0;
}

static int write_tree(struct session *session, struct tarball *tarball, const struct digest *tree, const char *prefix,
		      enum session_compression compression)
{
	int r = open_filter(tarball, compression, &session->diag), closed;

	if (r < 0)
		return r;
	r = cas_tar(session->cas, tree, prefix, CAS_ARBITRARY_MTIME, write_bytes, tarball, &session->diag);
	if (!tarball->stream)
		return r;
	closed = tarball->module->close(tarball->stream);
	if (r >= 0 && closed < 0)
		r = diag_errno(&session->diag, "stream", NULL, -closed, "Failed to write the tar file");
	return r;
}

int session_tarball(struct session *session, const struct digest *tree, const char *prefix, const char *path,
		    enum session_compression compression)
{
	_cleanup_free_ char *temp = NULL;
	struct tarball tarball = { .fd = STDOUT_FILENO };
	int r;

	if (str_eq(path, "-")) {
		session->frontend->flush(session->frontend->data);
		return write_tree(session, &tarball, tree, prefix, compression);
	}
	temp = xasprintf("%s.%d.tmp", path, (int)getpid());
	tarball.fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (tarball.fd < 0)
		return diag_errno(&session->diag, "stream", NULL, errno, "Failed to create '%s'", path);
	r = write_tree(session, &tarball, tree, prefix, compression);
	if (close(tarball.fd) < 0 && r >= 0)
		r = diag_errno(&session->diag, "stream", NULL, errno, "Failed to write '%s'", path);
	if (r >= 0 && rename(temp, path) < 0)
		r = diag_errno(&session->diag, "stream", NULL, errno, "Failed to create '%s'", path);
	if (r < 0)
		(void)unlink(temp);
	return MIN(r, 0);
}
