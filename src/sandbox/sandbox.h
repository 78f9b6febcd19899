/* sandbox/sandbox.h: run commands in a root file system made of stored trees, and take home what they changed.
 *
 * A sandbox is a tree (struct cas_tree: REAPI directories, nothing on disk) that its owner fills, and batches of commands
 * that are run in it one after the other.  For a batch the tree becomes a real file system, bubblewrap runs the commands
 * in it, and what they changed is captured back into the tree.  What a command can see (mounts, environment, ids, modes,
 * times) is what BuildStream 2's buildbox-run shows it (compat: sandbox, running commands, metadata normalisation).
 *
 * How the tree becomes a file system:
 *  - overlay (the rule): one or two read-only layers, <cachedir>/millrace/layers/<digest>, made once from stored trees and
 *    shared by all sandboxes, below a writable layer of this batch alone.  Files of the writable layer that the tree has
 *    beyond its layers (sources; what integration commands changed) are written there before the batch starts, so the
 *    batch always starts in a normalised state: modes 0755/0644, constant mtime, no hard links, empty /tmp.  Capture
 *    looks at the writable layer only.
 *  - copy (where a probe mount fails): everything is written out for each batch.
 * Root mounts in a mount namespace of its own; an ordinary user in a user namespace, with overlay's `userxattr`.
 * Inodes of layers are their own: never a link to a CAS object, never one inode under two names.
 *
 * A known difference: under a read-only root the marked directories are mounts of their own, so link(2) and rename(2)
 * between build root and install root fail with EXDEV (mv copies, ln fails).  The peer's FUSE file system is one mount
 * that refuses writes by path; an overlay cannot, and separate mounts keep "Read-only file system" and all modes exact.
 *
 * Processes: sandbox_start forks a child which enters namespaces, mounts and becomes bwrap; the calling process never
 * unshares or mounts anything.  Everything inside dies with bwrap, and bwrap with the caller's thread.
 *
 * Used by workers (and by the parent under the inline scheduler).  Not thread-safe.  Errors: "sandbox" domain.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <sys/types.h>

#include "base/diag.h"
#include "cas/cas.h"
#include "graph/graph.h"

/* ---- one per process: where layers live, what this machine can do ---- */
struct sandbox_host;

enum sandbox_way { SANDBOX_OVERLAY, SANDBOX_COPY };

struct sandbox_host_options {
	struct cas *cas;           /* not owned; the host's files live in <cachedir>/millrace/ */
	bool no_overlay;           /* write everything out for each batch, even where overlay works */
	uint64_t layers_max_bytes; /* soft limit of all layers together; 0: 20 GB */
};
/* Cheap: nothing is probed, made or swept before the first sandbox needs it. */
int sandbox_host_new(struct sandbox_host **ret, const struct sandbox_host_options *options, struct diag *diag);
void sandbox_host_free(struct sandbox_host *host);
/* check is called once for each file written or captured (so it must be quick) and may return <0: what was under way ends
 * with that value.  NULL: no check. */
void sandbox_host_set_check(struct sandbox_host *host, int (*check)(void *data), void *data);
/* How sandboxes of this host are built, and why, in words for --debug: "overlay (user namespace, userxattr, volatile)" or
 * "copy: mounting an overlay failed: Operation not permitted".  Probes on first use. */
enum sandbox_way sandbox_host_way(struct sandbox_host *host);
const char *sandbox_host_reason(struct sandbox_host *host);
/* Removes scratch directories and half-made layers that no living process holds, and layers beyond the limit, least
 * recently used first.  Runs by itself before the first batch of a process. */
void sandbox_host_sweep(struct sandbox_host *host);
/* Removes layers that nobody uses, least recently used first, until all of them take no more than max_bytes; pretend:
 * removes nothing.  Returns what is left (or would be); tells the store.  *removed_bytes: what was taken by those that went. */
uint64_t sandbox_layers_trim(struct sandbox_host *host, uint64_t max_bytes, bool pretend, uint64_t *removed_bytes);
/* The limit the host was made with. */
uint64_t sandbox_layers_limit(const struct sandbox_host *host);
/* What the check of sandbox_host_set_check says now; 0 if there is none. */
int sandbox_host_ask(struct sandbox_host *host);
/* Is this machine able to run commands for os and architecture (canonical names)?  diag says why not: "unavailable-local-
 * sandbox".  Commands for 32-bit x86 run on x86-64, as with the peer's runner. */
int sandbox_host_check(struct sandbox_host *host, const struct graph_sandbox *config, struct diag *diag);

/* ---- one sandbox ---- */
struct sandbox;

struct sandbox_spec {
	const struct graph_sandbox *config; /* uid, gid; NULL: as unset */
	const char *const *marked;          /* absolute paths that stay writable under a read-only root, in this order; */
	uint32_t marked_count;              /* they are made if absent */
	bool keep_mtimes;                   /* workspaces: captured files keep their mtimes (node_properties) */
};
/* Texts of spec must outlive the sandbox. */
int sandbox_new(struct sandbox **ret, struct sandbox_host *host, const struct sandbox_spec *spec, struct diag *diag);
/* Kills what runs, removes scratch files.  NULL accepted. */
void sandbox_free(struct sandbox *sandbox);
/* The tree, owned by the sandbox.  The caller may change it while no batch runs. */
struct cas_tree *sandbox_tree(struct sandbox *sandbox);
/* What is in the tree now are the dependencies: it becomes read-only layers; what is added later (sources) goes into the
 * writable layer.  Without this call the first batch's tree is all layers. */
