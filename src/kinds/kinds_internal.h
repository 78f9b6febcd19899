/* kinds/kinds_internal.h: what the files of room kinds share: the working halves of the tables, and words for reading
 * configuration. */
#ifndef KINDS_KINDS_INTERNAL_H
#define KINDS_KINDS_INTERNAL_H

#include "base/json.h"
#include "kinds/element_configs.h"
#include "kinds/kinds.h"
#include "kinds/source_configs.h"
#include "yaml/yaml.h"

/* What a family of element kinds does.  config_size bytes are allocated, zeroed, with the base filled in, before
 * configure; a NULL function has nothing to do. */
struct kinds_element_work {
	size_t config_size;
	int (*configure)(const struct kinds_context *ctx, struct graph_element *element,
			 const struct yaml_node *config);
	/* configure_dependencies */
	int (*dependencies)(const struct kinds_context *ctx, struct graph_element *element);
	int (*preflight)(const struct kinds_context *ctx, struct graph_element *element);
	void (*key)(const struct graph_element *element, struct buf *out);
};

struct kinds_source_work {
	size_t config_size;
	/* Sets source->has_ref, too. */
	int (*configure)(const struct kinds_context *ctx, struct graph_source *source, const struct yaml_node *config);
	/* Reads the files the key depends on. */
	int (*read_files)(const struct kinds_context *ctx, struct graph_source *source);
	void (*key)(const struct graph_source *source, struct buf *out);
};

extern const struct kinds_element_work kinds_build_work, kinds_script_work, kinds_compose_work, kinds_filter_work,
	kinds_import_work, kinds_stack_work, kinds_junction_work, kinds_link_work;
extern const struct kinds_source_work kinds_local_work, kinds_workspace_work, kinds_remote_work, kinds_tar_work;

/* ---- errors, as the peer words them: "script element at a.bst [line 1 column 0]: ..." */
int kinds_element_error(const struct kinds_context *ctx, const struct graph_element *element, const char *reason,
			const char *fmt, ...) PRINTF_LIKE(4, 5);
int kinds_source_error(const struct kinds_context *ctx, const struct graph_source *source, const char *reason,
		       const char *fmt, ...) PRINTF_LIKE(4, 5);

/* ---- reading */

/* A list of strings; empty if the key is missing (get) or an error (need). */
int kinds_get_strings(const struct kinds_context *ctx, const struct yaml_node *map, const char *key,
		      struct kinds_strings *ret);
int kinds_need_strings(const struct kinds_context *ctx, const struct yaml_node *map, const char *key,
		       struct kinds_strings *ret);
/* A path inside the project, as the peer's get_path_from_node checks it: relative, no symbolic link, there, and of the
 * kind asked for.  *ret is the path as written, *ret_full the absolute one. */
int kinds_project_path(const struct kinds_context *ctx, const struct yaml_node *scalar, enum kinds_path kind,
		       const char **ret, const char **ret_full);
int kinds_translate(const struct kinds_context *ctx, const char *url, bool primary, const char **ret);

/* ---- dependencies with their configuration */

/* One entry of what the peer hands to configure_dependencies. */
struct kinds_dep {
	const struct graph_dep *dep;
	const struct yaml_node *config; /* NULL: none given */
};
/* Steps through the build dependencies, each config block on its own; start with { 0 }.  False at the end. */
struct kinds_dep_walk {
	uint32_t dep, config;
};
bool kinds_next_dep(const struct graph_element *element, struct kinds_dep_walk *walk, struct kinds_dep *ret);
/* Adds dep to the place named location, which is made in order if it is new.  room is how many more items may come at
 * most: the size of a new place. */
void kinds_layout_add(struct arena *arena, struct kinds_layout *layout, const char *location,
		      const struct kinds_layout_item *item, uint32_t room);
/* How many (dependency, config block) pairs there are. */
uint32_t kinds_count_deps(const struct graph_element *element);
/* {"location":["path",...],...} */
void kinds_json_layout(struct buf *out, const struct kinds_layout *layout);

/* ---- JSON */
void kinds_json_strings(struct buf *out, const struct kinds_strings *strings);
/* The same, sorted by code point; unique drops repetitions, as a Python set does. */
void kinds_json_sorted(struct buf *out, const struct kinds_strings *strings, bool unique);
/* Members of one file's source key: `,"version"` or `,"pattern"`, whichever is set. */
void kinds_json_guess(struct buf *out, const char *version, const char *pattern);

#endif
