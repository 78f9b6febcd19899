/* project.conf: both passes (compat 1.5). */
#include "project/project_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { API_MAJOR = 2, API_MINOR = 8 };

static const char *const toplevel_keys[] = {
	"min-version", "element-path", "variables", "environment", "environment-nocache", "split-rules", "elements",
	"plugins", "aliases", "name", "defaults", "artifacts", "options", "fail-on-overlap", "shell", "fatal-warnings",
	"ref-storage", "sandbox", "mirrors", "sources", "source-caches", "junctions", "source-provenance-attributes",
	"(@)", "(?)", NULL,
};
static const char *const unconditional_keys[] = {
	"min-version", "name", "element-path", "junctions", "defaults", "fatal-warnings", "ref-storage", "options",
	"plugins", NULL,
};
static const char *const not_included_keys[] = { "name", "element-path", "min-version", "plugins", NULL };
static const char *const default_keys[] = { "targets", NULL };
static const char *const junction_keys[] = { "duplicates", "internal", "disallow-subproject-uris", NULL };
static const char *const shell_keys[] = { "command", "environment", "host-files", NULL };
static const char *const host_file_keys[] = { "path", "host_path", "optional", NULL };
static const char *const mirror_keys[] = { "name", "aliases", "kind", NULL };
static const char *const plugin_mirror_keys[] = { "name", "kind", "config", NULL };

/* ---- variables of a project, outside elements ---- */

struct references {
	const struct yaml_node *variables;
	struct yaml_map_builder found;
	struct strmap seen;
};

static void collect_text(struct references *refs, const struct yaml_node *scalar);

static void collect_name(struct references *refs, const char *name, size_t len)
{
	struct strmap_slot *slot = strmap_slot(&refs->seen, name, len);
	const struct yaml_node *value;

	if (slot->value != STRMAP_NONE)
		return;
	slot->value = 1;
	value = yaml_get_n(refs->variables, name, len);
	if (value)
		yaml_map_add(&refs->found, slot->key, len, value);
}

static bool name_char(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (!first && ((c >= '0' && c <= '9') || c == '_' || c == '-'));
}

static void collect_text(struct references *refs, const struct yaml_node *scalar)
{
	const char *at = scalar->text;

	while ((at = strstr(at, "%{")) != NULL) {
		size_t len = 0;

		at += 2;
		while (name_char(at[len], len == 0))
			len++;
		if (len > 0 && at[len] == '}')
			collect_name(refs, at, len);
	}
}

static void collect(struct references *refs, const struct yaml_node *node)
{
	if (!(node->flags & YAML_HAS_REF))
		return;
	if (yaml_is_scalar(node))
		collect_text(refs, node);
	for (uint32_t i = 0; !yaml_is_scalar(node) && i < node->count; i++)
		collect(refs, yaml_is_map(node) ? node->entries[i].value : node->items[i]);
}

int conf_expand(struct project_loader *load, const struct yaml_node *variables, const struct yaml_node *node,
		const struct yaml_node **ret, struct diag *diag)
{
	struct references refs = { .variables = variables };
	struct yaml_vars vars;
	struct yaml_vars_base *base = NULL;
	int r;

	if (!(node->flags & YAML_HAS_REF)) {
		*ret = node;
		return 0;
	}
	collect(&refs, node);
	/* Grows while being walked: what variables refer to is collected behind them. */
	for (size_t i = 0; i < refs.found.count; i++)
		collect_text(&refs, refs.found.entries[i].value);
	if (strmap_get(&refs.seen, "max-jobs", 8) != STRMAP_NONE)
		collect_name(&refs, "notparallel", 11);
	r = yaml_vars_base_new(load->arena, yaml_map_build(&refs.found, load->arena, variables), &base, diag);
	if (r >= 0)
		r = yaml_vars_init(&vars, load->arena, base, NULL, diag);
	if (r >= 0)
		r = yaml_vars_expand(&vars, load->arena, node, ret, diag);
	yaml_vars_base_free(base);
	yaml_map_builder_release(&refs.found);
	strmap_release(&refs.seen);
	return r;
}

