/* One transfer: see transfer.h. */
#include "sources/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/module.h"

enum { CHUNK_BYTES = 1 << 17, TEXT_MAX = 16 << 20 };

static int on_write(void *data, const void *bytes, size_t len)
{
	struct sources_transfer *transfer = data;

	if (transfer->text && transfer->text->len + len > TEXT_MAX)
		return -EFBIG;
	if (transfer->stream)
		digest_stream_add(transfer->stream, bytes, len);
	if (!transfer->text)
		return fs_write_all(transfer->fd, bytes, len);
	buf_add(transfer->text, bytes, len);
	return 0;
}

static int on_wait(void *data, struct pollfd *fds, nfds_t count, int64_t deadline_us)
{
	return sources_wait(((struct sources_transfer *)data)->ctx, fds, count, deadline_us);
}

static void on_progress(void *data, uint64_t done, uint64_t total)
{
	struct sources_context *ctx = ((struct sources_transfer *)data)->ctx;

	if (ctx->progress)
		ctx->progress(ctx->data, done, total);
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* The path in a file: URL, or NULL.  "file:///x", "file://localhost/x", "file:/x"; %xx undone. */
static char *file_url_path(const char *url)
{
	_cleanup_buf_ struct buf path = BUF_INIT;

	if (!str_starts(url, "file:"))
		return NULL;
	url += 5;
	if (str_starts(url, "//localhost/"))
		url += strlen("//localhost");
	else if (str_starts(url, "///"))
		url += 2;
	else if (str_starts(url, "//"))
		return NULL;
	for (; *url; url++) {
		int high = *url == '%' ? hex_value(url[1]) : -1, low = high >= 0 ? hex_value(url[2]) : -1;

		if (high >= 0 && low >= 0) {
			buf_addc(&path, (char)(high << 4 | low));
			url += 2;
		} else {
			buf_addc(&path, *url);
		}
	}
	return buf_steal(&path);
}

static int copy_file(struct sources_transfer *transfer, const char *path, struct curl_answer *answer)
{
	_cleanup_free_ char *chunk = xmalloc(CHUNK_BYTES);
	_cleanup_close_ int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	uint64_t done = 0;
	ssize_t n = 0;
	int r = 0;

	if (from < 0 || fstat(from, &st) < 0 || !S_ISREG(st.st_mode)) {
		buf_adds(&answer->error, strerror(from < 0 ? errno : EINVAL));
		answer->temporary = true; /* it may be on another machine's disk */
		return -EIO;
	}
	while (r >= 0 && (n = fs_read_some(from, chunk, CHUNK_BYTES)) != 0) {
		if (n < 0)
			return (int)n;
		r = on_write(transfer, chunk, (size_t)n);
		done += (uint64_t)n;
		if (r >= 0 && done % (64 * CHUNK_BYTES) == 0) {
			on_progress(transfer, done, (uint64_t)st.st_size);
			r = on_wait(transfer, NULL, 0, util_now_us());
		}
	}
	return r < 0 ? r : CURL_CAME;
}

int sources_transfer(struct sources_transfer *transfer, struct curl_answer *answer)
{
	_cleanup_free_ char *path = transfer->local ? file_url_path(transfer->url) : NULL;
	struct curl_request request = { .url = transfer->url, .etag = transfer->etag, .headers = transfer->headers,
					.data = transfer, .write = on_write, .wait = on_wait, .progress = on_progress };
	const struct curl_module *curl;

	if (path)
		return copy_file(transfer, path, answer);
	curl = module_open("curl", CURL_MODULE_SYMBOL, transfer->ctx->diag);
	return curl ? curl->transfer(&request, answer) : -ELIBACC;
}

void sources_answer_release(struct curl_answer *answer)
{
	buf_release(&answer->etag);
	buf_release(&answer->challenge);
	buf_release(&answer->error);
}
