/* The budget's accounts, one rule after the other; tests/sim/tokens.c has all of them at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/budget.h"

static void expect_move(struct budget *budget, uint32_t build, uint32_t count)
{
	struct budget_move move;

	assert_true(budget_next(budget, &move));
	assert_int_equal(move.build, build);
	assert_int_equal(move.count, count);
	assert_null(budget_check(budget));
}

static void expect_nothing(struct budget *budget)
{
	struct budget_move move;

	assert_false(budget_next(budget, &move));
	assert_null(budget_check(budget));
}

static void alone_it_gets_all_it_can_use(void **state)
{
	struct budget *budget = budget_new(8, 2);

	budget_join(budget, 1, 1, 5);
	expect_move(budget, 1, 1);
	expect_nothing(budget); /* nobody has looked yet */
	assert_int_equal(budget_look(budget, 1, 0), 0);
	expect_move(budget, 1, 4);
	assert_int_equal(budget_look(budget, 1, 0), 0);
	expect_nothing(budget); /* more it cannot use */
	assert_int_equal(budget_unused(budget), 3);
	budget_leave(budget, 1);
	assert_int_equal(budget_unused(budget), 8);
	budget_leave(budget, 1);
	assert_int_equal(budget_unused(budget), 8);
	budget_free(budget);
	budget_free(NULL);
}

static void who_waits_gets_all_at_once_in_order(void **state)
{
	struct budget *budget = budget_new(4, 4);

	budget_join(budget, 0, 1, 4);
	budget_join(budget, 3, 9, 9); /* cut to 4 */
	budget_join(budget, 2, 1, 1);
	expect_move(budget, 0, 1);
	expect_nothing(budget); /* 3 must wait for all four, and 2 for 3 */
	assert_int_equal(budget_look(budget, 0, 0), 0);
	expect_nothing(budget); /* nor does 0 get more meanwhile */
	assert_false(budget_catch(budget, 0));
	budget_leave(budget, 0);
	expect_move(budget, 3, 4);
	expect_nothing(budget);
	budget_leave(budget, 3);
	expect_move(budget, 2, 1);
	budget_free(budget);
}

static void unused_ones_go_to_others(void **state)
{
	struct budget *budget = budget_new(6, 2);

	budget_join(budget, 0, 1, 6);
	expect_move(budget, 0, 1);
	budget_look(budget, 0, 0);
	expect_move(budget, 0, 5);
	assert_int_equal(budget_look(budget, 0, 3), 0); /* nobody else needs them */
	assert_false(budget_catch(budget, 0));
	budget_join(budget, 1, 1, 6);
	expect_nothing(budget);
	assert_true(budget_catch(budget, 0));
	assert_int_equal(budget_look(budget, 0, 3), 3);
	budget_took(budget, 0, 2); /* make was faster with one of them */
	expect_move(budget, 1, 1);
	expect_nothing(budget);
	assert_int_equal(budget_look(budget, 1, 0), 0);
	expect_move(budget, 1, 1);
	/* 4 and 2: the next that 0 puts back is caught, but no further */
	budget_look(budget, 1, 0);
	expect_nothing(budget);
	assert_true(budget_catch(budget, 0));
	assert_false(budget_catch(budget, 1));
	budget_took(budget, 0, 1);
	expect_move(budget, 1, 1);
	budget_look(budget, 1, 0);
	assert_false(budget_catch(budget, 0));
	/* what it wanted at first is never asked back, taken out or not */
	assert_int_equal(budget_look(budget, 0, 3), 2);
	budget_free(budget);
}

static void equal_shares(void **state)
{
	struct budget *budget = budget_new(9, 3);

	for (uint32_t i = 0; i < 3; i++)
		budget_join(budget, i, 1, 9);
	for (uint32_t i = 0; i < 3; i++)
		expect_move(budget, i, 1);
	for (uint32_t i = 0; i < 3; i++)
		budget_look(budget, i, 0);
	for (uint32_t i = 0; i < 3; i++)
		expect_move(budget, i, 2);
	expect_nothing(budget);
	budget_leave(budget, 1);
	budget_look(budget, 2, 1); /* has one it does not use */
	budget_look(budget, 0, 0);
	expect_move(budget, 0, 3);
	expect_nothing(budget);
	budget_free(budget);
}

/* One token more is no reason to take it away. */
static void one_more_is_left_alone(void **state)
{
	struct budget *budget = budget_new(7, 2);

	budget_join(budget, 0, 1, 7);
	budget_join(budget, 1, 1, 7);
	expect_move(budget, 0, 1);
	expect_move(budget, 1, 1);
	budget_look(budget, 0, 0);
	expect_move(budget, 0, 5);
	assert_int_equal(budget_look(budget, 1, 0), 0);
	for (uint32_t more = 6; more > 4; more--) { /* until they have 4 and 3 */
		assert_true(budget_catch(budget, 0));
		budget_took(budget, 0, 1);
		expect_move(budget, 1, 1);
		assert_int_equal(budget_look(budget, 1, 0), 0);
	}
	assert_false(budget_catch(budget, 0));
	budget_free(budget);
}

static void seen(void **state)
{
	struct budget *budget = budget_new(2, 2);
	struct budget_view view;

	budget_join(budget, 0, 2, 0);
	budget_join(budget, 1, 1, 1);
	expect_move(budget, 0, 2);
	budget_view(budget, 0, &view);
	assert_true(view.joined && !view.waiting && view.given == 2 && view.want == 2 && view.most == 2);
	budget_view(budget, 1, &view);
	assert_true(view.joined && view.waiting && view.given == 0);
	assert_int_equal(budget_look(budget, 1, 0), 0);
	budget_leave(budget, 0);
	expect_move(budget, 1, 1);
	budget_leave(budget, 1);
	budget_join(budget, 0, 2, 2);
	expect_move(budget, 0, 2);
	budget_join(budget, 1, 1, 2);
	assert_int_equal(budget_look(budget, 1, 0), 0); /* a look before it begins says nothing about what it lacks */
	budget_leave(budget, 0);
	expect_move(budget, 1, 1);
	expect_nothing(budget);
	budget_leave(budget, 1);
	budget_join(budget, 0, 2, 2);
	expect_move(budget, 0, 2);
	budget_join(budget, 1, 1, 1);
	budget_leave(budget, 1); /* gives up waiting */
	budget_view(budget, 1, &view);
	assert_false(view.joined || view.waiting);
	assert_int_equal(budget_unused(budget), 0);
	budget_free(budget);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone_it_gets_all_it_can_use), cmocka_unit_test(who_waits_gets_all_at_once_in_order),
		cmocka_unit_test(unused_ones_go_to_others),     cmocka_unit_test(equal_shares),
		cmocka_unit_test(one_more_is_left_alone),       cmocka_unit_test(seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
