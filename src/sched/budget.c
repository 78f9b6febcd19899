/* The budget's accounts: see budget.h. */
#include "sched/budget.h"

#include <assert.h>
#include <stdlib.h>

enum { TOKENS_MAX = 65536 };

struct build {
	uint32_t want, most, given;
	uint64_t turn; /* order of joining */
	bool joined, waiting;
	bool hungry; /* its pipe was empty when it was looked at last */
};

struct budget {
	uint32_t tokens, unused, count;
	uint64_t turns;
	struct build *builds;
};

struct budget *budget_new(uint32_t tokens, uint32_t builds)
{
	struct budget *budget = xcalloc(1, sizeof(*budget));

	assert(tokens >= 1 && tokens <= TOKENS_MAX && builds >= 1);
	budget->tokens = budget->unused = tokens;
	budget->count = builds;
	budget->builds = xcalloc(builds, sizeof(*budget->builds));
	return budget;
}

void budget_free(struct budget *budget)
{
	if (!budget)
		return;
	free(budget->builds);
	free(budget);
}

void budget_join(struct budget *budget, uint32_t build, uint32_t want, uint32_t most)
{
	struct build *b = &budget->builds[build];

	assert(build < budget->count && !b->joined && want >= 1);
	want = MIN(want, budget->tokens);
	*b = (struct build){ .want = want, .most = MAX(MIN(most, budget->tokens), want), .turn = budget->turns++,
			     .joined = true, .waiting = true };
}

void budget_leave(struct budget *budget, uint32_t build)
{
	struct build *b = &budget->builds[build];

	assert(build < budget->count);
	budget->unused += b->given;
	*b = (struct build){ 0 };
}

static struct build *first_waiting(const struct budget *budget)
{
	struct build *first = NULL;

	for (uint32_t i = 0; i < budget->count; i++) {
		struct build *b = &budget->builds[i];

		if (b->waiting && (!first || b->turn < first->turn))
			first = b;
	}
	return first;
}

static bool could_use_more(const struct build *b)
{
	return b->hungry && b->given < b->most;
}

/* The one with the least among those that could use more, and how many there are. */
static struct build *hungriest(const struct budget *budget, uint32_t *ret_count)
{
	struct build *least = NULL;

	*ret_count = 0;
	for (uint32_t i = 0; i < budget->count; i++) {
		struct build *b = &budget->builds[i];

		if (!could_use_more(b))
			continue;
		++*ret_count;
		if (!least || b->given < least->given)
			least = b;
	}
	return least;
}

static bool give(struct budget *budget, struct build *b, uint32_t count, struct budget_move *ret)
{
	budget->unused -= count;
	b->given += count;
	*ret = (struct budget_move){ (uint32_t)(b - budget->builds), count };
	return true;
}

bool budget_next(struct budget *budget, struct budget_move *ret)
{
	struct build *b = first_waiting(budget);
	uint32_t hungry;

	if (b) {
		if (b->want > budget->unused)
			return false;
		b->waiting = false;
		return give(budget, b, b->want, ret);
	}
	b = hungriest(budget, &hungry);
	if (!b || !budget->unused)
		return false;
	b->hungry = false; /* until it is looked at again */
	return give(budget, b, MIN(MAX(budget->unused / hungry, 1u), b->most - b->given), ret);
}

/* Does anybody lack tokens that another one has and does not use? */
static bool somebody_waits(const struct budget *budget)
{
	uint32_t hungry;

	return first_waiting(budget) || (!budget->unused && hungriest(budget, &hungry));
}

uint32_t budget_look(struct budget *budget, uint32_t build, uint32_t in_pipe)
{
	struct build *b = &budget->builds[build];

	if (!b->joined || b->waiting)
		return 0;
	b->hungry = in_pipe == 0;
	/* What it wanted at first stays: its worker may not have taken it out yet. */
	return somebody_waits(budget) ? MIN(in_pipe, b->given - b->want) : 0;
}

void budget_took(struct budget *budget, uint32_t build, uint32_t count)
{
	struct build *b = &budget->builds[build];

	assert(count <= b->given - b->want);
	b->given -= count;
	budget->unused += count;
}

bool budget_catch(const struct budget *budget, uint32_t build)
{
	const struct build *b = &budget->builds[build], *poor;
	uint32_t hungry;

	if (b->given <= b->want)
		return false;
	if (first_waiting(budget))
		return true;
	poor = budget->unused ? NULL : hungriest(budget, &hungry);
	return poor && poor->given + 1 < b->given;
}

void budget_view(const struct budget *budget, uint32_t build, struct budget_view *ret)
{
	const struct build *b = &budget->builds[build];

	assert(build < budget->count);
	*ret = (struct budget_view){ b->given, b->want, b->most, b->joined, b->waiting };
}

uint32_t budget_unused(const struct budget *budget)
{
	return budget->unused;
}

const char *budget_check(const struct budget *budget)
{
	uint64_t given = 0;

	for (uint32_t i = 0; i < budget->count; i++) {
		const struct build *b = &budget->builds[i];

		given += b->given;
		if (b->waiting && (!b->joined || b->given))
			return "budget: a build that waits holds tokens, or has not joined";
		if (b->joined && !b->waiting && (b->given < b->want || b->given > b->most))
			return "budget: a build has less than it wanted, or more than it can use";
		if (!b->joined && b->given)
			return "budget: a build that is over holds tokens";
	}
	return given + budget->unused == budget->tokens ? NULL : "budget: tokens were lost or made";
}
