/* wire/wire.c: one table of layouts, one encoder, one decoder.  The format is described in wire.h. */
#include "wire/wire.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Strings stand last in each struct, one after the other, so a layout is: how many bytes come before them, where they
 * begin, and how long each may be. */
enum { STRINGS_MAX = 6 };

struct layout {
	uint16_t fixed_bytes, strings;
	uint32_t maxima[STRINGS_MAX];
	bool changes;
};

#define NUMBER_LAYOUT { .fixed_bytes = sizeof(struct wire_number) }

static const struct layout layouts[WIRE_TYPE_END] = {
	[WIRE_DISPATCH] = { .fixed_bytes = sizeof(struct wire_dispatch) },
	[WIRE_CANCEL] = NUMBER_LAYOUT,
	[WIRE_PING] = NUMBER_LAYOUT,
	[WIRE_QUIT] = NUMBER_LAYOUT,
	[WIRE_READY] = { .fixed_bytes = sizeof(struct wire_ready) },
	[WIRE_MESSAGE] = { .fixed_bytes = offsetof(struct wire_message, action), .strings = 4,
			   .maxima = { WIRE_MAX_NAME, WIRE_MAX_TEXT, WIRE_MAX_DETAIL, WIRE_MAX_NAME } },
	[WIRE_PROGRESS] = { .fixed_bytes = offsetof(struct wire_progress, text), .strings = 1,
			    .maxima = { WIRE_MAX_TEXT } },
	[WIRE_RESULT] = { .fixed_bytes = offsetof(struct wire_result, domain), .strings = 6, .changes = true,
			  .maxima = { WIRE_MAX_NAME, WIRE_MAX_NAME, WIRE_MAX_NAME, WIRE_MAX_TEXT, WIRE_MAX_DETAIL,
				      WIRE_MAX_NAME } },
	[WIRE_PONG] = NUMBER_LAYOUT,
};

/* The strings of a struct must be neighbours, or the tables above lie. */
_Static_assert(offsetof(struct wire_message, log) == offsetof(struct wire_message, action) + 3 * sizeof(char *), "");
_Static_assert(offsetof(struct wire_result, log) == offsetof(struct wire_result, domain) + 5 * sizeof(char *), "");
/* No padding inside fixed parts: it would carry bytes of whatever lay there before. */
_Static_assert(sizeof(struct wire_dispatch) == 48 && sizeof(struct wire_ready) == 16, "");
_Static_assert(offsetof(struct wire_message, action) == 32 && offsetof(struct wire_progress, text) == 32, "");
_Static_assert(offsetof(struct wire_result, domain) == 80, "");

struct wire_head {
	uint16_t type, strings;
	uint32_t size_bytes;
};
#define NO_STRING UINT32_MAX

/* --- encoding --- */

/* Length of text cut to max_bytes without tearing a UTF-8 sequence. */
static uint32_t cut(const char *text, uint32_t max_bytes)
{
	size_t len = strnlen(text, (size_t)max_bytes + 1);

	if (len <= max_bytes)
		return (uint32_t)len;
	len = max_bytes;
	for (int i = 0; i < 3 && len > 0 && (text[len] & 0xc0) == 0x80; i++)
		len--;
	return (uint32_t)len;
}

static void add_u32(struct buf *out, uint32_t value)
{
	buf_add(out, &value, sizeof(value));
}

static void add_string(struct buf *out, const char *text, uint32_t max_bytes)
{
	uint32_t len;

	if (!text) {
		add_u32(out, NO_STRING);
		return;
	}
	len = cut(text, max_bytes);
	add_u32(out, len);
	buf_add(out, text, len);
	buf_addc(out, '\0');
}

void wire_encode(struct buf *out, const struct wire_any *any)
{
	const char *body = (const char *)&any->dispatch;
	struct wire_head head = { .type = (uint16_t)any->type };
	const struct layout *layout;

	assert(any->type > 0 && any->type < WIRE_TYPE_END);
	layout = &layouts[any->type];
	head.strings = layout->strings;
	buf_clear(out);
	buf_room(out, sizeof(head) + layout->fixed_bytes);
	buf_add(out, &head, sizeof(head));
	buf_add(out, body, layout->fixed_bytes);
	for (uint32_t i = 0; i < layout->strings; i++) {
		const char *text;

		memcpy(&text, body + layout->fixed_bytes + i * sizeof(text), sizeof(text));
		add_string(out, text, layout->maxima[i]);
	}
	if (layout->changes) {
		assert(any->result.change_bytes <= WIRE_MAX_CHANGES);
		add_u32(out, any->result.change_bytes);
		buf_add(out, any->result.changes, any->result.change_bytes);
	}
	head.size_bytes = (uint32_t)out->len;
	assert(head.size_bytes <= WIRE_MAX_BYTES);
	memcpy(out->data, &head, sizeof(head));
}

/* --- decoding --- */

struct reader {
	const char *next, *end;
};

