/* What is kept, what goes, and who is spared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifacts/care.h"
#include "base/fs.h"

static char cachedir[] = "/tmp/millrace-test-care-XXXXXX";
static struct cas *cas;

static int set_up(void **state)
{
	struct diag diag = DIAG_INIT;
	char *path = NULL;

	(void)state;
	snprintf(cachedir, sizeof cachedir, "/tmp/millrace-test-care-XXXXXX");
	path = mkdtemp(cachedir);
	return path ? cas_new(&cas, path, &diag) : -1;
}

static int tear_down(void **state)
{
	(void)state;
	cas_free(cas);
	return fs_remove_all(AT_FDCWD, cachedir);
}

/* As if nobody had used it since. */
static void age(const char *path, int64_t seconds)
{
	struct timespec times[2];
	struct stat st;

	assert_int_equal(fstatat(cas_cachedir_fd(cas), path, &st, 0), 0);
	times[0] = times[1] = (struct timespec){ st.st_mtim.tv_sec - seconds, 0 };
	assert_int_equal(utimensat(cas_cachedir_fd(cas), path, times, 0), 0);
}

static void age_object(const struct digest *digest, int64_t seconds)
{
	char path[CAS_PATH_BYTES];

	cas_object_path(path, digest);
	age(path, seconds);
}

/* A directory of one file, with a record; all used so long ago. */
static void make_item(char name, size_t size, int64_t seconds, struct digest *tree, struct digest *file)
{
	struct cas_entry entry = { .name = "f", .name_len = 1, .type = CAS_FILE };
	struct cas_directory directory = { .entries = &entry, .count = 1 };
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	char *content = xmalloc(size), path[128], hex[DIGEST_HEX + 1];
	struct diag diag = DIAG_INIT;
	struct key key = { 0 };

	memset(content, name, size);
	assert_int_equal(cas_put(cas, content, size, file), 0);
	free(content);
	entry.digest = *file;
	cas_directory_encode(&directory, &bytes);
	assert_int_equal(cas_put(cas, bytes.data, bytes.len, tree), 0);
	memset(key.hash, name, sizeof key.hash);
	assert_int_equal(source_record_write(cas, "test", &key, tree, &diag), 0);
	digest_to_hex(hex, key.hash);
	snprintf(path, sizeof path, "source_protos/test/%s", hex);
	age(path, seconds);
	age_object(tree, seconds);
	age_object(file, seconds);
}

static struct care_result expire(int64_t target_bytes, bool pretend)
{
	int64_t since_ns = care_since(cas);
	struct care_census *census;
	struct care_result result;

	assert_int_equal(care_census_new(&census, cas, NULL, NULL), 0);
	assert_int_equal(care_expire(cas, census, since_ns, target_bytes, pretend, &result), 0);
	care_census_free(census);
	cas_forget(cas, 0);
	return result;
}

/* Without touching. */
static bool there(const struct digest *digest)
{
	char path[CAS_PATH_BYTES];

	cas_object_path(path, digest);
	return faccessat(cas_cachedir_fd(cas), path, F_OK, 0) == 0;
}

static void test_order(void **state)
{
	struct digest tree[3], file[3];
	struct care_result result;

	(void)state;
	make_item('a', 1000, 300, &tree[0], &file[0]);
	make_item('b', 1000, 100, &tree[1], &file[1]);
	make_item('c', 1000, 200, &tree[2], &file[2]);
	result = expire(2500, true);
	assert_int_equal(result.items, 1);
	assert_true(there(&file[0]));
	result = expire(2500, false);
	assert_int_equal(result.items, 1);
	assert_int_equal(result.objects, 2);
	assert_false(there(&file[0]));
	assert_true(there(&file[1]) && there(&file[2]));
	assert_int_equal(expire(INT64_MAX, false).objects, 0);
	result = expire(1500, false);
	assert_int_equal(result.kept_items, 1);
	assert_true(there(&tree[1]));
}

/* What is used later is kept before what is small. */
static void test_small_is_no_excuse(void **state)
{
	struct digest tree[2], file[2];

	(void)state;
	make_item('a', 5000, 100, &tree[0], &file[0]);
	make_item('b', 10, 200, &tree[1], &file[1]);
	assert_int_equal(expire(1000, false).items, 2);
	assert_false(there(&file[1]));
}

static void test_unnamed_and_incomplete(void **state)
{
	struct digest tree, file, loose;
	char path[CAS_PATH_BYTES];

	(void)state;
	assert_int_equal(cas_put(cas, "loose", 5, &loose), 0);
	age_object(&loose, 10);
	make_item('a', 100, 100, &tree, &file);
	cas_object_path(path, &file);
	assert_int_equal(unlinkat(cas_cachedir_fd(cas), path, 0), 0);
	assert_int_equal(expire(INT64_MAX, false).items, 1);
	assert_false(there(&loose));
	assert_false(there(&tree));
}

/* What another session is writing is not a damaged record; what it left a week ago goes. */
static void test_half_written_records(void **state)
{
	static const char now[] = "source_protos/test/6161.1.0.tmp", old[] = "source_protos/test/6161.1.1.tmp";
	struct digest tree, file;
	struct care_list list;

	(void)state;
	make_item('a', 10, 100, &tree, &file);
	assert_int_equal(fs_write_file(cas_cachedir_fd(cas), now, "x", 1, 0644), 0);
	assert_int_equal(fs_write_file(cas_cachedir_fd(cas), old, "x", 1, 0644), 0);
	age(old, 7 * 24 * 3600);
	assert_int_equal(care_list_init(&list, cas), 0);
	assert_int_equal(list.count, 1);
	care_list_release(&list);
	assert_int_equal(faccessat(cas_cachedir_fd(cas), now, F_OK, 0), 0);
	assert_int_equal(faccessat(cas_cachedir_fd(cas), old, F_OK, 0), -1);
}

