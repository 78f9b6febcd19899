/* session/jobserver.h: the pipes of the budget of compilers (sched/budget.h), one for each build that runs.
 *
 * A build's worker opens both ends by way of /proc/<parent>/fd, takes what the build needs before it begins, and hands the
 * ends to its sandbox; make takes further tokens and puts them back.  When the build is over, however it ended, the pipe is
 * closed and forgotten, and all that was given for it is free again.
 *
 * While builds run, their pipes are looked at fifty times a second: an empty one asks for more, what lies unused goes to
 * others.  Nothing is said to the worker: the pipe is all there is.
 *
 * Parent process; on the loop of its driver.
 */
#ifndef SESSION_JOBSERVER_H
#define SESSION_JOBSERVER_H

#include "loop/loop.h"

struct jobserver;

/* tokens: the budget; builds: how many there may be (worker slots); fifo_prefix: absolute path that named pipes begin with, a directory
 * and "WORD-NUMBER-", the number this process's (kept, not copied), or NULL: there are none.  What sessions that were killed
 * have left there (WORD-...) is removed after a day. */
struct jobserver *jobserver_new(struct loop *loop, uint32_t tokens, uint32_t builds, const char *fifo_prefix);
/* Closes all pipes.  NULL accepted. */
void jobserver_free(struct jobserver *server);
/* In a forked child: closes the pipes, frees nothing. */
void jobserver_after_fork(struct jobserver *server);

struct jobserver_pipe {
	uint32_t tokens; /* to be read before commands start */
	int read_fd, write_fd; /* the parent's */
};
/* What a build that begins needs and can use. */
struct jobserver_build {
	uint32_t want, most;
	uint64_t fifo; /* not 0: its pipe is a named one, with this number behind the prefix */
};
/* 0 with *ret filled, or -errno (no pipe: it is then to run without a budget). */
int jobserver_join(struct jobserver *server, uint32_t slot, const struct jobserver_build *build, struct jobserver_pipe *ret);
/* What was in this slot is over; nothing happens if nothing was. */
void jobserver_leave(struct jobserver *server, uint32_t slot);

/* For --debug and tests: tokens given to builds now. */
uint32_t jobserver_given(const struct jobserver *server);

#endif
