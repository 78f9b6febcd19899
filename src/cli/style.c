/* ANSI styles as click.style writes them, and their removal as click.echo does it. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli_internal.h"

void cli_styled(struct buf *out, bool colors, struct cli_style style, const char *text)
{
	if (!colors) {
		buf_adds(out, text);
		return;
	}
	if (style.color)
		buf_printf(out, "\033[%dm", (int)style.color);
	if (style.bold)
		buf_adds(out, style.bold > 0 ? "\033[1m" : "\033[22m");
	if (style.dim)
		buf_adds(out, style.dim > 0 ? "\033[2m" : "\033[22m");
	buf_printf(out, "%s\033[0m", text);
}

void cli_styledf(struct buf *out, bool colors, struct cli_style style, const char *fmt, ...)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	cli_styled(out, colors, style, buf_text(&text));
}

/* The length of the escape sequence at text: ESC [ parameters 0x30-0x3f, intermediates 0x20-0x2f, final 0x40-0x7e; 0
 * if it is none. */
static size_t escape_len(const char *text, size_t len)
{
	size_t i = 2;

	if (len < 3 || text[0] != '\033' || text[1] != '[')
		return 0;
	while (i < len && text[i] >= 0x30 && text[i] <= 0x3f)
		i++;
	while (i < len && text[i] >= 0x20 && text[i] <= 0x2f)
		i++;
	return i < len && text[i] >= 0x40 && text[i] <= 0x7e ? i + 1 : 0;
}

void cli_strip_ansi(struct buf *out, const char *text, size_t len_bytes)
{
	size_t from = 0;

	for (size_t i = 0; i < len_bytes;) {
		const char *escape = memchr(text + i, '\033', len_bytes - i);

		if (!escape)
			break;
		i = (size_t)(escape - text);
		size_t len = escape_len(escape, len_bytes - i);

		if (len) {
			buf_add(out, text + from, i - from);
			from = i + len;
		}
		i += len ? len : 1;
	}
	buf_add(out, text + from, len_bytes - from);
}

void cli_indent(struct buf *out, const char *text, const char *prefix)
{
	while (*text) {
		size_t len = strcspn(text, "\n"), blank = strspn(text, " \t\r\f\v");

		if (blank < len)
			buf_adds(out, prefix);
		len += text[len] == '\n';
		buf_add(out, text, len);
		text += len;
	}
}
