/* Unit tests of the stat cache: what it must notice, and what it must not open. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "cas/cas.h"

static char scratch[64];
static char *tree;
static struct cas_statcache *cache;

static void settle(void)
{
	nanosleep(&(struct timespec){ 0, 150000000 }, NULL); /* older than a tick */
}

static void put(const char *name, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", tree, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
	close_fd(fd);
}

static int set_up(void **state)
{
	strncpy(scratch, "/tmp/test-statcache-XXXXXX", sizeof scratch - 1);
	assert_non_null(mkdtemp(scratch));
	tree = xasprintf("%s/tree", scratch);
	assert_int_equal(mkdir(tree, 0755), 0);
	put("a", "1");
	put("b", "2");
	_cleanup_free_ char *sub = xasprintf("%s/sub", tree), *deeper = xasprintf("%s/sub/deeper", tree);
	assert_int_equal(mkdir(sub, 0755), 0);
	assert_int_equal(mkdir(deeper, 0755), 0);
	put("sub/deeper/c", "3");
	put("sub/z", "4");
	_cleanup_free_ char *link = xasprintf("%s/link", tree);
	assert_int_equal(symlink("a", link), 0);
	settle();
	return cas_statcache_new(&cache, scratch);
}

static int tear_down(void **state)
{
	cas_statcache_free(cache);
	free(tree);
	return fs_remove_all(AT_FDCWD, scratch);
}

static struct digest hash(struct cas_statcache *with)
{
	struct digest digest;

	assert_int_equal(cas_import(NULL, AT_FDCWD, tree, CAS_IMPORT_HASH_ONLY, with, &digest, NULL), 0);
	return digest;
}

static void agrees(void)
{
	struct digest cached = hash(cache), plain = hash(NULL);

	assert_true(digest_eq(&cached, &plain));
}

static void reopen(void)
{
	assert_int_equal(cas_statcache_save(cache), 0);
	cas_statcache_free(cache);
	assert_int_equal(cas_statcache_new(&cache, scratch), 0);
}

/* Changes of every kind, each after the cache has seen the former state and has been to disk. */
static void test_notices_changes(void **state)
{
	_cleanup_free_ char *a = xasprintf("%s/a", tree), *c = xasprintf("%s/sub/deeper/c", tree);
	_cleanup_free_ char *b = xasprintf("%s/b", tree), *link = xasprintf("%s/link", tree);
	struct stat st;

	agrees();
	reopen();
	agrees();
	put("sub/deeper/c", "5"); /* same size */
	agrees();
	settle(), reopen();
	assert_int_equal(stat(c, &st), 0);
	put("sub/deeper/c", "6"); /* same size, and the old mtime put back */
	struct timespec times[2] = { st.st_atim, st.st_mtim };
	assert_int_equal(utimensat(AT_FDCWD, c, times, 0), 0);
	agrees();
	settle(), reopen();
	assert_int_equal(chmod(a, 0755), 0);
	agrees();
	settle(), reopen();
	put("sub/new", "7");
	agrees();
	settle(), reopen();
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("b", link), 0);
	agrees();
	settle(), reopen();
	assert_int_equal(rename(a, b), 0);
	agrees();
}

/* Written and hashed within one tick, then changed: the cache must not believe the first hash. */
static void test_racy(void **state)
{
	for (unsigned i = 0; i < 200; i++) {
		put("a", i & 1 ? "x" : "y");
		agrees();
	}
}

/* What has not changed is recognised: nothing new is recorded, so that saving leaves the file alone; and one changed file
 * makes a new record. */
