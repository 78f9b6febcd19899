/* User configuration: built-in defaults, the user's file over them. */
#include "project/project_internal.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fs.h"

static const char defaults_yaml[] =
	"sourcedir: ${XDG_CACHE_HOME}/buildstream/sources\n"
	"cachedir: ${XDG_CACHE_HOME}/buildstream\n"
	"logdir: ${XDG_CACHE_HOME}/buildstream/logs\n"
	"workspacedir: .\n"
	"cache:\n"
	"  quota: infinity\n"
	"  reserved-disk-space: 5%\n"
	"  low-watermark: 80%\n"
	"  pull-buildtrees: False\n"
	"  cache-buildtrees: auto\n"
	"scheduler:\n"
	"  fetchers: 10\n"
	"  builders: 4\n"
	"  pushers: 4\n"
	"  network-retries: 2\n"
	"  on-error: quit\n"
	"build:\n"
	"  max-jobs: 0\n"
	"  retry-failed: False\n"
	"  dependencies: run\n"
	"fetch:\n"
	"  source: all\n"
	"track:\n"
	"  source: aliases\n"
	"logging:\n"
	"  key-length: 8\n"
	"  verbose: True\n"
	"  error-lines: 20\n"
	"  message-lines: 20\n"
	"  debug: False\n"
	"  element-format: |\n"
	"    %{state: >12} %{full-key} %{name} %{workspace-dirs}\n"
	"  message-format: |\n"
	"    [%{elapsed}][%{key}][%{element}] %{action} %{message}\n"
	"  throttle-ui-updates: True\n";

static const char *const toplevel_keys[] = {
	"cachedir", "sourcedir", "builddir", "logdir", "scheduler", "build", "fetch", "track", "artifacts",
	"source-caches", "logging", "projects", "cache", "workspacedir", "remote-execution", NULL,
};
static const char *const cache_keys[] = { "quota", "reserved-disk-space", "low-watermark", "storage-service",
					  "pull-buildtrees", "cache-buildtrees", NULL };
static const char *const logging_keys[] = { "key-length", "verbose", "error-lines", "message-lines", "debug",
					    "element-format", "message-format", "throttle-ui-updates", NULL };
static const char *const scheduler_keys[] = { "on-error", "fetchers", "builders", "pushers", "network-retries", NULL };
static const char *const build_keys[] = { "max-jobs", "retry-failed", "dependencies", NULL };
static const char *const source_keys[] = { "source", NULL };
static const char *const project_keys[] = { "artifacts", "source-caches", "options", "strict", "default-mirror",
					    "remote-execution", "mirrors", NULL };

static const char *const on_error_names[] = { "continue", "quit", "terminate", NULL };
static const char *const policy_names[] = { "all", "aliases", "mirrors", "user", NULL };
static const char *const buildtrees_names[] = { "always", "auto", "never", NULL };

/* ---- directories ---- */

/* The peer sets these in its environment first, so that the file may use them. */
static void set_xdg(struct arena *arena)
{
	static const char *const names[][2] = { { "XDG_CACHE_HOME", "~/.cache" }, { "XDG_CONFIG_HOME", "~/.config" },
						{ "XDG_DATA_HOME", "~/.local/share" } };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *now = getenv(names[i][0]);

		if (!now || !*now)
			setenv(names[i][0], expand_user_path(arena, names[i][1]), 1);
	}
}

static int read_directory(struct project_context *context, const struct yaml_node *config, const char *key,
			  const char **ret, struct diag *diag)
{
	_cleanup_buf_ struct buf path = BUF_INIT;
	int r = yaml_need_str(config, key, ret, diag);

	if (r < 0)
		return r;
	fs_normpath(&path, expand_environment(&context->arena, expand_user_path(&context->arena, *ret)));
	*ret = arena_strdup(&context->arena, buf_text(&path));
	/* "." makes sense for workspaces: it is combined with a name from the command line. */
	if (**ret == '/' || (strcmp(key, "workspacedir") == 0 && strcmp(*ret, ".") == 0))
		return 0;
	return diag_set(diag, "load", "invalid-data", "%s must be an absolute path", key);
}

/* ---- sizes ---- */

