/* loop/watch.c: children by pidfd, signals by signalfd, and what a forked child must let go of. */
#include <assert.h>
#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/loop_internal.h"

/* --- children --- */

static void child_forget(struct loop_child *child)
{
	loop_fd_remove(&child->handle);
	child->pidfd = close_fd(child->pidfd);
	child->prev->next = child->next;
	child->next->prev = child->prev;
	child->next = child->prev = NULL;
}

static void child_ready(struct loop_fd *handle UNUSED, uint32_t ready UNUSED, void *data)
{
	struct loop_child *child = data;
	siginfo_t info = { 0 };

	if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG) < 0) {
		if (errno != ECHILD)
			return;
		/* Somebody else reaped it: say so as an exit nobody knows the status of, rather than never. */
		info.si_pid = child->pid;
		info.si_code = CLD_KILLED;
		info.si_status = 0;
	}
	if (info.si_pid == 0)
		return;
	child_forget(child);
	child->fn(child, &info, child->data);
}

int loop_child_add(struct loop *loop, struct loop_child *child, pid_t pid,
		   void (*fn)(struct loop_child *child, const siginfo_t *info, void *data), void *data)
{
	int r;

	*child = (struct loop_child){ .pid = pid, .fn = fn, .data = data };
	child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
	if (child->pidfd < 0)
		return -errno;
	r = loop_fd_add(loop, &child->handle, child->pidfd, EPOLLIN, child_ready, child);
	if (r < 0) {
		child->pidfd = close_fd(child->pidfd);
		return r;
	}
	child->prev = loop->children.prev;
	child->next = &loop->children;
	loop->children.prev->next = child;
	loop->children.prev = child;
	return 0;
}

void loop_child_remove(struct loop_child *child)
{
	if (child->next)
		child_forget(child);
}

/* --- signals --- */

int loop_signals_fd(const struct loop *loop)
{
	return loop->signal_handle.fd;
}

int loop_signals_pump(struct loop *loop)
{
	struct signalfd_siginfo info;
	int count = 0;

	/* Bounded: a flood of signals must not hold up the turn. */
	while (count < LOOP_SIGNALS_MAX && loop->signal_handle.fd >= 0 &&
	       read(loop->signal_handle.fd, &info, sizeof(info)) == sizeof(info)) {
		loop->signal_fn(loop, &info, loop->signal_data);
		count++;
	}
	return count;
}

static void signals_ready(struct loop_fd *handle UNUSED, uint32_t ready UNUSED, void *data)
{
	loop_signals_pump(data);
}

static void signals_stop(struct loop *loop)
{
	loop_fd_remove(&loop->signal_handle);
	loop->signal_handle.fd = close_fd(loop->signal_handle.fd);
	sigprocmask(SIG_SETMASK, &loop->old_mask, NULL);
}

int loop_signals(struct loop *loop, const int *signals, size_t count,
		 void (*fn)(struct loop *loop, const struct signalfd_siginfo *info, void *data), void *data)
{
	sigset_t set;
	int fd, r;

	if (!fn) {
		if (loop->signal_handle.fd >= 0)
			signals_stop(loop);
		return 0;
	}
	assert(loop->signal_handle.fd < 0 && count <= LOOP_SIGNALS_MAX);
	sigemptyset(&set);
	for (size_t i = 0; i < count; i++)
		sigaddset(&set, signals[i]);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = loop_fd_add(loop, &loop->signal_handle, fd, EPOLLIN, signals_ready, loop);
	if (r < 0) {
		close_fd(fd);
		return r;
	}
	loop->signal_fn = fn;
	loop->signal_data = data;
	sigprocmask(SIG_BLOCK, &set, &loop->old_mask);
	return 0;
}

/* --- fork --- */

void loop_after_fork(struct loop *loop)
{
	/* No epoll_ctl here: the epoll instance is the parent's too. */
	close_fd(loop->epoll_fd);
	close_fd(loop->timer_handle.fd);
	for (struct loop_child *child = loop->children.next; child != &loop->children; child = child->next)
		close_fd(child->pidfd);
	if (loop->signal_handle.fd >= 0) {
		close_fd(loop->signal_handle.fd);
		sigprocmask(SIG_SETMASK, &loop->old_mask, NULL);
	}
}