static void test_recognises(void **state)
{
	_cleanup_free_ char *file = xasprintf("%s/millrace/statcache", scratch);
	struct stat before, after;

	hash(cache);
	reopen();
	assert_int_equal(stat(file, &before), 0);
	agrees();
	reopen();
	assert_int_equal(stat(file, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	put("a", "9");
	settle();
	agrees();
	reopen();
	assert_int_equal(stat(file, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
}

static void test_single_files_and_damage(void **state)
{
	_cleanup_free_ char *a = xasprintf("%s/a", tree), *file = xasprintf("%s/millrace/statcache", scratch);
	struct digest digest, back;
	struct timespec now;
	struct stat st;

	digest_of(&digest, "1", 1);
	assert_int_equal(stat(a, &st), 0);
	clock_gettime(CLOCK_REALTIME, &now);
	assert_false(cas_statcache_get(cache, a, &st, &back));
	cas_statcache_put(cache, a, &st, st.st_ctim.tv_sec * INT64_C(1000000000) + st.st_ctim.tv_nsec, &digest);
	assert_false(cas_statcache_get(cache, a, &st, &back)); /* racy */
	cas_statcache_put(cache, a, &st, now.tv_sec * INT64_C(1000000000) + now.tv_nsec, &digest);
	reopen();
	assert_true(cas_statcache_get(cache, a, &st, &back));
	assert_true(digest_eq(&digest, &back));
	hash(cache);
	reopen();
	assert_int_equal(stat(file, &st), 0);
	int fd = open(file, O_WRONLY);
	assert_int_equal(pwrite(fd, "XY", 2, st.st_size / 2), 2);
	close_fd(fd);
	cas_statcache_free(cache);
	assert_int_equal(cas_statcache_new(&cache, scratch), 0);
	assert_int_equal(stat(a, &st), 0);
	assert_false(cas_statcache_get(cache, a, &st, &back));
	agrees();
	assert_int_equal(truncate(file, 20), 0);
	cas_statcache_free(cache);
	assert_int_equal(cas_statcache_new(&cache, scratch), 0);
	agrees();
}

/* A store of its own in scratch. */
static struct cas *new_store(const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", scratch, name);
	struct cas *cas;

	assert_int_equal(cas_new(&cas, path, NULL), 0);
	return cas;
}

/* Is it stored whole?  Must be so if it was said. */
static bool stored_again(const struct digest *expect)
{
	static unsigned number;
	_cleanup_free_ char *name = xasprintf("store%u", number++);
	struct cas *cas = new_store(name);
	bool good = cas_import_again(cas, tree, cache, expect);

	assert_int_equal(cas_has_tree(cas, expect), good);
	cas_free(cas);
	return good;
}

/* A tree hashed before is stored from what was noted of it, whatever has come to it since; not if something it had is gone or
 * is another. */
static void test_import_again(void **state)
{
	_cleanup_free_ char *a = xasprintf("%s/a", tree), *link = xasprintf("%s/link", tree);
	_cleanup_free_ char *deeper = xasprintf("%s/sub/deeper", tree), *away = xasprintf("%s/away", tree);
	struct digest expect = hash(NULL), other;

	assert_false(stored_again(&expect)); /* nothing noted */
	hash(cache);
	assert_true(stored_again(&expect));
	reopen();
	assert_true(stored_again(&expect));
	digest_of(&other, "other", 5);
	assert_false(stored_again(&other));
	put("new", "7");
	assert_true(stored_again(&expect));

	assert_int_equal(chmod(a, 0755), 0);
	assert_false(stored_again(&expect));
	assert_int_equal(chmod(a, 0600), 0);
	assert_true(stored_again(&expect));
	put("a", "x");
	assert_false(stored_again(&expect));
	assert_int_equal(unlink(a), 0);
	assert_false(stored_again(&expect));
	assert_int_equal(mkfifo(a, 0644), 0);
	assert_false(stored_again(&expect)); /* and nobody waits for its other end */
	assert_int_equal(unlink(a), 0);
	assert_int_equal(symlink("b", a), 0);
	assert_false(stored_again(&expect));
	assert_int_equal(unlink(a), 0);
	put("a", "1");
	assert_true(stored_again(&expect));

	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("b", link), 0);
	assert_false(stored_again(&expect));
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("a", link), 0);
	assert_int_equal(rename(deeper, away), 0);
	assert_false(stored_again(&expect));
	assert_int_equal(symlink("../away", deeper), 0); /* the same files by another way: nothing is read that is not expected */
	assert_true(stored_again(&expect));
}

/* Store and stat cache of a crowd of trees, random ones: again is what the first import is. */
static void test_import_again_random(void **state)
{
	unsigned seed = 20261123;

	for (unsigned round = 0; round < 40; round++) {
		_cleanup_free_ char *name = xasprintf("random%u", round), *path = xasprintf("%s/%s", scratch, name);
		struct cas *cas = new_store("stores");
		struct digest first, second;

		free(tree);
		tree = xstrdup(path);
		assert_int_equal(mkdir(tree, 0755), 0);
		for (unsigned i = 0, many = rand_r(&seed) % 30; i < many; i++) {
			_cleanup_free_ char *file = xasprintf("d%u/%c%u", rand_r(&seed) % 4, 'a' + (int)(rand_r(&seed) % 26), i);
			_cleanup_free_ char *text = xasprintf("%u", rand_r(&seed) % 8), *whole = xasprintf("%s/%s", tree, file);
			_cleanup_free_ char *dir = xstrndup(whole, (size_t)(strrchr(whole, '/') - whole));

			assert_int_equal(fs_mkdir_p(AT_FDCWD, dir, 0755), 0);
			if (rand_r(&seed) % 5 == 0)
				assert_int_equal(symlink(text, whole), 0);
			else
				put(file, text);
			if (rand_r(&seed) % 3 == 0)
				(void)!chmod(whole, 0755);
		}
		first = hash(cache);
		assert_true(cas_import_again(cas, tree, cache, &first));
		assert_int_equal(cas_import(cas, AT_FDCWD, tree, 0, NULL, &second, NULL), 0);
		assert_true(digest_eq(&first, &second));
		cas_free(cas);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_notices_changes), TEST(test_racy), TEST(test_recognises), TEST(test_single_files_and_damage),
		TEST(test_import_again), TEST(test_import_again_random),
	};

	return cmocka_run_group_tests_name("statcache", tests, NULL, NULL);
}
