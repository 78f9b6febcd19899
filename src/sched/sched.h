/* sched/sched.h: decides what runs next.  Events in, commands out: no clock, no file descriptor, no allocation after
 * sched_new, nothing but base and element ids.  So a simulator can drive the very code that ships.
 *
 * An element goes through the queues of the session in their order (enum sched_queue).  `needs`, a set of queues, says
 * in which of them it has a job to run; it passes the others (they count it as skipped).  A queue's job claims
 * resources (sched_claims) from the moment it is handed to a worker, or is sure of one that is being spawned, until it
 * ends.  An element that is not required never starts.  Targets are required, and with them the runtime closure of each;
 * an element known to need a build (its query and pull are over, or it never had any) makes the runtime closures of its
 * direct build dependencies required.  Its build may start when each direct build dependency is "ready": built or cached,
 * and its own runtime dependencies ready.  All of that is two counters per element over direct edges: O(edges) in all.
 *
 * A driver joins the scheduler to workers that exist, and to a clock.  Its life, step by step:
 *
 *   1. Fill a struct sched_config and a struct sched_graph, call sched_new.  The edge arrays stay the caller's and must
 *      outlive the scheduler; needs, flags and weights are copied.  With SCHED_INLINE worker 0 exists from the start.
 *      Workers that survive from an earlier run are made known with sched_worker_ready.
 *   2. Call sched_next until it returns false, and carry out each command:
 *        SCHED_SPAWN     start a worker in slot `worker`; `incarnation` is never used twice.  Then report
 *                        sched_worker_ready, or sched_worker_died if that failed (with SCHED_FORK the process that
 *                        is to be forked may start at SCHED_DISPATCH: then report ready at once).
 *        SCHED_DISPATCH  hand job `job` (queue, element, attempt) to `worker`.  A worker runs its jobs in the order in
 *                        which they were dispatched; there is more than one only with config.window > 1.
 *        SCHED_CANCEL    tell `worker` to cancel `job`.  It still ends with sched_job_done or its worker's death.
 *        SCHED_RETIRE    let `worker` go: it has no job and gets none.  Report sched_worker_died when it is gone.
 *        SCHED_RETRY_IN  job of `element` failed for a reason that may pass: choose a delay (attempt is the number of
 *                        the attempt to come, from 2), and call sched_retry_due(element) when it is over.
 *        SCHED_FINISHED  nothing runs, nothing will: `outcome`.  Given once; work that comes later (sched_retry_failed,
 *                        sched_change, sched_request_expiry, sched_continue) makes it be given again.
 *   3. Wait.  Report each thing that happened by the event functions below, in the order in which it happened, any
 *      number of them, then go to 2.  An element's new keys, public data and so on must have been applied to the state
 *      before its sched_job_done, and what that made known about others (sched_change) be reported before the next
 *      sched_next; else FINISHED could come too early.
 *   4. When FINISHED came: read the counters, sched_free.  Workers still alive are the driver's to keep or to end.
 *
 * Nothing a worker sends can harm the scheduler: events about jobs that are over, or workers that are gone, are told
 * apart by never-reused job ids and return SCHED_STALE.  Ids of elements and workers must be in range (our own fault
 * otherwise, asserted).  Parent process; one thread.
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include "base/util.h"

struct sched;

#define SCHED_NONE UINT32_MAX

/* In the order in which an element passes them.  The order, and each queue's claims, are BuildStream's
 * (_scheduler/queues/, _stream.py), but that its cache query is a run of its own. */
enum sched_queue {
	SCHED_TRACK,
	SCHED_QUERY,
	SCHED_PULL,
	SCHED_FETCH,
	SCHED_BUILD,
	SCHED_PUSH,
	SCHED_SOURCE_PUSH,
	SCHED_EXPIRE, /* not an element's: sched_request_expiry; its jobs have element SCHED_NONE */
	SCHED_QUEUES,
};
#define SCHED_BIT(queue) (1u << (queue))
#define SCHED_ALL_QUEUES (SCHED_BIT(SCHED_EXPIRE) - 1)

enum sched_resource {
	SCHED_CACHE,      /* shared without limit, or exclusive (expiry) */
	SCHED_DOWNLOAD,   /* --fetchers */
	SCHED_PROCESS,    /* --builders */
	SCHED_UPLOAD,     /* --pushers */
	SCHED_SUBPROCESS, /* --workers: a worker that has, or is sure to get, a job.  Every job claims one; with a window
	                     the jobs of one worker share it */
	SCHED_RESOURCES,
};
#define SCHED_UNLIMITED 0

