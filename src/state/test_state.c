/* state/test_state.c: records, the journal across real forks, sealing, and random interleavings of many replicas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "state/state_internal.h"
#include "state/test_help.h"

static struct key key_of(uint64_t number)
{
	struct key key = { { 1 } };

	memcpy(key.hash + 8, &number, sizeof(number));
	return key;
}

static struct digest digest_number(uint64_t number)
{
	struct digest digest = { .size_bytes = (int64_t)(number % 1000) + 1 };

	memcpy(digest.hash, &number, sizeof(number));
	return digest;
}

static void commit(struct state *state, uint32_t origin, struct state_changes *changes)
{
	assert_int_equal(state_commit(state, origin, changes->bytes.data, changes->bytes.len, changes->count), 0);
	state_changes_clear(changes);
}

static void test_every_field(void **unused UNUSED)
{
	struct state *state = state_new(4);
	struct state_changes changes = STATE_CHANGES_INIT;
	struct state_artifact artifact = { .outcome = STATE_ARTIFACT_FAILURE, .flags = STATE_ARTIFACT_WORKSPACED };
	struct key weak = key_of(1), strict = key_of(2), strong = key_of(3);
	struct digest sources = digest_number(4), blob = digest_number(5);
	const struct state_element *element = state_get(state, 2);

	artifact.files = digest_number(6);
	artifact.public_data = digest_number(7);
	state_preload(state, 1)->weak = weak; /* loading: no record */
	assert_int_equal(state_open(state, 0), 0);
	assert_int_equal(state_position(state), STATE_HEADER_BYTES);

	state_change_weak_key(&changes, 2, &weak);
	state_change_strict_key(&changes, 2, &strict);
	state_change_strong_key(&changes, 2, &strong);
	state_change_artifact(&changes, 2, &artifact);
	state_change_sources(&changes, 2, &sources);
	state_change_fetched(&changes, 2, STATE_FETCHED_YES);
	state_change_ref(&changes, 2, 0, "\"one\"", 5);
	state_change_ref_blob(&changes, 2, 1, &blob);
	state_change_ref(&changes, 2, 0, "\"longer\"", 8);
	state_change_workspace(&changes, 2, "[]");
	assert_int_equal(changes.count, 10);
	commit(state, STATE_ORIGIN_PARENT, &changes);

	assert_true(key_eq(&element->weak, &weak) && key_eq(&element->strict, &strict) && key_eq(&element->strong, &strong));
	assert_memory_equal(&element->artifact, &artifact, sizeof(artifact));
	assert_true(digest_eq(&element->sources, &sources));
	assert_int_equal(element->fetched, STATE_FETCHED_YES);
	assert_string_equal(state_ref(state, 2, 0)->text, "\"longer\"");
	assert_null(state_ref(state, 2, 1)->text);
	assert_true(digest_eq(&state_ref(state, 2, 1)->blob, &blob));
	assert_null(state_ref(state, 2, 2));
	assert_string_equal(element->workspace_key, "[]");
	assert_int_equal(element->changes, 10);
	assert_int_equal(state_get(state, 1)->changes, 0);
	assert_false(state_digest_known(&state_get(state, 1)->sources));
	assert_true(state_digest_known(&sources));
	state_changes_release(&changes);
	state_free(state);
}

static void test_bounds(void **unused UNUSED)
{
	struct state_changes changes = STATE_CHANGES_INIT;
	char *text = malloc(STATE_REF_MAX + 1);
	size_t before;

	memset(text, 'x', STATE_REF_MAX + 1);
	assert_int_equal(state_change_ref(&changes, 0, 0, text, STATE_REF_MAX + 1), -E2BIG);
	assert_int_equal(changes.count, 0);
	assert_int_equal(state_change_ref(&changes, 0, 0, text, STATE_REF_MAX), 0);
	assert_int_equal(state_change_ref(&changes, 0, 1, text, STATE_REF_MAX), 0);
	before = changes.bytes.len;
	assert_int_equal(state_change_ref(&changes, 0, 2, text, STATE_REF_MAX), -E2BIG);
	assert_int_equal(changes.bytes.len, before);
	assert_int_equal(changes.count, 2);
	free(text);
	state_changes_release(&changes);
}

