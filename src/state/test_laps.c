/* state/test_laps.c: bytes of the journal are written again, and never before everybody has read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "base/random.h"
#include "state/state_internal.h"

enum { READERS = 5, ONE = 56 }; /* bytes of a record of sources */

/* A parent whose n-th change carries the number n, and readers that expect one after the other. */
struct world {
	struct state *parent;
	struct reader {
		struct state *state;
		uint64_t known, as_of, sent; /* what the parent knows of it; where it is; where its next job sends it */
		uint32_t next;
	} readers[READERS];
	uint32_t committed, incarnations;
};

static uint64_t oldest(void *data)
{
	const struct world *world = data;
	uint64_t least = UINT64_MAX;

	for (uint32_t i = 0; i < READERS; i++)
		if (world->readers[i].state && state_epoch(world->readers[i].state) == state_epoch(world->parent))
			least = MIN(least, world->readers[i].known);
	return least;
}

static void enter(struct world *world, uint32_t number)
{
	struct reader *reader = &world->readers[number];

	state_free(reader->state);
	reader->state = state_replica(world->parent, ++world->incarnations);
	reader->known = reader->as_of = reader->sent = state_position(world->parent);
	reader->next = world->committed;
}

static struct world *begin(size_t journal_bytes, size_t lap_bytes, uint32_t readers)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->parent = state_new(1);
	state_reuse(world->parent, lap_bytes, oldest, world);
	assert_int_equal(state_open(world->parent, journal_bytes), 0);
	for (uint32_t i = 0; i < readers; i++)
		enter(world, i);
	return world;
}

static void end(struct world *world)
{
	for (uint32_t i = 0; i < READERS; i++)
		state_free(world->readers[i].state);
	state_free(world->parent);
	free(world);
}

/* `count` changes at once. */
static int change(struct world *world, uint32_t count)
{
	struct state_changes changes = STATE_CHANGES_INIT;
	int r;

	for (uint32_t i = 0; i < count; i++) {
		struct digest digest = { .size_bytes = 1 };
		uint32_t number = world->committed + i;

		for (uint32_t byte = 0; byte < 4; byte++)
			digest.hash[byte] = (uint8_t)(number >> (24 - 8 * byte));
		assert_int_equal(state_change_sources(&changes, 0, &digest), 0);
	}
	assert_int_equal(changes.bytes.len, count * ONE);
	r = state_commit(world->parent, STATE_ORIGIN_PARENT, changes.bytes.data, changes.bytes.len, count);
	world->committed += r == 0 ? count : 0;
	state_changes_release(&changes);
	return r;
}

static void expect_next(void *data, uint32_t element UNUSED, const char *line)
{
	struct reader *reader = data;
	char expected[64];

	snprintf(expected, sizeof(expected), "sources %08x, by the scheduler", reader->next++);
	assert_string_equal(line, expected);
}

static void follow(struct reader *reader, uint64_t as_of)
{
	reader->as_of = reader->sent = as_of;
	assert_true(state_follow(reader->state, as_of, expect_next, reader) >= 0);
	assert_int_equal(state_cursor(reader->state), as_of);
}

/* Reads all there is and is known to have. */
static void catch_up(struct world *world, uint32_t number)
{
	struct reader *reader = &world->readers[number];

	follow(reader, state_position(world->parent));
	reader->known = reader->as_of;
	assert_int_equal(reader->next, world->committed);
}

static uint64_t get64(const struct state *state, uint64_t at)
{
	uint64_t number;

	memcpy(&number, state->journal + at, sizeof(number));
	return number;
}

/* --- to the byte --- */

