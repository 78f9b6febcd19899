/* Unit tests of room base. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/map.h"

static void json_escapes_as_ujson_does(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = BUF_INIT;
	const char text[] = "a/b\"\\\b\f\n\r\t\x01\x7f\xc3\xa9\xf0\x9f\x99\x82";

	json_string(&out, text, sizeof(text) - 1);
	assert_string_equal(buf_text(&out), "\"a/b\\\"\\\\\\b\\f\\n\\r\\t\\u0001\x7f\\u00e9\\ud83d\\ude42\"");
	buf_clear(&out);
	json_string(&out, "\xff\xc0\xaf\xed\xa0\x80", 6); /* never a raw byte, whatever comes */
	assert_string_equal(buf_text(&out), "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"");
}

/* Text is looked at by eight bytes: any byte must be seen at any place. */
static void json_escapes_in_any_place(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = BUF_INIT, wanted = BUF_INIT;

	for (unsigned c = 1; c < 0x80; c++) {
		for (size_t place = 0; place < 20; place++) {
			char text[] = "!!!!!!!~~~~~~ {}[]zz", alone[2] = { (char)c, 0 };

			buf_clear(&out);
			buf_clear(&wanted);
			text[place] = (char)c;
			json_string(&out, text, sizeof(text) - 1);
			buf_addc(&wanted, '"');
			buf_add(&wanted, text, place);
			json_string(&wanted, alone, 1);
			memmove(wanted.data + place + 1, wanted.data + place + 2, wanted.len - place - 2);
			wanted.len -= 2; /* the quotes around the one character */
			buf_add(&wanted, text + place + 1, sizeof(text) - 2 - place);
			buf_addc(&wanted, '"');
			assert_string_equal(buf_text(&out), buf_text(&wanted));
		}
	}
}

static void json_members_get_commas(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = BUF_INIT;

	buf_addc(&out, '{');
	json_member(&out, "a");
	json_int(&out, -3);
	json_member(&out, "b");
	json_bool(&out, true);
	json_member(&out, "c");
	json_str(&out, NULL);
	buf_addc(&out, '}');
	assert_string_equal(buf_text(&out), "{\"a\":-3,\"b\":true,\"c\":null}");
}

static void normpath_is_pythons(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {
		{ "", "." }, { ".", "." }, { "/", "/" }, { "//", "//" }, { "///", "/" }, { "a/../b.bst", "b.bst" },
		{ "a//b/./c/", "a/b/c" }, { "../a", "../a" }, { "../../a", "../../a" }, { "a/../../b", "../b" },
		{ "/../a", "/a" }, { "//a/../..", "//" }, { "a/..", "." }, { "..", ".." }, { "/a/b/../../..", "/" },
	};
	_cleanup_buf_ struct buf out = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		fs_normpath(&out, pairs[i][0]);
		assert_string_equal(buf_text(&out), pairs[i][1]);
	}
}

/* FIPS 180-4's and RFC 1321's own examples, and a file read from its beginning wherever it stands. */
static void other_hashes(void **state)
{
	static const struct {
		const char *name, *abc;
	} known[] = {
		{ "md5", "900150983cd24fb0d6963f7d28e17f72" },
		{ "sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "sha384", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7" },
		{ "sha512", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
			    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
	};
	int fd = memfd_create("hash", MFD_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "abc", 3), 3);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		const struct hash_kind *kind = hash_kind(known[i].name);
		char hex[HASH_HEX_MAX + 1];

		hash_data(kind, hex, "abc", 3);
		assert_string_equal(hex, known[i].abc);
		memset(hex, 'x', sizeof(hex));
		assert_int_equal(hash_fd(kind, hex, fd), 0);
		assert_string_equal(hex, known[i].abc);
		assert_int_equal(hash_fd(kind, hex, -1), -EBADF);
	}
	close(fd);
}

static void digests_and_hex(void **state)
{
	(void)state;
	struct digest d, e;
	char hex[DIGEST_HEX + 1];
	struct digest_stream *stream = digest_stream_new();

	digest_of(&d, "", 0);
	assert_true(digest_eq(&d, &DIGEST_EMPTY));
	digest_of(&d, "abc", 3);
	digest_to_hex(hex, d.hash);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digest_stream_add(stream, "a", 1);
	digest_stream_add(stream, "bc", 2);
	digest_stream_end(stream, &e);
	assert_true(digest_eq(&d, &e));
	assert_true(digest_from_hex(e.hash, hex));
	hex[63] = 'g';
	assert_false(digest_from_hex(e.hash, hex));
	assert_false(digest_from_hex(e.hash, "ab"));
}