/* A file that holds the bytes of a directory does not hide what is in the directory. */
static void test_file_like_a_directory(void **state)
{
	struct digest tree[2], file[2];
	struct cas_entry entries[2] = { { .name = "a", .name_len = 1, .type = CAS_FILE },
					{ .name = "b", .name_len = 1, .type = CAS_DIRECTORY } };
	struct cas_directory directory = { .entries = entries, .count = 2 };
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	struct key key = { .hash = { 1 } };
	struct diag diag = DIAG_INIT;
	char hex[DIGEST_HEX + 1], path[128];

	(void)state;
	make_item('x', 500, 100, &tree[0], &file[0]);
	digest_to_hex(hex, (uint8_t[DIGEST_BYTES]){ [0 ... DIGEST_BYTES - 1] = 'x' });
	snprintf(path, sizeof path, "source_protos/test/%s", hex);
	assert_int_equal(unlinkat(cas_cachedir_fd(cas), path, 0), 0);
	entries[0].digest = entries[1].digest = tree[0];
	cas_directory_encode(&directory, &bytes);
	assert_int_equal(cas_put(cas, bytes.data, bytes.len, &tree[1]), 0);
	age_object(&tree[1], 100);
	assert_int_equal(source_record_write(cas, NULL, &key, &tree[1], &diag), 0);
	assert_int_equal(expire(INT64_MAX, false).objects, 0);
	assert_true(there(&file[0]));
}

/* What a live session has looked at stays, and so does what was used shortly before it began. */
static void test_live_session(void **state)
{
	struct digest tree[2], file[2];
	struct cas *other;
	struct diag diag = DIAG_INIT;

	(void)state;
	make_item('a', 1000, 7200, &tree[0], &file[0]);
	make_item('b', 1000, 600, &tree[1], &file[1]);
	assert_int_equal(cas_new(&other, cachedir, &diag), 0);
	assert_int_equal(cas_session_begin(other, NULL, NULL, &diag), 0);
	assert_int_equal(cas_has_tree(other, &tree[0]), 1);
	assert_int_equal(expire(0, false).objects, 0);
	assert_true(there(&file[0]) && there(&file[1]));
	cas_session_end(other, false);
	cas_free(other);
	age_object(&file[0], 10);
	age_object(&tree[0], 10);
	assert_int_equal(expire(0, false).objects, 4);
	assert_false(there(&file[0]));
}

/* Touched between the count and the removal: it stays. */
static void test_touched_meanwhile(void **state)
{
	struct digest loose[2];
	struct care_census *census;
	char path[CAS_PATH_BYTES];
	int64_t bytes, since_ns;

	(void)state;
	assert_int_equal(cas_put(cas, "1", 1, &loose[0]), 0);
	assert_int_equal(cas_put(cas, "2", 1, &loose[1]), 0);
	age_object(&loose[0], 10);
	age_object(&loose[1], 10);
	assert_int_equal(care_census_new(&census, cas, NULL, NULL), 0);
	since_ns = care_since(cas);
	cas_object_path(path, &loose[0]);
	assert_int_equal(utimensat(cas_cachedir_fd(cas), path, NULL, 0), 0);
	assert_int_equal(care_sweep(census, since_ns, false, &bytes), 1);
	assert_true(there(&loose[0]));
	assert_false(there(&loose[1]));
	care_census_free(census);
}

static int refuse(void *data, struct cas *full, int64_t need_bytes)
{
	int *calls = data;

	(void)full;
	assert_true(need_bytes > 0);
	++*calls;
	return 0;
}

static void test_quota(void **state)
{
	struct cas_limits limits = { 1000, 0, 0.5 };
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_free_ char *much = xcalloc(1, 2000);
	struct diag diag = DIAG_INIT;
	struct care_census *census;
	struct digest digest;
	int calls = 0;

	(void)state;
	cas_set_limits(cas, &limits);
	cas_on_full(cas, refuse, &calls);
	assert_int_equal(cas_session_begin(cas, NULL, NULL, &diag), 0);
	assert_int_equal(care_census_new(&census, cas, NULL, NULL), 0);
	care_census_free(census);
	assert_int_equal(cas_put(cas, much, 900, &digest), 0);
	assert_false(cas_was_full(cas, NULL));
	assert_int_equal(cas_put(cas, much, 101, NULL), -EDQUOT);
	digest_of(&digest, much, 101);
	assert_false(there(&digest));
	assert_int_equal(calls, 1);
	assert_true(cas_was_full(cas, &text));
	assert_non_null(strstr(buf_text(&text), "900 bytes"));
	assert_int_equal(cas_put(cas, much, 100, &digest), 0);
	assert_int_equal(cas_low_bytes(cas, 100), 400);
	cas_session_end(cas, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_order),
		TEST(test_small_is_no_excuse),
		TEST(test_unnamed_and_incomplete),
		TEST(test_half_written_records),
		TEST(test_file_like_a_directory),
		TEST(test_live_session),
		TEST(test_touched_meanwhile),
		TEST(test_quota),
	};

	return cmocka_run_group_tests_name("care", tests, NULL, NULL);
}