static void test_layout(void **unused UNUSED)
{
	struct world *world = begin(8192, 1024, 1);
	struct state *parent = world->parent;

	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(change(world, 1), 0);
	catch_up(world, 0);
	assert_int_equal(state_position(parent), 960);
	assert_int_equal(parent->used, 1024);
	assert_int_equal(change(world, 1), 0); /* 960 + 56 + 24 > 1024 */
	assert_int_equal(parent->used, 1024);
	assert_int_equal(get64(parent, 960), UINT64_C(10) << 32 | 24); /* length, type, no padding */
	assert_int_equal(get64(parent, 968), 0);		     /* element, origin */
	assert_int_equal(get64(parent, 976), 64);
	assert_int_equal(state_position(parent), 960 + 24 + ONE);
	assert_int_equal(parent->at, 64 + ONE);
	assert_int_equal(get64(parent, 8), state_position(parent)); /* the head */
	catch_up(world, 0);
	end(world);
}

/* What the slowest has not read stays, to the byte: as much as is free is used, and then the lap goes on behind. */
static void test_slow_reader_is_passed(void **unused UNUSED)
{
	struct world *world = begin(65536, 1024, 2);
	struct state *parent = world->parent;

	for (uint32_t i = 0; i < 16; i++) {
		assert_int_equal(change(world, 1), 0);
		if (i == 11)
			catch_up(world, 1); /* 12 records: at byte 736 */
	}
	catch_up(world, 0);
	assert_int_equal(change(world, 1), 0);
	assert_int_equal(parent->at, 64 + ONE);
	assert_int_equal(parent->limit, 64 + 12 * ONE);
	for (uint32_t i = 1; i < 11; i++) /* 12 do not fit: a turn must */
		assert_int_equal(change(world, 1), 0);
	assert_int_equal(parent->at, 64 + 11 * ONE);
	assert_int_equal(parent->used, 1024);
	assert_int_equal(change(world, 1), 0);
	assert_int_equal(get64(parent, 64 + 11 * ONE + 16), 1024);
	assert_int_equal(parent->at, 1024 + ONE);
	assert_int_equal(parent->used, 2048);
	catch_up(world, 1);
	catch_up(world, 0);
	/* All of it is free now, but for the lap that is being written. */
	while (parent->at != 64 + ONE)
		assert_int_equal(change(world, 1), 0);
	assert_int_equal(parent->used, 2048);
	catch_up(world, 0);
	catch_up(world, 1);
	end(world);
}

/* A lap is used to its last byte, and the journal. */
static void test_exact(void **unused UNUSED)
{
	const size_t lap_bytes = 64 + 16 * ONE + 24;
	struct state_changes changes = STATE_CHANGES_INIT;
	struct world *world = begin(4096, lap_bytes, 0);

	state_reuse(world->parent, lap_bytes, NULL, NULL);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(change(world, 1), 0);
	assert_int_equal(world->parent->used, lap_bytes);
	assert_int_equal(change(world, 1), 0);
	assert_int_equal(world->parent->used, 2 * lap_bytes);
	end(world);

	/* So is the whole: 64 + 71 * 56 + 32 + 24 = 4096. */
	world = begin(4096, 1, 0);
	state_reuse(world->parent, 1, NULL, NULL);
	for (uint32_t i = 0; i < 71; i++)
		assert_int_equal(change(world, 1), 0);
	assert_int_equal(state_change_workspace(&changes, 0, "0123456789abcdef"), 0);
	assert_int_equal(changes.bytes.len, 32);
	assert_int_equal(state_commit(world->parent, 0, changes.bytes.data, 32, 1), 0);
	assert_int_equal(world->parent->used, 4096);
	assert_int_equal(state_commit(world->parent, 0, changes.bytes.data, 32, 1), -ENOSPC);
	state_changes_release(&changes);
	end(world);
}

/* Less than half of what was written is not worth a turn. */
static void test_half(void **unused UNUSED)
{
	for (uint32_t read = 6; read <= 9; read++) {
		struct world *world = begin(8192, 1024, 1);

		for (uint32_t i = 0; i < 16; i++) {
			assert_int_equal(change(world, 1), 0);
			if (i + 1 == read)
				catch_up(world, 0);
		}
		assert_int_equal(change(world, 1), 0);
		assert_int_equal(world->parent->used, read >= 8 ? 1024 : 2048);
		catch_up(world, 0);
		end(world);
	}
}

