/* elements/elements_internal.h: what the files of this room share. */
#ifndef ELEMENTS_ELEMENTS_INTERNAL_H
#define ELEMENTS_ELEMENTS_INTERNAL_H

#include <assert.h>

#include "base/buf.h"
#include "elements/elements.h"
#include "kinds/element_configs.h"

/* ---- overlaps.c: who staged what over whom, as the peer's OverlapCollector tells it ---- */
struct overlaps;

struct overlaps *overlaps_new(const struct elements_job *job);
void overlaps_free(struct overlaps *overlaps);
void overlaps_begin(struct overlaps *overlaps, const char *location);
/* A stamp for what dep stages from now on in this session. */
uint32_t overlaps_stamp(struct overlaps *overlaps, const struct elements_dep *dep);
void overlaps_event(struct overlaps *overlaps, uint32_t stamp, enum cas_event event, const char *path,
		    uint32_t previous);
/* Issues the session's warnings; <0 with diag where the project calls them fatal. */
int overlaps_end(struct overlaps *overlaps, struct diag *diag);

/* ---- one build ---- */
struct build;

/* The acting half of a kind.  Results as for elements_build; assemble sets *collect (NULL: nothing) and returns
 * ELEMENTS_FAILED with diag for failures that are to be cached. */
struct elements_kind {
	const char *name;
	/* marked directories, environment, working directory; may be NULL */
	int (*configure)(struct build *build, struct diag *diag);
	int (*stage)(struct build *build, struct diag *diag); /* may be NULL */
	int (*assemble)(struct build *build, const char **collect, struct diag *diag);
};
extern const struct elements_kind elements_manual, elements_script, elements_import, elements_stack, elements_compose,
	elements_bazelize, elements_filter, elements_image, elements_collect_integration, elements_collect_scripts,
	elements_check_forbidden, elements_collect_manifest, elements_dpkg_build, elements_dpkg_deploy,
	 elements_flatpak_image, elements_oci, elements_ostree, elements_snap_image,
	elements_tar;

struct build {
	const struct elements_job *job;
	const struct graph_element *element;
	struct elements_result *result;
	const struct elements_kind *kind;
	struct sandbox *sandbox;
	struct cas_tree *tree;               /* the sandbox's */
	struct overlaps *overlaps;
	struct graph_walk walk;
	const struct elements_dep **by_id;   /* job->deps sorted by element */
	/* set by configure */
	const char *marked[2];
	uint32_t marked_count;
	const char *cwd;                     /* NULL: "/" */
	const struct graph_pair *environment;
	uint32_t environment_count;          /* 0: none configured */
	const char *failed_collect;          /* what is collected from a failed batch, or NULL */
};

/* Activities: START now, SUCCESS or FAILURE (r < 0 or r == ELEMENTS_FAILED) at the end. */
struct activity {
	const char *brief;
	bool keyless;
	int64_t start_us;
};
struct activity build_begin(struct build *build, const char *brief, const char *detail);
int build_end(struct build *build, const struct activity *activity, int r); /* returns r */
void build_message(const struct elements_job *job, enum elements_message type, uint32_t element, const char *brief,
		   const char *detail);

/* A warning of the job's element that begins with its token ("overlaps", "KIND:TOKEN"); <0 with diag where its project calls
 * it fatal.  detail may be NULL. */
int build_warn(const struct elements_job *job, const char *token, const char *text, const char *detail,
	       struct diag *diag);

/* Elements of a selection with their runtime dependencies, in staging order; valid until the next call. */
const struct elements_dep **build_select(struct build *build, const struct kinds_layout_item *items, uint32_t count,
					 uint32_t *ret_count);
const struct elements_dep **build_all(struct build *build); /* job->dep_count of them */
/* Stages artifacts into tree at location within one session of warnings. */
int stage_artifacts(const struct elements_job *job, struct overlaps *overlaps, struct cas_tree *tree,
		    const struct elements_dep *const *deps, uint32_t count, const char *location, struct diag *diag);
/* The same, only what split rules select; part NULL: everything. */
struct part {
	struct kinds_strings include, exclude;
	bool orphans;
};
int stage_parts(const struct elements_job *job, struct overlaps *overlaps, struct cas_tree *tree,
		const struct elements_dep *const *deps, uint32_t count, const char *location, const struct part *part,
		struct diag *diag);
/* Puts a file with this text at path of the build's tree, parents made. */
int build_put_text(struct build *build, const char *path, const char *text, size_t len, bool executable);
/* All places of a layout in order (an activity each), then integration of what is at "/" as one batch. */
int build_stage_layout(struct build *build, const struct kinds_layout *layout, struct diag *diag);
/* Integration commands of deps into the batch. */
int integrate(const struct elements_job *job, struct sandbox_batch *batch, const struct elements_dep *const *deps,
	      uint32_t count, struct diag *diag);
/* Runs a batch: 0, ELEMENTS_FAILED with diag, or <0.  Releases the batch. */
int build_run(struct build *build, struct sandbox_batch *batch, struct diag *diag);
/* argv {"sh", "-c", "-e", command + newline} in the configured environment and directory. */
void build_command(struct build *build, struct sandbox_batch *batch, const char *command);
/* What stands where sources are staged; says so if it is not the sources. */
const struct digest *build_sources(struct build *build);
/* The peer's run_cleanup_commands. */
void build_clean(struct build *build, struct sandbox_batch *batch);

/* The text of the regular file at path, its line ends as Python's text mode has them.  -ENOENT. */
int build_get_text(struct build *build, const char *path, struct buf *ret);

/* Pieces of the manual family and of scripts, for kinds that change what they run. */
int manual_configure(struct build *build, struct diag *diag);
int manual_stage(struct build *build, struct diag *diag);
int manual_run(struct build *build, const struct kinds_strings commands[KINDS_STEPS], bool clean, struct diag *diag);
int script_configure_image(struct build *build, struct diag *diag);
int script_stage(struct build *build, struct diag *diag);
int script_run(struct build *build, const struct kinds_command_group *groups, uint32_t count, const char **collect,
	       struct diag *diag);

const struct yaml_node *dep_public(const struct elements_job *job, const struct elements_dep *dep);
/* Strings of public data "bst" of a dependency; 0 with *ret_count 0 if there are none. */
int bst_strings(const struct elements_job *job, const struct yaml_node *public_data, const char *key,
		const char *const **ret, uint32_t *ret_count, struct diag *diag);
/* For an error of the job that has no message yet. */
int build_error(struct diag *diag, int r, const char *what);

#endif
