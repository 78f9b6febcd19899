/* The table of functions that a session reports through, and the four places where text goes: stderr (messages),
 * stdout (results), --log-file (messages without colours) and BST_ERROR_FILE (JSON lines).
 *
 * Messages are collected for at most 100 ms while jobs run, so that a thousand small jobs do not cost a thousand
 * writes; session calls status or flush at every tick.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "cli/cli_internal.h"

#define PENDING_MAX_BYTES (64u << 10)
#define PENDING_MAX_US 100000

/* Writes what is pending on stderr, around the status area. */
static void write_messages(struct cli_frontend *f)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	cli_status_clear(&f->status, &text);
	if (f->settings.colors)
		buf_add(&text, buf_text(&f->err), f->err.len);
	else
		cli_strip_ansi(&text, buf_text(&f->err), f->err.len);
	cli_status_draw(&f->status, &text, f->settings.colors, f->status.enabled ? cli_terminal_columns() : 0);
	buf_clear(&f->err);
	if (text.len)
		fs_write_all(STDERR_FILENO, buf_text(&text), text.len);
	f->err_written_us = util_now_us();
}

static void write_output(struct cli_frontend *f)
{
	if (!f->out.len)
		return;
	fs_write_all(STDOUT_FILENO, buf_text(&f->out), f->out.len);
	buf_clear(&f->out);
}

