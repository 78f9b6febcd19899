/* The budget of compilers under a seed: builds that join, makes that take tokens out of their pipes and put them back,
 * pipes that vanish with a make that was killed, looks at any time.  At each moment: what runs is never more than the
 * budget, the accounts are in order, who waits gets its turn in the order of joining, and everybody gets there in the end.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sched/budget.h"
#include "sim.h"

enum { BUILDS_MAX = 12, STEPS = 120, PATIENCE = 3000 };

struct virtual_build {
	uint32_t want, pipe; /* tokens in its pipe */
	uint32_t running;    /* taken out of it: processes at work, the build's own included */
	uint32_t work;       /* process steps still to do */
	uint64_t joined;
	bool here, begun, client;
};

struct tokens {
	uint64_t *random;
	uint32_t limit, count;
	struct budget *budget;
	struct virtual_build builds[BUILDS_MAX];
	uint64_t joins, seed;
};

static NORETURN void wrong(const struct tokens *t, const char *what)
{
	printf("sim: seed %llu: tokens: %s\n", (unsigned long long)t->seed, what);
	fflush(stdout);
	exit(1);
}

static uint32_t below(struct tokens *t, uint32_t n)
{
	return random_below(t->random, n);
}

static void carry_out(struct tokens *t)
{
	struct budget_move move;

	while (budget_next(t->budget, &move)) {
		struct virtual_build *b = &t->builds[move.build];

		if (!b->here)
			wrong(t, "given to a build that is over");
		for (uint32_t i = 0; !b->begun && i < t->count; i++) {
			if (t->builds[i].here && !t->builds[i].begun && t->builds[i].joined < b->joined)
				wrong(t, "somebody was passed over");
		}
		if (!b->begun && move.count != b->want)
			wrong(t, "a build begins with what it did not want");
		b->begun = true;
		b->pipe += move.count;
	}
}

static void join(struct tokens *t, uint32_t i)
{
	struct virtual_build *b = &t->builds[i];
	uint32_t most = 1 + below(t, 10);

	*b = (struct virtual_build){ .here = true, .client = below(t, 3) > 0, .joined = t->joins++, .work = 1 + below(t, 40) };
	b->want = b->client ? 1 : MIN(most, t->limit);
	budget_join(t->budget, i, b->client ? 1 : most, most);
}

/* The worker takes what was wanted, then make takes and returns as it likes. */
static void work(struct tokens *t, struct virtual_build *b)
{
	if (!b->begun)
		return;
	if (b->running < b->want) {
		if (b->pipe < b->want - b->running)
			wrong(t, "what a build was given first was taken from it");
		b->pipe -= b->want - b->running;
		b->running = b->want;
	} else if (b->client && b->pipe && below(t, 3)) {
		b->pipe--;
		b->running++;
	} else if (b->running > b->want && below(t, 2)) {
		b->running--;
		b->pipe++;
	}
	b->work -= MIN(b->work, 1u);
}

static void look(struct tokens *t, uint32_t i)
{
	struct virtual_build *b = &t->builds[i];
	uint32_t want = budget_look(t->budget, i, b->pipe), got;

	if (want > b->pipe)
		wrong(t, "more is to be taken than lies there");
	got = want ? below(t, want + 1) : 0; /* make may be faster */
	if (budget_catch(t->budget, i) && got == 0 && b->pipe && below(t, 2))
		got = 1;
	if (got) {
		b->pipe -= got;
		budget_took(t->budget, i, got);
	}
}

static void check(struct tokens *t)
{
	const char *what = budget_check(t->budget);
	uint32_t running = 0, in_pipes = 0;

	if (what)
		wrong(t, what);
	for (uint32_t i = 0; i < t->count; i++) {
		running += t->builds[i].running;
		in_pipes += t->builds[i].pipe;
	}
	if (running + in_pipes + budget_unused(t->budget) != t->limit)
		wrong(t, "more or less tokens than the budget has");
}

static void leave(struct tokens *t, uint32_t i)
{
	t->builds[i] = (struct virtual_build){ 0 }; /* with all that its make held */
	budget_leave(t->budget, i);
}

static void step(struct tokens *t, bool joining)
{
	uint32_t i = below(t, t->count);
	struct virtual_build *b = &t->builds[i];

	if (!b->here) {
		if (joining)
			join(t, i);
		else
			budget_leave(t->budget, i); /* nothing comes of it */
	} else if (below(t, 3) == 0) {
		look(t, i);
	} else if ((b->begun && !b->work) || below(t, 60) == 0) { /* done, or killed, or given up while it waits */
		leave(t, i);
	} else {
		work(t, b);
	}
	carry_out(t);
	check(t);
}

static bool idle(const struct tokens *t)
{
	for (uint32_t i = 0; i < t->count; i++) {
		if (t->builds[i].here)
			return false;
	}
	return true;
}

void sim_tokens(const struct sim_params *params, struct sim_stats *stats)
{
	uint64_t random = params->seed * 0x9e3779b97f4a7c15u + 77;
	struct tokens t = { .random = &random, .seed = params->seed };
	uint32_t steps = 0;

	t.limit = 1 + below(&t, 9);
	t.count = 1 + below(&t, BUILDS_MAX);
	t.budget = budget_new(t.limit, t.count);
	for (; steps < STEPS; steps++)
		step(&t, true);
	while (!idle(&t)) {
		if (steps++ > STEPS + PATIENCE * t.count)
			wrong(&t, "somebody waits for ever");
		step(&t, false);
	}
	if (budget_unused(t.budget) != t.limit)
		wrong(&t, "tokens were lost");
	stats->token_steps += steps;
	stats->builds_with_tokens += t.joins;
	budget_free(t.budget);
}