/* A worker's changes with every way to be wrong. */
static void test_validate(void **unused UNUSED)
{
	struct state *state = state_new(4);
	struct state_changes changes = STATE_CHANGES_INIT;
	struct key key = key_of(1);
	struct digest digest = digest_number(2);
	uint64_t seed = 3;
	int accepted = 0;
	char *odd;

	assert_int_equal(state_validate(state, 1, NULL, 0, 0), 0);
	state_change_fetched(&changes, 1, STATE_FETCHED_NO);
	state_change_ref(&changes, 1, 3, "\"r\"", 3);
	assert_int_equal(state_validate(state, 1, changes.bytes.data, changes.bytes.len, 2), 0);
	assert_int_equal(state_validate(state, 2, changes.bytes.data, changes.bytes.len, 2), -EBADMSG);
	assert_int_equal(state_validate(state, 1, changes.bytes.data, changes.bytes.len, 1), -EBADMSG);
	assert_int_equal(state_validate(state, 1, changes.bytes.data, changes.bytes.len, 3), -EBADMSG);
	assert_int_equal(state_validate(state, 1, changes.bytes.data, changes.bytes.len - 8, 2), -EBADMSG);
	odd = malloc(changes.bytes.len + 1); /* any alignment */
	memcpy(odd + 1, changes.bytes.data, changes.bytes.len);
	assert_int_equal(state_validate(state, 1, odd + 1, changes.bytes.len, 2), 0);
	for (int i = 0; i < 100000; i++) { /* damage: never accepted and then fatal */
		uint32_t at = random_below(&seed, (uint32_t)changes.bytes.len);
		char old = odd[1 + at];

		odd[1 + at] = (char)random_next(&seed);
		if (state_validate(state, 1, odd + 1, changes.bytes.len, 2) == 0) {
			accepted++;
			assert_int_equal(state_commit(state, 7, odd + 1, changes.bytes.len, 2), 0);
		}
		odd[1 + at] = old;
	}
	assert_true(accepted > 100);
	free(odd);
	state_changes_clear(&changes);
	state_change_strong_key(&changes, 1, &key); /* keys are the parent's */
	assert_int_equal(state_validate(state, 1, changes.bytes.data, changes.bytes.len, 1), -EBADMSG);
	state_changes_clear(&changes);
	state_change_sources(&changes, 1, &digest);
	((struct state_record *)(void *)changes.bytes.data)->origin = 9; /* the parent writes the origin */
	assert_int_equal(state_validate(state, 1, changes.bytes.data, changes.bytes.len, 1), -EBADMSG);
	state_changes_release(&changes);
	state_free(state);
}

static void test_full_and_roll(void **unused UNUSED)
{
	struct state *state = state_new(2), *reader;
	struct state_changes changes = STATE_CHANGES_INIT;
	uint32_t committed = 0, changes_before;
	uint64_t before;

	assert_int_equal(state_open(state, 1), 0); /* one page */
	assert_int_equal(state_journal_size(state), sysconf(_SC_PAGESIZE));
	reader = state_replica(state, 1);
	state_change_fetched(&changes, 0, STATE_FETCHED_YES);
	while (state_commit(state, 0, changes.bytes.data, changes.bytes.len, 1) == 0)
		committed++;
	assert_int_equal(committed, (sysconf(_SC_PAGESIZE) - STATE_HEADER_BYTES) / 24 - 1); /* one for a turn */
	changes_before = state_get(state, 0)->changes;
	assert_int_equal(state_commit(state, 0, changes.bytes.data, changes.bytes.len, 1), -ENOSPC);
	assert_int_equal(state_get(state, 0)->changes, changes_before); /* not half done */
	before = state_position(state);
	assert_int_equal(state_epoch(state), 1);
	assert_int_equal(state_roll(state), 0);
	assert_int_equal(state_epoch(state), 2);
	assert_int_equal(state_commit(state, 0, changes.bytes.data, changes.bytes.len, 1), 0);
	/* A reader of the old one still reads the old one. */
	assert_int_equal(state_follow(reader, before, NULL, NULL), committed);
	assert_int_equal(state_get(reader, 0)->changes, committed);
	state_free(reader);
	state_changes_release(&changes);
	state_free(state);
}

