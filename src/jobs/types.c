/* The table of jobs: see jobs.h. */
#include "jobs/jobs_internal.h"

#ifdef JOBS_NO_LOOKUP
/* Test builds: a job that looks an artifact up on disk instead of in its state aborts. */
#define GUARDED(name)                                      \
	static int guarded_##name(struct worker_job *job)  \
	{                                                  \
		int r;                                     \
                                                           \
		artifact_lookup_forbidden = true;          \
		r = jobs_##name(job);                      \
		artifact_lookup_forbidden = false;         \
		return r;                                  \
	}
GUARDED(fetch)
GUARDED(build)
#define RUN(name) guarded_##name
#else
#define RUN(name) jobs_##name
#endif

const struct worker_type jobs_types[JOBS_TYPES] = {
	[JOBS_FETCH] = { .name = "fetch", .run = RUN(fetch) },
	[JOBS_BUILD] = { .name = "build", .run = RUN(build) },
};
