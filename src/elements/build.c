/* One build from configuration to digests; what all kinds share. */
#include "elements/elements_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "yaml/yaml.h"

enum { TEXT_MAX = 16 << 20 }; /* of files that kinds read themselves */

/* ---- messages ---- */

void build_message(const struct elements_job *job, enum elements_message type, uint32_t element, const char *brief,
		   const char *detail)
{
	if (job->hooks.message)
		job->hooks.message(job->hooks.data, type, element, false, brief, detail, 0);
}

int build_warn(const struct elements_job *job, const char *token, const char *text, const char *detail,
	       struct diag *diag)
{
	const struct graph_project *project = &job->graph->projects[job->graph->elements[job->element].project];
	_cleanup_buf_ struct buf brief = BUF_INIT;

	buf_printf(&brief, "[%s]: %s", token, text);
	for (uint32_t i = 0; i < project->fatal_warning_count; i++)
		if (str_eq(project->fatal_warnings[i], token))
			return diag_set(diag, "plugin", token, "%s\n%s", buf_text(&brief), detail ? detail : "");
	build_message(job, ELEMENTS_WARN, job->element, buf_text(&brief), detail);
	return 0;
}

static struct activity begin(struct build *build, const char *brief, const char *detail, bool keyless)
{
	const struct elements_hooks *hooks = &build->job->hooks;

	if (hooks->message)
		hooks->message(hooks->data, ELEMENTS_START, build->job->element, keyless, brief, detail, 0);
	return (struct activity){ brief, keyless, util_now_us() };
}

struct activity build_begin(struct build *build, const char *brief, const char *detail)
{
	return begin(build, brief, detail, false);
}

int build_end(struct build *build, const struct activity *activity, int r)
{
	const struct elements_hooks *hooks = &build->job->hooks;

	if (hooks->message)
		hooks->message(hooks->data, r == 0 ? ELEMENTS_SUCCESS : ELEMENTS_FAILURE, build->job->element,
			       activity->keyless, activity->brief, NULL, util_now_us() - activity->start_us);
	return r;
}

int build_error(struct diag *diag, int r, const char *what)
{
	if (diag && !diag->domain)
		diag_errno(diag, "element", NULL, -r, "%s", what);
	return r;
}

/* ---- dependencies ---- */

static int by_element(const void *a, const void *b)
{
	const struct elements_dep *x = *(const struct elements_dep *const *)a, *y = *(const struct elements_dep *const *)b;

	return (x->element > y->element) - (x->element < y->element);
}

const struct elements_dep **build_all(struct build *build)
{
	const struct elements_job *job = build->job;
	const struct elements_dep **list = ARENA_ARRAY(job->arena, const struct elements_dep *, job->dep_count);

	for (uint32_t i = 0; i < job->dep_count; i++)
		list[i] = &job->deps[i];
	return list;
}

const struct elements_dep **build_select(struct build *build, const struct kinds_layout_item *items, uint32_t count,
					 uint32_t *ret_count)
{
	const struct elements_job *job = build->job;
	uint32_t *ids = ARENA_ARRAY(job->arena, uint32_t, count);
	const struct elements_dep **list;

	for (uint32_t i = 0; i < count; i++)
		ids[i] = items[i].element;
	graph_walk_targets(&build->walk, job->graph, ids, count, GRAPH_SCOPE_RUN);
	list = ARENA_ARRAY(job->arena, const struct elements_dep *, build->walk.count + 1);
	for (uint32_t i = 0; i < build->walk.count; i++) {
		struct elements_dep wanted = { .element = build->walk.ids[i] };
		const struct elements_dep *key = &wanted, **found;

		found = bsearch(&key, build->by_id, job->dep_count, sizeof *build->by_id, by_element);
		if (!found)
			return NULL;
		list[i] = *found;
	}
	*ret_count = build->walk.count;
	return list;
}

/* ---- batches ---- */

