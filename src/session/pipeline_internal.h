/* session/pipeline_internal.h: what the files of a running pipeline share. */
#ifndef SESSION_PIPELINE_INTERNAL_H
#define SESSION_PIPELINE_INTERNAL_H

#include "jobs/jobs.h"
#include "session/driver.h"
#include "session/pipeline.h"
#include "session/stats.h"
#include "session/workspaces.h"

struct pipeline_queue {
	const char *action, *complete; /* the peer's names (queues' action_name, complete_name) */
	enum jobs_type job;
};
extern const struct pipeline_queue pipeline_queues[SCHED_QUEUES];

struct pipeline_run {
	const struct session_pipeline *pipeline;
	struct session *session;
	struct driver *driver;
	struct jobs_context context;
	struct session_stats stats;
	uint32_t tokens;  /* the budget of compilers; 0: none */
	uint32_t cpus;
	struct jobs_programs programs;       /* with tokens: which makes and ninjas there are */
	struct jobs_parallelism parallelism; /* of the build that is being dispatched */
	bool lost;        /* a worker died, and its sandbox was left as it was */
	bool *retried;    /* by element: a person wants the failed build to run again; allocated with the first */
	struct session_workspaces workspaces; /* loaded if one of the elements has one */
	struct diag last; /* why the last job failed; its domain and reason are valid in pipeline_on_ended only */
};

/* Of struct driver_events; data is a struct pipeline_run. */
void pipeline_on_message(void *data, const struct driver_job *job, const struct wire_message *message);
void pipeline_on_ended(void *data, const struct driver_job *job, enum driver_end end, const struct wire_result *result,
		       const char *lost);
/* As under the peer: who said --on-error is not asked. */
bool pipeline_asks_about_failures(const struct session *session);

#endif
