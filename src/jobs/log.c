/* A job's log file, in the peer's format (_messenger.py, widget.py's log files):
 *
 *     BuildStream 2.8.1 - Monday, 23-11-2026 at 00:35:25
 *     [--:--:--] START   [d4320652] hello.bst: Build
 *     [00:00:00] SUCCESS [d4320652] hello.bst: Staging dependencies at: /
 *
 * Detail follows after an empty line, indented by four.  Output of sandboxed commands goes into the same file.
 */
#include "jobs/jobs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"

static const struct key *key_of(const struct worker_job *job, uint32_t element)
{
	const struct state_element *state = state_get(job->state, element);

	return key_known(&state->strong) ? &state->strong : &state->strict;
}

static void add_key(struct buf *out, const struct jobs_log *log, uint32_t element)
{
	char hex[DIGEST_HEX + 1];
	const struct key *key = key_of(log->job, element);

	if (!key_known(key)) {
		for (uint32_t i = 0; i < log->context->key_length; i++)
			buf_addc(out, '?');
		return;
	}
	digest_to_hex(hex, key->hash);
	buf_add(out, hex, MIN(log->context->key_length, (uint32_t)DIGEST_HEX));
}

static void add_elapsed(struct buf *out, int64_t elapsed_us)
{
	int64_t s = elapsed_us / 1000000;

	if (elapsed_us < 0)
		buf_adds(out, "[--:--:--]");
	else
		buf_printf(out, "[%02lld:%02lld:%02lld]", (long long)(s / 3600), (long long)(s / 60 % 60), (long long)(s % 60));
}

static void add_indented(struct buf *out, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (n)
			buf_printf(out, "    %.*s", (int)n, text);
		buf_addc(out, '\n');
		text += n + (text[n] == '\n');
	}
}

void jobs_log_line(struct jobs_log *log, enum wire_kind kind, uint32_t element, bool keyless, const char *text,
		   const char *detail, int64_t elapsed_us)
{
	static const char *const words[WIRE_KIND_END] = {
		"DEBUG", "STATUS", "INFO", "WARNING", "ERROR", "BUG", "LOG", "START", "SUCCESS", "FAILURE", "SKIPPED",
	};
	_cleanup_buf_ struct buf own = BUF_INIT;
	struct buf *line = log->held ? &log->pending : &own;

	add_elapsed(line, elapsed_us);
	buf_printf(line, " %-7s ", words[kind]);
	if (!keyless) {
		buf_addc(line, '[');
		add_key(line, log, element);
		buf_adds(line, "] ");
	}
	buf_printf(line, "%s: %s\n", log->context->graph->elements[element].name, text);
	if (detail && *detail) {
		buf_addc(line, '\n');
		add_indented(line, detail);
	}
	if (!log->held)
		(void)fs_write_all(log->fd, own.data, own.len);
}

void jobs_log_say(struct jobs_log *log, enum wire_kind kind, uint32_t element, bool keyless, const char *text,
		  const char *detail, int64_t elapsed_us)
{
	jobs_log_line(log, kind, element, keyless, text, detail, elapsed_us);
	if (kind != WIRE_LOG)
		worker_message(log->job, kind, text, detail, NULL, elapsed_us);
}

static const char *make_path(struct jobs_log *log, const char *action, const struct tm *now)
{
	const struct graph_element *element = &log->context->graph->elements[log->job->element];
	_cleanup_buf_ struct buf key = BUF_INIT;
	char when[32];

	add_key(&key, log, log->job->element);
	strftime(when, sizeof(when), "%Y%m%d-%H%M%S", now);
	return arena_printf(log->job->arena, "%s/%s/%s/%s-%s.%s.log", log->context->logdir,
			    log->context->graph->projects[element->project].name, element->normal_name, buf_text(&key),
			    action, when);
}

static void add_head(struct jobs_log *log, const char *head)
{
	if (log->held)
		buf_adds(&log->pending, head);
	else
		(void)fs_write_all(log->fd, head, strlen(head));
}