/* Sets a variable as the core does: the text changes, the place of an earlier definition stays, so that redefining a
 * protected variable in a file is still found out. */
static const struct yaml_node *set_variable(struct arena *arena, const struct yaml_node *variables, const char *name,
					    const char *text)
{
	const struct yaml_node *old = yaml_get(variables, name);
	struct yaml_node *value = arena_memdup(arena, yaml_str(arena, text, variables), sizeof(*value));

	if (old) {
		value->file = old->file;
		value->line = old->line;
		value->column = old->column;
	}
	return yaml_map_set(arena, variables, name, value);
}

/* "file://" + urllib.parse.quote(path) */
static const char *file_uri(struct arena *arena, const char *path)
{
	_cleanup_buf_ struct buf uri = BUF_INIT;

	buf_adds(&uri, "file://");
	for (const unsigned char *c = (const unsigned char *)path; *c; c++) {
		if (name_char((char)*c, false) || *c == '/' || *c == '.' || *c == '~')
			buf_addc(&uri, (char)*c);
		else
			buf_printf(&uri, "%%%02X", *c);
	}
	return arena_strdup(arena, buf_text(&uri));
}

/* Base variables and those only aliases and mirrors may use. */
static const struct yaml_node *extended_variables(const struct loaded_project *project, const struct pass *pass)
{
	struct arena *arena = project->load->arena;
	const struct yaml_node *variables = pass->variables;
	const char *top = project->load->top->resolved;

	variables = set_variable(arena, variables, "project-root", project->resolved);
	variables = set_variable(arena, variables, "toplevel-root", top);
	variables = set_variable(arena, variables, "project-root-uri", file_uri(arena, project->resolved));
	return set_variable(arena, variables, "toplevel-root-uri", file_uri(arena, top));
}

/* ---- one pass ---- */

const struct yaml_node *conf_user_section(const struct loaded_project *project)
{
	const struct yaml_node *projects = project->load->context->projects;

	return projects ? yaml_get(projects, project->name) : NULL;
}

static int load_options(struct loaded_project *project, const struct yaml_node *config, struct pass *pass,
			bool ignore_unknown, struct diag *diag)
{
	const struct yaml_node *declared = NULL, *user = conf_user_section(project), *overrides = NULL;
	int r;

	if ((r = yaml_get_map(config, "options", &declared, diag)) < 0 ||
	    (r = options_declare(project, &pass->options, declared, diag)) < 0)
		return r;
	if (project->junction &&
	    (r = options_set_yaml(project, &pass->options, project->junction_config->options, diag)) < 0)
		return r;
	if (user && ((r = yaml_get_map(user, "options", &overrides, diag)) < 0 ||
		     (r = options_set_yaml(project, &pass->options, overrides, diag)) < 0))
		return r;
	if (!project->junction && (r = options_set_cli(project, &pass->options, ignore_unknown, diag)) < 0)
		return r;
	return options_resolve(&pass->options, diag);
}

static void set_automatic_variables(struct loaded_project *project, struct pass *pass)
{
	struct arena *arena = project->load->arena;

	pass->variables = set_variable(arena, pass->variables, "project-name", project->name);
	pass->variables = set_variable(arena, pass->variables, "max-jobs",
				       arena_printf(arena, "%lld", (long long)project->load->max_jobs));
	for (uint32_t i = 0; i < pass->options.count; i++)
		if (pass->options.options[i].variable)
			pass->variables = set_variable(arena, pass->variables, pass->options.options[i].variable,
						       option_text(arena, &pass->options.options[i]));
}

