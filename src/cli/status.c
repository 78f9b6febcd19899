/* The live area at the bottom of a terminal (the peer's _frontend/status.py):
 *
 *	======================= 00:00:12 project (12/30) =======================
 *	            (Sources Fetched:0 30 0)→ (Built:7 4 1)
 *	                ~~~~~~ cache: 1.2G / 10G (12%) ~~~~~~
 *	[00:00:03][build:base/glibc.bst          ] [00:00:01][fetch:base/zlib.bst]
 *
 * It is taken away before anything else is printed and drawn again behind it, in one write, so it does not flicker.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cli_internal.h"

#define JOBS_SHOWN_MAX 200

void cli_status_update(struct cli_status *status, const struct session_status *report)
{
	struct session_queue *queues;

	if (!status->enabled)
		return;
	arena_reset(&status->arena);
	status->last = *report;
	status->last.project_name = arena_strdup(&status->arena, report->project_name ? report->project_name : "");
	if (report->cache_usage)
		status->last.cache_usage = arena_strdup(&status->arena, report->cache_usage);
	queues = ARENA_ARRAY(&status->arena, struct session_queue, report->n_queues);
	for (size_t i = 0; i < report->n_queues; i++) {
		queues[i] = report->queues[i];
		queues[i].action = NULL; /* not shown here */
		queues[i].complete = arena_strdup(&status->arena, report->queues[i].complete);
	}
	status->last.queues = queues;
	status->received_us = util_now_us();
	status->known = true;
}

static struct cli_status_job *find_job(struct cli_status *status, uint32_t id)
{
	for (size_t i = 0; i < status->n_jobs; i++)
		if (status->jobs[i].id == id)
			return &status->jobs[i];
	return NULL;
}

void cli_status_start(struct cli_status *status, const struct session_job *job)
{
	if (!status->enabled)
		return;
	status->jobs = util_grow(status->jobs, &status->cap_jobs, status->n_jobs + 1, sizeof(*status->jobs));
	status->jobs[status->n_jobs++] = (struct cli_status_job){ .id = job->id,
								  .action = xstrdup(job->action),
								  .name = xstrdup(job->name),
								  .started_us = job->started_us,
								  .current = UINT64_MAX };
}

void cli_status_progress(struct cli_status *status, uint32_t id, uint64_t current, uint64_t maximum)
{
	struct cli_status_job *job = find_job(status, id);

	if (!job)
		return;
	job->current = current;
	job->maximum = maximum;
}

void cli_status_end(struct cli_status *status, uint32_t id)
{
	struct cli_status_job *job = find_job(status, id);

	if (!job)
		return;
	free(job->action);
	free(job->name);
	memmove(job, job + 1, (size_t)(status->jobs + --status->n_jobs - job) * sizeof(*job));
}

void cli_status_release(struct cli_status *status)
{
	while (status->n_jobs)
		cli_status_end(status, status->jobs[0].id);
	free(status->jobs);
	arena_release(&status->arena);
	*status = (struct cli_status){ 0 };
}

void cli_status_clear(struct cli_status *status, struct buf *out)
{
	/* The line below it too: ^C and ^Z leave their echo there. */
	if (status->lines)
		buf_adds(out, "\033[1G\033[K");
	for (; status->lines; status->lines--)
		buf_adds(out, "\033[1G\033[A\033[K");
}

/* Columns that text with escape sequences takes. */
static size_t visible_len(const struct buf *text)
{
	_cleanup_buf_ struct buf plain = BUF_INIT;

	cli_strip_ansi(&plain, buf_text(text), text->len);
	return cli_text_len(buf_text(&plain));
}

static void add_centered(struct buf *out, bool colors, const struct buf *text, size_t width, char fill)
{
	_cleanup_buf_ struct buf side = BUF_INIT;
	size_t len = visible_len(text) + 2;

	for (size_t i = 0; len < width && i < (width - len) / 2; i++)
		buf_addc(&side, fill);
	cli_styled(out, colors, CLI_FORMAT, buf_text(&side));
	buf_printf(out, " %s ", buf_text(text));
	cli_styled(out, colors, CLI_FORMAT, fill == ' ' ? "" : buf_text(&side));
	buf_addc(out, '\n');
}

