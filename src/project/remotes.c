/* Servers in configuration files, and paths as users write them. */
#include "project/project_internal.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const spec_keys[] = { "url", "instance-name", "auth", "connection-config", "type", "push", NULL };
static const char *const execution_keys[] = { "url", "instance-name", "auth", "connection-config", NULL };
static const char *const action_cache_keys[] = { "url", "instance-name", "auth", "connection-config", "push", NULL };
static const char *const auth_keys[] = { "server-cert", "client-key", "client-cert", "access-token",
					 "access-token-reload-interval", NULL };
static const char *const section_keys[] = { "override-project-caches", "servers", NULL };
static const char *const type_names[] = { "index", "storage", "all", "endpoint", NULL };
static const enum project_remote_type types[] = { PROJECT_REMOTE_INDEX, PROJECT_REMOTE_STORAGE, PROJECT_REMOTE_ALL,
						  PROJECT_REMOTE_ALL };

const char *expand_user_path(struct arena *arena, const char *path)
{
	const char *rest = path, *home;
	struct passwd *user;

	if (*path != '~')
		return path;
	rest += strcspn(path, "/");
	if (rest == path + 1) {
		home = getenv("HOME");
		if (!home)
			home = (user = getpwuid(getuid())) ? user->pw_dir : "~";
	} else {
		user = getpwnam(arena_strndup(arena, path + 1, (size_t)(rest - path - 1)));
		if (!user)
			return path;
		home = user->pw_dir;
	}
	return arena_printf(arena, "%s%s", home, rest);
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

const char *expand_environment(struct arena *arena, const char *text)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	const char *at = text, *dollar;

	while ((dollar = strchr(at, '$')) != NULL) {
		const char *name = dollar + 1, *end = name, *value;
		bool braces = *name == '{';

		buf_add(&out, at, (size_t)(dollar - at));
		if (braces)
			end = strchr(++name, '}');
		else
			while (name_char(*end))
				end++;
		/* What is unknown, empty or unfinished stays as it is written. */
		value = end && end > name ? getenv(arena_strndup(arena, name, (size_t)(end - name))) : NULL;
		at = end && end > name ? end + braces : dollar + 1;
		if (value)
			buf_adds(&out, value);
		else
			buf_add(&out, dollar, (size_t)(at - dollar));
	}
	if (at == text)
		return text;
	buf_adds(&out, at);
	return arena_strdup(arena, buf_text(&out));
}

static int read_file_path(struct arena *arena, const struct yaml_node *node, const char *key, const char *base,
			  const char **ret, struct diag *diag)
{
	int r = yaml_get_str(node, key, ret, diag);

	if (r <= 0)
		return r;
	*ret = expand_user_path(arena, *ret);
	if (base)
		*ret = path_join(arena, base, *ret);
	return 0;
}

static int read_number(const struct yaml_node *node, const char *key, int64_t *ret, struct diag *diag)
{
	int value, r = yaml_get_int(node, key, &value, diag);

	if (r > 0)
		*ret = value;
	return r < 0 ? r : 0;
}

static int read_auth(struct arena *arena, const struct yaml_node *auth, const char *base, struct project_remote *ret,
		     struct diag *diag)
{
	int r;

	if ((r = yaml_validate_keys(auth, auth_keys, diag)) < 0 ||
	    (r = read_file_path(arena, auth, "server-cert", base, &ret->server_cert, diag)) < 0 ||
	    (r = read_file_path(arena, auth, "client-key", base, &ret->client_key, diag)) < 0 ||
	    (r = read_file_path(arena, auth, "client-cert", base, &ret->client_cert, diag)) < 0 ||
	    (r = read_file_path(arena, auth, "access-token", base, &ret->access_token, diag)) < 0 ||
	    (r = read_number(auth, "access-token-reload-interval", &ret->access_token_reload_interval_min, diag)) < 0)
		return r;
	if (ret->access_token_reload_interval_min >= 0 && !ret->access_token)
		return yaml_error(diag, auth, "invalid-data",
				  "'access-token-reload-interval' was specified without 'access-token'");
	if (ret->client_key && !ret->client_cert)
		return yaml_error(diag, auth, "invalid-data", "'client-key' was specified without 'client-cert'");
	if (ret->client_cert && !ret->client_key)
		return yaml_error(diag, auth, "invalid-data", "'client-cert' was specified without 'client-key'");
	return 0;
}

