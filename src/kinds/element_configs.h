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

#endif
