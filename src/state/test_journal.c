/* state/test_journal.c: the journal to the byte (docs/formats/journal.md), every bound of a record, every way to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state/state_internal.h"
#include "state/test_help.h"

static int commit(struct state *state, uint32_t origin, struct state_changes *changes)
{
	int r = state_commit(state, origin, changes->bytes.data, changes->bytes.len, changes->count);

	state_changes_clear(changes);
	return r;
}

/* --- the layout --- */

static void put32(unsigned char *at, uint32_t number)
{
	memcpy(at, &number, sizeof(number));
}

static void put16(unsigned char *at, uint16_t number)
{
	memcpy(at, &number, sizeof(number));
}

static void put64(unsigned char *at, uint64_t number)
{
	memcpy(at, &number, sizeof(number));
}

static unsigned char *put_head(unsigned char *at, uint32_t length, uint16_t type, uint16_t padding, uint32_t element, uint32_t origin)
{
	put32(at, length);
	put16(at + 4, type);
	put16(at + 6, padding);
	put32(at + 8, element);
	put32(at + 12, origin);
	return at + 16;
}

static void test_layout(void **unused UNUSED)
{
	struct state *state = state_new(6);
	struct state_changes changes = STATE_CHANGES_INIT;
	struct digest blob = { .size_bytes = 9 };
	struct key key = { { 0 } };
	unsigned char bytes[512] = { 0 };

	memset(key.hash, 0x5a, sizeof(key.hash));
	memset(blob.hash, 0xa5, sizeof(blob.hash));
	assert_int_equal(state_open(state, 0), 0);
	put64(bytes, UINT64_C(0x6d72616365310a00));
	put64(bytes + 8, 64);
	assert_memory_equal(state->journal, bytes, sizeof(bytes));

	state_change_strict_key(&changes, 5, &key);
	assert_int_equal(commit(state, STATE_ORIGIN_PARENT, &changes), 0);
	state_change_fetched(&changes, 1, STATE_FETCHED_YES);
	state_change_ref(&changes, 1, 3, "\"r\"", 3);
	state_change_ref_blob(&changes, 1, 4, &blob);
	assert_int_equal(commit(state, 7, &changes), 0);
	state_change_workspace(&changes, 2, "12345678");
	assert_int_equal(commit(state, 8, &changes), 0);
	memset(put_head(bytes + 64, 48, 2, 0, 5, 0), 0x5a, 32);
	put32(put_head(bytes + 112, 24, 6, 4, 1, 7), 2);
	put32(put_head(bytes + 136, 32, 7, 5, 1, 7), 3);
	memcpy(bytes + 136 + 24, "\"r\"", 3);
	put32(put_head(bytes + 168, 64, 8, 0, 1, 7), 4);
	memset(bytes + 168 + 24, 0xa5, 32);
	put64(bytes + 168 + 56, 9);
	memcpy(put_head(bytes + 232, 24, 9, 0, 2, 8), "12345678", 8);
	put64(bytes + 8, 256);
	assert_memory_equal(state->journal, bytes, sizeof(bytes));
	assert_int_equal(state_position(state), 256);
	assert_int_equal(state_journal_used(state), 1 << 20); /* a lap */
	assert_int_equal(state_ref(state, 1, 3)->len, 3);
	assert_int_equal(state_ref(state, 1, 4)->len, 0);

	assert_int_equal(state_roll(state), 0); /* empty again */
	memset(bytes + 64, 0, sizeof(bytes) - 64);
	put64(bytes + 8, 64);
	assert_memory_equal(state->journal, bytes, sizeof(bytes));
	assert_int_equal(state_position(state), 64);
	state_changes_release(&changes);
	state_free(state);
}