int remote_read(struct arena *arena, const struct yaml_node *node, const char *base, bool remote_execution,
		bool action_cache, struct project_remote *ret, struct diag *diag)
{
	const struct yaml_node *auth = NULL, *connection = NULL;
	int r, type = 2;

	*ret = (struct project_remote){ .access_token_reload_interval_min = -1, .keepalive_time_s = -1,
					.retry_limit = -1, .retry_delay_ms = -1, .request_timeout_s = -1 };
	if (!remote_execution && (r = yaml_get_enum(node, "type", type_names, &type, diag)) < 0)
		return r;
	ret->type = types[type];
	if ((!remote_execution || action_cache) && (r = yaml_get_bool(node, "push", &ret->push, diag)) < 0)
		return r;
	if ((r = yaml_validate_keys(node,
				    !remote_execution ? spec_keys : action_cache ? action_cache_keys : execution_keys,
				    diag)) < 0 ||
	    (r = yaml_need_str(node, "url", &ret->url, diag)) < 0)
		return r;
	if (!*ret->url)
		return yaml_error(diag, yaml_get(node, "url"), "invalid-data", "empty artifact cache URL");
	if ((r = yaml_get_str(node, "instance-name", &ret->instance_name, diag)) < 0 ||
	    (r = yaml_get_map(node, "auth", &auth, diag)) < 0 ||
	    (auth && (r = read_auth(arena, auth, base, ret, diag)) < 0) ||
	    (r = yaml_get_map(node, "connection-config", &connection, diag)) < 0)
		return r;
	if (connection && ((r = read_number(connection, "keepalive-time", &ret->keepalive_time_s, diag)) < 0 ||
			   (r = read_number(connection, "retry-limit", &ret->retry_limit, diag)) < 0 ||
			   (r = read_number(connection, "retry-delay", &ret->retry_delay_ms, diag)) < 0 ||
			   (r = read_number(connection, "request-timeout", &ret->request_timeout_s, diag)) < 0))
		return r;
	return 0;
}

int remotes_read_list(struct arena *arena, const struct yaml_node *list, const char *base,
		      const struct project_remote **ret, uint32_t *ret_count, struct diag *diag)
{
	uint32_t count = list ? list->count : 0;
	struct project_remote *remotes = ARENA_ARRAY(arena, struct project_remote, count);

	for (uint32_t i = 0; i < count; i++) {
		const struct yaml_node *node;
		int r;

		if ((r = yaml_item_map(list, i, &node, diag)) < 0 ||
		    (r = remote_read(arena, node, base, false, false, &remotes[i], diag)) < 0)
			return r;
	}
	*ret = remotes;
	*ret_count = count;
	return 0;
}

int remotes_read_section(struct arena *arena, const struct yaml_node *node, struct project_remotes *ret,
			 struct diag *diag)
{
	const struct yaml_node *servers = NULL;
	int r;

	*ret = (struct project_remotes){ 0 };
	if (!node)
		return 0;
	if ((r = yaml_validate_keys(node, section_keys, diag)) < 0 ||
	    (r = yaml_get_list(node, "servers", &servers, diag)) < 0 ||
	    (r = yaml_get_bool(node, "override-project-caches", &ret->override_project_caches, diag)) < 0)
		return r;
	return remotes_read_list(arena, servers, NULL, &ret->servers, &ret->count, diag);
}

int remotes_read_execution(struct arena *arena, const struct yaml_node *config, bool have_storage,
			   struct project_execution *ret, struct diag *diag)
{
	static const char *const names[] = { "execution-service", "storage-service", "action-cache-service", NULL };
	struct project_remote *const services[] = { &ret->execution, &ret->storage, &ret->action_cache };
	const struct yaml_node *node = NULL, *found[ARRAY_SIZE(services)] = { 0 };
	int r = yaml_get_map(config, "remote-execution", &node, diag);

	if (r < 0 || !node || node->count == 0)
		return r;
	*ret = (struct project_execution){ 0 };
	r = yaml_validate_keys(node, names, diag);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(services); i++)
		r = yaml_get_map(node, names[i], &found[i], diag);
	if (r < 0)
		return r;
	if (!found[1] && !have_storage)
		return yaml_error(diag, node, "invalid-data",
				  "Remote execution requires 'storage-service' to be specified in the 'remote-execution' section if "
				  "not already specified globally in the 'cache' section");
	if (!found[0] && !found[2])
		return yaml_error(diag, node, "invalid-data",
				  "At least one of `execution-service` or `action-cache-service` need to be specified in the "
				  "'remote-execution' section");
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(services); i++)
		if (found[i])
			r = remote_read(arena, found[i], NULL, true, i == 2, services[i], diag);
	return MIN(r, 0);
}
