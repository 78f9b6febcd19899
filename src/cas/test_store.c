/* Unit tests of the store, of import, checkout and of recovery after a power cut. */
#include <dirent.h>
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "cas/cas_internal.h"

static char scratch[64];
static int scratch_fd;
static struct cas *cas;

static int set_up(void **state)
{
	struct diag diag = DIAG_INIT;

	strncpy(scratch, "/tmp/test-store-XXXXXX", sizeof scratch - 1);
	assert_non_null(mkdtemp(scratch));
	scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(scratch_fd >= 0);
	char *dir = xasprintf("%s/cache", scratch);
	assert_int_equal(cas_new(&cas, dir, &diag), 0);
	free(dir);
	return 0;
}

static int tear_down(void **state)
{
	cas_free(cas);
	cas = NULL;
	close_fd(scratch_fd);
	assert_int_equal(fs_remove_all(AT_FDCWD, scratch), 0);
	return 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	assert_int_equal(fs_write_file(scratch_fd, path, text, strlen(text), mode), 0);
	assert_int_equal(fchmodat(scratch_fd, path, mode, 0), 0);
}

static char *object_path(const struct digest *digest)
{
	char path[CAS_PATH_BYTES];

	cas_object_path(path, digest);
	return xasprintf("cache/%s", path);
}