/* The slow one was overtaken once; it counts until it has read, then the bytes before are free. */
static void test_full(void **unused UNUSED)
{
	struct world *world = begin(4096, 512, 2);
	uint32_t before;
	uint64_t position;

	while (change(world, 1) == 0)
		catch_up(world, 0);
	before = world->committed;
	position = state_position(world->parent);
	assert_int_equal(change(world, 1), -ENOSPC);
	assert_int_equal(state_position(world->parent), position);
	assert_int_equal(state_get(world->parent, 0)->changes, before);
	assert_int_equal(world->parent->used, 4096);
	assert_in_range(position, 4096 - 2 * ONE - 24, 4096);
	catch_up(world, 1);
	assert_int_equal(change(world, 1), 0);
	assert_int_equal(world->parent->at, 64 + ONE);
	catch_up(world, 0);
	catch_up(world, 1);
	/* Begun anew: readers of before count no more, and read on in what they have. */
	assert_int_equal(change(world, 3), 0);
	position = state_position(world->parent);
	assert_int_equal(state_roll(world->parent), 0);
	assert_int_equal(state_position(world->parent), 64);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(change(world, 1), 0);
	follow(&world->readers[1], position);
	assert_int_equal(state_journal_used(world->parent), 512);
	end(world);
}

/* Without anybody to ask, every byte is written once. */
static void test_not_asked_for(void **unused UNUSED)
{
	struct world *world = begin(4096, 512, 0);

	state_reuse(world->parent, 0, NULL, NULL);
	while (change(world, 1) == 0)
		;
	assert_int_equal(world->committed, (4096 - 64 - 24) / ONE);
	assert_int_equal(state_journal_used(world->parent), 4096);
	end(world);
}

/* A million changes in the memory of two laps, of pages that are made ready once. */
static void test_small(void **unused UNUSED)
{
	struct world *world = begin(0, 0, READERS);

	for (uint32_t i = 0; i < 50000; i++) {
		assert_int_equal(change(world, 20), 0);
		if (i % 50 == 0)
			for (uint32_t reader = 0; reader < READERS; reader++)
				catch_up(world, reader);
	}
	assert_int_equal(world->committed, 1000000);
	assert_int_equal(state_journal_used(world->parent), 1 << 20);
	assert_int_equal(world->parent->populated, 1 << 20);
	assert_int_equal(state_epoch(world->parent), 1);
	end(world);
}

/* --- what a reader does not believe --- */

static void test_bad_turns(void **unused UNUSED)
{
	/* the last one may be, but no record is there */
	static const uint64_t to[] = { 0, 56, 65, 68, 8192, 8192 - 16, UINT64_MAX, UINT64_MAX - 7, 8192 - 24 };

	for (uint32_t i = 0; i < ARRAY_SIZE(to); i++) {
		struct world *world = begin(8192, 1024, 1);
		struct state *reader = world->readers[0].state;

		for (uint32_t n = 0; n < 16; n++)
			assert_int_equal(change(world, 1), 0);
		catch_up(world, 0);
		assert_int_equal(change(world, 1), 0);
		memcpy(world->parent->journal + 976, &to[i], sizeof(to[i]));
		assert_int_equal(state_follow(reader, state_position(world->parent), NULL, NULL), -EBADMSG);
		end(world);
	}
}

/* The last place where a record may begin. */
static void test_last_place(void **unused UNUSED)
{
	struct world *world = begin(8192, 1024, 1);
	struct state_changes changes = STATE_CHANGES_INIT;
	const uint64_t to = 8192 - 24;

	for (uint32_t n = 0; n < 16; n++)
		assert_int_equal(change(world, 1), 0);
	catch_up(world, 0);
	assert_int_equal(change(world, 1), 0);
	assert_int_equal(state_change_fetched(&changes, 0, STATE_FETCHED_YES), 0);
	assert_int_equal(changes.bytes.len, 24);
	memcpy(world->parent->journal + 976, &to, sizeof(to));
	memcpy(world->parent->journal + to, changes.bytes.data, 24);
	assert_int_equal(state_follow(world->readers[0].state, 984 + 24, NULL, NULL), 1);
	assert_int_equal(state_get(world->readers[0].state, 0)->fetched, STATE_FETCHED_YES);
	state_changes_release(&changes);
	end(world);
}

