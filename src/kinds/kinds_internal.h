/* kinds/kinds_internal.h: what the files of room kinds share: the working halves of the tables, and words for reading
 * configuration. */
#ifndef KINDS_KINDS_INTERNAL_H
#define KINDS_KINDS_INTERNAL_H

#include "base/fs.h"
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
	/* As kinds_source_infos; NULL if the kind has nothing to tell. */
	uint32_t (*info)(struct arena *arena, const struct graph_source *source, const struct kinds_source_info **ret);
};

extern const struct kinds_element_work kinds_build_work, kinds_script_work, kinds_compose_work, kinds_filter_work,
	kinds_import_work, kinds_stack_work, kinds_junction_work, kinds_link_work, kinds_image_work,
	kinds_dpkg_deploy_work, kinds_flatpak_image_work, kinds_flatpak_repo_work, kinds_check_forbidden_work,
	kinds_collect_integration_work, kinds_collect_manifest_work, kinds_collect_scripts_work, kinds_bazelize_work,
	kinds_oci_work, kinds_ostree_element_work, kinds_snap_image_work, kinds_tar_element_work;
/* origins.c */
uint32_t kinds_one_info(struct arena *arena, const struct graph_source *source, const struct kinds_source_info *info,
			const struct kinds_source_info **ret);
uint32_t kinds_git_info(struct arena *arena, const struct graph_source *source, const struct kinds_source_info **ret),
	kinds_go_info(struct arena *arena, const struct graph_source *source, const struct kinds_source_info **ret),
	kinds_cargo_info(struct arena *arena, const struct graph_source *source, const struct kinds_source_info **ret),
	kinds_index_info(struct arena *arena, const struct graph_source *source, const struct kinds_source_info **ret),
	kinds_docker_info(struct arena *arena, const struct graph_source *source, const struct kinds_source_info **ret),
	kinds_patch_info(struct arena *arena, const struct graph_source *source, const struct kinds_source_info **ret),
	kinds_queue_info(struct arena *arena, const struct graph_source *source, const struct kinds_source_info **ret),
	kinds_pip_info(struct arena *arena, const struct graph_source *source, const struct kinds_source_info **ret),
	kinds_bazel_info(struct arena *arena, const struct graph_source *source, const struct kinds_source_info **ret),
	kinds_bzr_info(struct arena *arena, const struct graph_source *source, const struct kinds_source_info **ret);
/* Does the plugin of this source come from this release or a later one?  True also if it is not known. */
bool kinds_plugin_since(const struct kinds_plugin *plugin, const char *release);
/* Variants of kinds_image_work. */
enum { KINDS_X86IMAGE, KINDS_FASTBOOT_BOOTIMG, KINDS_FASTBOOT_EXT4 };
extern const struct kinds_source_work kinds_local_work, kinds_workspace_work, kinds_remote_work, kinds_tar_work,
	kinds_git_work, kinds_go_module_work, kinds_cargo_work, kinds_index_work, kinds_anitya_work, kinds_docker_work,
	kinds_patch_work, kinds_patch_queue_work, kinds_quilt_work, kinds_pip_work, kinds_bazel_file_work,
	kinds_bazel_source_work, kinds_gen_cargo_lock_work, kinds_bzr_work, kinds_ostree_source_work;
/* Variants of kinds_cargo_work and kinds_index_work; those of kinds_git_work are enum kinds_git_variant. */
enum { KINDS_CARGO, KINDS_CARGO2 };
enum { KINDS_CPAN, KINDS_PYPI, KINDS_GNU };
/* Behaviours of older releases that differ in keys (struct kinds_plugin); 0 is that of the newest.
 * go_module before 2.2.0: bugfix 0, `explicit` required, no subdirectory; before 2.4.0: `explicit` required. */
enum { KINDS_GO_EXPLICIT = 1, KINDS_GO_BUGFIX_0 };
/* cargo2 before 2.0.3: vendor-dir "crates", key letter "x"; before 2.2.0: key letter "x". */
enum { KINDS_CARGO2_X = 1, KINDS_CARGO2_CRATES_X };
/* collect_manifest before 2.1.0: nothing but the path in its key, a plain element that runs commands.  Before 2.3.0: no
 * products and versions beside its sources. */
enum { KINDS_MANIFEST_PLAIN = 1, KINDS_MANIFEST_BARE };
/* anitya of KDE's own, which was there before the community's: no `exclude`, the key has the url as rendered. */
enum { KINDS_ANITYA_KDE = 1 };
/* Members every source may have. */
#define KINDS_SOURCE_KEYS "kind", "directory", "provenance"

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
/* `version` and `version-guess-pattern`. */
int kinds_get_version(const struct kinds_context *ctx, const struct yaml_node *config, struct kinds_version *ret);
/* The default URL that stands in the plugin's Python file; an error if it could not be found there. */
int kinds_plugin_url(const struct kinds_context *ctx, const struct graph_source *source, const char **ret);
/* Members of one file's source key: `,"version"` or `,"pattern"`, whichever is set. */
void kinds_json_guess(struct buf *out, const char *version, const char *pattern);

#endif
