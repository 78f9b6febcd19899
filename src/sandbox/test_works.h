/* sandbox/test_works.h: can this machine run sandboxes at all?  (A container without user namespaces cannot.)  For tests. */
#ifndef SANDBOX_TEST_WORKS_H
#define SANDBOX_TEST_WORKS_H

#include <stdbool.h>

bool test_sandbox_works(void);

#endif
