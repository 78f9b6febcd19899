/* Downloads: one file per source, kept under its own SHA-256 (the peer's DownloadableFileSource).
 *
 *     <sourcedir>/<kind>/<mirror directory>/<sha256>         the file
 *     <sourcedir>/<kind>/<mirror directory>/<sha256>.etag    what the server called it
 * The mirror directory is made of the URL as written in the project, alias and all, whichever mirror it came from.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "sources/transfer.h"

enum { ETAG_MAX = 1024 };

/* What a source that is one download wants. */
static struct sources_file file_of(struct sources_context *ctx, const struct graph_source *source, struct buf *directory)
{
	const struct kinds_download *download = source->config;

	buf_printf(directory, "%s/%s/", ctx->sourcedir, source->ops->name);
	sources_mirror_name(directory, download->original_url);
	return (struct sources_file){ .directory = directory->data, .original_url = download->original_url,
				      .url = download->url, .sha256 = download->ref };
}

/* A ref becomes a file name: it must be the digest it is meant to be. */
static bool ref_is_sane(const char *ref)
{
	uint8_t hash[DIGEST_BYTES];

	return ref && strlen(ref) == DIGEST_HEX && digest_from_hex(hash, ref);
}

static int open_mirrored(const struct sources_file *file)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (!ref_is_sane(file->sha256))
		return -ENOENT;
	path = xasprintf("%s/%s", file->directory, file->sha256);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -ENOENT;
	return steal_fd(&fd);
}

bool sources_file_have(const struct sources_file *file)
{
	int fd = open_mirrored(file);

	close_fd(fd);
	return fd >= 0;
}

int sources_file_open(struct sources_context *ctx, const struct sources_file *file)
{
	int fd = open_mirrored(file);

	if (fd < 0)
		diag_errno(ctx->diag, "source", "not-cached", -fd, "The download of %s is not there", file->url);
	return fd;
}

bool sources_download_have(struct sources_context *ctx, const struct graph_source *source)
{
	_cleanup_buf_ struct buf directory = BUF_INIT;
	struct sources_file file = file_of(ctx, source, &directory);

	return sources_file_have(&file);
}

int sources_download_open(struct sources_context *ctx, const struct graph_source *source)
{
	_cleanup_buf_ struct buf directory = BUF_INIT;
	struct sources_file file = file_of(ctx, source, &directory);

	return sources_file_open(ctx, &file);
}

/* ---- mirroring ---- */

/* Keeps what came under its own digest. */
static int keep(struct sources_context *ctx, const char *directory, const char *part, const char *sha256,
		const struct buf *etag)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", directory, sha256);
	_cleanup_free_ char *etag_path = xasprintf("%s.etag", path);
	int r = 0;

	if (rename(part, path) < 0)
		r = diag_errno(ctx->diag, "source", NULL, errno, "Cannot keep the download %s", path);
	else if (etag->len)
		r = fs_write_file(AT_FDCWD, etag_path, etag->data, etag->len, 0644);
	return r;
}

/* Downloads url; sha256 gets what came, or have if the server says that it is still the same. */
static int mirror(struct sources_context *ctx, const char *directory, const char *url, const char *have,
		  char sha256[DIGEST_HEX + 1])
{
	_cleanup_buf_ struct buf etag = BUF_INIT;
	_cleanup_free_ char *part = NULL;
	struct sources_transfer transfer = { .ctx = ctx, .url = url, .local = true, .fd = -1 };
	struct curl_answer answer = { 0 };
	struct digest digest;
	int r;

	r = fs_mkdir_p(AT_FDCWD, directory, 0755);
	if (r < 0)
		return diag_errno(ctx->diag, "source", NULL, -r, "Cannot make the directory %s", directory);
	if (have) {
		_cleanup_free_ char *etag_path = xasprintf("%s/%s.etag", directory, have);

		(void)fs_read_file(&etag, AT_FDCWD, etag_path, ETAG_MAX);
	}
	part = xasprintf("%s/.part-XXXXXX", directory);
	transfer.fd = mkostemp(part, O_CLOEXEC);
	if (transfer.fd < 0)
		return diag_errno(ctx->diag, "source", NULL, errno, "Cannot write in %s", directory);
	transfer.stream = digest_stream_new();
	transfer.etag = etag.len ? etag.data : NULL;
	r = sources_transfer(&transfer, &answer);
	digest_stream_end(transfer.stream, &digest);
	if (r == CURL_CAME) {
		digest_to_hex(sha256, digest.hash);
		fchmod(transfer.fd, 0644);
		r = keep(ctx, directory, part, sha256, &answer.etag);
	} else if (r == CURL_NOT_MODIFIED && have) {
		memcpy(sha256, have, DIGEST_HEX + 1);
		r = 0;
	} else if (r != -ECANCELED && r != -ELIBACC) {
		ctx->temporary = answer.temporary; /* the last URL decides, as in the peer */
		diag_set(ctx->diag, "source", NULL, "Error mirroring %s: %s", url,
			 answer.error.len ? answer.error.data : strerror(r < 0 ? -r : EPROTO));
		r = -EIO;
	}
	unlink(part); /* gone already if it was kept */
	close_fd(transfer.fd);
	sources_answer_release(&answer);
	return r;
}

