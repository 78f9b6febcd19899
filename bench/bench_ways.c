/* bench/bench_ways.c: other ways to hand out jobs and to pass on what they changed, built to be measured.
 *
 * usage: bench_ways [--dispatch credit|queue] [--state none|journal|broadcast|carried] [--workers N] [--jobs N] [--window N]
 *                   [--sleep US] [--records N] [--kill] [--uneven]
 *   --dispatch  credit: the parent sends each job to one worker, which may hold as many as --window says;
 *               queue: one socket from which all workers take when they are ready, filled with as many jobs as all windows
 *               together (the proposal's picture); answers come on a socket for each
 *   --state     how one worker's change (an artifact: one record) gets to the others:
 *               journal: as shipped, in shared memory, with a position in each dispatch;
 *               broadcast: the parent sends the very bytes of each result on to every worker but the sender, at once;
 *               carried: each dispatch brings the records of all elements the job may look at (--records of them)
 *   --kill      when a third of the jobs is done, one worker is killed with SIGKILL: what was lost, when is that known?
 *   --uneven    every eighth job takes ten times as long as --sleep says
 * The shipping wire and state, real processes and sockets, one loop without scheduler: differences are between the ways.
 * At the end every worker tells what its copy of the state has come to, and the parent compares.  Prints one line of JSON.
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "state/state.h"
#include "wire/wire.h"

enum { WORKERS_MAX = 64, WINDOW_MAX = 16, ELEMENTS = 10000, PACKET_MAX = 1 << 20 };
enum dispatch { CREDIT, QUEUE };
enum way { NONE, JOURNAL, BROADCAST, CARRIED };

struct link { /* to one worker */
	int fd;       /* -1: gone */
	pid_t pid;
	uint64_t holds[WINDOW_MAX]; /* jobs it was sent and has not answered; only with credit does the parent know */
	uint32_t held;
	uint64_t last_answer, followed; /* followed: the journal, at least so far */
	struct buf waiting; /* packets its socket had no room for: u32 length, bytes */
	size_t waiting_from;
};

struct bench {
	enum dispatch dispatch;
	enum way way;
	uint32_t workers, jobs, window, records;
	int64_t sleep_us;
	bool kill, uneven;
	struct state *state;
	struct link links[WORKERS_MAX];
	int queue_fd, queue_read_fd, epoll_fd;
	struct buf out;
	struct state_changes changes;
	struct wire_inbox inbox;
	uint64_t next, queued_last;            /* ids from 1 */
	uint32_t started, done, in_flight;
	struct buf redo;                       /* u32 element of each lost job */
	uint64_t bytes, state_packets;
	uint32_t *flying;                      /* by job: its element + 1 while it is under way.  The queue's parent knows no more */
	uint64_t *as_of;                       /* by job */
	/* after a death */
	int64_t killed_us, known_us;
	uint64_t suspects[WORKERS_MAX * WINDOW_MAX];
	uint32_t suspect_count, suspects_at_first, lost;
};

static void die(const char *what)
{
	fprintf(stderr, "bench_ways: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- a worker --- */

struct worker {
	const struct bench *bench;
	int fd, take_fd;
	struct state *state;
	char *packet;
	struct buf out;
	struct state_changes changes;
};

/* A number that stands for all of a copy: equal copies, equal numbers. */
static uint64_t sum_of(const struct state *state)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < state_element_count(state); i++) {
		const struct state_element *element = state_get(state, i);

		sum = (sum ^ ((uint64_t)element->artifact.files.size_bytes << 20 ^ element->changes)) * 1099511628211u;
	}
	return sum;
}

static void apply(struct state *state, const void *bytes, uint32_t size_bytes, uint32_t count)
{
	if (count > 0 && state_commit(state, STATE_ORIGIN_PARENT, bytes, size_bytes, count) < 0)
		die("apply");
}

/* Behind the dispatch: u32 count, u32 bytes, the records. */
static void apply_carried(struct worker *worker, size_t at, size_t len)
{
	uint32_t head[2];

	while (at < len) {
		memcpy(head, worker->packet + at, sizeof(head));
		apply(worker->state, worker->packet + at + sizeof(head), head[1], head[0]);
		at += sizeof(head) + head[1];
	}
}

