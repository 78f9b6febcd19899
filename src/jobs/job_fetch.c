/* The fetch job: brings the tree of an element's sources into the store, from wherever it can be had. */
#include "jobs/jobs_internal.h"

#include <errno.h>
#include <string.h>

#include "kinds/kinds.h"
#include "sources/sources.h"

struct fetch {
	struct worker_job *job;
	struct jobs_log log;
};

static int on_wait(void *data, struct pollfd *fds, nfds_t count, int64_t deadline_us)
{
	struct fetch *fetch = data;

	jobs_log_release(&fetch->log);
	return worker_wait(fetch->job, fds, count, deadline_us);
}

static const char *const *on_urls(void *data, const char *original, const char *translated, bool tracking)
{
	struct fetch *fetch = data;
	const struct jobs_context *context = fetch->job->context;

	return context->loader ? project_urls(context->loader, fetch->job->element, original, translated, tracking,
					      fetch->job->arena)
			       : NULL;
}

static void on_say(void *data, const char *text)
{
	struct fetch *fetch = data;

	jobs_log_say(&fetch->log, WIRE_STATUS, fetch->job->element, false, text, NULL, -1);
}

static void on_warn(void *data, const char *text, const char *detail)
{
	struct fetch *fetch = data;

	jobs_log_say(&fetch->log, WIRE_WARN, fetch->job->element, false, text, detail, -1);
}

static void on_progress(void *data, uint64_t done, uint64_t total)
{
	struct fetch *fetch = data;

	worker_progress(fetch->job, done, total, 1, NULL);
}

static int count_file(void *data, const char *path, const struct cas_entry *entry)
{
	struct worker_job *job = data;

	job->source_files += entry->type == CAS_FILE;
	return 0;
}

static int fetch_element(struct fetch *fetch)
{
	struct worker_job *job = fetch->job;
	const struct jobs_context *context = job->context;
	struct sources_context sources = {
		.cas = context->cas,
		.statcache = context->statcache,
		.graph = context->graph,
		.element = job->element,
		.sourcedir = context->sourcedir,
		.tmpdir = context->tmpdir,
		.diag = &job->diag,
		.data = fetch,
		.urls = on_urls,
		.wait = on_wait,
		.say = on_say,
		.warn = on_warn,
		.progress = on_progress,
	};
	struct digest tree;
	int r = sources_fetch(&sources, (job->flags & JOBS_FETCH_ORIGINAL) ? SOURCES_ORIGINAL : 0, &tree);

	job->temporary = sources.temporary;
	if (r < 0)
		return r;
	/* More files take longer to build: all that is known of what was never built.  Without the number nothing is lost. */
	if (kinds_runs_commands(&context->graph->elements[job->element]) && cas_walk(context->cas, &tree, count_file, job) < 0)
		job->source_files = 0;
	r = state_change_sources(&job->changes, job->element, &tree);
	return r < 0 ? r : state_change_fetched(&job->changes, job->element, STATE_FETCHED_YES);
}

/* Nothing is downloaded or unpacked. */
static bool all_local(const struct graph_element *element)
{
	for (uint32_t i = 0; i < element->source_count; i++)
		if (!str_eq(element->sources[i].ops->name, "local"))
			return false;
	return true;
}

int jobs_fetch(struct worker_job *job)
{
	const struct jobs_context *context = job->context;
	struct fetch fetch = { .job = job };
	int r = jobs_log_open(&fetch.log, job, "Fetch", all_local(&context->graph->elements[job->element]));

	if (r < 0)
		return r;
	r = fetch_element(&fetch);
	if (r < 0 && r != -ECANCELED)
		diag_element(&job->diag, context->graph->elements[job->element].full_name);
	return jobs_log_close(&fetch.log, r);
}
