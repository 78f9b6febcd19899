/* project/project_internal.h: what the files of this room share.
 *
 * Words: a *project* is a loaded project.conf with its elements; a *load element* is a .bst file that was read, before it
 * becomes an element of the graph; a *pass* is one reading of the parts of project.conf that options can change: the
 * first pass serves junctions and links and sees local includes only, the second serves all else (compat 1.5).
 *
 * Functions return 0, or negative with diag set.  PROJECT_STOP (negative too, diag empty) travels up when a junction's
 * sources must be fetched first; project_load turns it into PROJECT_NEEDS.  The next project_load starts over: files
 * once parsed are kept, everything else is made again, so no step needs to know how to go on in the middle.
 *
 * Memory: texts, nodes and most structs live in the graph's arena; growing arrays are on the heap and belong to the
 * loader (loader_own remembers them).
 */
#ifndef PROJECT_PROJECT_INTERNAL_H
#define PROJECT_PROJECT_INTERNAL_H

#include "base/map.h"
#include "cas/cas.h"
#include "kinds/element_configs.h"
#include "kinds/kinds.h"
#include "project/project.h"
#include "yaml/cache.h"
#include "yaml/expr.h"
#include "yaml/vars.h"
#include "yaml/yaml.h"

enum { PROJECT_STOP = -11 };

/* A growing array: ITEMS(type) as a member, items_add for a pointer to a new, uninitialised item at the end. */
#define ITEMS(type) \
	struct { \
		type *at; \
		size_t count, cap; \
	}
#define items_add(items) \
	((items)->at = util_grow((items)->at, &(items)->cap, (items)->count + 1, sizeof(*(items)->at)), \
	 &(items)->at[(items)->count++])

struct loaded_project;
struct load_element;

/* ---- options (options.c) ---- */

enum option_type { OPTION_BOOL, OPTION_ENUM, OPTION_FLAGS, OPTION_ARCH, OPTION_OS, OPTION_ELEMENT_MASK };

struct option {
	enum option_type type;
	const char *name, *variable; /* variable: exported under this name, or NULL */
	struct yaml_option *value;   /* as expressions see it */
	const char *const *allowed;
	uint32_t allowed_count;
};

struct option_pool {
	struct option *options;
	uint32_t count;
	struct yaml_options values; /* in the same order */
};

int options_declare(struct loaded_project *project, struct option_pool *pool, const struct yaml_node *node,
		    struct diag *diag);
/* Values from a mapping (junction's options, user configuration); node may be NULL. */
int options_set_yaml(struct loaded_project *project, struct option_pool *pool, const struct yaml_node *node,
		     struct diag *diag);
int options_set_cli(struct loaded_project *project, struct option_pool *pool, bool ignore_unknown, struct diag *diag);
/* Checks architecture and system, whose defaults come from the machine. */
int options_resolve(struct option_pool *pool, struct diag *diag);
/* As text: bool "1" or "0", flags joined by commas. */
const char *option_text(struct arena *arena, const struct option *option);
/* Canonical name of an architecture (compat 1.3), or NULL. */
const char *arch_canonical(const char *name);
const char *machine_arch(const struct project_request *request, struct diag *diag); /* canonical, or NULL with diag */
const char *machine_system(struct project_loader *load);

/* ---- plugins (plugins.c, pip.c) ---- */

enum plugin_type { PLUGIN_ELEMENT, PLUGIN_SOURCE, PLUGIN_MIRROR, PLUGIN_TYPES };
enum origin_type { ORIGIN_LOCAL, ORIGIN_PIP, ORIGIN_JUNCTION };

struct plugin_entry { /* one kind that an origin provides */
	const char *kind;
	enum origin_type origin;
	const char *from; /* path in the project, requirement of a package, or junction */
	const struct yaml_node *node; /* of the origin */
	bool allow_deprecated;
};

struct plugin_paths {
	const char *directory; /* with <kind>.py; NULL: not declared anywhere */
	const char *defaults;  /* its YAML file, or NULL */
	const char *package;   /* of pip origins: "name version" */
};

int plugins_declare(struct loaded_project *project, const struct yaml_node *config, struct diag *diag);
/* Finds the files of a kind as this project declares it. */
int plugins_paths(struct loaded_project *project, enum plugin_type type, const char *kind, struct plugin_paths *ret,
		  struct diag *diag);
/* Identifies the plugin's Python file.  node: who asked.  *ret stays NULL for core kinds. */
int plugins_identify(struct loaded_project *project, enum plugin_type type, const char *kind,
		     const struct yaml_node *node, struct kinds_plugin **ret, const char **ret_defaults,
		     struct diag *diag);
