/* base/buf.h: growing bytes, always NUL-terminated once anything was added.
 *
 * A low-level primitive: knows only base/util.h.  The owner releases it.  Any process, any thread.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "base/util.h"

struct buf {
	char *data; /* NULL while empty and never used */
	size_t len, cap;
};
#define BUF_INIT { 0 }

void buf_add(struct buf *buf, const void *data, size_t len_bytes);
void buf_adds(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *buf, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
/* Makes room for len_bytes more and returns where they go; the caller then adds what it wrote to buf->len. */
char *buf_room(struct buf *buf, size_t len_bytes);
static inline void buf_addc(struct buf *buf, char c)
{
	if (buf->len + 1 >= buf->cap)
		buf_room(buf, 1);
	buf->data[buf->len++] = c;
	buf->data[buf->len] = '\0';
}
/* The text so far; "" if nothing was added.  Valid until the next change. */
static inline const char *buf_text(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}
/* Empties it and keeps the memory. */
void buf_clear(struct buf *buf);
/* The text as a heap string that the caller frees; the buf is empty afterwards. */
char *buf_steal(struct buf *buf);
void buf_release(struct buf *buf);
#define _cleanup_buf_ CLEANUP(buf_release)

#endif
