/* Configuration, loading, keys, the cache: how every command begins. */
#include "session/session_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kinds/kinds.h"

/* The command line wins over user configuration (the peer's App.initialized). */
static void apply_globals(struct project_context *context, const struct session_request *request)
{
	const struct session_globals *g = &request->globals;
	const struct {
		int given;
		int64_t *field;
	} numbers[] = {
		{ g->fetchers, &context->fetchers },       { g->builders, &context->builders },
		{ g->pushers, &context->pushers },         { g->max_jobs, &context->max_jobs },
		{ g->network_retries, &context->network_retries },
		{ g->error_lines, &context->error_lines }, { g->message_lines, &context->message_lines },
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (numbers[i].given != SESSION_UNSET)
			*numbers[i].field = numbers[i].given;
	if (g->on_error != SESSION_UNSET)
		context->on_error = (enum project_on_error)g->on_error;
	if (g->cache_buildtrees != SESSION_UNSET)
		context->cache_buildtrees = (enum project_buildtrees)g->cache_buildtrees;
	if (g->pull_buildtrees != SESSION_UNSET)
		context->pull_buildtrees = g->pull_buildtrees;
	if (g->verbose != SESSION_UNSET)
		context->verbose = g->verbose;
	if (g->debug != SESSION_UNSET)
		context->debug = g->debug;
	if (request->retry_failed)
		context->retry_failed = true;
}

int session_configure(struct session *session)
{
	struct project_context *context = &session->context;
	struct session_frontend *frontend = session->frontend;
	struct session_display display = SESSION_DISPLAY_DEFAULT;
	int r;

	r = project_context_load(context, session->request->globals.config, &session->diag);
	if (r < 0)
		return r;
	session->has_context = true;
	apply_globals(context, session->request);
	if (session->request->globals.layers &&
	    project_parse_size(context, session->request->globals.layers, &context->layers_bytes) < 0)
		return diag_set(&session->diag, "app", NULL, "--layers: '%s' is not a size such as 800M, 10G or 5%%",
				session->request->globals.layers);
	display.key_length = (int)context->key_length;
	display.verbose = context->verbose;
	display.debug = context->debug;
	display.error_lines = (int)context->error_lines;
	display.message_lines = (int)context->message_lines;
	display.throttle = context->throttle_ui_updates;
	display.logdir = context->logdir;
	if (context->element_format)
		display.element_format = context->element_format;
	if (context->message_format)
		display.message_format = context->message_format;
	return frontend->configure(frontend->data, &display, &session->diag);
}

static bool is_element_name(const char *target)
{
	return str_ends(target, ".bst");
}

/* Sorts the targets into element names (loaded by the project) and artifact names (looked up later). */
static void split_targets(struct session *session, unsigned flags, const char ***elements, uint32_t *element_count)
{
	const struct session_strings *all = &session->request->targets;
	const char **names = ARENA_ARRAY(&session->arena, const char *, all->count + 1);
	const char **artifacts = ARENA_ARRAY(&session->arena, const char *, all->count + 1);

	*element_count = 0;
	for (size_t i = 0; i < all->count; i++) {
		if ((flags & SESSION_LOAD_ARTIFACTS) && !is_element_name(all->items[i]))
			artifacts[session->artifact_names.count++] = all->items[i];
		else
			names[(*element_count)++] = all->items[i];
	}
	*elements = names;
	session->artifact_names.items = artifacts;
}

static struct project_request *make_request(struct session *session, unsigned flags)
{
	const struct session_request *request = session->request;
	const struct session_globals *g = &request->globals;
	struct project_request *ret = ARENA_NEW(&session->arena, struct project_request);
	struct project_option *options = ARENA_ARRAY(&session->arena, struct project_option, g->options.count + 1);
	const char **elements;

	for (size_t i = 0; i < g->options.count; i++)
		options[i] = (struct project_option){ g->options.items[i].first, g->options.items[i].second };
	split_targets(session, flags, &elements, &ret->target_count);
	ret->targets = elements;
	ret->directory = g->directory;
	ret->options = options;
	ret->option_count = (uint32_t)g->options.count;
	ret->default_mirror = g->default_mirror;
	ret->strict = g->strict == SESSION_UNSET ? -1 : g->strict;
	ret->except = request->except.items;
	ret->except_count = (uint32_t)request->except.count;
	(void)cas_statcache_new(&session->statcache, session->context.cachedir);
	ret->statcache = session->statcache;
	ret->parsed_files = arena_printf(&session->arena, "%s/millrace/parsed", session->context.cachedir);
	ret->timed = g->stats;
	ret->with_default_targets = (flags & SESSION_LOAD_WITH_DEFAULTS) != 0;
	ret->brief = (flags & SESSION_LOAD_BRIEF) != 0;
	ret->no_keys = (flags & SESSION_LOAD_NO_KEYS) != 0;
	/* Artifact names alone need no element. */
	ret->no_default_targets = (flags & SESSION_LOAD_ONE) != 0;
	ret->project_only = session->artifact_names.count && !ret->target_count;
	return ret;
}

/* There is no project here at all.  Artifact names can do without one; everything else ends in the peer's words, with
 * where was looked behind them. */
static int without_project(struct session *session, const struct project_request *request)
{
	_cleanup_buf_ struct buf names = BUF_INIT, where = BUF_INIT;
	int r = 0;

	buf_adds(&where, buf_text(&session->diag.message));
	diag_release(&session->diag);
	for (uint32_t i = 0; i < request->target_count; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", request->targets[i]);
	if (request->target_count)
		r = diag_set(&session->diag, "stream", "project-not-loaded", "Unable to load elements: %s", buf_text(&names));
	else if (!session->artifact_names.count)
		r = diag_set(&session->diag, "stream", "project-not-loaded", "Unable to determine default targets");
	if (r < 0)
		diag_detail(&session->diag, "No project.conf or active workspace was located\n%s", buf_text(&where));
	return r;
}

static int load_project(struct session *session, const struct project_request *request)
{
	uint32_t count;
	const uint32_t *ids;
	int r = project_load(session->loader, &session->graph, &session->diag);

	if (r == PROJECT_NEEDS)
		r = session_junctions(session);
	if (r < 0 && !project_directory(session->loader) && str_eq(session->diag.reason, "missing-project-conf"))
		return without_project(session, request);
	if (r < 0)
		return r;
	ids = project_targets(session->loader, &count);
	for (uint32_t i = 0; i < count; i++)
		session_ids_add(&session->targets, ids[i]);
	ids = project_except(session->loader, &count);
	for (uint32_t i = 0; i < count; i++)
		session_ids_add(&session->except, ids[i]);
	return 0;
}

static void say_warnings(struct session *session)
{
	uint32_t count;
	const struct project_warning *warnings = project_warnings(session->loader, &count);

	for (uint32_t i = 0; i < count; i++)
		session_say(session, SESSION_MESSAGE_WARN, warnings[i].text, warnings[i].detail);
}

bool session_is_strict(const struct session *session, uint32_t element)
{
	return session->graph.projects[0].strict || session_is_artifact(session, element);
}

bool session_settle_key(struct session *session, uint32_t element)
{
	static const struct keys_view view = { .non_strict = true };
	const struct key *strong = &session->all_keys[element].strong;

	if (key_known(strong))
		return false;
	keys_one(session->keys, &view, element, session->all_keys);
	return key_known(strong);
}

static void compute_keys(struct session *session)
{
	int64_t start_us = util_now_us();

	session->keys = project_take_keys(session->loader, &session->all_keys);
	if (!session->keys) {
		session->keys = keys_new(&session->graph);
		session->all_keys = xcalloc(session->graph.element_count, sizeof(*session->all_keys));
		keys_all(session->keys, NULL, session->all_keys);
	}
	for (uint32_t i = 0; i < session->graph.element_count && !session->graph.projects[0].strict; i++)
		session->all_keys[i].strong = (struct key){ 0 };
	session_artifact_keys(session);
	session->keys_us = util_now_us() - start_us;
}

/* --stats of commands that run no pipeline ends with this; the others have it before their table of workers. */
static void say_times(struct session *session)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct project_times times;

	project_times(session->loader, &times);
	buf_printf(&out, "configuration %9.3f ms\nelements      %9.3f ms\norder         %9.3f ms\n"
		   "compose       %9.3f ms\ndigests       %9.3f ms\nkeys          %9.3f ms\n"
		   "parsing files took %.3f ms of the first two: %u parsed, %u known from an earlier run\n",
		   (double)times.configuration_us / 1e3, (double)times.elements_us / 1e3, (double)times.order_us / 1e3,
		   (double)times.compose_us / 1e3, (double)times.digests_us / 1e3, (double)(session->keys_us + times.keys_us) / 1e3,
		   (double)times.parse_us / 1e3, times.files_parsed, times.files_known);
	session_say(session, SESSION_MESSAGE_INFO, "Where the time of loading went", buf_text(&out));
}

/* Junctions and links lead to elements, they are none that would be processed. */
static uint32_t count_elements(const struct session *session)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < session->graph.element_count; i++)
		count += !(session->graph.elements[i].ops->flags & KINDS_FIRST_PASS);
	return count;
}

