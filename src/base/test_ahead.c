/* Tests of work begun by a second thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/ahead.h"

enum { ITEMS = 2000 };

struct item {
	atomic_int times; /* worked on, by whom ever */
	int number, square;
};

static void square(void *data, void *item)
{
	struct item *it = item;

	it->square = it->number * it->number;
	atomic_fetch_add(&it->times, 1);
	atomic_fetch_add((atomic_int *)data, 1);
}

static const char *key_of(char key[16], int i)
{
	snprintf(key, 16, "item %d", i);
	return key;
}

static void fill(struct ahead *ahead, struct item *items, int from, int to)
{
	char key[16];

	for (int i = from; i < to; i++) {
		items[i].number = i;
		assert_false(ahead_knows(ahead, key_of(key, i)));
		ahead_expect(ahead, key, &items[i]);
		assert_true(ahead_knows(ahead, key));
	}
}

/* Whoever does it, each item is worked on once, and what is handed out is done. */
static void test_each_once(void **state)
{
	static struct item items[ITEMS];
	atomic_int ahead_count = 0;
	struct ahead *ahead = ahead_new(square, &ahead_count, 8);
	char key[16];
	int mine = 0;

	(void)state;
	for (int batch = 0; batch < ITEMS; batch += 100) {
		fill(ahead, items, batch, batch + 100);
		ahead_go(ahead);
		for (int i = batch; i < batch + 60; i++) {
			struct item *item = ahead_take(ahead, key_of(key, i));

			if (!item) {
				square(&ahead_count, &items[i]);
				mine++;
			}
			assert_int_equal(items[i].square, i * i);
		}
	}
	for (int i = 0; i < ITEMS; i++)
		if (i % 100 >= 60 && !ahead_take(ahead, key_of(key, i))) {
			square(&ahead_count, &items[i]);
			mine++;
		}
	ahead_end(ahead);
	assert_int_equal(ahead_count, ITEMS);
	for (int i = 0; i < ITEMS; i++)
		assert_int_equal(items[i].times, 1);
	assert_true(mine <= ITEMS);
	ahead_free(ahead);
}

/* A few items are not worth a thread: they are all the caller's. */
static void test_few(void **state)
{
	static struct item items[8];
	atomic_int count = 0;
	struct ahead *ahead = ahead_new(square, &count, 8);
	char key[16];

	(void)state;
	fill(ahead, items, 0, 7);
	ahead_go(ahead);
	for (int i = 0; i < 7; i++)
		assert_null(ahead_take(ahead, key_of(key, i)));
	assert_null(ahead_take(ahead, "never announced"));
	assert_int_equal(count, 0);
	ahead_free(ahead);
}

/* What was done before the end can be taken after it; the rest is the caller's, and a thread begins again if need be. */
static void test_end(void **state)
{
	static struct item items[64];
	atomic_int count = 0;
	struct ahead *ahead = ahead_new(square, &count, 1);
	char key[16];
	int done = 0;

	(void)state;
	fill(ahead, items, 0, 32);
	ahead_go(ahead);
	while (atomic_load(&count) < 32)
		usleep(100);
	ahead_end(ahead);
	fill(ahead, items, 32, 33);
	for (int i = 0; i < 33; i++)
		done += ahead_take(ahead, key_of(key, i)) != NULL;
	assert_int_equal(done, 32);
	fill(ahead, items, 33, 64);
	ahead_go(ahead);
	while (atomic_load(&count) < 63)
		usleep(100);
	assert_non_null(ahead_take(ahead, key_of(key, 50)));
	assert_null(ahead_take(ahead, key_of(key, 50))); /* handed out once */
	ahead_free(ahead);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_once),
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