static void test_sizes(void **unused UNUSED)
{
	static const size_t asked[] = { 1, 4096, 4097, 5000, 8192 }, got[] = { 4096, 4096, 8192, 8192, 8192 };
	struct state *state;

	if (sysconf(_SC_PAGESIZE) != 4096)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		state = state_new(1);
		assert_int_equal(state_open(state, asked[i]), 0);
		assert_int_equal(state_journal_size(state), got[i]);
		state_free(state);
	}
	state = state_new(10);
	assert_int_equal(state_open(state, 0), 0);
	assert_int_equal(state_journal_size(state), (64 << 20) + 5 * 4096); /* 2 KiB for each element */
	state_free(state);
	state = state_new(0); /* no elements are no fault */
	assert_int_equal(state_element_count(state), 0);
	assert_int_equal(state_open(state, 0), 0);
	state_free(state);
}

/* Pages are made ready 64 KiB ahead at first, twice as much each time, 1 MiB at most, not beyond the lap of 1 MiB and not before
 * they are needed. */
static void test_pages(void **unused UNUSED)
{
	static const uint64_t steps_kib[] = { 64, 192, 448, 960, 1024, 2048, 3072, 4096 };
	struct state *state = state_new(2);
	struct state_changes changes = STATE_CHANGES_INIT;

	assert_int_equal(state_open(state, 4 << 20), 0);
	assert_int_equal(state->populated, 0);
	for (int round = 0; round < 2; round++) {
		/* records of 32 bytes: each step is reached to the byte */
		for (size_t step = 0; state_position(state) < 4032 * 1024;) {
			state_change_workspace(&changes, 1, "0123456789abcdef");
			assert_int_equal(commit(state, 3, &changes), 0);
			step += state_position(state) > steps_kib[step] * 1024;
			assert_int_equal(state->populated, steps_kib[step] * 1024);
		}
		assert_int_equal(state_roll(state), 0);
		assert_int_equal(state->populated, 0);
	}
	state_changes_release(&changes);
	state_free(state);
}

/* --- records --- */

/* A record about element 1 with this payload. */
static size_t record(unsigned char *to, uint16_t type, const void *payload, uint32_t bytes)
{
	uint16_t padding = (uint16_t)(-bytes % 8);

	memset(to, 0, 16 + bytes + padding);
	memcpy(put_head(to, 16 + bytes + padding, type, padding, 1, 0), payload, bytes);
	return 16 + bytes + padding;
}

static bool good(const struct state *state, const void *bytes, size_t size)
{
	struct state_record head;
	const char *payload = NULL;
	uint32_t payload_bytes = 0;
	bool is = state_record_check(state, bytes, size, &head, &payload, &payload_bytes);

	if (is) {
		assert_ptr_equal(payload, (const char *)bytes + 16);
		assert_int_equal(payload_bytes, head.length - 16 - head.padding);
	}
	return is;
}

