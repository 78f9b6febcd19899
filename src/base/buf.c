/* Growing bytes: see buf.h. */
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A new buffer's room, as most texts need; up to what size it doubles; what is printed in one go without measuring it first. */
enum { FIRST_BYTES = 128, DOUBLE_BYTES = 4096, LINE_BYTES = 96 };

char *buf_room(struct buf *buf, size_t len_bytes)
{
	size_t need;

	if (__builtin_add_overflow(buf->len, len_bytes + 1, &need))
		bug("buffer of %zu + %zu bytes", buf->len, len_bytes);
	if (need > buf->cap) {
		size_t cap = buf->cap + (buf->cap < DOUBLE_BYTES ? buf->cap : buf->cap / 2);
		buf->cap = MAX(MAX(cap, need), (size_t)FIRST_BYTES);
		buf->data = xrealloc(buf->data, buf->cap);
		buf->data[buf->len] = '\0';
	}
	return buf->data + buf->len;
}

void buf_add(struct buf *buf, const void *data, size_t len_bytes)
{
	char *at = buf_room(buf, len_bytes);

	if (len_bytes)
		memcpy(at, data, len_bytes);
	buf->len += len_bytes;
	buf->data[buf->len] = '\0';
}

void buf_adds(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void buf_vprintf(struct buf *buf, const char *fmt, va_list ap)
{
	va_list again;
	size_t room;
	int len;

	buf_room(buf, LINE_BYTES);
	room = buf->cap - buf->len;
	va_copy(again, ap);
	len = vsnprintf(buf->data + buf->len, room, fmt, again);
	va_end(again);
	assert(len >= 0);
	if ((size_t)len >= room) {
		buf_room(buf, (size_t)len);
		vsnprintf(buf->data + buf->len, (size_t)len + 1, fmt, ap);
	}
	buf->len += (size_t)len;
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(buf, fmt, ap);
	va_end(ap);
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

char *buf_steal(struct buf *buf)
{
	char *data = buf->data ? buf->data : xstrdup("");

	*buf = (struct buf)BUF_INIT;
	return data;
}

void buf_release(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf)BUF_INIT;
}