static void note_line(void *data, uint32_t element, const char *line)
{
	buf_printf(data, "%u %s\n", element, line);
}

static void test_follow(void **unused UNUSED)
{
	struct state *state = state_new(8), *one, *two;
	struct state_changes changes = STATE_CHANGES_INIT;
	struct state_artifact artifact = { .outcome = STATE_ARTIFACT_SUCCESS };
	_cleanup_buf_ struct buf lines = BUF_INIT;
	uint64_t middle;
	uint32_t element;

	assert_int_equal(state_open(state, 0), 0);
	one = state_replica(state, 1);
	two = state_replica(state, 2);
	state_change_artifact(&changes, 5, &artifact);
	state_keep(one, changes.bytes.data, changes.bytes.len);
	commit(state, 1, &changes);
	middle = state_position(state);
	state_change_fetched(&changes, 3, STATE_FETCHED_YES);
	commit(state, STATE_ORIGIN_PARENT, &changes);

	/* As of the middle, no later. */
	assert_int_equal(state_follow(two, middle, note_line, &lines), 1);
	assert_string_equal(lines.data, "5 artifact cached, by worker 1\n");
	assert_int_equal(state_get(two, 3)->fetched, STATE_FETCHED_UNKNOWN);
	/* The sender passes its own over and still has it, once. */
	assert_int_equal(state_follow(one, state_position(state), NULL, NULL), 1);
	assert_int_equal(state_get(one, 5)->changes, 1);
	assert_true(state_equal(state, one, &element));
	assert_false(state_equal(state, two, &element));
	assert_int_equal(element, 3);
	/* Not backwards, not beyond the head, not between records. */
	assert_int_equal(state_follow(one, middle, NULL, NULL), -EBADMSG);
	assert_int_equal(state_follow(two, state_position(state) + 8, NULL, NULL), -EBADMSG);
	assert_int_equal(state_follow(two, middle + 8, NULL, NULL), -EBADMSG);
	state_free(one);
	state_free(two);
	state_changes_release(&changes);
	state_free(state);
}

/* What a worker kept must be what the parent wrote. */
static void test_kept_differs(void **unused UNUSED)
{
	struct state *state = state_new(2), *one;
	struct state_changes changes = STATE_CHANGES_INIT;

	assert_int_equal(state_open(state, 0), 0);
	one = state_replica(state, 1);
	state_change_fetched(&changes, 1, STATE_FETCHED_YES);
	state_keep(one, changes.bytes.data, changes.bytes.len);
	state_changes_clear(&changes);
	state_change_fetched(&changes, 1, STATE_FETCHED_NO);
	commit(state, 1, &changes);
	assert_int_equal(state_follow(one, state_position(state), NULL, NULL), -EBADMSG);
	state_free(one);
	/* Nothing kept at all: as if a number had been used twice. */
	one = state_replica(state, 1);
	state_change_fetched(&changes, 1, STATE_FETCHED_NO);
	commit(state, 1, &changes);
	assert_int_equal(state_follow(one, state_position(state), NULL, NULL), -EBADMSG);
	state_free(one);
	state_changes_release(&changes);
	state_free(state);
}

/* The same bytes about something else are not what the worker kept either. */
static void test_kept_is_about_another(void **unused UNUSED)
{
	struct key key = key_of(9);

	for (int other = 0; other < 2; other++) {
		struct state *state = state_new(3), *one;
		struct state_changes changes = STATE_CHANGES_INIT;

		assert_int_equal(state_open(state, 0), 0);
		one = state_replica(state, 1);
		state_change_weak_key(&changes, 1, &key);
		state_keep(one, changes.bytes.data, changes.bytes.len);
		state_changes_clear(&changes);
		if (other == 0)
			state_change_weak_key(&changes, 2, &key);
		else
			state_change_strict_key(&changes, 1, &key);
		commit(state, 1, &changes);
		assert_int_equal(state_follow(one, state_position(state), NULL, NULL), -EBADMSG);
		state_changes_release(&changes);
		state_free(one);
		state_free(state);
	}
}