static int wait_for(const struct elements_hooks *hooks, int pidfd)
{
	struct pollfd fd = { pidfd, POLLIN, 0 };

	if (hooks->wait)
		return hooks->wait(hooks->data, pidfd);
	while (poll(&fd, 1, -1) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static void note(struct build *build, const struct sandbox_result *result)
{
	struct elements_result *total = build->result;

	total->way = result->way;
	total->batches++;
	total->prepare_us += result->prepare_us;
	total->run_us += result->run_us;
	total->capture_us += result->capture_us;
	if (result->outcome == SANDBOX_COMMAND_FAILED) {
		total->exit_code = result->exit_code;
		total->failed_command = result->label ? arena_strdup(build->job->arena, result->label) : NULL;
	}
}

static int run_started(struct build *build, struct diag *diag)
{
	struct sandbox_result result;
	int waited = wait_for(&build->job->hooks, sandbox_pidfd(build->sandbox)), r;

	if (waited < 0)
		sandbox_kill(build->sandbox);
	r = sandbox_finish(build->sandbox, &result, waited < 0 ? NULL : diag);
	if (waited < 0)
		return waited;
	if (r < 0)
		return r;
	note(build, &result);
	if (result.outcome == SANDBOX_COMMAND_FAILED) {
		diag_set(diag, "sandbox", "command-failed", "Command failed");
		return ELEMENTS_FAILED;
	}
	return 0;
}

int build_run(struct build *build, struct sandbox_batch *batch, struct diag *diag)
{
	const struct elements_hooks *hooks = &build->job->hooks;
	struct activity activity;
	int r = 0;

	if (batch->any && hooks->commands)
		r = hooks->commands(hooks->data, &batch->jobserver);
	if (!batch->any || r < 0) {
		sandbox_batch_release(batch);
		return r;
	}
	activity = begin(build, "Running commands", buf_text(&batch->labels), true);
	r = sandbox_start(build->sandbox, batch, build->job->log_fd, diag);
	sandbox_batch_release(batch);
	if (r == SANDBOX_SUCCESS)
		r = run_started(build, diag);
	else if (r == SANDBOX_COMMAND_MISSING)
		r = ELEMENTS_FAILED;
	return build_end(build, &activity, r);
}

void build_command(struct build *build, struct sandbox_batch *batch, const char *command)
{
	struct arena *arena = build->job->arena;
	const char **argv = ARENA_ARRAY(arena, const char *, 4);

	argv[0] = "sh";
	argv[1] = "-c";
	argv[2] = "-e";
	argv[3] = arena_printf(arena, "%s\n", command);
	sandbox_batch_command(batch, &(struct sandbox_command){ argv, 4, command, build->cwd ? build->cwd : "/",
								 build->environment, build->environment_count });
}

const struct digest *build_sources(struct build *build)
{
	if (!build->job->incremental)
		return &build->job->sources;
	build_message(build->job, ELEMENTS_INFO, build->job->element, "Incremental build", NULL);
	return &build->job->build_directory;
}

void build_clean(struct build *build, struct sandbox_batch *batch)
{
	const char *build_root = graph_variable(build->element, "build-root");
	const char *install_root = graph_variable(build->element, "install-root");

	if (build->element->workspace || build->job->buildtrees == ELEMENTS_BUILDTREES_ALWAYS || !build_root)
		return;
	/* the peer compares texts, not path components */
	if (install_root && *install_root && (str_starts(build_root, install_root) || str_starts(install_root, build_root)))
		return;
	sandbox_batch_clean(batch, build_root);
}

int build_put_text(struct build *build, const char *path, const char *text, size_t len, bool executable)
{
	struct cas_entry entry = { .type = CAS_FILE, .executable = executable };
	const char *slash = strrchr(path, '/');
	char *parent = arena_strndup(build->job->arena, path, slash ? (size_t)(slash - path) : 0);
	int r = cas_tree_mkdir(build->tree, parent);

	if (r >= 0)
		r = cas_put(build->job->cas, text, len, &entry.digest);
	return r < 0 ? r : cas_tree_put(build->tree, path, &entry);
}

int build_get_text(struct build *build, const char *path, struct buf *ret)
{
	struct cas_entry entry;
	_cleanup_buf_ struct buf raw = BUF_INIT;
	int r = cas_tree_lookup(build->tree, path, false, &entry);

	if (r < 0)
		return r;
	if (entry.type != CAS_FILE || entry.digest.size_bytes > TEXT_MAX)
		return entry.type == CAS_FILE ? -EFBIG : -EINVAL;
	r = cas_get(build->job->cas, &entry.digest, &raw);
	for (size_t i = 0; r >= 0 && i < raw.len; i++) {
		if (raw.data[i] != '\r')
			buf_addc(ret, raw.data[i]);
		else if (i + 1 == raw.len || raw.data[i + 1] != '\n')
			buf_addc(ret, '\n');
	}
	return r;
}

/* ---- the frame ---- */

static const struct {
	const char *kind;
	const struct elements_kind *acting;
} kinds[] = {
	{ "autotools", &elements_manual }, { "bazel_build", &elements_manual }, { "bazelize", &elements_bazelize },
	{ "cargo", &elements_manual },
	{ "check_forbidden", &elements_check_forbidden },
	{ "cmake", &elements_manual },     { "collect_initial_scripts", &elements_collect_scripts },
	{ "collect_integration", &elements_collect_integration },
	{ "collect_manifest", &elements_collect_manifest }, { "compose", &elements_compose },
	{ "dpkg_build", &elements_dpkg_build }, { "dpkg_deploy", &elements_dpkg_deploy },
	{ "fastboot_bootimg", &elements_image }, { "fastboot_ext4", &elements_image }, { "filter", &elements_filter },
	{ "flatpak_image", &elements_flatpak_image }, { "flatpak_repo", &elements_script },
	{ "import", &elements_import },    { "make", &elements_manual },
	{ "makemaker", &elements_manual }, { "manual", &elements_manual },      { "meson", &elements_manual },
	{ "modulebuild", &elements_manual }, { "oci", &elements_oci },
	{ "ostree", &elements_ostree },    { "pip", &elements_manual },       { "pyproject", &elements_manual },
	{ "qmake", &elements_manual },     { "script", &elements_script },      { "setuptools", &elements_manual },
	{ "snap_image", &elements_snap_image }, { "stack", &elements_stack }, { "tar_element", &elements_tar },
	{ "x86image", &elements_image },
};

static const struct elements_kind *find_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_eq(kinds[i].kind, name))
			return kinds[i].acting;
	return NULL;
}

