/* Words that all kinds use: errors, lists, project paths, dependencies, JSON. */
#include "kinds/kinds_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int kinds_element_error(const struct kinds_context *ctx, const struct graph_element *element, const char *reason,
			const char *fmt, ...)
{
	struct buf _cleanup_buf_ text = BUF_INIT, who = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	diag_set(ctx->diag, "element", reason, "%s", buf_text(&text));
	buf_printf(&who, "%s element at %s", element->ops->name, element->file ? element->file : element->name);
	diag_where(ctx->diag, buf_text(&who), element->file_line, element->file_column);
	if (element->full_name)
		diag_element(ctx->diag, element->full_name);
	return -EINVAL;
}

int kinds_source_error(const struct kinds_context *ctx, const struct graph_source *source, const char *reason,
		       const char *fmt, ...)
{
	struct buf _cleanup_buf_ text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	diag_set(ctx->diag, "source", reason, "%s", buf_text(&text));
	if (ctx->diag) {
		buf_clear(&ctx->diag->where);
		buf_printf(&ctx->diag->where, "%s source at ", source->ops->name);
		if (source->node)
			yaml_provenance(&ctx->diag->where, source->node);
	}
	return -EINVAL;
}

int kinds_get_strings(const struct kinds_context *ctx, const struct yaml_node *map, const char *key,
		      struct kinds_strings *ret)
{
	return yaml_get_strs(ctx->arena, map, key, &ret->items, &ret->count, ctx->diag);
}

int kinds_need_strings(const struct kinds_context *ctx, const struct yaml_node *map, const char *key,
		       struct kinds_strings *ret)
{
	return yaml_need_strs(ctx->arena, map, key, &ret->items, &ret->count, ctx->diag);
}

int kinds_translate(const struct kinds_context *ctx, const char *url, bool primary, const char **ret)
{
	*ret = url;
	if (!ctx->host || !ctx->host->translate_url)
		return 0;
	return ctx->host->translate_url(ctx->host->data, ctx->project, url, primary, ret, ctx->diag);
}

int kinds_get_version(const struct kinds_context *ctx, const struct yaml_node *config, struct kinds_version *ret)
{
	int r = yaml_get_str(config, "version-guess-pattern", &ret->guess_pattern, ctx->diag);

	return r < 0 ? r : yaml_get_str(config, "version", &ret->version, ctx->diag);
}

int kinds_plugin_url(const struct kinds_context *ctx, const struct graph_source *source, const char **ret)
{
	if (!ctx->plugin || !ctx->plugin->default_url)
		return kinds_source_error(ctx, source, NULL,
					  "No default url was found in the plugin that provides '%s': please give `url`",
					  source->ops->name);
	*ret = ctx->plugin->default_url;
	return 0;
}

/* ---- project paths (_project.py get_path_from_node) */

/* directory/path without empty and "." components, as pathlib joins; an absolute path stands for itself. */
static char *join_path(struct arena *arena, const char *directory, const char *path)
{
	struct buf _cleanup_buf_ full = BUF_INIT;
	const char *at = path;

	if (*path != '/')
		buf_adds(&full, directory);
	while (*at) {
		size_t len = strcspn(at, "/");

		if (len && !(len == 1 && *at == '.')) {
			if (!full.len || full.data[full.len - 1] != '/')
				buf_addc(&full, '/');
			buf_add(&full, at, len);
		}
		at += len;
		at += *at == '/';
	}
	if (!full.len)
		buf_addc(&full, '/');
	return arena_strndup(arena, full.data, full.len);
}

static bool starts_with_parent(const char *path)
{
	while (path[0] == '/' || (path[0] == '.' && (path[1] == '/' || !path[1]))) {
		if (path[0] == '/')
			return false; /* absolute: its first part is the root */
		path++;
		while (*path == '/')
			path++;
	}
	return path[0] == '.' && path[1] == '.' && (path[2] == '/' || !path[2]);
}

static bool is_inside(const char *directory, const char *resolved)
{
	char real[PATH_MAX];
	size_t len;

	if (!realpath(directory, real))
		return false;
	len = strcmp(real, "/") == 0 ? 0 : strlen(real);
	return strncmp(resolved, real, len) == 0 && (resolved[len] == '/' || !resolved[len]);
}

