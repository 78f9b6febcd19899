/* `artifact checkout`: stages artifacts into one tree, integrates it, writes it to a directory or a tar file. */
#include "session/session_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "elements/elements.h"
#include "jobs/jobs.h"
#include "session/tarball.h"

struct checkout {
	struct session *session;
	uint32_t target;
	const char *location;      /* directory, or NULL with --tar */
	struct session_ids ids;    /* what is staged */
	struct elements_dep *deps; /* the same, as room elements wants it */
	struct sandbox_host *host;
	struct sandbox *sandbox;
	struct elements_job job;
};

bool session_directory_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool empty = dir != NULL;

	while (dir && empty && (entry = readdir(dir)))
		empty = str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..");
	if (dir)
		closedir(dir);
	return empty;
}

static int check_directory(struct session *session, const char *location)
{
	int r = fs_mkdir_p(AT_FDCWD, location, 0777);

	if (r < 0)
		return diag_errno(&session->diag, "stream", NULL, -r, "Failed to create destination directory: '%s'", location);
	if (access(location, W_OK) < 0)
		return diag_set(&session->diag, "stream", NULL, "Destination directory '%s' not writable", location);
	if (!session->request->force && !session_directory_empty(location))
		return diag_set(&session->diag, "stream", NULL, "Destination directory '%s' not empty", location);
	return 0;
}

static int check_tar(struct session *session, const char *path)
{
	if (str_eq(path, "-") || access(path, F_OK) < 0)
		return 0;
	if (access(path, W_OK) < 0)
		return diag_set(&session->diag, "stream", NULL, "Output file '%s' not writable", path);
	if (!session->request->force)
		return diag_set(&session->diag, "stream", NULL, "Output file '%s' already exists", path);
	return 0;
}

int session_check_location(struct session *session, const char *location)
{
	return session->request->tar ? check_tar(session, session->request->tar) : check_directory(session, location);
}

/* Where the files go: --directory, or the target's name without ".bst" below the current directory. */
static int find_location(struct checkout *checkout)
{
	struct session *session = checkout->session;
	const struct session_request *request = session->request;
	const char *name;
	size_t len;

	if (request->tar)
		return session_check_location(session, NULL);
	checkout->location = request->location;
	if (!checkout->location) {
		_cleanup_free_ char *cwd = getcwd(NULL, 0);

		name = request->targets.count ? request->targets.items[0] : session->graph.elements[checkout->target].full_name;
		len = strlen(name) - (str_ends(name, ".bst") ? 4 : 0);
		checkout->location = arena_printf(&session->arena, "%s/%.*s", cwd ? cwd : ".", (int)len, name);
	}
	return session_check_location(session, checkout->location);
}

static int uncached(struct session *session)
{
	int r = diag_set(&session->diag, "stream", "uncached-checkout-attempt",
			 "Error while staging dependencies into a sandbox: 'No artifacts to stage'");

	diag_detail(&session->diag, "No artifacts have been cached yet for that element\n"
				    "Try building the element first with `bst build`\n");
	return r;
}

/* Takes what is to be staged from state; all of it must be cached. */
static int take_deps(struct checkout *checkout)
{
	struct session *session = checkout->session;

	checkout->deps = ARENA_ARRAY(&session->arena, struct elements_dep, checkout->ids.count + 1u);
	for (uint32_t i = 0; i < checkout->ids.count; i++) {
		uint32_t id = checkout->ids.ids[i];
		const struct state_element *state = state_get(session->state, id);
		struct elements_dep *dep = &checkout->deps[i];
		int r;

		if (state->artifact.outcome != STATE_ARTIFACT_SUCCESS && state->artifact.outcome != STATE_ARTIFACT_FAILURE)
			return uncached(session);
		*dep = (struct elements_dep){ .element = id, .files = state->artifact.files, .key = state->artifact.strong_key };
		dep->has_files = state_digest_known(&dep->files);
		r = jobs_public_data(session->cas, &state->artifact, &session->arena, &dep->public_data, &session->diag);
		if (r < 0)
			return r;
	}
	return 0;
}

static void on_message(void *data, enum elements_message type, uint32_t element, bool keyless, const char *brief,
		       const char *detail, int64_t elapsed_us)
{
	static const enum session_message_type types[] = {
		[ELEMENTS_START] = SESSION_MESSAGE_START, [ELEMENTS_SUCCESS] = SESSION_MESSAGE_SUCCESS,
		[ELEMENTS_FAILURE] = SESSION_MESSAGE_FAIL, [ELEMENTS_STATUS] = SESSION_MESSAGE_STATUS,
		[ELEMENTS_INFO] = SESSION_MESSAGE_INFO, [ELEMENTS_WARN] = SESSION_MESSAGE_WARN,
		[ELEMENTS_LOG] = SESSION_MESSAGE_LOG,
	};
	struct checkout *checkout = data;

	(void)keyless;
	session_tell(checkout->session, types[type], brief, detail, element, elapsed_us);
}