/* Files of a kind in an installed Python package. */
int pip_find(struct project_loader *load, enum plugin_type type, const struct plugin_entry *entry,
	     struct plugin_paths *ret, struct diag *diag);
const char *plugin_type_name(enum plugin_type type);

/* ---- projects ---- */

struct pass { /* what options can change in project.conf */
	struct option_pool options;
	const struct yaml_node *variables;        /* map; unexpanded */
	const struct yaml_node *element_overrides, *source_overrides; /* map or NULL */
	const struct yaml_node *aliases;          /* map, expanded */
	const struct yaml_node *mirrors;          /* list or NULL, expanded */
	bool user_mirrors;                        /* they come from the user's configuration */
	const char *default_mirror;
};

struct link_path {
	const char *path, *target;
};

/* Where a project's files are read.  visible: names at the top of directory that belong to it, NULL: all (view.c). */
struct project_place {
	const char *directory;
	const char *const *visible;
	uint32_t visible_count;
};

struct search { /* a junction path being looked for, to find circles */
	const char *name;
	const struct yaml_node *node;
};

/* What elements of one kind in one project share. */
struct kind_base {
	const char *kind;
	const struct kinds_element *ops;
	struct kinds_plugin *plugin;
	const struct yaml_node *variables, *environment, *config, *sandbox; /* project and kind, composed */
	const struct yaml_node *splits, *public_data; /* split rules alone, and {bst: {split-rules}} */
	struct yaml_vars_base *vars;
	const char *const *nocache; /* project's and kind's, sorted, each once */
	uint32_t nocache_count;
	/* The last results, because most elements of a kind get the very same nodes */
	const struct yaml_node *env_node;
	const struct graph_pair *env;
	const struct yaml_node *sandbox_node;
	struct graph_sandbox sandbox_value;
};

struct source_base {
	const char *kind;
	const struct kinds_source *ops;
	struct kinds_plugin *plugin;
	const struct yaml_node *config; /* of the project's `sources: KIND`, or NULL */
};

struct loaded_project {
	struct project_loader *load;
	uint32_t id; /* in the graph */
	struct loaded_project *parent;
	struct load_element *junction; /* NULL: top level */
	const struct kinds_junction *junction_config;
	const struct yaml_node *asked_by; /* for errors, or NULL */
	ITEMS(struct loaded_project *) alternative_parents; /* whose junctions were overridden in favour of this one */

	const char *name, *directory, *element_path, *element_path_written;
	struct project_place place;
	const char *resolved; /* directory with symlinks resolved: what project-root is, and what paths may not leave */
	int element_fd;       /* of element_path */
	const struct yaml_node *conf; /* project.conf as parsed */
	struct pass first, second;
	bool fully_loaded;
	bool disallow_uris;
	bool project_refs; /* ref-storage */
	const struct yaml_node *refs, *junction_refs; /* their `projects` map, or NULL */
	ITEMS(const char *) fatal_warnings;
	const struct yaml_node *duplicates, *internal; /* map, list, or NULL */
	const char *const *default_targets;
	uint32_t default_target_count;
	const struct yaml_node *environment, *sandbox, *splits; /* of the second pass */
	const char *const *nocache;
	uint32_t nocache_count;
	const struct yaml_node *provenance_attributes;

	struct strmap plugin_index[PLUGIN_TYPES];
	ITEMS(struct plugin_entry) plugins;

	struct strmap inside;     /* directories that lie in the project whatever symlinks are on the way */
	struct strmap elements;   /* file name -> index in load->elements */
	struct strmap subprojects; /* junction file name -> project id */
	ITEMS(struct search) searches;
	ITEMS(struct link_path) links;
	struct strmap link_index;
	uint32_t link_version;
	struct strmap override_index; /* override paths with links expanded -> index; see link_version */
	uint32_t override_version;

	struct strmap includes[4]; /* processed includes: see includes.c */
	ITEMS(const struct yaml_node *) include_nodes;
	struct strmap kind_index, source_index, first_source_index;
	ITEMS(struct kind_base *) kinds;
	ITEMS(struct source_base *) sources;
	struct project_info info;
};

/* conf.c */
int conf_load(struct loaded_project *project, struct diag *diag); /* first pass */
int conf_ensure_full(struct loaded_project *project, struct diag *diag); /* second pass, parents first */
const struct yaml_node *conf_user_section(const struct loaded_project *project); /* projects.NAME, or NULL */
/* Expands what is referred to, leaving other variables alone even where they could not be resolved. */
int conf_expand(struct project_loader *load, const struct yaml_node *variables, const struct yaml_node *node,
		const struct yaml_node **ret, struct diag *diag);
