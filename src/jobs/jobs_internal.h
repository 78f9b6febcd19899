/* jobs/jobs_internal.h: logs and helpers that job functions share. */
#ifndef JOBS_JOBS_INTERNAL_H
#define JOBS_JOBS_INTERNAL_H

#include "jobs/jobs.h"

int jobs_fetch(struct worker_job *job);
int jobs_build(struct worker_job *job);

/* --- incremental.c --- */

/* What to stage instead of sources, the tree of an open workspace: the last build's build directory with the changes since
 * then.  1 and the tree's digest; 0 if this must be built afresh; <0. deps: what it is built from now. */
int jobs_incremental(const struct jobs_context *context, uint32_t element, const struct artifact_dep *deps,
		     uint32_t dep_count, const struct digest *sources, struct digest *ret);

/* --- tokens.c --- */

/* A job's tokens and the pipe they come from; zeroed: none. */
struct jobs_tokens {
	struct sandbox_jobserver pipe;
	bool taken;
};
/* Waits until the job has the tokens it needs; once for a job, later calls return at once.  *ret is set if there is a pipe
 * that make may use.  0, or -ECANCELED.  A pipe that cannot be had is no error: then the job runs as if there were no
 * budget. */
int jobs_tokens_take(struct jobs_tokens *tokens, struct worker_job *job, const struct sandbox_jobserver **ret);
/* Closes the pipe.  What is left in it the parent counts. */
void jobs_tokens_release(struct jobs_tokens *tokens);

/* --- log.c --- */
struct jobs_log {
	struct worker_job *job;
	const struct jobs_context *context;
	int fd;            /* read and append */
	const char *path;  /* in the job's arena */
	const char *title; /* "Build": first and last line */
	int64_t start_us;
	bool held;         /* lines wait in `pending`: of a job so short that nobody could read them meanwhile */
	struct buf pending; /* with held: all of the log so far */
};

/* Makes the file, writes its head and first line, sends START.  held: lines and messages may be kept together until the job
 * waits or ends (jobs_log_release).  0, or -errno with job->diag. */
int jobs_log_open(struct jobs_log *log, struct worker_job *job, const char *title, bool held);
/* What is held goes out, and nothing is held any more. */
void jobs_log_release(struct jobs_log *log);
/* Stores the log as it is now. */
int jobs_log_put(struct jobs_log *log, struct cas *cas, struct digest *ret);
/* One line (and detail) for the log file alone.  element: the one that speaks; keyless: without its key. */
void jobs_log_line(struct jobs_log *log, enum wire_kind kind, uint32_t element, bool keyless, const char *text,
		   const char *detail, int64_t elapsed_us);
/* The same, and a message to the terminal (but LOG, which stays in the file). */
void jobs_log_say(struct jobs_log *log, enum wire_kind kind, uint32_t element, bool keyless, const char *text,
		  const char *detail, int64_t elapsed_us);
/* Last line and SUCCESS or FAILURE (text and detail from job->diag when result is negative), closes the file.  Returns
 * result. */
int jobs_log_close(struct jobs_log *log, int result);

#endif
