/* Plugin origins (compat 1.10): who provides a kind, where its files lie, what we know of its Python file. */
#include "project/project_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

enum { MOST_PLUGIN_BYTES = 4 << 20 };

static const char *const origin_names[] = { "local", "pip", "junction", NULL };
static const char *const local_keys[] = { "path", "origin", "sources", "elements", "source-mirrors", "allow-deprecated",
					  NULL };
static const char *const pip_keys[] = { "package-name", "origin", "sources", "elements", "source-mirrors",
					"allow-deprecated", NULL };
static const char *const junction_keys[] = { "junction", "origin", "sources", "elements", "source-mirrors",
					     "allow-deprecated", NULL };
static const char *const plugin_keys[] = { "kind", "allow-deprecated", NULL };

static const struct {
	const char *const *keys;
	const char *from; /* member that says where */
} origins[] = {
	[ORIGIN_LOCAL] = { local_keys, "path" },
	[ORIGIN_PIP] = { pip_keys, "package-name" },
	[ORIGIN_JUNCTION] = { junction_keys, "junction" },
};
static const struct {
	const char *section, *name;
} types[PLUGIN_TYPES] = {
	[PLUGIN_ELEMENT] = { "elements", "element" },
	[PLUGIN_SOURCE] = { "sources", "source" },
	[PLUGIN_MIRROR] = { "source-mirrors", "source-mirror" },
};

const char *plugin_type_name(enum plugin_type type)
{
	return types[type].name;
}

/* ---- declarations ---- */

static int declare_kind(struct loaded_project *project, enum plugin_type type, struct plugin_entry entry,
			const struct yaml_node *node, struct diag *diag)
{
	int r;

	if (yaml_is_scalar(node)) {
		entry.kind = node->text;
	} else if (yaml_is_map(node)) {
		if ((r = yaml_validate_keys(node, plugin_keys, diag)) < 0 ||
		    (r = yaml_need_str(node, "kind", &entry.kind, diag)) < 0 ||
		    (r = yaml_get_bool(node, "allow-deprecated", &entry.allow_deprecated, diag)) < 0)
			return r;
	} else {
		return yaml_error(diag, node, "invalid-data", "Plugin is not specified as a string or a dictionary");
	}
	if (strmap_get(&project->plugin_index[type], entry.kind, strlen(entry.kind)) != STRMAP_NONE)
		return diag_set(diag, "plugin", "duplicate-plugin", "More than one %s plugin registered as kind '%s'",
				types[type].name, entry.kind);
	strmap_put(&project->plugin_index[type], entry.kind, strlen(entry.kind), (uint32_t)project->plugins.count);
	*items_add(&project->plugins) = entry;
	return 0;
}

static int declare_origin(struct loaded_project *project, const struct yaml_node *node, struct diag *diag)
{
	struct plugin_entry entry = { .node = node };
	const struct yaml_node *from, *list;
	int r, origin;

	if ((r = yaml_need_enum(node, "origin", origin_names, &origin, diag)) < 0 ||
	    (r = yaml_validate_keys(node, origins[origin].keys, diag)) < 0 ||
	    (r = yaml_need_scalar(node, origins[origin].from, &from, diag)) < 0 ||
	    (origin == ORIGIN_LOCAL && (r = path_check(project, from, PATH_DIR, diag)) < 0) ||
	    (r = yaml_get_bool(node, "allow-deprecated", &entry.allow_deprecated, diag)) < 0)
		return r;
	entry.origin = (enum origin_type)origin;
	entry.from = from->text;
	for (unsigned type = 0; type < PLUGIN_TYPES; type++) {
		list = NULL;
		if ((r = yaml_get_list(node, types[type].section, &list, diag)) < 0)
			return r;
		for (uint32_t i = 0; list && i < list->count; i++)
			if ((r = declare_kind(project, type, entry, list->items[i], diag)) < 0)
				return r;
	}
	return 0;
}

