/* wire/test_wire.c: round trips of every message, every truncation, random damage, sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "wire/wire.h"

static const struct wire_any samples[] = {
	{ .type = WIRE_DISPATCH,
	  .dispatch = { .job = 1ull << 40, .type = 3, .element = 77, .attempt = 2, .flags = 5, .generation = 9, .as_of = 64 } },
	{ .type = WIRE_CANCEL, .number = { 12 } },
	{ .type = WIRE_PING, .number = { 13 } },
	{ .type = WIRE_QUIT },
	{ .type = WIRE_READY, .ready = { .incarnation = 4, .generation = 1, .position = 640 } },
	{ .type = WIRE_MESSAGE,
	  .message = { .job = 8, .element = UINT32_MAX, .kind = WIRE_WARN, .elapsed_us = -1, .at_us = 5, .text = "caf\xc3\xa9",
		       .detail = "a\nb", .log = NULL, .action = "build" } },
	{ .type = WIRE_PROGRESS, .progress = { .job = 8, .done = 3, .total = 10, .unit = 1, .text = NULL } },
	{ .type = WIRE_RESULT,
	  .result = { .job = 8, .outcome = WIRE_FAILED, .change_count = 2, .applied = 3, .started_us = 10, .ended_us = 20,
		      .domain = "source", .reason = "missing-file", .where = "", .text = "no", .detail = NULL,
		      .log = "/x.log", .changes = "12345678abcdefgh", .change_bytes = 16 } },
	{ .type = WIRE_RESULT, .result = { .job = 9, .outcome = WIRE_DONE, .started_us = 1, .ended_us = 1 } },
	{ .type = WIRE_PONG, .number = { 13 } },
};

/* A copy in malloc'ed memory of the exact size, so that sanitizers see any byte read too far. */
static int decode_exact(struct wire_any *ret, const char *data, size_t len, void **ret_copy)
{
	void *copy = malloc(len ? len : 1);
	int r;

	memcpy(copy, data, len);
	r = wire_decode(ret, copy, len);
	*ret_copy = copy;
	return r;
}

static void assert_same_text(const char *a, const char *b)
{
	assert_true(str_eq(a, b));
}

static void assert_same(const struct wire_any *a, const struct wire_any *b)
{
	assert_int_equal(a->type, b->type);
	if (a->type == WIRE_MESSAGE) {
		assert_memory_equal(&a->message, &b->message, offsetof(struct wire_message, action));
		assert_same_text(a->message.action, b->message.action);
		assert_same_text(a->message.text, b->message.text);
		assert_same_text(a->message.detail, b->message.detail);
		assert_same_text(a->message.log, b->message.log);
	} else if (a->type == WIRE_RESULT) {
		assert_memory_equal(&a->result, &b->result, offsetof(struct wire_result, domain));
		assert_same_text(a->result.domain, b->result.domain);
		assert_same_text(a->result.reason, b->result.reason);
		assert_same_text(a->result.where, b->result.where);
		assert_same_text(a->result.text, b->result.text);
		assert_same_text(a->result.detail, b->result.detail);
		assert_same_text(a->result.log, b->result.log);
		assert_int_equal(a->result.change_bytes, b->result.change_bytes);
		if (a->result.change_bytes)
			assert_memory_equal(a->result.changes, b->result.changes, a->result.change_bytes);
	} else if (a->type == WIRE_DISPATCH) {
		assert_memory_equal(&a->dispatch, &b->dispatch, sizeof(a->dispatch));
	} else if (a->type == WIRE_READY) {
		assert_memory_equal(&a->ready, &b->ready, sizeof(a->ready));
	} else if (a->type == WIRE_PROGRESS) {
		assert_memory_equal(&a->progress, &b->progress, offsetof(struct wire_progress, text));
		assert_same_text(a->progress.text, b->progress.text);
	} else {
		assert_true(a->number.number == b->number.number);
	}
}

static void test_round_trip(void **state UNUSED)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct wire_any back;
	void *copy;

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		wire_encode(&out, &samples[i]);
		assert_int_equal(decode_exact(&back, out.data, out.len, &copy), 0);
		assert_same(&samples[i], &back);
		free(copy);
	}
}

static void test_every_truncation(void **state UNUSED)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct wire_any back;
	void *copy;

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		wire_encode(&out, &samples[i]);
		for (size_t len = 0; len < out.len; len++) {
			uint32_t size = (uint32_t)len;

			assert_int_equal(decode_exact(&back, out.data, len, &copy), -EBADMSG);
			free(copy);
			if (len >= 8) /* also with a head that agrees */
				memcpy(out.data + 4, &size, 4);
			assert_int_equal(decode_exact(&back, out.data, len, &copy), -EBADMSG);
			free(copy);
		}
		buf_addc(&out, 'x'); /* one byte too many */
		assert_int_equal(decode_exact(&back, out.data, out.len, &copy), -EBADMSG);
		free(copy);
	}
}

