/* state/journal.c: the append-only journal in shared memory; the writer, the readers.  Format and memory rules: state.h.
 *
 * Ordering: the writer stores a record, then the head with release order, and only then sends a dispatch that names a
 * position at or before that head.  A reader loads the head with acquire order and refuses an as_of beyond it, so what
 * it reads was complete before.  The socket alone would order it too; the head makes it checkable.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "state/state_internal.h"

enum {
	JOURNAL_MIN = 1 << 20,
	JOURNAL_PER_ELEMENT = 2048,
	LAP_BYTES = 1 << 20,
	POPULATE_FIRST = 64 << 10, /* bytes made ready ahead of the head, doubled each time */
	POPULATE_MOST = 1 << 20
};

/* --- writer --- */

static struct state_header *header(const struct state *state)
{
	return (struct state_header *)(void *)state->journal;
}

static void journal_close(struct state *state)
{
	if (state->journal)
		munmap(state->journal, state->journal_bytes);
	close_fd(state->fd);
}

static int journal_create(size_t bytes, int *ret_fd, char **ret_map)
{
	int r, fd = memfd_create("millrace-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char *map = MAP_FAILED;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) == 0) /* sparse: takes memory only where it is written */
		map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		goto fail;
	/* In this order: the seal spares mappings that exist, and a child must not inherit this one. */
	if (madvise(map, bytes, MADV_DONTFORK) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		goto fail;
	*ret_fd = fd;
	*ret_map = map;
	return 0;
fail:
	r = -errno;
	if (map != MAP_FAILED)
		munmap(map, bytes);
	close(fd);
	return r;
}

static int journal_start(struct state *state)
{
	char *map = NULL;
	int r, fd = -1;

	r = journal_create(state->journal_bytes, &fd, &map);
	if (r < 0)
		return r;
	assert(map);
	journal_close(state);
	state->fd = fd;
	state->journal = map;
	state->position = state->at = STATE_HEADER_BYTES;
	state->limit = state->used = 0;
	state->lap = state->former = (struct state_lap){ STATE_HEADER_BYTES, STATE_HEADER_BYTES };
	state->populated = 0;
	state->populate_bytes = POPULATE_FIRST;
	header(state)->magic = STATE_MAGIC;
	atomic_store_explicit(&header(state)->head, state->position, memory_order_release);
	return 0;
}

int state_open(struct state *state, size_t journal_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	assert(state->writer && !state->journal);
	_Static_assert(sizeof(struct state_header) == STATE_HEADER_BYTES, "journal header");
	if (journal_bytes == 0)
		journal_bytes = (size_t)64 * JOURNAL_MIN + (size_t)state->element_count * JOURNAL_PER_ELEMENT;
	state->journal_bytes = (MAX(journal_bytes, page) + page - 1) / page * page;
	if (state->lap_bytes == 0)
		state->lap_bytes = LAP_BYTES;
	state->epoch = 1;
	return journal_start(state);
}

int state_roll(struct state *state)
{
	int r;

	assert(state->writer && state->journal);
	r = journal_start(state);
	if (r == 0)
		state->epoch++;
	return r;
}

void state_reuse(struct state *state, size_t lap_bytes, uint64_t (*oldest)(void *data), void *data)
{
	assert(state->writer);
	state->lap_bytes = lap_bytes ? lap_bytes : (size_t)LAP_BYTES;
	state->oldest = oldest;
	state->oldest_data = data;
}

int state_validate(const struct state *state, uint32_t element, const void *bytes, size_t size_bytes, uint32_t count)
{
	const char *next = bytes;
	struct state_record record;
	const char *payload;
	uint32_t payload_bytes;

	if (size_bytes > STATE_CHANGES_MAX)
		return -EBADMSG;
	for (; count > 0; count--) {
		if (!state_record_check(state, next, size_bytes, &record, &payload, &payload_bytes))
			return -EBADMSG;
		if (record.element != element || record.origin != 0 || !state_record_from_job(record.type))
			return -EBADMSG;
		next += record.length;
		size_bytes -= record.length;
	}
	return size_bytes == 0 ? 0 : -EBADMSG;
}

/* Applies count records at bytes, which the caller vouches for. */
static void apply_all(struct state *state, const char *bytes, size_t size_bytes, uint32_t count)
{
	struct state_record record;
	const char *payload;
	uint32_t payload_bytes;

	for (; count > 0; count--) {
		if (!state_record_check(state, bytes, size_bytes, &record, &payload, &payload_bytes))
			bug("state_commit: changes that were not validated");
		state_record_apply(state, &record, payload, payload_bytes);
		bytes += record.length;
		size_bytes -= record.length;
	}
	assert(size_bytes == 0);
}

/* Has the kernel make pages ready many at a time: a page fault for every twentieth record costs more than the records.
 * A kernel that does not know how (before 5.14) faults one by one. */
static void populate(struct state *state, uint64_t upto)
{
	/* Not beyond the lap, but whole pages, of whatever size. */
	uint64_t lap_end = (MAX(upto, state->used) + POPULATE_FIRST - 1) / POPULATE_FIRST * POPULATE_FIRST;

	while (state->populated < upto) {
		uint64_t bytes = MIN(state->populate_bytes, MIN(lap_end, state->journal_bytes) - state->populated);

		(void)madvise(state->journal + state->populated, bytes, MADV_POPULATE_WRITE);
		state->populated += bytes;
		state->populate_bytes = MIN(state->populate_bytes * 2, (uint64_t)POPULATE_MOST);
	}
}

/* --- where the next records go: docs/formats/journal.md, "Reuse" --- */

static bool fits(const struct state *state, size_t size_bytes)
{
	return state->at + size_bytes + STATE_TURN_BYTES <= state->limit;
}

static uint64_t byte_of(const struct state_lap *lap, uint64_t position)
{
	return lap->at + (position - lap->start);
}

/* Ends the lap; the next begins at byte `to`. */
static void turn(struct state *state, uint64_t to)
{
	struct state_record record = { .length = STATE_TURN_BYTES, .type = STATE_TURN, .origin = STATE_ORIGIN_PARENT };

	memcpy(state->journal + state->at, &record, sizeof(record));
	memcpy(state->journal + state->at + sizeof(record), &to, sizeof(to));
	state->position += STATE_TURN_BYTES;
	state->at = to;
	state->former = state->lap;
	state->lap = (struct state_lap){ state->position, to };
}

/* Adds bytes that were never used: a lap of them, if there are so many. */
static bool extend(struct state *state, size_t size_bytes)
{
	if (size_bytes > state->journal_bytes - state->used)
		return false;
	state->used += MIN(MAX(size_bytes, state->lap_bytes), state->journal_bytes - state->used);
	state->limit = state->used;
	return true;
}

/* Finds size_bytes in a row.  Nobody waits for a reader, which may be at a job of an hour: what it has not read is passed. */
static int make_room(struct state *state, size_t size_bytes)
{
	uint64_t oldest, free_to = STATE_HEADER_BYTES, end = state->used;

	if (fits(state, size_bytes))
		return 0;
	oldest = state->oldest ? MIN(state->oldest(state->oldest_data), state->position) : 0;
	if (state->limit < end) /* where the former lap's records began to be in use */
		state->limit = oldest >= state->lap.start ? end : byte_of(&state->former, oldest);
	if (fits(state, size_bytes))
		return 0;
	if (state->limit < end) {
		if (!extend(state, size_bytes + STATE_TURN_BYTES))
			return -ENOSPC;
		turn(state, end);
		return 0;
	}
	if (oldest >= state->lap.start)
		free_to = byte_of(&state->lap, oldest);
	if (free_to - STATE_HEADER_BYTES >= MAX(size_bytes + STATE_TURN_BYTES, (state->at - STATE_HEADER_BYTES) / 2)) {
		turn(state, STATE_HEADER_BYTES);
		state->limit = free_to;
		return 0;
	}
	return extend(state, state->at + size_bytes + STATE_TURN_BYTES - end) ? 0 : -ENOSPC;
}

int state_commit(struct state *state, uint32_t origin, const void *bytes, size_t size_bytes, uint32_t count)
{
	char *to;
	int r;

	assert(state->writer);
	if (count == 0)
		return 0;
	if (!state->journal) {
		apply_all(state, bytes, size_bytes, count);
		return 0;
	}
	r = make_room(state, size_bytes);
	if (r < 0)
		return r;
	apply_all(state, bytes, size_bytes, count);
	populate(state, state->at + size_bytes);
	to = state->journal + state->at;
	memcpy(to, bytes, size_bytes);
	for (size_t done = 0; done < size_bytes;) {
		struct state_record *record = (struct state_record *)(void *)(to + done);

		record->origin = origin;
		done += record->length;
	}
	state->at += size_bytes;
	state->position += size_bytes;
	atomic_store_explicit(&header(state)->head, state->position, memory_order_release);
	return 0;
}

uint64_t state_position(const struct state *state)
{
	return state->position;
}

uint64_t state_journal_used(const struct state *state)
{
	return MAX(state->used, (uint64_t)STATE_HEADER_BYTES);
}

uint64_t state_journal_size(const struct state *state)
{
	return state->journal_bytes;
}

uint32_t state_epoch(const struct state *state)
{
	return state->epoch;
}

/* --- reader --- */

int state_attach(struct state *state, uint32_t incarnation)
{
	assert(state->writer && state->fd >= 0 && incarnation != STATE_ORIGIN_PARENT);
	/* The writer's mapping was not inherited; ours comes with the first record to read, since a process that is
	 * forked for one job never reads any. */
	state->writer = false;
	state->journal = NULL;
	state->incarnation = incarnation;
	return 0;
}

static int reader_map(struct state *state)
{
	char *map = mmap(NULL, state->journal_bytes, PROT_READ, MAP_SHARED, state->fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	state->journal = map;
	state->fd = close_fd(state->fd);
	return header(state)->magic == STATE_MAGIC ? 0 : -EBADMSG;
}

void state_keep(struct state *state, const void *bytes, size_t size_bytes)
{
	assert(!state->writer);
	buf_add(&state->kept, bytes, size_bytes);
}

static bool same_record(struct state_record a, struct state_record b)
{
	a.origin = b.origin;
	return memcmp(&a, &b, sizeof(a)) == 0;
}

/* The writer went on elsewhere. */
static bool follow_turn(struct state *state, const char *payload)
{
	uint64_t at;

	memcpy(&at, payload, sizeof(at));
	state->at = at;
	return at <= state->journal_bytes - STATE_RECORD_LEAST;
}

/* An own record comes by: it must be the next one kept, but for the origin the parent wrote into it. */
static bool apply_kept(struct state *state, const struct state_record *passed, const char *passed_payload)
{
	const char *kept = buf_text(&state->kept) + state->kept_next;
	struct state_record record;
	const char *payload;
	uint32_t payload_bytes;

	if (!state_record_check(state, kept, state->kept.len - state->kept_next, &record, &payload, &payload_bytes))
		return false;
	if (!same_record(record, *passed) || memcmp(payload, passed_payload, payload_bytes) != 0)
		return false;
	state_record_apply(state, &record, payload, payload_bytes);
	state->kept_next += record.length;
	if (state->kept_next == state->kept.len) {
		buf_clear(&state->kept);
		state->kept_next = 0;
	}
	return true;
}

static void trace_record(const struct state_record *record, const char *payload, uint32_t payload_bytes,
			 void (*trace)(void *data, uint32_t element, const char *line), void *data)
{
	_cleanup_buf_ struct buf line = BUF_INIT;

	state_record_describe(&line, record, payload, payload_bytes);
	trace(data, record->element, buf_text(&line));
}

int64_t state_follow(struct state *state, uint64_t as_of,
		     void (*trace)(void *data, uint32_t element, const char *line), void *data)
{
	struct state_record record;
	const char *payload;
	uint32_t payload_bytes;
	int64_t applied = 0;
	int r;

	assert(!state->writer);
	if (as_of <= state->position)
		return as_of == state->position ? 0 : -EBADMSG;
	if (!state->journal && (r = reader_map(state)) < 0)
		return r;
	if (as_of - state->position > state->journal_bytes ||
	    as_of > atomic_load_explicit(&header(state)->head, memory_order_acquire))
		return -EBADMSG;
	while (state->position < as_of) {
		if (!state_record_check(state, state->journal + state->at,
					MIN(as_of - state->position, state->journal_bytes - state->at), &record, &payload,
					&payload_bytes))
			return -EBADMSG;
		state->at += record.length;
		state->position += record.length;
		if (record.type == STATE_TURN) {
			if (!follow_turn(state, payload))
				return -EBADMSG;
		} else if (record.origin == state->incarnation) {
			if (!apply_kept(state, &record, payload))
				return -EBADMSG;
		} else {
			state_record_apply(state, &record, payload, payload_bytes);
			applied++;
			if (trace)
				trace_record(&record, payload, payload_bytes, trace, data);
		}
	}
	return applied;
}

uint64_t state_cursor(const struct state *state)
{
	return state->position;
}

void state_free(struct state *state)
{
	if (!state)
		return;
	journal_close(state);
	munmap(state->elements, MAX((size_t)state->element_count, 1) * sizeof(*state->elements));
	arena_release(&state->arena);
	buf_release(&state->kept);
	free(state);
}