int plugins_declare(struct loaded_project *project, const struct yaml_node *config, struct diag *diag)
{
	const struct yaml_node *list = NULL, *node;
	int r = yaml_get_list(config, "plugins", &list, diag);

	for (uint32_t i = 0; r >= 0 && list && i < list->count; i++)
		if ((r = yaml_item_map(list, i, &node, diag)) >= 0)
			r = declare_origin(project, node, diag);
	return r < 0 ? r : 0;
}

/* ---- files ---- */

static int local_paths(struct loaded_project *project, const struct plugin_entry *entry, struct plugin_paths *ret)
{
	struct arena *arena = project->load->arena;
	const char *yaml;
	int r = project_path(project, entry->from, &ret->directory);

	yaml = arena_printf(arena, "%s/%s.yaml", ret->directory, entry->kind);
	ret->defaults = access(yaml, F_OK) == 0 ? yaml : NULL;
	return r;
}

static int junction_paths(struct loaded_project *project, enum plugin_type type, const struct plugin_entry *entry,
			  struct plugin_paths *ret, struct diag *diag)
{
	struct loaded_project *sub;
	int r = loader_get(project, entry->from, entry->node, true, &sub, diag);

	if (r < 0)
		return r;
	r = plugins_paths(sub, type, entry->kind, ret, diag);
	if (r < 0 && diag && str_eq(diag->domain, "plugin")) {
		_cleanup_buf_ struct buf inner = BUF_INIT, detail = BUF_INIT;

		buf_adds(&detail, buf_text(&diag->detail));
		buf_clear(&diag->detail);
		diag_format(diag, &inner);
		diag_set(diag, "plugin", "junction-plugin-load-error",
			 "Error loading %s plugin '%s' from project '%s' referred to by junction '%s': %s",
			 types[type].name, entry->kind, sub->name, entry->from, buf_text(&inner));
		yaml_where(diag, entry->node);
		if (detail.len)
			diag_detail(diag, "%s", buf_text(&detail));
	}
	if (r < 0 || ret->directory)
		return r;
	diag_set(diag, "plugin", "junction-plugin-not-found",
		 "project '%s' referred to by junction '%s' does not declare a %s plugin named: '%s'", sub->name,
		 entry->from, types[type].name, entry->kind);
	yaml_where(diag, entry->node);
	return -ENOENT;
}

int plugins_paths(struct loaded_project *project, enum plugin_type type, const char *kind, struct plugin_paths *ret,
		  struct diag *diag)
{
	uint32_t index = strmap_get(&project->plugin_index[type], kind, strlen(kind));
	struct plugin_entry entry;

	*ret = (struct plugin_paths){ 0 };
	if (index == STRMAP_NONE)
		return 0;
	entry = project->plugins.at[index];
	switch (entry.origin) {
	case ORIGIN_LOCAL:
		return local_paths(project, &entry, ret);
	case ORIGIN_PIP:
		return pip_find(project->load, type, &entry, ret, diag);
	case ORIGIN_JUNCTION:
		return junction_paths(project, type, &entry, ret, diag);
	}
	return 0;
}

/* ---- what a kind is ---- */

static int not_registered(enum plugin_type type, const char *kind, const struct yaml_node *node, struct diag *diag)
{
	const char *package = NULL;

	if (type == PLUGIN_ELEMENT && kinds_find_element(kind))
		package = kinds_find_element(kind)->package;
	if (type == PLUGIN_SOURCE && kinds_find_source(kind))
		package = kinds_find_source(kind)->package;
	diag_set(diag, "plugin", "plugin-not-found", "No %s plugin registered for kind '%s'", types[type].name, kind);
	yaml_where(diag, node);
	if (package)
		diag_detail(diag, "The package '%s' provides it: declare it under `plugins` in project.conf.", package);
	return -ENOENT;
}

static bool is_core(enum plugin_type type, const char *kind)
{
	if (type == PLUGIN_ELEMENT) {
		const struct kinds_element *ops = kinds_find_element(kind);

		return ops && (ops->flags & KINDS_CORE);
	} else {
		const struct kinds_source *ops = kinds_find_source(kind);

		return ops && (ops->flags & KINDS_SOURCE_CORE);
	}
}

