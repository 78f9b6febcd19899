/* kinds/element_configs.h: what element kinds make of their configuration.
 *
 * Written by room kinds while loading, in the graph's arena; read by room elements in workers.  Every struct starts
 * with struct kinds_element_base.  Texts point into the loaded YAML or the arena and live as long as the graph.
 */
#ifndef KINDS_ELEMENT_CONFIGS_H
#define KINDS_ELEMENT_CONFIGS_H

#include "kinds/kinds.h"

struct kinds_strings {
	const char *const *items;
	uint32_t count;
};

struct kinds_layout_item {
	uint32_t element;  /* graph id */
	const char *path;  /* as written in the dependency; in keys */
};
/* Where dependencies are staged, or which variable gets whose digest. */
struct kinds_layout_place {
	const char *location; /* directory in the sandbox, or environment variable */
	struct kinds_layout_item *items;
	uint32_t count;
};
struct kinds_layout {
	struct kinds_layout_place *places; /* sorted by location */
	uint32_t count;
};

enum kinds_step { KINDS_CONFIGURE, KINDS_BUILD, KINDS_INSTALL, KINDS_STRIP, KINDS_STEPS };

/* manual, autotools, cmake, make, meson, pip, setuptools, bazel_build, cargo, makemaker, modulebuild, pyproject, qmake,
 * dpkg_build */
struct kinds_build {
	struct kinds_element_base base;
	struct kinds_strings commands[KINDS_STEPS];
	const char *command_subdir; /* NULL or "" if none */
	bool notparallel;           /* the variable is set to any text at all, even "False" */
	struct kinds_layout layout;
	struct kinds_layout digest_environment;
};

struct kinds_command_group {
	const char *name;
	struct kinds_strings commands;
};
/* script, and those the peer derives from its script base: x86image, fastboot_*, flatpak_repo, dpkg_deploy */
struct kinds_script {
	struct kinds_element_base base;
	struct kinds_command_group *groups; /* in the order they run */
	uint32_t group_count;
	const char *cwd, *install_root;
	bool root_read_only;
	struct kinds_layout layout; /* empty: all build dependencies at / */
};

struct kinds_compose {
	struct kinds_element_base base;
	bool integrate, include_orphans;
	struct kinds_strings include, exclude; /* as written, not sorted */
};

struct kinds_filter {
	struct kinds_element_base base;
	struct kinds_strings include, exclude;
	bool include_orphans, pass_integration;
	const struct yaml_node *include_node, *exclude_node; /* for the provenance of unknown domains */
};

struct kinds_import {
	struct kinds_element_base base;
	const char *source, *target;
};

/* stack */
struct kinds_stack {
	struct kinds_element_base base;
};

struct kinds_link {
	struct kinds_element_base base;
	const char *target;
	const struct yaml_node *target_node;
};

struct kinds_override {
	const char *path, *target;
	const struct yaml_node *target_node;
};
struct kinds_junction {
	struct kinds_element_base base;
	const char *path;                /* "" if none */
	const struct yaml_node *options; /* mapping or NULL */
	const struct kinds_override *overrides; /* in the order written */
	uint32_t override_count;
	const struct yaml_node *aliases; /* mapping or NULL: the subproject's alias -> ours */
	bool map_aliases_identity;
};

/* ---- kinds of buildstream-plugins-community */

/* bazelize */
struct kinds_bazelize {
	struct kinds_element_base base;
	struct kinds_strings include, exclude;
	bool include_orphans;
};

struct kinds_check_forbidden {
	struct kinds_element_base base;
	struct kinds_strings forbidden;
};

struct kinds_collect_integration {
	struct kinds_element_base base;
	const char *script_path;
	struct kinds_strings ignore; /* names of elements */
};

struct kinds_collect_manifest {
	struct kinds_element_base base;
	const char *path; /* NULL if not given */
	bool spdx, source_provenance; /* of sources' origins: false for plugins before 2.1.0, which know none */
	bool bare;                    /* plugins before 2.3.0: no products beside sources */
	bool has_creators, has_created;
	struct kinds_strings creators;
	int created; /* seconds since 1970 */
	const char *data_license, *doc_namespace, *name; /* NULL if not given */
};

/* collect_initial_scripts: a plugin of freedesktop-sdk's and GNOME's own */
struct kinds_collect_scripts {
	struct kinds_element_base base;
	const char *path;
};

/* script + what dpkg_deploy edits before it runs */
struct kinds_dpkg_deploy {
	struct kinds_script script;
	struct kinds_strings build_commands;
	uint32_t input; /* element the packages are made of */
};

struct kinds_flatpak_image {
	struct kinds_element_base base;
	const char *directory;
	struct kinds_strings include, exclude, component_ids;
	const struct yaml_node *metadata; /* map section -> map key -> text */
	struct kinds_layout layout;       /* "/buildstream/allfiles" where no location is given; not in keys */
};

/* script + the images exported; the commands are those of the groups */
struct kinds_flatpak_repo {
	struct kinds_script script;
	const uint32_t *images;
	uint32_t image_count;
	const struct yaml_node *config;
};

/* oci */
struct kinds_oci {
	struct kinds_element_base base;
	bool docker, gzip;
	const struct yaml_node *images; /* list of maps, all of it checked */
};

struct kinds_ostree_element {
	struct kinds_element_base base;
	const char *branch;
	struct kinds_strings initial_commands;
	struct kinds_layout places; /* "env" and "sysroot" */
};

struct kinds_snap_image {
	struct kinds_element_base base;
	const char *directory;
	struct kinds_strings include, exclude;
	bool include_orphans;
	const struct yaml_node *metadata;
};

struct kinds_tar_element {
	struct kinds_element_base base;
	const char *filename, *compression; /* "none", "gzip", "xz" or "bzip2" */
};

#endif