/* The log file is opened with the first text for it, as click's lazy files are. */
static void log_text(struct cli_frontend *f, const char *text, size_t len)
{
	_cleanup_buf_ struct buf plain = BUF_INIT;

	if (!f->values->log_file)
		return;
	if (f->log_fd < 0)
		f->log_fd = str_eq(f->values->log_file, "-") ?
				    dup(STDOUT_FILENO) :
				    open(f->values->log_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	cli_strip_ansi(&plain, text, len);
	if (f->log_fd >= 0)
		fs_write_all(f->log_fd, buf_text(&plain), plain.len);
}

/* Text for stderr and the log file. */
static void emit(struct cli_frontend *f, const struct buf *text)
{
	buf_add(&f->err, buf_text(text), text->len);
	log_text(f, buf_text(text), text->len);
	bool wait = f->settings.throttle && f->running && f->err.len < PENDING_MAX_BYTES &&
		    util_now_us() - f->err_written_us < PENDING_MAX_US;

	if (!wait)
		write_messages(f);
}

void cli_frontend_say(struct cli_frontend *f, const char *text)
{
	_cleanup_buf_ struct buf all = BUF_INIT;

	cli_status_clear(&f->status, &all);
	if (f->settings.colors)
		buf_add(&all, buf_text(&f->err), f->err.len);
	else
		cli_strip_ansi(&all, buf_text(&f->err), f->err.len);
	buf_clear(&f->err);
	buf_adds(&all, text);
	fs_write_all(STDERR_FILENO, buf_text(&all), all.len);
}

static int or_configured(int given, int configured)
{
	return given == SESSION_UNSET ? configured : given;
}

static int on_configure(void *data, const struct session_display *display, struct diag *diag)
{
	struct cli_frontend *f = data;
	const struct session_globals *globals = &f->values->request.globals;

	f->settings.key_length = MAX(display->key_length, 0);
	f->settings.verbose = or_configured(globals->verbose, display->verbose);
	f->settings.debug = or_configured(globals->debug, display->debug);
	f->settings.error_lines = or_configured(globals->error_lines, display->error_lines);
	f->settings.message_lines = or_configured(globals->message_lines, display->message_lines);
	f->settings.throttle = display->throttle;
	free(f->settings.logdir);
	f->settings.logdir = xstrdup(display->logdir ? display->logdir : "");
	int r = cli_line_compile(&f->line, display->message_format, diag);

	return r < 0 ? r : cli_show_compile(&f->element_show, display->element_format, diag);
}

static void keep_failure(struct cli_frontend *f, const char *element, const struct buf *text)
{
	uint32_t at = strmap_get(&f->failure_index, element, strlen(element));

	if (at == STRMAP_NONE) {
		at = (uint32_t)f->n_failures;
		f->failures = util_grow(f->failures, &f->cap_failures, f->n_failures + 1, sizeof(*f->failures));
		f->failures[f->n_failures++] = (struct cli_failure){ .element = xstrdup(element) };
		strmap_put(&f->failure_index, f->failures[at].element, strlen(element), at);
	}
	free(f->failures[at].text);
	f->failures[at].text = xstrndup(buf_text(text), text->len);
}

static void on_message(void *data, const struct session_message *message)
{
	struct cli_frontend *f = data;
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (message->type == SESSION_MESSAGE_LOG || (message->type == SESSION_MESSAGE_DEBUG && !f->settings.debug) ||
	    (message->type == SESSION_MESSAGE_STATUS && !f->settings.verbose))
		return;
	cli_line_render(&text, &f->line, &f->settings, message);
	if (cli_is_error(message->type) && message->element)
		keep_failure(f, message->element, &text);
	emit(f, &text);
}

static void on_heading(void *data, const struct session_heading *heading)
{
	struct cli_frontend *f = data;
	_cleanup_buf_ struct buf text = BUF_INIT;

	cli_heading(&text, &f->settings, &f->element_show, heading);
	emit(f, &text);
}

static int by_element(const void *a, const void *b)
{
	return strcmp(((const struct cli_failure *)a)->element, ((const struct cli_failure *)b)->element);
}

static void on_summary(void *data, const struct session_summary *summary)
{
	struct cli_frontend *f = data;
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_free_ struct cli_failure *failures = xcalloc(summary->n_failed_elements + 1, sizeof(*failures));
	size_t count = 0;

	for (size_t i = 0; i < summary->n_failed_elements; i++) {
		const char *element = summary->failed_elements[i];
		uint32_t at = strmap_get(&f->failure_index, element, strlen(element));

		if (at != STRMAP_NONE)
			failures[count++] = f->failures[at];
	}
	qsort(failures, count, sizeof(*failures), by_element);
	buf_addc(&f->err, '\n');
	cli_summary(&text, &f->settings, &f->element_show, summary, failures, count);
	emit(f, &text);
	write_messages(f);
}

static int64_t on_show_needs(void *data, const char *format, struct diag *diag)
{
	struct cli_frontend *f = data;

	f->asked = true;
	if (!format || !*format) {
		f->show_given = false;
		return f->element_show.needs;
	}
	int r = cli_show_compile(&f->show, format, diag);

	f->show_given = r == 0;
	return r < 0 ? r : (int64_t)f->show.needs;
}

/* Text behind the last symbol of a format: newlines are stripped from the report's end that far only, because in the
 * peer's report each symbol ends in an escape sequence, which goes away later. */
static size_t tail_length(const struct cli_show *show)
{
	const struct cli_show_part *last = show->count ? &show->parts[show->count - 1] : NULL;

	return last && last->literal ? last->literal_len : 0;
}

/* Adds to stdout; newlines at the very end are held back, the peer strips them from its report. */
static void on_show_element(void *data, const struct session_element *element)
{
	struct cli_frontend *f = data;
	const struct cli_show *show = f->show_given ? &f->show : &f->element_show;
	size_t start, text;

	for (; f->held_newlines; f->held_newlines--)
		buf_addc(&f->out, '\n');
	text = f->out.len;

	cli_show_element(&f->out, show, element, f->settings.colors, f->settings.key_length);
	if (!f->settings.colors && memchr(f->out.data + text, '\033', f->out.len - text)) {
		_cleanup_buf_ struct buf plain = BUF_INIT;

		cli_strip_ansi(&plain, f->out.data + text, f->out.len - text);
		f->out.len = text;
		buf_add(&f->out, buf_text(&plain), plain.len);
	}
	start = f->out.len - MIN(f->out.len - text, tail_length(show));
	buf_addc(&f->out, '\n');
	while (f->out.len > start && f->out.data[f->out.len - 1] == '\n') {
		f->out.data[--f->out.len] = '\0';
		f->held_newlines++;
	}
	if (f->out.len >= PENDING_MAX_BYTES)
		write_output(f);
}

static void on_artifact_state(void *data, const char *name, enum session_artifact_state state)
{
	static const struct {
		const char *name;
		enum cli_color color;
	} states[] = {
		[SESSION_ARTIFACT_CACHED] = { "cached", CLI_MAGENTA },
		[SESSION_ARTIFACT_FAILED] = { "failed", CLI_RED },
		[SESSION_ARTIFACT_AVAILABLE] = { "available", CLI_GREEN },
		[SESSION_ARTIFACT_NOT_CACHED] = { "not cached", CLI_BRIGHT_RED },
	};
	struct cli_frontend *f = data;

	cli_styledf(&f->out, f->settings.colors, (struct cli_style){ .color = states[state].color }, "%12s",
		    states[state].name);
	buf_addc(&f->out, ' ');
	cli_styled(&f->out, f->settings.colors, CLI_CONTENT, name);
	buf_addc(&f->out, '\n');
}

/* The longest size the peer makes room for: 11 digits. */
static void add_entry(struct buf *out, const struct session_entry *entry, bool long_listing)
{
	static const char *const modes[] = {
		[SESSION_ENTRY_DIRECTORY] = "drwxr-xr-x  dir    ",
		[SESSION_ENTRY_SYMLINK] = "lrwxrwxrwx  link   ",
		[SESSION_ENTRY_EXECUTABLE] = "-rwxr-xr-x  exe    ",
		[SESSION_ENTRY_FILE] = "-rw-r--r--  reg    ",
	};

	buf_adds(out, "\n\t");
	if (long_listing)
		buf_printf(out, "%s%-11llu ", modes[entry->kind], (unsigned long long)entry->size_bytes);
	buf_adds(out, entry->path);
	if (long_listing && entry->kind == SESSION_ENTRY_SYMLINK)
		buf_printf(out, " -> %s", entry->target);
}

static void on_artifact_contents(void *data, const char *name, const struct session_entry *entries, size_t count,
				 bool long_listing)
{
	struct cli_frontend *f = data;
	_cleanup_buf_ struct buf text = BUF_INIT;

	cli_styledf(&f->out, f->settings.colors, CLI_FORMAT, "  %s:", name);
	for (size_t i = 0; i < count; i++)
		add_entry(&text, &entries[i], long_listing);
	if (!count)
		buf_adds(&text, "\n\tThis element has no associated artifacts");
	cli_styled(&f->out, f->settings.colors, CLI_CONTENT, buf_text(&text));
	buf_addc(&f->out, '\n');
}

static void on_output(void *data, const char *text, size_t len_bytes)
{
	struct cli_frontend *f = data;

	buf_add(&f->out, text, len_bytes);
	if (f->out.len >= PENDING_MAX_BYTES)
		write_output(f);
}

static void on_page(void *data, const char *text, size_t len_bytes)
{
	write_messages(data);
	write_output(data);
	cli_page(text, len_bytes);
}

static void on_notice(void *data, const char *text)
{
	struct cli_frontend *f = data;

	buf_printf(&f->err, "%s\n", text);
	write_messages(f);
}

void cli_error_record(const char *kind, const struct diag *diag)
{
	const char *path = getenv("BST_ERROR_FILE");
	_cleanup_buf_ struct buf line = BUF_INIT;
	_cleanup_close_ int fd = -1;

	if (!path || !*path)
		return;
	buf_addc(&line, '{');
	json_member(&line, "kind");
	json_str(&line, kind);
	json_member(&line, "domain");
	json_str(&line, diag->domain);
	json_member(&line, "reason");
	json_str(&line, diag->reason);
	json_member(&line, "element");
	json_str(&line, diag->element.len ? buf_text(&diag->element) : NULL);
	json_member(&line, "message");
	json_str(&line, buf_text(&diag->message));
	buf_adds(&line, "}\n");
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd >= 0)
		fs_write_all(fd, buf_text(&line), line.len);
}