/* No memory for a journal: said, and nothing is left open. */
static void test_no_room_for_a_journal(void **unused UNUSED)
{
	struct state *state = state_new(2);
	struct rlimit limit, none = { 0 };
	int before = dup(0), after;

	close(before);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	none.rlim_max = limit.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(state_open(state, 0), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	after = dup(0);
	assert_int_equal(after, before);
	close(after);
	assert_int_equal(state_open(state, 0), 0);
	state_free(state);
}

static int child_checks(struct state *state, char *journal, int pipe_fd)
{
	unsigned char in_core;
	uint64_t as_of;

	if (state_attach(state, 1) < 0)
		return 1;
	if (mincore(journal, 4096, &in_core) == 0)
		return 2; /* the writer's mapping was inherited */
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, state->fd, 0) != MAP_FAILED || errno != EPERM)
		return 3; /* not sealed */
	if (pwrite(state->fd, "x", 1, 0) >= 0 || ftruncate(state->fd, 0) == 0)
		return 4;
	for (int i = 0; i < 3; i++) {
		if (read(pipe_fd, &as_of, sizeof(as_of)) != sizeof(as_of))
			return 5;
		if (state_follow(state, as_of, NULL, NULL) != 1)
			return 6;
		if (i == 0 && mprotect(state->journal, 4096, PROT_READ | PROT_WRITE) == 0)
			return 7;
		if (state_get(state, 1)->changes != (uint32_t)i + 2)
			return 8;
	}
	return 0;
}

static void test_real_fork(void **unused UNUSED)
{
	struct state *state = state_new(2);
	struct state_changes changes = STATE_CHANGES_INIT;
	int fds[2], status;
	uint64_t as_of;
	pid_t pid;

	assert_int_equal(state_open(state, 0), 0);
	assert_int_equal(pipe(fds), 0);
	state_change_fetched(&changes, 1, STATE_FETCHED_NO);
	commit(state, 0, &changes); /* before the fork: inherited, not followed */
	pid = fork();
	if (pid == 0)
		_exit(child_checks(state, state->journal, fds[0]));
	for (int i = 0; i < 3; i++) {
		state_change_fetched(&changes, 1, STATE_FETCHED_YES);
		commit(state, 0, &changes);
		as_of = state_position(state);
		assert_int_equal(write(fds[1], &as_of, sizeof(as_of)), sizeof(as_of));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fds[0]);
	close(fds[1]);
	state_changes_release(&changes);
	state_free(state);
}

/* --- property: whatever the order of commits, deaths, forks and dispatches, a replica that follows to a position equals
 * what the parent was at that position; and changes are seen exactly once (state_equal compares their number). --- */

enum { ELEMENTS = 12, REPLICAS = 6, STEPS = 400 };

struct reader {
	struct state *state;
	uint32_t incarnation;
	struct state_changes sent; /* in a result on its way to the parent */
};

static void random_change(struct state_changes *changes, uint64_t *seed, uint32_t element)
{
	struct state_artifact artifact = { .outcome = 1 + random_below(seed, 3), .files = digest_number(random_next(seed)) };
	struct digest digest = digest_number(random_next(seed));
	char text[64];

	switch (random_below(seed, 5)) {
	case 0:
		state_change_artifact(changes, element, &artifact);
		break;
	case 1:
		state_change_sources(changes, element, &digest);
		break;
	case 2:
		state_change_fetched(changes, element, random_below(seed, STATE_FETCHED_END));
		break;
	case 3:
		snprintf(text, sizeof(text), "\"%u\"", random_below(seed, 1u << 31) >> random_below(seed, 31));
		state_change_ref(changes, element, random_below(seed, 3), text, strlen(text));
		break;
	default:
		state_change_ref_blob(changes, element, random_below(seed, 3), &digest);
		break;
	}
}

