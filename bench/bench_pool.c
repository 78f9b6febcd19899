/* bench/bench_pool.c: what it costs to have a job done: through the shipping scheduler, pool, wire and state, or bare.
 *
 * usage: bench_pool MODE [--workers N] [--jobs N] [--heap MB] [--dirty MB] [--sleep US] [--window N] [--change] [--exec] [--kill]
 *   MODE     pool, fork, inline: the session's driver, with jobs that do nothing;
 *            socket: the floor, the same datagrams over the same sockets between a loop of send and recv and N children
 *            that answer, with as many under way per child as --window says
 *   --heap   memory that the parent has written to before anything is forked
 *   --dirty  of that, the part which the parent goes on writing to while jobs are under way: a byte in each page, all of
 *            it once in every hundred jobs
 *   --sleep  each job waits that long (in its worker)
 *   --change each job reports an artifact: one record in the journal, applied by every other worker
 *   --exec   each job runs a program that does nothing (/bin/true) and waits for it
 *   --kill   the job in the middle kills its worker the first time: when does the parent know what was lost?
 * Prints one line of JSON.  Times are wall time but where "cpu" is said.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "bench_driver.h"

struct bench {
	const char *mode;
	uint32_t workers, jobs, window;
	size_t heap_bytes, dirty_bytes;
	int64_t sleep_us;
	bool change, exec, kill;
	char *heap;
	size_t dirty_next;
	int64_t dirty_us;          /* spent writing to the heap */
	_Atomic int64_t *killed_us; /* shared with the workers */
	int64_t known_us;
	uint32_t lost;
	struct driver *driver;
	struct loop_task task;
};

static void die(const char *what)
{
	fprintf(stderr, "bench_pool: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- the parent's heap --- */

static void fill_heap(struct bench *bench)
{
	if (bench->heap_bytes == 0)
		return;
	bench->heap = mmap(NULL, bench->heap_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bench->heap == MAP_FAILED)
		die("heap");
	memset(bench->heap, 1, bench->heap_bytes);
}

static void dirty_heap(struct bench *bench)
{
	size_t part = bench->dirty_bytes / 100;
	int64_t before_us = util_now_us();

	for (size_t done = 0; done < part; done += 4096) {
		bench->heap[bench->dirty_next]++;
		bench->dirty_next += 4096;
		if (bench->dirty_next >= bench->dirty_bytes)
			bench->dirty_next = 0;
	}
	bench->dirty_us += util_now_us() - before_us;
}

/* --- jobs through the driver --- */

static void run_program(struct worker_job *job)
{
	static char *argv[] = { (char *)"true", NULL };
	siginfo_t info;
	pid_t pid;

	if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) != 0 || worker_wait_child(job, pid, &info) < 0)
		die("/bin/true");
}

static int run_job(struct worker_job *job)
{
	const struct bench *bench = job->context;

	if (bench->kill && job->element == bench->jobs / 2 && job->attempt == 1) {
		*bench->killed_us = util_now_us();
		kill(getpid(), SIGKILL);
	}
	if (bench->exec)
		run_program(job);
	if (bench->sleep_us > 0)
		worker_wait(job, NULL, 0, util_now_us() + bench->sleep_us);
	if (bench->change) {
		struct state_artifact artifact = { .outcome = STATE_ARTIFACT_SUCCESS };

		artifact.files.size_bytes = job->element + 1;
		return state_change_artifact(&job->changes, job->element, &artifact);
	}
	return 0;
}

static const struct worker_type types[] = { { .name = "empty", .run = run_job } };

static void on_dirty(struct loop_task *task UNUSED, void *data)
{
	dirty_heap(data);
}

static void on_started(void *data, const struct driver_job *job UNUSED)
{
	struct bench *bench = data;

	/* At the end of the turn, when the job is under way: so a process forked for it shares these pages. */
	if (bench->dirty_bytes > 0)
		loop_defer(driver_loop(bench->driver), &bench->task, on_dirty, bench);
}

static void on_ended(void *data, const struct driver_job *job UNUSED, enum driver_end end,
		     const struct wire_result *result UNUSED, const char *lost)
{
	struct bench *bench = data;

	if (lost && bench->kill) {
		bench->lost++;
		bench->known_us = util_now_us() - *bench->killed_us;
	} else if (end != DRIVER_DONE)
		bug("a job that does nothing ended as %d", (int)end);
}

static const struct driver_events events = {
	.started = on_started, .ended = on_ended, BENCH_QUIET_EVENTS
};

