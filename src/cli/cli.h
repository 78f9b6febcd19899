/* cli/cli.h: the only room that prints.
 *
 * It turns argv into a struct session_request by one table of commands and options (options.c), which also gives
 * `--help`, shell completion, the man page and the completion scripts; and it renders what a session reports, in the
 * format of BuildStream 2's non-interactive output, on stderr (messages), stdout (results of commands) and in the
 * files of --log-file and BST_ERROR_FILE.  Parent process, main thread.
 *
 * Exit codes are the peer's: 0, 255 for any error, 2 for a usage error, a shell's own status for `shell`.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "session/frontend.h"
#include "session/request.h"

/* Runs one invocation and returns its exit code. */
typedef int cli_run_fn(const struct session_request *request, struct session_frontend *frontend);

/* The whole program: completion if _BST_COMPLETION is set, else parse, then what cli does alone (help, version, init)
 * or run(request, frontend).  run may be NULL: then every other command fails, naming itself. */
int cli_main(int argc, char **argv, cli_run_fn *run);

#endif