static int volume_size(const struct project_context *context, double *ret)
{
	char *path = xasprintf("%s/cas", context->cachedir), *slash;
	struct statvfs st;
	int r;

	while ((r = statvfs(path, &st)) != 0 && (slash = strrchr(path, '/')) && slash > path)
		*slash = '\0';
	if (r != 0)
		r = statvfs("/", &st);
	free(path);
	*ret = r == 0 ? (double)st.f_blocks * (double)st.f_frsize : 0;
	return r == 0 ? 0 : -errno;
}

/* "infinity", "12", "12K", "12G", "12.5%".  A fraction counts for percentages only; the peer refuses it elsewhere. */
int project_parse_size(const struct project_context *context, const char *text, int64_t *ret)
{
	static const char units[] = "KMGT";
	const char *at = text, *unit;
	double volume, number;
	char *end;

	if (strcmp(text, "infinity") == 0) {
		*ret = PROJECT_QUOTA_INFINITE;
		return 0;
	}
	at += strspn(at, "0123456789");
	if (at == text)
		return -EINVAL;
	if (*at == '.')
		at += 1 + strspn(at + 1, "0123456789");
	number = strtod(text, &end);
	if (end != at)
		return -EINVAL;
	if (strcmp(at, "%") == 0) {
		if (number > 100 || volume_size(context, &volume) < 0)
			return -ERANGE;
		*ret = (int64_t)(volume * (number / 100));
		return 0;
	}
	if (memchr(text, '.', (size_t)(at - text)))
		return -EINVAL;
	if (*at) {
		unit = strchr(units, *at);
		if (!unit || at[1])
			return -EINVAL;
		for (const char *u = units; u <= unit; u++)
			number *= 1024;
	}
	if (number >= 9e18)
		return -ERANGE;
	*ret = (int64_t)number;
	return 0;
}

static int read_sizes(struct project_context *context, const struct yaml_node *cache, struct diag *diag)
{
	const struct yaml_node *reserved;
	const char *watermark;
	char *end;
	int r;

	if ((r = yaml_need_str(cache, "quota", &context->quota_text, diag)) < 0 ||
	    (r = yaml_need_scalar(cache, "reserved-disk-space", &reserved, diag)) < 0 ||
	    (r = yaml_need_str(cache, "low-watermark", &watermark, diag)) < 0)
		return r;
	if (project_parse_size(context, context->quota_text, &context->quota_bytes) < 0)
		return diag_set(diag, "load", "invalid-data",
				"%s is not a valid data size.\nPlease specify the value in bytes or as a %% of full disk "
				"space.\n\nValid values are, for example: 800M 10G 1T 50%%\n",
				context->quota_text);
	if (project_parse_size(context, reserved->text, &context->reserved_bytes) < 0)
		return diag_set(diag, "load", "invalid-data",
				"%s is not a valid data size.\nPlease specify the value in bytes or as a %% of full disk "
				"space.\n\nValid values are, for example: 2G 5%%\n",
				reserved->text);
	if (context->reserved_bytes == PROJECT_QUOTA_INFINITE)
		return yaml_error(diag, reserved, "invalid-data",
				  "Please specify the value in bytes or as a %% of full disk space.\n\nValid values are, for "
				  "example: 2G 5%%\n");
	context->low_watermark = strtod(watermark, &end) / 100;
	if (end == watermark || strcmp(end, "%") != 0)
		return diag_set(diag, "load", "invalid-data",
				"%s is not a valid percentage.\nPlease specify the value as a %% of the cache quota.",
				watermark);
	if (context->low_watermark < 0 || context->low_watermark > 1)
		return diag_set(diag, "load", "invalid-data",
				"%s is not between 0%% and 100%%.\nPlease specify the value as a %% of the cache quota.",
				watermark);
	return 0;
}

/* ---- sections ---- */

static int section(const struct yaml_node *config, const char *name, const char *const *keys,
		   const struct yaml_node **ret, struct diag *diag)
{
	int r = yaml_need_map(config, name, ret, diag);

	return r < 0 ? r : yaml_validate_keys(*ret, keys, diag);
}