/* Mirrors of the default kind are read; those of plugins are only checked to be declared. */
static int check_mirrors(struct loaded_project *project, struct pass *pass, const struct yaml_node *mirrors,
			 struct diag *diag)
{
	for (uint32_t i = 0; mirrors && i < mirrors->count; i++) {
		const struct yaml_node *mirror, *aliases;
		const char *name, *kind = "default";
		struct plugin_paths paths;
		int r;

		if ((r = yaml_item_map(mirrors, i, &mirror, diag)) < 0 ||
		    (r = yaml_get_str(mirror, "kind", &kind, diag)) < 0 ||
		    (r = yaml_need_str(mirror, "name", &name, diag)) < 0)
			return r;
		if (strcmp(kind, "default") == 0) {
			if ((r = yaml_validate_keys(mirror, mirror_keys, diag)) < 0 ||
			    (r = yaml_need_map(mirror, "aliases", &aliases, diag)) < 0)
				return r;
		} else {
			if ((r = yaml_validate_keys(mirror, plugin_mirror_keys, diag)) < 0 ||
			    (r = plugins_paths(project, PLUGIN_MIRROR, kind, &paths, diag)) < 0)
				return r;
			if (!paths.directory) {
				diag_set(diag, "plugin", "plugin-not-found",
					 "No source-mirror plugin registered for kind '%s'", kind);
				yaml_where(diag, mirror);
				return -EINVAL;
			}
		}
		if (!pass->default_mirror)
			pass->default_mirror = name;
	}
	return 0;
}

static int load_urls(struct loaded_project *project, const struct yaml_node *config, struct pass *pass,
		     struct diag *diag)
{
	struct project_loader *load = project->load;
	const struct yaml_node *user = conf_user_section(project), *variables = extended_variables(project, pass);
	const struct yaml_node *mirrors = NULL;
	int r = view_check_urls(project, pass->variables);

	pass->default_mirror = load->request->default_mirror;
	if (r < 0 || (r = view_check_urls(project, yaml_get(config, "aliases"))) < 0 ||
	    (r = view_check_urls(project, yaml_get(config, "mirrors"))) < 0)
		return r;
	if (user && !pass->default_mirror && (r = yaml_get_str(user, "default-mirror", &pass->default_mirror, diag)) < 0)
		return r;
	pass->aliases = yaml_empty_map(load->arena, config);
	if ((r = yaml_get_map(config, "aliases", &pass->aliases, diag)) < 0 ||
	    (r = conf_expand(load, variables, pass->aliases, &pass->aliases, diag)) < 0)
		return r;
	if (user && (r = yaml_get_list(user, "mirrors", &mirrors, diag)) < 0)
		return r;
	pass->user_mirrors = mirrors != NULL;
	if (!pass->user_mirrors && (r = yaml_get_list(config, "mirrors", &mirrors, diag)) < 0)
		return r;
	if (mirrors && (r = conf_expand(load, variables, mirrors, &mirrors, diag)) < 0)
		return r;
	/* A mirror's plugin may come from a junction, which cannot be fetched from a mirror itself then. */
	r = check_mirrors(project, pass, mirrors, diag);
	pass->mirrors = mirrors;
	return r;
}

static int load_pass(struct loaded_project *project, const struct yaml_node **config, struct pass *pass,
		     bool ignore_unknown, struct diag *diag)
{
	struct arena *arena = project->load->arena;
	int r;

	*pass = (struct pass){ 0 };
	if ((r = load_options(project, *config, pass, ignore_unknown, diag)) < 0 ||
	    (r = yaml_resolve_conditions(arena, *config, &pass->options.values, unconditional_keys, config, diag)) < 0 ||
	    (r = yaml_get_map(*config, "elements", &pass->element_overrides, diag)) < 0 ||
	    (r = yaml_get_map(*config, "sources", &pass->source_overrides, diag)) < 0)
		return r;
	/* Composed over the defaults of kinds later, so list directives may stay in these two. */
	*config = yaml_map_remove(arena, yaml_map_remove(arena, *config, "elements"), "sources");
	if ((r = yaml_check_composited(*config, diag)) < 0 ||
	    (r = yaml_need_map(*config, "variables", &pass->variables, diag)) < 0)
		return r;
	set_automatic_variables(project, pass);
	return load_urls(project, *config, pass, diag);
}

