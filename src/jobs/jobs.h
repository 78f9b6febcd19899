/* jobs/jobs.h: the work itself, as workers run it.
 *
 * A job is work and its result; who runs it (a long-lived worker, a fork of its own, the parent itself) it cannot tell.
 * What it needs comes with struct worker_job: the loaded graph, the pipeline state as of its dispatch, an arena, and the
 * session's read-only struct jobs_context.  What earlier jobs made (digests, keys, public data of dependencies) is taken
 * from that state only; nothing here looks an artifact's record up on disk.  In test builds (-Dno_lookup=true) the
 * artifacts room aborts if a job tries.
 *
 * Each job keeps a log file, <logdir>/<project>/<normal name>/<key>-<action>.<date>-<time>.log, and reports START and
 * SUCCESS or FAILURE messages that name it.
 *
 * Runs in workers (inline mode: in the parent).
 */
#ifndef JOBS_JOBS_H
#define JOBS_JOBS_H

#include "artifacts/artifacts.h"
#include "base/map.h"
#include "elements/elements.h"
#include "project/project.h"
#include "workers/worker.h"

/* Index into jobs_types; the first ones as in enum sched_queue's order of an element's way. */
enum jobs_type { JOBS_FETCH, JOBS_BUILD, JOBS_TYPES };
extern const struct worker_type jobs_types[JOBS_TYPES];

enum jobs_flags {
	JOBS_RETRY_FAILED = 1,  /* build: build again what failed before, instead of failing again at once */
	JOBS_FETCH_ORIGINAL = 2, /* fetch: the original files too, not only the staged tree */
	JOBS_JOBSERVER = 4,      /* build: its make may take more tokens than the job itself */
	JOBS_JOBSERVER_FIFO = 8  /* with that: by way of a named pipe */
};

/* The last build of an element with an open workspace. */
struct jobs_last_build {
	uint32_t element;
	struct artifact artifact; /* buildtree and sources are there */
};

/* What all jobs of a session share; made before the first fork, changed never. */
struct jobs_context {
	const struct graph *graph;
	struct cas *cas;
	struct cas_statcache *statcache; /* with which the project was loaded, or NULL */
	struct sandbox_host *sandbox;
	const struct project_loader *loader; /* where sources may be had: mirrors, aliases; NULL: as translated only */
	pid_t parent;            /* whose pipes struct worker_job's are; 0: there are none */
	const char *logdir;      /* absolute */
	const char *sourcedir;   /* absolute */
	const char *tmpdir;      /* absolute; scratch of source kinds */
	const char *fifo_prefix; /* absolute; named pipes are this and the job's id */
	uint32_t key_length;     /* of keys in log files */
	uint32_t network_retries; /* so often is a job tried again after a failure that may pass */
	enum elements_buildtrees buildtrees;
	const struct jobs_last_build *last_builds;
	uint32_t last_build_count;
};

/* Programs that an element may build with, as far as jobservers are concerned.  FIFO: ask one that is a named pipe. */
enum jobs_program { JOBS_MAKE_OLD = 1, JOBS_MAKE_FIFO = 2, JOBS_NINJA_OLD = 4, JOBS_NINJA_FIFO = 8 };
/* What was found, by digest; zeroed: nothing yet. */
struct jobs_programs {
	struct strmap trees, files;
	struct arena arena;
};
/* Bits of enum jobs_program: in a tree; in all that is staged for an element, whose dependencies are built. */
uint32_t jobs_programs_in(struct jobs_programs *programs, struct cas *cas, const struct digest *tree);
uint32_t jobs_programs_of(struct jobs_programs *programs, struct cas *cas, const struct graph *graph, const struct state *state,
			  uint32_t element);
void jobs_programs_release(struct jobs_programs *programs);

/* How parallel an element's commands are by themselves, found by reading them. */
struct jobs_parallelism {
	uint32_t tokens; /* of the budget of compilers it needs before it begins: 1, or as many processes as it starts anyhow */
	uint32_t most;   /* that it can use: its -jN, where make or ninja ask for tokens; else as before */
	bool fifo;       /* if they ask: a named pipe */
};
/* cpus: what tools without a number take.  programs: bits of enum jobs_program. */
void jobs_parallelism(const struct graph_element *element, uint32_t cpus, uint32_t programs, struct jobs_parallelism *ret);

/* What state keeps of an artifact's record. */
void jobs_artifact_state(struct state_artifact *ret, const struct artifact *artifact);
/* Sets has_public_data and so on back from state: enough to read the public data. */
int jobs_public_data(struct cas *cas, const struct state_artifact *artifact, struct arena *arena,
		     const struct yaml_node **ret, struct diag *diag);

#endif