static int read_cache(struct project_context *context, const struct yaml_node *config, struct diag *diag)
{
	const struct yaml_node *cache, *storage = NULL, *list = NULL;
	int r, buildtrees;

	if ((r = section(config, "cache", cache_keys, &cache, diag)) < 0 ||
	    (r = read_sizes(context, cache, diag)) < 0 ||
	    (r = yaml_get_map(cache, "storage-service", &storage, diag)) < 0 ||
	    (storage && (r = remote_read(&context->arena, storage, NULL, false, false, &context->storage_service,
					 diag)) < 0) ||
	    (r = yaml_get_map(config, "artifacts", &list, diag)) < 0 ||
	    (r = remotes_read_section(&context->arena, list, &context->artifacts, diag)) < 0)
		return r;
	list = NULL;
	if ((r = yaml_get_map(config, "source-caches", &list, diag)) < 0 ||
	    (r = remotes_read_section(&context->arena, list, &context->source_caches, diag)) < 0 ||
	    (r = yaml_need_bool(cache, "pull-buildtrees", &context->pull_buildtrees, diag)) < 0 ||
	    (r = yaml_need_enum(cache, "cache-buildtrees", buildtrees_names, &buildtrees, diag)) < 0)
		return r;
	context->cache_buildtrees = (enum project_buildtrees)buildtrees;
	return 0;
}

struct number_field {
	const char *key;
	size_t offset;
};

static int read_numbers(struct project_context *context, const struct yaml_node *node,
			const struct number_field *fields, size_t count, struct diag *diag)
{
	for (size_t i = 0; i < count; i++) {
		int value, r = yaml_need_int(node, fields[i].key, &value, diag);

		if (r < 0)
			return r;
		*(int64_t *)((char *)context + fields[i].offset) = value;
	}
	return 0;
}

static int read_logging(struct project_context *context, const struct yaml_node *config, struct diag *diag)
{
	static const struct number_field numbers[] = {
		{ "key-length", offsetof(struct project_context, key_length) },
		{ "error-lines", offsetof(struct project_context, error_lines) },
		{ "message-lines", offsetof(struct project_context, message_lines) },
	};
	const struct yaml_node *logging;
	int r;

	if ((r = section(config, "logging", logging_keys, &logging, diag)) < 0 ||
	    (r = read_numbers(context, logging, numbers, ARRAY_SIZE(numbers), diag)) < 0 ||
	    (r = yaml_need_bool(logging, "debug", &context->debug, diag)) < 0 ||
	    (r = yaml_need_bool(logging, "verbose", &context->verbose, diag)) < 0 ||
	    (r = yaml_need_str(logging, "element-format", &context->element_format, diag)) < 0 ||
	    (r = yaml_need_str(logging, "message-format", &context->message_format, diag)) < 0)
		return r;
	return yaml_need_bool(logging, "throttle-ui-updates", &context->throttle_ui_updates, diag);
}

static int read_policy(const struct yaml_node *config, const char *name, enum project_uri_policy *ret,
		       struct diag *diag)
{
	const struct yaml_node *node;
	int policy, r;

	if ((r = section(config, name, source_keys, &node, diag)) < 0 ||
	    (r = yaml_need_enum(node, "source", policy_names, &policy, diag)) < 0)
		return r;
	*ret = (enum project_uri_policy)policy;
	return 0;
}

static int read_work(struct project_context *context, const struct yaml_node *config, struct diag *diag)
{
	static const struct number_field scheduler_numbers[] = {
		{ "fetchers", offsetof(struct project_context, fetchers) },
		{ "builders", offsetof(struct project_context, builders) },
		{ "pushers", offsetof(struct project_context, pushers) },
		{ "network-retries", offsetof(struct project_context, network_retries) },
	};
	static const struct number_field build_numbers[] = {
		{ "max-jobs", offsetof(struct project_context, max_jobs) },
	};
	const struct yaml_node *scheduler, *build, *dependencies;
	int r, on_error;

	if ((r = section(config, "scheduler", scheduler_keys, &scheduler, diag)) < 0 ||
	    (r = yaml_need_enum(scheduler, "on-error", on_error_names, &on_error, diag)) < 0 ||
	    (r = read_numbers(context, scheduler, scheduler_numbers, ARRAY_SIZE(scheduler_numbers), diag)) < 0 ||
	    (r = section(config, "build", build_keys, &build, diag)) < 0 ||
	    (r = read_numbers(context, build, build_numbers, ARRAY_SIZE(build_numbers), diag)) < 0 ||
	    (r = yaml_need_bool(build, "retry-failed", &context->retry_failed, diag)) < 0 ||
	    (r = yaml_need_scalar(build, "dependencies", &dependencies, diag)) < 0)
		return r;
	context->on_error = (enum project_on_error)on_error;
	context->build_dependencies = dependencies->text;
	if (strcmp(dependencies->text, "none") != 0 && strcmp(dependencies->text, "run") != 0 &&
	    strcmp(dependencies->text, "all") != 0)
		return yaml_error(diag, dependencies, "invalid-data",
				  "Invalid value for 'dependencies'. Choose 'none', 'run', or 'all'.");
	if ((r = read_policy(config, "fetch", &context->fetch_source, diag)) < 0)
		return r;
	return read_policy(config, "track", &context->track_source, diag);
}

