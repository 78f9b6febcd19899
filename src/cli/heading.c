/* What stands at a session's start and end (LogLine.print_heading and print_summary of the peer); scripts read it. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli_internal.h"

#define INDENT "    "
#define VALUES_MAX 24

struct value {
	const char *name;
	char *text; /* heap */
};
struct values {
	struct value items[VALUES_MAX];
	size_t count;
};

static void add_value(struct values *values, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void add_value(struct values *values, const char *name, const char *fmt, ...)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	va_list ap;

	if (values->count == VALUES_MAX)
		bug("cli: more than %d values in a heading", VALUES_MAX);
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	values->items[values->count++] = (struct value){ name, buf_steal(&text) };
}

static void indent_by(struct buf *out, int levels)
{
	while (levels-- > 0)
		buf_adds(out, INDENT);
}

/* One aligned "title: value" line; a value of several lines goes below its title. */
static void add_line(struct buf *out, bool colors, const char *name, const char *value, size_t width, bool style_key,
		     bool style_value, int indent)
{
	_cleanup_buf_ struct buf prefix = BUF_INIT;

	indent_by(&prefix, indent);
	buf_adds(out, buf_text(&prefix));
	cli_styled(out, colors, style_key ? CLI_CONTENT : CLI_FORMAT, name);
	cli_styled(out, colors, CLI_FORMAT, ":");
	if (strchr(value, '\n')) {
		buf_addc(out, '\n');
		cli_indent(out, value, buf_text(&prefix));
		return;
	}
	size_t len = cli_text_len(name);

	buf_printf(out, " %*s", (int)(width > len ? width - len : 0), "");
	if (style_value)
		cli_styled(out, colors, CLI_CONTENT, value);
	else
		buf_adds(out, value);
	buf_addc(out, '\n');
}

/* Prints and forgets the values. */
static void flush_values(struct buf *out, bool colors, struct values *values, bool style_value)
{
	size_t width = 0;

	for (size_t i = 0; i < values->count; i++)
		width = MAX(width, cli_text_len(values->items[i].name));
	for (size_t i = 0; i < values->count; i++) {
		const char *text = values->items[i].text ? values->items[i].text : "";

		add_line(out, colors, values->items[i].name, text, width, false, style_value, 1);
		free(values->items[i].text);
	}
	values->count = 0;
}

static void add_named(struct buf *out, bool colors, const char *title, const struct session_named *named, size_t count,
		      bool style_key)
{
	size_t width = 0;

	if (!count)
		return;
	cli_styledf(out, colors, CLI_FORMAT, INDENT "%s\n", title);
	for (size_t i = 0; i < count; i++)
		width = MAX(width, cli_text_len(named[i].name));
	for (size_t i = 0; i < count; i++)
		add_line(out, colors, named[i].name, named[i].value, width, style_key, true, 2);
	buf_addc(out, '\n');
}

static void add_servers(struct buf *out, bool colors, const char *title, const char *const *servers, size_t count)
{
	if (!count)
		return;
	cli_styledf(out, colors, CLI_FORMAT, INDENT "%s\n", title);
	for (size_t i = 0; i < count; i++) {
		_cleanup_buf_ struct buf text = BUF_INIT;

		for (const char *p = servers[i]; *p; p++) {
			buf_addc(&text, *p);
			if (*p == '\n')
				buf_adds(&text, INDENT INDENT);
		}
		cli_styled(out, colors, CLI_FORMAT, INDENT "  * ");
		cli_styled(out, colors, CLI_CONTENT, buf_text(&text));
		buf_addc(out, '\n');
	}
	buf_addc(out, '\n');
}

static void add_declared(struct buf *out, bool colors, const char *title, const char *const *names, size_t count)
{
	if (!count)
		return;
	cli_styledf(out, colors, CLI_FORMAT, INDENT "%s\n", title);
	for (size_t i = 0; i < count; i++)
		cli_styledf(out, colors, CLI_CONTENT, INDENT INDENT "%s\n", names[i]);
}