struct sched_claim {
	uint8_t shared;    /* bits of enum sched_resource */
	uint8_t exclusive;
};
extern const struct sched_claim sched_claims[SCHED_QUEUES];

enum sched_mode {
	SCHED_POOL,   /* long-lived workers, spawned on demand */
	SCHED_FORK,   /* every worker serves one job, then is retired */
	SCHED_INLINE, /* worker 0 alone, never spawned, never retired */
};

enum sched_on_error { SCHED_ON_ERROR_CONTINUE, SCHED_ON_ERROR_QUIT, SCHED_ON_ERROR_TERMINATE };

struct sched_config {
	enum sched_mode mode;
	uint8_t queues;              /* bits: the queues of this session; counts are kept for these */
	uint8_t eager;               /* bits: queues that elements enter even if not required (BuildStream: track, query) */
	enum sched_queue imperative; /* after quit, queues behind this one go on (build: pushes of what was built);
	                                SCHED_QUEUES: none do */
	enum sched_on_error on_error;
	uint32_t limits[SCHED_RESOURCES]; /* SCHED_UNLIMITED or the most at a time; SUBPROCESS: 1..max_workers, or
	                                     SCHED_UNLIMITED for max_workers */
	uint32_t max_workers;        /* worker slots 0..max_workers-1; no later limit goes above it; 1..4096 */
	uint32_t window;             /* jobs that one worker may hold at a time, 1..16; 0 means 1.  Builds and expiry never
	                                share a worker */
	uint32_t network_retries;    /* further attempts after SCHED_TEMPORARY, in queues that use the network */
	uint32_t death_retries;      /* further attempts after a worker died of, or in, a started job */
	uint32_t spawn_retries;      /* failed spawns in a row, with none successful, before giving up */
};
/* Sensible values for a build with so many builders, fetchers and pushers: pool, workers = builders + 4, all queues but
 * expiry, one further attempt after a worker's death. */
void sched_config_default(struct sched_config *config, uint32_t builders, uint32_t fetchers, uint32_t pushers);

enum sched_flag {
	SCHED_REQUIRED = 1, /* a target */
	SCHED_HELD = 2,     /* keys not known yet: may be tracked; enters no later queue before sched_change */
	SCHED_OUTSIDE = 4,  /* not in the plan (excluded): enters no queue; counts as built if it needs no QUERY, PULL, BUILD */
};

/* Elements 0..count-1 and their direct edges, as compressed rows: the build dependencies of e are
 * build_deps[build_start[e]] .. build_deps[build_start[e+1]-1], likewise runtime ones.  No edge twice in a row. */
struct sched_graph {
	uint32_t count;
	const uint32_t *build_start, *build_deps; /* count+1 offsets; NULL, NULL: no such edges */
	const uint32_t *run_start, *run_deps;
	const uint8_t *needs;    /* per element: bits of enum sched_queue */
	const uint8_t *flags;    /* per element: bits of enum sched_flag; NULL: all required */
	const uint32_t *weights; /* per element: more goes first, e.g. length of its critical path in ms; below 2^31;
	                            NULL: all equal.  Within a 64th of each other: first ready, first served */
};

/* Weights by critical path: of each element, how long the session lasts from its start on if nothing but it and what waits
 * for it were left: its duration, and the longest chain behind it.  durations, one per element, in whatever unit; uses
 * only count and edges of graph; ret_weights has room for count.  Too long is cut to what a weight may be; elements in
 * a cycle get 0.  O(elements + edges). */
void sched_weigh(const struct sched_graph *graph, const uint32_t *durations, uint32_t *ret_weights);

/* `element` lasts `duration`, which is not what it was thought to when durations and weights were made: sets both, and raises the
 * weights of what it uses, as far as its chain is now the longest behind them.  (What falls stays where it was: nobody
 * remembers the second longest.)  changed is told each new weight, e.g. for sched_set_weight.  At most some
 * 100,000 edges are walked. */
void sched_weigh_again(const struct sched_graph *graph, uint32_t *durations, uint32_t *weights, uint32_t element,
		       uint32_t duration, void (*changed)(void *data, uint32_t element, uint32_t weight), void *data);

struct sched *sched_new(const struct sched_config *config, const struct sched_graph *graph);
void sched_free(struct sched *sched);

/* ---- commands ---- */

enum sched_command_type {
	SCHED_SPAWN,
	SCHED_DISPATCH,
	SCHED_CANCEL,
	SCHED_RETIRE,
	SCHED_RETRY_IN,
	SCHED_FINISHED,
};