/* A record may not reach over the journal's end, whatever the head says. */
static void test_end(void **unused UNUSED)
{
	struct world *world = begin(4096, 4096, 1);
	struct state_record record = { .length = ONE, .type = STATE_SOURCES };
	const uint64_t to = 4096 - 48;

	for (uint32_t n = 0; n < 71; n++)
		assert_int_equal(change(world, 1), 0);
	catch_up(world, 0);
	assert_int_equal(change(world, 1), 0);
	assert_int_equal(world->parent->at, 64 + ONE);
	memcpy(world->parent->journal + 64 + 71 * ONE + 16, &to, sizeof(to));
	memcpy(world->parent->journal + to, &record, sizeof(record));
	assert_int_equal(state_follow(world->readers[0].state, state_position(world->parent), NULL, NULL), -EBADMSG);
	end(world);
}

static void test_jobs_make_no_turns(void **unused UNUSED)
{
	struct state *state = state_new(1);
	struct state_record record = { .length = 24, .type = STATE_TURN };
	char bytes[24];
	const uint64_t to = 64;

	memcpy(bytes, &record, sizeof(record));
	memcpy(bytes + 16, &to, sizeof(to));
	assert_int_equal(state_validate(state, 0, bytes, sizeof(bytes), 1), -EBADMSG);
	state_free(state);
}

/* --- at random --- */

static void step(struct world *world, uint64_t *seed)
{
	struct reader *reader = &world->readers[random_below(seed, READERS)];
	uint32_t count = random_below(seed, 40) ? 1 + random_below(seed, 4) : 1 + random_below(seed, 500);

	switch (random_below(seed, 12)) {
	case 0: /* it is known how far it has come */
	case 1:
	case 2:
		reader->known = reader->as_of;
		break;
	case 3: /* it gets a job */
	case 4:
		if (state_epoch(reader->state) == state_epoch(world->parent))
			reader->sent = state_position(world->parent);
		break;
	case 5: /* and begins it later */
		follow(reader, reader->sent);
		break;
	case 6:
		if (random_below(seed, 100) == 0)
			enter(world, (uint32_t)(reader - world->readers));
		break;
	default:
		if (change(world, count) == -ENOSPC) {
			assert_int_equal(state_roll(world->parent), 0);
			assert_int_equal(change(world, count), 0);
			for (uint32_t i = 0; i < READERS; i++)
				if (random_below(seed, 2)) /* the others are replaced later */
					enter(world, i);
		}
	}
}

static void test_random(void **unused UNUSED)
{
	uint32_t rolled = 0, turned = 0;

	for (uint64_t round = 1; round <= 60; round++) {
		uint64_t seed = round, steps = 3000;
		struct world *world = begin((size_t)32768 << random_below(&seed, 4), (size_t)128 << random_below(&seed, 9), READERS);

		while (steps-- > 0)
			step(world, &seed);
		rolled += state_epoch(world->parent) > 1;
		turned += world->parent->lap.start > 64;
		end(world);
	}
	assert_true(rolled > 5 && turned > 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout), cmocka_unit_test(test_slow_reader_is_passed), cmocka_unit_test(test_half), cmocka_unit_test(test_exact),
		cmocka_unit_test(test_full), cmocka_unit_test(test_not_asked_for), cmocka_unit_test(test_small),
		cmocka_unit_test(test_bad_turns), cmocka_unit_test(test_last_place), cmocka_unit_test(test_end), cmocka_unit_test(test_jobs_make_no_turns),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
