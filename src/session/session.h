/* session/session.h: one invocation: load, key, plan, run, report.
 *
 * The session wires rooms together and owns nothing else: project fills the graph, keys computes, cas and artifacts are
 * asked what is there, sched and workers run what is to be done, and everything there is to say goes to the frontend.
 * Commands are functions in a table (session.c), one file for each family.
 * Parent process; returns with no worker left alive.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "session/frontend.h"
#include "session/request.h"

/* Runs the request and returns the exit code: 0, 255 for any error (said through the frontend), or for `shell` the
 * command's own status. */
int session_run(const struct session_request *request, struct session_frontend *frontend);

/* Is this command built?  cli refuses the others by name. */
bool session_has(enum session_command command);

#endif