/* Whatever decodes must encode to the same bytes again: nothing is read that was not checked. */
static void test_damage(void **state UNUSED)
{
	_cleanup_buf_ struct buf out = BUF_INIT, again = BUF_INIT;
	struct wire_any back;
	uint64_t seed = 42;
	int accepted = 0;
	void *copy;

	for (int round = 0; round < 200000; round++) {
		wire_encode(&out, &samples[random_below(&seed, ARRAY_SIZE(samples))]);
		for (uint32_t n = 1 + random_below(&seed, 3); n > 0; n--)
			out.data[random_below(&seed, (uint32_t)out.len)] = (char)random_next(&seed);
		if (decode_exact(&back, out.data, out.len, &copy) == 0) {
			accepted++;
			wire_encode(&again, &back);
			assert_int_equal(again.len, out.len);
			assert_memory_equal(again.data, out.data, out.len);
		}
		free(copy);
	}
	assert_true(accepted > 1000); /* numbers may be anything */
}

static void refuse(struct wire_any any, void (*spoil)(struct wire_any *any))
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct wire_any back;

	wire_encode(&out, &any);
	assert_int_equal(wire_decode(&back, out.data, out.len), 0);
	spoil(&any);
	wire_encode(&out, &any);
	assert_int_equal(wire_decode(&back, out.data, out.len), -EBADMSG);
}

static void spoil_attempt(struct wire_any *any) { any->dispatch.attempt = 0; }
static void spoil_pipe(struct wire_any *any) { any->dispatch.pipe_read = -1; }
static void spoil_kind(struct wire_any *any) { any->message.kind = WIRE_KIND_END; }
static void spoil_text(struct wire_any *any) { any->message.text = NULL; }
static void spoil_unit(struct wire_any *any) { any->progress.unit = 2; }
static void spoil_done(struct wire_any *any) { any->progress.done = 11; }
static void spoil_outcome(struct wire_any *any) { any->result.outcome = WIRE_OUTCOME_END; }
static void spoil_times(struct wire_any *any) { any->result.started_us = 21; }
static void spoil_count(struct wire_any *any) { any->result.change_count = 0; }
static void spoil_command(struct wire_any *any) { any->result.command_us = -1; }
static void spoil_budget(struct wire_any *any) { any->result.budget_us = -1; }

static void test_senseless(void **state UNUSED)
{
	refuse(samples[0], spoil_attempt);
	refuse(samples[0], spoil_pipe);
	refuse(samples[5], spoil_kind);
	refuse(samples[5], spoil_text);
	refuse(samples[6], spoil_unit);
	refuse(samples[6], spoil_done);
	refuse(samples[7], spoil_outcome);
	refuse(samples[7], spoil_times);
	refuse(samples[7], spoil_count);
	refuse(samples[7], spoil_command);
	refuse(samples[7], spoil_budget);
}

static char *repeat(const char *text, size_t times)
{
	struct buf buf = BUF_INIT;

	while (times-- > 0)
		buf_adds(&buf, text);
	return buf_steal(&buf);
}

static void test_long_texts_are_cut(void **state UNUSED)
{
	_cleanup_free_ char *text = repeat("\xc3\xa9", 100000); /* two bytes each */
	_cleanup_free_ char *odd = xasprintf("x%s", text);
	_cleanup_free_ char *changes = repeat("z", WIRE_MAX_CHANGES);
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct wire_any any = samples[7], back;

	any.result.domain = any.result.reason = any.result.where = any.result.log = odd;
	any.result.text = odd;
	any.result.detail = text;
	any.result.changes = changes;
	any.result.change_bytes = WIRE_MAX_CHANGES;
	wire_encode(&out, &any);
	assert_true(out.len <= WIRE_MAX_BYTES);
	assert_int_equal(wire_decode(&back, out.data, out.len), 0);
	assert_int_equal(strlen(back.result.text), WIRE_MAX_TEXT - 1); /* not half a character */
	assert_int_equal(strlen(back.result.detail), WIRE_MAX_DETAIL);
	assert_int_equal(back.result.change_bytes, WIRE_MAX_CHANGES);
}