static void refork(struct reader *reader, const struct state *parent, uint32_t *incarnations)
{
	state_free(reader->state);
	state_changes_clear(&reader->sent);
	reader->incarnation = ++*incarnations;
	reader->state = state_replica(parent, reader->incarnation);
}

/* A replica of the present to compare with later positions: its incarnation never sends, so it follows everything. */
static void check_as_of(struct reader *reader, struct state *judge)
{
	uint32_t element;

	assert_true(state_follow(reader->state, state_cursor(judge), NULL, NULL) >= 0);
	if (!state_equal(reader->state, judge, &element))
		fail_msg("incarnation %u differs at element %u", reader->incarnation, element);
}

/* A position where the parent once stood, not before either of them. */
static uint64_t random_position(const struct buf *positions, uint64_t *seed, uint64_t least)
{
	const uint64_t *all = (const uint64_t *)(const void *)positions->data;
	uint32_t count = (uint32_t)(positions->len / sizeof(*all)), first = 0;

	while (first < count && all[first] < least)
		first++;
	return first == count ? least : all[first + random_below(seed, count - first)];
}

static void step(struct state *parent, struct state *judge, struct reader *reader, uint64_t *seed, uint32_t *incarnations,
		 struct buf *positions)
{
	struct state_changes own = STATE_CHANGES_INIT;
	uint32_t element = random_below(seed, ELEMENTS);
	uint64_t position;

	switch (random_below(seed, 6)) {
	case 0: /* a worker dies, with whatever it had sent and kept, and another is forked */
		refork(reader, parent, incarnations);
		break;
	case 1: /* the parent changes something itself */
		random_change(&own, seed, element);
		commit(parent, STATE_ORIGIN_PARENT, &own);
		break;
	case 2:
	case 3: /* a job ends: its result is under way */
		for (uint32_t n = random_below(seed, 4); n > 0; n--)
			random_change(&own, seed, element);
		state_keep(reader->state, own.bytes.data, own.bytes.len);
		buf_add(&reader->sent.bytes, buf_text(&own.bytes), own.bytes.len);
		reader->sent.count += own.count;
		break;
	case 4: /* its result arrives */
		commit(parent, reader->incarnation, &reader->sent);
		break;
	default: /* dispatch, with as_of anywhere between the cursor and the head: the judge walks with it */
		position = random_position(positions, seed, MAX(state_cursor(judge), state_cursor(reader->state)));
		assert_true(state_follow(judge, position, NULL, NULL) >= 0);
		check_as_of(reader, judge);
		break;
	}
	position = state_position(parent);
	buf_add(positions, &position, sizeof(position));
	state_changes_release(&own);
}

static void test_interleavings(void **unused UNUSED)
{
	for (uint64_t run = 0; run < 300; run++) {
		struct state *parent = state_new(ELEMENTS), *judge;
		struct reader readers[REPLICAS] = { 0 };
		struct buf positions = BUF_INIT;
		uint32_t incarnations = 0, element;
		uint64_t seed = run * 7919 + 1;

		assert_int_equal(state_open(parent, 0), 0);
		judge = state_replica(parent, UINT32_MAX);
		for (int i = 0; i < REPLICAS; i++)
			refork(&readers[i], parent, &incarnations);
		for (int i = 0; i < STEPS; i++)
			step(parent, judge, &readers[random_below(&seed, REPLICAS)], &seed, &incarnations,
			     &positions);
		for (int i = 0; i < REPLICAS; i++)
			commit(parent, readers[i].incarnation, &readers[i].sent);
		assert_true(state_follow(judge, state_position(parent), NULL, NULL) >= 0);
		assert_true(state_equal(parent, judge, &element));
		for (int i = 0; i < REPLICAS; i++) {
			check_as_of(&readers[i], judge);
			state_free(readers[i].state);
			state_changes_release(&readers[i].sent);
		}
		buf_release(&positions);
		state_free(judge);
		state_free(parent);
	}
}