static void test_put_get(void **state)
{
	struct buf back = BUF_INIT;
	struct digest digest;
	struct stat st;
	char *path;

	assert_int_equal(cas_put(cas, "hello", 5, &digest), 0);
	assert_int_equal(cas_put(cas, "hello", 5, &digest), 0);
	assert_int_equal(digest.size_bytes, 5);
	assert_int_equal(cas_has(cas, &digest), 1);
	assert_int_equal(cas_get(cas, &digest, &back), 0);
	assert_string_equal(back.data, "hello");
	path = object_path(&digest);
	assert_int_equal(fstatat(scratch_fd, path, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0444);
	free(path);
	buf_release(&back);
}

static unsigned count_names(const char *below)
{
	DIR *dir = fdopendir(openat(scratch_fd, below, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	unsigned count = 0;

	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		count += *entry->d_name != '.';
	closedir(dir);
	return count;
}

/* However an object gets its name: whole, read-only, the only name of its file, and no other name left. */
static void test_ways_to_a_name(void **state)
{
	for (enum fs_link way = FS_LINK_DESCRIPTOR; way <= FS_LINK_NOT; way++)
		for (unsigned i = 0; i < 2; i++) {
			_cleanup_buf_ struct buf back = BUF_INIT;
			char text[32], *path;
			struct digest digest;
			struct stat st;
			mode_t umask_was = umask(i ? 0077 : 0022);

			cas->way = way;
			cas->mode_sure = false;
			snprintf(text, sizeof text, "way %u, %u", way, i);
			assert_int_equal(cas_put(cas, text, strlen(text), &digest), 0);
			umask(umask_was);
			assert_true(cas->way >= way); /* higher where this one cannot be gone */
			path = object_path(&digest);
			assert_int_equal(fstatat(scratch_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
			assert_int_equal(st.st_mode, S_IFREG | 0444);
			assert_int_equal(st.st_nlink, 1);
			assert_int_equal(cas_get(cas, &digest, &back), 0);
			assert_string_equal(buf_text(&back), text);
			free(path);
		}
	assert_int_equal(count_names("cache/cas/tmp"), 0);
}

/* Something else under an object's name: what is a name alone is replaced, what is not is left and said. */
static void test_name_is_taken(void **state)
{
	for (enum fs_link way = FS_LINK_DESCRIPTOR; way <= FS_LINK_NOT; way++) {
		_cleanup_buf_ struct buf back = BUF_INIT;
		struct digest digest;
		char text[16], *path, *bucket;

		snprintf(text, sizeof text, "taken %u", way);
		digest_of(&digest, text, strlen(text));
		path = object_path(&digest);
		bucket = xstrndup(path, (size_t)(fs_basename(path) - path - 1));
		assert_int_equal(fs_mkdir_p(scratch_fd, bucket, 0755), 0);
		assert_int_equal(symlinkat("/etc/passwd", scratch_fd, path), 0);
		cas->way = way;
		assert_int_equal(cas_put(cas, text, strlen(text), NULL), 0);
		assert_int_equal(cas_get(cas, &digest, &back), 0);
		assert_string_equal(buf_text(&back), text);

		assert_int_equal(unlinkat(scratch_fd, path, 0), 0);
		assert_int_equal(mkdirat(scratch_fd, path, 0755), 0);
		cas_forget(cas, 0);
		cas->way = way;
		assert_true(cas_put(cas, text, strlen(text), NULL) < 0);
		assert_int_equal(unlinkat(scratch_fd, path, AT_REMOVEDIR), 0);
		free(bucket);
		free(path);
	}
	assert_int_equal(count_names("cache/cas/tmp"), 0);
}

static void damage(const struct digest *digest, const char *text)
{
	char *path = object_path(digest);

	assert_int_equal(fchmodat(scratch_fd, path, 0644, 0), 0);
	int fd = openat(scratch_fd, path, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
	close_fd(fd);
	free(path);
}

/* After a run of objects that were all news nobody asks whether the next is there; then that one is found all the same, stays
 * the file it was, and counts as used. */
static void test_old_one_after_many_new(void **state)
{
	for (unsigned round = 0; round < 3; round++) {
		struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
		struct digest digest;
		struct stat before, after;
		char *path;

		assert_int_equal(cas_put(cas, "old one", 7, &digest), 0);
		path = object_path(&digest);
		for (unsigned i = 0; i < 100; i++) {
			char text[32];

			snprintf(text, sizeof text, "news %u, %u", round, i);
			assert_int_equal(cas_put(cas, text, strlen(text), NULL), 0);
		}
		cas_forget(cas, 0);
		assert_int_equal(utimensat(scratch_fd, path, old, 0), 0);
		assert_int_equal(fstatat(scratch_fd, path, &before, 0), 0);
		assert_int_equal(cas_put(cas, "old one", 7, NULL), 0);
		assert_int_equal(fstatat(scratch_fd, path, &after, 0), 0);
		assert_int_equal(before.st_ino, after.st_ino);
		assert_true(after.st_mtim.tv_sec > old[1].tv_sec);
		/* one that is cut short is no object: it is replaced */
		cas->news = UINT32_MAX;
		cas_forget(cas, 0);
		damage(&digest, "old");
		assert_int_equal(cas_put(cas, "old one", 7, NULL), 0);
		assert_int_equal(fstatat(scratch_fd, path, &after, 0), 0);
		assert_int_equal(after.st_size, 7);
		free(path);
	}
}

static void test_broken_objects_are_missing(void **state)
{
	struct buf back = BUF_INIT;
	struct digest digest;

	assert_int_equal(cas_put(cas, "hello", 5, &digest), 0);
	damage(&digest, "hellx");
	assert_int_equal(cas_get(cas, &digest, &back), -ENOENT);
	assert_int_equal(back.len, 0);
	assert_int_equal(cas_has(cas, &digest), 0);
	assert_int_equal(cas_put(cas, "hello", 5, &digest), 0); /* and it heals */
	assert_int_equal(cas_get(cas, &digest, &back), 0);

	damage(&digest, "hell");
	cas_forget(cas, 0);
	assert_int_equal(cas_has(cas, &digest), 0);
	assert_int_equal(cas_put(cas, "hello", 5, &digest), 0);
	damage(&digest, "");
	assert_int_equal(cas_object_fd(cas, &digest), -ENOENT);
	buf_release(&back);
}

static void test_writer(void **state)
{
	struct digest digest, expect;
	struct cas_writer *writer;

	assert_int_equal(cas_writer_new(&writer, cas), 0);
	assert_int_equal(cas_writer_add(writer, "hel", 3), 0);
	assert_int_equal(cas_writer_add(writer, "lo", 2), 0);
	digest_of(&expect, "hello", 5);
	assert_int_equal(cas_writer_end(writer, &expect, &digest), 0);
	assert_true(digest_eq(&digest, &expect));
	assert_int_equal(cas_has(cas, &expect), 1);

	assert_int_equal(cas_writer_new(&writer, cas), 0);
	assert_int_equal(cas_writer_add(writer, "hullo", 5), 0);
	assert_int_equal(cas_writer_end(writer, &expect, &digest), -EBADMSG);
	assert_int_equal(cas_writer_new(&writer, cas), 0);
	cas_writer_free(writer);
	assert_int_equal(unlinkat(scratch_fd, "cache/cas/tmp", AT_REMOVEDIR), 0); /* nothing is left in it */
}

static void make_tree(void)
{
	assert_int_equal(fs_mkdir_p(scratch_fd, "t/sub/empty", 0755), 0);
	write_file("t/plain", "p", 0644);
	write_file("t/sub/tool", "#!", 0755);
	write_file("t/sub/other-x", "o", 0654); /* group's x bit does not count */
	write_file("t/big", "", 0644);
	char *big = xasprintf("%s/t/big", scratch);
	assert_int_equal(truncate(big, 300000), 0);
	free(big);
}

static void test_import_and_checkout(void **state)
{
	struct digest digest, again, hashed;
	struct diag diag = DIAG_INIT;
	struct stat st;
	mode_t old;

	make_tree();
	assert_int_equal(symlinkat("../nowhere", scratch_fd, "t/link"), 0);
	assert_int_equal(symlinkat("sub", scratch_fd, "t/dirlink"), 0);
	assert_int_equal(mkfifoat(scratch_fd, "t/fifo", 0644), 0);
	assert_int_equal(cas_import(cas, scratch_fd, "t", 0, NULL, &digest, &diag), 0);
	assert_int_equal(cas_import(cas, scratch_fd, "t", CAS_IMPORT_HASH_ONLY, NULL, &hashed, &diag), 0);
	assert_true(digest_eq(&digest, &hashed));
	assert_int_equal(cas_has_tree(cas, &digest), 1);

	old = umask(077);
	assert_int_equal(cas_checkout(cas, &digest, scratch_fd, "out", NULL, &diag), 0);
	umask(old);
	assert_int_equal(fstatat(scratch_fd, "out/sub/tool", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(fstatat(scratch_fd, "out/sub/other-x", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(fstatat(scratch_fd, "out/sub/empty", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(fstatat(scratch_fd, "out/fifo", &st, 0), -1);
	assert_int_equal(cas_import(cas, scratch_fd, "out", CAS_IMPORT_MOVE, NULL, &again, &diag), 0);
	assert_true(digest_eq(&digest, &again));
	diag_release(&diag);
}

static void test_checkout_times_links_and_obstacles(void **state)
{
	struct cas_checkout options = { .flags = CAS_CHECKOUT_MTIME | CAS_CHECKOUT_VERIFY, .mtime = CAS_ARBITRARY_MTIME };
	struct diag diag = DIAG_INIT;
	struct digest digest;
	struct stat st;

	make_tree();
	assert_int_equal(cas_import(cas, scratch_fd, "t", 0, NULL, &digest, &diag), 0);
	assert_int_equal(fs_mkdir_p(scratch_fd, "elsewhere", 0755), 0);
	assert_int_equal(fs_mkdir_p(scratch_fd, "out", 0755), 0);
	/* a link in the way must not lead the checkout elsewhere */
	assert_int_equal(symlinkat("../elsewhere", scratch_fd, "out/sub"), 0);
	assert_int_equal(symlinkat("../elsewhere/plain", scratch_fd, "out/plain"), 0);
	assert_int_equal(cas_checkout(cas, &digest, scratch_fd, "out", &options, &diag), 0);
	assert_int_equal(unlinkat(scratch_fd, "elsewhere", AT_REMOVEDIR), 0);
	assert_int_equal(fstatat(scratch_fd, "out/sub", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mtime, CAS_ARBITRARY_MTIME);
	assert_int_equal(fstatat(scratch_fd, "out/big", &st, 0), 0);
	assert_int_equal(st.st_mtime, CAS_ARBITRARY_MTIME);
	assert_int_equal(st.st_nlink, 1);

	options.flags = CAS_CHECKOUT_HARDLINK;
	assert_int_equal(cas_checkout(cas, &digest, scratch_fd, "linked", &options, &diag), 0);
	assert_int_equal(fstatat(scratch_fd, "linked/plain", &st, 0), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(fstatat(scratch_fd, "linked/sub/tool", &st, 0), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 07777, 0755);
}

static void test_missing(void **state)
{
	struct digest digest, plain;
	struct diag diag = DIAG_INIT;
	char *path;

	make_tree();
	assert_int_equal(cas_import(cas, scratch_fd, "t", 0, NULL, &digest, &diag), 0);
	digest_of(&plain, "p", 1);
	path = object_path(&plain);
	assert_int_equal(unlinkat(scratch_fd, path, 0), 0);
	free(path);
	cas_forget(cas, 0);
	assert_int_equal(cas_has_tree(cas, &digest), 0);
	assert_int_equal(cas_checkout(cas, &digest, scratch_fd, "out", NULL, &diag), -ENOENT);
	assert_string_equal(diag.reason, "missing-objects");
	assert_int_equal(cas_import(cas, scratch_fd, "t", 0, NULL, &digest, NULL), 0);
	assert_int_equal(cas_has_tree(cas, &digest), 1);
	diag_release(&diag);
}

static void test_single_file(void **state)
{
	const struct cas_directory *directory;
	struct digest digest;

	write_file("tool", "x", 0755);
	assert_int_equal(cas_import(cas, scratch_fd, "tool", 0, NULL, &digest, NULL), 0);
	assert_int_equal(cas_directory_get(cas, &digest, &directory), 0);
	assert_int_equal(directory->count, 1);
	assert_string_equal(directory->entries[0].name, "tool");
	assert_true(directory->entries[0].executable);
	assert_int_equal(symlinkat("tool", scratch_fd, "link"), 0);
	assert_int_equal(cas_import(cas, scratch_fd, "link", 0, NULL, &digest, NULL), -ELOOP);
}

static void test_workspace_mtimes(void **state)
{
	struct timespec times[2] = { { 100, 123456789 }, { 100, 123456789 } };
	const struct cas_directory *directory, *sub;
	struct digest digest;

	assert_int_equal(fs_mkdir_p(scratch_fd, "w/d", 0755), 0);
	write_file("w/f", "x", 0644);
	assert_int_equal(utimensat(scratch_fd, "w/f", times, 0), 0);
	assert_int_equal(utimensat(scratch_fd, "w/d", times, 0), 0);
	assert_int_equal(cas_import(cas, scratch_fd, "w", CAS_IMPORT_MTIMES, NULL, &digest, NULL), 0);
	assert_int_equal(cas_directory_get(cas, &digest, &directory), 0);
	assert_false(directory->has_mtime);
	assert_int_equal(directory->entries[1].mtime.nanos, 123456000);
	assert_int_equal(cas_directory_get(cas, &directory->entries[0].digest, &sub), 0);
	assert_true(sub->has_mtime);
	assert_int_equal(sub->mtime.seconds, 100);
}

static void count_recovery(void *data)
{
	assert_int_equal(faccessat(scratch_fd, "cache/millrace/cas/session-1-1-0", F_OK, 0), 0); /* not settled yet */
	(*(int *)data)++;
}

static void test_power_cut(void **state)
{
	struct diag diag = DIAG_INIT;
	struct digest good, bad;
	struct cas *idle;
	int recoveries = 0;

	assert_int_equal(cas_session_begin(cas, NULL, NULL, &diag), 0);
	cas_session_end(cas, false);
	assert_int_equal(unlinkat(scratch_fd, "cache/millrace/cas", AT_REMOVEDIR), 0); /* no marker left */

	/* one in which nothing was written needs no sync: what others left is not taken for durable */
	assert_int_equal(cas_new(&idle, cas_cachedir(cas), &diag), 0);
	assert_int_equal(cas_session_begin(idle, NULL, NULL, &diag), 0);
	write_file("cache/millrace/cas/session-1-1-1", "", 0644);
	cas_session_end_idle(idle, false);
	assert_int_equal(unlinkat(scratch_fd, "cache/millrace/cas/session-1-1-1", 0), 0);
	assert_int_equal(unlinkat(scratch_fd, "cache/millrace/cas", AT_REMOVEDIR), 0); /* its own marker is gone */
	assert_int_equal(cas_session_begin(idle, NULL, NULL, &diag), 0);
	assert_int_equal(cas_put(idle, "written", 7, NULL), 0);
	write_file("cache/millrace/cas/session-1-1-1", "", 0644);
	cas_session_end_idle(idle, false); /* not idle after all: synced, so nobody's marker is needed */
	assert_int_equal(unlinkat(scratch_fd, "cache/millrace/cas", AT_REMOVEDIR), 0);
	cas_free(idle);

	/* a session of another life of the machine */
	assert_int_equal(fs_mkdir_p(scratch_fd, "cache/millrace/cas", 0755), 0);
	write_file("cache/millrace/cas/session-1-1-0", "another-boot\n", 0644);
	assert_int_equal(cas_put(cas, "good", 4, &good), 0);
	assert_int_equal(cas_put(cas, "bad", 3, &bad), 0);
	damage(&bad, "dab");
	assert_int_equal(fs_mkdir_p(scratch_fd, "cache/artifacts/refs/p/e", 0755), 0);
	write_file("cache/artifacts/refs/p/e/cut", "", 0644);
	write_file("cache/artifacts/refs/p/e/whole", "x", 0644);
	cas_on_recovery(cas, count_recovery, &recoveries);
	assert_int_equal(cas_session_begin(cas, NULL, NULL, &diag), 2);
	assert_int_equal(recoveries, 1);
	assert_int_equal(cas_has(cas, &good), 1);
	assert_int_equal(cas_has(cas, &bad), 0);
	assert_int_equal(faccessat(scratch_fd, "cache/artifacts/refs/p/e/cut", F_OK, 0), -1);
	assert_int_equal(faccessat(scratch_fd, "cache/artifacts/refs/p/e/whole", F_OK, 0), 0);
	cas_session_end(cas, false);
	cas_on_recovery(cas, NULL, NULL);
	assert_int_equal(unlinkat(scratch_fd, "cache/millrace/cas", AT_REMOVEDIR), 0);
}

/* What a dead process was writing goes with the next session, also while nobody has asked how it ended. */
static void test_half_written(void **state)
{
	struct diag diag = DIAG_INIT;
	char of_zombie[64], of_living[64];
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	snprintf(of_zombie, sizeof of_zombie, "cache/cas/tmp/millrace-0000000a-%d-1", (int)pid);
	snprintf(of_living, sizeof of_living, "cache/cas/tmp/millrace-0000000b-%d-1", (int)getpid());
	assert_int_equal(fs_mkdir_p(scratch_fd, "cache/cas/tmp", 0755), 0);
	write_file(of_zombie, "half", 0644);
	write_file(of_living, "half", 0644);
	assert_int_equal(cas_session_begin(cas, NULL, NULL, &diag), 0);
	assert_int_equal(faccessat(scratch_fd, of_zombie, F_OK, 0), -1);
	assert_int_equal(unlinkat(scratch_fd, of_living, 0), 0);
	cas_session_end(cas, false);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int collect(void *data, const void *bytes, size_t len)
{
	buf_add(data, bytes, len);
	return 0;
}

static void test_tar(void **state)
{
	struct buf out = BUF_INIT;
	struct diag diag = DIAG_INIT;
	struct digest digest;

	assert_int_equal(fs_mkdir_p(scratch_fd, "t/b", 0755), 0);
	write_file("t/b/c", "12345", 0644);
	assert_int_equal(cas_import(cas, scratch_fd, "t", 0, NULL, &digest, NULL), 0);
	assert_int_equal(cas_tar(cas, &digest, "./", CAS_ARBITRARY_MTIME, collect, &out, &diag), 0);
	assert_int_equal(out.len, 10240);
	assert_string_equal(out.data, "./b/");
	assert_string_equal(out.data + 512, "./b/c");
	assert_string_equal(out.data + 512 + 136, "11657201317"); /* the constant in octal */
	assert_string_equal(out.data + 1024, "12345");
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_put_get), TEST(test_ways_to_a_name), TEST(test_name_is_taken), TEST(test_old_one_after_many_new),
		TEST(test_broken_objects_are_missing),
		TEST(test_writer),
		TEST(test_import_and_checkout),
		TEST(test_checkout_times_links_and_obstacles),
		TEST(test_missing),
		TEST(test_single_file),
		TEST(test_workspace_mtimes),
		TEST(test_power_cut),
		TEST(test_half_written),
		TEST(test_tar),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
