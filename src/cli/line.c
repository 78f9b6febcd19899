/* One message as the peer's LogLine widget prints it (_frontend/widget.py):
 *
 *	[00:00:00][a3f1c2d4][   build:hello.bst                     ] SUCCESS hello/a3f1c2d4-build.20260801-120000.log
 *
 * then its detail, indented by four, and below a failed job's message the last lines of its log.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli_internal.h"

#define INDENT "    "
#define LOG_TAIL_MAX (8u << 20)

static const struct {
	const char *name;
	enum cli_color color;
} types[SESSION_MESSAGE_TYPES] = {
	[SESSION_MESSAGE_DEBUG] = { "DEBUG", CLI_CYAN },
	[SESSION_MESSAGE_STATUS] = { "STATUS", CLI_CYAN },
	[SESSION_MESSAGE_INFO] = { "INFO", CLI_MAGENTA },
	[SESSION_MESSAGE_WARN] = { "WARNING", CLI_YELLOW },
	[SESSION_MESSAGE_ERROR] = { "ERROR", CLI_RED },
	[SESSION_MESSAGE_BUG] = { "BUG", CLI_RED },
	[SESSION_MESSAGE_LOG] = { "LOG", CLI_PLAIN },
	[SESSION_MESSAGE_START] = { "START", CLI_BLUE },
	[SESSION_MESSAGE_SUCCESS] = { "SUCCESS", CLI_GREEN },
	[SESSION_MESSAGE_FAIL] = { "FAILURE", CLI_RED },
	[SESSION_MESSAGE_SKIPPED] = { "SKIPPED", CLI_YELLOW },
};

static const struct {
	const char *name;
	enum cli_column column;
} columns[] = {
	{ "elapsed", CLI_COLUMN_ELAPSED },
	{ "elapsed-us", CLI_COLUMN_ELAPSED_US },
	{ "wallclock", CLI_COLUMN_WALLCLOCK },
	{ "wallclock-us", CLI_COLUMN_WALLCLOCK_US },
	{ "key", CLI_COLUMN_KEY },
	{ "element", CLI_COLUMN_ELEMENT },
	{ "action", CLI_COLUMN_ACTION },
	{ "message", CLI_COLUMN_MESSAGE },
};

bool cli_is_error(enum session_message_type type)
{
	return type == SESSION_MESSAGE_FAIL || type == SESSION_MESSAGE_ERROR || type == SESSION_MESSAGE_BUG;
}

static void add_part(struct cli_line *line, enum cli_column column, const char *text, size_t len)
{
	line->parts = util_grow(line->parts, &line->cap, line->count + 1, sizeof(*line->parts));
	line->parts[line->count++] =
		(struct cli_line_part){ column, column == CLI_COLUMN_TEXT ? xstrndup(text, len) : NULL };
}

static int add_variable(struct cli_line *line, const char *name, size_t len, struct diag *diag)
{
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		if (strlen(columns[i].name) == len && memcmp(columns[i].name, name, len) == 0) {
			add_part(line, columns[i].column, NULL, 0);
			return 0;
		}
	return diag_set(diag, "app", "invalid-format", "'%.*s' is not a valid log variable name.", (int)len, name);
}

int cli_line_compile(struct cli_line *line, const char *format, struct diag *diag)
{
	cli_line_release(line);
	while (*format) {
		size_t len = strcspn(format, "%"), name_len = strcspn(format, "}");

		if (len) {
			add_part(line, CLI_COLUMN_TEXT, format, len);
			format += len;
		} else if (format[1] == '%') {
			add_part(line, CLI_COLUMN_TEXT, "%", 1);
			format += 2;
		} else if (format[1] == '{' && format[name_len] && name_len > 2) {
			int r = add_variable(line, format + 2, name_len - 2, diag);

			if (r < 0)
				return r;
			format += name_len + 1;
		} else {
			return diag_set(diag, "app", "invalid-format",
					"'%s' could not be parsed into a valid logging format.", format);
		}
	}
	return 0;
}

void cli_line_release(struct cli_line *line)
{
	for (size_t i = 0; i < line->count; i++)
		free(line->parts[i].text);
	free(line->parts);
	*line = (struct cli_line){ 0 };
}

static void three_fields(struct buf *out, bool colors, const char *const fields[3])
{
	for (int i = 0; i < 3; i++) {
		if (i)
			cli_styled(out, colors, CLI_FORMAT, ":");
		cli_styled(out, colors, CLI_CONTENT, fields[i]);
	}
}

static void clock_fields(struct buf *out, bool colors, int64_t hours, int minutes, int seconds)
{
	char text[3][24];

	snprintf(text[0], sizeof(text[0]), "%02lld", (long long)hours);
	snprintf(text[1], sizeof(text[1]), "%02d", minutes);
	snprintf(text[2], sizeof(text[2]), "%02d", seconds);
	three_fields(out, colors, (const char *const[]){ text[0], text[1], text[2] });
}

void cli_time_code(struct buf *out, bool colors, int64_t elapsed_us, bool microseconds)
{
	int64_t seconds = elapsed_us / 1000000;

	if (elapsed_us < 0)
		three_fields(out, colors, (const char *const[]){ "--", "--", "--" });
	else
		clock_fields(out, colors, seconds / 3600, (int)(seconds / 60 % 60), (int)(seconds % 60));
	if (microseconds && elapsed_us < 0)
		cli_styled(out, colors, CLI_CONTENT, ".------");
	else if (microseconds)
		cli_styledf(out, colors, CLI_CONTENT, ".%06d", (int)(elapsed_us % 1000000));
}

static void add_wallclock(struct buf *out, bool colors, int64_t wallclock_us, bool microseconds)
{
	struct timespec now;
	struct tm tm = { 0 };

	if (!wallclock_us) {
		clock_gettime(CLOCK_REALTIME, &now);
		wallclock_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	}
	time_t seconds = (time_t)(wallclock_us / 1000000);

	localtime_r(&seconds, &tm);
	clock_fields(out, colors, tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (microseconds)
		cli_styledf(out, colors, CLI_CONTENT, ".%06d", (int)(wallclock_us % 1000000));
}

static void padded(struct buf *out, const char *text, size_t width)
{
	size_t len = cli_text_len(text);

	buf_adds(out, text);
	if (len < width)
		buf_printf(out, "%*s", (int)(width - len), "");
}

static void add_key(struct buf *out, const struct cli_settings *settings, const struct session_message *m)
{
	size_t length = (size_t)MAX(settings->key_length, 0);
	const char *key = m->task_key ? m->task_key : m->key;
	bool weak = m->task_key ? m->task_key_weak : m->key_weak || !m->key;
	_cleanup_buf_ struct buf brief = BUF_INIT;

	if (!m->element) { /* the key of nobody: blanks without a style */
		buf_printf(out, "%*s", (int)length, "");
		return;
	}
	for (size_t i = 0; i < length && (!key || key[i]); i++)
		buf_addc(&brief, key ? key[i] : '?');
	if (!length)
		return;
	if (cli_is_error(m->type))
		cli_styled(out, settings->colors, CLI_ERROR, buf_text(&brief));
	else
		cli_styled(out, settings->colors, (struct cli_style){ .color = CLI_YELLOW, .dim = weak ? 1 : -1 },
			   buf_text(&brief));
}

