/* Errors for people: see diag.h. */
#include "base/diag.h"

#include <errno.h>
#include <string.h>

static void start(struct diag *diag, const char *domain, const char *reason)
{
	diag->domain = domain;
	diag->reason = reason;
	buf_clear(&diag->where);
	buf_clear(&diag->message);
	buf_clear(&diag->detail);
}

int diag_set(struct diag *diag, const char *domain, const char *reason, const char *fmt, ...)
{
	va_list ap;

	if (!diag)
		return -EINVAL;
	start(diag, domain, reason);
	va_start(ap, fmt);
	buf_vprintf(&diag->message, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int diag_errno(struct diag *diag, const char *domain, const char *reason, int err, const char *fmt, ...)
{
	va_list ap;

	if (!diag)
		return -err;
	start(diag, domain, reason);
	va_start(ap, fmt);
	buf_vprintf(&diag->message, fmt, ap);
	va_end(ap);
	buf_printf(&diag->message, ": %s", strerror(err));
	return -err;
}

void diag_detail(struct diag *diag, const char *fmt, ...)
{
	va_list ap;

	if (!diag)
		return;
	if (diag->detail.len)
		buf_addc(&diag->detail, '\n');
	va_start(ap, fmt);
	buf_vprintf(&diag->detail, fmt, ap);
	va_end(ap);
}

void diag_where(struct diag *diag, const char *name, unsigned line, unsigned column)
{
	if (!diag)
		return;
	buf_clear(&diag->where);
	buf_printf(&diag->where, "%s [line %u column %u]", name, line, column);
}

void diag_element(struct diag *diag, const char *full_name)
{
	if (diag && !diag->element.len)
		buf_adds(&diag->element, full_name);
}

void diag_format(const struct diag *diag, struct buf *out)
{
	const char *line = buf_text(&diag->detail);

	if (diag->where.len)
		buf_printf(out, "%s: ", buf_text(&diag->where));
	buf_adds(out, buf_text(&diag->message));
	if (!diag->detail.len)
		return;
	buf_adds(out, "\n");
	while (*line) {
		size_t n = strcspn(line, "\n");
		buf_adds(out, "\n");
		if (n)
			buf_printf(out, "    %.*s", (int)n, line);
		line += n + (line[n] == '\n');
	}
}

void diag_move(struct diag *to, struct diag *from)
{
	diag_release(to);
	*to = *from;
	*from = (struct diag)DIAG_INIT;
}

void diag_release(struct diag *diag)
{
	buf_release(&diag->where);
	buf_release(&diag->message);
	buf_release(&diag->detail);
	buf_release(&diag->element);
	*diag = (struct diag)DIAG_INIT;
}
