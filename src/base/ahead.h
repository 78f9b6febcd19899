/* base/ahead.h: work that will be wanted soon, begun by a second thread.
 *
 * The caller announces items of work, each under a key, goes on, and later asks for them one by one.  Meanwhile a thread
 * works on what was announced, the newest first, while the caller mostly asks for the oldest: they meet in the middle and
 * seldom want the same.  What the thread has not begun the caller does itself, what it is busy with is waited for; so
 * nothing is done twice and nothing waits for its turn.  Everything that fails ahead is left to the caller as well, which
 * then finds out what is wrong and says it where it belongs.
 *
 * One caller, one thread.  Nothing may be forked between the first ahead_go and ahead_end.
 */
#ifndef BASE_AHEAD_H
#define BASE_AHEAD_H

#include "base/util.h"

struct ahead;

/* Runs in the thread.  data is shared by all items, item is what was announced: nobody else touches it meanwhile. */
typedef void ahead_work(void *data, void *item);

/* Items fewer than worth_a_thread are left to the caller. */
struct ahead *ahead_new(ahead_work *work, void *data, unsigned worth_a_thread);
/* Ends the thread first.  NULL is allowed. */
void ahead_free(struct ahead *ahead);

/* Was key announced before? */
bool ahead_knows(struct ahead *ahead, const char *key);
/* Announces item under key, which is copied; item has to live until ahead_free.  A key may be announced once. */
void ahead_expect(struct ahead *ahead, const char *key, void *item);
/* A batch is complete: the thread begins, or is woken if it had nothing left to do. */
void ahead_go(struct ahead *ahead);
/* The item under key if work was done on it; NULL: that is up to the caller.  Each is handed out once. */
void *ahead_take(struct ahead *ahead, const char *key);
/* The thread ends after the item in hand; what was done can still be taken. */
void ahead_end(struct ahead *ahead);

#endif