bool conf_warning_is_fatal(const struct loaded_project *project, const char *token);

/* refs.c */
int refs_load(struct loaded_project *project, const char *base_name, const struct option_pool *options,
	      const struct yaml_node **ret, struct diag *diag);
/* The members to put into a source's configuration, or NULL; *ret_drop: an inline ref does not count. */
const struct yaml_node *refs_lookup(const struct loaded_project *project, bool of_junction, const char *element,
				    uint32_t index, bool *ret_drop);

/* includes.c */
enum { INCLUDE_ONLY_LOCAL = 1, INCLUDE_OPTIONS = 2 };
int includes_process(struct loaded_project *project, const struct yaml_node *node, unsigned flags,
		     const struct yaml_node **ret, struct diag *diag);

/* paths.c */
enum path_kind { PATH_ANY, PATH_FILE, PATH_DIR };
/* get_path_from_node: relative, inside the project, no symlink; 0 or an error at node. */
int path_check(const struct loaded_project *project, const struct yaml_node *node, enum path_kind kind,
	       struct diag *diag);
/* Does this directory, as written, lie inside the project when symlinks are followed?  For many files beside each other. */
bool path_directory_inside(struct loaded_project *project, const char *directory, size_t len);
/* Looks upwards for project.conf or .bstproject.yaml.  *ret_element: the workspace's element, or NULL. */
int path_find_project(struct project_loader *load, const char *start, const char **ret_directory,
		      const char **ret_element, struct diag *diag);
/* Every *.bst below element_path in os.walk's fashion, sorted; skips .bst directories if asked. */
typedef ITEMS(const char *) path_list;
void path_elements(const struct loaded_project *project, bool skip_dot_bst, path_list *ret);
/* All paths below a directory as utils.list_relative_paths yields them. */
void path_relative(struct arena *arena, const char *directory, path_list *ret);
const char *path_join(struct arena *arena, const char *directory, const char *name);
const char *path_normal(struct arena *arena, const char *path);

/* view.c: junctions that are read where their local sources are */
/* May the junction be read in place?  Then *ret is where its project is; path: that of its configuration. */
bool view_of_junction(struct load_element *junction, const char *path, struct project_place *ret);
/* The path of a file or directory of the project; one that does not exist if the project does not see it.  0, or
 * PROJECT_STOP if only a staged copy will do. */
int project_path(struct loaded_project *project, const char *path, const char **ret);
/* Has the project's junction staged: PROJECT_STOP, and the round starts over. */
int view_leave(struct loaded_project *project);
/* URLs with the project's own directory in them want one that is theirs alone: 0 or PROJECT_STOP. */
int view_check_urls(struct loaded_project *project, const struct yaml_node *urls);

/* ---- elements ---- */

struct load_dep {
	struct load_element *element;
	uint8_t type; /* GRAPH_BUILD, GRAPH_RUNTIME */
	bool strict;
	const char *junction, *name; /* junction: NULL if in the same project */
	const char *path;
	const struct yaml_node *node;
	const struct yaml_node **configs;
	uint32_t config_count;
};

struct load_element {
	struct loaded_project *project;
	const char *name, *full_name, *kind;
	const struct yaml_node *node;
	bool first_pass, fully_loaded;
	struct graph_element *early;         /* of junctions and links: configured before the graph knows them */
	const struct yaml_node *early_variables; /* theirs, unexpanded */
	const struct yaml_node *link_target; /* scalar, of kind link */
	struct load_dep *deps;
	uint32_t dep_count;
	uint32_t index; /* in load->elements */
	uint32_t id;    /* in the graph, or GRAPH_NONE */
	/* order.c */
	uint32_t mark, level, low, rank, merge_index;
	uint8_t colour;
	uint32_t body; /* bodies.c: where it is made */
};

/* deps.c */
int deps_extract(struct project_loader *load, const struct yaml_node *element, struct load_dep **ret,
		 uint32_t *ret_count, struct diag *diag);
void deps_merge(struct arena *arena, struct load_dep *into, const struct load_dep *other);

/* targets.c: chooses, loads and orders them, and tells the graph which elements they are. */
int load_targets(struct project_loader *load, struct diag *diag);

