/* sources/toml_internal.h: what the files that read TOML share. */
#ifndef SOURCES_TOML_INTERNAL_H
#define SOURCES_TOML_INTERNAL_H

#include <string.h>

#include "sources/toml.h"

struct toml_reader {
	struct arena *arena;
	const char *text, *at, *end;
	struct buf *why;
	unsigned section, depth;
	size_t keys;
};

/* Why it is not TOML, and on which line, into reader->why.  Returns -EBADMSG. */
int toml_fail(struct toml_reader *reader, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The byte at hand; 0 at the end, where a NUL in the text would be an error anyway. */
static inline char toml_peek(const struct toml_reader *reader)
{
	return reader->at < reader->end ? *reader->at : '\0';
}

static inline bool toml_starts(const struct toml_reader *reader, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(reader->end - reader->at) >= len && memcmp(reader->at, text, len) == 0;
}

static inline bool toml_take(struct toml_reader *reader, const char *text)
{
	if (!toml_starts(reader, text))
		return false;
	reader->at += strlen(text);
	return true;
}

/* ---- toml_scalar.c: numbers, times, true and false ---- */
int toml_read_scalar(struct toml_reader *reader, struct toml **ret);

#endif
