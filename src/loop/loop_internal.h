/* loop/loop_internal.h: the loop's own parts, shared by loop.c and watch.c. */
#ifndef LOOP_LOOP_INTERNAL_H
#define LOOP_LOOP_INTERNAL_H

#include "loop/loop.h"

struct loop {
	int epoll_fd;
	int64_t now_us;
	uint64_t turns;
	bool stopped, turning, in_timers;

	struct epoll_event events[LOOP_EVENTS];
	int event_next, event_count; /* of the list being worked on */

	struct loop_timer **timers; /* heap */
	size_t timer_cap;
	uint32_t timer_count;
	struct loop_fd timer_handle;
	int64_t armed_us; /* what the timerfd is set to; 0: not armed */

	struct loop_task tasks;     /* list head */
	struct loop_child children; /* list head */

	struct loop_fd signal_handle;
	void (*signal_fn)(struct loop *loop, const struct signalfd_siginfo *info, void *data);
	void *signal_data;
	sigset_t old_mask;
};

#endif
