/* cas/copiers.h: a few threads that copy the bytes of a checkout's files (copiers.c).
 *
 * One caller gives files, each as two open descriptors; threads begin when there is enough for them to do, and the caller
 * helps when they fall behind.  Without a processor to spare the caller does it all, later.  Nothing may be forked between
 * _new and _end.
 */
#ifndef CAS_COPIERS_H
#define CAS_COPIERS_H

#include <time.h>

#include "cas/cas.h"

struct copy {
	int from, to; /* open at their beginnings; closed when the copy is done */
	struct digest digest;
	bool verify; /* hash what is copied */
	bool set_mode, set_times;
	mode_t mode;
	struct timespec times[2];
	char *path; /* for errors; malloc'ed, and freed by who copies */
};

struct copiers;

struct copiers *copiers_new(void);
/* Takes copy's descriptors and path over.  False once something has failed: more is not worth giving. */
bool copiers_give(struct copiers *copiers, struct copy *copy);
/* Waits until all is copied, and frees copiers.  0, or the first error, with the file it struck (its path is the caller's to
 * free, its descriptors are closed) and whether its object was not what its name says. */
int copiers_end(struct copiers *copiers, struct copy *ret_failed, bool *ret_broken);

#endif
