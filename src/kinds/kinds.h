/* kinds/kinds.h: the pure half of every element and source kind.
 *
 * A kind is what `kind:` in a .bst file names.  Here stands what loading needs of it: which configuration it accepts,
 * what it makes of it (a struct of kinds/element_configs.h or kinds/source_configs.h, read later by the acting halves
 * in rooms elements and sources) and its share of the cache key.  Nothing here runs commands, opens network
 * connections or knows where plugins come from; what a kind must ask of the outside while it is configured (a
 * translated URL, the digest of a tree in the project) it asks through struct kinds_host.
 *
 * Runs in the parent while loading.  The tables are constant; the functions may run in several threads at once if each
 * has its own arena, diag and graph part.
 *
 * The loader's order for one element is that of BuildStream 2 (element.py _new_from_load_element):
 *   kinds_configure_element   once name, variables and environment are in the graph
 *   kinds_configure_source    for each source in order, the ref from project.refs already put into its mapping
 *   kinds_finish_element      once deps with their expanded config blocks are in the graph and the elements they
 *                             name have been finished
 *   kinds_source_key          when keys are wanted: reads the files that local, patch, ... hash
 */
#ifndef KINDS_KINDS_H
#define KINDS_KINDS_H

#include "base/diag.h"
#include "graph/graph.h"

struct yaml_node;
struct yaml_entry;

/* ---- what kinds ask of the world */

enum kinds_path { KINDS_PATH_ANY, KINDS_PATH_FILE, KINDS_PATH_DIR };

/* Functions the loader lends; data is handed back to them.  Each returns 0, or < 0 with diag set.  Texts returned
 * live at least as long as the arena of the context. */
struct kinds_host {
	void *data;
	/* The URL with its alias replaced, as the project (and its parents' mappings) say; no mirrors.  Warns or fails
	 * about unaliased, unknown or unreachable aliases as the peer's mark_download_url does.  primary is false for
	 * further URLs of one source (submodules).  NULL: URLs stay as they are. */
	int (*translate_url)(void *data, uint32_t project, const char *url, bool primary, const char **ret,
			     struct diag *diag);
	/* Digest of the REAPI Directory of path (absolute), a directory or one file that then stands alone in a
	 * directory; mtimes: with the modification times an open workspace's key has (compat: tree digests in keys).
	 * May answer from a stat cache. */
	int (*tree_digest)(void *data, const char *path, bool mtimes, struct digest *ret, struct diag *diag);
	/* SHA-256 and size of one regular file; may answer from a stat cache. */
	int (*file_digest)(void *data, const char *path, struct digest *ret, struct diag *diag);
	/* Does a directory (absolute, len bytes) lie inside the source's project when symlinks are followed?  May remember
	 * its answers.  NULL: every path is followed anew. */
	bool (*directory_inside)(void *data, const char *directory, size_t len);
	/* The absolute path of one that is relative to the source's project; negative to stop.  NULL: below
	 * project_directory. */
	int (*project_path)(void *data, const char *path, const char **ret);
};

struct kinds_plugin;

/* What a call works on.  The caller fills it; nothing in it changes during a call but diag and what is allocated. */
struct kinds_context {
	struct arena *arena;             /* where configurations go; lives as long as the graph */
	struct diag *diag;
	const struct graph *graph;
	const struct kinds_host *host;
	uint32_t project;                /* project of the element */
	const struct kinds_plugin *plugin; /* the plugin's files, NULL for core kinds */
	const char *project_directory;   /* absolute; for paths of local, patch, ... */
};

/* ---- plugins: which files provide a kind, and what they make it do */

enum kinds_plugin_state {
	KINDS_PLUGIN_KNOWN,   /* the digest of the Python file is in our table */
	KINDS_PLUGIN_STABLE,  /* it is not, but the kind has been the same over all versions we know: warn once */
	KINDS_PLUGIN_UNSTABLE /* it is not, and versions differ: an error, naming plugin and file */
};

/* A plugin as the loader found it at its origin. */
struct kinds_plugin {
	const char *kind;        /* name in keys: the Python module's file name */
	const char *package;     /* "buildstream-plugins-community 2.3.1" if known, else NULL */
	enum kinds_plugin_state state;
	uint32_t behaviour;      /* version of the kind's rules, from the table; 0 is the newest known */
	int64_t artifact_version; /* BST_ARTIFACT_VERSION read from the file, -1 if it sets none */
	const char *deprecated;  /* BST_PLUGIN_DEPRECATED is True: its BST_PLUGIN_DEPRECATION_MESSAGE, or ""; else NULL */
	const char *default_url; /* literal of the file that ends up in keys (cargo, cargo2, pip, docker), or NULL */
	bool old_helper;         /* its helper module has no ecosystems yet: kinds_plugin_helper */
};
/* Looks at the text of a plugin's .py file.  Never fails: an unknown file is a state.  Texts go to arena. */
void kinds_plugin_identify(struct kinds_plugin *ret, struct arena *arena, bool is_source, const char *kind,
			   const char *py_text, size_t py_len);
