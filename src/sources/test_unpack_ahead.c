/* Archives read in one thread and in two: the same members in the same order, and both ends can stop the other. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sources/unpack_ahead.h"

enum { MEMBERS = 300, BROKEN_AT = 200 };

static bool broken;

/* Sizes around those at which a file takes another piece, and many small ones. */
static size_t size_of(int i)
{
	static const size_t sizes[] = { 0, 1, 5000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20 };

	return i % 50 == 0 ? sizes[i / 50 % 7] : (size_t)(i * 37 % 4000);
}

static int pretend_file(const struct archive_sink *sink, int i)
{
	static char bytes[100000];
	int r = 0;

	memset(bytes, 'a' + i % 26, sizeof bytes);
	for (size_t left = size_of(i), n; r >= 0 && left > 0; left -= n) {
		n = MIN(left, sizeof bytes);
		r = sink->bytes(sink->data, bytes, n);
	}
	return r < 0 ? r : sink->member_end(sink->data);
}

static int pretend_archive(int fd UNUSED, enum archive_format format UNUSED, const struct archive_sink *sink, struct buf *error)
{
	for (int i = 0; i < MEMBERS; i++) {
		char path[32], link[32];
		struct archive_member member = { .path = path, .type = i % 7 == 3 ? ARCHIVE_SYMLINK : ARCHIVE_FILE, .mode = 0644,
						 .link = i % 7 == 3 ? link : NULL, .size_bytes = -1 };
		int r;

		snprintf(path, sizeof path, "member-%d", i);
		snprintf(link, sizeof link, "to-%d", i);
		if (broken && i == BROKEN_AT) {
			buf_adds(error, "torn");
			return -EBADMSG;
		}
		r = sink->member(sink->data, &member);
		memset(path, 'x', sizeof path); /* what was lent is gone */
		memset(link, 'x', sizeof link);
		if (r == 1)
			r = pretend_file(sink, i);
		if (r < 0)
			return r;
	}
	return 0;
}

struct seen {
	int members, ended, stop_at;
	struct digest_stream *stream; /* of the file that is coming in parts */
};

static void expect_end(struct seen *seen, const struct digest *digest, const void *bytes, size_t len)
{
	struct digest wanted;
	struct buf all = BUF_INIT;

	memset(buf_room(&all, size_of(seen->members) + 1), 'a' + seen->members % 26, size_of(seen->members));
	digest_of(&wanted, all.data, size_of(seen->members));
	buf_release(&all);
	assert_true(digest_eq(digest, &wanted));
	if (bytes) {
		digest_of(&wanted, bytes, len);
		assert_true(digest_eq(digest, &wanted));
	}
	seen->members++;
	seen->ended++;
}

static int on_member(void *data, const struct archive_member *member)
{
	struct seen *seen = data;
	char path[32];

	if (seen->members == seen->stop_at)
		return -EPERM;
	snprintf(path, sizeof path, "member-%d", seen->members);
	assert_string_equal(member->path, path);
	if (member->type == ARCHIVE_SYMLINK) {
		snprintf(path, sizeof path, "to-%d", seen->members++);
		assert_string_equal(member->link, path);
	}
	return 0;
}

static int on_whole(void *data, const void *bytes, size_t len, const struct digest *digest)
{
	expect_end(data, digest, bytes, len);
	return 0;
}

static int on_bytes(void *data, const void *bytes, size_t len)
{
	struct seen *seen = data;

	if (!seen->stream)
		seen->stream = digest_stream_new();
	digest_stream_add(seen->stream, bytes, len);
	return 0;
}

static int on_end(void *data)
{
	struct seen *seen = data;
	struct digest digest;

	digest_stream_end(steal_pointer(&seen->stream), &digest);
	expect_end(seen, &digest, NULL, 0);
	return 0;
}

static int read_it(int64_t size_bytes, struct seen *seen, struct buf *error)
{
	static const struct archive_module module = { .read = pretend_archive };
	const struct archive_ahead_sink sink = { .data = seen, .member = on_member, .whole = on_whole, .bytes = on_bytes,
						 .end = on_end };
	int fd = memfd_create("archive", MFD_CLOEXEC), r;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size_bytes), 0);
	r = archive_read_ahead(&module, fd, ARCHIVE_TAR, &sink, error);
	close(fd);
	return r;
}

static const int64_t sizes[] = { 0, 64 << 20 }; /* in one thread, in two */

static void test_everything_in_order(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct seen seen = { .stop_at = -1 };
		_cleanup_buf_ struct buf error = BUF_INIT;

		assert_int_equal(read_it(sizes[i], &seen, &error), 0);
		assert_int_equal(seen.members, MEMBERS);
		assert_int_equal(seen.ended, MEMBERS - (MEMBERS - 3 + 6) / 7);
	}
}

static void test_archive_breaks(void **state UNUSED)
{
	broken = true;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct seen seen = { .stop_at = -1 };
		_cleanup_buf_ struct buf error = BUF_INIT;

		assert_int_equal(read_it(sizes[i], &seen, &error), -EBADMSG);
		assert_string_equal(buf_text(&error), "torn");
		assert_int_equal(seen.members, BROKEN_AT);
	}
	broken = false;
}

static void test_caller_stops(void **state UNUSED)
{
	for (int stop_at = 0; stop_at < MEMBERS; stop_at += 23)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			struct seen seen = { .stop_at = stop_at };
			_cleanup_buf_ struct buf error = BUF_INIT;

			assert_int_equal(read_it(sizes[i], &seen, &error), -EPERM);
			assert_int_equal(seen.members, stop_at);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_in_order),
		cmocka_unit_test(test_archive_breaks),
		cmocka_unit_test(test_caller_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