/* What a run took, from before to after. */
struct cost {
	int64_t wall_us;
	struct rusage own, children;
};

static struct cost cost_now(void)
{
	return (struct cost){ util_now_us(), bench_usage(RUSAGE_SELF), bench_usage(RUSAGE_CHILDREN) };
}

static void print(const struct bench *bench, const struct cost *from, const struct cost *to, const struct pool_stats *stats,
		  uint64_t journal_bytes)
{
	double jobs = bench->jobs, wall_us = (double)(to->wall_us - from->wall_us);
	double own_us = (double)(bench_cpu_us(&to->own) - bench_cpu_us(&from->own));
	double child_us = (double)(bench_cpu_us(&to->children) - bench_cpu_us(&from->children));

	printf("{\"mode\": \"%s\", \"workers\": %u, \"window\": %u, \"jobs\": %u, \"heap_mb\": %zu, \"dirty_mb\": %zu, "
	       "\"sleep_us\": %lld, \"us_per_job\": %.3f, \"jobs_per_s\": %.0f, \"parent_cpu_us\": %.3f, "
	       "\"worker_cpu_us\": %.3f, \"spawned\": %llu, \"fork_us_per_job\": %.3f, \"dirty_us_per_job\": %.3f, "
	       "\"parent_faults_per_job\": %.2f, \"worker_faults_per_job\": %.2f, \"wire_bytes_per_job\": %.1f, "
	       "\"journal_bytes_per_job\": %.1f, \"lost\": %u, \"known_us\": %lld}\n",
	       bench->mode, bench->workers, bench->window, bench->jobs, bench->heap_bytes >> 20, bench->dirty_bytes >> 20,
	       (long long)bench->sleep_us, wall_us / jobs, jobs * 1e6 / wall_us, own_us / jobs, child_us / jobs,
	       (unsigned long long)(stats ? stats->spawned : bench->workers), stats ? (double)stats->fork_us / jobs : 0.0,
	       (double)bench->dirty_us / jobs, (double)(to->own.ru_minflt - from->own.ru_minflt) / jobs,
	       (double)(to->children.ru_minflt - from->children.ru_minflt) / jobs,
	       stats ? (double)(stats->bytes_sent + stats->bytes_received) / jobs : 0.0, (double)journal_bytes / jobs,
	       bench->lost, (long long)bench->known_us);
}

static void run_driver(struct bench *bench, enum sched_mode mode)
{
	struct sched_graph plan = { .count = bench->jobs };
	struct graph graph;
	struct state *state = state_new(bench->jobs);
	struct driver_config config = { .plan = &plan, .events = &events, .data = bench };
	uint8_t *needs = xmalloc(bench->jobs);
	struct pool_stats stats;
	enum sched_outcome outcome;
	struct cost from, to;

	memset(needs, SCHED_BIT(SCHED_QUERY), bench->jobs);
	plan.needs = needs;
	graph_init(&graph);
	sched_config_default(&config.sched, bench->workers, bench->workers, bench->workers);
	config.sched.mode = mode;
	config.sched.max_workers = bench->workers;
	config.sched.window = bench->window;
	config.sched.limits[SCHED_SUBPROCESS] = bench->workers;
	config.sched.limits[SCHED_PROCESS] = SCHED_UNLIMITED;
	config.worker = (struct worker_config){ .types = types, .type_count = 1, .graph = &graph, .state = state,
						.context = bench };
	if (state_open(state, (64u << 20) + (size_t)bench->jobs * 256) < 0 || driver_new(&bench->driver, &config) < 0)
		die("driver");
	from = cost_now();
	if (driver_run(bench->driver, &outcome) < 0 || outcome != SCHED_END_SUCCESS)
		bug("the run ended as %d", (int)outcome);
	to = cost_now();
	stats = *driver_pool_stats(bench->driver);
	driver_free(bench->driver);
	to.children = bench_usage(RUSAGE_CHILDREN); /* the workers are reaped now */
	print(bench, &from, &to, &stats, state_position(state) - 64);
	state_free(state);
	graph_release(&graph);
	free(needs);
}

/* --- the floor --- */

enum { OUT_BYTES = 48, IN_BYTES = 100 }; /* of a dispatch and of an empty result on the wire */

static void answer(int fd)
{
	char in[OUT_BYTES], out[IN_BYTES] = "";

	while (recv(fd, in, sizeof(in), 0) > 0)
		if (send(fd, out, sizeof(out), MSG_NOSIGNAL) < 0)
			break;
	_exit(0);
}

