/* tests/sim: the shipping scheduler and journal, driven by a seed.
 *
 * One number decides everything: graph, configuration, durations, results, deaths, what people do and when.  A virtual
 * clock, virtual workers; the scheduler does not know the difference.  After every event sched_check recounts the
 * scheduler's own books, and the model (model.c), which knows only the rules and computes them the slow way, says
 * whether each command was right.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/random.h"
#include "sched/sched.h"

enum { /* kinds of trouble; each can be left out, to see whether a failure needs it */
	SIM_FAILURES = 1 << 0,
	SIM_TEMPORARY = 1 << 1,
	SIM_DEATHS = 1 << 2,
	SIM_SPAWN_FAILURES = 1 << 3,
	SIM_LATE = 1 << 4, /* late, lost and doubled messages */
	SIM_USER = 1 << 5, /* quit, terminate, continue, on-error */
	SIM_SUSPEND = 1 << 6,
	SIM_LIMITS = 1 << 7,
	SIM_LATE_KEYS = 1 << 8,
	SIM_CHANGES = 1 << 9,
	SIM_EXPIRY = 1 << 10,
	SIM_RETRY = 1 << 11,
	SIM_EXCLUDED = 1 << 12,
	SIM_WINDOW = 1 << 13,
	SIM_WEIGHTS = 1 << 14,
	SIM_ROLL = 1 << 15, /* of the journal */
	SIM_KINDS = 16,
};
extern const char *const sim_kind_names[SIM_KINDS];

struct sim_graph {
	uint32_t count;
	uint32_t *build_start, *build_deps, *run_start, *run_deps;
	uint32_t *order; /* dependencies first */
	uint8_t *needs, *flags;
	uint32_t *weights;
};

struct sim_params {
	uint64_t seed;
	uint32_t elements; /* 0: the seed decides */
	uint32_t without;  /* bits of SIM_* left out */
	uint32_t state;    /* every so many-th seed carries the journal and replicas along; 0: none */
	bool trace;
	const struct sim_graph *real; /* every fifth seed takes a piece of it; NULL: none */
};

enum { SIM_HISTOGRAM = 256 };

struct sim_stats {
	uint64_t schedules, events, commands, faults, faults_by_kind[SIM_KINDS], jobs, records, turns, over_two_faults;
	uint64_t elements_at_least_50, real;
	uint64_t token_steps, builds_with_tokens; /* of the budget of compilers */
	uint64_t sizes[SIM_HISTOGRAM], fault_counts[SIM_HISTOGRAM]; /* schedules with so many elements, faults; the last: or more */
	uint64_t cells[256]; /* sched_cell */
	uint64_t outcomes[4];
};

/* ---- graph.c ---- */
/* real, if not NULL: the graph is a piece of that one, of about `count` elements. */
void sim_graph_make(struct sim_graph *graph, uint64_t *random, uint32_t count, uint32_t queues, uint32_t without,
		    const struct sim_graph *real);
/* Reads a graph from a text file (see data/): edges and order only.  Exits with a message if it cannot. */
void sim_graph_load(struct sim_graph *graph, const char *path);
void sim_graph_release(struct sim_graph *graph);

/* ---- model.c ---- */
struct model_element {
	uint8_t needs, failed, stage, back;
	bool held, outside, required, planned, built, ready;
	bool stopped, running, delayed, again; /* again: was dispatched in this queue before */
	bool announced; /* delayed, and the driver has been told to set a timer */
	uint32_t attempts;
	uint32_t temporaries, deaths, returns;
};
struct model {
	const struct sim_graph *graph;
	struct sched_config config;
	struct model_element *elements;
	uint32_t limits[SCHED_RESOURCES], ceilings[SCHED_RESOURCES], used[SCHED_RESOURCES];
	uint32_t processed[SCHED_QUEUES], skipped[SCHED_QUEUES], failed[SCHED_QUEUES];
	bool quit, terminated, suspended, expiry_wanted, expiry_running;
	uint32_t spawn_failures; /* in a row, none successful */
	uint32_t passed_over[SCHED_RESOURCES]; /* jobs of other kinds that ended while this kind could have run */
};
void model_init(struct model *model, const struct sim_graph *graph, const struct sched_config *config);
void model_release(struct model *model);
/* Recomputes who is required, planned, built, ready, and where everybody is. */
void model_update(struct model *model);
/* Each returns NULL, or what is wrong. */
const char *model_dispatch(struct model *model, const struct sched_command *command, bool worker_busy);
const char *model_done(struct model *model, enum sched_queue queue, uint32_t element, enum sched_result result,
		       uint32_t drop, bool cancelled, int verdict);
const char *model_died(struct model *model, enum sched_queue queue, uint32_t element, bool started, bool cancelled,
		       int verdict, bool known_verdict);
const char *model_change(struct model *model, uint32_t element, uint32_t needs, bool held, int verdict);
const char *model_retry(struct model *model, uint32_t element, enum sched_queue queue, int verdict);
void model_limit(struct model *model, enum sched_resource resource, uint32_t limit);
const char *model_finished(struct model *model, enum sched_outcome outcome, const struct sched *sched);
/* Nothing more to do right now: was there really nothing?  idle: workers that could take a job. */
const char *model_quiet(struct model *model, uint32_t idle, const struct sched *sched);
bool model_may_run(const struct model *model, uint32_t element, enum sched_queue *ret_queue);
bool model_settled(const struct model *model, uint32_t element); /* at the end of its way, for good or bad */

/* ---- views.c ---- */
/* Does the scheduler tell of every element what the rules say?  jobs: dispatched so far. */
const char *model_same(const struct model *model, const struct sched *sched, uint64_t jobs);

/* ---- twin.c: the journal, and a replica for each worker ---- */
struct twin;
struct twin *twin_new(uint32_t elements, uint32_t slots, bool may_roll);
void twin_free(struct twin *twin);
void twin_spawn(struct twin *twin, uint32_t slot);
void twin_gone(struct twin *twin, uint32_t slot);
/* The parent dispatches, the worker begins, the worker ends (its changes leave with the result), the parent accepts. */
void twin_dispatch(struct twin *twin, uint32_t slot, uint64_t job);
const char *twin_begin(struct twin *twin, uint32_t slot, uint64_t job);
void twin_end(struct twin *twin, uint32_t slot, uint64_t job, uint32_t element, uint64_t *random);
const char *twin_accept(struct twin *twin, uint64_t job);
void twin_parent_change(struct twin *twin, uint32_t element, uint64_t *random);
void twin_roll(struct twin *twin);
uint64_t twin_records(const struct twin *twin);
/* How often the journal went on writing elsewhere. */
uint64_t twin_turns(const struct twin *twin);

/* ---- tokens.c: the budget of compilers ---- */
/* One schedule of it, apart from the other; exits likewise. */
void sim_tokens(const struct sim_params *params, struct sim_stats *stats);

/* ---- world.c ---- */
/* Runs one schedule; exits the process with a message when something is wrong. */
void sim_run(const struct sim_params *params, struct sim_stats *stats);

#endif
