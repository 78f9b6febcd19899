/* workers/test_bench.h: a pool on a bench: jobs of every kind, and what was heard of them.  For test_pool.c and test_ends.c. */
#ifndef WORKERS_TEST_BENCH_H
#define WORKERS_TEST_BENCH_H

#include "workers/workers_internal.h"

enum { ELEMENTS = 16, SLOTS = 4 };

enum job_type {
	JOB_EMPTY,
	JOB_CHANGE, /* reports an artifact whose files digest has size element + 1 */
	JOB_SEES,   /* done if the state knows the artifact of element flags, nothing to do otherwise */
	JOB_SPEAK,  /* flags messages */
	JOB_FAIL,
	JOB_RETRY, /* fails for now on the first attempt */
	JOB_WAIT,  /* until cancelled */
	JOB_CHECK, /* computes until cancelled */
	JOB_DEAF,  /* ignores everything for ever */
	JOB_DIE,   /* by signal flags; 0: exits */
	JOB_GARBAGE,
	JOB_CLOSE,
	JOB_OTHER,   /* changes another's element */
	JOB_FALSE,   /* speaks of a job it does not have */
	JOB_CHILD,   /* leaves children, one in a session of its own, and waits; their pids in the file it was given */
	JOB_LITTER,  /* the same, but ends */
	JOB_PING,    /* waits flags ms */
	JOB_FDS,     /* done if it has no descriptor above 2 but its own */
	JOB_SIGNALS, /* done if signals are as promised */
	JOB_HUNGRY,  /* takes much memory in its arena, speaks, changes */
	JOB_TYPES
};

struct bench {
	struct loop *loop;
	struct graph graph;
	struct state *state;
	struct pool *pool;
	uint64_t jobs;
	/* the last of each */
	struct wire_result result;
	char result_text[256];
	uint32_t result_slot, result_incarnation, results;
	char message_text[256];
	uint32_t messages, debugs, progresses;
	enum pool_end gone_why;
	uint64_t gone_begun;
	char gone_text[256];
	uint32_t gone_slot, gones;
};

extern int worker_fd;      /* of the worker one is in, known through the seam; -1 */
extern char pid_path[64];  /* where JOB_CHILD and JOB_LITTER leave the pids of their children */

void open_bench(struct bench *bench, enum pool_mode mode);
void close_bench(struct bench *bench);
size_t count_fds(void);
/* Returns the job's id. */
uint64_t dispatch(struct bench *bench, uint32_t slot, enum job_type type, uint32_t element, uint32_t flags);
/* Turns until *counter reaches want; gives up after two minutes. */
void until(struct bench *bench, const uint32_t *counter, uint32_t want);
void run_one(struct bench *bench, uint32_t slot, enum job_type type, uint32_t element, uint32_t flags);
/* Fork mode: a process for the next job. */
void refill(struct bench *bench, uint32_t slot, enum pool_mode mode);
/* Runs test on a bench in each mode. */
void all_modes(void (*test)(struct bench *bench, enum pool_mode mode));
/* Each worker dies at this boundary by this signal; 0: none does. */
extern enum worker_boundary die_at;
extern int die_by;
void die_hook(enum worker_boundary boundary, uint32_t incarnation, uint64_t job, int fd);

#endif