enum sched_outcome { /* of the whole run, BuildStream's SchedStatus; the earlier line wins where two apply */
	SCHED_END_NO_WORKERS, /* no worker could be started, and there was work left */
	SCHED_END_FAILED,     /* an element failed (and was not retried) */
	SCHED_END_TERMINATED,
	SCHED_END_SUCCESS,    /* also after quit, as there */
};

struct sched_command {
	enum sched_command_type type;
	enum sched_queue queue; /* DISPATCH, CANCEL, RETRY_IN */
	uint64_t job;           /* DISPATCH, CANCEL: never 0, never used twice */
	uint32_t worker;        /* slot: SPAWN, DISPATCH, CANCEL, RETIRE */
	uint32_t incarnation;   /* of that worker, from 1: SPAWN, DISPATCH, CANCEL, RETIRE */
	uint32_t element;       /* DISPATCH, CANCEL, RETRY_IN; SCHED_NONE for expiry */
	uint32_t attempt;       /* DISPATCH: from 1; RETRY_IN: of the attempt to come */
	enum sched_outcome outcome; /* FINISHED */
};

/* The next thing to do, or false when it is time to wait.  Must be called until then after any event. */
bool sched_next(struct sched *sched, struct sched_command *command);

/* Whether FINISHED was given and nothing has come since that could make it be given again. */
bool sched_finished(const struct sched *sched);

/* ---- events ---- */

enum { /* what an event came to */
	SCHED_OK = 0,
	SCHED_STALE = 1,    /* about something that is over: ignored */
	SCHED_RETRIED = 2,  /* the job ended badly and will get another attempt */
	SCHED_FAILED = 3,   /* the job ended for good, badly: on_error was applied */
	SCHED_RETURNED = 4, /* worker died: its job had not started and will be dispatched again, unfailed */
	SCHED_DROPPED = 5,  /* the job was cancelled; counted as skipped, as the peer does */
};

enum sched_result { /* of a job */
	SCHED_SUCCESS,
	SCHED_SKIPPED,   /* nothing to do: a pull that missed, a push of what is there already */
	SCHED_FAILURE,
	SCHED_TEMPORARY, /* failure that may pass: retried in queues that use the network, else FAILURE */
	SCHED_CANCELLED, /* because of SCHED_CANCEL; unasked it is a FAILURE */
};

/* A worker is there for its first job: after SPAWN, or one that exists already in a free slot below max_workers. */
int sched_worker_ready(struct sched *sched, uint32_t worker);
/* It is gone: after RETIRE, because its spawn failed, or unasked.  The jobs it held return, are retried or fail; the
 * result is that of the one that had started (else of its first, else SCHED_OK).  To know each job's fate, read
 * sched_worker_jobs before and sched_element_view after. */
int sched_worker_died(struct sched *sched, uint32_t worker);
/* The worker began with it.  May be left out: then a worker's death finds the job not started. */
int sched_job_started(struct sched *sched, uint64_t job);
/* It ended.  drop: bits of later queues that the element needs no more (a pull that hit: FETCH and BUILD; a query that
 * hit: PULL too); 0 for results other than SUCCESS and SKIPPED, where it is ignored.  After a failed build the element
 * goes on to the pushes, as there (a failure is cached and shared); any other failure ends its way.
 * Returns SCHED_OK, _STALE, _RETRIED, _FAILED, _DROPPED. */
int sched_job_done(struct sched *sched, uint64_t job, enum sched_result result, uint32_t drop);
/* The delay after RETRY_IN is over. */
int sched_retry_due(struct sched *sched, uint32_t element);

/* What `element` needs from now on (bits of queues it has passed or is in are ignored), and whether it is still held;
 * for elements whose keys became known.  An element counted as built stays so: it gets no QUERY, PULL, BUILD any more.
 * SCHED_STALE if it is at the end of its way: nothing could change. */
int sched_change(struct sched *sched, uint32_t element, uint32_t needs, bool held);
/* More goes first; below 2^31; counts from the next time the element becomes ready. */
void sched_set_weight(struct sched *sched, uint32_t element, uint32_t weight);
/* A new limit; running jobs are left alone, idle workers above it are retired. */
void sched_set_limit(struct sched *sched, enum sched_resource resource, uint32_t limit);
void sched_set_on_error(struct sched *sched, enum sched_on_error on_error);
/* Asks for an expiry job.  While it waits no other job that uses the cache starts.  Asking again while one waits adds
 * nothing.  Its failure is counted, and is no element's: on_error does not apply. */
void sched_request_expiry(struct sched *sched);