static void on_error(void *data, const char *prefix, const struct diag *diag)
{
	struct cli_frontend *f = data;

	f->failed = true;
	buf_addc(&f->err, '\n');
	if (prefix)
		buf_printf(&f->err, "%s: ", prefix);
	diag_format(diag, &f->err);
	buf_addc(&f->err, '\n');
	if (f->settings.debug && diag->domain)
		buf_printf(&f->err, "\n    (%s%s%s)\n", diag->domain, diag->reason ? ": " : "",
			   diag->reason ? diag->reason : "");
	write_messages(f);
	cli_error_record("main", diag);
}

static void on_session_failed(void *data, const struct diag *diag)
{
	((struct cli_frontend *)data)->failed = true;
	cli_error_record("main", diag);
}

static void on_task_failed(void *data, const struct diag *diag)
{
	cli_error_record("task", diag);
}

static void on_status(void *data, const struct session_status *status)
{
	struct cli_frontend *f = data;

	cli_status_update(&f->status, status);
	if (f->err.len || f->status.enabled)
		write_messages(f);
}

static void on_job_started(void *data, const struct session_job *job)
{
	struct cli_frontend *f = data;

	f->running++;
	cli_status_start(&f->status, job);
}

static void on_job_progress(void *data, uint32_t id, uint64_t current, uint64_t maximum)
{
	cli_status_progress(&((struct cli_frontend *)data)->status, id, current, maximum);
}