/* A module in the plugin's directory that decides what its sources tell ("_utils"), where the plugin's own file does not
 * say which release it is of; else NULL.  Its text, if there is such a file, belongs into kinds_plugin_helper_read. */
const char *kinds_plugin_helper(const struct kinds_plugin *plugin);
void kinds_plugin_helper_read(struct kinds_plugin *plugin, const char *py_text, size_t py_len);

/* ---- element kinds */

enum kinds_element_flags {
	KINDS_STRICT_REBUILD = 1,   /* dependencies' weak keys are part of the weak key */
	KINDS_NO_COMMANDS = 2,      /* never runs a sandboxed command; compose decides per element: kinds_runs_commands */
	KINDS_FORBID_SOURCES = 4,
	KINDS_FORBID_BDEPENDS = 8,
	KINDS_FORBID_RDEPENDS = 16,
	KINDS_DEP_CONFIG = 32,      /* dependencies may carry `config` */
	KINDS_FIRST_PASS = 64,      /* junction, link: loaded with the first-pass configuration, no includes */
	KINDS_NO_ARTIFACT = 128,    /* stack: nothing of its own to filter */
	KINDS_CORE = 256,           /* comes with the core; default YAML from kinds_core_yaml */
	KINDS_UNSTABLE = 512,       /* versions of the plugin differ in ways that reach keys */
};

struct kinds_element_work; /* room-internal half of the table */

struct kinds_element {
	const char *name;
	unsigned flags;            /* enum kinds_element_flags */
	uint32_t artifact_version; /* BST_ARTIFACT_VERSION of the newest known plugin */
	const char *package;       /* who provides it: "buildstream-plugins-community"; NULL for core */
	const struct kinds_element_work *work; /* private */
	unsigned variant;                      /* private: which of a family sharing one work table */
};

/* First member of every element configuration. */
struct kinds_element_base {
	uint32_t artifact_version; /* in keys as element-plugin-version */
	bool runs_commands;        /* BST_RUN_COMMANDS of this very element */
};

/* NULL if there is no such kind.  kind is the plugin's module name. */
const struct kinds_element *kinds_find_element(const char *kind);
/* All kinds in a row, for completions and inspect; stops at name == NULL. */
const struct kinds_element *kinds_all_elements(void);

/* Makes element->config from its composed and expanded `config` mapping (its text must live as long as the graph).
 * element->ops is set, and may be changed to that of the plugin's version; variables are read.  element must be one of
 * ctx->graph->elements. */
int kinds_configure_element(const struct kinds_context *ctx, struct graph_element *element,
			    const struct yaml_node *config);
/* Dependency configuration, then the checks the peer calls preflight: forbidden dependencies or sources, what the
 * kind itself demands, a first source that needs previous ones. */
int kinds_finish_element(const struct kinds_context *ctx, struct graph_element *element);
/* Adds the kind's unique key as JSON text.  Only after kinds_finish_element. */
void kinds_element_key(const struct graph_element *element, struct buf *out);
/* BST_RUN_COMMANDS: whether environment and sandbox are part of the key. */
bool kinds_runs_commands(const struct graph_element *element);
/* Is its configuration a struct kinds_build (manual, make, ...)? */
bool kinds_is_build(const struct graph_element *element);
/* BST_ARTIFACT_VERSION of this element's plugin. */
uint32_t kinds_artifact_version(const struct graph_element *element);

/* ---- source kinds */

enum kinds_source_flags {
	KINDS_NEVER_REF = 1,     /* resolved without a ref: local, workspace, patch, patch_queue, quilt */
	KINDS_PREVIOUS_TRACK = 2, /* needs the previous sources staged for tracking */
	KINDS_PREVIOUS_FETCH = 4, /* ... for fetching */
	KINDS_PREVIOUS_STAGE = 8, /* ... is staged onto them */
	KINDS_SOURCE_CORE = 16,
	KINDS_SOURCE_UNSTABLE = 32,
	KINDS_NO_TRACK = 64,     /* track() does nothing */
	KINDS_HASHES_FILES = 128 /* the key depends on files of the project: kinds_source_key reads them */
};

