/* session/test_rig.h: a project of the test's own for whole pipelines through scheduler, pool, wire and state: every element
 * builds; its build reads what its dependencies' builds wrote.
 *
 * One run at a time.  marks is a directory between make_marks and drop_marks.
 */
#ifndef SESSION_TEST_RIG_H
#define SESSION_TEST_RIG_H

#include "session/driver.h"

enum { MAX_ELEMENTS = 400 };
/* Longer than any machine is too busy for. */
enum { PATIENT_US = 30000000 };

struct project {
	uint32_t count;
	uint32_t start[MAX_ELEMENTS + 1], deps[MAX_ELEMENTS * 3];
	uint8_t needs[MAX_ELEMENTS];
	const char *marks; /* a directory where jobs leave files that outlive their worker */
	/* by element: what its build does */
	enum { GOOD, BAD, DIES_ONCE, DIES, TEMPORARY, WAITS, DEAF, OWN_KEY, FETCH_DIES, SLOW } behaviour[MAX_ELEMENTS];
};

struct run {
	struct project project;
	struct sched_graph plan;
	struct graph graph;
	struct state *state;
	struct driver *driver;
	struct driver_config config;
	uint32_t started, ends[DRIVER_RETURNED + 1], messages, interrupts, ticks, lost;
	uint32_t open; /* started and not ended */
	enum driver_answer answer;
	int64_t thinks_us, longest_us; /* before the answer comes; told of a job */
	int signal_at_start; /* sent to ourselves when the first build starts */
	uint32_t signals_left;
	int second_signal; /* sent when the first was heeded */
	int signal_on_failure; /* sent when a job has failed */
	bool fetched; /* all sources are there */
	char lost_text[256];
	enum sched_outcome outcome;
	int64_t took_us;
};

extern char marks[64];
int make_marks(void **unused);
int drop_marks(void **unused);

/* All in order, nothing special; change what the test is about, then go. */
struct run *new_run(enum sched_mode mode, uint32_t count);
/* Runs to the end; every job that started has ended, and the scheduler's accounts are right. */
void go(struct run *run);
/* No child is left. */
void end_run(struct run *run);

#endif
