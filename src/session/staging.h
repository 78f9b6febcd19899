/* session/staging.h: a sandbox with cached artifacts in it, for `artifact checkout` and `shell`.
 *
 * Parent only: nothing is built here, and integration commands are all that runs.
 */
#ifndef SESSION_STAGING_H
#define SESSION_STAGING_H

#include "elements/elements.h"
#include "session/session_internal.h"

struct session_staging {
	struct session *session;
	uint32_t target;           /* on whose behalf; its sandbox configuration counts */
	struct session_ids ids;    /* what is staged, in order */
	struct elements_dep *deps; /* the same, as room elements wants it */
	struct sandbox_host *host;
	struct sandbox *sandbox;
	struct elements_job job;
};

/* Sets host and job up; deps as found, which may be none.  Before any of the following. */
int session_staging_init(struct session_staging *staging);
/* Fills deps from state for ids: all of them must be cached, successful or not. */
int session_staging_deps(struct session_staging *staging);
/* The artifacts of deps into a new sandbox at "/". */
int session_staging_artifacts(struct session_staging *staging);
/* Their integration commands, in it. */
int session_staging_integrate(struct session_staging *staging);
void session_staging_release(struct session_staging *staging);

#endif
