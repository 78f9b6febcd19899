/* Unit tests of trees in memory: the merge rules, events, filters, look-ups. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "cas/cas.h"

static char scratch[64];
static struct cas *cas;

static int set_up(void **state)
{
	strncpy(scratch, "/tmp/test-tree-XXXXXX", sizeof scratch - 1);
	assert_non_null(mkdtemp(scratch));
	assert_int_equal(cas_new(&cas, scratch, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	cas_free(cas);
	cas = NULL;
	assert_int_equal(fs_remove_all(AT_FDCWD, scratch), 0);
	return 0;
}

/* A tree from "path=content path@target path/ ..." */
static struct digest make(const char *spec)
{
	struct cas_tree *tree;
	struct digest digest;
	char *copy = xstrdup(spec), *save = NULL;

	assert_int_equal(cas_tree_new(&tree, cas, NULL), 0);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		struct cas_entry entry = { 0 };
		char *mark = strpbrk(word, "=@"), *slash;

		if (!mark) {
			assert_int_equal(cas_tree_mkdir(tree, word), 0);
			continue;
		}
		entry.type = *mark == '=' ? CAS_FILE : CAS_SYMLINK;
		*mark++ = '\0';
		slash = strrchr(word, '/');
		if (slash) {
			*slash = '\0';
			assert_int_equal(cas_tree_mkdir(tree, word), 0);
			*slash = '/';
		}
		if (entry.type == CAS_FILE)
			assert_int_equal(cas_put(cas, mark, strlen(mark), &entry.digest), 0);
		else
			entry.target = mark;
		assert_int_equal(cas_tree_put(tree, word, &entry), 0);
	}
	assert_int_equal(cas_tree_digest(tree, "", &digest), 0);
	cas_tree_free(tree);
	free(copy);
	return digest;
}

static struct buf events;

static void note(void *data, enum cas_event event, const char *path, uint32_t previous)
{
	buf_printf(&events, "%s%s/%u ", event == CAS_OVERWRITTEN ? "o:" : "i:", path, previous);
}

/* base, then each of the others with stamp 2, 3, ... on top; the digest is that of `expect`. */
static void merges(const char *base, const char *second, const char *third, const char *expect,
		   const char *expect_events)
{
	struct digest expected = make(expect), got;
	const char *specs[] = { base, second, third };
	struct cas_tree *tree;

	buf_clear(&events);
	assert_int_equal(cas_tree_new(&tree, cas, NULL), 0);
	for (uint32_t i = 0; i < 3 && specs[i]; i++) {
		struct cas_merge merge = { .event = note, .stamp = i + 1 };
		struct digest from = make(specs[i]);

		assert_int_equal(cas_tree_merge(tree, "", &from, &merge, NULL), 0);
	}
	assert_int_equal(cas_tree_digest(tree, "", &got), 0);
	assert_true(digest_eq(&got, &expected));
	assert_string_equal(buf_text(&events), expect_events);
	cas_tree_free(tree);
}

static void test_merge_rules(void **state)
{
	merges("a=1 d/x=1", "b=2 d/y=2", NULL, "a=1 b=2 d/x=1 d/y=2", "");
	merges("d/x=1", "d/x=2", NULL, "d/x=2", "o:d/x/1 ");
	merges("d/x=1", "d/x=2", "d/x=3", "d/x=3", "o:d/x/1 o:d/x/2 ");
	merges("d/x=1", "d/y=2", "d/x=3 d/y=3 e/f/g=1", "d/x=3 d/y=3 e/f/g=1", "o:d/x/1 o:d/y/2 ");
	merges("d/", "d@elsewhere", NULL, "d@elsewhere", "o:d/0 ");
	merges("d/x=1", "d=2", NULL, "d/x=1", "i:d/1 ");
	merges("l@a", "l@b", NULL, "l@b", "o:l/1 ");
	merges("", "deep/er/x=1", "deep/er/x=2 deep/z=1", "deep/er/x=2 deep/z=1", "o:deep/er/x/2 ");
	merges("m=1 z=1", "a=2 n=2", "b=3 zz=3 l@x", "a=2 b=3 l@x m=1 n=2 z=1 zz=3", "");
}