static void add_element(struct buf *out, bool colors, const struct session_message *m)
{
	_cleanup_buf_ struct buf name = BUF_INIT;
	const char *action = m->action ? m->action : "main", *element = m->task_element ? m->task_element : m->element;
	_cleanup_free_ char *lower = xstrdup(action);

	for (char *p = lower; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	padded(&name, element ? element : "core activity", 30);
	cli_styledf(out, colors, CLI_CONTENT, "%8s", lower);
	cli_styled(out, colors, CLI_FORMAT, ":");
	cli_styled(out, colors, CLI_CONTENT, buf_text(&name));
}

/* The log file's name, relative to logdir; nothing unless this is a job's own message. */
static void add_logfile(struct buf *out, const struct cli_settings *settings, const struct session_message *m, bool whole)
{
	const char *name = m->logfile, *logdir = settings->logdir ? settings->logdir : "";

	if (!m->logfile || !m->scheduler)
		return;
	if (!whole && *logdir && str_starts(name, logdir)) {
		name += strlen(logdir);
		name += strspn(name, "/");
	}
	cli_styled(out, settings->colors, cli_is_error(m->type) ? CLI_ERROR : (struct cli_style){ .color = CLI_YELLOW, .dim = 1 },
		   name);
}

/* START and SUCCESS of a job say nothing that its log file's name does not say better. */
static void add_text(struct buf *out, const struct cli_settings *settings, const struct session_message *m)
{
	bool bookend = m->type == SESSION_MESSAGE_START || m->type == SESSION_MESSAGE_SUCCESS;

	if (m->logfile && m->scheduler && bookend)
		add_logfile(out, settings, m, false);
	else
		buf_adds(out, m->text);
}

static void add_column(struct buf *out, const struct cli_line_part *part, const struct cli_settings *settings,
		       const struct session_message *m)
{
	bool colors = settings->colors;

	switch (part->column) {
	case CLI_COLUMN_TEXT:
		cli_styled(out, colors, CLI_FORMAT, part->text);
		break;
	case CLI_COLUMN_ELAPSED:
	case CLI_COLUMN_ELAPSED_US:
		cli_time_code(out, colors, m->elapsed_us, part->column == CLI_COLUMN_ELAPSED_US);
		break;
	case CLI_COLUMN_WALLCLOCK:
	case CLI_COLUMN_WALLCLOCK_US:
		add_wallclock(out, colors, m->wallclock_us, part->column == CLI_COLUMN_WALLCLOCK_US);
		break;
	case CLI_COLUMN_KEY:
		add_key(out, settings, m);
		break;
	case CLI_COLUMN_ELEMENT:
		add_element(out, colors, m);
		break;
	case CLI_COLUMN_ACTION:
		cli_styledf(out, colors, (struct cli_style){ .color = types[m->type].color, .bold = 1, .dim = 1 }, "%-7s",
			    types[m->type].name);
		break;
	case CLI_COLUMN_MESSAGE:
		add_text(out, settings, m);
		break;
	}
}

static void add_debug(struct buf *out, const struct cli_settings *settings, const struct session_message *m)
{
	_cleanup_buf_ struct buf name = BUF_INIT;

	padded(&name, m->element ? m->element : "n/a", 30);
	cli_styled(out, settings->colors, CLI_FORMAT, "pid:");
	cli_styledf(out, settings->colors, CLI_CONTENT, "%-5d", m->pid ? m->pid : (int)getpid());
	cli_styled(out, settings->colors, CLI_FORMAT, "element name:");
	cli_styled(out, settings->colors, CLI_CONTENT, buf_text(&name));
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text; lines++) {
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return lines;
}

/* The detail, shortened to message-lines unless it is an error or from outside any element. */
static void add_detail(struct buf *out, const struct cli_settings *settings, const struct session_message *m)
{
	size_t n_lines = count_lines(m->detail), limit = (size_t)MAX(settings->message_lines, 0);
	bool shorten = !cli_is_error(m->type) && m->element && n_lines > limit;
	_cleanup_buf_ struct buf detail = BUF_INIT;
	const char *line = m->detail;

	if (shorten && !limit)
		buf_adds(&detail, INDENT); /* as the peer: an indented nothing */
	for (size_t i = 0; i < n_lines && (!shorten || i < limit); i++) {
		size_t len = strcspn(line, "\n") + (line[strcspn(line, "\n")] == '\n');

		buf_adds(&detail, INDENT);
		buf_add(&detail, line, len);
		line += len;
	}
	while (!shorten && detail.len && detail.data[detail.len - 1] == '\n')
		detail.data[--detail.len] = '\0';
	buf_addc(out, '\n');
	cli_styled(out, settings->colors,
		   cli_is_error(m->type) ? (struct cli_style){ .color = CLI_RED, .bold = 1, .dim = 1 } : CLI_DETAIL,
		   buf_text(&detail));
	if (shorten && limit) {
		buf_adds(out, INDENT);
		cli_styledf(out, settings->colors, (struct cli_style){ .color = CLI_YELLOW, .dim = 1 },
			    "Message contains %zu additional lines", n_lines - limit);
	}
	buf_addc(out, '\n');
}

/* The last lines of a file, carriage returns taken for line ends, blanks at the end cut off. */
static void read_last_lines(struct buf *out, const char *path, size_t lines)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	size_t size = (size_t)MIN((off_t)LOG_TAIL_MAX, st.st_size), from, seen = 0;
	_cleanup_free_ char *text = xmalloc(size + 1);
	ssize_t got = pread(fd, text, size, st.st_size - (off_t)size);

	size = got > 0 ? (size_t)got : 0;
	for (from = size ? size - 1 : 0; from > 0; from--)
		if (text[from - 1] == '\n' && ++seen == lines)
			break;
	for (size_t i = from; i < size; i++) {
		if (text[i] == '\r' && i + 1 < size && text[i + 1] == '\n')
			continue;
		buf_addc(out, text[i] == '\r' ? '\n' : text[i] ? text[i] : ' ');
	}
	while (out->len && strchr(" \t\r\n\f\v", out->data[out->len - 1]))
		out->data[--out->len] = '\0';
}

