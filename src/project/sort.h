/* project/sort.h: Python's list.sort, for an order that is none.
 *
 * The peer sorts dependencies with a comparison that is not a total order (compat 1.8), so the result depends on which
 * pairs the algorithm happens to ask about.  This is the algorithm of CPython 3.12 (natural runs, binary insertion,
 * powersort's merge policy, galloping merges), equal in every question it asks.  Pure.
 */
#ifndef PROJECT_SORT_H
#define PROJECT_SORT_H

#include "base/util.h"

/* True if a < b. */
typedef bool project_less_fn(const void *a, const void *b, void *data);

/* Sorts count pointers in place. */
void project_sort(void **items, size_t count, project_less_fn *less, void *data);

#endif
