/* workers/pool.h: the parent's end of the workers.
 *
 * A pool takes jobs and runs them in one of three ways behind the same door:
 *   POOL_WORKERS  a few long-lived processes, forked on demand after loading, reused until the end (the point of it all)
 *   POOL_FORK     a process forked for each job, as BuildStream 1 did: the baseline
 *   POOL_INLINE   in this very process, one at a time: for debugging
 * Same job code, same messages, same validation, same events for whoever dispatches.
 *
 * A worker's life: spawn (fork; its incarnation number is never used again) -> idle <-> busy -> retiring -> gone.  It runs
 * one job at a time.  A worker that dies, closes its socket, sends anything malformed or out of turn, or does not answer
 * a ping in time is killed with all it started and forgotten; its job is reported through `lost`, and the next
 * dispatch forks another one.  Dispatching never blocks, nor does anything else here.
 *
 * Descendants: each worker leads a process group, workers and parent are child subreapers, and when a worker ends
 * by force, everything below it is found through /proc and killed: also what called setsid, and sandboxes.
 *
 * Events come from inside loop_turn, never from inside a call to the pool (inline jobs run as deferred tasks).
 * Process: the parent; one thread.  The state given must be open (state_open), the graph frozen.
 */
#ifndef WORKERS_POOL_H
#define WORKERS_POOL_H

#include "loop/loop.h"
#include "workers/worker.h"

enum pool_mode { POOL_WORKERS, POOL_FORK, POOL_INLINE };
enum { POOL_WORKERS_MAX = 512 };

/* Why a job was lost. */
enum pool_loss {
	POOL_LOST_DIED,      /* the worker ended by itself or by a signal */
	POOL_LOST_SILENT,    /* did not answer, and was killed */
	POOL_LOST_MALFORMED, /* sent something that is no message, or not its turn, or a change it may not make */
	POOL_LOST_CLOSED,    /* closed its socket */
	POOL_LOST_KILLED,    /* killed by the pool: did not heed a cancel, or pool_kill */
	POOL_LOST_END
};

struct pool_events {
	/* From a worker, about a job that is running there; texts are valid during the call. */
	void (*message)(void *data, const struct wire_message *message);
	void (*progress)(void *data, const struct wire_progress *progress);
	/* A job's result; state changes in it are validated already (own element, well-formed) but not yet committed:
	 * commit them with origin = incarnation.  The worker is free again when this returns. */
	void (*result)(void *data, uint32_t incarnation, const struct wire_result *result);
	/* A job ends without a result.  begun: its worker had begun it (else it may go back as if never dispatched).
	 * text: one line such as "Worker 3 (pid 4711) was killed by signal 11 (Segmentation fault)".  cancelled: it had
	 * been cancelled before. */
	void (*lost)(void *data, uint64_t job, enum pool_loss why, bool begun, bool cancelled, const char *text);
	/* For --debug and tests: "spawned", "ready", "gone", ... with a line of text.  May be NULL. */
	void (*trace)(void *data, const char *text);
};

struct pool_config {
	enum pool_mode mode;
	uint32_t max_workers; /* 1 .. POOL_WORKERS_MAX */
	struct loop *loop;
	struct worker_config worker; /* table of jobs, graph, state, context */
	const struct pool_events *events;
	void *data; /* for events */
	/* In each child after fork, before anything else: close what only the parent needs.  May be NULL. */
	void (*after_fork)(void *data);
	/* 0: defaults */
	int64_t ping_after_us;    /* silence before a busy worker is asked (default 5 s) */
	int64_t ping_deadline_us; /* no answer for that long: killed (default 60 s) */
	int64_t cancel_grace_us;  /* from CANCEL to SIGTERM (default 400 ms) */
	int64_t term_grace_us;    /* from SIGTERM to SIGKILL of all descendants (default 200 ms) */
};

struct pool;

/* Copies config.  Makes this process a child subreaper. */
struct pool *pool_new(const struct pool_config *config);
/* Kills (SIGKILL) what still runs and reaps it; blocks for that short time.  NULL accepted. */
void pool_free(struct pool *pool);

/* Starts a job: takes an idle worker, or forks one if there are fewer than max_workers.  Fills dispatch's generation and
 * as_of itself.  Returns 0, -EAGAIN when all workers are busy (the scheduler's SUBPROCESS limit should prevent that; also
 * while suspended or killed), or -errno of fork. */
int pool_dispatch(struct pool *pool, const struct wire_dispatch *dispatch);
/* Free places right now: idle workers and those that may still be forked. */
uint32_t pool_free_places(const struct pool *pool);
uint32_t pool_busy(const struct pool *pool);
/* Asks a job to give up: CANCEL, then SIGTERM, then SIGKILL of all its worker started.  It ends through `result`
 * (WIRE_CANCELLED, or what it had become meanwhile) or `lost`.  false: no such job is running. */
bool pool_cancel(struct pool *pool, uint64_t job);
/* Cancels everything. */
void pool_cancel_all(struct pool *pool);
/* Kills all workers and all below them at once; each job at work ends through `lost`.  Nothing can be dispatched after. */
void pool_kill(struct pool *pool);
/* Retires every worker: idle ones quit now, busy ones after their job.  Call it when the graph's generation or the
 * state's epoch changed; later dispatches go to workers forked after that. */
void pool_retire(struct pool *pool);
/* Stops (SIGSTOP) or continues all workers and their descendants, those in other pid namespaces included; liveness
 * deadlines stand still meanwhile. */
void pool_suspend(struct pool *pool);
void pool_resume(struct pool *pool);
/* Workers alive, whatever they do; 0 means that nothing of the pool is left. */
uint32_t pool_alive(const struct pool *pool);

struct pool_stats {
	uint64_t spawned, dispatched, results, lost, pings, bytes_sent, bytes_received;
	int64_t fork_us; /* spent in fork, in the parent */
};
const struct pool_stats *pool_stats(const struct pool *pool);
/* pid of the worker that runs this job, or -1; for tests and status lines. */
pid_t pool_job_pid(const struct pool *pool, uint64_t job);

#endif