/* The log opens with the environment, as YAML. */
static void log_environment(struct build *build)
{
	const struct graph_pair *pairs = build->environment_count ? build->environment : build->element->environment;
	uint32_t count = build->environment_count ? build->environment_count : build->element->environment_count;
	_cleanup_buf_ struct buf detail = BUF_INIT;
	char *brief = arena_printf(build->job->arena, "Build environment for element %s", build->element->name);

	for (uint32_t i = 0; i < count; i++)
		yaml_write_pair(&detail, pairs[i].name, pairs[i].value);
	build_message(build->job, ELEMENTS_LOG, build->job->element, brief, buf_text(&detail));
}

static int make_sandbox(struct build *build, struct diag *diag)
{
	struct sandbox_spec spec = { .config = &build->element->sandbox,
				     .marked = arena_memdup(build->job->arena, build->marked, sizeof(build->marked)),
				     .marked_count = build->marked_count,
				     .keep_mtimes = build->element->workspace != NULL };
	int r = sandbox_new(&build->sandbox, build->job->sandbox_host, &spec, diag);

	if (r >= 0)
		build->tree = sandbox_tree(build->sandbox);
	return r;
}

/* Digest of a directory of the result tree; 1 if it is there. */
static int collect_directory(struct build *build, const char *path, struct digest *ret)
{
	struct cas_entry entry;

	if (path[strspn(path, "/")] && (cas_tree_lookup(build->tree, path, false, &entry) < 0 || entry.type != CAS_DIRECTORY))
		return 0;
	/* what is collected is copied into a new root, which has no properties */
	if (cas_tree_set_read_only(build->tree, path, CAS_UNSET) < 0)
		return 0;
	return cas_tree_digest(build->tree, path, ret) < 0 ? -EIO : 1;
}

static int collect_build(struct build *build)
{
	struct elements_result *result = build->result;
	const char *build_root = graph_variable(build->element, "build-root");
	int r;

	if (build_root) {
		r = collect_directory(build, build_root, &result->buildtree);
		if (r < 0)
			return r;
		result->has_buildtree = r > 0;
	}
	r = collect_directory(build, "", &result->buildroot);
	if (r < 0)
		return r;
	result->has_buildroot = result->has_sources = true;
	result->sources = build->job->sources;
	result->environment = build->environment;
	result->environment_count = build->environment_count;
	result->working_directory = build->cwd ? build->cwd : "/";
	result->marked = arena_memdup(build->job->arena, build->marked, sizeof build->marked);
	result->marked_count = build->marked_count;
	return 0;
}

