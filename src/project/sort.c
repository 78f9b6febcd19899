/* CPython 3.12's sorting algorithm: see sort.h.  Every comparison has the form "is this one less than that one", and
 * none may be added, dropped or turned around. */
#include "project/sort.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_GALLOP = 7, MAX_RUNS = 85, SMALL_TEMP = 64 };

struct pending {
	size_t start, len;
	int power; /* of the boundary between this run and the next one */
};

struct sorter {
	void **items;
	size_t count;
	project_less_fn *less;
	void *data;
	size_t min_gallop;
	struct pending runs[MAX_RUNS];
	size_t run_count;
	void *small[SMALL_TEMP];
	void **temp;
	size_t temp_cap;
};

static bool less(const struct sorter *s, const void *a, const void *b)
{
	return s->less(a, b, s->data);
}

static void reverse(void **items, size_t count)
{
	for (size_t i = 0, k = count; i + 1 < k; i++) {
		void *swap = items[i];

		items[i] = items[--k];
		items[k] = swap;
	}
}

/* Length of the run that starts here; a strictly descending one is turned round. */
static size_t take_natural_run(struct sorter *s, size_t start)
{
	void **items = s->items + start;
	size_t rest = s->count - start, n = 2;
	bool descending;

	if (rest < 2)
		return rest;
	descending = less(s, items[1], items[0]);
	while (n < rest && less(s, items[n], items[n - 1]) == descending)
		n++;
	if (descending)
		reverse(items, n);
	return n;
}

/* items[0..sorted) is sorted; brings items[sorted..end) in, each to the right of its equals. */
static void insert_sorted(struct sorter *s, void **items, size_t sorted, size_t end)
{
	for (; sorted < end; sorted++) {
		void *pivot = items[sorted];
		size_t left = 0, right = sorted;

		while (left < right) {
			size_t middle = left + ((right - left) >> 1);

			if (less(s, pivot, items[middle]))
				right = middle;
			else
				left = middle + 1;
		}
		memmove(items + left + 1, items + left, (sorted - left) * sizeof(*items));
		items[left] = pivot;
	}
}

/* Does item belong before key?  after_equals: equals of key count as before it. */
static bool before(const struct sorter *s, void *item, void *key, bool after_equals)
{
	return after_equals ? !less(s, key, item) : less(s, item, key);
}

/* How many of items[0..n) belong before key: exponential search from hint, then binary search. */
static size_t gallop(const struct sorter *s, void *key, void **items, size_t n, size_t hint, bool after_equals)
{
	size_t low, high; /* items before low belong before key, those from high on do not */
	size_t last = 0, step = 1;

	if (before(s, items[hint], key, after_equals)) {
		size_t most = n - hint;

		while (step < most && before(s, items[hint + step], key, after_equals)) {
			last = step;
			step = step * 2 + 1;
		}
		low = hint + last + 1;
		high = hint + MIN(step, most);
	} else {
		size_t most = hint + 1;

		while (step < most && !before(s, items[hint - step], key, after_equals)) {
			last = step;
			step = step * 2 + 1;
		}
		step = MIN(step, most);
		low = hint + 1 - step;
		high = hint - last;
	}
	while (low < high) {
		size_t middle = low + ((high - low) >> 1);

		if (before(s, items[middle], key, after_equals))
			low = middle + 1;
		else
			high = middle;
	}
	return high;
}

/* A merge runs from one end of two neighbouring runs to the other.  The run at that end is set aside, so that its place
 * can be filled; the other one stays.  Going up, the left run is set aside; going down, the right one. */
struct run {
	void **head; /* next item to take */
	size_t n;
};
struct merge {
	struct run aside, other;
	void **to;
	bool down;
};

static void take(struct merge *m, struct run *run, size_t k)
{
	if (m->down) {
		memmove(m->to - k + 1, run->head - k + 1, k * sizeof(*m->to));
		m->to -= k;
		run->head -= k;
	} else {
		memmove(m->to, run->head, k * sizeof(*m->to));
		m->to += k;
		run->head += k;
	}
	run->n -= k;
}

/* How many items at the head of run go before the other run's head. */
static size_t winning(const struct sorter *s, const struct merge *m, const struct run *run, void *key,
		      bool after_equals)
{
	if (m->down)
		return run->n - gallop(s, key, run->head - (run->n - 1), run->n, run->n - 1, after_equals);
	return gallop(s, key, run->head, run->n, 0, after_equals);
}

/* One item at a time, until one side wins min_gallop times in a row.  False: the merge is at its end. */
static bool merge_plainly(const struct sorter *s, struct merge *m, size_t min_gallop)
{
	size_t aside_wins = 0, other_wins = 0;

	for (;;) {
		void *left = m->down ? *m->other.head : *m->aside.head;
		void *right = m->down ? *m->aside.head : *m->other.head;

		if (less(s, right, left)) {
			take(m, &m->other, 1);
			aside_wins = 0;
			if (m->other.n == 0)
				return false;
			if (++other_wins >= min_gallop)
				return true;
		} else {
			take(m, &m->aside, 1);
			other_wins = 0;
			if (m->aside.n == 1)
				return false;
			if (++aside_wins >= min_gallop)
				return true;
		}
	}
}

