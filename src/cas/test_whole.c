/* Unit tests of what is remembered to be whole: it must be forgotten as soon as anything could have gone. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "cas/cas.h"

static char scratch[64];
static struct cas *cas;

static void open_again(void)
{
	cas_free(cas);
	assert_int_equal(cas_new(&cas, scratch, NULL), 0);
	cas_whole_load(cas);
}

static int set_up(void **state)
{
	strncpy(scratch, "/tmp/test-whole-XXXXXX", sizeof scratch - 1);
	assert_non_null(mkdtemp(scratch));
	cas = NULL;
	return 0;
}

static int tear_down(void **state)
{
	cas_free(cas);
	cas = NULL;
	assert_int_equal(fs_remove_all(AT_FDCWD, scratch), 0);
	return 0;
}

/* A tree of one file. */
static struct digest make(const char *content)
{
	struct cas_entry entry = { .type = CAS_FILE };
	struct cas_tree *tree;
	struct digest digest;

	assert_int_equal(cas_put(cas, content, strlen(content), &entry.digest), 0);
	assert_int_equal(cas_tree_new(&tree, cas, NULL), 0);
	assert_int_equal(cas_tree_put(tree, "file", &entry), 0);
	assert_int_equal(cas_tree_digest(tree, "", &digest), 0);
	cas_tree_free(tree);
	return digest;
}

/* As a caller does: 1 known, 0 looked at, -1 not whole. */
static int ask(const struct digest *tree)
{
	if (cas_whole_begin(cas, tree->hash))
		return 1;
	if (cas_has_tree(cas, tree) != 1)
		return -1;
	cas_whole_note(cas, tree->hash);
	return 0;
}

/* Directories count as just changed for a tenth of a second. */
static void settle(void)
{
	usleep(200000);
}

/* A tree that was made some time before this run. */
static struct digest make_before(const char *content)
{
	struct digest tree;

	open_again();
	tree = make(content);
	settle();
	open_again();
	return tree;
}

static void drop(const char *content)
{
	char path[CAS_PATH_BYTES];
	struct digest digest;

	digest_of(&digest, content, strlen(content));
	cas_object_path(path, &digest);
	assert_int_equal(unlinkat(cas_cachedir_fd(cas), path, 0), 0);
}

static void test_known_in_the_next_run(void **state)
{
	struct digest tree = make_before("one");

	assert_int_equal(ask(&tree), 0);
	cas_whole_save(cas);
	open_again();
	assert_int_equal(ask(&tree), 1);
}

static void test_just_changed_is_not_trusted(void **state)
{
	struct digest tree;

	open_again();
	settle(); /* what is written from here on is young when it is looked at */
	tree = make("one");
	open_again();
	assert_int_equal(ask(&tree), 0);
	cas_whole_save(cas);
	settle();
	open_again();
	assert_int_equal(ask(&tree), 0);
}

static void test_removed_object_is_missed(void **state)
{
	struct digest one, two;

	open_again();
	one = make("one");
	two = make("two");
	settle();
	open_again();
	assert_int_equal(ask(&one), 0);
	assert_int_equal(ask(&two), 0);
	cas_whole_save(cas);
	drop("one");
	settle();
	open_again();
	assert_int_equal(ask(&one), -1);
	assert_int_equal(ask(&two), 1); /* its objects lie in other directories */
	cas_whole_save(cas);
	open_again();
	assert_int_equal(ask(&one), -1);
	assert_int_equal(ask(&two), 1);
}

static void test_shared_subtree_counts_for_both(void **state)
{
	struct digest one = make_before("one");

	assert_int_equal(cas_has_tree(cas, &one), 1); /* now in the memory of this run */
	assert_int_equal(ask(&one), 0);               /* ... whose directories must be noted all the same */
	cas_whole_save(cas);
	drop("one");
	settle();
	open_again();
	assert_int_equal(ask(&one), -1);
}

static void test_damaged_file_is_ignored(void **state)
{
	struct digest tree = make_before("one");
	char path[128];
	int fd;

	assert_int_equal(ask(&tree), 0);
	cas_whole_save(cas);
	snprintf(path, sizeof path, "%s/millrace/whole", scratch);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 2070), 1);
	close(fd);
	open_again();
	assert_int_equal(ask(&tree), 0);
	cas_whole_save(cas);
	assert_int_equal(truncate(path, 2100), 0);
	open_again();
	assert_int_equal(ask(&tree), 0);
}

static void test_dropped_by_ourselves(void **state)
{
	struct digest tree = make_before("one"), blob;

	assert_int_equal(ask(&tree), 0);
	assert_int_equal(ask(&tree), 1);
	digest_of(&blob, "one", 3);
	blob.size_bytes = 4; /* not what is there: dropped */
	assert_int_equal(cas_object_fd(cas, &blob), -ENOENT);
	assert_int_equal(ask(&tree), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_known_in_the_next_run, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_just_changed_is_not_trusted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed_object_is_missed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shared_subtree_counts_for_both, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged_file_is_ignored, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dropped_by_ourselves, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
