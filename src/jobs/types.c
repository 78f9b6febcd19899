/* The table of jobs: see jobs.h. */
#include "jobs/jobs_internal.h"

const struct worker_type jobs_types[JOBS_TYPES] = {
	[JOBS_FETCH] = { .name = "fetch", .run = jobs_fetch },
	[JOBS_BUILD] = { .name = "build", .run = jobs_build },
};