/* Takes the winners at the head of run, then one of the other run.  ret_wins: how many.  False: at its end. */
static bool gallop_once(const struct sorter *s, struct merge *m, bool left_run, size_t *ret_wins)
{
	bool is_aside = left_run != m->down;
	struct run *run = is_aside ? &m->aside : &m->other, *rest = is_aside ? &m->other : &m->aside;
	/* The left run's items go before equal ones of the right run. */
	size_t wins = winning(s, m, run, *rest->head, left_run);

	*ret_wins = wins;
	if (wins > 0) {
		take(m, run, wins);
		/* 0 left of the run set aside happens with inconsistent orders only. */
		if (is_aside ? m->aside.n <= 1 : m->other.n == 0)
			return false;
	}
	take(m, rest, 1);
	return is_aside ? m->other.n > 0 : m->aside.n != 1;
}

static void merge_runs(struct sorter *s, struct merge *m)
{
	size_t min_gallop = s->min_gallop, left_wins, right_wins;

	take(m, &m->other, 1); /* known from trimming */
	if (m->other.n == 0 || m->aside.n == 1)
		goto end;
	for (;;) {
		if (!merge_plainly(s, m, min_gallop))
			goto end;
		min_gallop++;
		do {
			min_gallop -= min_gallop > 1;
			s->min_gallop = min_gallop;
			if (!gallop_once(s, m, true, &left_wins) || !gallop_once(s, m, false, &right_wins))
				goto end;
		} while (left_wins >= MIN_GALLOP || right_wins >= MIN_GALLOP);
		s->min_gallop = ++min_gallop; /* leaving galloping mode has its price */
	}
end:
	if (m->other.n > 0 && m->aside.n == 1)
		take(m, &m->other, m->other.n); /* the last one set aside comes after all of these */
	take(m, &m->aside, m->aside.n);
}

static void **temp_for(struct sorter *s, size_t need)
{
	if (need <= SMALL_TEMP)
		return s->small;
	s->temp = util_grow(s->temp, &s->temp_cap, need, sizeof(*s->temp));
	return s->temp;
}

/* Merges runs i and i + 1. */
static void merge_at(struct sorter *s, size_t i)
{
	void **left = s->items + s->runs[i].start, **right = s->items + s->runs[i + 1].start;
	size_t left_n = s->runs[i].len, right_n = s->runs[i + 1].len, skip;
	struct merge m = { .down = false };
	void **temp;

	s->runs[i].len = left_n + right_n;
	if (i + 3 == s->run_count)
		s->runs[i + 1] = s->runs[i + 2];
	s->run_count--;

	/* What is in place already needs no merging. */
	skip = gallop(s, right[0], left, left_n, 0, true);
	left += skip;
	left_n -= skip;
	if (left_n == 0)
		return;
	right_n = gallop(s, left[left_n - 1], right, right_n, right_n - 1, false);
	if (right_n == 0)
		return;

	m.down = left_n > right_n;
	temp = temp_for(s, MIN(left_n, right_n));
	if (m.down) {
		memcpy(temp, right, right_n * sizeof(*temp));
		m.aside = (struct run){ temp + right_n - 1, right_n };
		m.other = (struct run){ left + left_n - 1, left_n };
		m.to = right + right_n - 1;
	} else {
		memcpy(temp, left, left_n * sizeof(*temp));
		m.aside = (struct run){ temp, left_n };
		m.other = (struct run){ right, right_n };
		m.to = left;
	}
	merge_runs(s, &m);
}

/* Depth of the boundary between two neighbouring runs in an ideal merge tree over count items. */
static int power_of(size_t start, size_t first_n, size_t second_n, size_t count)
{
	size_t a = 2 * start + first_n, b = a + first_n + second_n;
	int power = 0;

	for (;;) {
		power++;
		if (a >= count) {
			a -= count;
			b -= count;
		} else if (b >= count) {
			return power;
		}
		a <<= 1;
		b <<= 1;
	}
}

static void add_run(struct sorter *s, size_t start, size_t len)
{
	if (s->run_count > 0) {
		struct pending *last = &s->runs[s->run_count - 1];
		int power = power_of(last->start, last->len, len, s->count);

		while (s->run_count > 1 && s->runs[s->run_count - 2].power > power)
			merge_at(s, s->run_count - 2);
		s->runs[s->run_count - 1].power = power;
	}
	assert(s->run_count < MAX_RUNS);
	s->runs[s->run_count++] = (struct pending){ .start = start, .len = len };
}

static size_t minimum_run(size_t n)
{
	size_t lost = 0;

	for (; n >= 64; n >>= 1)
		lost |= n & 1;
	return n + lost;
}

void project_sort(void **items, size_t count, project_less_fn *less_fn, void *data)
{
	struct sorter s;
	size_t least = minimum_run(count), n;

	if (count < 2)
		return;
	s.items = items;
	s.count = count;
	s.less = less_fn;
	s.data = data;
	s.min_gallop = MIN_GALLOP;
	s.run_count = 0;
	s.temp = NULL;
	s.temp_cap = 0;
	for (size_t start = 0; start < count; start += n) {
		n = take_natural_run(&s, start);
		if (n < least) {
			size_t want = MIN(least, count - start);

			insert_sorted(&s, items + start, n, want);
			n = want;
		}
		add_run(&s, start, n);
	}
	while (s.run_count > 1) {
		size_t i = s.run_count - 2;

		if (i > 0 && s.runs[i - 1].len < s.runs[i + 1].len)
			i--;
		merge_at(&s, i);
	}
	free(s.temp);
}
