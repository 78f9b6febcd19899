/* sandbox/test_rig.h: a sandbox with a busybox root and a few sources, and words to try things in it. */
#ifndef SANDBOX_TEST_RIG_H
#define SANDBOX_TEST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sandbox/sandbox_internal.h"

enum { RIG_ENVIRONMENT = 3, RIG_MARKED = 2 };
extern const struct graph_pair rig_environment[RIG_ENVIRONMENT];
extern const char *const rig_marked[RIG_MARKED];
extern char rig_base_dir[]; /* of the store, made by rig_setup */
extern struct cas *rig_cas;
extern bool rig_skipped;    /* this machine cannot run sandboxes */

struct rig {
	struct sandbox_host *host;
	struct sandbox *sandbox;
	struct buf log;
	struct sandbox_result result;
};

/* For cmocka: the store of all tests of one program. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* A sandbox with base and sources staged; no_overlay: everything is copied. */
void rig_init(struct rig *rig, bool no_overlay, const struct graph_sandbox *config);
void rig_release(struct rig *rig);

void rig_put(struct cas_tree *tree, const char *path, const char *text, bool executable);
void rig_put_base(struct cas_tree *tree);
void rig_put_sources(struct cas_tree *tree);
/* path of the sandbox's tree, a line for each entry. */
void rig_assert_tree(struct rig *rig, const char *path, const char *expected);

void rig_add(struct sandbox_batch *batch, const char *text, const char *cwd);
int rig_open_log(void);
int rig_start(struct rig *rig, const char *text, bool read_only, int log_fd, struct diag *diag);
/* Runs one command, which must succeed and say this; its output is in rig->log. */
void rig_expect(struct rig *rig, bool read_only, const char *text, const char *output);

#endif
