/* sandbox/sandbox_internal.h: what the files of this room share.
 *
 * Files below <cachedir>/millrace/:
 *   layers/<digest>/             a stored tree written out; <digest> is the hash of its root Directory
 *   layers/<digest>+<digest>/    what must lie over the second tree to show the first (whiteouts are 0:0 devices)
 *     tree/                      the files
 *     size                       "<files> <bytes>\n"
 *     The directory's flock is held shared by all who use the layer, exclusively by who removes it; its mtime is the
 *     last use.  Made as layers/tmp.* and renamed when complete.
 *   sandboxes/<pid>-<number>/    scratch of one sandbox, flock held by its process
 *     l0, l1                     links to layers' trees (short names: mount(2) takes 4 KB of options)
 *     upper, work, root          of the running batch
 */
#ifndef SANDBOX_SANDBOX_INTERNAL_H
#define SANDBOX_SANDBOX_INTERNAL_H

#include <assert.h>

#include "sandbox/sandbox.h"

enum { SANDBOX_LAYERS_MAX = 2 };

struct sandbox_mode {
	bool user_namespace;     /* an ordinary user's: we are root in there */
	const char *options;     /* for mount(2), beside the directories */
	const char *description;
};

struct sandbox_host {
	struct cas *cas;
	bool no_overlay, probed, swept;
	uint64_t layers_max_bytes;
	struct buf base;         /* absolute path of <cachedir>/millrace */
	int layers_fd, sandboxes_fd;
	const struct sandbox_mode *mode; /* NULL: copy */
	struct buf reason;
	char *bwrap;             /* absolute path, or NULL until looked for */
	unsigned counter;        /* of temporary names */
	uint64_t new_bytes;      /* layers made since the last sweep */
	int (*check)(void *data);
	void *check_data;
};

struct sandbox_layers {
	int lock_fds[SANDBOX_LAYERS_MAX];
	char names[SANDBOX_LAYERS_MAX][2 * DIGEST_HEX + 2]; /* topmost first */
	unsigned count;
	struct digest digest; /* the tree they show */
};

struct sandbox {
	struct sandbox_host *host;
	struct sandbox_spec spec;
	struct cas_tree *tree;
	bool staged, broken;
	struct digest base;           /* tree of the layers, if staged */
	struct digest shown;          /* tree that the running batch began with */
	struct sandbox_layers layers;
	int scratch_fd;               /* -1: not made yet */
	char scratch[32];             /* its name in sandboxes/ */
	/* of the running batch */
	pid_t pid;                    /* 0: none */
	int pidfd, status_fd, log_fd;
	off_t log_start;
	bool read_only, killed, shell;
	enum sandbox_way way;
	struct buf status;            /* what came through status_fd */
	struct buf label;             /* of the failed command */
	int64_t prepare_us, started_us;
};

/* ---- batch.c ---- */
const char *sandbox_environment_get(const struct sandbox_command *command, const char *name);

/* MAKEFLAGS with the jobserver named behind its -jN.  False, and nothing appended: it has none, or one of a single job. */
bool sandbox_makeflags(struct buf *out, const char *value, const struct sandbox_jobserver *jobserver);

/* ---- shell.c ---- */
int sandbox_mount_points(struct sandbox *sandbox, const struct sandbox_shell *shell, struct diag *diag);

/* ---- host.c ---- */
int sandbox_host_open(struct sandbox_host *host, struct diag *diag); /* the directories alone */
int sandbox_host_prepare(struct sandbox_host *host, struct diag *diag); /* directories, probe, sweep; once */
/* In a child that may die: own mount namespace (and user namespace), nothing propagates out. 0 or -errno. */
int sandbox_enter(const struct sandbox_mode *mode);
/* Mounts ./root from ./upper, ./work and ./l0.. of the current directory. */
int sandbox_mount(const struct sandbox_mode *mode, unsigned layer_count);
/* flock without waiting; -EWOULDBLOCK. */
int sandbox_lock(int fd, bool exclusive);

/* Now and then in long work: 0, or <0 to give up. */
static inline int sandbox_check(struct sandbox_host *host)
{
	return host->check ? host->check(host->check_data) : 0;
}

/* ---- layers.c ---- */
int sandbox_layers_get(struct sandbox_host *host, const struct digest *tree, struct sandbox_layers *ret,
		       struct diag *diag);
void sandbox_layers_release(struct sandbox_layers *layers);
void sandbox_layers_sweep(struct sandbox_host *host);

/* ---- write.c: trees onto disk, with inodes of their own ---- */
struct sandbox_size {
	uint64_t files, bytes, whiteouts;
};
/* Writes into dirfd (an empty directory) what an overlay over `below` (NULL: nothing) needs to show `tree`. */
int sandbox_write_difference(struct sandbox_host *host, int dirfd, const struct digest *below, const struct digest *tree,
			     struct sandbox_size *size, struct diag *diag);
/* The same, only counted; stops early when files exceed limit. */
int sandbox_count_difference(struct cas *cas, const struct digest *below, const struct digest *tree, uint64_t limit,
			     struct sandbox_size *size);

/* ---- capture.c ---- */
struct sandbox_capture {
	struct sandbox_host *host;
	struct cas *cas;
	bool keep_mtimes;
	uint64_t files, bytes;
	struct diag *diag;
};
/* Digest of what an overlay of dirfd (a writable layer) over `below` (NULL: nothing) shows. Consumes the layer's files. */
int sandbox_capture(struct sandbox_capture *capture, int dirfd, const struct digest *below, struct digest *ret);

/* All that the running batch changed, into the sandbox's tree: below a read-only root the marked directories alone. */
int sandbox_capture_batch(struct sandbox *sandbox, struct sandbox_result *ret, struct diag *diag);

/* ---- arguments.c ---- */
/* bubblewrap's options, NUL-separated, in a file in memory for its --args.  The descriptor, or -errno. */
int sandbox_arguments(const struct sandbox *sandbox, const struct sandbox_batch *batch);

/* ---- spawn.c: the child ---- */
struct sandbox_spawn {
	const struct sandbox_mode *mode; /* NULL: ./root is complete already */
	unsigned layer_count;
	const char *bwrap;
	char **argv;
	int scratch_fd, args_fd, status_fd, log_fd;
	const struct sandbox_jobserver *jobserver; /* NULL: none */
	bool linux32, shell; /* shell: standard descriptors, signals' session and terminal as they are */
};
pid_t sandbox_spawn(const struct sandbox_spawn *spawn);

#endif