static void test_heads(void **unused UNUSED)
{
	struct state *state = state_new(2);
	unsigned char bytes[20 * 1024], text[STATE_REF_MAX + 16] = { 0 };
	size_t size;

	memset(text + 8, 'x', sizeof(text) - 8);
	size = record(bytes, STATE_WORKSPACE, "12345678", 8);
	assert_int_equal(size, STATE_RECORD_LEAST);
	assert_true(good(state, bytes, size));
	assert_true(good(state, bytes, size + 8)); /* more may follow */
	for (size_t less = 0; less < size; less++)
		assert_false(good(state, bytes, less));
	memset(bytes + size, 'x', 64);
	for (uint32_t length = 0; length < 80; length++) {
		put32(bytes, length);
		assert_int_equal(good(state, bytes, 64), length >= 24 && length <= 64 && length % 8 == 0);
	}
	record(bytes, STATE_WORKSPACE, "12345678", 8);
	put32(bytes + 8, 2); /* no such element */
	assert_false(good(state, bytes, size));
	put32(bytes + 8, 0);
	assert_true(good(state, bytes, size));
	for (uint32_t type = 0; type < 20; type++) {
		put16(bytes + 4, (uint16_t)type);
		assert_int_equal(good(state, bytes, size), type == STATE_WORKSPACE);
	}
	/* seven bytes of padding, not eight; and zeros only */
	size = record(bytes, STATE_WORKSPACE, "1", 1);
	assert_true(good(state, bytes, size));
	for (uint32_t at = 17; at < 24; at++) {
		bytes[at] = 1;
		assert_false(good(state, bytes, size));
		bytes[at] = 0;
	}
	size = record(bytes, STATE_WORKSPACE, "12345678x", 9);
	put16(bytes + 6, 8);
	memset(bytes + 24, 0, 8);
	assert_false(good(state, bytes, size));
	/* as long as may be, and no longer */
	size = record(bytes, STATE_REF, text, 8 + STATE_REF_MAX);
	assert_true(good(state, bytes, size));
	assert_false(good(state, bytes, size - 8));
	assert_false(good(state, bytes, record(bytes, STATE_REF, text, 8 + STATE_REF_MAX + 1)));
	assert_false(good(state, bytes, record(bytes, STATE_REF, text, 8)));
	assert_true(good(state, bytes, record(bytes, STATE_REF, text, 9)));
	assert_true(good(state, bytes, record(bytes, STATE_WORKSPACE, text + 8, STATE_WORKSPACE_MAX)));
	assert_false(good(state, bytes, record(bytes, STATE_WORKSPACE, text + 8, STATE_WORKSPACE_MAX + 1)));
	state_free(state);
}

static void test_payloads(void **unused UNUSED)
{
	static const size_t sizes_at[] = { 8 + 32 + 32, 8 + 32 + 40 + 32, 8 + 32 + 80 + 32 }; /* of its three digests */
	struct state *state = state_new(2);
	unsigned char bytes[256], payload[160] = { 0 };

	for (uint32_t outcome = 0; outcome < 6; outcome++) {
		put32(payload, outcome);
		assert_int_equal(good(state, bytes, record(bytes, STATE_ARTIFACT, payload, 160)), outcome < STATE_ARTIFACT_OUTCOME_END);
	}
	put32(payload, STATE_ARTIFACT_FAILURE);
	for (uint32_t flags = 0; flags < 10; flags++) {
		put32(payload + 4, flags);
		assert_int_equal(good(state, bytes, record(bytes, STATE_ARTIFACT, payload, 160)), flags < 8);
	}
	put32(payload + 4, 0);
	for (size_t i = 0; i < 3; i++) {
		put64(payload + sizes_at[i], (uint64_t)-1);
		assert_false(good(state, bytes, record(bytes, STATE_ARTIFACT, payload, 160)));
		put64(payload + sizes_at[i], INT64_MAX);
		assert_true(good(state, bytes, record(bytes, STATE_ARTIFACT, payload, 160)));
		put64(payload + sizes_at[i], 0);
	}
	for (uint32_t fetched = 0; fetched < 5; fetched++) {
		put32(payload, fetched);
		assert_int_equal(good(state, bytes, record(bytes, STATE_FETCHED, payload, 4)), fetched < STATE_FETCHED_END);
	}
	memset(payload, 0, sizeof(payload));
	assert_true(good(state, bytes, record(bytes, STATE_SOURCES, payload, 40)));
	put64(payload + 32, (uint64_t)-1);
	assert_false(good(state, bytes, record(bytes, STATE_SOURCES, payload, 40)));
	put64(payload + 32, 0);
	assert_true(good(state, bytes, record(bytes, STATE_REF_BLOB, payload, 48)));
	put64(payload + 40, (uint64_t)-1);
	assert_false(good(state, bytes, record(bytes, STATE_REF_BLOB, payload, 48)));
	put64(payload + 40, 0);
	for (uint16_t type = STATE_REF; type <= STATE_REF_BLOB; type++) {
		uint32_t size = type == STATE_REF ? 11 : 48;

		memcpy(payload + 8, "abc", 3);
		for (uint32_t source = STATE_SOURCES_MAX - 1; source < STATE_SOURCES_MAX + 2; source++) {
			put32(payload, source);
			assert_int_equal(good(state, bytes, record(bytes, type, payload, size)), source < STATE_SOURCES_MAX);
		}
		put32(payload, 1);
		put32(payload + 4, 1);
		assert_false(good(state, bytes, record(bytes, type, payload, size)));
		put32(payload + 4, 0);
	}
	assert_false(good(state, bytes, record(bytes, STATE_REF, "\1\0\0\0\0\0\0\0a\0c", 11))); /* NUL in a text */
	assert_false(good(state, bytes, record(bytes, STATE_WORKSPACE, "a\0c", 3)));
	state_free(state);
}