/* ---- before any pass ---- */

static int parse_version(const char *text, long *major, long *minor)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	*major = strtol(text, &end, 10);
	if (*end != '.' || end[1] < '0' || end[1] > '9')
		return -EINVAL;
	*minor = strtol(end + 1, &end, 10);
	return *end == '\0' || *end == '.' ? 0 : -EINVAL;
}

static int check_version(const struct yaml_node *config, struct diag *diag)
{
	const struct yaml_node *node = NULL;
	long major, minor;
	int r = yaml_get_scalar(config, "min-version", &node, diag);

	if (r < 0)
		return r;
	if (r == 0) {
		yaml_error(diag, config, "invalid-data", "Dictionary did not contain expected key 'min-version'");
		diag_detail(diag, "If you are trying to use a BuildStream 1 project, please install BuildStream 1 to use "
				  "this project.");
		return -EINVAL;
	}
	if (parse_version(node->text, &major, &minor) < 0) {
		yaml_error(diag, node, "invalid-data", "Malformed version string: %s", node->text);
		diag_detail(diag, "The min-version must be specified as MAJOR.MINOR with numeric major and minor minimum "
				  "required version numbers");
		return -EINVAL;
	}
	if (major == API_MAJOR && minor <= API_MINOR)
		return 0;
	yaml_error(diag, node, "unsupported-project", "Version mismatch");
	if (major != API_MAJOR)
		diag_detail(diag,
			    "Project requires BuildStream %ld, but BuildStream %d is installed.\n"
			    "Please use BuildStream %ld with this project.",
			    major, API_MAJOR, major);
	else
		diag_detail(diag,
			    "Project requires at least BuildStream %ld.%ld, but BuildStream %d.%d is installed.\n"
			    "Please upgrade BuildStream.",
			    major, minor, API_MAJOR, API_MINOR);
	return -EINVAL;
}

bool conf_warning_is_fatal(const struct loaded_project *project, const char *token)
{
	for (size_t i = 0; i < project->fatal_warnings.count; i++)
		if (strcmp(project->fatal_warnings.at[i], token) == 0)
			return true;
	return false;
}

static int load_junctions_section(struct loaded_project *project, const struct yaml_node *config, struct diag *diag)
{
	const struct yaml_node *junctions = NULL;
	int r = yaml_get_map(config, "junctions", &junctions, diag);

	if (r < 0 || (junctions && (r = yaml_validate_keys(junctions, junction_keys, diag)) < 0))
		return r;
	if (project->parent && project->junction->project->disallow_uris) {
		/* Holds for everything below, and nothing below may use a URL of its own. */
		project->disallow_uris = true;
		if (!conf_warning_is_fatal(project, "unaliased-url"))
			*items_add(&project->fatal_warnings) = "unaliased-url";
	} else if (junctions &&
		   (r = yaml_get_bool(junctions, "disallow-subproject-uris", &project->disallow_uris, diag)) < 0) {
		return r;
	}
	if (junctions && ((r = yaml_get_map(junctions, "duplicates", &project->duplicates, diag)) < 0 ||
			  (r = yaml_get_list(junctions, "internal", &project->internal, diag)) < 0))
		return r;
	return 0;
}

