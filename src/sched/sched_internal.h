/* sched/sched_internal.h: what the scheduler's files share.  One struct sched; elements, jobs and workers are rows in its
 * arrays; each has a small machine of states and events, written as a table with every cell filled (plan.c, jobs.c,
 * workers.c).  next.c looks at what they left behind and says what to do.
 */
#ifndef SCHED_INTERNAL_H
#define SCHED_INTERNAL_H

#include <assert.h>

#include "sched/sched.h"

#define END ((unsigned)SCHED_EXPIRE) /* stage of an element at the end of its way */
#define NETWORK_RESOURCES (1u << SCHED_DOWNLOAD | 1u << SCHED_UPLOAD)
/* An unstarted job whose worker died goes back unfailed; a job that kills workers before they can say "started" must
 * not do so for ever. */
#define MAX_RETURNS 8
#define MAX_WORKERS 4096
#define MAX_WINDOW 16

/* The element needs one of these: it is not built. */
#define UNBUILT (SCHED_BIT(SCHED_QUERY) | SCHED_BIT(SCHED_PULL) | SCHED_BIT(SCHED_BUILD))
/* Known to need a build once these are behind it. */
#define UNKNOWN (SCHED_BIT(SCHED_TRACK) | SCHED_BIT(SCHED_QUERY) | SCHED_BIT(SCHED_PULL))

/* ---- elements ---- */

enum {
	REQUIRED = SCHED_REQUIRED,
	HELD = SCHED_HELD,
	OUTSIDE = SCHED_OUTSIDE,
	SEEN = 8,       /* came to a queue: of the session */
	PLANNED = 16,   /* must be built; its build dependencies have been made required */
	BUILT = 32,
	READY = 64,     /* built and runtime dependencies ready; the others have been told */
	ANNOUNCED = 128, /* DELAYED: the driver has been given SCHED_RETRY_IN */
	AGAIN = 256,     /* READY, or claimed: was handed out before, and goes before all that was not */
};

struct element {
	uint8_t state; /* enum sched_state */
	uint8_t stage; /* enum sched_queue it is in or would enter next; END */
	uint8_t needs; /* bits of queues; those below stage are history */
	uint8_t failed;
	uint16_t flags;
	uint16_t attempt, temporaries; /* in this queue */
	uint8_t deaths, returns;       /* likewise */
	uint8_t back;                  /* queue to go back to at the end of its way (a person asked); SCHED_QUEUES */
	uint16_t line;                 /* READY, or claimed: where it stands, or stood, among the ready */
	uint32_t weight;
	uint32_t build_wait, run_wait; /* direct dependencies that are not ready */
	uint32_t link; /* READY: next in its line; ACTIVE: slot of its job; DELAYED and not announced: next such element */
};

_Static_assert(sizeof(struct element) == 32, "half a cache line: a million of them are walked at random");

enum element_event {
	ELEMENT_REQUIRED,
	ELEMENT_CHANGED,
	ELEMENT_DEPS_READY, /* the last build dependency became ready */
	ELEMENT_CLAIMED,
	ELEMENT_UNCLAIMED,
	ELEMENT_PASSED,     /* its job ended well, or had nothing to do */
	ELEMENT_FAILED,
	ELEMENT_DELAYED,
	ELEMENT_RETURNED,   /* goes back to its queue at once */
	ELEMENT_DROPPED,
	ELEMENT_DUE,
	ELEMENT_RETRY,      /* a person wants another go */
	ELEMENT_EVENTS,
};

/* ---- jobs and workers ---- */

enum job_state { JOB_FREE, JOB_CLAIMED, JOB_SENT, JOB_STARTED, JOB_CANCELLED, JOB_STATES };
enum job_event {
	JOB_DISPATCH,
	JOB_UNCLAIM,
	JOB_START,
	JOB_SUCCESS, /* from here in the order of enum sched_result */
	JOB_SKIPPED,
	JOB_FAILURE,
	JOB_TEMPORARY,
	JOB_CANCEL_RESULT,
	JOB_DEATH,
	JOB_CANCEL, /* terminate */
	JOB_EVENTS,
};

struct job {
	uint64_t id;
	uint32_t element, worker;
	uint32_t next;        /* free list, claimed list, or jobs of one worker in dispatch order */
	uint16_t attempt;
	uint8_t state, queue;
	bool started;
};

enum worker_state { WORKER_NONE, WORKER_SPAWNING, WORKER_IDLE, WORKER_BUSY, WORKER_RETIRING, WORKER_STATES };
enum worker_event { WORKER_SPAWN, WORKER_READY, WORKER_GET, WORKER_LEAVE, WORKER_RETIRE, WORKER_DIED, WORKER_EVENTS };

struct worker {
	uint32_t incarnation;
	uint32_t first, last; /* its jobs */
	uint8_t state, count;
};

/* Sets of worker slots: the lowest is found by a look at 64 words at most. */
struct slots {
	uint64_t words[MAX_WORKERS / 64];
	uint32_t count;
};

/* Lines of ready elements: 128 for weights that are exact, 64 for each power of two above them up to 2^30. */
#define READY_LINES 1664
_Static_assert(READY_LINES % 64 == 0 && READY_LINES / 64 <= 64, "two levels of bits");

struct ready {
	struct {
		uint32_t first, last; /* if there is anybody in it */
	} lines[READY_LINES];
	uint64_t bits[READY_LINES / 64], any; /* lines, and words of bits, that are not empty */
	uint32_t count;
};