static int check_kind(const struct kinds_context *ctx, const struct yaml_node *scalar, enum kinds_path kind,
		      mode_t mode)
{
	const char *path = scalar->text;

	if (S_ISSOCK(mode) || S_ISFIFO(mode) || S_ISBLK(mode))
		return yaml_error(ctx->diag, scalar, "proj-path-invalid-kind",
				  "Specified path '%s' points to an unsupported file kind", path);
	if (kind == KINDS_PATH_FILE && !S_ISREG(mode))
		return yaml_error(ctx->diag, scalar, "proj-path-invalid-kind",
				  "Specified path '%s' is not a regular file", path);
	if (kind == KINDS_PATH_DIR && !S_ISDIR(mode))
		return yaml_error(ctx->diag, scalar, "proj-path-invalid-kind",
				  "Specified path '%s' is not a directory", path);
	return 0;
}

/* Whether all but the last part of full is known to lie inside the project; then lstat says the rest. */
static bool parent_is_inside(const struct kinds_context *ctx, const char *full)
{
	const char *slash = strrchr(full, '/');

	return ctx->host && ctx->host->directory_inside && slash && slash > full && strcmp(slash, "/..") != 0 &&
	       ctx->host->directory_inside(ctx->host->data, full, (size_t)(slash - full));
}

int kinds_project_path(const struct kinds_context *ctx, const struct yaml_node *scalar, enum kinds_path kind,
		       const char **ret, const char **ret_full)
{
	const char *path = scalar->text, *full;
	char resolved[PATH_MAX];
	struct stat st;
	bool is_there, easy; /* easy: one system call instead of one for each part of the path, twice */
	int r;

	if (!ctx->host || !ctx->host->project_path)
		full = join_path(ctx->arena, ctx->project_directory, path);
	else if ((r = ctx->host->project_path(ctx->host->data, path, &full)) < 0)
		return r;
	is_there = lstat(full, &st) == 0;
	if (is_there && S_ISLNK(st.st_mode))
		return yaml_error(ctx->diag, scalar, "proj-path-invalid-kind",
				  "Specified path '%s' must not point to symbolic links ", path);
	if (starts_with_parent(path))
		return yaml_error(ctx->diag, scalar, "proj-path-invalid",
				  "Specified path '%s' first component must not be '..'", path);
	easy = is_there && parent_is_inside(ctx, full);
	if (!easy && (!realpath(full, resolved) || stat(resolved, &st) != 0))
		return yaml_error(ctx->diag, scalar, "missing-file", "Specified path '%s' does not exist", path);
	if (!easy && !is_inside(ctx->project_directory, resolved))
		return yaml_error(ctx->diag, scalar, "proj-path-invalid",
				  "Specified path '%s' must not lead outside of the project directory", path);
	if (*path == '/')
		return yaml_error(ctx->diag, scalar, "proj-path-invalid",
				  "Absolute path: '%s' invalid.\n"
				  "Please specify a path relative to the project's root.",
				  path);
	*ret = path;
	*ret_full = full;
	return check_kind(ctx, scalar, kind, st.st_mode);
}

/* ---- dependencies */

bool kinds_next_dep(const struct graph_element *element, struct kinds_dep_walk *walk, struct kinds_dep *ret)
{
	for (; walk->dep < element->dep_count; walk->dep++, walk->config = 0) {
		const struct graph_dep *dep = &element->deps[walk->dep];

		if (!(dep->type & GRAPH_BUILD))
			continue;
		if (walk->config < (dep->config_count ? dep->config_count : 1)) {
			ret->dep = dep;
			ret->config = dep->config_count ? dep->configs[walk->config] : NULL;
			walk->config++;
			return true;
		}
	}
	return false;
}

uint32_t kinds_count_deps(const struct graph_element *element)
{
	struct kinds_dep_walk walk = { 0 };
	struct kinds_dep dep;
	uint32_t count = 0;

	while (kinds_next_dep(element, &walk, &dep))
		count++;
	return count;
}

/* The index where location is, or where it should come; found tells which. */
static uint32_t find_place(const struct kinds_layout *layout, const char *location, bool *found)
{
	uint32_t at = 0;

	*found = false;
	while (at < layout->count) {
		int order = strcmp(layout->places[at].location, location);

		*found = order == 0;
		if (order >= 0)
			break;
		at++;
	}
	return at;
}

