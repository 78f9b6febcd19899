/* Unit tests of a checkout by several threads: what is copied, and what happens when one file cannot be. */
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
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "cas/cas.h"

enum { DIRS = 20, FILES = 40, BIG_BYTES = 3 << 20 };

static char scratch[64];
static int scratch_fd;
static struct cas *cas;
static struct digest tree;

/* Sizes from nothing to larger than what is copied in one piece; no two alike. */
static size_t size_of(int dir, int file)
{
	static const size_t sizes[] = { 0, 1, 100, 4096, 20000, 65535, 65536, 65537, 200000 };

	return dir == 7 && file == 7 ? BIG_BYTES : sizes[(dir * FILES + file) % ARRAY_SIZE(sizes)];
}

static void fill(char *bytes, int dir, int file)
{
	uint32_t state = (uint32_t)(dir * FILES + file + 1);

	for (size_t i = 0; i < size_of(dir, file); i++) {
		state = state * 1664525 + 1013904223;
		bytes[i] = (char)(state >> 24);
	}
}

static void make_tree(void)
{
	char *bytes = xmalloc(BIG_BYTES);
	struct diag diag = DIAG_INIT;
	char path[64];

	for (int dir = 0; dir < DIRS; dir++) {
		snprintf(path, sizeof path, "in/dir%d", dir);
		assert_int_equal(fs_mkdir_p(scratch_fd, path, 0755), 0);
		for (int file = 0; file < FILES; file++) {
			mode_t mode = file % 3 ? 0644 : 0755;

			fill(bytes, dir, file);
			snprintf(path, sizeof path, "in/dir%d/file%d", dir, file);
			assert_int_equal(fs_write_file(scratch_fd, path, bytes, size_of(dir, file), mode), 0);
			assert_int_equal(fchmodat(scratch_fd, path, mode, 0), 0);
		}
	}
	assert_int_equal(cas_import(cas, scratch_fd, "in", 0, NULL, &tree, &diag), 0);
	free(bytes);
}

static int set_up(void **state)
{
	struct diag diag = DIAG_INIT;
	char *dir;

	(void)state;
	strncpy(scratch, "/tmp/test-checkout-XXXXXX", sizeof scratch - 1);
	assert_non_null(mkdtemp(scratch));
	scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(scratch_fd >= 0);
	dir = xasprintf("%s/cache", scratch);
	assert_int_equal(cas_new(&cas, dir, &diag), 0);
	free(dir);
	make_tree();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cas_free(cas);
	close_fd(scratch_fd);
	assert_int_equal(fs_remove_all(AT_FDCWD, scratch), 0);
	return 0;
}

static void test_every_byte(void **state)
{
	static const struct cas_checkout ways[] = {
		{ 0 },
		{ .flags = CAS_CHECKOUT_VERIFY | CAS_CHECKOUT_MTIME, .mtime = CAS_ARBITRARY_MTIME },
	};
	char *bytes = xmalloc(BIG_BYTES), path[64];

	(void)state;
	for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
		struct diag diag = DIAG_INIT;
		char out[16];

		snprintf(out, sizeof out, "out%zu", way);
		assert_int_equal(cas_checkout(cas, &tree, scratch_fd, out, &ways[way], &diag), 0);
		for (int i = 0; i < DIRS * FILES; i++) {
			_cleanup_buf_ struct buf found = BUF_INIT;
			int dir = i / FILES, file = i % FILES;
			struct stat st;

			snprintf(path, sizeof path, "%s/dir%d/file%d", out, dir, file);
			assert_int_equal(fs_read_file(&found, scratch_fd, path, 1 << 30), 0);
			assert_int_equal(found.len, size_of(dir, file));
			fill(bytes, dir, file);
			assert_int_equal(memcmp(buf_text(&found), bytes, found.len), 0);
			assert_int_equal(fstatat(scratch_fd, path, &st, 0), 0);
			assert_int_equal(st.st_mode & 07777, file % 3 ? 0644 : 0755);
			if (ways[way].flags & CAS_CHECKOUT_MTIME)
				assert_int_equal(st.st_mtime, CAS_ARBITRARY_MTIME);
		}
	}
	free(bytes);
}

/* Cut the object of dir9/file<file> off at its end, or change a byte of it. */
static void damage(int file, bool cut)
{
	char *bytes = xmalloc(BIG_BYTES), object[CAS_PATH_BYTES], *path;
	struct digest digest;
	int fd;

	fill(bytes, 9, file);
	digest_of(&digest, bytes, size_of(9, file));
	cas_object_path(object, &digest);
	path = xasprintf("cache/%s", object);
	assert_int_equal(fchmodat(scratch_fd, path, 0644, 0), 0);
	fd = openat(scratch_fd, path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	if (cut)
		assert_int_equal(ftruncate(fd, 5), 0);
	else
		assert_int_equal(pwrite(fd, "?!", 2, 17), 2);
	close(fd);
	free(path);
	free(bytes);
}

/* The file is named and the object dropped, in whichever thread it was found; nothing hangs and nothing is left open. */
static void expect_failure(const char *out, unsigned flags, const char *name)
{
	struct cas_checkout options = { .flags = flags };
	struct diag diag = DIAG_INIT;
	int before = dup(0), after;

	close(before);
	assert_int_equal(cas_checkout(cas, &tree, scratch_fd, out, &options, &diag), -ENOENT);
	assert_non_null(strstr(buf_text(&diag.message), name));
	diag_release(&diag);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

static void test_damaged(void **state)
{
	(void)state;
	damage(4, false); /* 20,000 bytes: small and large ones are copied in different ways */
	expect_failure("small", CAS_CHECKOUT_VERIFY, "small/dir9/file4");
}

static void test_damaged_big(void **state)
{
	int file = 0;

	(void)state;
	while (size_of(9, file) <= 65536)
		file++;
	damage(file, false);
	char *name = xasprintf("big/dir9/file%d", file);
	expect_failure("big", CAS_CHECKOUT_VERIFY, name);
	free(name);
}

static void test_cut(void **state)
{
	(void)state;
	damage(4, true);
	expect_failure("cut", 0, "cut/dir9/file4");
}

/* Where something that is no file stands in the way of one, the others wait for no one. */
static void test_in_the_way(void **state)
{
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(fs_mkdir_p(scratch_fd, "way/dir19/file3", 0755), 0);
	assert_true(cas_checkout(cas, &tree, scratch_fd, "way", NULL, &diag) < 0);
	assert_non_null(strstr(buf_text(&diag.message), "way/dir19/file3"));
	diag_release(&diag);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged_big, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_in_the_way, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