struct fifo { /* of elements, each put in at most once in a scheduler's life: so it never wraps */
	uint32_t *items, head, tail;
};

struct row { /* edges */
	const uint32_t *start, *ids;
};

enum run_mode { MODE_RUN, MODE_QUIT, MODE_TERMINATE };

struct sched {
	struct sched_config config;
	enum run_mode mode;
	bool suspended, told_finished;
	uint32_t count;
	struct element *elements;
	struct row build, run, rev_build, rev_run;
	uint32_t *rev_memory[4], *no_edges;
	struct fifo required, ready;        /* to be worked off by plan_settle */
	struct ready fresh[SCHED_QUEUES], again[SCHED_QUEUES];
	uint32_t announce_first, announce_last; /* DELAYED, not announced */

	struct job *jobs;
	uint32_t job_cap, job_free, job_count; /* job_free: the first free one, or job_cap; job_count: all but JOB_FREE */
	uint32_t claimed_first, claimed_last, claimed_count;
	uint32_t cancel_at; /* cancelled jobs from this slot on are still to be told; once terminated, no slot is taken anew */
	uint64_t next_job;

	struct worker *workers;
	struct slots idle, none, retire, room; /* retire: RETIRING, to be told; room: BUSY, may take another job */
	uint32_t room_cursor;
	uint32_t alive, spawning, retiring, busy;
	uint32_t next_incarnation, spawn_failures;

	uint32_t limits[SCHED_RESOURCES], used[SCHED_RESOURCES];
	bool exclusive_held;   /* of CACHE */
	bool expiry_wanted;
	uint8_t expiry_returns;

	struct sched_counts counts[SCHED_QUEUES];
	uint32_t session, done, failed_elements, delayed;
	uint64_t dispatched;

	uint64_t element_hits[SCHED_STATES][ELEMENT_EVENTS];
	uint64_t job_hits[JOB_STATES][JOB_EVENTS];
	uint64_t worker_hits[WORKER_STATES][WORKER_EVENTS];
};

/* ready.c */
uint32_t ready_line(uint32_t weight);
void ready_push(struct ready *ready, struct element *elements, uint32_t e);      /* to the end of its weight's line */
void ready_push_back(struct ready *ready, struct element *elements, uint32_t e); /* to the front of the line it was in */
uint32_t ready_pop(struct ready *ready, const struct element *elements);         /* not empty */

/* Where an element that is READY at its stage stands, and how many do at one. */
static inline struct ready *ready_of(struct sched *s, const struct element *el)
{
	return el->flags & AGAIN ? &s->again[el->stage] : &s->fresh[el->stage];
}
static inline uint32_t ready_count(const struct sched *s, enum sched_queue queue)
{
	return s->fresh[queue].count + s->again[queue].count;
}

/* slots.c */
void slots_add(struct slots *slots, uint32_t slot);
void slots_remove(struct slots *slots, uint32_t slot);
bool slots_has(const struct slots *slots, uint32_t slot);
uint32_t slots_lowest(const struct slots *slots);  /* not empty */
uint32_t slots_from(const struct slots *slots, uint32_t slot); /* lowest from slot on, else lowest; not empty */
uint32_t slots_highest(const struct slots *slots); /* not empty */

/* plan.c: elements */
struct change {
	uint32_t needs;
	bool held;
};
void plan_start(struct sched *s, const struct sched_graph *graph);
/* Carries out what one event set off: who became required, who became ready. */
void plan_settle(struct sched *s);
/* drop: for PASSED; change: for CHANGED; queue: for RETRY.  Returns SCHED_OK or SCHED_STALE. */
struct element_arg {
	uint32_t drop;
	struct change change;
	enum sched_queue queue;
};
int plan_event(struct sched *s, uint32_t e, enum element_event event, const struct element_arg *arg);
bool plan_possible(enum sched_state state, enum element_event event);
static inline uint32_t remaining(const struct element *el)
{
	return el->needs & ~(SCHED_BIT(el->stage) - 1);
}

/* jobs.c */
struct job *job_claim(struct sched *s, enum sched_queue queue, uint32_t element);
void job_await_worker(struct sched *s, struct job *job); /* puts a claimed job behind those that wait for a worker */
struct job *job_next_claimed(struct sched *s);           /* takes the first of them; there is one */
int job_event(struct sched *s, struct job *job, enum job_event event, uint32_t arg); /* arg: drop, or worker slot */
void jobs_unclaim_all(struct sched *s);
void jobs_cancel_all(struct sched *s);
bool jobs_possible(enum job_state state, enum job_event event);
static inline uint32_t job_slot(const struct sched *s, const struct job *job)
{
	return (uint32_t)(job - s->jobs);
}

/* workers.c */
int worker_event(struct sched *s, uint32_t w, enum worker_event event, struct job *job);
void workers_trim(struct sched *s); /* retires idle workers above the limit */
bool workers_possible(enum worker_state state, enum worker_event event);
bool workers_gave_up(const struct sched *s); /* no spawn will be tried */
bool may_share_worker(enum sched_queue queue);

/* resources.c */
void resources_claim(struct sched *s, enum sched_queue queue);
void resources_release(struct sched *s, enum sched_queue queue);
void resource_use(struct sched *s, enum sched_resource r);
void resource_leave(struct sched *s, enum sched_resource r);
bool resources_fit(const struct sched *s, enum sched_queue queue); /* all but SUBPROCESS */

/* sched.c */
void sched_stop(struct sched *s, enum run_mode mode);
void element_failed(struct sched *s); /* on_error */

#endif
