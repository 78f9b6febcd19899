/* bench/bench_records.c: what one record costs: on the wire, into the journal, out of it.
 *
 * usage: bench_records [--workers N] [--records N] [--scattered]
 *
 * The parent commits changes of artifacts (176 bytes, the largest kind but refs) of a project of 10,000 elements, one element
 * after the other or (--scattered) in no order, a thousand at a time; N forked workers follow the journal after each thousand, each measuring its own processor time.  Then messages
 * as they go with each job, encoded and decoded: a dispatch, and a result with one change.  Prints one line of JSON:
 * nanoseconds of processor time.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "bench.h"
#include "state/state.h"
#include "wire/wire.h"

enum { ELEMENTS = 10000, BATCH = 1000, WORKERS_MAX = 64, ROUNDS = 200000 };

struct reader {
	int to_fd, from_fd; /* positions; nanoseconds at the end */
	pid_t pid;
};

static void die(const char *what)
{
	fprintf(stderr, "bench_records: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static NORETURN void read_journal(struct state *state, uint32_t number, int in_fd, int out_fd)
{
	double ns = 0;
	uint64_t position, batches = 0;

	if (state_attach(state, number + 1) < 0)
		die("attach");
	while (read(in_fd, &position, sizeof(position)) == sizeof(position)) {
		double before = cpu_ns();

		if (state_follow(state, position, NULL, NULL) != BATCH)
			die("follow");
		/* The first times its pages are the parent's too, and are copied: what a worker pays once. */
		if (++batches * BATCH > 4 * ELEMENTS)
			ns += cpu_ns() - before;
		if (write(out_fd, &ns, sizeof(ns)) != sizeof(ns))
			die("pipe");
	}
	_exit(0);
}

static void start_reader(struct reader *readers, uint32_t number, struct state *state)
{
	int to[2], from[2];

	if (pipe(to) < 0 || pipe(from) < 0)
		die("pipe");
	readers[number] = (struct reader){ to[1], from[0], fork() };
	if (readers[number].pid == 0) {
		for (uint32_t i = 0; i <= number; i++)
			close(readers[i].to_fd);
		read_journal(state, number, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
}

struct journal_cost {
	double commit_ns, append_ns, apply_ns;
};

/* A thousand records one at a time, as results bring them: the bytes have just been received, so they are in the cache. */
static double commit_batch(struct state *state, struct state_changes *change, const uint32_t *elements)
{
	const size_t element_at = 8; /* in a record: docs/formats/journal.md */
	double before = cpu_ns();

	for (uint32_t i = 0; i < BATCH; i++) {
		memcpy(change->bytes.data + element_at, &elements[i], sizeof(elements[i]));
		if (state_commit(state, 1000, change->bytes.data, change->bytes.len, 1) < 0)
			die("commit");
	}
	return cpu_ns() - before;
}

/* *ret_ns: of all readers together, up to now. */
static void let_follow(const struct reader *readers, uint32_t workers, uint64_t position, double *ret_ns)
{
	*ret_ns = 0;
	for (uint32_t i = 0; i < workers; i++)
		if (write(readers[i].to_fd, &position, sizeof(position)) != sizeof(position))
			die("pipe");
	for (uint32_t i = 0; i < workers; i++) {
		double ns;

		if (read(readers[i].from_fd, &ns, sizeof(ns)) != sizeof(ns))
			die("pipe");
		*ret_ns += ns;
	}
}

/* Element ids, one after the other or in no order. */
static void choose(uint32_t *elements, bool scattered, uint64_t *random)
{
	for (uint32_t i = 0; i < BATCH; i++)
		elements[i] = scattered ? random_below(random, ELEMENTS) : (uint32_t)((*random)++ % ELEMENTS);
}

/* All readers have answered when the next batch begins. */
static uint64_t oldest_reader(void *data)
{
	const uint64_t *followed = data;

	return *followed;
}

/* ret: what a commit costs the parent (its own array and the journal), of that the journal, and what a worker's apply costs. */
static void measure_journal(uint32_t workers, uint32_t records, bool scattered, struct journal_cost *ret)
{
	struct reader readers[WORKERS_MAX];
	struct state *state = state_new(ELEMENTS), *plain = state_new(ELEMENTS); /* plain: without a journal */
	struct state_artifact artifact = { .outcome = STATE_ARTIFACT_SUCCESS };
	struct state_changes change = STATE_CHANGES_INIT;
	uint32_t elements[BATCH], batches = records / BATCH, skipped = 4 * ELEMENTS / BATCH;
	double commit_ns = 0, plain_ns = 0, apply_ns = 0, each = batches * (double)BATCH;
	uint64_t random = 1, followed;

	(void)state_change_artifact(&change, 0, &artifact);
	if (state_open(state, (64u << 20) + (size_t)records * 256) < 0)
		die("journal");
	followed = state_position(state);
	state_reuse(state, 0, oldest_reader, &followed);
	for (uint32_t i = 0; i < workers; i++)
		start_reader(readers, i, state);
	for (uint32_t i = 0; i < batches + skipped; i++) {
		double with_ns, without_ns;

		choose(elements, scattered, &random);
		without_ns = i % 2 ? commit_batch(plain, &change, elements) : 0; /* none is always the first */
		with_ns = commit_batch(state, &change, elements);
		without_ns += i % 2 ? 0 : commit_batch(plain, &change, elements);
		commit_ns += i < skipped ? 0 : with_ns;
		plain_ns += i < skipped ? 0 : without_ns;
		let_follow(readers, workers, state_position(state), &apply_ns);
		followed = state_position(state);
	}
	for (uint32_t i = 0; i < workers; i++) {
		close(readers[i].to_fd);
		waitpid(readers[i].pid, NULL, 0);
		close(readers[i].from_fd);
	}
	*ret = (struct journal_cost){ commit_ns / each, (commit_ns - plain_ns) / each, apply_ns / each / workers };
	state_changes_release(&change);
	state_free(state);
	state_free(plain);
}

/* What the kernel takes for fresh pages of shared memory, as much of them as one record fills. */
static double pages_ns(void)
{
	enum { BYTES = 32 << 20, STEP = 1 << 20, RECORD = 176 };
	int fd = memfd_create("bench-records", MFD_CLOEXEC);
	double before;
	char *map;

	if (fd < 0 || ftruncate(fd, BYTES) < 0)
		die("memfd");
	map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("memfd");
	before = cpu_ns();
	for (size_t at = 0; at < BYTES; at += STEP)
		(void)madvise(map + at, STEP, MADV_POPULATE_WRITE);
	before = (cpu_ns() - before) * RECORD / BYTES;
	munmap(map, BYTES);
	close(fd);
	return before;
}

static double encode_ns(const struct wire_any *any, struct buf *out)
{
	double before = cpu_ns();

	for (uint32_t i = 0; i < ROUNDS; i++)
		wire_encode(out, any);
	return (cpu_ns() - before) / ROUNDS;
}

static double decode_ns(const struct buf *message)
{
	double before = cpu_ns();
	struct wire_any any;

	for (uint32_t i = 0; i < ROUNDS; i++)
		if (wire_decode(&any, message->data, message->len) < 0)
			die("decode");
	return (cpu_ns() - before) / ROUNDS;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "workers", 1, NULL, 'w' }, { "records", 1, NULL, 'r' },
						 { "scattered", 0, NULL, 's' }, { 0 } };
	struct wire_any dispatch = { .type = WIRE_DISPATCH, .dispatch = { .job = 1, .attempt = 1 } };
	struct wire_any result = { .type = WIRE_RESULT, .result = { .job = 1, .outcome = WIRE_DONE } };
	struct state_artifact artifact = { .outcome = STATE_ARTIFACT_SUCCESS };
	struct state_changes changes = STATE_CHANGES_INIT;
	struct buf out = BUF_INIT;
	uint32_t workers = 1, records = 200000;
	struct journal_cost journal;
	double dispatch_out_ns, dispatch_in_ns, result_out_ns;
	bool scattered = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 'w': workers = bench_number(optarg, WORKERS_MAX); break;
		case 'r': records = bench_number(optarg, 10000000); break;
		case 's': scattered = true; break;
		default: return 2;
		}
	if (optind != argc || !workers || records < BATCH)
		return 2;
	measure_journal(workers, records, scattered, &journal);
	(void)state_change_artifact(&changes, 1, &artifact);
	result.result.changes = changes.bytes.data;
	result.result.change_bytes = (uint32_t)changes.bytes.len;
	result.result.change_count = 1;
	dispatch_out_ns = encode_ns(&dispatch, &out);
	dispatch_in_ns = decode_ns(&out);
	result_out_ns = encode_ns(&result, &out);
	printf("{\"workers\": %u, \"records\": %u, \"commit_ns\": %.1f, \"append_ns\": %.1f, \"pages_ns\": %.1f, \"apply_ns\": %.1f, \"dispatch_encode_ns\": %.1f, "
	       "\"dispatch_decode_ns\": %.1f, \"result_encode_ns\": %.1f, \"result_decode_ns\": %.1f}\n",
	       workers, records, journal.commit_ns, journal.append_ns, pages_ns(), journal.apply_ns, dispatch_out_ns, dispatch_in_ns, result_out_ns, decode_ns(&out));
	state_changes_release(&changes);
	buf_release(&out);
	return 0;
}