static void add_project(struct buf *out, bool colors, const struct session_project *project)
{
	struct values values = { 0 };

	cli_styled(out, colors, CLI_CONTENT_BOLD, "Project");
	cli_styled(out, colors, (struct cli_style){ .color = CLI_CYAN, .bold = 1, .dim = 1 }, ": ");
	cli_styled(out, colors, CLI_CONTENT_BOLD, project->name);
	buf_addc(out, '\n');
	if (project->junction)
		add_value(&values, "Junction path", "%s", project->junction);
	if (project->loaded_by)
		add_value(&values, "Loaded by", "%s", project->loaded_by);
	flush_values(out, colors, &values, true);
	add_declared(out, colors, "Declared duplicate by:", project->duplicates, project->n_duplicates);
	add_declared(out, colors, "Declared internal by:", project->internals, project->n_internals);
	buf_addc(out, '\n');
	add_named(out, colors, "Project Options", project->options, project->n_options, false);
	add_named(out, colors, "Element Plugins", project->element_plugins, project->n_element_plugins, true);
	add_named(out, colors, "Source Plugins", project->source_plugins, project->n_source_plugins, true);
	add_servers(out, colors, "Artifact cache servers", project->artifact_servers, project->n_artifact_servers);
	add_servers(out, colors, "Source cache servers", project->source_servers, project->n_source_servers);
}

/* The elements, one below the other, without newlines at the end (show_pipeline). */
static void add_pipeline(struct buf *out, const struct cli_settings *settings, const struct cli_show *show,
			 const struct session_element *elements, size_t count)
{
	size_t start = out->len;

	for (size_t i = 0; i < count; i++) {
		cli_show_element(out, show, &elements[i], settings->colors, settings->key_length);
		buf_addc(out, '\n');
	}
	while (out->len > start && out->data[out->len - 1] == '\n')
		out->data[--out->len] = '\0';
}

static void add_invocation(struct buf *out, bool colors, const struct session_heading *h)
{
	struct values values = { 0 };
	_cleanup_buf_ struct buf targets = BUF_INIT;
	char start[80];
	time_t now = time(NULL);
	struct tm tm = { 0 };

	localtime_r(&now, &tm);
	strftime(start, sizeof(start), "%A, %d-%m-%Y at %H:%M:%S", &tm);
	for (size_t i = 0; i < h->n_targets; i++)
		buf_printf(&targets, "%s%s", i ? ", " : "", h->targets[i]);
	buf_addc(out, '\n');
	cli_styled(out, colors, CLI_CONTENT_BOLD, "BuildStream Version " CLI_PEER_VERSION " (Millrace " MILLRACE_VERSION ")\n");
	add_value(&values, "Session Start", "%s", start);
	if (h->project_name)
		add_value(&values, "Project", "%s (%s)", h->project_name, h->project_directory);
	add_value(&values, "Targets", "%s", buf_text(&targets));
	flush_values(out, colors, &values, true);
}

static void add_configuration(struct buf *out, bool colors, const struct session_heading *h)
{
	struct values values = { 0 };

	buf_addc(out, '\n');
	cli_styled(out, colors, CLI_CONTENT_BOLD, "User Configuration\n");
	add_value(&values, "Configuration File", "%s", h->config_file ? h->config_file : "Default Configuration");
	add_value(&values, "Cache Directory", "%s", h->cachedir);
	add_value(&values, "Log Files", "%s", h->logdir);
	add_value(&values, "Source Mirrors", "%s", h->sourcedir);
	add_value(&values, "Build Area", "%s", h->builddir);
	add_value(&values, "Strict Build Plan", "%s", h->strict ? "Yes" : "No");
	add_value(&values, "Maximum Fetch Tasks", "%d", h->fetchers);
	add_value(&values, "Maximum Build Tasks", "%d", h->builders);
	add_value(&values, "Maximum Push Tasks", "%d", h->pushers);
	add_value(&values, "Maximum Network Retries", "%d", h->network_retries);
	if (h->scheduler)
		add_value(&values, "Scheduler", "%s", h->scheduler);
	if (h->storage_service)
		add_value(&values, "Cache Storage Service", "%s", h->storage_service);
	flush_values(out, colors, &values, true);
	if (!h->exec_service)
		return;
	buf_addc(out, '\n');
	cli_styled(out, colors, CLI_CONTENT_BOLD, "Remote Execution Configuration\n");
	add_value(&values, "Execution Service", "%s", h->exec_service);
	if (h->exec_storage)
		add_value(&values, "Storage Service", "%s", h->exec_storage);
	if (h->exec_action_cache)
		add_value(&values, "Action Cache Service", "%s", h->exec_action_cache);
	flush_values(out, colors, &values, true);
}