int session_load(struct session *session, unsigned flags)
{
	struct session_activity loading = session_begin(session, "Loading elements", GRAPH_NONE), resolving;
	const struct project_request *request = make_request(session, flags);
	int r;

	session->loader = project_loader_new(&session->context, request);
	r = load_project(session, request);
	if (r == 0)
		r = session_artifact_targets(session);
	session_end_counted(&loading, r == 0, r == 0 ? count_elements(session) : 0, 0);
	if (r < 0)
		return r;
	resolving = session_begin(session, "Resolving elements", GRAPH_NONE);
	if (!(flags & SESSION_LOAD_NO_KEYS))
		compute_keys(session);
	session_end_counted(&resolving, true, count_elements(session), count_elements(session));
	say_warnings(session);
	if (session->request->globals.stats)
		say_times(session);
	if (!(flags & SESSION_LOAD_ALONE))
		graph_freeze(&session->graph);
	return 0;
}

int session_load_project(struct session *session)
{
	static const struct session_strings none;
	struct session_request *request = arena_memdup(&session->arena, session->request, sizeof(*request));
	const struct session_request *own = session->request;
	struct project_request *wanted;

	request->targets = request->except = none;
	session->request = request;
	wanted = make_request(session, 0);
	wanted->project_only = true;
	session->request = own;
	session->loader = project_loader_new(&session->context, wanted);
	return load_project(session, wanted);
}