void kinds_layout_add(struct arena *arena, struct kinds_layout *layout, const char *location,
		      const struct kinds_layout_item *item, uint32_t room)
{
	bool found;
	uint32_t at = find_place(layout, location, &found);

	if (!found) {
		struct kinds_layout_place *places = ARENA_ARRAY(arena, struct kinds_layout_place, layout->count + 1);

		/* Few elements have more than two places, so a new array for each is no waste. */
		for (uint32_t i = 0; i < layout->count; i++)
			places[i < at ? i : i + 1] = layout->places[i];
		places[at] = (struct kinds_layout_place){ .location = location };
		places[at].items = ARENA_ARRAY(arena, struct kinds_layout_item, room);
		layout->places = places;
		layout->count++;
	}
	layout->places[at].items[layout->places[at].count++] = *item;
}

/* ---- JSON */

void kinds_json_strings(struct buf *out, const struct kinds_strings *strings)
{
	buf_addc(out, '[');
	for (uint32_t i = 0; i < strings->count; i++) {
		if (i > 0)
			buf_addc(out, ',');
		json_str(out, strings->items[i]);
	}
	buf_addc(out, ']');
}

static int order_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void kinds_json_sorted(struct buf *out, const struct kinds_strings *strings, bool unique)
{
	_cleanup_free_ const char **sorted = xreallocarray(NULL, strings->count + 1, sizeof(*sorted));
	struct kinds_strings kept = { sorted, 0 };

	for (uint32_t i = 0; i < strings->count; i++)
		sorted[i] = strings->items[i];
	qsort(sorted, strings->count, sizeof(*sorted), order_texts);
	for (uint32_t i = 0; i < strings->count; i++)
		if (!unique || !kept.count || strcmp(sorted[kept.count - 1], sorted[i]) != 0)
			sorted[kept.count++] = sorted[i];
	kinds_json_strings(out, &kept);
}

void kinds_json_layout(struct buf *out, const struct kinds_layout *layout)
{
	buf_addc(out, '{');
	for (uint32_t i = 0; i < layout->count; i++) {
		json_member(out, layout->places[i].location);
		buf_addc(out, '[');
		for (uint32_t k = 0; k < layout->places[i].count; k++) {
			json_comma(out);
			json_str(out, layout->places[i].items[k].path);
		}
		buf_addc(out, ']');
	}
	buf_addc(out, '}');
}

void kinds_json_guess(struct buf *out, const char *version, const char *pattern)
{
	const char *text = version ? version : pattern;

	if (text) {
		buf_addc(out, ',');
		json_str(out, text);
	}
}

static int order_entries(const void *a, const void *b)
{
	const struct yaml_entry *x = *(const struct yaml_entry *const *)a, *y = *(const struct yaml_entry *const *)b;
	int order = memcmp(x->key, y->key, MIN(x->key_len, y->key_len));

	return order ? order : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

void kinds_sorted_entries(const struct yaml_node *map, const struct yaml_entry **sorted)
{
	bool in_order = true;

	for (uint32_t i = 0; i < map->count; i++) {
		sorted[i] = &map->entries[i];
		in_order = in_order && (i == 0 || order_entries(&sorted[i - 1], &sorted[i]) < 0);
	}
	if (!in_order)
		qsort(sorted, map->count, sizeof(*sorted), order_entries);
}

static void json_map(struct buf *out, const struct yaml_node *map)
{
	_cleanup_free_ const struct yaml_entry **sorted = xreallocarray(NULL, map->count + 1, sizeof(*sorted));

	kinds_sorted_entries(map, sorted);
	buf_addc(out, '{');
	for (uint32_t i = 0; i < map->count; i++) {
		if (i > 0)
			buf_addc(out, ',');
		json_string(out, sorted[i]->key, sorted[i]->key_len);
		buf_addc(out, ':');
		kinds_json_node(out, sorted[i]->value);
	}
	buf_addc(out, '}');
}

void kinds_json_node(struct buf *out, const struct yaml_node *node)
{
	if (yaml_is_scalar(node)) {
		json_string(out, node->text, node->count);
	} else if (yaml_is_map(node)) {
		json_map(out, node);
	} else {
		buf_addc(out, '[');
		for (uint32_t i = 0; i < node->count; i++) {
			if (i > 0)
				buf_addc(out, ',');
			kinds_json_node(out, node->items[i]);
		}
		buf_addc(out, ']');
	}
}