static void test_directory_over_file(void **state)
{
	struct digest base = make("d=1 e@d"), over = make("d/x=1"), over_link = make("e/x=1");
	struct diag diag = DIAG_INIT;
	struct cas_tree *tree;

	assert_int_equal(cas_tree_new(&tree, cas, &base), 0);
	assert_int_equal(cas_tree_merge(tree, "", &over, NULL, &diag), -ENOTDIR);
	assert_string_equal(diag.message.data, "Destination is a regular file, not a directory: /d");
	assert_int_equal(cas_tree_merge(tree, "", &over_link, NULL, &diag), -ENOTDIR);
	diag_release(&diag);
	cas_tree_free(tree);
}

static bool only_keep(void *data, const char *path, enum cas_type type)
{
	return strstr(path, "keep") != NULL;
}

static void test_filter(void **state)
{
	struct cas_merge merge = { .filter = only_keep };
	struct digest from = make("a/keep=1 a/drop=1 b/drop=1 keepdir/ e/ keep@x"), got;
	struct digest expect = make("a/keep=1 keepdir/ keep@x");
	struct cas_tree *tree;

	assert_int_equal(cas_tree_new(&tree, cas, NULL), 0);
	assert_int_equal(cas_tree_merge(tree, "", &from, &merge, NULL), 0);
	assert_int_equal(cas_tree_digest(tree, "", &got), 0);
	assert_true(digest_eq(&got, &expect));
	cas_tree_free(tree);
}

static void test_paths(void **state)
{
	struct digest digest = make("usr/bin/sh=1 bin@usr/bin etc/up@../usr loop@loop root@/usr/bin/sh"), sub, expect;
	struct cas_entry entry;
	struct cas_tree *tree;

	assert_int_equal(cas_tree_new(&tree, cas, &digest), 0);
	assert_int_equal(cas_tree_lookup(tree, "bin/sh", true, &entry), 0);
	assert_int_equal(entry.type, CAS_FILE);
	assert_int_equal(cas_tree_lookup(tree, "/etc/up/bin/../bin/sh", true, &entry), 0);
	assert_int_equal(cas_tree_lookup(tree, "root", true, &entry), 0);
	assert_int_equal(entry.type, CAS_FILE);
	assert_int_equal(cas_tree_lookup(tree, "root", false, &entry), 0);
	assert_int_equal(entry.type, CAS_SYMLINK);
	assert_int_equal(cas_tree_lookup(tree, "../../usr", true, &entry), 0);
	assert_int_equal(entry.type, CAS_DIRECTORY);
	assert_int_equal(cas_tree_lookup(tree, "bin/sh", false, &entry), -ENOTDIR);
	assert_int_equal(cas_tree_lookup(tree, "loop", true, &entry), -ELOOP);
	assert_int_equal(cas_tree_lookup(tree, "nope", true, &entry), -ENOENT);
	assert_int_equal(cas_tree_mkdir(tree, "a/../b"), -EINVAL);
	assert_int_equal(cas_tree_mkdir(tree, "bin/x"), -ENOTDIR);
	assert_int_equal(cas_tree_remove(tree, "usr/bin"), 0);
	assert_int_equal(cas_tree_remove(tree, "usr/bin"), -ENOENT);
	expect = make("x=1");
	assert_int_equal(cas_tree_set(tree, "new/place", &expect), 0);
	assert_int_equal(cas_tree_digest(tree, "new/place/", &sub), 0);
	assert_true(digest_eq(&sub, &expect));
	expect = make("usr/ bin@usr/bin etc/up@../usr loop@loop root@/usr/bin/sh new/place/x=1");
	assert_int_equal(cas_tree_hash(tree, "", &sub), 0);
	assert_true(digest_eq(&sub, &expect));
	assert_int_equal(cas_tree_digest(tree, "", &sub), 0);
	assert_true(digest_eq(&sub, &expect));
	cas_tree_free(tree);
}