/* What is constant: neither includes nor conditions reach it. */
static int load_constants(struct loaded_project *project, const struct yaml_node *config, struct diag *diag)
{
	struct arena *arena = project->load->arena;
	const struct yaml_node *name, *path, *defaults;
	const char *const *fatal = NULL;
	uint32_t fatal_count = 0;
	int r;

	if ((r = check_version(config, diag)) < 0 || (r = yaml_validate_keys(config, toplevel_keys, diag)) < 0 ||
	    (r = yaml_need_scalar(project->conf, "name", &name, diag)) < 0 ||
	    (r = yaml_check_symbol(name->text, "project name", name, true, diag)) < 0 ||
	    (r = yaml_need_scalar(config, "element-path", &path, diag)) < 0 ||
	    (r = project_path(project, path->text, &project->element_path)) < 0 ||
	    (r = path_check(project, path, PATH_DIR, diag)) < 0)
		return r;
	project->name = name->text;
	project->element_path_written = path->text;
	project->element_fd = open(project->element_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (project->element_fd < 0)
		return diag_errno(diag, "load", "missing-file", errno, "Cannot open '%s'", project->element_path);
	if ((r = yaml_need_map(config, "defaults", &defaults, diag)) < 0 ||
	    (r = yaml_validate_keys(defaults, default_keys, diag)) < 0 ||
	    (r = yaml_need_strs(arena, defaults, "targets", &project->default_targets, &project->default_target_count,
				diag)) < 0 ||
	    (r = yaml_get_strs(arena, config, "fatal-warnings", &fatal, &fatal_count, diag)) < 0)
		return r;
	for (uint32_t i = 0; i < fatal_count; i++)
		*items_add(&project->fatal_warnings) = fatal[i];
	return load_junctions_section(project, config, diag);
}

static int load_ref_storage(struct loaded_project *project, const struct yaml_node *config, struct diag *diag)
{
	const struct yaml_node *node;
	int r = yaml_need_scalar(config, "ref-storage", &node, diag);

	if (r < 0)
		return r;
	project->project_refs = strcmp(node->text, "project.refs") == 0;
	project->info.ref_storage = node->text;
	if (!project->project_refs && strcmp(node->text, "inline") != 0)
		return yaml_error(diag, node, "invalid-data", "Invalid value '%s' specified for ref-storage",
				  node->text);
	if (!project->project_refs)
		return 0;
	return refs_load(project, "junction.refs", &project->first.options, &project->junction_refs, diag);
}

int conf_load(struct loaded_project *project, struct diag *diag)
{
	struct arena *arena = project->load->arena;
	const struct yaml_node *defaults = project->load->defaults, *constant, *config;
	int r;

	r = load_yaml(project, path_join(arena, project->directory, "project.conf"), -1, NULL, "project.conf",
		      &project->conf, diag);
	if (r < 0) {
		if (diag && str_eq(diag->reason, "missing-file"))
			diag->reason = "missing-project-conf";
		return r;
	}
	if ((r = yaml_compose(arena, project->conf, defaults, &constant, diag)) < 0 ||
	    (r = load_constants(project, constant, diag)) < 0 ||
	    (r = includes_process(project, project->conf, INCLUDE_ONLY_LOCAL, &config, diag)) < 0 ||
	    (r = yaml_compose(arena, config, defaults, &config, diag)) < 0 ||
	    (r = plugins_declare(project, config, diag)) < 0 ||
	    (r = load_pass(project, &config, &project->first, true, diag)) < 0)
		return r;
	return load_ref_storage(project, constant, diag);
}

/* ---- the second pass ---- */

static int check_not_included(struct loaded_project *project, const struct yaml_node *config, struct diag *diag)
{
	const struct yaml_file *own = project->conf->file, *builtin = project->load->defaults->file;

	for (const char *const *key = not_included_keys; *key; key++) {
		const struct yaml_node *node = yaml_get(config, *key);

		if (!node || (!yaml_is_scalar(node) && node->count == 0) || !node->file || node->file == own || node->file == builtin)
			continue;
		yaml_error(diag, node, "invalid-data", "Unexpected key: %s", *key);
		diag_detail(diag, "The '%s' configuration must be specified in project.conf", *key);
		return -EINVAL;
	}
	return 0;
}

/* Environment variables are expanded in both paths. */
static int load_host_file(struct arena *arena, const struct yaml_node *node, struct project_host_file *ret,
			  struct diag *diag)
{
	int r;

	*ret = (struct project_host_file){ 0 };
	if (yaml_is_scalar(node)) {
		ret->path = ret->host_path = expand_environment(arena, node->text);
		return 0;
	}
	if (!yaml_is_map(node))
		return yaml_error(diag, node, "invalid-data", "Host file is not specified as a string or a dictionary");
	if ((r = yaml_validate_keys(node, host_file_keys, diag)) < 0 ||
	    (r = yaml_need_str(node, "path", &ret->path, diag)) < 0)
		return r;
	ret->host_path = ret->path;
	if ((r = yaml_get_str(node, "host_path", &ret->host_path, diag)) < 0)
		return r;
	ret->path = expand_environment(arena, ret->path);
	ret->host_path = expand_environment(arena, ret->host_path);
	r = yaml_get_bool(node, "optional", &ret->optional, diag);
	return r < 0 ? r : 0;
}

static int load_shell(struct loaded_project *project, const struct yaml_node *config, struct diag *diag)
{
	struct arena *arena = project->load->arena;
	struct project_info *info = &project->info;
	const struct yaml_node *shell, *environment = NULL, *files = NULL;
	struct project_host_file *list;
	struct graph_pair *pairs;
	int r;

	if ((r = yaml_need_map(config, "shell", &shell, diag)) < 0 ||
	    (r = yaml_validate_keys(shell, shell_keys, diag)) < 0 ||
	    (r = yaml_need_strs(arena, shell, "command", &info->shell_command, &info->shell_command_count, diag)) < 0 ||
	    (r = yaml_get_map(shell, "environment", &environment, diag)) < 0 ||
	    (r = yaml_get_list(shell, "host-files", &files, diag)) < 0)
		return r;
	info->shell_environment_count = environment ? environment->count : 0;
	info->shell_environment = pairs = ARENA_ARRAY(arena, struct graph_pair, info->shell_environment_count);
	for (uint32_t i = 0; i < info->shell_environment_count; i++) {
		if ((r = yaml_need_str(environment, environment->entries[i].key, &pairs[i].value, diag)) < 0)
			return r;
		pairs[i].name = environment->entries[i].key;
		pairs[i].value = expand_environment(arena, pairs[i].value);
	}
	info->shell_host_file_count = files ? files->count : 0;
	info->shell_host_files = list = ARENA_ARRAY(arena, struct project_host_file, info->shell_host_file_count);
	for (uint32_t i = 0; i < info->shell_host_file_count; i++)
		if ((r = load_host_file(arena, files->items[i], &list[i], diag)) < 0)
			return r;
	return 0;
}

static int load_remotes(struct loaded_project *project, const struct yaml_node *config, struct diag *diag)
{
	struct arena *arena = project->load->arena;
	struct project_info *info = &project->info;
	const struct yaml_node *artifacts = NULL, *sources = NULL, *user = conf_user_section(project);
	int r;

	info->execution = project->load->context->execution;
	if ((r = yaml_get_list(config, "artifacts", &artifacts, diag)) < 0 ||
	    (r = remotes_read_list(arena, artifacts, project->directory, &info->artifacts, &info->artifact_count,
				   diag)) < 0 ||
	    (r = yaml_get_list(config, "source-caches", &sources, diag)) < 0 ||
	    (r = remotes_read_list(arena, sources, project->directory, &info->source_caches,
				   &info->source_cache_count, diag)) < 0)
		return r;
	if (!user)
		return 0;
	artifacts = sources = NULL;
	if ((r = yaml_get_map(user, "artifacts", &artifacts, diag)) < 0 ||
	    (r = remotes_read_section(arena, artifacts, &info->user_artifacts, diag)) < 0 ||
	    (r = yaml_get_map(user, "source-caches", &sources, diag)) < 0)
		return r;
	if ((r = remotes_read_section(arena, sources, &info->user_source_caches, diag)) < 0 || project->junction)
		return r;
	return remotes_read_execution(arena, user, project->load->context->storage_service.url, &info->execution, diag);
}

static int load_build_settings(struct loaded_project *project, const struct yaml_node *config, struct diag *diag)
{
	const struct yaml_node *overlap = NULL;
	bool fail = false;
	int r;

	if ((r = yaml_need_map(config, "environment", &project->environment, diag)) < 0 ||
	    (r = yaml_need_strs(project->load->arena, config, "environment-nocache", &project->nocache,
				&project->nocache_count, diag)) < 0 ||
	    (r = yaml_need_map(config, "sandbox", &project->sandbox, diag)) < 0 ||
	    (r = yaml_need_map(config, "split-rules", &project->splits, diag)) < 0 ||
	    (r = yaml_get_scalar(config, "fail-on-overlap", &overlap, diag)) < 0)
		return r;
	if (overlap) {
		load_warn(project->load, NULL, NULL,
			  "Use of fail-on-overlap within project.conf is deprecated. Consider using fatal-warnings instead.");
		if (!conf_warning_is_fatal(project, "overlaps")) {
			if ((r = yaml_as_bool(overlap, "fail-on-overlap", &fail, diag)) < 0)
				return r;
			if (fail)
				*items_add(&project->fatal_warnings) = "overlaps";
		}
	}
	if (!project->project_refs)
		return 0;
	return refs_load(project, "project.refs", &project->second.options, &project->refs, diag);
}

static int load_attributes(struct loaded_project *project, const struct yaml_node *own,
			   const struct yaml_node *config, struct diag *diag)
{
	int r;

	/* The project's own attributes replace the built-in ones, none at all if it says so. */
	if ((r = yaml_get_map(own, "source-provenance-attributes", &project->provenance_attributes, diag)) < 0)
		return r;
	if (!project->provenance_attributes &&
	    (r = yaml_need_map(config, "source-provenance-attributes", &project->provenance_attributes, diag)) < 0)
		return r;
	project->info.provenance_attributes = project->provenance_attributes;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct graph_pair *)a)->name, ((const struct graph_pair *)b)->name);
}