static void maps_and_interned_strings(void **state)
{
	(void)state;
	struct arena arena = ARENA_INIT;
	struct intern intern;
	struct strmap map = STRMAP_INIT;
	char name[16];

	intern_init(&intern, &arena);
	for (uint32_t i = 0; i < 1000; i++) {
		const char *key;
		snprintf(name, sizeof(name), "key%u", i);
		key = intern_text(&intern, name, strlen(name));
		assert_ptr_equal(key, intern_text(&intern, name, strlen(name)));
		assert_int_equal(strmap_put(&map, key, strlen(key), i), STRMAP_NONE);
	}
	assert_int_equal(strmap_get(&map, "key777", 6), 777);
	assert_int_equal(strmap_get(&map, "key1000", 7), STRMAP_NONE);
	assert_int_equal(strmap_put(&map, "key1", 4, 5), 1);
	strmap_clear(&map);
	assert_int_equal(strmap_get(&map, "key777", 6), STRMAP_NONE);
	strmap_release(&map);
	intern_release(&intern);
	arena_release(&arena);
}

static void arenas_reset_to_one_clean_block(void **state)
{
	(void)state;
	struct arena arena = ARENA_INIT;
	char *first = arena_alloc(&arena, 100);

	memset(first, 'x', 100);
	arena_alloc(&arena, 10 << 20);
	arena_reset(&arena);
	char *again = arena_alloc(&arena, 100);
	assert_ptr_equal(first, again);
	for (int i = 0; i < 100; i++)
		assert_int_equal(again[i], 0);
	assert_string_equal(arena_printf(&arena, "%s-%d", "a", 7), "a-7");
	arena_release(&arena);
}

static void arenas_know_what_is_theirs(void **state)
{
	(void)state;
	struct arena arena = ARENA_INIT, other = ARENA_INIT;
	char *first, *second, *foreign = arena_alloc(&other, 1);

	arena_reserve(&arena);
	first = arena_alloc(&arena, 1 << 20);
	second = arena_alloc(&arena, 2 << 20); /* does not fit */
	assert_true(arena_owns(&arena, first) && arena_owns(&arena, first + (1 << 20) - 1));
	assert_true(arena_owns(&arena, second) && arena_owns(&arena, second + (2 << 20) - 1));
	assert_false(arena_owns(&arena, foreign) || arena_owns(&arena, NULL));
	arena_reset(&arena);
	assert_ptr_equal(arena_alloc(&arena, 1 << 20), first);
	assert_false(arena_owns(&arena, second));
	arena_release(&arena);
	arena_release(&other);
}

static void diags_print_as_the_peer_does(void **state)
{
	(void)state;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT;

	assert_true(diag_set(&diag, "load", "missing-file", "Could not find '%s'", "x") < 0);
	diag_where(&diag, "a.bst", 3, 2);
	diag_detail(&diag, "one\ntwo");
	diag_format(&diag, &out);
	assert_string_equal(buf_text(&out), "a.bst [line 3 column 2]: Could not find 'x'\n\n    one\n    two");
}

static void files_are_written_whole_and_removed(void **state)
{
	(void)state;
	char dir[] = "/tmp/millrace-base-XXXXXX";
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_free_ char *deep = NULL, *file = NULL;

	assert_non_null(mkdtemp(dir));
	deep = xasprintf("%s/a/b/c", dir);
	file = xasprintf("%s/f", deep);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, deep, 0777), 0);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, deep, 0777), 0);
	assert_int_equal(fs_write_file(AT_FDCWD, file, "hello", 5, 0666), 0);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, file, 0777), -ENOTDIR);
	assert_int_equal(fs_read_file(&text, AT_FDCWD, file, 4), -EFBIG);
	buf_clear(&text);
	assert_int_equal(fs_read_file(&text, AT_FDCWD, file, 5), 0);
	assert_string_equal(buf_text(&text), "hello");
	assert_int_equal(chmod(deep, 0), 0);
	assert_int_equal(fs_remove_all(AT_FDCWD, dir), 0);
	assert_int_equal(access(dir, F_OK), -1);
	assert_int_equal(fs_remove_all(AT_FDCWD, dir), 0);
}