void cli_heading(struct buf *out, const struct cli_settings *settings, const struct cli_show *show,
		 const struct session_heading *heading)
{
	static const char rule[] =
		"===============================================================================\n";

	add_invocation(out, settings->colors, heading);
	add_configuration(out, settings->colors, heading);
	buf_addc(out, '\n');
	for (size_t i = 0; i < heading->n_projects; i++)
		add_project(out, settings->colors, &heading->projects[i]);
	cli_styled(out, settings->colors, CLI_CONTENT_BOLD, "Pipeline\n");
	add_pipeline(out, settings, show, heading->elements, heading->n_elements);
	buf_addc(out, '\n');
	cli_styled(out, settings->colors, CLI_FORMAT, rule);
}

static int digits(uint32_t number)
{
	return snprintf(NULL, 0, "%u", number);
}

static void add_tally(struct buf *out, bool colors, const char *word, struct cli_style style, uint32_t number, int width,
		      bool last)
{
	cli_styledf(out, colors, CLI_CONTENT, "%s ", word);
	cli_styledf(out, colors, style, "%u", number);
	if (last)
		buf_addc(out, ' ');
	else
		cli_styled(out, colors, CLI_FORMAT, ", ");
	buf_printf(out, "%*s", width - digits(number), "");
}

static void add_queues(struct buf *out, bool colors, const struct session_summary *summary)
{
	int processed = 1, skipped = 1, failed = 1;
	size_t width = strlen("Session");

	for (size_t i = 0; i < summary->n_queues; i++) {
		const struct session_queue *q = &summary->queues[i];

		processed = MAX(processed, digits(q->processed));
		skipped = MAX(skipped, digits(q->skipped));
		failed = MAX(failed, digits(q->failed));
		width = MAX(width, cli_text_len(q->action) + strlen(" Queue"));
	}
	_cleanup_buf_ struct buf total = BUF_INIT, session = BUF_INIT;

	cli_styledf(&total, colors, CLI_CONTENT, "%u", summary->total_elements);
	cli_styledf(&session, colors, CLI_CONTENT, "%u", summary->session_elements);
	add_line(out, colors, "Total", buf_text(&total), width, false, false, 1);
	add_line(out, colors, "Session", buf_text(&session), width, false, false, 1);
	for (size_t i = 0; i < summary->n_queues; i++) {
		const struct session_queue *q = &summary->queues[i];
		_cleanup_buf_ struct buf text = BUF_INIT;
		_cleanup_free_ char *name = xasprintf("%s Queue", q->action);

		add_tally(&text, colors, "processed", CLI_SUCCESS, q->processed, processed, false);
		add_tally(&text, colors, "skipped", CLI_CONTENT, q->skipped, skipped, false);
		add_tally(&text, colors, "failed", CLI_ERROR, q->failed, failed, true);
		add_line(out, colors, name, buf_text(&text), width, false, false, 1);
	}
}

void cli_summary(struct buf *out, const struct cli_settings *settings, const struct cli_show *show,
		 const struct session_summary *summary, const struct cli_failure *failures, size_t n_failures)
{
	if (!summary->n_queues)
		return;
	if (summary->n_resolved) {
		cli_styled(out, settings->colors, CLI_CONTENT_BOLD, "Resolved key Summary\n");
		add_pipeline(out, settings, show, summary->resolved, summary->n_resolved);
		buf_adds(out, "\n\n");
	}
	if (n_failures)
		cli_styled(out, settings->colors, CLI_CONTENT_BOLD, "Failure Summary\n");
	for (size_t i = 0; i < n_failures; i++)
		add_line(out, settings->colors, failures[i].element, failures[i].text, 0, false, false, 1);
	cli_styled(out, settings->colors, CLI_CONTENT_BOLD, "Pipeline Summary\n");
	add_queues(out, settings->colors, summary);
}