static void work(struct worker *worker, const struct wire_dispatch *dispatch)
{
	const struct bench *bench = worker->bench;
	int64_t us = bench->sleep_us * (bench->uneven && dispatch->job % 8 == 0 ? 10 : 1);
	struct timespec time = { us / 1000000, us % 1000000 * 1000 };
	struct wire_any any = { .type = WIRE_RESULT, .result = { .job = dispatch->job, .outcome = WIRE_DONE } };
	struct state_artifact artifact = { .outcome = STATE_ARTIFACT_SUCCESS };

	if (us > 0)
		nanosleep(&time, NULL);
	state_changes_clear(&worker->changes);
	if (bench->way != NONE) {
		artifact.files.size_bytes = (int64_t)dispatch->job;
		(void)state_change_artifact(&worker->changes, dispatch->element, &artifact);
		if (bench->way == JOURNAL)
			state_keep(worker->state, worker->changes.bytes.data, worker->changes.bytes.len);
		else
			apply(worker->state, worker->changes.bytes.data, (uint32_t)worker->changes.bytes.len, 1);
	}
	any.result.changes = worker->changes.count ? worker->changes.bytes.data : NULL;
	any.result.change_bytes = (uint32_t)worker->changes.bytes.len;
	any.result.change_count = worker->changes.count;
	if (wire_send(worker->fd, &any, &worker->out, 0) < 0)
		_exit(1);
}

static void leave(struct worker *worker)
{
	struct wire_any any = { .type = WIRE_PONG, .number = { sum_of(worker->state) } };

	_exit(wire_send(worker->fd, &any, &worker->out, 0) < 0);
}

static void act(struct worker *worker, size_t len)
{
	struct wire_any any;

	/* What is behind a dispatch is not the wire's. */
	if (wire_decode(&any, worker->packet, MIN(len, (size_t)wire_size(worker->packet))) < 0)
		die("a packet makes no sense");
	if (any.type == WIRE_RESULT) { /* somebody else's */
		apply(worker->state, any.result.changes, any.result.change_bytes, any.result.change_count);
		return;
	}
	if (any.type == WIRE_PING) { /* the last one: the state as of now */
		if (worker->bench->way == JOURNAL && state_follow(worker->state, any.number.number, NULL, NULL) < 0)
			die("journal");
		leave(worker);
	}
	if (worker->bench->way == CARRIED)
		apply_carried(worker, wire_size(worker->packet), len);
	if (worker->bench->way == JOURNAL && state_follow(worker->state, any.dispatch.as_of, NULL, NULL) < 0)
		die("journal");
	work(worker, &any.dispatch);
}

static NORETURN void worker_process(const struct bench *bench, int fd, uint32_t number)
{
	struct worker worker = { .bench = bench, .fd = fd, .take_fd = bench->dispatch == QUEUE ? bench->queue_read_fd : fd,
				 .state = bench->state, .packet = xmalloc(PACKET_MAX) };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (bench->way == JOURNAL && state_attach(worker.state, number + 1) < 0)
		die("journal");
	for (;;) {
		ssize_t len = recv(worker.take_fd, worker.packet, PACKET_MAX, 0);

		if (len > 0) {
			act(&worker, (size_t)len);
		} else if (worker.take_fd != fd) { /* the queue is closed: the last word comes on the other socket */
			worker.take_fd = fd;
		} else {
			_exit(0);
		}
	}
}

/* --- the parent: packets out --- */

static void watch(struct bench *bench, uint32_t number, uint32_t events, int how)
{
	struct epoll_event event = { .events = events, .data.u32 = number };

	if (epoll_ctl(bench->epoll_fd, how, bench->links[number].fd, &event) < 0)
		die("epoll");
}

