/* session/workspace.h: opening and closing workspaces, for the commands that do it. */
#ifndef SESSION_WORKSPACE_H
#define SESSION_WORKSPACE_H

#include "session/workspaces.h"

/* Loads these elements anew and opens workspaces for them.  directory NULL: one below `workspacedir` for each.  workspaces
 * (all zero, or loaded before) is as written to workspaces.yml afterwards. */
int session_workspace_begin(struct session_workspaces *workspaces, struct session *session,
			    const struct session_strings *names, const char *directory, bool no_checkout, bool force);
/* Closes one that is open: out of the list and the file, and away with its directory if wanted. */
int session_workspace_end(struct session_workspaces *workspaces, const char *element, bool remove_dir);

#endif