static void make_job(struct checkout *checkout)
{
	struct session *session = checkout->session;

	checkout->job = (struct elements_job){
		.graph = &session->graph,
		.element = checkout->target,
		.cas = session->cas,
		.sandbox_host = checkout->host,
		.arena = &session->arena,
		.deps = checkout->deps,
		.dep_count = checkout->ids.count,
		.log_fd = STDERR_FILENO,
		.hooks = { checkout, on_message, NULL },
	};
}

/* Artifacts into one tree.  Without integration it never becomes a file system before it is written out. */
static int stage(struct checkout *checkout)
{
	struct session *session = checkout->session;
	struct sandbox_host_options options = { .cas = session->cas };
	struct sandbox_spec spec = { .config = &session->graph.elements[checkout->target].sandbox };
	struct session_activity activity;
	int r = sandbox_host_new(&checkout->host, &options, &session->diag);

	if (r == 0)
		r = sandbox_new(&checkout->sandbox, checkout->host, &spec, &session->diag);
	if (r < 0)
		return r;
	make_job(checkout);
	activity = session_begin(session, "Staging dependencies", checkout->target);
	r = elements_stage(&checkout->job, sandbox_tree(checkout->sandbox), checkout->deps, checkout->ids.count, "/",
			   &session->diag);
	session_end(&activity, r >= 0);
	return MIN(r, 0);
}

static int run_batch(struct checkout *checkout, struct sandbox_batch *batch)
{
	struct session *session = checkout->session;
	struct sandbox_result result;
	int r = sandbox_start(checkout->sandbox, batch, STDERR_FILENO, &session->diag);

	if (r == SANDBOX_NOTHING || r < 0)
		return MIN(r, 0);
	if (r == SANDBOX_SUCCESS)
		r = sandbox_finish(checkout->sandbox, &result, &session->diag);
	if (r == SANDBOX_SUCCESS || r < 0)
		return MIN(r, 0);
	if (r != SANDBOX_COMMAND_MISSING)
		diag_set(&session->diag, "stream", NULL, "Error while staging dependencies into a sandbox: '%s'",
			 "Command failed");
	return -EINVAL;
}

static int integrate(struct checkout *checkout)
{
	struct session *session = checkout->session;
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;
	struct session_activity activity = session_begin(session, "Integrating sandbox", checkout->target);
	int r = elements_integrate(&checkout->job, &batch, checkout->deps, checkout->ids.count, &session->diag);

	if (r >= 0 && batch.any)
		r = sandbox_staged(checkout->sandbox, &session->diag);
	if (r >= 0 && batch.any)
		r = run_batch(checkout, &batch);
	sandbox_batch_release(&batch);
	session_end(&activity, r >= 0);
	return MIN(r, 0);
}

static int export_directory(struct checkout *checkout, const struct digest *tree)
{
	struct session *session = checkout->session;
	bool hardlinks = session->request->hardlinks;
	struct cas_checkout options = { .flags = hardlinks ? CAS_CHECKOUT_HARDLINK : 0 };
	_cleanup_free_ char *text = xasprintf("Checking out files in '%s'", checkout->location);
	struct session_activity activity = session_begin(session, text, checkout->target);
	int r = cas_checkout(session->cas, tree, AT_FDCWD, checkout->location, &options, &session->diag);

	session_end(&activity, r >= 0);
	return r;
}

static int export_tar(struct checkout *checkout, const struct digest *tree)
{
	struct session *session = checkout->session;
	struct session_activity activity = session_begin(session, "Creating tarball", checkout->target);
	int r = session_tarball(session, tree, "./", session->request->tar, session->request->compression);

	session_end(&activity, r >= 0);
	return r;
}

static int run(struct checkout *checkout)
{
	struct session *session = checkout->session;
	const struct session_request *request = session->request;
	struct digest tree;
	int r = find_location(checkout);

	if (r == 0)
		r = session_select(session, (enum session_deps)request->deps, &checkout->ids);
	if (r == 0)
		r = session_query(session, &checkout->ids, false);
	if (r == 0)
		r = take_deps(checkout);
	if (r == 0)
		r = stage(checkout);
	if (r == 0 && request->integrate)
		r = integrate(checkout);
	if (r == 0) {
		r = cas_tree_digest(sandbox_tree(checkout->sandbox), "", &tree);
		if (r < 0)
			return diag_errno(&session->diag, "cas", NULL, -r, "Could not store the tree to check out");
	}
	if (r == 0)
		r = request->tar ? export_tar(checkout, &tree) : export_directory(checkout, &tree);
	return r;
}

int session_artifact_checkout(struct session *session)
{
	struct checkout checkout = { .session = session };
	int r = session_load(session, SESSION_LOAD_ARTIFACTS | SESSION_LOAD_ONE);

	if (r == 0 && session->targets.count != 1)
		r = diag_set(&session->diag, "app", NULL, "Missing argument \"ELEMENT\".");
	if (r == 0)
		r = session_open_cache(session, true);
	if (r == 0) {
		checkout.target = session->targets.ids[0];
		r = run(&checkout);
	}
	sandbox_free(checkout.sandbox);
	sandbox_host_free(checkout.host);
	session_ids_release(&checkout.ids);
	return r;
}
