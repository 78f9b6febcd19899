/* session/driver.h: one run of a pipeline: joins scheduler, pool, loop and state.
 *
 * The scheduler decides, the pool runs jobs, the state remembers what they changed; the driver carries events from one to
 * the other, turns the loop, and knows what signals mean.  What a person should see goes out through a table of
 * functions; what the session alone can know (flags of a job, what a result makes needless, new keys) comes in through
 * the same table.
 *
 * A result's way: pool (decoded, validated) -> state_commit with the worker's incarnation as origin -> events.result,
 * where the session may commit more (driver_commit: keys that are known now) and tell the scheduler what changed
 * (driver_sched, sched_change) -> sched_job_done -> commands -> the next dispatch, whose as_of includes all of it.
 *
 * Signals, while driver_run runs (blocked, read by signalfd):
 *   SIGINT            on a terminal (config.interactive) everything stops and events.interrupt is asked; else terminate
 *   SIGTERM, SIGHUP   terminate (SIGHUP not if it was ignored at the start: nohup)
 *   any of them again while terminating: everything is killed at once
 *   SIGTSTP           workers and sandboxes stop, then this process; SIGCONT makes all go on
 * Terminate: every job is cancelled; what is not gone by itself is killed.  After a second nothing is left.
 *
 * Parent process, main thread.  While a driver exists the parent has no other children, but for the time in which a
 * callback blocks for them (see workers/pool.h).
 */
#ifndef SESSION_DRIVER_H
#define SESSION_DRIVER_H

#include "loop/loop.h"
#include "sched/sched.h"
#include "workers/pool.h"

struct driver;

/* A job that was dispatched. */
struct driver_job {
	uint64_t id; /* never used twice in a run; 0 nowhere */
	enum sched_queue queue;
	uint32_t element; /* graph id; SCHED_NONE for expiry */
	uint32_t attempt; /* from 1 */
	uint32_t slot;    /* of its worker */
	int64_t started_us; /* dispatched then, on driver_elapsed_us's clock */
};

enum driver_end { /* what became of a job */
	DRIVER_DONE,
	DRIVER_SKIPPED,   /* nothing to do */
	DRIVER_FAILED,    /* for good */
	DRIVER_RETRIED,   /* failed, and will be tried again */
	DRIVER_CANCELLED, /* given up on demand */
	DRIVER_RETURNED   /* its worker died before it began: as if it had never been dispatched */
};

enum driver_answer { DRIVER_CONTINUE, DRIVER_QUIT, DRIVER_TERMINATE };

struct driver_tokens {
	uint32_t want, most;
	bool fifo;
};

/* Every member is set but those that may be NULL.  Texts and structs are valid during the call. */
struct driver_events {
	/* Flags of the job about to be dispatched (wire_dispatch.flags).  May be NULL: 0. */
	uint32_t (*flags)(void *data, const struct driver_job *job);
	/* Of the budget of compilers: what the build about to be dispatched needs before it runs commands, can use, and whether by
	 * way of a named pipe.  false: it is none of the budget's.  May be NULL. */
	bool (*tokens)(void *data, const struct driver_job *job, struct driver_tokens *ret);
	/* Dispatched to a worker. */
	void (*started)(void *data, const struct driver_job *job);
	/* elapsed_us leaves out the time in which everything was stopped. */
	void (*message)(void *data, const struct driver_job *job, const struct wire_message *message);
	void (*progress)(void *data, const struct driver_job *job, const struct wire_progress *progress);
	/* Its changes are committed.  Returns bits of later queues that its element needs no more (a pull that hit: build,
	 * fetch); looked at only if the outcome is WIRE_DONE or WIRE_NOTHING. */
	uint32_t (*result)(void *data, const struct driver_job *job, const struct wire_result *result);
	/* After result, and after a worker's death, when the scheduler has judged.  result: NULL if the worker died; then
	 * lost is a line about its end (else NULL).  Exactly one for each started. */
	void (*ended)(void *data, const struct driver_job *job, enum driver_end end, const struct wire_result *result,
		      const char *lost);
	/* ^C on a terminal; the jobs are stopped and the clock stands still meanwhile. */
	enum driver_answer (*interrupt)(void *data);
	/* Around a stop by SIGTSTP: stopping true before, false after.  May be NULL. */
	void (*suspend)(void *data, bool stopping);
	/* Every config.tick_us, for status lines.  May be NULL. */
	void (*tick)(void *data);
	/* For --debug: workers coming and going, replacements, the journal started anew.  May be NULL. */
	void (*trace)(void *data, const char *text);
	/* In each worker right after fork.  May be NULL. */
	void (*after_fork)(void *data);
};

struct driver_config {
	struct sched_config sched;      /* mode included: the pool's follows from it */
	const struct sched_graph *plan; /* must outlive the driver */
	struct worker_config worker;    /* table of jobs, graph, state (opened by the driver if it is not), context */
	uint32_t job_types[SCHED_QUEUES]; /* row of the table of jobs for each queue in use */
	const struct driver_events *events;
	void *data;
	bool interactive;
	uint32_t tokens;            /* the budget of compilers for all builds together (jobserver.h); 0: none */
	const char *fifo_prefix;    /* of its named pipes, each with a job's id behind it; must outlive the driver; NULL: none */
	int64_t tick_us;            /* 0: no ticks */
	int64_t retry_delay_us;     /* before a second attempt, then doubled each time; 0: 250 ms */
	int64_t ping_deadline_us;   /* see pool.h; 0: its default */
	int64_t patience_us;        /* from terminate to SIGKILL of what is left; 0: 750 ms, so that all is gone within a second */
};

/* Copies config.  0, or -errno when the loop or the journal cannot be made. */
int driver_new(struct driver **ret, const struct driver_config *config);
/* Runs until the scheduler has finished.  0 with *ret_outcome, or -errno of the loop.  May be called again when work was
 * added after (sched_retry_failed and the like on driver_sched); with none it gives the same outcome again at once. */
int driver_run(struct driver *driver, enum sched_outcome *ret_outcome);
/* Ends what still lives.  NULL accepted. */
void driver_free(struct driver *driver);

/* --- from inside events, or between runs --- */

/* Commits changes of the parent's own (origin STATE_ORIGIN_PARENT) and empties them.  A full journal is started anew. */
void driver_commit(struct driver *driver, struct state_changes *changes);
/* For sched_change, sched_retry_failed, sched_set_*, and the counters; not for its other events. */
struct sched *driver_sched(struct driver *driver);
void driver_quit(struct driver *driver);      /* nothing new starts */
void driver_terminate(struct driver *driver); /* gone within a second */
/* Stops jobs and clock while the session asks a person something; nests. */
void driver_pause(struct driver *driver);
void driver_resume(struct driver *driver);
/* Microseconds since driver_new, pauses left out. */
int64_t driver_elapsed_us(const struct driver *driver);
/* Whether it was told to terminate, by whoever and whatever. */
bool driver_terminating(const struct driver *driver);
/* The signal that made it terminate, or that came when all was over; 0: none. */
int driver_signal(const struct driver *driver);
/* Calls fn for each job that is with a worker now. */
void driver_each_job(const struct driver *driver, void (*fn)(void *data, const struct driver_job *job), void *data);
struct loop *driver_loop(struct driver *driver);
const struct pool_stats *driver_pool_stats(const struct driver *driver);

#endif
