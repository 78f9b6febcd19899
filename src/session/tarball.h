/* session/tarball.h: a stored tree as a tar file. */
#ifndef SESSION_TARBALL_H
#define SESSION_TARBALL_H

#include "session/session_internal.h"

/* Writes the tree, members named prefix + path, to path ("-": standard output), compressed as asked.  A file that exists is replaced only when the new
 * one is complete.  0, or negative with session->diag. */
int session_tarball(struct session *session, const struct digest *tree, const char *prefix, const char *path,
		    enum session_compression compression);

#endif
