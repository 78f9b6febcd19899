/* session/stats.h: --stats: where the time went, worker by worker. */
#ifndef SESSION_STATS_H
#define SESSION_STATS_H

#include "session/driver.h"
#include "session/session_internal.h"

struct session_worker_stats {
	uint32_t jobs;
	int64_t busy_us;               /* with a job; of that: */
	int64_t command_us, budget_us; /* inside sandboxed commands, waiting for the budget's tokens */
	int64_t wait_us;               /* between dispatch and begin, end and return */
};

struct session_stats {
	struct session_worker_stats *workers; /* by slot */
	size_t count, cap;
	struct session_worker_stats builds; /* those jobs alone, of all workers */
	int64_t before_us; /* of this process's processor time when jobs began */
};

/* Jobs begin now. */
void session_stats_begin(struct session_stats *stats);

/* A job ended; result NULL if its worker died. */
void session_stats_add(struct session_stats *stats, const struct driver_job *job, const struct wire_result *result,
		       int64_t elapsed_us);
/* A table, as a message. */
void session_stats_report(const struct session_stats *stats, struct session *session, const struct driver *driver);
void session_stats_release(struct session_stats *stats);

#endif
