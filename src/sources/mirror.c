/* Where originals are kept below <sourcedir>, who may change that at a time, and where they come from. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "base/fs.h"
#include "sources/sources_internal.h"

enum { LOCK_POLL_US = 50000 };

void sources_mirror_name(struct buf *ret, const char *url)
{
	for (; *url; url++) {
		unsigned char c = (unsigned char)*url;

		if ((c & 0xc0) == 0x80)
			continue; /* the rest of a character */
		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '%')
			buf_addc(ret, (char)c);
		else
			buf_addc(ret, '_');
	}
}

const char *sources_mirror_directory(struct sources_context *ctx, struct arena *arena, const char *kind, const char *url,
				 const char *suffix)
{
	_cleanup_buf_ struct buf name = BUF_INIT;

	sources_mirror_name(&name, url);
	return arena_printf(arena, "%s/%s/%s%s", ctx->sourcedir, kind, buf_text(&name), suffix);
}

static int found_one(void *data, int dirfd UNUSED, const char *name UNUSED)
{
	*(bool *)data = true;
	return -1;
}

bool sources_directory_filled(const char *path)
{
	bool ret = false;

	(void)fs_each_name(AT_FDCWD, path, found_one, &ret);
	return ret;
}

int sources_lock(struct sources_context *ctx, int fd, const char *name)
{
	int r = fd < 0 ? diag_errno(ctx->diag, "source", NULL, errno, "Cannot open %s", name) : 0;

	while (r == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			r = diag_errno(ctx->diag, "source", NULL, errno, "Cannot lock %s", name);
		else
			r = sources_wait(ctx, NULL, 0, util_now_us() + LOCK_POLL_US);
		r = MIN(r, 0);
	}
	if (r < 0)
		close_fd(fd);
	return r < 0 ? r : fd;
}

const char *const *sources_urls(struct sources_context *ctx, const char *original, const char *translated, bool tracking,
				const char *fallback[2])
{
	const char *const *urls;

	fallback[0] = translated ? translated : original;
	fallback[1] = NULL;
	urls = ctx->urls ? ctx->urls(ctx->data, original, fallback[0], tracking) : NULL;
	return urls && *urls ? urls : fallback;
}
