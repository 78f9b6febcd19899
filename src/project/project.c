/* The loader: its life, files, warnings, rounds.  See project.h. */
#include "project/project_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

/* Workspace files before format 4 mixed sources and builds. */
enum { WORKSPACES_OLDEST = 4, WORKSPACES_NEWEST = 4 };
static const char workspaces_path[] = ".bst2/workspaces.yml";

/* ---- files and warnings ---- */

int64_t load_now(const struct project_loader *load)
{
	return load->request->timed ? util_now_us() : 0;
}

int load_yaml(struct loaded_project *project, const char *path, int dirfd, const char *at, const char *name,
	      const struct yaml_node **ret, struct diag *diag)
{
	struct project_loader *load = project->load;
	const char *full = at ? path_join(load->arena, at, path) : path, *key;
	int64_t start_us = load_now(load);
	uint32_t known;
	int r;

	if (project->junction)
		name = arena_join(load->arena, project->junction->name, ":", name);
	/* One file may be known by two names: errors show the one it was asked for by. */
	key = arena_join(load->arena, name, ":", full);
	known = strmap_get(&load->file_index, key, strlen(key));
	if (known != STRMAP_NONE) {
		*ret = load->files.at[known].root;
		return 0;
	}
	r = yaml_cache_load(load->cache, load->arena, dirfd, path, full, name, project->id, ret, diag);
	load->times.parse_us += load_now(load) - start_us;
	if (r < 0)
		return r;
	strmap_put(&load->file_index, key, strlen(key), (uint32_t)load->files.count);
	*items_add(&load->files) = (struct parsed_file){ full, *ret };
	*items_add(&load->file_paths) = full;
	return 0;
}

void load_soon(struct loaded_project *project, const char *name)
{
	struct arena *arena = project->load->arena;
	const char *path;

	if (!yaml_cache_expects(project->load->cache))
		return;
	path = path_normal(arena, name);
	if (str_starts(path, "../"))
		return;
	yaml_cache_expect(project->load->cache, project->element_fd, path, path_join(arena, project->element_path, path),
			  project->junction ? arena_join(arena, project->junction->name, ":", path) : path, project->id);
}

void load_go(struct project_loader *load)
{
	yaml_cache_expect_go(load->cache);
}

int load_builtin(struct project_loader *load, const char *text, size_t len, const char *name,
		 const struct yaml_node **ret, struct diag *diag)
{
	uint32_t known = strmap_get(&load->file_index, name, strlen(name));
	int r;

	if (known != STRMAP_NONE) {
		*ret = load->files.at[known].root;
		return 0;
	}
	r = yaml_cache_parse(load->cache, load->arena, text, len, name, ret, diag);
	if (r < 0)
		return r;
	strmap_put(&load->file_index, name, strlen(name), (uint32_t)load->files.count);
	*items_add(&load->files) = (struct parsed_file){ NULL, *ret };
	return 0;
}

static void add_warning(struct project_loader *load, const char *token, const char *detail, const char *text)
{
	if (strmap_put(&load->warned, text, strlen(text), 1) == STRMAP_NONE)
		*items_add(&load->warnings) = (struct project_warning){ token, text, detail };
}

void load_warn(struct project_loader *load, const char *token, const char *detail, const char *fmt, ...)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	add_warning(load, token, detail ? arena_strdup(load->arena, detail) : NULL,
		    arena_strdup(load->arena, buf_text(&text)));
}

int load_warn_token(struct loaded_project *project, const char *token, struct diag *diag, const char *fmt, ...)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	va_list ap;

	buf_printf(&text, "[%s]: ", token);
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	if (conf_warning_is_fatal(project, token))
		return diag_set(diag, "plugin", token, "%s", buf_text(&text));
	add_warning(project->load, token, NULL, arena_strdup(project->load->arena, buf_text(&text)));
	return 0;
}

void load_wrap(struct diag *diag, const struct yaml_node *node)
{
	_cleanup_buf_ struct buf inner = BUF_INIT, detail = BUF_INIT;

	if (!diag || !diag->domain)
		return;
	buf_adds(&detail, buf_text(&diag->detail));
	buf_clear(&diag->detail);
	diag_format(diag, &inner);
	diag_set(diag, diag->domain, diag->reason, "%s", buf_text(&inner));
	yaml_where(diag, node);
	if (detail.len)
		diag_detail(diag, "%s", buf_text(&detail));
}