static int read_projects(struct project_context *context, const struct yaml_node *config, struct diag *diag)
{
	int r = yaml_get_map(config, "projects", &context->projects, diag);

	for (uint32_t i = 0; r >= 0 && context->projects && i < context->projects->count; i++) {
		const struct yaml_node *project;

		if ((r = yaml_need_map(context->projects, context->projects->entries[i].key, &project, diag)) >= 0)
			r = yaml_validate_keys(project, project_keys, diag);
	}
	return r < 0 ? r : 0;
}

static int read_all(struct project_context *context, const struct yaml_node *config, struct diag *diag)
{
	int r;

	if (yaml_get(config, "builddir"))
		return diag_set(diag, "load", "invalid-data", "builddir is obsolete, use cachedir");
	if (yaml_get(config, "artifactdir"))
		return diag_set(diag, "load", "invalid-data", "artifactdir is obsolete");
	if ((r = yaml_validate_keys(config, toplevel_keys, diag)) < 0 ||
	    (r = read_directory(context, config, "cachedir", &context->cachedir, diag)) < 0 ||
	    (r = read_directory(context, config, "sourcedir", &context->sourcedir, diag)) < 0 ||
	    (r = read_directory(context, config, "logdir", &context->logdir, diag)) < 0 ||
	    (r = read_directory(context, config, "workspacedir", &context->workspacedir, diag)) < 0 ||
	    (r = read_cache(context, config, diag)) < 0 || (r = remotes_read_execution(&context->arena, config, context->storage_service.url, &context->execution, diag)) < 0 ||
	    (r = read_logging(context, config, diag)) < 0 || (r = read_work(context, config, diag)) < 0)
		return r;
	return read_projects(context, config, diag);
}

static const char *find_config(struct arena *arena)
{
	static const char *const names[] = { "buildstream2.conf", "buildstream.conf" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *path = path_join(arena, getenv("XDG_CONFIG_HOME"), names[i]);

		if (access(path, F_OK) == 0)
			return path;
	}
	return NULL;
}

int project_context_load(struct project_context *context, const char *config_file, struct diag *diag)
{
	const struct yaml_node *config, *user;
	int r;

	*context = (struct project_context){ 0 };
	set_xdg(&context->arena);
	if (!config_file)
		config_file = find_config(&context->arena);
	r = yaml_parse(&context->arena, defaults_yaml, sizeof(defaults_yaml) - 1, "userconfig.yaml", &config, diag);
	if (r >= 0 && config_file) {
		char *cwd = getcwd(NULL, 0);

		context->config_file = path_join(&context->arena, cwd ? cwd : "/", config_file);
		free(cwd);
		/* The whole path is the short name, too: helpful in errors of a file that is nowhere near. */
		r = yaml_load_file(&context->arena, -1, context->config_file, config_file, config_file, 0, &user, diag);
		if (r >= 0)
			r = yaml_compose(&context->arena, user, config, &config, diag);
	}
	if (r >= 0)
		r = read_all(context, config, diag);
	if (r < 0)
		project_context_release(context);
	return r;
}

void project_context_release(struct project_context *context)
{
	arena_release(&context->arena);
	*context = (struct project_context){ 0 };
}

int64_t project_max_jobs(const struct project_context *context)
{
	cpu_set_t set;

	if (context->max_jobs != 0)
		return context->max_jobs;
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	return MIN(CPU_COUNT(&set), 8);
}