static bool is_native(enum plugin_type type, const char *kind)
{
	return type == PLUGIN_ELEMENT ? kinds_find_element(kind) != NULL : kinds_find_source(kind) != NULL;
}

static int judge(struct project_loader *load, const struct kinds_plugin *plugin, enum plugin_type type,
		 const char *path, const struct yaml_node *node, struct diag *diag)
{
	if (plugin->state == KINDS_PLUGIN_STABLE)
		load_warn(load, NULL, NULL,
			  "%s plugin '%s' (%s) is not a version we know; treated like the versions we do know",
			  types[type].name, plugin->kind, path);
	if (plugin->state != KINDS_PLUGIN_UNSTABLE)
		return 0;
	diag_set(diag, "plugin", "unknown-plugin-version",
		 "%s plugin '%s' is not a version we know, and versions of it differ: %s", types[type].name, plugin->kind,
		 path);
	yaml_where(diag, node);
	return -ENOTSUP;
}

/* Its authors want to be rid of it, and this project has not said that it knows. */
static void warn_deprecated(struct loaded_project *project, enum plugin_type type, const struct kinds_plugin *plugin,
			    const struct yaml_node *node)
{
	uint32_t index = strmap_get(&project->plugin_index[type], plugin->kind, strlen(plugin->kind));
	_cleanup_buf_ struct buf where = BUF_INIT;

	if (!plugin->deprecated || index == STRMAP_NONE || project->plugins.at[index].allow_deprecated)
		return;
	yaml_provenance(&where, node);
	load_warn(project->load, NULL, plugin->deprecated, "%s: Using deprecated plugin '%s'", buf_text(&where), plugin->kind);
}

/* A helper that is not there or cannot be read leaves the plugin what it is. */
static void read_helper(struct loaded_project *project, const char *directory, struct kinds_plugin *plugin)
{
	const char *helper = kinds_plugin_helper(plugin), *path;
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (!helper)
		return;
	path = arena_printf(project->load->arena, "%s/%s.py", directory, helper);
	if (fs_read_file(&text, AT_FDCWD, path, MOST_PLUGIN_BYTES) < 0)
		return;
	*items_add(&project->load->file_paths) = path;
	kinds_plugin_helper_read(plugin, buf_text(&text), text.len);
}

int plugins_identify(struct loaded_project *project, enum plugin_type type, const char *kind,
		     const struct yaml_node *node, struct kinds_plugin **ret, const char **ret_defaults,
		     struct diag *diag)
{
	struct arena *arena = project->load->arena;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct plugin_paths paths;
	const char *path;
	int r = plugins_paths(project, type, kind, &paths, diag);

	*ret = NULL;
	*ret_defaults = NULL;
	if (r < 0)
		return r;
	if (!paths.directory)
		return is_core(type, kind) ? 0 : not_registered(type, kind, node, diag);
	path = arena_printf(arena, "%s/%s.py", paths.directory, kind);
	if ((r = fs_read_file(&text, AT_FDCWD, path, MOST_PLUGIN_BYTES)) < 0) {
		diag_set(diag, "plugin", NULL, "Failed to load %s plugin '%s': cannot read '%s': %s", types[type].name,
			 kind, path, strerror(-r));
		yaml_where(diag, node);
		return r;
	}
	*items_add(&project->load->file_paths) = path;
	if (!is_native(type, kind)) {
		diag_set(diag, "plugin", "unsupported-plugin", "No %s kind '%s' is known natively; its plugin is %s",
			 types[type].name, kind, path);
		yaml_where(diag, node);
		return -ENOTSUP;
	}
	*ret = ARENA_NEW(arena, struct kinds_plugin);
	*ret_defaults = paths.defaults;
	kinds_plugin_identify(*ret, arena, type == PLUGIN_SOURCE, kind, buf_text(&text), text.len);
	if (!(*ret)->package)
		(*ret)->package = paths.package;
	if (type == PLUGIN_SOURCE)
		read_helper(project, paths.directory, *ret);
	warn_deprecated(project, type, *ret, node);
	return judge(project->load, *ret, type, path, node, diag);
}