static void test_changes(void **unused UNUSED)
{
	struct state *state = state_new(3);
	struct state_changes changes = STATE_CHANGES_INIT;
	struct digest blob = { .size_bytes = 4, .hash = { 7 } };

	/* before there is a journal they are applied all the same */
	state_change_fetched(&changes, 2, STATE_FETCHED_NO);
	assert_int_equal(changes.count, 1);
	assert_int_equal(commit(state, STATE_ORIGIN_PARENT, &changes), 0);
	assert_int_equal(changes.count, 0);
	assert_int_equal(state_get(state, 2)->fetched, STATE_FETCHED_NO);
	assert_int_equal(state_get(state, 2)->changes, 1);
	/* a ref is a text or a blob, the last that came */
	state_change_ref(&changes, 2, 1, "\"text\"", 6);
	assert_int_equal(commit(state, STATE_ORIGIN_PARENT, &changes), 0);
	assert_int_equal(state_ref(state, 2, 1)->len, 6);
	assert_false(state_digest_known(&state_ref(state, 2, 1)->blob));
	state_change_ref_blob(&changes, 2, 1, &blob);
	assert_int_equal(commit(state, STATE_ORIGIN_PARENT, &changes), 0);
	assert_int_equal(state_ref(state, 2, 1)->len, 0);
	assert_null(state_ref(state, 2, 1)->text);
	assert_true(digest_eq(&state_ref(state, 2, 1)->blob, &blob));
	state_change_ref(&changes, 2, 1, "\"t\"", 3);
	assert_int_equal(commit(state, STATE_ORIGIN_PARENT, &changes), 0);
	assert_int_equal(state_ref(state, 2, 1)->len, 3);
	assert_false(state_digest_known(&state_ref(state, 2, 1)->blob));
	assert_null(state_ref(state, 2, 1)->next);
	/* what was released is empty */
	state_change_fetched(&changes, 2, STATE_FETCHED_NO);
	state_changes_release(&changes);
	assert_int_equal(changes.count, 0);
	assert_int_equal(changes.bytes.len, 0);
	state_free(state);
}

/* --- readers --- */

static struct state *reader_of(struct state *state, struct state_changes *changes)
{
	struct state *reader = state_replica(state, 1);

	state_change_fetched(changes, 1, STATE_FETCHED_NO);
	assert_int_equal(commit(state, 2, changes), 0);
	return reader;
}

static void test_mapped_when_needed(void **unused UNUSED)
{
	struct state *state = state_new(2), *reader;
	struct state_changes changes = STATE_CHANGES_INIT;

	assert_int_equal(state_open(state, 0), 0);
	reader = reader_of(state, &changes);
	assert_int_equal(state_follow(reader, 64, NULL, NULL), 0);
	assert_null(reader->journal);
	assert_int_equal(state_follow(reader, 56, NULL, NULL), -EBADMSG); /* before the cursor */
	assert_true(reader->fd >= 0);
	assert_int_equal(state_follow(reader, state_position(state), NULL, NULL), 1);
	assert_non_null(reader->journal);
	assert_int_equal(reader->fd, -1); /* the mapping is enough */
	state_free(reader);
	state_changes_release(&changes);
	state_free(state);
}