/* What a person, a signal or on_error wants. */
void sched_quit(struct sched *sched);      /* dispatched jobs are carried to their end, retries included; no others start, but
                                              those behind config.imperative */
void sched_terminate(struct sched *sched); /* every job is cancelled, nothing starts; cannot be taken back */
void sched_continue(struct sched *sched);  /* takes back quit */
void sched_suspend(struct sched *sched);   /* no SPAWN, DISPATCH, FINISHED before resume; CANCEL still comes.  Stopping the
                                              workers is the driver's */
void sched_resume(struct sched *sched);
/* Another go for an element that failed in `queue`, with fresh attempts; its failure is struck from the counters.
 * SCHED_STALE if it has not failed there. */
int sched_retry_failed(struct sched *sched, uint32_t element, enum sched_queue queue);

/* ---- for summaries, status lines and checks ---- */

struct sched_counts { /* of one queue */
	uint32_t total;     /* elements that came to it so far, those that pass it included */
	uint32_t processed; /* jobs that succeeded */
	uint32_t skipped;   /* passed without a job, SCHED_SKIPPED, or cancelled */
	uint32_t failed;    /* elements */
	uint32_t waiting;   /* ready for a worker */
	uint32_t running;   /* with a worker (or sure of one) */
};
void sched_counts(const struct sched *sched, enum sched_queue queue, struct sched_counts *ret_counts);

struct sched_totals {
	uint32_t elements;    /* in the graph */
	uint32_t session;     /* that came to the first queue: the peer's "Session" */
	uint32_t failures;    /* sum over queues (an element may fail to build and then to be pushed), expiry included */
	uint32_t unfinished;  /* of session: neither at the end of their way nor failed (blocked, or stopped by quit) */
	uint32_t workers;     /* alive or being spawned */
	uint64_t jobs;        /* dispatched so far */
};
void sched_totals(const struct sched *sched, struct sched_totals *ret_totals);

struct sched_job_view {
	uint64_t job;
	uint32_t element, worker, attempt; /* worker SCHED_NONE: waits for one that is being spawned */
	enum sched_queue queue;
	bool started, cancelled;
};
/* The i-th running job (i from 0 in no lasting order; false at the end).  For iteration between two events. */
bool sched_running(const struct sched *sched, uint32_t i, struct sched_job_view *ret_job);
/* By id; false if it is over. */
bool sched_job(const struct sched *sched, uint64_t job, struct sched_job_view *ret_job);
/* The i-th job that `worker` holds, in dispatch order. */
bool sched_worker_jobs(const struct sched *sched, uint32_t worker, uint32_t i, struct sched_job_view *ret_job);

enum sched_state { /* where an element is */
	SCHED_AT_REST,  /* not required (yet) */
	SCHED_KEYLESS,  /* held */
	SCHED_BLOCKED,  /* waits for dependencies to be built */
	SCHED_READY,    /* waits for resources and a worker */
	SCHED_ACTIVE,   /* has a job */
	SCHED_DELAYED,  /* waits for sched_retry_due */
	SCHED_DONE,     /* end of its way */
	SCHED_STOPPED,  /* failed, or its job was cancelled: end of its way */
	SCHED_STATES,
};
struct sched_element_view {
	enum sched_state state;
	enum sched_queue queue;  /* where in its way; SCHED_QUEUES at the end */
	uint8_t needs;           /* bits of queues still to run */
	uint8_t failed;          /* bits of queues in which it failed */
	bool required, built, ready; /* built: built or cached; ready: that, and its runtime dependencies ready */
	uint32_t attempt;        /* in this queue, of the job that runs or ran last */
};
void sched_element_view(const struct sched *sched, uint32_t element, struct sched_element_view *ret_view);
/* First element from `from` on that failed (any queue); SCHED_NONE if there is none. */
uint32_t sched_next_failed(const struct sched *sched, uint32_t from);

/* Names for people and traces: "track", "pull", ... "Fetch" as in log files is the session's affair. */
const char *sched_queue_name(enum sched_queue queue);
const char *sched_resource_name(enum sched_resource resource);

/* Verifies every invariant by recounting everything: O(elements + edges).  NULL, or what is broken (static text). */
const char *sched_check(const struct sched *sched);

/* How often each cell of the tables state x event was met, for the simulator's coverage: cell i, below sched_cell_count,
 * has a table ("job"), a state ("started"), an event ("death"), may be met or would be a bug, and has a count. */
uint32_t sched_cell_count(void);
void sched_cell(const struct sched *sched, uint32_t i, const char **ret_table, const char **ret_state,
		const char **ret_event, bool *ret_possible, uint64_t *ret_hits);

#endif
