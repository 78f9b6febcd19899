/* Unit tests of room cas. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cas/cas.h"

static void hex_is(const struct digest *digest, const char *expect)
{
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, digest->hash);
	assert_string_equal(hex, expect);
}

static void test_directory_round_trip(void **state)
{
	struct cas_entry entries[] = {
		{ .name = "a", .name_len = 1, .type = CAS_SYMLINK, .target = "../b" },
		{ .name = "b", .name_len = 1, .type = CAS_FILE, .executable = true, .digest = DIGEST_EMPTY },
		{ .name = "c", .name_len = 1, .type = CAS_DIRECTORY, .digest = DIGEST_EMPTY },
		{ .name = "d", .name_len = 1, .type = CAS_FILE, .has_mtime = true, .mtime = { 5, 6000 },
		  .digest = DIGEST_EMPTY },
	};
	struct cas_directory directory = { .entries = entries, .count = 4, .read_only = CAS_READ_ONLY };
	struct cas_directory back;
	struct buf bytes = BUF_INIT, again = BUF_INIT;
	struct arena arena = ARENA_INIT;

	cas_directory_encode(&directory, &bytes);
	assert_int_equal(cas_directory_decode(&back, &arena, bytes.data, bytes.len), 0);
	assert_int_equal(back.count, 4);
	assert_int_equal(back.read_only, CAS_READ_ONLY);
	assert_string_equal(back.entries[0].target, "../b");
	assert_true(back.entries[1].executable);
	assert_int_equal(back.entries[3].mtime.nanos, 6000);
	assert_ptr_equal(cas_directory_find(&back, "c", 1), &back.entries[2]);
	assert_null(cas_directory_find(&back, "cc", 2));
	cas_directory_encode(&back, &again);
	assert_int_equal(again.len, bytes.len);
	assert_memory_equal(again.data, bytes.data, bytes.len);
	buf_release(&bytes);
	buf_release(&again);
	arena_release(&arena);
}

static void test_directory_empty(void **state)
{
	struct cas_directory directory = { 0 };
	struct buf bytes = BUF_INIT;
	struct digest digest;

	cas_directory_encode(&directory, &bytes);
	digest_of(&digest, bytes.data, bytes.len);
	hex_is(&digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	buf_release(&bytes);
}

static void refused(const char *a, const char *b, enum cas_type type)
{
	struct cas_entry entries[] = {
		{ .name = "m", .name_len = 1, .type = CAS_FILE, .digest = DIGEST_EMPTY },
		{ .name = "n", .name_len = 1, .type = type, .target = "x", .digest = DIGEST_EMPTY },
	};
	struct cas_directory directory = { .entries = entries, .count = 2 }, back;
	struct buf bytes = BUF_INIT;
	struct arena arena = ARENA_INIT;

	cas_directory_encode(&directory, &bytes);
	assert_int_equal(cas_directory_decode(&back, &arena, bytes.data, bytes.len), 0);
	for (size_t i = 0; i + 2 < bytes.len; i++) { /* both names are one byte after the tag 0x0a 0x01 */
		if (memcmp(bytes.data + i, "\x0a\x01m", 3) == 0)
			bytes.data[i + 2] = *a;
		else if (memcmp(bytes.data + i, "\x0a\x01n", 3) == 0)
			bytes.data[i + 2] = *b;
	}
	assert_int_equal(cas_directory_decode(&back, &arena, bytes.data, bytes.len), -EBADMSG);
	buf_release(&bytes);
	arena_release(&arena);
}

static void test_directory_refused(void **state)
{
	struct cas_directory back;
	struct arena arena = ARENA_INIT;

	refused("/", "n", CAS_FILE);
	refused(".", "n", CAS_FILE);
	refused("m", "m", CAS_FILE);
	refused("m", "m", CAS_DIRECTORY);
	refused("m", "m", CAS_SYMLINK);
	refused("n", "m", CAS_FILE);
	refused("m", "\0", CAS_FILE);
	assert_int_equal(cas_directory_decode(&back, &arena, "\x0a\x7f", 2), -EBADMSG);
	assert_int_equal(cas_directory_decode(&back, &arena, "\x0a\x00", 2), -EBADMSG);
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_directory_round_trip),
		cmocka_unit_test(test_directory_empty),
		cmocka_unit_test(test_directory_refused),
	};

	return cmocka_run_group_tests_name("cas", tests, NULL, NULL);
}