static void publish_options(struct loaded_project *project)
{
	const struct option_pool *pool = &project->second.options;
	struct graph_pair *pairs = ARENA_ARRAY(project->load->arena, struct graph_pair, pool->count);

	for (uint32_t i = 0; i < pool->count; i++) {
		pairs[i].name = pool->options[i].name;
		pairs[i].value = option_text(project->load->arena, &pool->options[i]);
	}
	qsort(pairs, pool->count, sizeof(*pairs), by_name);
	project->info.options = pairs;
	project->info.option_count = pool->count;
	project->info.element_path = project->element_path;
}

static int load_second_pass(struct loaded_project *project, struct diag *diag)
{
	struct arena *arena = project->load->arena;
	const struct yaml_node *own, *config;
	int r;

	if ((r = includes_process(project, project->conf, 0, &own, diag)) < 0 ||
	    (r = yaml_compose(arena, own, project->load->defaults, &config, diag)) < 0 ||
	    (r = load_pass(project, &config, &project->second, false, diag)) < 0 ||
	    (r = yaml_validate_keys(config, toplevel_keys, diag)) < 0 ||
	    (r = check_not_included(project, config, diag)) < 0 || (r = load_remotes(project, config, diag)) < 0 ||
	    (r = load_build_settings(project, config, diag)) < 0 || (r = load_shell(project, config, diag)) < 0 ||
	    (r = load_attributes(project, own, config, diag)) < 0)
		return r;
	publish_options(project);
	return 0;
}

int conf_ensure_full(struct loaded_project *project, struct diag *diag)
{
	int r;

	if (project->fully_loaded)
		return 0;
	if (project->junction) {
		r = conf_ensure_full(project->junction->project, diag);
		if (r < 0 || project->fully_loaded)
			return r;
	}
	/* Marked before the work is done: includes of this project may lead back here. */
	project->fully_loaded = true;
	return load_second_pass(project, diag);
}