/* Each way to a name gives the file that one name; what cannot be done is left behind for good. */
static void nameless_files_get_names(void **state)
{
	(void)state;
	char dir[] = "/tmp/test-base-XXXXXX";
	struct stat st;
	int fd;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (enum fs_link way = FS_LINK_DESCRIPTOR; way <= FS_LINK_NOT; way++) {
		enum fs_link now = way;
		_cleanup_close_ int file = openat(fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
		int r;

		if (file < 0)
			break; /* this file system has none */
		r = fs_link_nameless(file, fd, "name", &now);
		assert_true(now >= way);
		assert_int_equal(r, now == FS_LINK_NOT ? -ENOTSUP : 0);
		if (r < 0)
			continue;
		assert_int_equal(fstat(file, &st), 0);
		assert_int_equal(st.st_nlink, 1);
		assert_int_equal(fs_link_nameless(file, fd, "name", &now), -EEXIST);
		assert_int_equal(unlinkat(fd, "name", 0), 0);
	}
	close(fd);
	assert_int_equal(rmdir(dir), 0);
}

/* A new file is whole or not there, and nothing that was there is touched. */
static void new_files_have_one_name(void **state)
{
	(void)state;
	char dir[] = "/tmp/test-base-XXXXXX";
	_cleanup_buf_ struct buf back = BUF_INIT;
	struct stat st;
	int fd, r;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fs_write_new(fd, "a/b", "hello", 5, 0644), -ENOENT);
	assert_int_equal(fs_mkdir_parent(fd, "a", 0755), 0); /* which is dir itself */
	assert_int_equal(faccessat(fd, "a", F_OK, 0), -1);
	assert_int_equal(fs_mkdir_parent(fd, "a/b", 0755), 0);
	assert_int_equal(fs_mkdir_parent(fd, "a/b", 0755), 0); /* it is there */
	assert_int_equal(fs_write_file(fd, "f", "", 0, 0644), 0);
	assert_int_equal(fs_mkdir_p(fd, "f", 0755), -ENOTDIR);
	assert_int_equal(fs_mkdir_parent(fd, "f/b", 0755), -ENOTDIR);
	assert_int_equal(fs_mkdir_parent(fd, "/name", 0755), 0);
	assert_int_equal(unlinkat(fd, "f", 0), 0);
	r = fs_write_new(fd, "a/b", "hello", 5, 0600);
	if (r == 0) { /* else: kernel, file system or rights do not allow it, and nothing is there */
		assert_int_equal(fstatat(fd, "a/b", &st, 0), 0);
		assert_int_equal(st.st_nlink, 1);
		assert_int_equal(st.st_mode, S_IFREG | 0600);
		assert_int_equal(fs_write_new(fd, "a/b", "other", 5, 0600), -EEXIST);
		assert_int_equal(fs_read_file(&back, fd, "a/b", 100), 0);
		assert_string_equal(buf_text(&back), "hello");
		assert_int_equal(fs_write_new(fd, "c", "", 0, 0644), 0);
		assert_int_equal(unlinkat(fd, "a/b", 0), 0);
		assert_int_equal(unlinkat(fd, "c", 0), 0);
	}
	assert_int_equal(unlinkat(fd, "a", AT_REMOVEDIR), 0); /* empty */
	close(fd);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_escapes_as_ujson_does),
		cmocka_unit_test(json_escapes_in_any_place),
		cmocka_unit_test(json_members_get_commas),
		cmocka_unit_test(normpath_is_pythons),
		cmocka_unit_test(digests_and_hex), cmocka_unit_test(other_hashes),
		cmocka_unit_test(maps_and_interned_strings),
		cmocka_unit_test(arenas_reset_to_one_clean_block),
		cmocka_unit_test(arenas_know_what_is_theirs),
		cmocka_unit_test(diags_print_as_the_peer_does),
		cmocka_unit_test(files_are_written_whole_and_removed), cmocka_unit_test(nameless_files_get_names),
		cmocka_unit_test(new_files_have_one_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