static void on_job_ended(void *data, uint32_t id)
{
	struct cli_frontend *f = data;

	f->running -= f->running > 0;
	cli_status_end(&f->status, id);
}

static enum session_answer on_ask_interrupt(void *data)
{
	return cli_ask_interrupt(data);
}

static enum session_answer on_ask_failure(void *data, const struct session_failure *failure)
{
	return cli_ask_failure(data, failure);
}

static void on_suspend(void *data)
{
	cli_frontend_say(data, "");
}

static void on_flush(void *data)
{
	struct cli_frontend *f = data;

	/* Ends the report; it is there even if no element was shown. */
	if (f->values->request.command == SESSION_SHOW && f->asked && !f->failed)
		buf_addc(&f->out, '\n');
	f->asked = false;
	f->held_newlines = 0;
	write_messages(f);
	write_output(f);
}

struct session_frontend cli_frontend_table(struct cli_frontend *frontend)
{
	return (struct session_frontend){
		.data = frontend,
		.configure = on_configure,
		.message = on_message,
		.heading = on_heading,
		.summary = on_summary,
		.show_needs = on_show_needs,
		.show_element = on_show_element,
		.artifact_state = on_artifact_state,
		.artifact_contents = on_artifact_contents,
		.output = on_output,
		.page = on_page,
		.notice = on_notice,
		.error = on_error,
		.session_failed = on_session_failed,
		.task_failed = on_task_failed,
		.status = on_status,
		.job_started = on_job_started,
		.job_progress = on_job_progress,
		.job_ended = on_job_ended,
		.ask_interrupt = on_ask_interrupt,
		.ask_failure = on_ask_failure,
		.suspend = on_suspend,
		.flush = on_flush,
	};
}

/* A terminal that moves its cursor: everything but the dumb ones, by now. */
static bool can_draw(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && isatty(STDERR_FILENO) && term && *term && !str_eq(term, "dumb");
}

void cli_frontend_init(struct cli_frontend *frontend, const struct cli_values *values)
{
	static const struct session_display defaults = SESSION_DISPLAY_DEFAULT;

	*frontend = (struct cli_frontend){ .values = values, .log_fd = -1 };
	frontend->settings.colors = values->request.globals.colors;
	frontend->status.enabled = values->request.globals.interactive && can_draw();
	/* Until user configuration is known, errors in it included. */
	if (on_configure(frontend, &defaults, NULL) < 0)
		bug("cli: the default formats do not compile");
}

void cli_frontend_release(struct cli_frontend *f)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (f->err.len)
		write_messages(f);
	write_output(f);
	cli_status_clear(&f->status, &text);
	if (text.len)
		fs_write_all(STDERR_FILENO, buf_text(&text), text.len);
	for (size_t i = 0; i < f->n_failures; i++) {
		free(f->failures[i].element);
		free(f->failures[i].text);
	}
	free(f->failures);
	strmap_release(&f->failure_index);
	cli_status_release(&f->status);
	cli_line_release(&f->line);
	cli_show_release(&f->element_show);
	cli_show_release(&f->show);
	free(f->settings.logdir);
	buf_release(&f->out);
	buf_release(&f->err);
	close_fd(f->log_fd);
}
