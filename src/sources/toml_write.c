/* TOML as tomlkit 0.15 writes dictionaries: see toml.h.
 *
 * A table within a table gets a [header] of its own, a list of nothing but tables becomes [[headers]]; below a list that has
 * other things in it, tables are written inline.  A table that holds tables alone has no header.  An empty line stands
 * before each table that is not the first thing in the one around it, and behind one of a list unless that is empty.
 */
#include <string.h>

#include "sources/toml.h"

static void write_quoted(struct buf *out, const struct toml_text *text)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < text->len; i++) {
		static const char plain[] = "\b\t\n\f\r\"\\", escaped[] = "btnfr\"\\";
		char c = text->at[i];
		const char *special = c ? strchr(plain, c) : NULL;

		if (special)
			buf_printf(out, "\\%c", escaped[special - plain]);
		else if ((unsigned char)c < 0x20 || c == 0x7f)
			buf_printf(out, "\\u%04x", (unsigned)c);
		else
			buf_addc(out, c);
	}
	buf_addc(out, '"');
}

static bool is_bare(const struct toml_text *key)
{
	for (size_t i = 0; i < key->len; i++) {
		char c = key->at[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return false;
	}
	return key->len > 0;
}

static void write_key(struct buf *out, const struct toml_text *key)
{
	if (is_bare(key))
		buf_add(out, key->at, key->len);
	else
		write_quoted(out, key);
}

static bool is_list_of_tables(const struct toml *value)
{
	if (value->type != TOML_ARRAY || !value->count)
		return false;
	for (size_t i = 0; i < value->count; i++)
		if (value->items[i]->type != TOML_TABLE)
			return false;
	return true;
}

/* Has it a header, or headers below it? */
static bool is_block(const struct toml *value)
{
	return value->type == TOML_TABLE || is_list_of_tables(value);
}

/* spaced: an inline table that stands in a list has blanks behind its commas; one in an inline table has not. */
static void write_value(struct buf *out, const struct toml *value, bool spaced);

static void write_inline(struct buf *out, const struct toml *table, bool spaced)
{
	buf_addc(out, '{');
	for (size_t i = 0; i < table->count; i++) {
		if (i > 0)
			buf_adds(out, spaced ? ", " : ",");
		write_key(out, &table->entries[i].key);
		buf_adds(out, " = ");
		write_value(out, table->entries[i].value, false);
	}
	buf_addc(out, '}');
}

static void write_value(struct buf *out, const struct toml *value, bool spaced)
{
	switch (value->type) {
	case TOML_STRING:
		write_quoted(out, &value->text);
		break;
	case TOML_PLAIN:
		buf_add(out, value->text.at, value->text.len);
		break;
	case TOML_ARRAY:
		buf_addc(out, '[');
		for (size_t i = 0; i < value->count; i++) {
			if (i > 0)
				buf_adds(out, ", ");
			write_value(out, value->items[i], true);
		}
		buf_addc(out, ']');
		break;
	case TOML_TABLE:
		write_inline(out, value, spaced);
		break;
	}
}

static void write_body(struct buf *out, const struct toml *table, const char *name, bool tables_last);

/* name: the table's, as in a header.  blank: a line before it. */
static void write_table(struct buf *out, const struct toml *table, const char *name, bool blank)
{
	bool headed = !table->count;

	for (size_t i = 0; i < table->count; i++)
		headed = headed || !is_block(table->entries[i].value);
	if (blank)
		buf_addc(out, '\n');
	if (headed)
		buf_printf(out, "[%s]\n", name);
	write_body(out, table, name, false);
}

static void write_list(struct buf *out, const struct toml *list, const char *name, bool blank)
{
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0 ? list->items[i - 1]->count > 0 : blank)
			buf_addc(out, '\n');
		buf_printf(out, "[[%s]]\n", name);
		write_body(out, list->items[i], name, true);
	}
}

static void write_block(struct buf *out, const struct toml_entry *entry, const char *name, bool blank)
{
	_cleanup_buf_ struct buf full = BUF_INIT;

	if (*name)
		buf_printf(&full, "%s.", name);
	write_key(&full, &entry->key);
	if (entry->value->type == TOML_TABLE)
		write_table(out, entry->value, buf_text(&full), blank);
	else
		write_list(out, entry->value, buf_text(&full), blank);
}

/* tables_last: in the elements of a list lists of tables come before tables. */
static void write_body(struct buf *out, const struct toml *table, const char *name, bool tables_last)
{
	bool plain = false, first = true;

	for (size_t i = 0; i < table->count; i++) {
		const struct toml_entry *entry = &table->entries[i];

		if (is_block(entry->value))
			continue;
		plain = true;
		write_key(out, &entry->key);
		buf_adds(out, " = ");
		write_value(out, entry->value, true);
		buf_addc(out, '\n');
	}
	for (unsigned pass = 0; pass < 2; pass++) {
		bool seen_plain = false;

		for (size_t i = 0; i < table->count; i++) {
			const struct toml_entry *entry = &table->entries[i];
			bool is_table = entry->value->type == TOML_TABLE, blank;

			seen_plain = seen_plain || !is_block(entry->value);
			if (!is_block(entry->value) || (pass == 1) != (tables_last && is_table))
				continue;
			/* a list that comes first of all has no line before it, even if plain values were then put before it */
			blank = !first || (is_table ? plain : seen_plain);
			first = false;
			write_block(out, entry, name, blank);
		}
	}
}

void toml_write(const struct toml *table, struct buf *out)
{
	write_body(out, table, "", false);
}
