/* workers/pool.h: the parent's end of the workers.
 *
 * A pool takes jobs and runs them in one of three ways behind the same door:
 *   POOL_WORKERS  a few long-lived processes, forked on demand after loading, reused until the end (the point of it all)
 *   POOL_FORK     a process forked for each job, as BuildStream 1 did: the baseline
 *   POOL_INLINE   in this very process, one at a time: for debugging
 * Same job code, same messages, same validation, same events for whoever dispatches.
 *
 * Workers live in slots, which the caller numbers (the scheduler's): pool_spawn fills one, pool_dispatch gives it jobs,
 * pool_retire empties it, and the event `gone` tells that it is empty again, asked for or not.  A worker runs one job at a
 * time, in the order of dispatch; a few tiny ones may wait in it (see pool_dispatch).  Each process has an incarnation
 * number that is never used again; it is the origin of its changes in the state journal.  A process whose graph
 * generation or state epoch is not the current one any more is replaced before its slot's next job, unseen by the caller.
 *
 * A worker that dies, closes its socket, sends anything malformed or out of turn, or does not answer a ping in time is
 * killed with all it started, and its slot is gone.  Nothing here ever blocks but pool_free.
 *
 * Descendants: each worker leads a process group; workers and parent are child subreapers; and when a worker ends by
 * force, everything below it is found through /proc and killed, also what called setsid, and sandboxes.  Therefore the
 * parent must have no other children while a pool exists, but for the time in which it itself blocks for them.
 *
 * Events come from inside loop_turn, never from inside a call to the pool (inline jobs run as deferred tasks).
 * Process: the parent; one thread.  The state given must be open (state_open), the graph frozen.
 */
#ifndef WORKERS_POOL_H
#define WORKERS_POOL_H

#include "loop/loop.h"
#include "workers/worker.h"

enum pool_mode { POOL_WORKERS, POOL_FORK, POOL_INLINE };
enum { POOL_WORKERS_MAX = 512, POOL_WINDOW_MAX = 16 };

/* Why a worker is gone. */
enum pool_end {
	POOL_RETIRED,        /* as asked */
	POOL_DIED,           /* by itself or by a signal */
	POOL_SILENT,         /* did not answer, and was killed */
	POOL_MALFORMED,      /* sent what is no message, or not its turn, or a change it may not make; killed */
	POOL_CLOSED,         /* closed its socket; killed */
	POOL_KILLED,         /* did not heed a cancel, or pool_kill */
	POOL_END_END
};

struct pool_events {
	/* From a worker, about the job that runs there; texts are valid during the call. */
	void (*message)(void *data, uint32_t slot, const struct wire_message *message);
	void (*progress)(void *data, uint32_t slot, const struct wire_progress *progress);
	/* A job's result.  Its state changes have been validated (well-formed, about the job's own element) and not been
	 * committed: do that before the next dispatch, with origin = incarnation, unless the outcome is
	 * WIRE_TEMPORARY or WIRE_CANCELLED (these carry none). */
	void (*result)(void *data, uint32_t slot, uint32_t incarnation, const struct wire_result *result);
	/* The slot is empty; jobs it held have no result.  begun: the one that had been begun, 0 if none (those may be
	 * dispatched again as if they had never been).  text: one line such as
	 * "worker 3 (pid 4711) was killed by signal 11 (Segmentation fault)". */
	void (*gone)(void *data, uint32_t slot, enum pool_end why, uint64_t begun, const char *text);
	/* For --debug and tests: a line of text about spawning, readiness, replacement, ends.  May be NULL. */
	void (*trace)(void *data, const char *text);
};

struct pool_config {
	enum pool_mode mode;
	uint32_t max_workers; /* slots, 1 .. POOL_WORKERS_MAX */
	struct loop *loop;
	struct worker_config worker; /* table of jobs, graph, state, context */
	const struct pool_events *events;
	void *data; /* for events */
	/* In each child right after fork: closes what only the parent needs.  May be NULL. */
	void (*after_fork)(void *data);
	/* 0: defaults.  (Inline mode: a job that waits also looks at the loop's signals, on its own stack; what their
	 * handler cancels with pool_cancel is given up.) */
	int64_t ping_after_us;    /* silence before a busy worker is asked (default 5 s) */
	int64_t ping_deadline_us; /* no answer for that long: killed (default 60 s) */
	int64_t cancel_grace_us;  /* from CANCEL to SIGTERM (default 400 ms) */
	int64_t term_grace_us;    /* from SIGTERM to SIGKILL of everything below (default 200 ms) */
};

struct pool;

/* Copies config (the loop, graph, state, tables stay the caller's).  Makes this process a child subreaper. */
struct pool *pool_new(const struct pool_config *config);
/* Kills what still runs, reaps it (blocks for that short time) and frees.  No events.  NULL accepted. */
void pool_free(struct pool *pool);

/* Fills an empty slot.  With POOL_WORKERS a process is forked; with POOL_FORK that waits for the job; with POOL_INLINE
 * the only slot is 0 and always filled.  The slot takes jobs at once.  0, -errno of fork, -ESHUTDOWN after pool_kill. */
int pool_spawn(struct pool *pool, uint32_t slot);
/* Starts a job in a filled slot, or lets it wait there behind at most POOL_WINDOW_MAX - 1 others.  generation and as_of
 * are filled in here (as of now).  Does not fail: if its worker cannot take it, the slot will be `gone`. */
void pool_dispatch(struct pool *pool, uint32_t slot, const struct wire_dispatch *dispatch);
/* Lets an idle worker go; `gone` follows. */
void pool_retire(struct pool *pool, uint32_t slot);
/* Asks a job to give up: CANCEL, then SIGTERM, then SIGKILL of everything its worker started.  It ends through `result`
 * (WIRE_CANCELLED, or what had become of it meanwhile) or `gone`.  false: there is no such job. */
bool pool_cancel(struct pool *pool, uint64_t job);
/* Kills all workers and all below them at once; each slot will be `gone`.  pool_spawn refuses from now on. */
void pool_kill(struct pool *pool);
/* Stops (SIGSTOP) or continues (SIGCONT) all workers and everything below them, processes in other pid namespaces
 * included; pings stand still meanwhile. */
void pool_suspend(struct pool *pool);
void pool_resume(struct pool *pool);
/* Processes of the pool that live or are not reaped yet, killed descendants included; 0: nothing is left. */
uint32_t pool_alive(const struct pool *pool);

struct pool_stats {
	uint64_t spawned, dispatched, results, gone, pings, bytes_sent, bytes_received;
	int64_t fork_us; /* processor time spent in fork, in the parent */
};
const struct pool_stats *pool_stats(const struct pool *pool);
/* Process in a slot, or -1 (empty, inline, or not forked yet). */
pid_t pool_pid(const struct pool *pool, uint32_t slot);
/* Incarnation of the process in a slot; 0: none. */
uint32_t pool_incarnation(const struct pool *pool, uint32_t slot);

#endif
