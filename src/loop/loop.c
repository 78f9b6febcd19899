/* loop/loop.c: turns, descriptors, timers, tasks.  See loop.h for the phases; children and signals are in watch.c. */
#include "loop/loop_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* --- timers: a binary heap by at_us --- */

static void heap_put(struct loop *loop, uint32_t slot, struct loop_timer *timer)
{
	loop->timers[slot] = timer;
	timer->slot = slot;
}

static void heap_up(struct loop *loop, struct loop_timer *timer)
{
	uint32_t slot = timer->slot;

	while (slot > 0) {
		uint32_t parent = (slot - 1) / 2;

		if (loop->timers[parent]->at_us <= timer->at_us)
			break;
		heap_put(loop, slot, loop->timers[parent]);
		slot = parent;
	}
	heap_put(loop, slot, timer);
}

static void heap_down(struct loop *loop, struct loop_timer *timer)
{
	uint32_t slot = timer->slot;

	for (;;) {
		uint32_t child = slot * 2 + 1;

		if (child >= loop->timer_count)
			break;
		if (child + 1 < loop->timer_count && loop->timers[child + 1]->at_us < loop->timers[child]->at_us)
			child++;
		if (loop->timers[child]->at_us >= timer->at_us)
			break;
		heap_put(loop, slot, loop->timers[child]);
		slot = child;
	}
	heap_put(loop, slot, timer);
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t at_us,
		    void (*fn)(struct loop_timer *timer, void *data), void *data)
{
	/* A timer set by a timer must not run in the same phase, or two of them could keep the turn for ever. */
	if (loop->in_timers && at_us <= loop->now_us)
		at_us = loop->now_us + 1;
	timer->fn = fn;
	timer->data = data;
	if (!timer->loop) {
		loop->timers = util_grow(loop->timers, &loop->timer_cap, loop->timer_count + 1, sizeof(*loop->timers));
		timer->loop = loop;
		timer->slot = loop->timer_count++;
		loop->timers[timer->slot] = timer;
	}
	assert(timer->loop == loop);
	timer->at_us = at_us;
	heap_up(loop, timer);
	heap_down(loop, timer);
}

void loop_timer_clear(struct loop_timer *timer)
{
	struct loop *loop = timer->loop;
	struct loop_timer *last;

	if (!loop)
		return;
	timer->loop = NULL;
	last = loop->timers[--loop->timer_count];
	if (last == timer)
		return;
	heap_put(loop, timer->slot, last);
	heap_up(loop, last);
	heap_down(loop, last);
}

/* Arms the timerfd only when the earliest timer is earlier than what it is armed for: a timer that moves later and later
 * (a deadline renewed by every message) costs one wake-up for nothing now and then, not a system call per message. */
static void timers_arm(struct loop *loop)
{
	struct itimerspec when = { 0 };
	int64_t at_us;

	if (loop->timer_count == 0 || (loop->armed_us && loop->timers[0]->at_us >= loop->armed_us))
		return;
	at_us = MAX(loop->timers[0]->at_us, 1);
	when.it_value.tv_sec = at_us / 1000000;
	when.it_value.tv_nsec = at_us % 1000000 * 1000;
	if (timerfd_settime(loop->timer_handle.fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		bug("timerfd_settime: %s", strerror(errno));
	loop->armed_us = at_us;
}

static void timers_fired(struct loop_fd *handle, uint32_t ready UNUSED, void *data)
{
	struct loop *loop = data;
	uint64_t count;

	/* The timers themselves ran in their own phase. */
	if (read(handle->fd, &count, sizeof(count)) == sizeof(count))
		loop->armed_us = 0;
}

static int timers_run(struct loop *loop)
{
	int called = 0;

	loop->in_timers = true;
	while (loop->timer_count > 0 && loop->timers[0]->at_us <= loop->now_us) {
		struct loop_timer *timer = loop->timers[0];

		loop_timer_clear(timer);
		timer->fn(timer, timer->data);
		called++;
	}
	loop->in_timers = false;
	return called;
}

/* --- file descriptors --- */

int loop_fd_add(struct loop *loop, struct loop_fd *handle, int fd, uint32_t events,
		void (*fn)(struct loop_fd *handle, uint32_t ready, void *data), void *data)
{
	struct epoll_event event = { .events = events, .data.ptr = handle };

	assert(!handle->loop);
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	*handle = (struct loop_fd){ .fd = fd, .events = events, .fn = fn, .data = data, .loop = loop };
	return 0;
}

int loop_fd_watch(struct loop_fd *handle, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = handle };

	assert(handle->loop);
	if (handle->events == events)
		return 0;
	if (epoll_ctl(handle->loop->epoll_fd, EPOLL_CTL_MOD, handle->fd, &event) < 0)
		return -errno;
	handle->events = events;
	return 0;
}

void loop_fd_remove(struct loop_fd *handle)
{
	struct loop *loop = handle->loop;

	if (!loop)
		return;
	handle->loop = NULL;
	/* Fails only if the fd was closed before: our own fault, since its number may be another file's by now. */
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, handle->fd, NULL) < 0)
		bug("loop_fd_remove(%d): %s", handle->fd, strerror(errno));
	/* Its event may be in the list of this very turn, and the memory may be gone when we get there. */
	for (int i = loop->event_next; i < loop->event_count; i++)
		if (loop->events[i].data.ptr == handle)
			loop->events[i].data.ptr = NULL;
}

