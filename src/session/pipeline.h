/* session/pipeline.h: runs a plan through the driver and reports it as bst does. */
#ifndef SESSION_PIPELINE_H
#define SESSION_PIPELINE_H

#include "session/plan.h"
#include "session/session_internal.h"

struct session_pipeline {
	struct session *session;
	struct session_plan *plan;
	uint8_t queues;       /* bits of enum sched_queue: shown in the summary */
	uint32_t fetch_flags; /* enum jobs_flags of fetch jobs */
	uint32_t total;       /* elements of the whole pipeline */
	const char *activity; /* "Build": START before, SUCCESS or FAIL after; NULL: part of another command, no summary */
};

/* Runs it.  0, or negative: session->diag says why, or the failures were said already and diag is empty but for its domain
 * ("stream").  The summary is printed either way. */
int session_run_pipeline(const struct session_pipeline *pipeline);

#endif
