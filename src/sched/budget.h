/* sched/budget.h: one budget of compilers for the whole machine (`--jobs N`).
 *
 * Every build that runs commands holds at least one token of N; a build whose make speaks the jobserver protocol may hold
 * more, one for each process that make runs at a time.  Its tokens lie in a pipe of its own: whoever writes a byte gives a
 * token, whoever reads one takes it.  This is the accounting, and who gets what: no file descriptor, no clock, so that the
 * simulator drives the very code that ships.  Pipes and timers are session/jobserver.h's.
 *
 * Of each build the budget knows how many tokens it was given and not parted with since; whether they lie in its pipe or are
 * held by its make, only a look into the pipe tells (budget_look).  What was given and what is free is always N together.
 *
 *  - A build joins with what it wants before it may begin: 1, or as many as it will use anyhow (a command with a -j of its
 *    own leaves no choice).  It gets all of it at once, in the order of joining: builds that wait hold nothing, so no two can
 *    wait for each other, and while one waits nobody gets more than it wanted at first, so none waits for ever.
 *  - What is left goes to builds whose pipe was found empty, in equal shares, up to what each can use.
 *  - What lies unused in the pipe of one build is taken back while others could use it.  One that has given away all it got
 *    and still has more than others is to be watched: the next token its make puts back is caught (budget_catch).
 *  - A build that leaves, however it ended, returns all it was given; a killed make costs nothing.
 *
 * Builds are numbered by the caller (worker slots).  Parent process; one thread.
 */
#ifndef SCHED_BUDGET_H
#define SCHED_BUDGET_H

#include "base/util.h"

struct budget;

/* tokens: N, 1..65536; builds: how many there may be at a time (numbers 0..builds-1). */
struct budget *budget_new(uint32_t tokens, uint32_t builds);
void budget_free(struct budget *budget);

/* A build that has not joined begins to wait for `want` tokens, and can use up to `most`.  Both are cut to N; most < want
 * means want. */
void budget_join(struct budget *budget, uint32_t build, uint32_t want, uint32_t most);
/* It is over: its pipe is gone.  Ignored for one that has not joined. */
void budget_leave(struct budget *budget, uint32_t build);

/* What to do now: `count` tokens into the pipe of `build`.  They are counted as given.  False: nothing.  To be called until
 * then after any other function. */
struct budget_move {
	uint32_t build, count;
};
bool budget_next(struct budget *budget, struct budget_move *ret);

/* So many tokens lie in the pipe of `build`.  Returns how many of them to take out; the caller then says how many it got
 * (budget_took), since make may have been faster.  To be called for each build from time to time. */
uint32_t budget_look(struct budget *budget, uint32_t build, uint32_t in_pipe);
void budget_took(struct budget *budget, uint32_t build, uint32_t count);
/* Whether a token that appears in the pipe of `build` should be taken out at once. */
bool budget_catch(const struct budget *budget, uint32_t build);

struct budget_view {
	uint32_t given, want, most;
	bool joined, waiting;
};
void budget_view(const struct budget *budget, uint32_t build, struct budget_view *ret);
uint32_t budget_unused(const struct budget *budget); /* given to nobody */
/* Verifies the accounts.  NULL, or what is broken (static text). */
const char *budget_check(const struct budget *budget);

#endif
