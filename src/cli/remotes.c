/* A remote on the command line: "URL", or "key=value,key=value" with a url among them (_remotespec.py). */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/cli_internal.h"

/* Relative paths of certificates are relative to the current directory. */
static const char *absolute_path(struct arena *arena, const char *path)
{
	char cwd[PATH_MAX];

	if (path[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		return path;
	return arena_printf(arena, "%s/%s", cwd, path);
}

static int set_type(struct session_remote *remote, const char *value, struct buf *error)
{
	static const char *const names[] = { [SESSION_REMOTE_ALL] = "all", [SESSION_REMOTE_INDEX] = "index",
					     [SESSION_REMOTE_STORAGE] = "storage" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], value) == 0) {
			remote->type = (enum session_remote_type)i;
			return 0;
		}
	buf_adds(error, "Value for remote 'type' must be one of: index, storage, all");
	return -EINVAL;
}

static int set_push(struct session_remote *remote, const char *value, enum cli_kind kind, struct buf *error)
{
	if (kind != CLI_REMOTE) {
		buf_printf(error, "The 'push' key is invalid and assumed to be %s", remote->push ? "True" : "False");
		return -EINVAL;
	}
	if (str_eq(value, "True") || str_eq(value, "true")) {
		remote->push = true;
		return 0;
	}
	if (str_eq(value, "False") || str_eq(value, "false")) {
		remote->push = false;
		return 0;
	}
	buf_adds(error, "Value for 'push' must be 'True' or 'False'");
	return -EINVAL;
}

static int set_key(struct arena *arena, struct session_remote *remote, const char *key, const char *value,
		   enum cli_kind kind, struct buf *error)
{
	const struct {
		const char *name;
		const char **path;
	} paths[] = {
		{ "server-cert", &remote->server_cert },
		{ "client-key", &remote->client_key },
		{ "client-cert", &remote->client_cert },
		{ "access-token", &remote->access_token },
	};

	if (str_eq(key, "url"))
		remote->url = value;
	else if (str_eq(key, "instance-name"))
		remote->instance_name = value;
	else if (str_eq(key, "type"))
		return set_type(remote, value, error);
	else if (str_eq(key, "push"))
		return set_push(remote, value, kind, error);
	else {
		for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
			if (str_eq(key, paths[i].name)) {
				*paths[i].path = absolute_path(arena, value);
				return 0;
			}
		buf_printf(error, "Unexpected key '%s' encountered", key);
		return -EINVAL;
	}
	return 0;
}

int cli_parse_remote(struct arena *arena, struct session_remote *ret, const char *text, enum cli_kind kind,
		     struct buf *error)
{
	char *rest = arena_strdup(arena, text);
	struct session_remote remote = { .push = kind != CLI_REMOTE_PULL };

	if (!strchr(text, ','))
		remote.url = text;
	while (strchr(text, ',') && rest) {
		char *part = strsep(&rest, ","), *equals = strchr(part, '=');

		if (!equals || strchr(equals + 1, '=')) {
			buf_printf(error, "Invalid format '%s' found in remote specification: %s", part, text);
			return -EINVAL;
		}
		*equals = '\0';
		int r = set_key(arena, &remote, part, equals + 1, kind, error);

		if (r < 0)
			return r;
	}
	if (!remote.url || !*remote.url) {
		buf_adds(error, "No URL specified in remote");
		return -EINVAL;
	}
	*ret = remote;
	return 0;
}