/* overrides.c */
struct overriding {
	struct loaded_project *by; /* NULL: nobody overrides this name */
	const struct kinds_override *override;
};
/* A link is known to its own project and, by longer paths, to all above it. */
void links_announce(struct load_element *element);
/* The outermost override wins; the others are told through ret_others (heap, or NULL if not wanted). */
struct overriding overrides_find(struct loaded_project *project, const char *name, struct overriding **ret_others,
				 size_t *ret_count);

/* subprojects.c: the project behind a path of junctions; *ret is NULL if it is not loaded and shall not be. */
int loader_get(struct loaded_project *project, const char *path, const struct yaml_node *asked_by, bool load_subprojects,
	       struct loaded_project **ret, struct diag *diag);

/* loader.c */
enum { LOADER_MOST_LEVELS = 4000 }; /* each is a change of project, so no real project comes near this */
/* An element that was read before, or NULL. */
struct load_element *loader_known(const struct loaded_project *project, const char *name);
/* Reads one file.  only_first_pass: anything but junctions and links is left alone (*ret = NULL). */
int loader_read(struct loaded_project *project, const char *name, const struct yaml_node *asked_by, bool only_first_pass,
		struct load_element **ret, struct diag *diag);
/* "junction:name" into project and normalised name.  *ret_project is NULL if the subproject is not loaded. */
int loader_parse_name(struct loaded_project *project, const char *name, const struct yaml_node *asked_by,
		      bool load_subprojects, struct loaded_project **ret_project, const char **ret_name, struct diag *diag);
int loader_file(struct loaded_project *project, const char *name, const struct yaml_node *asked_by,
		bool load_subprojects, struct load_element **ret, struct diag *diag);
int loader_target(struct loaded_project *top, const char *name, struct load_element **ret, struct diag *diag);
int loader_new_project(struct project_loader *load, const struct project_place *place, struct loaded_project *parent,
		       struct load_element *junction, const struct yaml_node *asked_by, struct loaded_project **ret,
		       struct diag *diag);

/* junctions.c */
int junction_open(struct load_element *junction, const struct yaml_node *asked_by, struct project_place *ret,
		  struct diag *diag);
int junction_check_conflicts(struct project_loader *load, struct diag *diag);

/* digests.c: of local trees and files; ret is set and 0 returned, or a negative number with diag set.  _expect_tree tells
 * of a tree that _tree will be asked for (without mtimes), between _begin and _end; nothing may be forked there. */
struct digests_ahead;
void digests_begin(struct project_loader *load);
void digests_end(struct project_loader *load);
void digests_expect_tree(struct project_loader *load, const char *path);
int digests_tree(struct project_loader *load, const char *path, bool mtimes, struct digest *ret, struct diag *diag);
int digests_file(struct project_loader *load, const char *path, struct digest *ret, struct diag *diag);

/* order.c: circles, the order of dependencies, graph ids */
int order_all(struct project_loader *load, struct load_element **targets, size_t count, struct diag *diag);
/* bodies.c: memory for what elements consist of, used again when their keys are known (project_request.brief).  begin and
 * end: of order_all; between them bodies_arena is where the element that is being made goes, else the graph's arena. */
void bodies_begin(struct project_loader *load);
struct arena *bodies_arena(const struct project_loader *load);
/* An element is about to be made, and has been fed to keys. */
void bodies_open(struct project_loader *load, struct load_element *element);
void bodies_close(struct project_loader *load, struct load_element *element);
void bodies_end(struct project_loader *load);

/* Gives up computing keys beside; before the graph's elements may move. */
void order_stop_keys(struct project_loader *load);

/* element.c, sources.c: from load elements to graph elements */
int element_configure(struct load_element *element, struct diag *diag);
/* Where what it consists of is made: the graph's arena, or see bodies.c. */
struct arena *element_arena(const struct load_element *element);
int element_finish(struct load_element *element, struct diag *diag);
int sources_configure(struct load_element *element, const struct yaml_vars *vars, struct graph_element *graph_element,
		      struct diag *diag);
int sources_keys(struct load_element *element, struct graph_element *graph_element, struct diag *diag);
/* Will every element's keys be strict ones? */
int load_strict_plan(struct project_loader *load, bool *ret, struct diag *diag);
int sandbox_read(struct project_loader *load, const struct yaml_node *node, struct graph_sandbox *ret,
		 struct diag *diag);
int kind_base_get(struct loaded_project *project, const char *kind, const struct yaml_node *asked_by,
		  struct kind_base **ret, struct diag *diag);

