/* TOML (toml.io, version 1.0), as much of it as crates need: Cargo.toml is read, values are changed, and the result is written.
 *
 * Reading accepts what Python's tomllib accepts.  Writing gives, byte for byte, what tomlkit 0.15 makes of the dictionaries
 * that tomllib returned: comments and layout are gone, names stay in their order, but a table's plain values come before the
 * tables in it.  Numbers and times are kept as the text that they are written as.
 *
 * Everything lives in one arena.  Values may be shared between tables, so a value that has been read is not changed
 * itself; tables are.  Limits: 4 MB, 20,000 names, 64 levels.
 */
#ifndef SOURCES_TOML_H
#define SOURCES_TOML_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"

enum toml_type {
	TOML_STRING,
	TOML_PLAIN, /* a boolean, number or time: text is how it is written */
	TOML_ARRAY,
	TOML_TABLE,
};

struct toml_text {
	const char *at; /* NUL behind it; there may be others in it */
	size_t len;
};

struct toml_entry;

struct toml {
	enum toml_type type;
	struct toml_text text;      /* TOML_STRING, TOML_PLAIN */
	struct toml **items;        /* TOML_ARRAY */
	struct toml_entry *entries; /* TOML_TABLE */
	size_t count, cap;
	/* while it is being read */
	bool frozen;      /* written as a value: nothing can be added to it */
	bool is_declared; /* by a [header] of its own */
	unsigned section; /* made by a dotted name in that section of the file; 0: not */
};

struct toml_entry {
	struct toml_text key;
	struct toml *value;
};

/* Reads text of len bytes.  0 and its table, or -EBADMSG with a message in why ("Expected '=' ... (at line 3)"). */
int toml_read(struct arena *arena, const char *text, size_t len, struct toml **ret, struct buf *why);
/* Adds the table to out. */
void toml_write(const struct toml *table, struct buf *out);

/* The value of key in table; NULL if there is none, and if table is NULL or no table. */
struct toml *toml_get(const struct toml *table, const char *key);
struct toml *toml_get_text(const struct toml *table, const struct toml_text *key);
/* The same, if it is of that type. */
struct toml *toml_get_type(const struct toml *table, const char *key, enum toml_type type);
bool toml_is(const struct toml *value, const char *text); /* is it this string? */
bool toml_is_true(const struct toml *value);              /* in Python's sense: not empty, not 0, not NULL */

struct toml *toml_new(struct arena *arena, enum toml_type type);
struct toml *toml_new_string(struct arena *arena, const char *text);
/* Sets key, where it stands if it is there already, else at the end. */
void toml_put(struct arena *arena, struct toml *table, struct toml_text key, struct toml *value);
void toml_put_string(struct arena *arena, struct toml *table, const char *key, const char *text);
/* Removes key if it is there. */
void toml_remove(struct toml *table, const char *key);
void toml_append(struct arena *arena, struct toml *array, struct toml *item);

#endif
