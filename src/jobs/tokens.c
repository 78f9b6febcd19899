/* A build's tokens of the budget of compilers: it takes what it needs out of its pipe before it runs commands, and its make
 * takes more from the same pipe while they run.
 *
 * The pipe is the parent's.  It is opened by way of /proc, so that file descriptions are not shared: whether reading waits is
 * a property of the description, and make (from 4.3 on) changes it for its own.  A named one the sandbox shows as a file, which
 * make opens by itself.
 */
#include "jobs/jobs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum { FD_FROM = 100 }; /* numbers that no shell script uses */

static int open_end(const struct worker_job *job, int number, int flags)
{
	const struct jobs_context *context = job->context;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)context->parent, number);
	return open(path, flags | O_CLOEXEC);
}

/* An end for make: blocking, with a number that is out of the way. */
static int open_high(const struct worker_job *job, int number, int flags)
{
	_cleanup_close_ int fd = open_end(job, number, flags);

	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_FROM);
}

/* Reads `tokens` bytes, one at a time, as they come. */
static int take_all(struct worker_job *job, int fd)
{
	for (uint32_t have = 0; have < job->tokens;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		char byte;
		int r = worker_wait(job, &poll_fd, 1, -1);

		if (r < 0)
			return r;
		if (read(fd, &byte, 1) == 1)
			have++;
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return 0;
}

static void set_pipe(struct jobs_tokens *tokens, struct worker_job *job)
{
	const struct jobs_context *context = job->context;

	if (job->flags & JOBS_JOBSERVER_FIFO) {
		tokens->pipe.fifo = arena_printf(job->arena, "%s%" PRIu64, context->fifo_prefix, job->id);
		return;
	}
	tokens->pipe.read_fd = open_high(job, job->pipe_read, O_RDONLY);
	tokens->pipe.write_fd = open_high(job, job->pipe_write, O_WRONLY);
}

int jobs_tokens_take(struct jobs_tokens *tokens, struct worker_job *job, const struct sandbox_jobserver **ret)
{
	int fd, r;

	if (!job->tokens)
		return 0;
	if (!tokens->taken) {
		tokens->taken = true;
		fd = open_end(job, job->pipe_read, O_RDONLY | O_NONBLOCK);
		if (fd < 0)
			return 0;
		r = take_all(job, fd);
		close_fd(fd);
		if (r == -ECANCELED)
			return r;
		if (r == 0)
			set_pipe(tokens, job);
	}
	if (job->flags & JOBS_JOBSERVER && (tokens->pipe.fifo || (tokens->pipe.read_fd > 0 && tokens->pipe.write_fd > 0)))
		*ret = &tokens->pipe;
	return 0;
}

void jobs_tokens_release(struct jobs_tokens *tokens)
{
	if (tokens->pipe.read_fd > 0)
		close(tokens->pipe.read_fd);
	if (tokens->pipe.write_fd > 0)
		close(tokens->pipe.write_fd);
	*tokens = (struct jobs_tokens){ 0 };
}