static void test_no_journal_to_read(void **unused UNUSED)
{
	struct state *state = state_new(2), *reader;
	struct state_changes changes = STATE_CHANGES_INIT;

	assert_int_equal(state_open(state, 0), 0);
	reader = reader_of(state, &changes);
	reader->fd = close_fd(reader->fd);
	assert_int_equal(state_follow(reader, state_position(state), NULL, NULL), -EBADF);
	state_free(reader);
	reader = reader_of(state, &changes);
	state->journal[1] ^= 1; /* the magic */
	assert_int_equal(state_follow(reader, state_position(state), NULL, NULL), -EBADMSG);
	state_free(reader);
	state_changes_release(&changes);
	state_free(state);
}

/* What lies behind the head has not been written yet, however good it looks; nor does the journal go on behind its end. */
static void test_nothing_beyond_the_head(void **unused UNUSED)
{
	struct state *state = state_new(2), *reader;
	struct state_changes changes = STATE_CHANGES_INIT;
	uint64_t head;

	assert_int_equal(state_open(state, 0), 0);
	reader = reader_of(state, &changes);
	head = state_position(state);
	memcpy(state->journal + head, state->journal + head - 24, 24);
	assert_int_equal(state_follow(reader, head + 24, NULL, NULL), -EBADMSG);
	assert_int_equal(state_follow(reader, head, NULL, NULL), 1);
	assert_int_equal(state_follow(reader, head + 24, NULL, NULL), -EBADMSG);
	assert_int_equal(state_cursor(reader), head);
	put64((unsigned char *)state->journal + 8, UINT64_MAX); /* a head that cannot be */
	assert_int_equal(state_follow(reader, head + state_journal_size(state) + 8, NULL, NULL), -EBADMSG);
	assert_int_equal(state_cursor(reader), head);
	assert_int_equal(state_follow(reader, head + 24, NULL, NULL), 1);
	state_free(reader);
	state_changes_release(&changes);
	state_free(state);
}

/* An own record must be what was kept: as long, of that kind, about that element, with that payload. */
static void test_kept_to_the_byte(void **unused UNUSED)
{
	static const char *const sent[] = { "\"ab\"", "\"ab\"", "\"ab\"", "\"ab\"" };
	static const char *const came[] = { "\"ab\"", "\"ac\"", "\"ab\"x", "\"abcdefgh\"" };

	for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
		struct state *state = state_new(3), *reader;
		struct state_changes changes = STATE_CHANGES_INIT;

		assert_int_equal(state_open(state, 0), 0);
		reader = state_replica(state, 1);
		state_change_ref(&changes, 1, 0, sent[i], strlen(sent[i]));
		state_keep(reader, changes.bytes.data, changes.bytes.len);
		state_changes_clear(&changes);
		state_change_ref(&changes, 1, 0, came[i], strlen(came[i]));
		assert_int_equal(commit(state, 1, &changes), 0);
		assert_int_equal(state_follow(reader, state_position(state), NULL, NULL), i == 0 ? 0 : -EBADMSG);
		assert_int_equal(state_get(reader, 1)->changes, i == 0);
		state_changes_release(&changes);
		state_free(reader);
		state_free(state);
	}
}

/* Kept ones are let go as they come by, and their memory is used again. */
static void test_kept_one_by_one(void **unused UNUSED)
{
	struct state *state = state_new(3), *reader;
	struct state_changes changes = STATE_CHANGES_INIT;

	assert_int_equal(state_open(state, 0), 0);
	reader = state_replica(state, 1);
	state_keep(reader, NULL, 0);
	for (int round = 0; round < 3; round++) {
		for (uint32_t element = 1; element < 3; element++) {
			state_change_fetched(&changes, element, STATE_FETCHED_NO);
			state_keep(reader, changes.bytes.data, changes.bytes.len);
			assert_int_equal(commit(state, 1, &changes), 0);
		}
		assert_int_equal(reader->kept.len, 48);
		assert_int_equal(state_follow(reader, state_position(state) - 24, NULL, NULL), 0);
		assert_int_equal(reader->kept_next, 24);
		assert_int_equal(state_follow(reader, state_position(state), NULL, NULL), 0);
		assert_int_equal(reader->kept_next, 0);
		assert_int_equal(reader->kept.len, 0);
	}
	state_free(reader);
	state_changes_release(&changes);
	state_free(state);
}