static int fds_run(struct loop *loop)
{
	int called = 0;

	for (loop->event_next = 0; loop->event_next < loop->event_count;) {
		struct epoll_event *event = &loop->events[loop->event_next++];
		struct loop_fd *handle = event->data.ptr;

		if (!handle)
			continue;
		handle->fn(handle, event->events, handle->data);
		called++;
	}
	loop->event_next = loop->event_count = 0;
	return called;
}

/* --- tasks --- */

static void task_link(struct loop_task *list, struct loop_task *task)
{
	task->prev = list->prev;
	task->next = list;
	list->prev->next = task;
	list->prev = task;
}

static void task_unlink(struct loop_task *task)
{
	task->prev->next = task->next;
	task->next->prev = task->prev;
	task->next = task->prev = NULL;
}

void loop_defer(struct loop *loop, struct loop_task *task, void (*fn)(struct loop_task *task, void *data), void *data)
{
	task->fn = fn;
	task->data = data;
	if (task->loop)
		return;
	task->loop = loop;
	task_link(&loop->tasks, task);
}

void loop_task_cancel(struct loop_task *task)
{
	if (!task->loop)
		return;
	task->loop = NULL;
	task_unlink(task);
}

static bool tasks_empty(const struct loop_task *list)
{
	return list->next == list;
}

static int tasks_run(struct loop *loop)
{
	struct loop_task now = { .next = &now, .prev = &now };
	int called = 0;

	/* Move all to a list of our own: what they defer goes to the next turn. */
	while (!tasks_empty(&loop->tasks)) {
		struct loop_task *task = loop->tasks.next;

		task_unlink(task);
		task_link(&now, task);
	}
	while (!tasks_empty(&now)) {
		struct loop_task *task = now.next;

		loop_task_cancel(task);
		task->fn(task, task->data);
		called++;
	}
	return called;
}

/* --- turns --- */

static int wait_ms(const struct loop *loop, int64_t timeout_us)
{
	if (!tasks_empty(&loop->tasks))
		return 0;
	if (timeout_us < 0)
		return -1;
	return (int)MIN((timeout_us + 999) / 1000, INT32_MAX);
}

int loop_turn(struct loop *loop, int64_t timeout_us)
{
	int count, called = 0;

	assert(!loop->turning);
	loop->turning = true;
	timers_arm(loop);
	do
		count = epoll_wait(loop->epoll_fd, loop->events, LOOP_EVENTS, wait_ms(loop, timeout_us));
	while (count < 0 && errno == EINTR);
	if (count < 0) {
		loop->turning = false;
		return -errno;
	}
	loop->event_count = count;
	loop->now_us = util_now_us();
	loop->turns++;
	called += timers_run(loop);
	called += fds_run(loop);
	called += tasks_run(loop);
	loop->turning = false;
	return called;
}

int loop_run(struct loop *loop)
{
	int r = 0;

	loop->stopped = false;
	while (!loop->stopped && r >= 0)
		r = loop_turn(loop, -1);
	return MIN(r, 0);
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}

int64_t loop_now_us(const struct loop *loop)
{
	return loop->now_us;
}

uint64_t loop_turns(const struct loop *loop)
{
	return loop->turns;
}

int loop_new(struct loop **ret)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));
	int r, timer_fd = -1;

	loop->tasks.next = loop->tasks.prev = &loop->tasks;
	loop->children.next = loop->children.prev = &loop->children;
	loop->signal_handle.fd = loop->timer_handle.fd = -1;
	loop->now_us = util_now_us();
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd >= 0)
		timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r = timer_fd < 0 ? -errno : loop_fd_add(loop, &loop->timer_handle, timer_fd, EPOLLIN, timers_fired, loop);
	if (r < 0) {
		close_fd(timer_fd);
		close_fd(loop->epoll_fd);
		free(loop);
		return r;
	}
	*ret = loop;
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->signal_handle.fd >= 0)
		loop_signals(loop, NULL, 0, NULL, NULL);
	close_fd(loop->timer_handle.fd);
	close_fd(loop->epoll_fd);
	free(loop->timers);
	free(loop);
}