static void add_header(struct buf *out, const struct cli_status *status, int64_t elapsed_us, bool colors, size_t width)
{
	_cleanup_buf_ struct buf title = BUF_INIT, queues = BUF_INIT, cache = BUF_INIT;
	const struct session_status *last = &status->last;

	cli_time_code(&title, colors, elapsed_us, false);
	buf_addc(&title, ' ');
	cli_styled(&title, colors, CLI_CONTENT, last->project_name);
	buf_addc(&title, ' ');
	cli_styled(&title, colors, CLI_FORMAT, "(");
	cli_styledf(&title, colors, CLI_CONTENT, "%u", last->session_elements);
	cli_styled(&title, colors, CLI_FORMAT, "/");
	cli_styledf(&title, colors, CLI_CONTENT, "%u", last->total_elements);
	cli_styled(&title, colors, CLI_FORMAT, ")");
	add_centered(out, colors, &title, width, '=');

	for (size_t i = 0; i < last->n_queues; i++) {
		if (i)
			cli_styled(&queues, colors, CLI_FORMAT, "→ ");
		cli_styled(&queues, colors, CLI_FORMAT, "(");
		cli_styled(&queues, colors, CLI_CONTENT, last->queues[i].complete);
		cli_styled(&queues, colors, CLI_FORMAT, ":");
		cli_styledf(&queues, colors, CLI_SUCCESS, "%u", last->queues[i].processed);
		buf_addc(&queues, ' ');
		cli_styledf(&queues, colors, CLI_CONTENT, "%u", last->queues[i].skipped);
		buf_addc(&queues, ' ');
		cli_styledf(&queues, colors, CLI_ERROR, "%u", last->queues[i].failed);
		cli_styled(&queues, colors, CLI_FORMAT, ")");
	}
	add_centered(out, colors, &queues, width, ' ');

	if (last->cache_usage) {
		struct cli_style style = last->cache_percent >= 95 ? CLI_ERROR :
					 last->cache_percent >= 80 ? CLI_CONTENT :
								     CLI_SUCCESS;

		cli_styled(&cache, colors, CLI_FORMAT, "~~~~~~ ");
		cli_styled(&cache, colors, CLI_CONTENT, "cache");
		cli_styled(&cache, colors, CLI_FORMAT, ": ");
		cli_styled(&cache, colors, style, last->cache_usage);
		cli_styled(&cache, colors, CLI_FORMAT, " ~~~~~~");
	}
	add_centered(out, colors, &cache, width, ' ');
}

static void add_job(struct buf *out, const struct cli_status_job *job, int64_t elapsed_us, bool colors)
{
	int64_t running = elapsed_us - job->started_us;

	cli_styled(out, colors, CLI_FORMAT, "[");
	cli_time_code(out, colors, MAX(running, (int64_t)0), false);
	cli_styled(out, colors, CLI_FORMAT, "]");
	cli_styled(out, colors, CLI_FORMAT, "[");
	cli_styled(out, colors, CLI_CONTENT, job->action);
	cli_styled(out, colors, CLI_FORMAT, ":");
	cli_styled(out, colors, CLI_CONTENT, job->name);
	if (job->current == UINT64_MAX)
		return;
	cli_styled(out, colors, CLI_FORMAT, ":");
	cli_styledf(out, colors, CLI_CONTENT, "%llu", (unsigned long long)job->current);
	if (!job->maximum)
		return;
	cli_styled(out, colors, CLI_FORMAT, "/");
	cli_styledf(out, colors, CLI_CONTENT, "%llu", (unsigned long long)job->maximum);
}

/* The widest layout in columns that fits: its number of columns; widths receives theirs. */
static size_t choose_columns(const size_t *sizes, size_t n_jobs, size_t width, size_t *widths)
{
	for (size_t columns = n_jobs; columns > 0; columns--) {
		size_t total = columns - 1;

		memset(widths, 0, columns * sizeof(*widths));
		for (size_t i = 0; i < n_jobs; i++)
			widths[i % columns] = MAX(widths[i % columns], sizes[i]);
		for (size_t i = 0; i < columns; i++)
			total += widths[i];
		if (total < width || columns == 1)
			return columns;
	}
	return 1;
}

static void add_jobs(struct cli_status *status, struct buf *out, int64_t elapsed_us, bool colors, size_t width)
{
	size_t n_jobs = MIN(status->n_jobs, (size_t)JOBS_SHOWN_MAX);
	size_t sizes[JOBS_SHOWN_MAX], widths[JOBS_SHOWN_MAX];
	struct buf texts[JOBS_SHOWN_MAX] = { 0 };

	for (size_t i = 0; i < n_jobs; i++) {
		add_job(&texts[i], &status->jobs[i], elapsed_us, colors);
		sizes[i] = visible_len(&texts[i]) + 1; /* the closing bracket */
	}
	size_t columns = n_jobs ? choose_columns(sizes, n_jobs, width, widths) : 1;

	for (size_t i = 0; i < n_jobs; i++) {
		bool last = i % columns == columns - 1 || i + 1 == n_jobs;

		buf_adds(out, buf_text(&texts[i]));
		cli_styledf(out, colors, CLI_FORMAT, "%*s]", (int)(widths[i % columns] - sizes[i]), "");
		buf_adds(out, last ? "\n" : " ");
		buf_release(&texts[i]);
	}
}

void cli_status_draw(struct cli_status *status, struct buf *out, bool colors, size_t width)
{
	size_t start = out->len;
	int64_t elapsed_us;

	if (!status->enabled || !status->known || !status->n_jobs)
		return;
	elapsed_us = status->last.elapsed_us + util_now_us() - status->received_us;
	add_header(out, status, elapsed_us, colors, width);
	add_jobs(status, out, elapsed_us, colors, width);
	for (const char *p = out->data + start; *p; p++)
		status->lines += *p == '\n';
}
