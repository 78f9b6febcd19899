/* loop/loop.h: a small event loop on epoll.
 *
 * Knows nobody: callers embed a handle (struct loop_fd, loop_timer, loop_child, loop_task) in their own structs, register
 * it with a function, and get called back.  One loop, one thread, one process; the parent of a session has one, workers
 * have none.
 *
 * A turn has phases, always in this order:
 *   1. wait: epoll, until something is ready, a timer is due, or work was deferred (then without waiting);
 *   2. clock: the monotonic clock is read once; loop_now_us gives the same answer for the whole turn;
 *   3. timers that are due, earliest first (timers set meanwhile wait for the next turn);
 *   4. ready file descriptors, at most LOOP_EVENTS of them (what is left is ready again in the next turn);
 *   5. tasks deferred before this phase began (tasks they defer wait for the next turn).
 * So no phase can starve another, and every callback sees a stack that ends in loop_turn: nothing is called from inside
 * a function that registers, changes or removes a handle.
 *
 * A callback may remove and free any handle, its own included: events of a removed handle that are still in the turn's
 * list are dropped.  Handles are level-triggered: a callback may leave data unread.
 *
 * Functions return 0 or -errno.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include "base/util.h"

enum { LOOP_EVENTS = 64, LOOP_SIGNALS_MAX = 16 };

struct loop;

/* Fills *ret.  loop_free removes nothing from handles; all of them should be removed before (their memory is not touched
 * afterwards).  It restores the signal mask that loop_signals changed. */
int loop_new(struct loop **ret);
void loop_free(struct loop *loop);

/* One turn, waiting at most timeout_us (negative: as long as it takes).  Returns the number of callbacks made, or -errno. */
int loop_turn(struct loop *loop, int64_t timeout_us);
/* Turns until loop_stop was called.  Returns 0 or -errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* The clock as of this turn (util_now_us's clock). */
int64_t loop_now_us(const struct loop *loop);
/* Turns so far; for measurements and tests. */
uint64_t loop_turns(const struct loop *loop);

/* In a child just forked: closes the loop's own descriptors (epoll, timer, signals, children), restores the signal mask
 * from before loop_signals and frees nothing; the loop must not be used in that process any more. */
void loop_after_fork(struct loop *loop);

/* --- file descriptors --- */

struct loop_fd {
	int fd;
	uint32_t events; /* EPOLLIN, EPOLLOUT, ... as watched now; 0: only EPOLLHUP and EPOLLERR */
	/* ready: EPOLL* bits.  The fd stays the caller's. */
	void (*fn)(struct loop_fd *handle, uint32_t ready, void *data);
	void *data;
	struct loop *loop; /* private; NULL when not registered */
};

int loop_fd_add(struct loop *loop, struct loop_fd *handle, int fd, uint32_t events,
		void (*fn)(struct loop_fd *handle, uint32_t ready, void *data), void *data);
int loop_fd_watch(struct loop_fd *handle, uint32_t events);
/* Does nothing if it is not registered. Call it before the fd is closed. */
void loop_fd_remove(struct loop_fd *handle);

/* --- timers: one timerfd for all, a heap inside --- */

struct loop_timer {
	int64_t at_us; /* when, on util_now_us's clock */
	void (*fn)(struct loop_timer *timer, void *data);
	void *data;
	struct loop *loop; /* private; NULL when not set */
	uint32_t slot;     /* private */
};

/* Sets or moves a timer; it fires once, at or after at_us, and is then not set any more. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t at_us,
		    void (*fn)(struct loop_timer *timer, void *data), void *data);
void loop_timer_clear(struct loop_timer *timer);

/* --- work put off to the end of the turn --- */

struct loop_task {
	void (*fn)(struct loop_task *task, void *data);
	void *data;
	struct loop *loop;             /* private; NULL when not deferred */
	struct loop_task *next, *prev; /* private */
};

/* Runs fn once in phase 5; a task that is deferred already stays where it is. */
void loop_defer(struct loop *loop, struct loop_task *task, void (*fn)(struct loop_task *task, void *data), void *data);
void loop_task_cancel(struct loop_task *task);

/* --- children: pidfd --- */

struct loop_child {
	pid_t pid;
	int pidfd; /* the loop's; usable for pidfd_send_signal while registered */
	/* info as waitid filled it: si_code CLD_EXITED, CLD_KILLED or CLD_DUMPED, si_status.  The child has been reaped
	 * and the handle removed already. */
	void (*fn)(struct loop_child *child, const siginfo_t *info, void *data);
	void *data;
	struct loop_fd handle;          /* private */
	struct loop_child *next, *prev; /* private */
};

/* Watches and reaps a child of this process. */
int loop_child_add(struct loop *loop, struct loop_child *child, pid_t pid,
		   void (*fn)(struct loop_child *child, const siginfo_t *info, void *data), void *data);
/* Stops watching; the child is then the caller's to reap. */
void loop_child_remove(struct loop_child *child);

/* --- signals: one signalfd --- */

/* Blocks these signals in this thread and calls fn for each that arrives.  Once per loop; a NULL fn gives them back.
 * signals: at most LOOP_SIGNALS_MAX. */
int loop_signals(struct loop *loop, const int *signals, size_t count,
		 void (*fn)(struct loop *loop, const struct signalfd_siginfo *info, void *data), void *data);
/* For work that keeps the loop from turning (jobs run inline): the descriptor to poll, -1 without loop_signals, and the
 * function that calls fn for what is pending, right now and on the caller's stack.  Returns the number of signals. */
int loop_signals_fd(const struct loop *loop);
int loop_signals_pump(struct loop *loop);

#endif