static void test_nothing_left_behind(void **unused UNUSED)
{
	uint32_t maps = count_lines("/proc/self/maps", "millrace-state"), all;
	int fd = lowest_free_fd();

	for (int round = 0; round < 3; round++) {
		struct state *parent = state_new(100), *replica;
		struct state_changes changes = STATE_CHANGES_INIT;

		assert_int_equal(state_open(parent, 0), 0);
		replica = state_replica(parent, 1);
		state_change_fetched(&changes, 1, STATE_FETCHED_NO);
		commit(parent, 2, &changes);
		assert_int_equal(state_follow(replica, state_position(parent), NULL, NULL), 1);
		assert_int_equal(count_lines("/proc/self/maps", "millrace-state"), maps + 2);
		assert_int_equal(state_roll(parent), 0);
		assert_int_equal(count_lines("/proc/self/maps", "millrace-state"), maps + 2); /* the old one is the reader's */
		state_changes_release(&changes);
		state_free(replica);
		state_free(parent);
		assert_int_equal(count_lines("/proc/self/maps", "millrace-state"), maps);
		assert_int_equal(lowest_free_fd(), fd);
	}
	all = address_space_pages();
	for (int round = 0; round < 50; round++)
		state_free(state_new(100000));
	assert_in_range(address_space_pages(), 1, all + 20000);
}

/* As much as may be at once is accepted, and taken in. */
static void test_exactly_the_most(void **unused UNUSED)
{
	struct state *state = state_new(2);
	struct digest digest = digest_number(3);
	struct state_changes changes = STATE_CHANGES_INIT;

	assert_int_equal(state_open(state, 0), 0);
	for (uint32_t first = 0; first < 100 && changes.bytes.len != STATE_CHANGES_MAX; first++) {
		state_changes_clear(&changes);
		for (uint32_t i = 0; i < first; i++)
			assert_int_equal(state_change_sources(&changes, 1, &digest), 0);
		while (state_change_fetched(&changes, 1, STATE_FETCHED_YES) == 0)
			;
	}
	assert_int_equal(changes.bytes.len, STATE_CHANGES_MAX);
	assert_int_equal(state_validate(state, 1, changes.bytes.data, changes.bytes.len, changes.count), 0);
	commit(state, 2, &changes);
	assert_int_equal(state_get(state, 1)->fetched, STATE_FETCHED_YES);
	state_changes_release(&changes);
	state_free(state);
}

/* Pages are made ready ahead of the head, never behind the journal's end, and in growing steps. */
static void test_pages_are_ready_ahead(void **unused UNUSED)
{
	struct state *state = state_new(4);
	struct state_changes changes = STATE_CHANGES_INIT;
	uint64_t before = 0, steps = 0;

	assert_int_equal(state_open(state, 8 << 20), 0);
	while (state_position(state) < (7u << 20)) {
		for (uint32_t i = 0; i < 100; i++)
			state_change_fetched(&changes, 1, STATE_FETCHED_NO);
		commit(state, 2, &changes);
		assert_true(state->populated >= state_position(state) && state->populated <= state->journal_bytes);
		assert_true(state->populated >= before);
		steps += state->populated != before;
		before = state->populated;
	}
	assert_in_range(steps, 5, 14);
	assert_int_equal(state_roll(state), 0); /* and anew */
	state_change_fetched(&changes, 1, STATE_FETCHED_NO);
	commit(state, 2, &changes);
	assert_in_range(state->populated, state_position(state), 1 << 20);
	state_changes_release(&changes);
	state_free(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_left_behind),
		cmocka_unit_test(test_every_field),   cmocka_unit_test(test_bounds),	   cmocka_unit_test(test_validate),
		cmocka_unit_test(test_full_and_roll), cmocka_unit_test(test_follow),	   cmocka_unit_test(test_kept_differs), cmocka_unit_test(test_kept_is_about_another),
		cmocka_unit_test(test_pages_are_ready_ahead), cmocka_unit_test(test_exactly_the_most),
		cmocka_unit_test(test_no_room_for_a_journal),
		cmocka_unit_test(test_real_fork),     cmocka_unit_test(test_interleavings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