static void start_children(uint32_t count, int *fds, int epoll_fd)
{
	for (uint32_t i = 0; i < count; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
			die("socketpair");
		if (fork() == 0) {
			for (uint32_t j = 0; j < i; j++)
				close(fds[j]);
			close(pair[0]);
			answer(pair[1]);
		}
		close(pair[1]);
		fds[i] = pair[0];
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i], &event);
	}
}

static void send_one(int fd, uint32_t *left)
{
	char out[OUT_BYTES] = "";

	if (*left > 0 && send(fd, out, sizeof(out), MSG_NOSIGNAL) == sizeof(out))
		(*left)--;
}

static void receive_one(struct bench *bench, int fd, uint32_t *left, uint32_t *done)
{
	char in[IN_BYTES];

	if (recv(fd, in, sizeof(in), 0) != sizeof(in))
		die("recv");
	(*done)++;
	send_one(fd, left);
	if (bench->dirty_bytes > 0)
		dirty_heap(bench);
}

/* One child needs no epoll; more do, to be told which. */
static void round_trips(struct bench *bench, const int *fds, int epoll_fd)
{
	struct epoll_event ready[64];
	uint32_t left = bench->jobs, done = 0;

	for (uint32_t i = 0; i < bench->window; i++)
		for (uint32_t j = 0; j < bench->workers; j++)
			send_one(fds[j], &left);
	while (done < bench->jobs) {
		int count = 1;

		ready[0].data.u32 = 0;
		if (bench->workers > 1)
			count = epoll_wait(epoll_fd, ready, 64, -1);
		for (int i = 0; i < count; i++)
			receive_one(bench, fds[ready[i].data.u32], &left, &done);
	}
}

static void run_socket(struct bench *bench)
{
	int *fds = xcalloc(bench->workers, sizeof(*fds)), epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct cost from, to;

	start_children(bench->workers, fds, epoll_fd);
	from = cost_now();
	round_trips(bench, fds, epoll_fd);
	to = cost_now();
	for (uint32_t i = 0; i < bench->workers; i++)
		close(fds[i]);
	while (wait(NULL) > 0)
		;
	to.children = bench_usage(RUSAGE_CHILDREN);
	print(bench, &from, &to, NULL, 0);
	free(fds);
	close(epoll_fd);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "workers", 1, NULL, 'w' }, { "jobs", 1, NULL, 'j' }, { "heap", 1, NULL, 'h' }, { "dirty", 1, NULL, 'd' },
		{ "sleep", 1, NULL, 's' }, { "window", 1, NULL, 'n' }, { "change", 0, NULL, 'c' },
		{ "exec", 0, NULL, 'x' }, { "kill", 0, NULL, 'k' }, { 0 },
	};
	struct bench bench = { .workers = 1, .jobs = 10000, .window = 1 };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 'w': bench.workers = bench_number(optarg, 100000000); break;
		case 'j': bench.jobs = bench_number(optarg, 100000000); break;
		case 'h': bench.heap_bytes = (size_t)bench_number(optarg, 100000000) << 20; break;
		case 'd': bench.dirty_bytes = (size_t)bench_number(optarg, 100000000) << 20; break;
		case 's': bench.sleep_us = bench_number(optarg, 100000000); break;
		case 'n': bench.window = bench_number(optarg, 100000000); break;
		case 'c': bench.change = true; break;
		case 'x': bench.exec = true; break;
		case 'k': bench.kill = true; break;
		default: return 2;
		}
	if (optind + 1 != argc || bench.workers == 0 || bench.jobs == 0 || bench.window == 0 ||
	    bench.dirty_bytes > bench.heap_bytes) {
		fprintf(stderr, "usage: see the head of bench_pool.c\n");
		return 2;
	}
	bench.mode = argv[optind];
	bench.killed_us = mmap(NULL, sizeof(*bench.killed_us), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (bench.killed_us == MAP_FAILED)
		die("shared memory");
	fill_heap(&bench);
	if (str_eq(bench.mode, "socket"))
		run_socket(&bench);
	else if (str_eq(bench.mode, "pool"))
		run_driver(&bench, SCHED_POOL);
	else if (str_eq(bench.mode, "fork"))
		run_driver(&bench, SCHED_FORK);
	else if (str_eq(bench.mode, "inline"))
		run_driver(&bench, SCHED_INLINE);
	else
		return 2;
	return 0;
}