struct kinds_source_work;

struct kinds_source {
	const char *name;
	unsigned flags;           /* enum kinds_source_flags */
	const char *package;
	const char *const *ref_keys; /* members that hold the ref ("ref", or "sha256sum" + "suffix"), NULL-terminated;
				      * dropped and replaced when refs come from project.refs */
	const struct kinds_source_work *work; /* private */
	unsigned variant;
};

const struct kinds_source *kinds_find_source(const char *kind);
const struct kinds_source *kinds_all_sources(void);

/* Makes source->config and has_ref from its expanded mapping (without kind, directory, provenance).  key_json stays
 * NULL. */
int kinds_configure_source(const struct kinds_context *ctx, struct graph_source *source,
			   const struct yaml_node *config);
/* Fills key_json (in ctx->arena), if there is a ref; reads files where the key depends on some. */
int kinds_source_key(const struct kinds_context *ctx, struct graph_source *source);
/* The one source of an element with an open workspace, in the place of its own: path is absolute. */
int kinds_workspace_source(const struct kinds_context *ctx, struct graph_source *source, const char *path);
/* Adds template to ret with each "{name}" replaced by what part says (len bytes of name; *ret_len of the result; NULL: there is no
 * such part), and doubled braces by single ones: Python's str.format, as far as URLs of releases use it.  0; -EINVAL for a brace
 * without its partner; -ENOENT for a part that there is not, whose name is *unknown. */
typedef const char *kinds_part_fn(const void *data, const char *name, size_t len, size_t *ret_len);
int kinds_render(const char *template, kinds_part_fn *part, const void *data, struct buf *ret, const char **unknown,
		 size_t *unknown_len);
/* For a source of kind local or workspace: absolute path (junctions use it in place); NULL for all others. */
const char *kinds_local_path(const struct graph_source *source);

/* What a source can tell about where its files come from (the peer's SourceInfo): one for each thing it fetches.  Texts live
 * as long as the graph, or in the arena. */
struct kinds_source_info {
	const char *url;          /* translated; path of a local source */
	const char *medium;       /* "remote-file", "local", "workspace", "git", "bzr", "oci-image", "pypi" */
	const char *version_type; /* "sha256", "cas-digest", "commit", "oci-digest", "indexed-version" */
	const char *version;      /* NULL without a ref */
	const char *version_guess; /* for people, mostly read out of the URL; NULL if there is none */
	const struct yaml_node *provenance; /* what people wrote about it: a map of texts, or NULL */
	const struct graph_pair *extra;     /* the kind's own facts, in the plugin's order; value NULL: Python's None */
	uint32_t extra_count;
};
/* Fills *ret with an array in the arena and returns its length; 0: this kind, or this release of its plugin, tells nothing. */
uint32_t kinds_source_infos(struct arena *arena, const struct graph_source *source, const struct kinds_source_info **ret);

/* The same in the words that plugins had for flatpak-builder's manifests before there was SourceInfo ("export_manifest"), and
 * that collect_manifest has for kinds that never had any: a list of maps.  Empty: nothing to tell. */
const struct yaml_node *kinds_source_manifest(struct arena *arena, const struct graph_source *source);
/* What collect_manifest searches for a version, in order: names of files and git refs.  An array in the arena and its length. */
uint32_t kinds_source_names(struct arena *arena, const struct graph_source *source, const char *const **ret);
/* The groups that pattern captures in text, joined by dots; of several matches the first of those with most groups; without
 * groups the whole match.  pattern: a Python regular expression (base/pattern.h), or NULL for numbers joined by dots.  NULL
 * if nothing matches, or if the pattern is not understood. */
const char *kinds_guess_version(struct arena *arena, const char *text, const char *pattern);
/* The same for the first match in text, whatever comes behind.  pattern: NULL for two or three numbers joined by dots. */
const char *kinds_first_version(struct arena *arena, const char *text, const char *pattern);

/* ---- YAML as it stands in keys */

/* Adds a tree as JSON: scalars as strings, members sorted by name. */
void kinds_json_node(struct buf *out, const struct yaml_node *node);
/* Fills sorted (room for map->count pointers) with the map's entries in the order of their names' bytes. */
void kinds_sorted_entries(const struct yaml_node *map, const struct yaml_entry **sorted);

/* ---- default configuration that comes with the core */

/* YAML text of a core kind's defaults ("manual", "script", ...), NULL if it has none. */
const char *kinds_core_yaml(const char *kind, size_t *ret_len);
/* YAML text of the built-in project.conf defaults. */
const char *kinds_project_yaml(size_t *ret_len);

#endif
