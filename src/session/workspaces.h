/* session/workspaces.h: which elements have an open workspace, as kept in the project.
 *
 * <project>/.bst2/workspaces.yml:    format-version: 4, workspaces: {<full element name>: {path, last_build?}}; a path
 *                                    inside of the project is relative to it.
 * <workspace>/.bstproject.yaml:      format-version: 1, projects: [{project-path, element-name}]; by it commands given in
 *                                    the workspace find project and element.
 *
 * Parent only.  Texts live in the session's arena.
 */
#ifndef SESSION_WORKSPACES_H
#define SESSION_WORKSPACES_H

#include "session/session_internal.h"

struct session_workspace {
	const char *element;    /* full name */
	const char *path;       /* as in the file */
	const char *last_build; /* key of the last build, NULL: none */
};

struct session_workspaces {
	struct session *session;
	const char *project; /* absolute path of the project */
	struct session_workspace *items;
	uint32_t count;
	size_t cap;
};

/* What the loaded project has open. */
int session_workspaces_load(struct session_workspaces *ret, struct session *session);
void session_workspaces_release(struct session_workspaces *workspaces);
/* NULL if the element has none; valid until the list changes. */
struct session_workspace *session_workspaces_find(const struct session_workspaces *workspaces, const char *element);
/* Absolute path. */
const char *session_workspaces_path(const struct session_workspaces *workspaces, const struct session_workspace *workspace);
/* Adds (or replaces) one and writes .bstproject.yaml into directory (absolute). */
int session_workspaces_add(struct session_workspaces *workspaces, const char *element, const char *directory);
/* Takes one out of the list, and .bstproject.yaml out of its directory. */
void session_workspaces_remove(struct session_workspaces *workspaces, const char *element);
/* Writes workspaces.yml. */
int session_workspaces_save(const struct session_workspaces *workspaces);

#endif