/* Turns the tree into what the artifact names.  outcome: of assembling. */
static int collect(struct build *build, const char *path, int outcome, struct diag *diag)
{
	enum elements_buildtrees mode = build->job->buildtrees;
	int r = 0;

	if (mode == ELEMENTS_BUILDTREES_ALWAYS ||
	    (mode == ELEMENTS_BUILDTREES_AUTO && (outcome != ELEMENTS_BUILT || build->element->workspace)))
		r = collect_build(build);
	if (r >= 0 && path) {
		r = collect_directory(build, path, &build->result->files);
		build->result->has_files = r > 0;
	}
	if (r < 0)
		return build_error(diag, r, "Failed to collect the result");
	if (!path || build->result->has_files)
		return outcome;
	diag_set(diag, "element", NULL, "Directory '%s' was not found inside the sandbox, unable to collect artifact contents",
		 path);
	return outcome == ELEMENTS_BUILT ? ELEMENTS_NOT_COLLECTED : outcome;
}

static int assemble(struct build *build, struct diag *diag)
{
	struct elements_result *result = build->result;
	const char *path = NULL;
	int r = build->kind->assemble(build, &path, diag);

	if (r < 0)
		return r;
	result->success = r == ELEMENTS_BUILT;
	result->error = "succeeded";
	result->error_detail = "";
	if (r == ELEMENTS_FAILED) {
		result->error = arena_strdup(build->job->arena, diag ? buf_text(&diag->message) : "Command failed");
		result->error_detail = arena_strdup(build->job->arena, diag ? buf_text(&diag->detail) : "");
		path = build->failed_collect;
	}
	return collect(build, path, r, diag);
}

static int prepare(struct build *build, struct diag *diag)
{
	int r = 0;

	if (build->kind->configure)
		r = build->kind->configure(build, diag);
	return r < 0 ? r : make_sandbox(build, diag);
}

static int stage(struct build *build, struct diag *diag)
{
	int r = build->kind->stage ? build->kind->stage(build, diag) : 0;

	return r == ELEMENTS_FAILED ? -EIO : r; /* integration failed: nothing of this is cached */
}

static int run(struct build *build, struct diag *diag)
{
	int r = prepare(build, diag);

	if (r < 0)
		return r;
	log_environment(build);
	r = stage(build, diag);
	return r < 0 ? r : assemble(build, diag);
}

static int begin_build(struct build *build, struct diag *diag)
{
	const struct elements_job *job = build->job;

	build->kind = find_kind(build->element->ops->name);
	if (!build->kind) {
		diag_set(diag, "element", NULL, "Elements of kind '%s' cannot be built by this version",
			 build->element->ops->name);
		return -EINVAL;
	}
	build->by_id = build_all(build);
	if (job->dep_count)
		qsort(build->by_id, job->dep_count, sizeof *build->by_id, by_element);
	build->overlaps = overlaps_new(job);
	sandbox_host_set_check(job->sandbox_host, job->hooks.check, job->hooks.data);
	return 0;
}

static void end_build(struct build *build)
{
	sandbox_host_set_check(build->job->sandbox_host, NULL, NULL);
	overlaps_free(build->overlaps);
	graph_walk_release(&build->walk);
}

int elements_prepare(const struct elements_job *job, struct elements_prepared *ret, struct diag *diag)
{
	struct elements_result result = { 0 };
	struct build build = { .job = job, .element = &job->graph->elements[job->element], .result = &result };
	int r = begin_build(&build, diag);

	*ret = (struct elements_prepared){ .cwd = "/" };
	if (r < 0)
		return r;
	r = prepare(&build, diag);
	if (r >= 0)
		r = stage(&build, diag);
	ret->sandbox = build.sandbox;
	ret->environment = build.environment;
	ret->environment_count = build.environment_count;
	if (build.cwd)
		ret->cwd = build.cwd;
	end_build(&build);
	return MIN(r, 0);
}

int elements_build(const struct elements_job *job, struct elements_result *ret, struct diag *diag)
{
	struct build build = { .job = job, .element = &job->graph->elements[job->element], .result = ret };
	int r;

	memset(ret, 0, sizeof *ret);
	ret->public_data = build.element->public_data;
	r = begin_build(&build, diag);
	if (r < 0)
		return r;
	r = run(&build, diag);
	if (r != 0 && diag)
		diag_element(diag, build.element->full_name);
	sandbox_free(build.sandbox);
	end_build(&build);
	return r;
}