int sources_file_fetch(struct sources_context *ctx, const struct sources_file *file)
{
	char sha256[DIGEST_HEX + 1];
	const char *fallback[2];
	int r = -EINVAL;

	if (!file->sha256)
		return diag_set(ctx->diag, "source", "no-reference", "%s has no ref; track it first", file->url);
	for (const char *const *url = sources_urls(ctx, file->original_url, file->url, false, fallback); *url; url++) {
		sources_say(ctx, "Fetching %s", *url);
		r = mirror(ctx, file->directory, *url, NULL, sha256);
		if (r == -ECANCELED || r == -ELIBACC)
			return r;
		if (r < 0)
			continue;
		if (strcmp(sha256, file->sha256) == 0)
			return 0;
		ctx->temporary = false; /* another try would bring the same */
		if (file->community)
			r = diag_set(ctx->diag, "source", NULL, "%s expected hash %s, got %s", *url, file->sha256, sha256);
		else
			r = diag_set(ctx->diag, "source", NULL, "File downloaded from %s has sha256sum '%s', not '%s'!", *url,
				     sha256, file->sha256);
	}
	return r;
}

bool sources_one_file_have(struct sources_context *ctx, const struct graph_source *source)
{
	struct sources_context quiet = *ctx;
	struct arena arena = { 0 };
	struct sources_file file;
	bool ret;

	quiet.diag = NULL; /* fetch will say it */
	ret = sources_ops_of(source)->file_of(&quiet, source, &arena, &file) == 0 && sources_file_have(&file);
	arena_release(&arena);
	return ret;
}

int sources_one_file_fetch(struct sources_context *ctx, const struct graph_source *source)
{
	struct arena arena = { 0 };
	struct sources_file file;
	int r = sources_ops_of(source)->file_of(ctx, source, &arena, &file);

	if (r == 0)
		r = sources_file_fetch(ctx, &file);
	arena_release(&arena);
	return r;
}

int sources_download_fetch(struct sources_context *ctx, const struct graph_source *source)
{
	_cleanup_buf_ struct buf directory = BUF_INIT;
	struct sources_file file = file_of(ctx, source, &directory);

	return sources_file_fetch(ctx, &file);
}

int sources_download_track(struct sources_context *ctx, const struct graph_source *source, struct sources_tracked *ret)
{
	const struct kinds_download *download = source->config;
	_cleanup_buf_ struct buf directory = BUF_INIT;
	struct sources_file file = file_of(ctx, source, &directory);
	const char *have = sources_file_have(&file) ? download->ref : NULL, *fallback[2];
	char sha256[DIGEST_HEX + 1];
	int r = -EINVAL;

	for (const char *const *url = sources_urls(ctx, file.original_url, file.url, true, fallback); r < 0 && *url; url++) {
		sources_say(ctx, "Tracking %s", *url);
		r = mirror(ctx, file.directory, *url, have, sha256);
		if (r == -ECANCELED || r == -ELIBACC)
			return r;
	}
	if (r < 0)
		return r;
	buf_adds(&ret->ref, sha256);
	if (download->ref && strcmp(download->ref, sha256) != 0)
		buf_printf(&ret->notice,
			   "Potential man-in-the-middle attack!\n"
			   "When tracking, new ref differs from current ref:\n"
			   "  Tracked URL: %s\n  Current ref: %s\n  New ref: %s\n",
			   download->url, download->ref, sha256);
	return 0;
}
