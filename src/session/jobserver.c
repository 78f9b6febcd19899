/* session/jobserver.c: see jobserver.h. */
#include "session/jobserver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sched/budget.h"

enum { LOOK_US = 20000, WRITE_MAX = 4096 };

struct tube {
	int read_fd, write_fd; /* non-blocking; -1: nothing runs in this slot */
	struct loop_fd handle; /* while tokens are caught */
	struct jobserver *server;
};

struct jobserver {
	struct loop *loop;
	struct budget *budget;
	struct tube *tubes;
	uint32_t tokens, count, used; /* used: tubes that are open */
	struct loop_timer timer;
};

static void settle(struct jobserver *server);

static uint32_t slot_of(const struct tube *tube)
{
	return (uint32_t)(tube - tube->server->tubes);
}

struct jobserver *jobserver_new(struct loop *loop, uint32_t tokens, uint32_t builds)
{
	struct jobserver *server = xcalloc(1, sizeof(*server));

	server->loop = loop;
	server->tokens = tokens;
	server->count = builds;
	server->budget = budget_new(tokens, builds);
	server->tubes = xcalloc(builds, sizeof(*server->tubes));
	for (uint32_t i = 0; i < builds; i++)
		server->tubes[i] = (struct tube){ .read_fd = -1, .write_fd = -1, .server = server };
	return server;
}

static void close_tube(struct tube *tube)
{
	loop_fd_remove(&tube->handle);
	tube->read_fd = close_fd(tube->read_fd);
	tube->write_fd = close_fd(tube->write_fd);
}

void jobserver_free(struct jobserver *server)
{
	if (!server)
		return;
	for (uint32_t i = 0; i < server->count; i++)
		close_tube(&server->tubes[i]);
	loop_timer_clear(&server->timer);
	budget_free(server->budget);
	free(server->tubes);
	free(server);
}

void jobserver_after_fork(struct jobserver *server)
{
	for (uint32_t i = 0; server && i < server->count; i++) {
		close_fd(server->tubes[i].read_fd);
		close_fd(server->tubes[i].write_fd);
	}
}

/* Takes up to count tokens out; make may have been faster. */
static void take(struct tube *tube, uint32_t count)
{
	char bytes[WRITE_MAX];
	ssize_t got = count ? read(tube->read_fd, bytes, MIN(count, (uint32_t)sizeof bytes)) : 0;

	if (got > 0)
		budget_took(tube->server->budget, slot_of(tube), (uint32_t)got);
}

static void on_token(struct loop_fd *handle UNUSED, uint32_t ready UNUSED, void *data)
{
	struct tube *tube = data;

	if (budget_catch(tube->server->budget, slot_of(tube)))
		take(tube, 1);
	settle(tube->server);
}

static void watch(struct tube *tube)
{
	bool wanted = tube->read_fd >= 0 && budget_catch(tube->server->budget, slot_of(tube));

	if (wanted && !tube->handle.loop)
		(void)loop_fd_add(tube->server->loop, &tube->handle, tube->read_fd, EPOLLIN, on_token, tube);
	else if (!wanted)
		loop_fd_remove(&tube->handle);
}

/* A token is a byte; make writes back the byte it has read, and starts with '+'. */
static void put(struct jobserver *server, const struct budget_move *move)
{
	char bytes[WRITE_MAX];
	uint32_t left = move->count;

	memset(bytes, '+', sizeof bytes);
	while (left) {
		ssize_t sent = write(server->tubes[move->build].write_fd, bytes, MIN(left, (uint32_t)sizeof bytes));

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0) /* a pipe holds 65,536; a full one is not filled further, and comes back when the build is over */
			return;
		left -= (uint32_t)sent;
	}
}

/* Gives what is to be given, and sees whose tokens are to be caught. */
static void settle(struct jobserver *server)
{
	struct budget_move move;

	while (budget_next(server->budget, &move))
		put(server, &move);
	for (uint32_t i = 0; i < server->count; i++)
		watch(&server->tubes[i]);
}

static void on_look(struct loop_timer *timer, void *data)
{
	struct jobserver *server = data;

	for (uint32_t i = 0; i < server->count; i++) {
		struct tube *tube = &server->tubes[i];
		int in_pipe = 0;

		if (tube->read_fd >= 0 && ioctl(tube->read_fd, FIONREAD, &in_pipe) == 0 && in_pipe >= 0)
			take(tube, budget_look(server->budget, i, (uint32_t)in_pipe));
	}
	settle(server);
	if (server->used)
		loop_timer_set(server->loop, timer, loop_now_us(server->loop) + LOOK_US, on_look, server);
}

int jobserver_join(struct jobserver *server, uint32_t slot, uint32_t want, uint32_t most, struct jobserver_pipe *ret)
{
	struct tube *tube = &server->tubes[slot];
	struct budget_view view;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	tube->read_fd = fds[0];
	tube->write_fd = fds[1];
	server->used++;
	budget_join(server->budget, slot, want, most);
	budget_view(server->budget, slot, &view);
	*ret = (struct jobserver_pipe){ view.want, fds[0], fds[1] };
	settle(server);
	if (!server->timer.loop)
		loop_timer_set(server->loop, &server->timer, util_now_us() + LOOK_US, on_look, server);
	return 0;
}

void jobserver_leave(struct jobserver *server, uint32_t slot)
{
	if (server->tubes[slot].read_fd < 0)
		return;
	close_tube(&server->tubes[slot]);
	server->used--;
	budget_leave(server->budget, slot);
	settle(server);
}

uint32_t jobserver_given(const struct jobserver *server)
{
	return server->tokens - budget_unused(server->budget);
}