int session_reload(struct session *session, const struct session_strings *targets, unsigned flags)
{
	struct session_request *request = arena_memdup(&session->arena, session->request, sizeof(*request));

	request->targets = (struct session_strings){ ARENA_ARRAY(&session->arena, const char *, targets->count + 1),
						     targets->count };
	/* Names may belong to what is forgotten now. */
	for (size_t i = 0; i < targets->count; i++)
		request->targets.items[i] = arena_strdup(&session->arena, targets->items[i]);
	session->request = request;
	session_unload(session);
	return session_load(session, flags);
}

/* Layers are not looked at file by file: those that may have been cut short are written out again. */
static void on_recovery(void *data)
{
	struct session *session = data;
	struct sandbox_host_options options = session_host_options(session);
	struct sandbox_host *host;
	uint64_t removed_bytes;

	if (sandbox_host_new(&host, &options, NULL) < 0)
		return;
	sandbox_layers_trim(host, 0, false, &removed_bytes);
	sandbox_host_free(host);
}

int session_open_cache(struct session *session, bool writes)
{
	int r = 0;

	if (!session->cas) {
		r = cas_new(&session->cas, session->context.cachedir, &session->diag);
		if (r == 0)
			session_limits(session);
	}
	if (r == 0 && writes && !session->cas_session) {
		cas_on_recovery(session->cas, on_recovery, session);
		r = cas_session_begin(session->cas, artifact_check_ref, session->cas, &session->diag);
		session->cas_session = r >= 0;
		if (r >= 0)
			r = session_count(session);
	}
	return MIN(r, 0);
}
