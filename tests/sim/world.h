/* The virtual world's parts: what world.c, virtual.c, people.c and carry.c share. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "sim.h"

enum event_type {
	SPAWNED,      /* message: a worker is ready */
	SPAWN_FAILED, /* message */
	BEGIN,        /* in the worker */
	FINISH,       /* in the worker */
	CANCEL,       /* in the worker */
	KILL,         /* in the worker */
	STARTED,      /* message */
	RESULT,       /* message */
	DIED,         /* message */
	DUE,          /* the driver's timer */
	PEOPLE,       /* something from outside */
	TROUBLE,      /* likewise, if the schedule has not had its share */
};

struct event {
	uint64_t time, seq, job;
	enum event_type type;
	uint32_t slot, incarnation, version;
	enum sched_result result;
	uint32_t drop, element;
	enum sched_queue queue;
};

struct wjob {
	uint64_t id;
	uint32_t element, version, drop;
	enum sched_queue queue;
	enum sched_result result;
	bool begun, told_started, ended;
};

struct wworker {
	enum { GONE, COMING, ALIVE, DEAD, LEAVING } state; /* DEAD: the parent does not know yet */
	uint32_t incarnation, count;
	bool retired;
	uint64_t last_arrival;
	struct wjob jobs[16]; /* the first ones that have not ended for the parent */
};

struct world {
	const struct sim_params *params;
	struct sim_stats *stats;
	uint64_t random, now, seq;
	struct sim_graph graph;
	struct sched_config config;
	struct sched *sched;
	struct model model;
	struct twin *twin;
	struct wworker *workers;
	struct event *events;
	size_t event_count, event_cap;
	uint32_t people_left, fail_percent, temporary_percent, death_percent, faults;
	uint64_t steps, jobs;
	bool finished;
};

/* world.c: saying what happens, dice, events in time */
void trace(const struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
NORETURN void wrong(const struct world *w, const char *what);
void right(const struct world *w, const char *what); /* NULL: nothing is wrong */
uint32_t below(struct world *w, uint32_t n);
/* Draws in any case, so that leaving one kind of trouble out changes the rest as little as can be. */
bool chance(struct world *w, uint32_t kind, uint32_t per_mille);
void fault(struct world *w, uint32_t kind);
/* Trouble that is a property of the world rather than a blow: counted by kind, but not as one of a schedule's faults. */
void notice(struct world *w, uint32_t kind);
void post(struct world *w, uint64_t delay, struct event event);
/* A message of a worker to the parent: they arrive in the order in which they were sent. */
void tell_parent(struct world *w, uint32_t slot, struct event event);

/* virtual.c: workers, and what arrives in the parent */
void begin_next(struct world *w, uint32_t slot, uint64_t delay);
struct wjob *find_job(struct world *w, uint32_t slot, uint64_t id);
void choose_result(struct world *w, struct wjob *job);
void happen(struct world *w, const struct event *event);

/* people.c */
void people(struct world *w);
void trouble(struct world *w);
void babble(struct world *w);

/* carry.c: carries out what the scheduler says, until it says no more */
void commands(struct world *w);

#endif
