/* kinds/source_configs.h: what source kinds make of their configuration.
 *
 * Written by room kinds while loading, in the graph's arena; read by room sources in workers.  Every struct starts
 * with struct kinds_source_base.
 */
#ifndef KINDS_SOURCE_CONFIGS_H
#define KINDS_SOURCE_CONFIGS_H

#include "kinds/element_configs.h"

struct kinds_source_base {
	const struct kinds_plugin *plugin; /* NULL for core kinds */
};

/* local */
struct kinds_local {
	struct kinds_source_base base;
	const char *path;     /* as written, relative to the project */
	const char *fullpath; /* absolute */
	struct digest digest; /* of the tree; size -1 until kinds_source_key was called */
};

/* workspace: what an element with an open workspace has instead of its sources */
struct kinds_workspace {
	struct kinds_source_base base;
	const char *path; /* absolute */
	struct digest digest;
};

/* Members every kind that downloads one file has (remote, tar, zip, deb) */
struct kinds_download {
	struct kinds_source_base base;
	const char *original_url; /* as written, alias and all: in keys, and names the mirror directory */
	const char *url;          /* translated */
	const char *ref;          /* SHA-256 of the file in hex, NULL if not tracked yet */
	const char *version, *version_guess_pattern; /* NULL if not given */
};

struct kinds_remote {
	struct kinds_download download;
	const char *filename;
	bool executable;
};

/* tar, zip, deb */
struct kinds_tar {
	struct kinds_download download;
	const char *base_dir; /* glob, "*" by default, "" for the archive's own root */
};

/* ---- kinds of buildstream-plugins and buildstream-plugins-community */

struct kinds_version { /* what sources report as their version; in keys if given */
	const char *version, *guess_pattern; /* NULL if not given */
};

struct kinds_git_tag { /* a tag that git's tracking recorded */
	const char *tag, *commit;
	bool annotated;
};
struct kinds_submodule {
	const char *path;
	const char *url;            /* as written; NULL: the repository's own */
	bool has_checkout, checkout; /* overrides checkout_submodules */
};

enum kinds_git_variant { KINDS_GIT, KINDS_GIT_TAG, KINDS_GIT_MODULE, KINDS_GIT_REPO };

/* git, git_tag, git_module, git_repo; what a variant does not know stays unset */
struct kinds_git {
	struct kinds_source_base base;
	enum kinds_git_variant variant;
	const char *original_url, *url; /* as written; translated */
	const char *ref;                /* SHA-1, or git-describe text that ends in -gSHA-1; NULL */
	const char *track;              /* NULL if not given */
	const char *path;               /* git_module: where the parent has it; "" if none */
	bool ref_is_describe;           /* ref-format: git-describe */
	bool checkout_submodules, track_tags, full_clone, use_lfs;
	bool says_lfs;                  /* use-lfs is given at all */
	struct kinds_git_tag *tags;
	uint32_t tag_count;
	struct kinds_submodule *submodules; /* sorted by path */
	uint32_t submodule_count;
	struct kinds_strings track_extra, match, exclude;
	struct kinds_version version;
};

struct kinds_go_module {
	struct kinds_source_base base;
	const char *original_url, *url, *module;
	bool has_ref, has_explicit, explicit_value;
	bool bugfix;          /* the number in the key: 1, or 0 before 2.2.0 */
	bool explicit_in_key; /* plugins up to 2.3.x: a required boolean; later: null if given at all */
	const char *go_version, *git_ref, *subdirectory; /* of the ref; subdirectory may be NULL */
};

struct kinds_crate {
	bool is_git;
	const char *name, *version;
	const char *sha;                  /* registry; NULL if not known yet */
	const char *repo, *commit;        /* git */
	const char *repo_url;             /* repo translated */
	const char *mirror, *mirror_url;  /* where it is fetched from: repo as git-mirrors changes it; that translated */
	const struct yaml_node *provenance; /* what people wrote about it: map or NULL */
	const struct yaml_node *query;    /* git: map or NULL */
};
/* cargo, cargo2 */
struct kinds_cargo {
	struct kinds_source_base base;
	bool second;               /* cargo2 */
	char key_letter;           /* cargo2: changed by its authors when the same key must give something else */
	const char *original_url;  /* as written, or the plugin's default: in keys */
	const char *base_url;      /* the same, ending in "/" or ":" */
	const char *url;           /* base_url translated */
	const char *cargo_lock, *vendor_dir;
	const struct yaml_node *git_mirrors; /* cargo2: map or NULL */
	struct kinds_crate *crates;
	uint32_t crate_count;
};

/* cpan, pypi, gnu: a file of an index */
struct kinds_index_file {
	struct kinds_source_base base;
	const char *name;
	const char *base_url, *url;      /* index or mirror, as written or default; translated */
	const char *suffix, *sha256sum;  /* the ref; NULL if there is none */
	const char *dirname;             /* gnu */
	bool prereleases, tracks;
	struct kinds_strings include, exclude;
	struct kinds_version version;
};

struct kinds_anitya {
	struct kinds_source_base base;
	int project_id;
	const char *api_url;
	const char *url_template, *prefix_url; /* as written; what stands before the first "{", translated */
	const char *release, *sha256sum;       /* the ref; NULL if there is none */
	const char *rendered;                  /* KDE's: url_template with the release in it, NULL without ref; else NULL */
	struct kinds_strings exclude;
};

struct kinds_docker {
	struct kinds_source_base base;
	const char *original_url;          /* `url` as written, or NULL */
	const char *original_registry_url; /* as written or the plugin's default; NULL with `url` */
	const char *url;                   /* whichever it is, translated */
	const char *image, *tag, *architecture, *os; /* NULL if not given */
	const char *ref;                   /* SHA-256 in hex, without "sha256:" */
	const char *version;
};

struct kinds_patch {
	struct kinds_source_base base;
	const char *path, *fullpath;
	int strip_level;
	struct digest digest; /* of the file; size -1 until kinds_source_key was called */
};

struct kinds_patch_queue {
	struct kinds_source_base base;
	const char *path, *fullpath;
	const char *const *names; /* files of the directory, sorted; set by kinds_source_key */
	struct digest *digests;
	uint32_t count;
};

struct kinds_quilt {
	struct kinds_source_base base;
	const char *path; /* "" if not given */
};

struct kinds_pip {
	struct kinds_source_base base;
	const char *original_url, *url; /* index, as written or the plugin's default; translated */
	const char *ref;
	struct kinds_strings packages, requirements_files;
};

struct kinds_bazel_file {
	struct kinds_source_base base;
	const char *original_url, *url, *ref;
	struct kinds_strings canonical_ids;
	struct kinds_version version;
};

struct kinds_bazel_source {
	struct kinds_source_base base;
	bool allow_host_bazel;
	const char *repo_file, *workspace_dir, *ref;
	struct kinds_strings targets;
};

/* gen_cargo_lock */
struct kinds_gen_cargo_lock {
	struct kinds_source_base base;
	const char *ref;
};

struct kinds_bzr {
	struct kinds_source_base base;
	const char *original_url, *url, *track, *ref, *version;
};

struct kinds_ostree_source {
	struct kinds_source_base base;
	const char *original_url, *url, *ref, *track;
	const char *gpg_key, *gpg_key_path; /* NULL if not given */
};

#endif