/* An element's first job mostly finds no directory, and to look for a file in it costs more than to make it. */
static int open_file(const char *path, bool first)
{
	int flags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, fd, r = first ? fs_mkdir_parent(AT_FDCWD, path, 0777) : 0;

	if (r < 0)
		return r;
	fd = open(path, flags, 0666);
	if (fd < 0 && errno == ENOENT) {
		r = fs_mkdir_parent(AT_FDCWD, path, 0777);
		if (r < 0)
			return r;
		fd = open(path, flags, 0666);
	}
	return fd < 0 ? -errno : fd;
}

void jobs_log_release(struct jobs_log *log)
{
	if (!log->held)
		return;
	(void)fs_write_all(log->fd, buf_text(&log->pending), log->pending.len);
	buf_release(&log->pending);
	log->held = false;
	worker_hold(log->job, false);
}

int jobs_log_put(struct jobs_log *log, struct cas *cas, struct digest *ret)
{
	return log->held ? cas_put(cas, buf_text(&log->pending), log->pending.len, ret) : cas_put_fd(cas, log->fd, ret);
}

int jobs_log_open(struct jobs_log *log, struct worker_job *job, const char *title, bool held)
{
	char head[96];
	struct tm now;
	time_t t = time(NULL);

	*log = (struct jobs_log){ .job = job, .context = job->context, .title = title, .start_us = util_now_us(),
				  .held = held };
	worker_hold(job, held);
	localtime_r(&t, &now);
	log->path = make_path(log, jobs_types[job->type].name, &now);
	log->fd = open_file(log->path, job->type == JOBS_FETCH);
	if (log->fd < 0)
		return diag_errno(&job->diag, "app", NULL, -log->fd, "Could not make the log file %s", log->path);
	job->log = log->path;
	if (strftime(head, sizeof(head), "BuildStream 2.8.1 - %A, %d-%m-%Y at %H:%M:%S\n", &now))
		add_head(log, head);
	jobs_log_line(log, WIRE_START, job->element, false, title, NULL, -1);
	worker_message(job, WIRE_START, title, NULL, log->path, -1);
	return 0;
}

/* A failure that the scheduler will have tried again is told in the peer's words, with the reason as detail. */
static void say_failure(struct jobs_log *log, int result, int64_t elapsed_us)
{
	struct worker_job *job = log->job;
	const char *detail = job->diag.detail.len ? buf_text(&job->diag.detail) : NULL;
	const char *text = job->diag.message.len ? buf_text(&job->diag.message) : strerror(-result);

	if (job->temporary && job->attempt <= log->context->network_retries) {
		detail = detail ? arena_printf(job->arena, "%s\n%s", text, detail) : text;
		text = arena_printf(job->arena, "Try #%u failed, retrying", job->attempt);
	}
	jobs_log_line(log, WIRE_FAILURE, job->element, false, text, detail, elapsed_us);
	worker_message(job, WIRE_FAILURE, text, detail, log->path, elapsed_us);
}

/* Whatever could not be stored for want of room, and whoever could not go on without: this is the reason. */
static void blame_full_cache(struct jobs_log *log)
{
	struct diag *diag = &log->job->diag;
	_cleanup_buf_ struct buf text = BUF_INIT, was = BUF_INIT;

	if (!cas_was_full(log->context->cas, &text))
		return;
	diag_format(diag, &was);
	diag_set(diag, "cas", "cache-too-full", "%s", buf_text(&text));
	if (was.len)
		diag_detail(diag, "%s", buf_text(&was));
}

int jobs_log_close(struct jobs_log *log, int result)
{
	struct worker_job *job = log->job;
	int64_t elapsed_us = util_now_us() - log->start_us;

	if (result < 0)
		blame_full_cache(log);
	if (result >= 0) {
		jobs_log_line(log, WIRE_SUCCESS, job->element, false, log->title, NULL, elapsed_us);
		worker_message(job, WIRE_SUCCESS, log->title, NULL, log->path, elapsed_us);
	} else if (result != -ECANCELED) {
		say_failure(log, result, elapsed_us);
	}
	if (log->held) /* messages go with the result */
		(void)fs_write_all(log->fd, buf_text(&log->pending), log->pending.len);
	buf_release(&log->pending);
	close_fd(steal_fd(&log->fd));
	return result;
}