int sandbox_staged(struct sandbox *sandbox, struct diag *diag);

/* ---- a batch: what to run ---- */
struct sandbox_command {
	const char *const *argv;    /* argc of them */
	uint32_t argc;
	const char *label;          /* NULL: the quoted command line */
	const char *cwd;            /* absolute */
	const struct graph_pair *environment; /* PWD=cwd is added */
	uint32_t environment_count;
};

/* A batch that is a shell: one command as it is, on the caller's own standard descriptors and terminal, in its session, so
 * that job control works.  The host's devices are all there.  Nothing of what it changes is captured. */
struct sandbox_mount {
	const char *source, *target; /* absolute; target is made if the tree has nothing there */
};
struct sandbox_shell {
	bool open; /* with the host's network and name, and the caller's user and group */
	const struct sandbox_mount *mounts;
	uint32_t mount_count;
};

/* A pipe with tokens, one byte each, for make (its jobserver): the two ends, in the form all versions from 4.2 on know,
 * inherited through bubblewrap; or a named pipe, which make from 4.4 and ninja from 1.13 on open themselves.  MAKEFLAGS tells
 * of it if the command's environment has a -jN in it, and stays as it is if not.  Nothing of this is seen outside of the
 * running batch. */
struct sandbox_jobserver {
	int read_fd, write_fd; /* close-on-exec here; above 9, so that no shell can meet them; unused with fifo */
	const char *fifo;      /* absolute path on the host, or NULL; shown as SANDBOX_FIFO */
};
#define SANDBOX_FIFO "/dev/millrace-jobserver"

struct sandbox_batch {
	const struct sandbox_jobserver *jobserver; /* NULL: none; must live until the batch has been started */
	const struct sandbox_shell *shell; /* run `first` in this way; NULL: run the script */
	bool root_read_only;
	struct buf script;            /* the shell script so far */
	struct buf labels;            /* labels of the commands, one per line */
	struct sandbox_command first; /* its environment, cwd and argv[0] are the batch's */
	struct sandbox_command last;
	bool any;
};
#define SANDBOX_BATCH_INIT { 0 }
/* Appends to the batch.  The command's environment and cwd must stay alive until the batch has been started. */
void sandbox_batch_command(struct sandbox_batch *batch, const struct sandbox_command *command);
/* An empty file (in the working directory that is current then). */
void sandbox_batch_touch(struct sandbox_batch *batch, const char *name);
/* rm -rf of a directory; failure does not matter. */
void sandbox_batch_clean(struct sandbox_batch *batch, const char *directory);
void sandbox_batch_release(struct sandbox_batch *batch);
/* text as Python's shlex.quote writes it. */
void sandbox_quote(struct buf *out, const char *text);

/* ---- running it ---- */
enum sandbox_outcome {
	SANDBOX_SUCCESS,         /* exit code 0, changes are in the tree */
	SANDBOX_NOTHING,         /* the batch was empty, nothing was started */
	SANDBOX_COMMAND_FAILED,  /* a command failed; changes are in the tree */
	SANDBOX_COMMAND_MISSING, /* the tree has no such command; diag says which, reason "missing-command" */
	SANDBOX_KILLED,          /* by sandbox_kill; the tree is as before */
};

struct sandbox_result {
	enum sandbox_outcome outcome;
	int exit_code;          /* of the failed command (or of the shell, when it cannot be told) */
	const char *label;      /* of the failed command, if it can be told; owned by the sandbox; else NULL */
	enum sandbox_way way;   /* how the root was built */
	uint64_t captured_files, captured_bytes; /* what was hashed */
	int64_t prepare_us, run_us, capture_us;
};

/* Makes the root, starts the commands, returns at once: SANDBOX_SUCCESS (started), SANDBOX_NOTHING,
 * SANDBOX_COMMAND_MISSING, or <0.  Output goes to log_fd (stdout and stderr; opened for appending), input is /dev/null. */
int sandbox_start(struct sandbox *sandbox, const struct sandbox_batch *batch, int log_fd, struct diag *diag);
/* Readable (poll) when the batch has ended.  Owned by the sandbox, valid until sandbox_finish. */
int sandbox_pidfd(const struct sandbox *sandbox);
/* Waits for the end if it has not come yet, captures, fills ret.  Returns ret->outcome or <0 (bubblewrap itself failed,
 * capture failed). */
int sandbox_finish(struct sandbox *sandbox, struct sandbox_result *ret, struct diag *diag);
/* Ends everything inside at once; sandbox_finish is still to be called.  No-op if nothing runs. */
void sandbox_kill(struct sandbox *sandbox);
/* SIGSTOP or SIGCONT for every process inside. */
void sandbox_signal(struct sandbox *sandbox, int signal);

#endif