static void test_sockets(void **state UNUSED)
{
	static struct wire_inbox inbox;
	_cleanup_buf_ struct buf scratch = BUF_INIT;
	_cleanup_free_ char *detail = repeat("d", WIRE_MAX_DETAIL);
	struct wire_any any, big = samples[7];
	int fds[2];

	big.result.detail = detail;
	assert_int_equal(wire_pair(fds), 0);
	assert_int_equal(wire_recv(fds[0], &any, &inbox, 0), -EAGAIN); /* the parent's end never blocks */
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
		assert_int_equal(wire_send(fds[1], &samples[i], &scratch, 0), 0);
	assert_int_equal(wire_send(fds[1], &big, &scratch, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		assert_int_equal(wire_recv(fds[0], &any, &inbox, 0), 1);
		assert_same(&samples[i], &any);
	}
	assert_int_equal(wire_recv(fds[0], &any, &inbox, 0), 1);
	assert_same(&big, &any);

	assert_int_equal(send(fds[1], "garbage", 7, 0), 7);
	assert_int_equal(wire_recv(fds[0], &any, &inbox, 0), -EBADMSG);
	{
		_cleanup_free_ char *huge = repeat("h", WIRE_MAX_BYTES + 1);

		assert_true(send(fds[1], huge, WIRE_MAX_BYTES + 1, 0) > 0);
		assert_int_equal(wire_recv(fds[0], &any, &inbox, 0), -EBADMSG);
	}
	/* The parent is not held up by a worker that does not read. */
	int r = 0;
	for (int i = 0; i < 100000 && r == 0; i++)
		r = wire_send(fds[0], &samples[0], &scratch, MSG_DONTWAIT);
	assert_int_equal(r, -EAGAIN);
	close(fds[1]);
	assert_int_equal(wire_send(fds[0], &samples[0], &scratch, 0), -EPIPE); /* and no SIGPIPE */
	assert_int_equal(wire_recv(fds[0], &any, &inbox, 0), 0);
	close(fds[0]);
}

/* What was held back arrives in order, in few datagrams. */
static void test_send_all(void **state UNUSED)
{
	enum { ROUNDS = 200 };
	static struct wire_inbox inbox;
	_cleanup_buf_ struct buf scratch = BUF_INIT, out = BUF_INIT;
	struct wire_any any;
	size_t datagrams = 0;
	int fds[2];

	assert_int_equal(wire_pair(fds), 0);
	assert_int_equal(wire_send_all(fds[1], &out), 0);
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
			wire_add(&out, &samples[i], &scratch);
	assert_true(out.len > WIRE_MAX_BYTES);
	assert_int_equal(wire_send_all(fds[1], &out), 0);
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
			datagrams += !wire_more(&inbox);
			assert_int_equal(wire_recv(fds[0], &any, &inbox, 0), 1);
			assert_same(&samples[i], &any);
		}
	assert_false(wire_more(&inbox));
	assert_int_equal(datagrams, (out.len + WIRE_MAX_BYTES - 1) / WIRE_MAX_BYTES);
	assert_int_equal(wire_recv(fds[0], &any, &inbox, 0), -EAGAIN);
	close(fds[0]);
	assert_int_equal(wire_send_all(fds[1], &out), -EPIPE);
	close(fds[1]);
}

/* One message that is damaged, cut or followed by less than another: it is refused, and nothing after it is read. */
static void test_broken_datagrams(void **state UNUSED)
{
	static struct wire_inbox inbox;
	_cleanup_buf_ struct buf scratch = BUF_INIT, out = BUF_INIT;
	struct wire_any any;
	size_t second;
	int fds[2];

	wire_add(&out, &samples[0], &scratch);
	second = out.len;
	wire_add(&out, &samples[7], &scratch);
	assert_int_equal(wire_pair(fds), 0);
	for (size_t len = second + 1; len < second + scratch.len; len++) {
		assert_int_equal(send(fds[1], out.data, len, 0), (ssize_t)len);
		assert_int_equal(wire_recv(fds[0], &any, &inbox, 0), 1);
		assert_same(&samples[0], &any);
		assert_true(wire_more(&inbox));
		assert_int_equal(wire_recv(fds[0], &any, &inbox, 0), -EBADMSG);
		assert_false(wire_more(&inbox));
	}
	out.data[0] = WIRE_TYPE_END;
	assert_int_equal(send(fds[1], out.data, out.len, 0), (ssize_t)out.len);
	assert_int_equal(wire_recv(fds[0], &any, &inbox, 0), -EBADMSG);
	assert_false(wire_more(&inbox));
	assert_int_equal(wire_recv(fds[0], &any, &inbox, 0), -EAGAIN);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_damage),	       cmocka_unit_test(test_senseless),
		cmocka_unit_test(test_long_texts_are_cut), cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_send_all),       cmocka_unit_test(test_broken_datagrams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
