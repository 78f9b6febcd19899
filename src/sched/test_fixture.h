/* sched/test_fixture.h: small graphs, scripted events, expected commands.  The simulator (tests/sim) does the rest. */
#ifndef SCHED_TEST_FIXTURE_H
#define SCHED_TEST_FIXTURE_H

#include "base/buf.h"
#include "sched/sched.h"

#define ELEMENTS 16
enum { B = 1u << SCHED_BUILD, P = 1u << SCHED_PULL, F = 1u << SCHED_FETCH, T = 1u << SCHED_TRACK, U = 1u << SCHED_PUSH,
       Q = 1u << SCHED_QUERY };

struct fixture {
	struct sched *s;
	struct sched_config config;
	uint32_t build_start[ELEMENTS + 1], build_deps[ELEMENTS * ELEMENTS], run_start[ELEMENTS + 1], run_deps[ELEMENTS * ELEMENTS];
	uint8_t needs[ELEMENTS], flags[ELEMENTS];
	uint32_t weights[ELEMENTS];
	struct sched_graph graph;
	uint64_t job[ELEMENTS];      /* last dispatched, by element */
	uint32_t worker[ELEMENTS];
	uint64_t expiry;
	struct buf said;
};

/* "a b:a c:a;b": one word per element, in alphabetical order; ':' before each build dependency, ';' before each runtime
 * one.  All need `needs`; only the last is required. */
void load(struct fixture *f, const char *text, uint8_t needs);
void begin(struct fixture *f);
void end(struct fixture *f);

/* Commands as text, such as "build a on 0, spawn 1"; spawned workers are ready at once if told so. */
const char *commands(struct fixture *f, bool spawn_at_once);
#define expect(f, text) assert_string_equal(commands(f, true), text)
#define expect_slow(f, text) assert_string_equal(commands(f, false), text)

/* The job of an element that was dispatched last ends. */
int finish(struct fixture *f, char name, enum sched_result result, uint32_t drop);
#define ok(f, name) assert_int_equal(finish(f, name, SCHED_SUCCESS, 0), SCHED_OK)

struct sched_counts counts(struct fixture *f, enum sched_queue queue);
struct sched_element_view element(struct fixture *f, char name);

#endif