/* Sends, or keeps it until there is room: a worker that is at work reads nothing. */
static void post(struct bench *bench, uint32_t number, const void *data, uint32_t len)
{
	struct link *link = &bench->links[number];

	bench->bytes += len;
	if (link->waiting.len == 0 && send(link->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len)
		return;
	if (link->waiting.len == 0 && errno != EAGAIN)
		return; /* it is gone: its end is to be read */
	if (link->waiting.len == 0)
		watch(bench, number, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
	buf_add(&link->waiting, &len, sizeof(len));
	buf_add(&link->waiting, data, len);
}

static void post_waiting(struct bench *bench, uint32_t number)
{
	struct link *link = &bench->links[number];

	while (link->waiting_from < link->waiting.len) {
		const char *at = link->waiting.data + link->waiting_from;
		uint32_t len;

		memcpy(&len, at, sizeof(len));
		if (send(link->fd, at + sizeof(len), len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			return;
		link->waiting_from += sizeof(len) + len;
	}
	buf_clear(&link->waiting);
	link->waiting_from = 0;
	watch(bench, number, EPOLLIN, EPOLL_CTL_MOD);
}

/* The elements a job may look at, from the parent's array. */
static void add_carried(struct bench *bench, uint32_t element)
{
	for (uint32_t done = 0; done < bench->records;) {
		uint32_t head[2];

		state_changes_clear(&bench->changes);
		for (; done < bench->records; done++) {
			uint32_t dep = (element + ELEMENTS - done % ELEMENTS) % ELEMENTS;

			if (state_change_artifact(&bench->changes, dep, &state_get(bench->state, dep)->artifact) < 0)
				break; /* as much as fits into one message's changes; the next follows */
		}
		head[0] = bench->changes.count;
		head[1] = (uint32_t)bench->changes.bytes.len;
		buf_add(&bench->out, head, sizeof(head));
		buf_add(&bench->out, bench->changes.bytes.data, bench->changes.bytes.len);
	}
}

static uint32_t next_element(struct bench *bench)
{
	uint32_t element = bench->started % ELEMENTS;

	if (bench->redo.len == 0) {
		bench->started++;
		return element;
	}
	bench->redo.len -= sizeof(element);
	memcpy(&element, bench->redo.data + bench->redo.len, sizeof(element));
	return element;
}

/* number: whose it is; with the queue, nobody knows. */
static void send_job(struct bench *bench, uint32_t number)
{
	struct wire_any any = { .type = WIRE_DISPATCH, .dispatch = { .job = ++bench->next, .attempt = 1 } };
	struct link *link = &bench->links[number];

	any.dispatch.element = next_element(bench);
	any.dispatch.as_of = bench->way == JOURNAL ? state_position(bench->state) : 0;
	wire_encode(&bench->out, &any);
	if (bench->way == CARRIED)
		add_carried(bench, any.dispatch.element);
	bench->in_flight++;
	bench->flying[bench->next] = any.dispatch.element + 1;
	bench->as_of[bench->next] = any.dispatch.as_of;
	if (bench->dispatch == CREDIT) {
		link->holds[link->held++] = bench->next;
		post(bench, number, bench->out.data, (uint32_t)bench->out.len);
		return;
	}
	bench->bytes += bench->out.len;
	if (send(bench->queue_fd, bench->out.data, bench->out.len, MSG_NOSIGNAL) < 0)
		die("queue");
}

static bool more(const struct bench *bench)
{
	return bench->started < bench->jobs || bench->redo.len > 0;
}

/* --- the parent: a death --- */

static void job_is_lost(struct bench *bench, uint64_t job)
{
	uint32_t element = bench->flying[job] - 1;

	bench->flying[job] = 0;
	bench->in_flight--;
	bench->lost++;
	buf_add(&bench->redo, &element, sizeof(element));
}

/* Of the shared queue: a job is lost when everybody alive has answered one that was taken later.  Until then whoever is
 * silent may have it. */
static void narrow(struct bench *bench)
{
	uint64_t all_beyond = UINT64_MAX;
	uint32_t left = 0;

	if (bench->suspect_count == 0)
		return;
	for (uint32_t i = 0; i < bench->workers; i++)
		if (bench->links[i].fd >= 0)
			all_beyond = MIN(all_beyond, bench->links[i].last_answer);
	for (uint32_t i = 0; i < bench->suspect_count; i++) {
		uint64_t job = bench->suspects[i];

		if (!bench->flying[job])
			continue; /* answered */
		if (job < all_beyond)
			job_is_lost(bench, job);
		else
			bench->suspects[left++] = job;
	}
	bench->suspect_count = left;
	if (left == 0)
		bench->known_us = util_now_us();
}

static void worker_died(struct bench *bench, uint32_t number)
{
	struct link *link = &bench->links[number];

	if (!bench->kill || bench->killed_us == 0)
		die("a worker has died");
	waitpid(link->pid, NULL, 0);
	link->fd = close_fd(link->fd);
	if (bench->dispatch == CREDIT) {
		bench->suspects_at_first = link->held;
		for (uint32_t i = 0; i < link->held; i++)
			job_is_lost(bench, link->holds[i]);
		bench->known_us = util_now_us();
		return;
	}
	for (uint64_t job = 1; job <= bench->next; job++)
		if (bench->flying[job])
			bench->suspects[bench->suspect_count++] = job;
	bench->suspects_at_first = bench->suspect_count;
}

/* --- the parent: answers --- */

static void forward(struct bench *bench, uint32_t sender, uint32_t len)
{
	for (uint32_t i = 0; i < bench->workers; i++)
		if (i != sender && bench->links[i].fd >= 0) {
			post(bench, i, bench->inbox.bytes, len);
			bench->state_packets++;
		}
}

static void take_change(struct bench *bench, uint32_t number, const struct wire_result *result)
{
	if (bench->way == NONE)
		return;
	if (state_validate(bench->state, bench->flying[result->job] - 1, result->changes, result->change_bytes,
			   result->change_count) < 0)
		die("a change makes no sense");
	if (state_commit(bench->state, bench->way == JOURNAL ? number + 1 : 0, result->changes, result->change_bytes,
			 result->change_count) < 0)
		die("state");
	if (bench->way == BROADCAST)
		forward(bench, number, wire_size(bench->inbox.bytes));
}

static void forget(struct link *link, uint64_t job)
{
	for (uint32_t i = 0; i < link->held; i++)
		if (link->holds[i] == job) {
			memmove(link->holds + i, link->holds + i + 1, (link->held - i - 1) * sizeof(*link->holds));
			link->held--;
			return;
		}
}

static void answered(struct bench *bench, uint32_t number, const struct wire_result *result)
{
	struct link *link = &bench->links[number];

	bench->bytes += wire_size(bench->inbox.bytes);
	if (result->job > bench->next || !bench->flying[result->job])
		die("an answer about no job");
	link->followed = bench->as_of[result->job];
	take_change(bench, number, result);
	bench->flying[result->job] = 0;
	bench->in_flight--;
	bench->done++;
	link->last_answer = result->job;
	forget(link, result->job);
	narrow(bench);
	if (bench->kill && bench->killed_us == 0 && bench->done >= bench->jobs / 3 && number != 0) {
		bench->killed_us = util_now_us();
		kill(bench->links[0].pid, SIGKILL);
	}
}

static void fill(struct bench *bench)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < bench->workers; i++) {
		if (bench->links[i].fd < 0)
			continue;
		most += bench->window;
		while (bench->dispatch == CREDIT && bench->links[i].held < bench->window && more(bench))
			send_job(bench, i);
	}
	/* What a dead worker took is still counted as under way: nobody knows better yet. */
	while (bench->dispatch == QUEUE && bench->in_flight < most + (bench->suspect_count ? 1 : 0) && more(bench))
		send_job(bench, 0);
}

/* With credit the worker that answers is fed at once; the queue is filled up. */
static void hear(struct bench *bench, uint32_t number)
{
	struct wire_any any;
	int r = wire_recv(bench->links[number].fd, &any, &bench->inbox, MSG_DONTWAIT);

	if (r == -EAGAIN)
		return;
	if (r <= 0)
		worker_died(bench, number);
	else if (any.type == WIRE_RESULT)
		answered(bench, number, &any.result);
	else
		die("an answer makes no sense");
	if (bench->dispatch == CREDIT && !bench->kill && more(bench))
		send_job(bench, number);
	else
		fill(bench);
}

static void run(struct bench *bench)
{
	struct epoll_event ready[WORKERS_MAX];

	fill(bench);
	while (bench->done < bench->jobs) {
		int count = epoll_wait(bench->epoll_fd, ready, WORKERS_MAX, 20000);

		if (count == 0)
			die("nothing has happened for 20 s");
		for (int i = 0; i < count; i++) {
			uint32_t number = ready[i].data.u32;

			if (ready[i].events & EPOLLOUT)
				post_waiting(bench, number);
			if (ready[i].events & (EPOLLIN | EPOLLHUP) && bench->links[number].fd >= 0)
				hear(bench, number);
		}
	}
}

/* --- beginning and end --- */

static void start_worker(struct bench *bench, uint32_t number)
{
	int fds[2];
	const int room = PACKET_MAX;

	if (wire_pair(fds) < 0)
		die("socketpair");
	(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	bench->links[number].pid = fork();
	if (bench->links[number].pid == 0) {
		for (uint32_t i = 0; i < number; i++)
			close(bench->links[i].fd);
		close(fds[0]);
		close_fd(bench->queue_fd);
		worker_process(bench, fds[1], number);
	}
	close(fds[1]);
	bench->links[number].fd = fds[0];
	bench->links[number].followed = bench->way == JOURNAL ? state_position(bench->state) : 0;
	watch(bench, number, EPOLLIN, EPOLL_CTL_ADD);
}

/* As the shipping pool knows it. */
static uint64_t oldest_reader(void *data)
{
	const struct bench *bench = data;
	uint64_t oldest = UINT64_MAX;

	for (uint32_t i = 0; i < bench->workers; i++)
		if (bench->links[i].fd >= 0)
			oldest = MIN(oldest, bench->links[i].followed);
	return oldest;
}

static void start(struct bench *bench)
{
	int fds[2] = { -1, -1 };

	bench->flying = xcalloc((size_t)bench->jobs + WORKERS_MAX * WINDOW_MAX + 1, sizeof(*bench->flying));
	bench->as_of = xcalloc((size_t)bench->jobs + WORKERS_MAX * WINDOW_MAX + 1, sizeof(*bench->as_of));
	bench->state = state_new(ELEMENTS);
	for (uint32_t i = 0; i < ELEMENTS; i++) /* pages that are there: not the first change pays for them */
		state_preload(bench->state, i)->fetched = STATE_FETCHED_YES;
	state_reuse(bench->state, 0, oldest_reader, bench);
	if (bench->way == JOURNAL && state_open(bench->state, (64u << 20) + (size_t)bench->jobs * 256) < 0)
		die("journal");
	bench->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (bench->dispatch == QUEUE && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0)
		die("socketpair");
	bench->queue_fd = fds[0];
	bench->queue_read_fd = fds[1];
	for (uint32_t i = 0; i < bench->workers; i++)
		start_worker(bench, i);
	close_fd(bench->queue_read_fd);
}

static bool copies_are_equal(struct bench *bench)
{
	uint64_t sum = sum_of(bench->state);
	struct wire_any any = { .type = WIRE_PING, .number = { bench->way == JOURNAL ? state_position(bench->state) : 0 } };
	bool equal = true;

	close_fd(bench->queue_fd);
	for (uint32_t i = 0; i < bench->workers; i++) {
		if (bench->links[i].fd < 0)
			continue;
		while (bench->links[i].waiting.len > 0)
			post_waiting(bench, i);
		if (wire_send(bench->links[i].fd, &any, &bench->out, 0) < 0)
			die("last word");
		while (wire_recv(bench->links[i].fd, &any, &bench->inbox, 0) == -EAGAIN)
			usleep(1000);
		equal = equal && any.number.number == sum;
		any = (struct wire_any){ .type = WIRE_PING, .number = { bench->way == JOURNAL ? state_position(bench->state) : 0 } };
	}
	return equal;
}

static void measure(struct bench *bench)
{
	static const char *const dispatches[] = { "credit", "queue" }, *const ways[] = { "none", "journal", "broadcast", "carried" };
	int64_t wall_us, own_us;
	struct rusage usage, children;
	bool equal;

	start(bench);
	wall_us = util_now_us();
	usage = bench_usage(RUSAGE_SELF);
	own_us = -bench_cpu_us(&usage);
	run(bench);
	wall_us = util_now_us() - wall_us;
	usage = bench_usage(RUSAGE_SELF);
	own_us += bench_cpu_us(&usage);
	/* Carried, a copy knows only what its jobs were told. */
	equal = copies_are_equal(bench) || bench->way == NONE || bench->way == CARRIED;
	while (wait(NULL) > 0)
		;
	children = bench_usage(RUSAGE_CHILDREN);
	if (!equal)
		die("the copies differ at the end");
	printf("{\"dispatch\": \"%s\", \"state\": \"%s\", \"workers\": %u, \"window\": %u, \"jobs\": %u, \"records\": %u, "
	       "\"sleep_us\": %lld, \"us_per_job\": %.3f, \"parent_cpu_us\": %.3f, \"worker_cpu_us\": %.3f, "
	       "\"wire_bytes_per_job\": %.1f, \"journal_bytes_per_job\": %.1f, \"state_packets_per_job\": %.2f, "
	       "\"suspects\": %u, \"lost\": %u, \"known_us\": %lld}\n",
	       dispatches[bench->dispatch], ways[bench->way], bench->workers, bench->window, bench->jobs, bench->records,
	       (long long)bench->sleep_us, (double)wall_us / bench->jobs, (double)own_us / bench->jobs,
	       (double)bench_cpu_us(&children) / bench->jobs, (double)bench->bytes / bench->jobs,
	       bench->way == JOURNAL ? (double)(state_position(bench->state) - 64) / bench->jobs : 0.0,
	       (double)bench->state_packets / bench->jobs, bench->suspects_at_first, bench->lost,
	       (long long)(bench->known_us - bench->killed_us));
	state_free(bench->state);
	free(bench->flying);
	free(bench->as_of);
}

static uint32_t choice(const char *text, const char *const *names, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (str_eq(text, names[i]))
			return i;
	fprintf(stderr, "bench_ways: unknown: %s\n", text);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dispatch", 1, NULL, 'd' }, { "state", 1, NULL, 's' }, { "workers", 1, NULL, 'w' }, { "jobs", 1, NULL, 'j' },
		{ "window", 1, NULL, 'n' }, { "sleep", 1, NULL, 'u' }, { "records", 1, NULL, 'r' }, { "kill", 0, NULL, 'k' },
		{ "uneven", 0, NULL, 'e' }, { 0 },
	};
	static struct bench bench = { .workers = 1, .jobs = 10000, .window = 1, .records = 10, .queue_fd = -1, .queue_read_fd = -1 };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 'd': bench.dispatch = choice(optarg, (const char *const[]){ "credit", "queue" }, 2); break;
		case 's': bench.way = choice(optarg, (const char *const[]){ "none", "journal", "broadcast", "carried" }, 4); break;
		case 'w': bench.workers = bench_number(optarg, WORKERS_MAX); break;
		case 'j': bench.jobs = bench_number(optarg, 100000000); break;
		case 'n': bench.window = bench_number(optarg, WINDOW_MAX); break;
		case 'u': bench.sleep_us = bench_number(optarg, 100000000); break;
		case 'r': bench.records = bench_number(optarg, 4000); break;
		case 'k': bench.kill = true; break;
		case 'e': bench.uneven = true; break;
		default: return 2;
		}
	if (optind != argc || !bench.workers || !bench.jobs || !bench.window || (bench.kill && bench.workers < 2) ||
	    (bench.dispatch == QUEUE && bench.way == BROADCAST)) {
		fprintf(stderr, "usage: see the head of bench_ways.c\n");
		return 2;
	}
	measure(&bench);
	return 0;
}