/* ---- life ---- */

struct project_loader *project_loader_new(const struct project_context *context, const struct project_request *request)
{
	struct project_loader *load = xcalloc(1, sizeof(*load));

	load->context = context;
	load->request = request;
	return load;
}

static void release_project(struct loaded_project *project)
{
	if (project->element_fd >= 0)
		close(project->element_fd);
	free(project->alternative_parents.at);
	free(project->fatal_warnings.at);
	free(project->plugins.at);
	free(project->searches.at);
	free(project->links.at);
	free(project->include_nodes.at);
	free(project->sources.at);
	for (size_t i = 0; i < project->kinds.count; i++)
		yaml_vars_base_free(project->kinds.at[i]->vars);
	free(project->kinds.at);
	for (unsigned i = 0; i < PLUGIN_TYPES; i++)
		strmap_release(&project->plugin_index[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(project->includes); i++)
		strmap_release(&project->includes[i]);
	strmap_release(&project->inside);
	strmap_release(&project->elements);
	strmap_release(&project->subprojects);
	strmap_release(&project->link_index);
	strmap_release(&project->override_index);
	strmap_release(&project->kind_index);
	strmap_release(&project->source_index);
	strmap_release(&project->first_source_index);
}

/* Forgets everything but parsed files. */
static void begin_round(struct project_loader *load)
{
	for (size_t i = 0; i < load->projects.count; i++)
		release_project(load->projects.at[i]);
	load->projects.count = load->elements.count = load->needs.count = load->warnings.count = 0;
	load->targets.count = load->except.count = 0;
	load->digests.count = 0;
	load->depth = load->making = 0;
	order_stop_keys(load);
	load->top = NULL;
	strmap_clear(&load->digest_index);
	strmap_clear(&load->warned);
	strmap_clear(&load->full_names);
	if (load->graph) {
		load->graph->element_count = 0;
		load->graph->project_count = 0;
	}
}

void project_loader_free(struct project_loader *load)
{
	if (!load)
		return;
	load->graph = NULL; /* it may be gone already */
	begin_round(load);
	arena_release(&load->scratch);
	arena_release(&load->tables);
	strmap_release(&load->digest_index);
	strmap_release(&load->staged_whole);
	free(load->digests.at);
	free(load->by_id);
	strmap_release(&load->file_index);
	strmap_release(&load->warned);
	strmap_release(&load->full_names);
	yaml_cache_free(load->cache);
	free(load->files.at);
	free(load->file_paths.at);
	free(load->projects.at);
	free(load->elements.at);
	free(load->needs.at);
	free(load->warnings.at);
	free(load->targets.at);
	free(load->except.at);
	free(load);
}

int loader_new_project(struct project_loader *load, const struct project_place *place, struct loaded_project *parent,
		       struct load_element *junction, const struct yaml_node *asked_by, struct loaded_project **ret,
		       struct diag *diag)
{
	struct loaded_project *project = ARENA_NEW(load->arena, struct loaded_project);
	char resolved[PATH_MAX];

	project->load = load;
	project->parent = parent;
	project->junction = junction;
	project->junction_config = junction ? junction->early->config : NULL;
	project->asked_by = asked_by;
	project->place = *place;
	project->directory = path_normal(load->arena, place->directory);
	project->resolved = realpath(place->directory, resolved) ? arena_strdup(load->arena, resolved) : project->directory;
	project->element_fd = -1;
	project->id = graph_add_project(load->graph);
	*items_add(&load->projects) = project;
	if (!parent)
		load->top = project;
	*ret = project;
	return conf_load(project, diag);
}

/* ---- a round ---- */

static int load_workspaces(struct project_loader *load, struct diag *diag)
{
	const struct yaml_node *root;
	int version = 0, r;

	load->workspaces = NULL;
	r = yaml_load_file(load->arena, -1, path_join(load->arena, load->directory, workspaces_path), NULL,
			   "workspaces.yml", 0, &root, diag);
	if (r < 0 && diag && str_eq(diag->reason, "missing-file")) {
		diag_release(diag);
		return 0;
	}
	if (r < 0 || (r = yaml_get_int(root, "format-version", &version, diag)) < 0)
		return r;
	if (version < WORKSPACES_OLDEST)
		return diag_set(diag, "load", "invalid-data",
				"Workspace configuration format version %d not supported.Please recreate this workspace.",
				version);
	if (version > WORKSPACES_NEWEST)
		return diag_set(diag, "load", "invalid-data",
				"Workspace configuration format version %d not supported.Your version of buildstream may be "
				"too old. Max supported version: %d",
				version, WORKSPACES_NEWEST);
	r = yaml_get_map(root, "workspaces", &load->workspaces, diag);
	return r < 0 ? r : 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int load_strict_plan(struct project_loader *load, bool *ret, struct diag *diag)
{
	const struct yaml_node *user = conf_user_section(load->top);
	int r = 0;

	*ret = load->request->strict != 0;
	if (load->request->strict < 0 && user)
		r = yaml_get_bool(user, "strict", ret, diag);
	return r < 0 ? r : 0;
}

void load_publish_names(struct project_loader *load)
{
	for (size_t i = 0; i < load->projects.count; i++) {
		struct loaded_project *from = load->projects.at[i];
		struct graph_project *to = &load->graph->projects[i];

		if (from->fatal_warnings.count > 1)
			qsort(from->fatal_warnings.at, from->fatal_warnings.count, sizeof(*from->fatal_warnings.at), by_text);
		to->name = from->name;
		to->fatal_warnings = arena_memdup(load->arena, from->fatal_warnings.at,
						  from->fatal_warnings.count * sizeof(*from->fatal_warnings.at));
		to->fatal_warning_count = (uint32_t)from->fatal_warnings.count;
	}
}

static int publish_projects(struct project_loader *load, struct diag *diag)
{
	bool strict;
	int r = load_strict_plan(load, &strict, diag);

	for (size_t i = 0; r >= 0 && i < load->projects.count; i++) {
		struct loaded_project *from = load->projects.at[i];
		struct graph_project *to = &load->graph->projects[i];

		if ((r = conf_ensure_full(from, diag)) < 0)
			return r;
		to->directory = from->directory;
		to->junction = from->junction ? from->junction->full_name : NULL;
		to->parent = from->parent ? from->parent->id : GRAPH_NONE;
		to->strict = strict;
	}
	load_publish_names(load);
	return r;
}

/* One image of parsed files for each project that is worked on. */
static void open_cache(struct project_loader *load)
{
	char hex[DIGEST_HEX + 1];
	struct digest digest;

	if (load->cache || !load->request->parsed_files)
		return;
	digest_of(&digest, load->directory, strlen(load->directory));
	digest_to_hex(hex, digest.hash);
	load->cache = yaml_cache_open(arena_printf(load->arena, "%s/%.16s", load->request->parsed_files, hex));
}

static int load_round(struct project_loader *load, struct diag *diag)
{
	struct project_place place = { 0 };
	int64_t start_us;
	const char *yaml;
	size_t len;
	int r;

	load->host_arch = machine_arch(load->request, diag);
	if (!load->host_arch)
		return -EINVAL;
	load->host_system = machine_system(load);
	load->max_jobs = project_max_jobs(load->context);
	if ((r = path_find_project(load, load->request->directory ? load->request->directory : ".", &load->directory,
				   &load->workspace_element, diag)) < 0)
		return r;
	place.directory = load->directory;
	start_us = load_now(load);
	open_cache(load);
	yaml = kinds_project_yaml(&len);
	if ((r = load_builtin(load, yaml, len, "projectconfig.yaml", &load->defaults, diag)) < 0 ||
	    (r = load_workspaces(load, diag)) < 0 ||
	    (r = loader_new_project(load, &place, NULL, NULL, NULL, &load->top, diag)) < 0 ||
	    (r = conf_ensure_full(load->top, diag)) < 0)
		return r;
	load->times.configuration_us = load_now(load) - start_us;
	if (!load->request->project_only && (r = load_targets(load, diag)) < 0)
		return r;
	return publish_projects(load, diag);
}

int project_load(struct project_loader *load, struct graph *graph, struct diag *diag)
{
	struct diag own = DIAG_INIT; /* errors steer some steps, so there must be one */
	int r;

	load->graph = graph;
	load->arena = &graph->arena;
	do {
		diag_release(&own);
		begin_round(load);
		load->again = false;
		r = load_round(load, &own);
	} while (r == PROJECT_STOP && load->again);
	if (r == 0 && load->cache)
		(void)yaml_cache_save(load->cache); /* the next run will be slower, that is all */
	if (r == PROJECT_STOP && load->needs.count > 0) {
		struct diag ignored = DIAG_INIT;

		publish_projects(load, &ignored);
		diag_release(&ignored);
		r = PROJECT_NEEDS;
	}
	if (r < 0 && diag)
		diag_move(diag, &own);
	diag_release(&own);
	return r;
}

/* ---- what was loaded ---- */

struct keys *project_take_keys(struct project_loader *load, struct keys_of_element **ret_all)
{
	struct keys *keys = load->keys;

	if (!keys || load->all_keys_count != load->graph->element_count)
		return NULL;
	*ret_all = load->all_keys;
	load->keys = NULL;
	load->all_keys = NULL;
	return keys;
}

void project_times(const struct project_loader *load, struct project_times *ret)
{
	struct yaml_cache_stats stats = { 0, (uint32_t)load->file_paths.count, 0 };

	if (load->cache)
		yaml_cache_stats(load->cache, &stats);
	*ret = load->times;
	ret->files_parsed = stats.misses;
	ret->files_known = stats.hits;
}

const struct project_need *project_needs(const struct project_loader *load, uint32_t *ret_count)
{
	*ret_count = (uint32_t)load->needs.count;
	return load->needs.at;
}

const uint32_t *project_targets(const struct project_loader *load, uint32_t *ret_count)
{
	*ret_count = (uint32_t)load->targets.count;
	return load->targets.at;
}

const uint32_t *project_except(const struct project_loader *load, uint32_t *ret_count)
{
	*ret_count = (uint32_t)load->except.count;
	return load->except.at;
}

uint32_t project_find(struct project_loader *load, const char *full_name)
{
	const struct graph *graph = load->graph;

	for (uint32_t id = load->full_names.count; id < graph->element_count; id++)
		strmap_put(&load->full_names, graph->elements[id].full_name, strlen(graph->elements[id].full_name), id);
	return strmap_get(&load->full_names, full_name, strlen(full_name));
}

const char *project_workspace_element(const struct project_loader *load)
{
	return load->workspace_element;
}

const struct yaml_node *project_workspaces(const struct project_loader *load)
{
	return load->workspaces;
}

const char *project_directory(const struct project_loader *load)
{
	return load->directory;
}

const struct project_warning *project_warnings(const struct project_loader *load, uint32_t *ret_count)
{
	*ret_count = (uint32_t)load->warnings.count;
	return load->warnings.at;
}

const char *const *project_files(const struct project_loader *load, uint32_t *ret_count)
{
	*ret_count = (uint32_t)load->file_paths.count;
	return load->file_paths.at;
}

const struct project_info *project_info(const struct project_loader *load, uint32_t project)
{
	return project < load->projects.count ? &load->projects.at[project]->info : NULL;
}

const struct project_plugin *project_plugins(const struct project_loader *load, uint32_t id, struct arena *arena,
					     uint32_t *ret_count)
{
	const struct loaded_project *project = load->projects.at[id];
	struct project_plugin *all = ARENA_ARRAY(arena, struct project_plugin, project->kinds.count + project->sources.count);
	uint32_t count = 0;

	for (size_t i = 0; i < project->kinds.count; i++)
		all[count++] = (struct project_plugin){ false, project->kinds.at[i]->kind, project->kinds.at[i]->plugin };
	for (size_t i = 0; i < project->sources.count; i++)
		all[count++] = (struct project_plugin){ true, project->sources.at[i]->kind, project->sources.at[i]->plugin };
	*ret_count = count;
	return all;
}