/* --- when the kernel says no --- */

/* From now on system call nr with this argument fails with EPERM, in this process. */
static bool forbid(uint32_t nr, uint32_t argument, uint32_t value)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, args) + 8 * argument),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(code), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* In a child: 0 if all is as it should be, 77 if nothing can be forbidden here, else the number of what is wrong. */
static int refused(uint32_t nr, uint32_t argument, uint32_t value)
{
	struct state *state = state_new(2);
	int maps, fd;

	if (state_open(state, 0) < 0)
		return 1;
	fd = lowest_free_fd();
	maps = (int)count_lines("/proc/self/maps", "millrace-state");
	if (!forbid(nr, argument, value))
		return 77;
	if (state_roll(state) != -EPERM)
		return 2;
	if ((int)count_lines("/proc/self/maps", "millrace-state") != maps || lowest_free_fd() != fd)
		return 3; /* something was left */
	if (state_epoch(state) != 1 || state_position(state) != 64)
		return 4; /* the old one is no more */
	return 0;
}

static void in_a_child(int (*test)(uint32_t, uint32_t, uint32_t), uint32_t nr, uint32_t argument, uint32_t value)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(test(nr, argument, value));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static void test_refused(void **unused UNUSED)
{
	in_a_child(refused, SYS_fcntl, 1, F_ADD_SEALS);
	in_a_child(refused, SYS_madvise, 2, MADV_DONTFORK);
}

static int first_descriptor(uint32_t a UNUSED, uint32_t b UNUSED, uint32_t c UNUSED)
{
	struct state *state = state_new(2);
	struct state_changes changes = STATE_CHANGES_INIT;

	close(0);
	state_change_fetched(&changes, 1, STATE_FETCHED_NO);
	if (state_open(state, 0) != 0 || state->fd != 0 || commit(state, 0, &changes) != 0)
		return 1;
	state_changes_release(&changes);
	state_free(state);
	return lowest_free_fd() == 0 ? 0 : 2;
}

/* A descriptor may be 0. */
static void test_first_descriptor(void **unused UNUSED)
{
	in_a_child(first_descriptor, 0, 0, 0);
}

/* Refs and keys of workspaces go with the state. */
static void test_texts_are_given_back(void **unused UNUSED)
{
	struct state_changes changes = STATE_CHANGES_INIT;
	char *text = calloc(1, STATE_REF_MAX + 1);
	uint32_t before = 0;

	memset(text, 'x', STATE_REF_MAX);
	for (int round = 0; round < 60; round++) {
		struct state *state = state_new(2);

		for (uint32_t i = 0; i < 300; i++) { /* 3.6 MiB */
			state_change_ref(&changes, 1, i, text, STATE_REF_MAX);
			assert_int_equal(commit(state, STATE_ORIGIN_PARENT, &changes), 0);
		}
		state_free(state);
		if (round == 10)
			before = address_space_pages();
	}
	assert_in_range(address_space_pages(), 1, before + (32 << 20) / 4096);
	free(text);
	state_changes_release(&changes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_payloads),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_mapped_when_needed),
		cmocka_unit_test(test_no_journal_to_read),
		cmocka_unit_test(test_nothing_beyond_the_head),
		cmocka_unit_test(test_kept_to_the_byte),
		cmocka_unit_test(test_kept_one_by_one),
		cmocka_unit_test(test_first_descriptor),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_texts_are_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
