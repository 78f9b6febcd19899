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

#endif
