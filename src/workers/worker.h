/* workers/worker.h: a job as its code sees it, and the worker process it runs in.
 *
 * A worker is forked from the parent after loading, waits for messages, and runs one job at a time until it is told to
 * quit.  What a job needs comes with struct worker_job: the loaded graph (read-only), the replica of the state as of its
 * dispatch, memory that is forgotten when it ends.  What it has to say goes through worker_message, worker_progress and
 * the changes, and its result.  Under `--scheduler=inline` the same job function runs in the parent; it cannot tell.
 *
 * Rules for job functions (room jobs and everything below it):
 *  - no job state in globals; no fork without exec; no threads left behind;
 *  - wait only in worker_wait, which also answers the parent: cancel and ping are served within 100 ms; long loops
 *    without waiting (hashing, writing trees) call worker_check now and then;
 *  - after -ECANCELED clean up at once and return it;
 *  - children are executed with signals reset (SIGPIPE is ignored in a worker, none is blocked) and stay in the worker's
 *    process group unless they have a pid namespace that dies with them;
 *  - change only your own element; the parent refuses anything else and kills the worker.
 */
#ifndef WORKERS_WORKER_H
#define WORKERS_WORKER_H

#include <poll.h>
#include <signal.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/diag.h"
#include "graph/graph.h"
#include "state/state.h"
#include "wire/wire.h"

struct worker;

struct worker_job {
	/* what to do; set before run, not to be changed */
	uint64_t id;
	uint32_t type;    /* index into the table of jobs */
	uint32_t element; /* graph id, GRAPH_NONE for none */
	uint32_t attempt; /* 1 for the first */
	uint32_t flags;
	uint32_t tokens;           /* see struct wire_dispatch */
	int pipe_read, pipe_write; /* likewise */
	const struct graph *graph;
	const struct state *state; /* as of dispatch; does not change while the job runs */
	struct arena *arena;       /* reset after the job */
	void *context;             /* the session's, read-only: configuration, cache handles opened before the fork */
	/* what comes out; the job fills these */
	struct state_changes changes; /* of this element; applied by the parent if the result is WIRE_DONE, NOTHING or FAILED */
	struct diag diag;             /* exactly when it fails */
	bool temporary;               /* a failure that a retry may mend */
	const char *log;              /* absolute path of its log, in the arena, or NULL */
	int64_t command_us;           /* wall time inside sandboxed commands */
	int64_t budget_us;            /* wall time waiting for the budget's tokens */
	uint64_t source_files;        /* see struct wire_result */
	/* private */
	struct worker *worker;
	bool cancelled;
};

/* One row of the table of jobs; the table is indexed by type and lives as long as the program. */
struct worker_type {
	const char *name; /* "fetch", "build", ...: the action in messages and log names */
	/* Returns 0 (done), 1 (nothing to do), -ECANCELED, or another negative number with job->diag set. */
	int (*run)(struct worker_job *job);
};

/* --- for job functions --- */

/* Sends a message about the job's element, now.  detail and log may be NULL; elapsed_us -1 unless kind is timed. */
void worker_message(struct worker_job *job, enum wire_kind kind, const char *text, const char *detail, const char *log,
		    int64_t elapsed_us);
/* From now on messages may be held back until the job waits, checks or ends, and then go out together: for jobs that take
 * less time than telling about them.  hold false: no more, and what is held goes now. */
void worker_hold(struct worker_job *job, bool hold);
/* The same with formatted text and no detail. */
void worker_say(struct worker_job *job, enum wire_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* At most ten a second go out; the others are dropped here.  unit as in struct wire_progress. */
void worker_progress(struct worker_job *job, uint64_t done, uint64_t total, uint32_t unit, const char *text);
/* Waits until one of fds is ready (as poll), or deadline_us (util_now_us's clock; negative: none) has passed.  Returns the
 * number of ready fds, 0 at the deadline, -ECANCELED when the job is to be given up, -errno.  fds may be NULL. */
int worker_wait(struct worker_job *job, struct pollfd *fds, nfds_t count, int64_t deadline_us);
/* For long computations: 0, or -ECANCELED.  Costs a clock reading; looks at the socket every 20 ms. */
int worker_check(struct worker_job *job);
/* Waits for a child of the job through worker_wait and reaps it.  Returns 0 with *ret_info filled, or -ECANCELED
 * (the child lives on: kill it, or leave that to the end of the job, which kills what is left). */
int worker_wait_child(struct worker_job *job, pid_t pid, siginfo_t *ret_info);

/* --- for pool.h: running jobs --- */

struct worker_config {
	const struct worker_type *types; /* the table of jobs */
	uint32_t type_count;
	const struct graph *graph;
	struct state *state;
	void *context;
	bool trace; /* report each journal record applied, as WIRE_DEBUG messages (--debug) */
};

/* The life of a worker process, from right after fork to _exit; never returns.  fd: its end of the socket, blocking.
 * started: shared with the parent; holds the id of the job that was begun last.  first: run this job and leave
 * (fork per job); NULL for a worker that stays. */
void worker_main(const struct worker_config *config, int fd, uint32_t incarnation, _Atomic uint64_t *started,
		 const struct wire_dispatch *first) NORETURN;

/* Runs one job in this process (inline mode).  emit is called for each message, progress and at last the result; pump
 * is polled by worker_wait together with pump_fd (-1: none) and returns true when this job is to be given up. */
struct worker_inline {
	void (*emit)(void *data, const struct wire_any *any);
	bool (*pump)(void *data);
	int pump_fd;
	void *data;
};
void worker_run_inline(const struct worker_config *config, const struct worker_inline *hooks,
		       const struct wire_dispatch *dispatch);

/* Test programs only: called in the worker at each named boundary, so that a test can die there.  Compiled in with
 * -DWORKER_TEST_SEAM; the shipped program has no such hook. */
enum worker_boundary {
	WORKER_AT_START,     /* forked, nothing sent yet */
	WORKER_AT_READY,     /* READY sent */
	WORKER_AT_DISPATCH,  /* DISPATCH received, job not begun */
	WORKER_AT_BEGIN,     /* job marked as begun, state followed, not run */
	WORKER_AT_MESSAGE,   /* before a message is sent */
	WORKER_AT_MESSAGED,  /* after it was sent */
	WORKER_AT_WAIT,      /* in worker_wait */
	WORKER_AT_RETURN,    /* job function returned, RESULT not sent */
	WORKER_AT_RESULT,    /* RESULT sent */
	WORKER_AT_CANCEL,    /* CANCEL received */
	WORKER_AT_PING,      /* PING received, not answered */
	WORKER_AT_QUIT,      /* QUIT received */
	WORKER_BOUNDARY_END
};
extern const char *const worker_boundary_names[WORKER_BOUNDARY_END];
#ifdef WORKER_TEST_SEAM
/* NULL: what the environment variable MILLRACE_TEST_DIE says, "BOUNDARY:SIGNAL:EVERY": each worker whose incarnation
 * number leaves remainder 1 when divided by EVERY sends itself SIGNAL when it first comes to BOUNDARY (a name above), and
 * one byte is appended to the file MILLRACE_TEST_DIE_LOG if that is set. */
extern void (*worker_test_hook)(enum worker_boundary boundary, uint32_t incarnation, uint64_t job, int fd);
#endif

#endif