static void add_log_tail(struct buf *out, const struct cli_settings *settings, const struct session_message *m)
{
	static const char rule[] = "======================================================================";
	_cleanup_buf_ struct buf tail = BUF_INIT, indented = BUF_INIT;
	bool colors = settings->colors;

	buf_addc(out, '\n');
	if (!settings->verbose) {
		buf_adds(out, INDENT);
		cli_styled(out, colors, CLI_ERROR, "Log file: ");
		buf_adds(out, INDENT);
		add_logfile(out, settings, m, false);
		buf_addc(out, '\n');
		return;
	}
	if (settings->error_lines <= 0)
		return;
	buf_adds(out, INDENT);
	cli_styledf(out, colors, CLI_ERROR, "Printing the last %d lines from log file:", settings->error_lines);
	buf_adds(out, "\n" INDENT);
	add_logfile(out, settings, m, true);
	buf_adds(out, "\n" INDENT);
	cli_styled(out, colors, CLI_ERROR, rule);
	buf_addc(out, '\n');
	if (m->logfile)
		read_last_lines(&tail, m->logfile, (size_t)settings->error_lines);
	cli_indent(&indented, buf_text(&tail), INDENT);
	cli_styled(out, colors, CLI_DETAIL, buf_text(&indented));
	buf_adds(out, "\n" INDENT);
	cli_styled(out, colors, CLI_ERROR, rule);
	buf_addc(out, '\n');
}

void cli_line_render(struct buf *out, const struct cli_line *line, const struct cli_settings *settings,
		     const struct session_message *m)
{
	bool detail = m->detail && *m->detail, tail = m->scheduler && m->type == SESSION_MESSAGE_FAIL;

	if (settings->debug)
		add_debug(out, settings, m);
	for (size_t i = 0; i < line->count; i++)
		add_column(out, &line->parts[i], settings, m);
	buf_addc(out, '\n');
	if (detail)
		add_detail(out, settings, m);
	if (tail)
		add_log_tail(out, settings, m);
	if (detail || tail)
		buf_addc(out, '\n');
}
