/* millrace-curl.so: HTTP, HTTPS and FTP through libcurl, waiting where the caller waits. */
#include "sources/curl_module.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>

enum { CONNECT_TIMEOUT_S = 60, STALL_S = 600, WAIT_MOST_MS = 1000, HEADER_MAX = 4096 };

struct transfer {
	const struct curl_request *request;
	struct curl_answer *answer;
	CURLM *multi;
	CURL *easy;
	int write_error;
	char error[CURL_ERROR_SIZE];
	char reason[128]; /* what the server says of its status, "Not Found"; empty since HTTP/2 */
};

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
	struct transfer *transfer = data;
	int r = transfer->request->write(transfer->request->data, bytes, size * count);

	if (r < 0)
		transfer->write_error = r;
	return r < 0 ? 0 : size * count;
}

/* The value, if it is the header of that name ("ETag:"). */
static void take_header(const char *line, size_t len, const char *name, struct buf *ret)
{
	size_t start = strlen(name);

	if (len <= start || strncasecmp(line, name, start) != 0)
		return;
	while (start < len && (line[start] == ' ' || line[start] == '\t'))
		start++;
	while (len > start && (unsigned char)line[len - 1] <= ' ')
		len--;
	buf_clear(ret);
	if (len - start <= HEADER_MAX)
		buf_add(ret, line + start, len - start);
}

/* A redirect has headers of its own: the last answer's count. */
/* "HTTP/1.1 404 Not Found" and the end of the line. */
static void take_reason(struct transfer *transfer, const char *line, size_t len)
{
	const char *end = line + len, *at = memchr(line, ' ', len);

	at = at ? memchr(at + 1, ' ', (size_t)(end - at) - 1) : NULL;
	at = at ? at + 1 : end;
	while (end > at && (unsigned char)end[-1] <= ' ')
		end--;
	snprintf(transfer->reason, sizeof transfer->reason, "%.*s", (int)(end - at), at);
}

static size_t on_header(char *line, size_t size, size_t count, void *data)
{
	struct transfer *transfer = data;
	struct curl_answer *answer = transfer->answer;
	size_t len = size * count;

	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		buf_clear(&answer->etag);
		buf_clear(&answer->challenge);
		take_reason(transfer, line, len);
	}
	take_header(line, len, "ETag:", &answer->etag);
	take_header(line, len, "WWW-Authenticate:", &answer->challenge);
	return len;
}

static int on_progress(void *data, curl_off_t total, curl_off_t done, curl_off_t up_total, curl_off_t up)
{
	struct transfer *transfer = data;

	if (transfer->request->progress && done > 0)
		transfer->request->progress(transfer->request->data, (uint64_t)done, (uint64_t)MAX(total, 0));
	return 0;
}

/* Whom to trust, where others than the system's are to be: as OpenSSL and Python's requests are told. */
static void set_trust(CURL *easy)
{
	static const struct {
		const char *name;
		CURLoption option;
	} rows[] = { { "REQUESTS_CA_BUNDLE", CURLOPT_CAINFO },
		     { "CURL_CA_BUNDLE", CURLOPT_CAINFO },
		     { "SSL_CERT_FILE", CURLOPT_CAINFO },
		     { "SSL_CERT_DIR", CURLOPT_CAPATH } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *value = getenv(rows[i].name);

		if (value && *value)
			curl_easy_setopt(easy, rows[i].option, value);
	}
}

static void set_options(struct transfer *transfer)
{
	CURL *easy = transfer->easy;

	curl_easy_setopt(easy, CURLOPT_URL, transfer->request->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https,ftp,ftps");
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https,ftp");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 10L);
	curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
	/* the peer's name: servers may know it */
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "BuildStream/2");
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, transfer);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	set_trust(easy);
}

/* Lets the caller wait on what curl waits for. */
static int wait_some(struct transfer *transfer)
{
	struct pollfd fds[64];
	fd_set reads, writes, errors;
	nfds_t count = 0;
	long timeout_ms = WAIT_MOST_MS;
	int most = -1, r;

	FD_ZERO(&reads);
	FD_ZERO(&writes);
	FD_ZERO(&errors);
	curl_multi_timeout(transfer->multi, &timeout_ms);
	if (timeout_ms < 0 || timeout_ms > WAIT_MOST_MS)
		timeout_ms = WAIT_MOST_MS;
	curl_multi_fdset(transfer->multi, &reads, &writes, &errors, &most);
	for (int fd = 0; fd <= most && count < ARRAY_SIZE(fds); fd++) {
		short events = (FD_ISSET(fd, &reads) ? POLLIN : 0) | (FD_ISSET(fd, &writes) ? POLLOUT : 0);

		if (events)
			fds[count++] = (struct pollfd){ .fd = fd, .events = events };
	}
	if (count == 0 && timeout_ms > 20)
		timeout_ms = 20; /* a resolver at work has no descriptor to show */
	r = transfer->request->wait(transfer->request->data, fds, count, util_now_us() + timeout_ms * 1000);
	return r < 0 ? r : 0;
}

static bool may_pass(CURLcode code, long status)
{
	if (code == CURLE_HTTP_RETURNED_ERROR)
		return status >= 500 || status == 408 || status == 429;
	return code != CURLE_UNSUPPORTED_PROTOCOL && code != CURLE_URL_MALFORMAT && code != CURLE_LOGIN_DENIED;
}

static int conclude(struct transfer *transfer)
{
	struct curl_answer *answer = transfer->answer;
	CURLcode code = CURLE_FAILED_INIT;
	struct CURLMsg *message;
	long status = 0;
	int left;

	while ((message = curl_multi_info_read(transfer->multi, &left)))
		if (message->msg == CURLMSG_DONE)
			code = message->data.result;
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	answer->status = status;
	if (transfer->write_error)
		return transfer->write_error;
	if (code == CURLE_OK)
		return status == 304 ? CURL_NOT_MODIFIED : CURL_CAME;
	if (code == CURLE_HTTP_RETURNED_ERROR)
		buf_printf(&answer->error, "HTTP Error %ld: %s", status, transfer->reason);
	else
		buf_adds(&answer->error, *transfer->error ? transfer->error : curl_easy_strerror(code));
	answer->temporary = may_pass(code, status);
	return -EIO;
}

static int transfer_run(const struct curl_request *request, struct curl_answer *answer)
{
	struct transfer transfer = { .request = request, .answer = answer };
	struct curl_slist *headers = NULL;
	int running = 1, r = 0;

	transfer.easy = curl_easy_init();
	transfer.multi = curl_multi_init();
	if (!transfer.easy || !transfer.multi)
		bug("libcurl does not start");
	set_options(&transfer);
	if (request->etag) {
		_cleanup_free_ char *line = xasprintf("If-None-Match: %s", request->etag);

		headers = curl_slist_append(headers, line);
	}
	for (const char *const *line = request->headers; line && *line; line++)
		headers = curl_slist_append(headers, *line);
	curl_easy_setopt(transfer.easy, CURLOPT_HTTPHEADER, headers);
	curl_multi_add_handle(transfer.multi, transfer.easy);
	while (r == 0 && running) {
		curl_multi_perform(transfer.multi, &running);
		if (running)
			r = wait_some(&transfer);
	}
	if (r == 0)
		r = conclude(&transfer);
	curl_multi_remove_handle(transfer.multi, transfer.easy);
	curl_slist_free_all(headers);
	curl_easy_cleanup(transfer.easy);
	curl_multi_cleanup(transfer.multi);
	return r;
}

extern const struct curl_module millrace_curl_module;
const struct curl_module millrace_curl_module = { .transfer = transfer_run };