/* Whose source is being configured: what kinds hand back to the functions they were lent. */
struct asking {
	struct load_element *element;
	const struct graph_source *source;
	const char *kind;
};
/* urls.c: kinds_host.translate_url */
int url_translate(void *data, uint32_t project_id, const char *url, bool primary, const char **ret, struct diag *diag);

/* remotes.c */
int remote_read(struct arena *arena, const struct yaml_node *node, const char *base, bool remote_execution,
		bool action_cache, struct project_remote *ret, struct diag *diag);
int remotes_read_list(struct arena *arena, const struct yaml_node *list, const char *base,
		      const struct project_remote **ret, uint32_t *ret_count, struct diag *diag);
int remotes_read_section(struct arena *arena, const struct yaml_node *node, struct project_remotes *ret,
			 struct diag *diag);
/* The mapping `remote-execution` of config over what ret has; untouched if there is none.  have_storage: a storage service is
 * configured for all that is cached. */
int remotes_read_execution(struct arena *arena, const struct yaml_node *config, bool have_storage,
			   struct project_execution *ret, struct diag *diag);
/* `~` and $VARIABLES as Python's expanduser and expandvars do. */
const char *expand_user_path(struct arena *arena, const char *path);
const char *expand_environment(struct arena *arena, const char *text);

/* ---- the loader itself (project.c) ---- */

struct parsed_file {
	const char *path;
	const struct yaml_node *root;
};

struct project_loader {
	const struct project_context *context;
	const struct project_request *request;
	struct graph *graph;
	struct arena *arena; /* the graph's */
	struct loaded_project *top;
	const struct yaml_node *defaults; /* the built-in project.conf */
	const char *directory, *workspace_element;
	const struct yaml_node *workspaces; /* of .bst2/workspaces.yml, or NULL */
	const char *host_arch, *host_system;
	int64_t max_jobs;
	struct project_times times;
	uint32_t depth; /* of recursion through junctions and overrides */
	bool again;     /* PROJECT_STOP only means: once more from the start */

	/* kept from round to round */
	struct strmap staged_whole; /* junctions that must not be read in place: see view.c */
	struct yaml_cache *cache; /* of parsed files, or NULL */
	struct strmap file_index;
	ITEMS(struct parsed_file) files;
	ITEMS(const char *) file_paths;

	ITEMS(struct loaded_project *) projects;
	ITEMS(struct load_element *) elements;
	struct load_element **by_id; /* by graph id, on the heap; made when first asked for */
	uint32_t by_id_count;
	ITEMS(struct project_need) needs;
	ITEMS(struct project_warning) warnings;
	struct strmap warned;
	struct strmap full_names; /* of graph elements; filled when first asked for */
	ITEMS(uint32_t) targets;
	ITEMS(uint32_t) except;
	struct arena scratch; /* reset whenever convenient */
	struct arena tables;  /* of variables of the element that is being made */
	unsigned making;      /* elements, one inside the other */
	struct keys *keys;    /* computed while elements are made (order.c), or NULL */
	struct keys_of_element *all_keys;
	uint32_t all_keys_count;
	struct bodies *bodies; /* or NULL: elements are made in the graph's arena */
	struct strmap digest_index; /* of trees and files that several sources name: path -> digests */
	ITEMS(struct digest) digests;
	struct digests_ahead *digests_ahead; /* while elements are made, or NULL */
};

/* Parses path once; name is what errors call it, the junction's name is put before it. */
int load_yaml(struct loaded_project *project, const char *path, int dirfd, const char *at, const char *name,
	      const struct yaml_node **ret, struct diag *diag);
/* Element files that load_yaml will be asked for: parsed ahead where that helps.  A batch ends with load_go. */
void load_soon(struct loaded_project *project, const char *name);
void load_go(struct project_loader *load);
/* The same for text that is part of the program; name is static or in the arena. */
int load_builtin(struct project_loader *load, const char *text, size_t len, const char *name,
		 const struct yaml_node **ret, struct diag *diag);
void load_warn(struct project_loader *load, const char *token, const char *detail, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* The clock if times are wanted, else 0. */
int64_t load_now(const struct project_loader *load);
/* A warning that the project may have declared fatal: then an error of domain "plugin" with the token as reason. */
int load_warn_token(struct loaded_project *project, const char *token, struct diag *diag, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* Prepends "where: " of node to an error that is set, keeping its reason. */
void load_wrap(struct diag *diag, const struct yaml_node *node);
/* What keys need of projects goes into the graph: name and fatal warnings. */
void load_publish_names(struct project_loader *load);

#endif
