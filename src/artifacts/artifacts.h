/* artifacts/artifacts.h: what a build leaves behind, and the names it is found by.
 *
 * An artifact is a small record (BuildStream 2's buildstream.v2.Artifact message, _protos/buildstream/v2/artifact.proto)
 * that names a tree, three metadata blobs and logs in the CAS.  It is a file under two names, same bytes:
 *
 *     <cachedir>/artifacts/refs/<project>/<normal name>/<strong key>
 *     <cachedir>/artifacts/refs/<project>/<normal name>/<weak key>
 *
 * Source records (buildstream.v2.Source: version = 1, files = 2) name the tree of one staged source or of all sources
 * of an element:
 *
 *     <cachedir>/source_protos/<kind>/<source key>      <cachedir>/elementsources/<element sources key>
 *
 * Records are written through a temporary file and rename, touched when used (their mtime is the peer's expiry clock), and
 * what is read is bounded and validated; a damaged record is removed and counts as absent, so that the next run works.
 * Any process.  int results: <0 -errno; "absent" is -ENOENT.
 */
#ifndef ARTIFACTS_ARTIFACTS_H
#define ARTIFACTS_ARTIFACTS_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/digest.h"
#include "cas/cas.h"
#include "graph/graph.h"

enum { ARTIFACT_PROTO_MAX = 64 << 20, ARTIFACT_VERSION = 2 };

struct artifact_dep { /* build_deps, field 9 */
	const char *project, *element; /* element with ".bst", no junction */
	const char *key;               /* strong key, 64 hex digits */
	bool was_workspaced;
};

struct artifact_log { /* logs, field 11 */
	const char *name; /* base name of the log file */
	struct digest digest;
};

/* Digests with has_x false are absent.  Texts are never NULL after decode ("" if absent) and may be NULL for encode. */
struct artifact {
	int32_t version;
	bool build_success;
	const char *build_error, *build_error_details;
	const char *strong_key, *weak_key, *strict_key; /* hex */
	bool was_workspaced;
	bool has_files, has_public_data, has_buildtree, has_sources, has_low_meta, has_high_meta, has_buildroot;
	struct digest files, public_data, buildtree, sources, low_meta, high_meta, buildroot;
	struct artifact_dep *deps;
	uint32_t dep_count;
	struct artifact_log *logs;
	uint32_t log_count;
	bool has_sandbox; /* buildsandbox, field 18 */
	struct graph_pair *environment; /* sorted by name */
	uint32_t environment_count;
	const char *working_directory;
	struct digest *subsandboxes;
	uint32_t subsandbox_count;
	const char **marked_directories;
	uint32_t marked_directory_count;
};

/* Wire format; fields in number order as the peer's protobuf library writes them, so equal records are equal bytes.
 * decode: memory in arena; -EBADMSG for broken bytes. */
void artifact_encode(const struct artifact *artifact, struct buf *out);
int artifact_decode(struct artifact *ret, struct arena *arena, const void *bytes, size_t len);

/* "<project>/<normal name>/<key hex>": what the command line shows and takes; also the path below artifacts/refs.
 * normal: see graph_normal_name.  Characters of it outside [A-Za-z0-9-._] become '_'. */
void artifact_name(struct buf *ret, const char *project, const char *normal, const char *key_hex);

/* Reads the record of this name (see artifact_name).  -ENOENT if absent or damaged.  Touches it. bytes (may be NULL) gets
 * the message as stored. */
int artifact_read(struct artifact *ret, struct arena *arena, struct cas *cas, const char *name, struct buf *bytes);
#ifdef JOBS_NO_LOOKUP
/* Test builds (-Dno_lookup=true) only: while set, artifact_read aborts.  Jobs run under it: what earlier jobs made reaches
 * them through the pipeline's state or not at all. */
extern bool artifact_lookup_forbidden;
#endif
/* Is it cached by the peer's rule: record there, and the files tree, the metadata and the logs it names in the CAS?
 * 1 and ret filled, or 0 (then ret is not to be used). */
int artifact_cached(struct artifact *ret, struct arena *arena, struct cas *cas, const char *name);
/* Are all blobs of its optional parts (buildtree, sources, buildroot) that it names there too? */
enum artifact_part { ARTIFACT_BUILDTREE, ARTIFACT_SOURCES, ARTIFACT_BUILDROOT };
bool artifact_has_part(const struct artifact *artifact, struct cas *cas, enum artifact_part part);
/* Writes the record under its strong and its weak key (once if they are equal).  After a pull (all_keys) under the strict
 * key too. */
int artifact_write(const struct artifact *artifact, struct cas *cas, const char *project, const char *normal,
		   bool all_keys, struct diag *diag);
/* Removes one name, and directories that are empty then; -ENOENT if it was not there. */
int artifact_remove(struct cas *cas, const char *name);
/* Calls visit with each name matching the glob (the peer's fnmatch-like language over the whole name; NULL: all), sorted
 * by name; stops at non-zero. mtime_s: last use. */
int artifact_list(struct cas *cas, const char *glob, int (*visit)(void *data, const char *name, int64_t mtime_s),
		  void *data);

/* ---- metadata blobs: YAML as the peer loads it ---- */

/* Stores the low diversity blob {environment, sandbox-config} of an element. */
int artifact_put_low_meta(struct cas *cas, const struct graph_pair *environment, uint32_t count,
			  const struct graph_sandbox *sandbox, struct digest *ret);
/* Stores the high diversity blob {variables}. */
int artifact_put_high_meta(struct cas *cas, const struct graph_pair *variables, uint32_t count, struct digest *ret);
/* Stores public data given as a YAML tree (a mapping). */
int artifact_put_public(struct cas *cas, const struct yaml_node *data, struct digest *ret);
/* Reads them back; memory in arena.  -ENOENT missing, -EBADMSG not what they should be. */
int artifact_get_public(struct cas *cas, const struct artifact *artifact, struct arena *arena,
			const struct yaml_node **ret, struct diag *diag);
int artifact_get_environment(struct cas *cas, const struct artifact *artifact, struct arena *arena,
			     const struct graph_pair **ret, uint32_t *count, struct diag *diag);
int artifact_get_variables(struct cas *cas, const struct artifact *artifact, struct arena *arena,
			   const struct graph_pair **ret, uint32_t *count, struct diag *diag);
int artifact_get_sandbox(struct cas *cas, const struct artifact *artifact, struct arena *arena,
			 struct graph_sandbox *ret, struct diag *diag);

/* ---- source records ---- */

/* kind NULL: elementsources/<key>; else source_protos/<kind>/<key>. ret: the tree's digest.  read returns -ENOENT if the
 * record is absent or damaged; it does not look whether the tree is there (cas_has_tree). */
int source_record_read(struct cas *cas, const char *kind, const struct key *key, struct digest *ret);
int source_record_write(struct cas *cas, const char *kind, const struct key *key, const struct digest *files,
			struct diag *diag);
/* The record of the sources of an element whose only source is the one just recorded under kind and source_key: the same
 * bytes. */
int source_record_write_only(struct cas *cas, const struct key *key, const char *kind, const struct key *source_key,
			     const struct digest *files, struct diag *diag);
void source_encode(const struct digest *files, struct buf *out);
int source_decode(struct digest *files, const void *bytes, size_t len);

/* For cas_session_begin, data the cas: false for a record that does not decode, or names what is not there (any more). */
bool artifact_check_ref(void *data, const char *path, const char *bytes, size_t len);

#endif