static int list(void *data, const char *path, const struct cas_entry *entry)
{
	buf_printf(data, "%s ", path);
	return 0;
}

static void test_walk(void **state)
{
	struct digest digest = make("b=1 a/z=1 a/y/q=1 c@x"), more = make("a/y/r=1");
	struct buf text = BUF_INIT;
	struct cas_tree *tree;

	assert_int_equal(cas_walk(cas, &digest, list, &text), 0);
	assert_string_equal(text.data, "b c a a/z a/y a/y/q ");
	assert_int_equal(cas_tree_new(&tree, cas, &digest), 0);
	assert_int_equal(cas_tree_merge(tree, "k", &digest, NULL, NULL), 0);
	assert_int_equal(cas_tree_merge(tree, "", &more, NULL, NULL), 0);
	buf_clear(&text);
	assert_int_equal(cas_tree_walk(tree, "", list, &text), 0);
	assert_string_equal(text.data, "b c a a/z a/y a/y/q a/y/r k k/b k/c k/a k/a/z k/a/y k/a/y/q ");
	cas_tree_free(tree);
	buf_release(&text);
}

static int difference(void *data, const char *path, const struct cas_entry *before, const struct cas_entry *after)
{
	buf_printf(data, "%c%s ", before ? after ? '~' : '-' : '+', path);
	return 0;
}

static void test_diff(void **state)
{
	struct digest before = make("same/x=1 a=1 d/x=1 d/y=1 f=1 gone/x=1"), after = make("same/x=1 a=2 d/x=1 d/z=1 f/x=1");
	struct buf text = BUF_INIT;

	assert_int_equal(cas_diff(cas, &before, &after, difference, &text), 0);
	assert_string_equal(text.data, "~a -d/y +d/z ~f +f/x -gone -gone/x ");
	buf_release(&text);
}

static void test_read_only_mark(void **state)
{
	struct digest digest = make("a/x=1"), marked, plain;
	const struct cas_directory *directory;
	struct cas_tree *tree;

	assert_int_equal(cas_tree_new(&tree, cas, &digest), 0);
	assert_int_equal(cas_tree_set_read_only(tree, "a", CAS_READ_WRITE), 0);
	assert_int_equal(cas_tree_set_read_only(tree, "", CAS_READ_ONLY), 0);
	assert_int_equal(cas_tree_digest(tree, "", &marked), 0);
	cas_tree_free(tree);
	assert_int_equal(cas_directory_get(cas, &marked, &directory), 0);
	assert_int_equal(directory->read_only, CAS_READ_ONLY);
	/* a merge does not take the root's own mark, but that of directories taken whole */
	assert_int_equal(cas_tree_new(&tree, cas, NULL), 0);
	assert_int_equal(cas_tree_merge(tree, "", &marked, NULL, NULL), 0);
	assert_int_equal(cas_tree_digest(tree, "", &plain), 0);
	assert_int_equal(cas_directory_get(cas, &plain, &directory), 0);
	assert_int_equal(directory->read_only, CAS_UNSET);
	assert_int_equal(cas_directory_get(cas, &directory->entries[0].digest, &directory), 0);
	assert_int_equal(directory->read_only, CAS_READ_WRITE);
	cas_tree_free(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_merge_rules), TEST(test_directory_over_file), TEST(test_filter), TEST(test_paths),
		TEST(test_walk), TEST(test_diff), TEST(test_read_only_mark),
	};
	int failed = cmocka_run_group_tests_name("tree", tests, NULL, NULL);

	buf_release(&events);
	return failed;
}