static bool read_u32(struct reader *reader, uint32_t *ret)
{
	if ((size_t)(reader->end - reader->next) < sizeof(*ret))
		return false;
	memcpy(ret, reader->next, sizeof(*ret));
	reader->next += sizeof(*ret);
	return true;
}

static bool read_string(struct reader *reader, const char **ret, uint32_t max_bytes)
{
	uint32_t len;

	*ret = NULL;
	if (!read_u32(reader, &len))
		return false;
	if (len == NO_STRING)
		return true;
	if (len > max_bytes || (size_t)(reader->end - reader->next) < (size_t)len + 1)
		return false;
	if (reader->next[len] != '\0' || memchr(reader->next, '\0', len))
		return false;
	*ret = reader->next;
	reader->next += len + 1;
	return true;
}

static bool read_changes(struct reader *reader, struct wire_result *result)
{
	if (!read_u32(reader, &result->change_bytes) || result->change_bytes > WIRE_MAX_CHANGES)
		return false;
	if ((size_t)(reader->end - reader->next) < result->change_bytes)
		return false;
	result->changes = result->change_bytes > 0 ? reader->next : NULL;
	reader->next += result->change_bytes;
	return true;
}

/* What the numbers themselves must fulfil. */
static bool sensible(const struct wire_any *any)
{
	switch (any->type) {
	case WIRE_DISPATCH:
		return any->dispatch.attempt > 0 && any->dispatch.pipe_read >= 0 && any->dispatch.pipe_write >= 0;
	case WIRE_MESSAGE:
		return any->message.kind < WIRE_KIND_END && any->message.text && any->message.elapsed_us >= -1;
	case WIRE_PROGRESS:
		return any->progress.reserved == 0 && any->progress.unit <= 1 &&
		       (any->progress.total == 0 || any->progress.done <= any->progress.total);
	case WIRE_RESULT:
		return any->result.outcome < WIRE_OUTCOME_END && any->result.started_us <= any->result.ended_us &&
		       any->result.user_us >= 0 && any->result.system_us >= 0 && any->result.command_us >= 0 &&
		       any->result.budget_us >= 0 &&
		       (any->result.change_count == 0) == (any->result.change_bytes == 0);
	case WIRE_CANCEL:
	case WIRE_PING:
	case WIRE_QUIT:
	case WIRE_READY:
	case WIRE_PONG:
		return true;
	case WIRE_TYPE_END:
		break;
	}
	return false;
}

int wire_decode(struct wire_any *ret, const void *data, size_t size_bytes)
{
	struct reader reader = { .next = data, .end = (const char *)data + size_bytes };
	const struct layout *layout;
	struct wire_head head;
	struct wire_any any = { 0 };
	char *body = (char *)&any.dispatch;

	if (size_bytes < sizeof(head) || size_bytes > WIRE_MAX_BYTES)
		return -EBADMSG;
	memcpy(&head, reader.next, sizeof(head));
	reader.next += sizeof(head);
	if (head.type == 0 || head.type >= WIRE_TYPE_END || head.size_bytes != size_bytes)
		return -EBADMSG;
	layout = &layouts[head.type];
	if (head.strings != layout->strings || (size_t)(reader.end - reader.next) < layout->fixed_bytes)
		return -EBADMSG;
	any.type = (enum wire_type)head.type;
	memcpy(body, reader.next, layout->fixed_bytes);
	reader.next += layout->fixed_bytes;
	for (uint32_t i = 0; i < layout->strings; i++) {
		const char *text;

		if (!read_string(&reader, &text, layout->maxima[i]))
			return -EBADMSG;
		memcpy(body + layout->fixed_bytes + i * sizeof(text), &text, sizeof(text));
	}
	if (layout->changes && !read_changes(&reader, &any.result))
		return -EBADMSG;
	if (reader.next != reader.end || !sensible(&any))
		return -EBADMSG;
	*ret = any;
	return 0;
}

uint32_t wire_size(const void *message)
{
	struct wire_head head;

	memcpy(&head, message, sizeof(head));
	return head.size_bytes;
}

/* --- names --- */

const char *wire_kind_name(enum wire_kind kind)
{
	static const char *const names[WIRE_KIND_END] = {
		[WIRE_DEBUG] = "debug", [WIRE_STATUS] = "status", [WIRE_INFO] = "info",
		[WIRE_WARN] = "warning", [WIRE_ERROR] = "error", [WIRE_BUG] = "bug",
		[WIRE_LOG] = "log", [WIRE_START] = "start", [WIRE_SUCCESS] = "success",
		[WIRE_FAILURE] = "failure", [WIRE_SKIPPED] = "skipped",
	};

	assert(kind < WIRE_KIND_END);
	return names[kind];
}

const char *wire_outcome_name(enum wire_outcome outcome)
{
	static const char *const names[WIRE_OUTCOME_END] = {
		[WIRE_DONE] = "done", [WIRE_NOTHING] = "nothing to do", [WIRE_FAILED] = "failed",
		[WIRE_TEMPORARY] = "failed for now", [WIRE_CANCELLED] = "cancelled",
	};

	assert(outcome < WIRE_OUTCOME_END);
	return names[outcome];
}
