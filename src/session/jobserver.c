/* session/jobserver.c: see jobserver.h. */
#include "session/jobserver.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "sched/budget.h"

enum { LOOK_US = 20000, WRITE_MAX = 4096, FIFO_OLD_S = 24 * 3600 };

struct tube {
	int read_fd, write_fd; /* non-blocking; -1: nothing runs in this slot */
	char *fifo;            /* its name in the file system, or NULL */
	struct loop_fd handle; /* while tokens are caught */
	struct jobserver *server;
};

struct jobserver {
	struct loop *loop;
	struct budget *budget;
	struct tube *tubes;
	uint32_t tokens, count, used; /* used: tubes that are open */
	const char *fifo_prefix;
	struct loop_timer timer;
	bool fifos_ready;
};

static void settle(struct jobserver *server);

static uint32_t slot_of(const struct tube *tube)
{
	return (uint32_t)(tube - tube->server->tubes);
}

/* --- named pipes --- */

static int remove_if_old(void *data, int dirfd, const char *name)
{
	const char *prefix = strrchr(data, '/') + 1;
	struct stat st;

	/* Whatever process it was: after the first word comes a number of its own. */
	if (strncmp(name, prefix, strcspn(prefix, "-") + 1) == 0 &&
	    fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISFIFO(st.st_mode) && st.st_mtime < time(NULL) - FIFO_OLD_S)
		(void)unlinkat(dirfd, name, 0);
	return 0;
}

/* The directory of named pipes, without those that others have left. */
static int prepare_fifos(struct jobserver *server)
{
	_cleanup_free_ char *directory = xstrndup(server->fifo_prefix, (size_t)(strrchr(server->fifo_prefix, '/') - server->fifo_prefix));
	int r = fs_mkdir_p(AT_FDCWD, directory, 0755);

	if (r == 0)
		r = fs_each_name(AT_FDCWD, directory, remove_if_old, (void *)server->fifo_prefix);
	return r;
}

static int open_fifo(struct jobserver *server, struct tube *tube, uint64_t number, int fds[2])
{
	int r = server->fifos_ready ? 0 : prepare_fifos(server);

	if (r < 0)
		return r;
	server->fifos_ready = true;
	tube->fifo = xasprintf("%s%" PRIu64, server->fifo_prefix, number);
	if (mkfifo(tube->fifo, 0600) < 0) {
		r = -errno;
		util_free_p(&tube->fifo); /* whoever has this name keeps it */
		tube->fifo = NULL;
		return r;
	}
	fds[0] = open(tube->fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	fds[1] = fds[0] < 0 ? -1 : open(tube->fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	return fds[1] < 0 ? -errno : 0;
}

static void forget_fifo(struct tube *tube)
{
	if (tube->fifo)
		(void)unlink(tube->fifo);
	util_free_p(&tube->fifo);
	tube->fifo = NULL;
}

/* --- life --- */

struct jobserver *jobserver_new(struct loop *loop, uint32_t tokens, uint32_t builds, const char *fifo_prefix)
{
	struct jobserver *server = xcalloc(1, sizeof(*server));

	server->loop = loop;
	server->tokens = tokens;
	server->count = builds;
	server->fifo_prefix = fifo_prefix;
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
	forget_fifo(tube);
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

int jobserver_join(struct jobserver *server, uint32_t slot, const struct jobserver_build *build, struct jobserver_pipe *ret)
{
	struct tube *tube = &server->tubes[slot];
	struct budget_view view;
	int r, fds[2] = { -1, -1 };

	if (build->fifo && server->fifo_prefix)
		r = open_fifo(server, tube, build->fifo, fds);
	else
		r = pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
	if (r < 0) {
		close_fd(fds[0]);
		forget_fifo(tube);
		return r;
	}
	tube->read_fd = fds[0];
	tube->write_fd = fds[1];
	server->used++;
	budget_join(server->budget, slot, build->want, build->most);
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
