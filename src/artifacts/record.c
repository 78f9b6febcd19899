/* Source records: see artifacts.h.  The message is { int32 version = 1; Digest files = 2; }, version never set. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "artifacts/artifacts_internal.h"
#include "base/fs.h"
#include "base/pb.h"

enum { SOURCE_PROTO_MAX = 1 << 16 };

void source_encode(const struct digest *files, struct buf *out)
{
	cas_encode_digest(out, 2, files);
}

int source_decode(struct digest *files, const void *bytes, size_t len)
{
	struct pb_reader in = pb_reader(bytes, len);
	struct digest found_files = { 0 };
	struct pb_field field;
	bool found = false;
	int r = 0;

	while (r == 0 && pb_next(&in, &field))
		if (field.number == 2) {
			r = cas_decode_digest(&found_files, &field);
			found = true;
		}
	if (in.bad || r < 0 || !found)
		return -EBADMSG;
	*files = found_files;
	return 0;
}

static char *record_path(const char *kind, const struct key *key)
{
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, key->hash);
	return kind ? xasprintf("source_protos/%s/%s", kind, hex) : xasprintf("elementsources/%s", hex);
}

int source_record_read(struct cas *cas, const char *kind, const struct key *key, struct digest *ret)
{
	_cleanup_free_ char *path = record_path(kind, key);
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	_cleanup_close_ int fd = openat(cas_cachedir_fd(cas), path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? -ENOENT : -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -ENOENT;
	if (cas_should_touch(cas, &st))
		(void)!futimens(fd, NULL);
	r = fs_read_fd(&bytes, fd, SOURCE_PROTO_MAX);
	if (r == 0)
		r = source_decode(ret, bytes.data, bytes.len);
	if (r == -EBADMSG || r == -EFBIG) {
		unlinkat(cas_cachedir_fd(cas), path, 0);
		return -ENOENT;
	}
	return r;
}

int source_record_write(struct cas *cas, const char *kind, const struct key *key, const struct digest *files,
			struct diag *diag)
{
	_cleanup_free_ char *path = record_path(kind, key);
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	int r;

	source_encode(files, &bytes);
	r = artifact_write_record(cas, path, &bytes);
	if (r < 0)
		diag_errno(diag, "source", "cache", -r, "Cannot write the source record %s", path);
	return r;
}

int source_record_write_only(struct cas *cas, const struct key *key, const char *kind, const struct key *source_key,
			     const struct digest *files, struct diag *diag)
{
	_cleanup_free_ char *path = record_path(NULL, key), *source_path = record_path(kind, source_key);
	int fd = cas_cachedir_fd(cas);

	if (linkat(fd, source_path, fd, path, 0) == 0)
		return 0;
	return source_record_write(cas, NULL, key, files, diag);
}
