/* The layout of ruamel.yaml's emitter: see pyyaml.h.  Its state is ours: where the cursor is, and what stands before it. */
#include "elements/pyyaml.h"

#include <assert.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "elements/elements_internal.h"
#include "yaml/yaml.h"

enum { WIDTH = 80, STEP = 2, SIMPLE_KEY = 128 - 5, NO_INDENT = -1 }; /* 5: the emitter counts "!!str", which it then leaves out */

struct level { /* what was the indent, and for a list? */
	int indent;
	bool list;
};

struct emitter {
	struct buf *out;
	regex_t other; /* plain texts that are numbers and the like */
	int column, indent;
	bool whitespace, indention, no_newline, in_flow;
	bool in_list, in_map, simple_key; /* of the node at hand */
	struct level *levels;
	size_t depth, cap;
};

/* ---- where the cursor goes ---- */

static void put(struct emitter *emitter, const char *text, size_t len)
{
	buf_add(emitter->out, text, len);
	for (size_t i = 0; i < len; i++)
		emitter->column += (text[i] & 0xc0) != 0x80;
}

static void line_break(struct emitter *emitter)
{
	buf_addc(emitter->out, '\n');
	emitter->whitespace = emitter->indention = true;
	emitter->column = 0;
}

static void write_indent(struct emitter *emitter)
{
	int indent = MAX(emitter->indent, 0);

	if (!emitter->indention || emitter->column > indent || (emitter->column == indent && !emitter->whitespace)) {
		if (emitter->no_newline)
			emitter->no_newline = false;
		else
			line_break(emitter);
	}
	while (emitter->column < indent) {
		emitter->whitespace = true;
		put(emitter, " ", 1);
	}
}

static void indicator(struct emitter *emitter, const char *text, bool need_whitespace, bool whitespace, bool indention)
{
	if (need_whitespace && !emitter->whitespace)
		put(emitter, " ", 1);
	put(emitter, text, strlen(text));
	emitter->whitespace = whitespace;
	emitter->indention = emitter->indention && indention;
}

static void push(struct emitter *emitter, bool flow, bool list, bool indentless)
{
	emitter->levels = util_grow(emitter->levels, &emitter->cap, emitter->depth + 1, sizeof *emitter->levels);
	emitter->levels[emitter->depth++] = (struct level){ emitter->indent, list };
	if (emitter->indent == NO_INDENT)
		emitter->indent = flow ? NO_INDENT : 0;
	else if (!indentless)
		emitter->indent += STEP;
}

static void pop(struct emitter *emitter)
{
	assert(emitter->depth);
	emitter->indent = emitter->levels[--emitter->depth].indent;
}

/* ---- scalars ---- */

struct scalar { /* a text by characters */
	const char *text;
	uint32_t *chars;
	size_t *at; /* byte offsets, one more than there are characters */
	size_t count;
};

static struct scalar decode(const char *text, size_t len)
{
	struct scalar ret = { text, xreallocarray(NULL, len + 1, sizeof *ret.chars), xreallocarray(NULL, len + 1, sizeof *ret.at), 0 };

	for (size_t i = 0; i < len;) {
		unsigned char c = (unsigned char)text[i];
		size_t width = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
		uint32_t value = width == 1 ? c : c & (0x7fu >> width);

		width = MIN(width, len - i);
		for (size_t k = 1; k < width; k++)
			value = value << 6 | ((unsigned char)text[i + k] & 0x3f);
		ret.chars[ret.count] = value;
		ret.at[ret.count++] = i;
		i += width;
	}
	ret.chars[ret.count] = 0;
	ret.at[ret.count] = len;
	return ret;
}

static void scalar_release(struct scalar *scalar)
{
	free(scalar->chars);
	free(scalar->at);
}

static bool is_break(uint32_t c)
{
	return c == '\n' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static bool is_blank(uint32_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || is_break(c);
}

static bool is_printable(uint32_t c)
{
	return c == '\n' || (c >= 0x20 && c <= 0x7e) ||
	       ((c == 0x85 || (c >= 0xa0 && c <= 0xd7ff) || (c >= 0xe000 && c <= 0xfffd) || c >= 0x10000) && c != 0xfeff);
}

struct analysis {
	bool multiline, flow_plain, block_plain, single;
};

/* May this character, where it stands, be part of a plain text in flow, or in block style? */
static void check_indicator(const struct scalar *scalar, size_t i, bool *flow, bool *block)
{
	uint32_t c = scalar->chars[i];
	bool blank_follows = i + 1 >= scalar->count || is_blank(scalar->chars[i + 1]);

	if (c >= 0x80 || !c)
		return;
	if (i == 0) {
		if (strchr("#,[]{}&*!|>'\"%@`", (int)c))
			*flow = *block = true;
		if (strchr("?:", (int)c)) {
			*flow |= scalar->count == 1;
			*block |= blank_follows;
		}
		if (c == '-' && blank_follows)
			*flow = *block = true;
		return;
	}
	if (strchr(",[]{}", (int)c))
		*flow = true;
	if ((c == ':' && blank_follows) || (c == '#' && is_blank(scalar->chars[i - 1])))
		*flow = *block = true;
}

static struct analysis analyze(const struct scalar *scalar)
{
	bool document = str_starts(scalar->text, "---") || str_starts(scalar->text, "...");
	bool flow = document, block = document, special = false, breaks = false, break_space = false, space_break = false;
	uint32_t first = scalar->chars[0], last = scalar->count ? scalar->chars[scalar->count - 1] : 0;
	bool edges = first == ' ' || is_break(first) || last == ' ' || is_break(last);

	if (!scalar->count)
		return (struct analysis){ false, false, true, true };
	for (size_t i = 0; i < scalar->count; i++) {
		uint32_t c = scalar->chars[i], previous = i ? scalar->chars[i - 1] : 0;

		check_indicator(scalar, i, &flow, &block);
		breaks |= is_break(c);
		special |= !is_printable(c);
		break_space |= c == ' ' && is_break(previous);
		space_break |= is_break(c) && previous == ' ';
	}
	return (struct analysis){ .multiline = breaks,
				  .flow_plain = !edges && !break_space && !special && !space_break && !breaks && !flow,
				  .block_plain = !edges && !break_space && !special && !space_break && !breaks && !block,
				  .single = !break_space && !special && !space_break };
}

/* '\0' for plain, else the quotation mark. */
static char choose_style(const struct emitter *emitter, const struct scalar *scalar)
{
	struct analysis a = analyze(scalar);
	bool is_text = scalar->count && regexec(&emitter->other, scalar->text, 0, NULL, 0) != 0;

	if (is_text && !(emitter->simple_key && a.multiline) && (emitter->in_flow ? a.flow_plain : a.block_plain))
		return '\0';
	if (strchr(scalar->text, '\'') || strchr(scalar->text, '\n'))
		return '"';
	return a.single && !(emitter->simple_key && a.multiline) ? '\'' : '"';
}

static void put_part(struct emitter *emitter, const struct scalar *scalar, size_t from, size_t to)
{
	put(emitter, scalar->text + scalar->at[from], scalar->at[to] - scalar->at[from]);
}

/* Words and the blanks between them; a single blank beyond the width becomes a new line, and so does what stands before a
 * word that is too long. */
static void write_plain(struct emitter *emitter, const struct scalar *scalar, bool split)
{
	size_t start = 0;
	bool spaces = false;

	if (!emitter->whitespace)
		put(emitter, " ", 1);
	emitter->whitespace = emitter->indention = false;
	for (size_t end = 0; end <= scalar->count; end++) {
		uint32_t c = scalar->chars[end];

		if (spaces && c != ' ') {
			if (start + 1 == end && emitter->column >= WIDTH && split) {
				write_indent(emitter);
				emitter->whitespace = emitter->indention = false;
			} else {
				put_part(emitter, scalar, start, end);
			}
			start = end;
		} else if (!spaces && (end == scalar->count || c == ' ')) {
			if ((int)(end - start) + emitter->column > WIDTH && emitter->indent != NO_INDENT &&
			    emitter->column > emitter->indent)
				write_indent(emitter);
			put_part(emitter, scalar, start, end);
			start = end;
		}
		spaces = end < scalar->count && c == ' ';
	}
}

/* Breaks that are no "\n" begin a line and are indented; "\n" itself and single quotes do not come here. */
static void put_breaks(struct emitter *emitter, const struct scalar *scalar, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		put_part(emitter, scalar, i, i + 1);
		emitter->whitespace = emitter->indention = true;
		emitter->column = 0;
	}
	write_indent(emitter);
}

static void write_single(struct emitter *emitter, const struct scalar *scalar, bool split)
{
	bool spaces = false, breaks = false;
	size_t start = 0;

	indicator(emitter, "'", true, false, false);
	for (size_t end = 0; end <= scalar->count; end++) {
		bool over = end == scalar->count;
		uint32_t c = scalar->chars[end];

		if (spaces ? over || c != ' ' : breaks ? over || !is_break(c) : over || c == ' ' || is_break(c)) {
			if (breaks)
				put_breaks(emitter, scalar, start, end);
			else if (spaces && start + 1 == end && emitter->column > WIDTH && split && start != 0 && !over)
				write_indent(emitter);
			else
				put_part(emitter, scalar, start, end);
			start = end;
		}
		spaces = !over && c == ' ';
		breaks = !over && is_break(c);
	}
	indicator(emitter, "'", false, false, false);
}

static bool needs_escape(uint32_t c)
{
	if (c == '"' || c == '\\' || c == 0x85 || c == 0x2028 || c == 0x2029 || c == 0xfeff)
		return true;
	return !((c >= 0x20 && c <= 0x7e) || (c >= 0xa0 && c <= 0xd7ff) || (c >= 0xe000 && c <= 0xfffd) || c >= 0x10000);
}

static void put_escape(struct emitter *emitter, uint32_t c)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	yaml_write_escape(&text, c);
	put(emitter, buf_text(&text), text.len);
}

static size_t find(const struct scalar *scalar, uint32_t c, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (scalar->chars[i] == c)
			return i;
	return SIZE_MAX;
}

/* Must the line break that is put before end be escaped? */
static bool needs_backslash(const struct scalar *scalar, size_t start, size_t end)
{
	size_t space = find(scalar, ' ', end, scalar->count), line;

	if (space == SIZE_MAX)
		return true;
	line = find(scalar, '\n', end, space);
	if (line != SIZE_MAX)
		space = line;
	if (space + 1 >= scalar->count || (scalar->chars[space] == '\n' && scalar->chars[space + 1] != ' '))
		return true;
	return find(scalar, '"', end, space) != SIZE_MAX || find(scalar, '\'', end, space) != SIZE_MAX ||
	       scalar->chars[space + 1] == ' ' || scalar->chars[space + 1] == '\n' ||
	       (scalar->chars[end - 1] == ' ' && scalar->chars[end] == ' ') || start == end;
}

static size_t fold_double(struct emitter *emitter, const struct scalar *scalar, size_t start, size_t end)
{
	bool backslash = needs_backslash(scalar, start, end);

	if (start < end) {
		put_part(emitter, scalar, start, end);
		start = end;
	}
	if (backslash)
		put(emitter, "\\", 1);
	write_indent(emitter);
	emitter->whitespace = emitter->indention = false;
	if (scalar->chars[start] == ' ') {
		if (backslash)
			put(emitter, "\\", 1);
		else
			start++;
	}
	return start;
}

static void write_double(struct emitter *emitter, const struct scalar *scalar, bool split)
{
	size_t start = 0;

	indicator(emitter, "\"", true, false, false);
	for (size_t end = 0; end <= scalar->count; end++) {
		bool over = end == scalar->count;
		uint32_t c = scalar->chars[end];

		if (over || needs_escape(c)) {
			if (start < end) {
				put_part(emitter, scalar, start, end);
				start = end;
			}
			if (!over) {
				put_escape(emitter, c);
				start = end + 1;
			}
		}
		if (end > 0 && end + 1 < scalar->count && (c == ' ' || start >= end) && split &&
		    emitter->column + (int)end - (int)start > WIDTH)
			start = fold_double(emitter, scalar, start, end);
	}
	indicator(emitter, "\"", false, false, false);
}

static void write_scalar(struct emitter *emitter, const char *text, size_t len)
{
	struct scalar scalar = decode(text, len);
	char style = choose_style(emitter, &scalar);
	bool split = !emitter->simple_key;

	push(emitter, true, false, false);
	if (emitter->in_list && !emitter->in_flow)
		write_indent(emitter);
	if (style == '"')
		write_double(emitter, &scalar, split);
	else if (style == '\'')
		write_single(emitter, &scalar, split);
	else
		write_plain(emitter, &scalar, split);
	pop(emitter);
	scalar_release(&scalar);
}

static bool is_simple_key(const struct yaml_entry *entry)
{
	struct scalar scalar = decode(entry->key, entry->key_len);
	bool ret = scalar.count < SIMPLE_KEY && !analyze(&scalar).multiline;

	scalar_release(&scalar);
	return ret;
}

/* ---- collections ---- */

static void write_node(struct emitter *emitter, const struct yaml_node *node, bool in_list, bool in_map);

static void write_key(struct emitter *emitter, const struct yaml_entry *entry, bool simple)
{
	emitter->in_list = false;
	emitter->in_map = true;
	emitter->simple_key = simple;
	write_scalar(emitter, entry->key, entry->key_len);
	emitter->simple_key = false;
}

static const struct yaml_entry **sorted(const struct yaml_node *map)
{
	const struct yaml_entry **list = xreallocarray(NULL, map->count + 1, sizeof *list);

	kinds_sorted_entries(map, list);
	return list;
}

/* Blanks that align a list in brackets with what stands behind the dash. */
static void align_flow(struct emitter *emitter, const char *bracket)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	const struct level *last = emitter->depth ? &emitter->levels[emitter->depth - 1] : NULL;
	int blanks = emitter->depth < 2 || !last->list ? 0 : MAX(last->indent, 0) + STEP - emitter->column - 1;

	for (int i = 0; i < blanks; i++)
		buf_addc(&text, ' ');
	buf_adds(&text, bracket);
	indicator(emitter, buf_text(&text), true, true, false);
}

static void close_flow(struct emitter *emitter, const struct yaml_node *node, const char *bracket)
{
	pop(emitter);
	emitter->in_flow = false;
	indicator(emitter, bracket, false, false, false);
	if (!node->count)
		line_break(emitter);
	else
		emitter->no_newline = false;
}

/* Only scalars are in it. */
static void write_flow(struct emitter *emitter, const struct yaml_node *node)
{
	bool map = yaml_is_map(node);
	_cleanup_free_ const struct yaml_entry **entries = map ? sorted(node) : NULL;

	align_flow(emitter, map ? "{" : "[");
	push(emitter, true, !map, false);
	emitter->in_flow = true;
	for (uint32_t i = 0; i < node->count; i++) {
		if (i)
			indicator(emitter, ",", false, false, false);
		if (emitter->column > WIDTH)
			write_indent(emitter);
		if (map) {
			bool simple = is_simple_key(entries[i]);

			if (!simple)
				indicator(emitter, "?", true, false, false);
			write_key(emitter, entries[i], simple);
			if (!simple && emitter->column > WIDTH)
				write_indent(emitter);
			indicator(emitter, ":", !simple, false, false);
		}
		write_node(emitter, map ? entries[i]->value : node->items[i], !map, map);
	}
	close_flow(emitter, node, map ? "}" : "]");
}

static void write_list(struct emitter *emitter, const struct yaml_node *node)
{
	push(emitter, false, true, emitter->in_map && !emitter->indention);
	if (emitter->depth > 1 && emitter->levels[emitter->depth - 2].list) { /* "- -" */
		emitter->indention = true;
		emitter->no_newline = false;
	}
	for (uint32_t i = 0; i < node->count; i++) {
		bool no_newline = emitter->column == 0 && emitter->no_newline;

		write_indent(emitter);
		indicator(emitter, "-", true, false, true);
		if (no_newline)
			emitter->no_newline = true;
		write_node(emitter, node->items[i], true, false);
	}
	pop(emitter);
	emitter->no_newline = false;
}

static void write_map(struct emitter *emitter, const struct yaml_node *node)
{
	_cleanup_free_ const struct yaml_entry **entries = sorted(node);

	push(emitter, false, false, false);
	for (uint32_t i = 0; i < node->count; i++) {
		bool simple = is_simple_key(entries[i]);

		write_indent(emitter);
		if (!simple)
			indicator(emitter, "?", true, false, true);
		write_key(emitter, entries[i], simple);
		if (!simple)
			write_indent(emitter);
		indicator(emitter, ":", !simple, false, !simple);
		write_node(emitter, entries[i]->value, false, true);
	}
	pop(emitter);
}

static bool has_only_scalars(const struct yaml_node *node)
{
	for (uint32_t i = 0; i < node->count; i++)
		if (!yaml_is_scalar(yaml_is_map(node) ? node->entries[i].value : node->items[i]))
			return false;
	return true;
}

static void write_node(struct emitter *emitter, const struct yaml_node *node, bool in_list, bool in_map)
{
	emitter->in_list = in_list;
	emitter->in_map = in_map;
	if (yaml_is_scalar(node))
		write_scalar(emitter, node->text, node->count);
	else if (has_only_scalars(node))
		write_flow(emitter, node);
	else if (yaml_is_list(node))
		write_list(emitter, node);
	else
		write_map(emitter, node);
}

void pyyaml_write(struct buf *out, const struct yaml_node *node)
{
	/* What YAML 1.2 takes for something else than a text (ruamel.yaml's resolvers). */
	static const char other[] =
		"^(true|True|TRUE|false|False|FALSE|~|null|Null|NULL|<<|=|"
		"[-+]?[0-9][0-9_]*\\.[0-9_]*([eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+|"
		"[-+]?\\.[0-9_]+([eE][-+][0-9]+)?|[-+]?\\.(inf|Inf|INF)|\\.(nan|NaN|NAN)|"
		"[-+]?0b[0-1_]+|[-+]?0o?[0-7_]+|[-+][0-9_]+|[0-9][0-9_]*|[-+]?0x[0-9a-fA-F_]+|"
		"[0-9]{4}-[0-9]{2}-[0-9]{2}|"
		"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\\.[0-9]*)?"
		"([ \t]*(Z|[-+][0-9]{1,2}(:[0-9]{2})?))?)$";
	struct emitter emitter = { .out = out, .indent = NO_INDENT, .whitespace = true, .indention = true };
	size_t start = out->len;

	if (regcomp(&emitter.other, other, REG_EXTENDED | REG_NOSUB) != 0)
		bug("the pattern of texts that are none");
	write_node(&emitter, node, false, false);
	write_indent(&emitter);
	/* what could go on is ended */
	if (yaml_is_scalar(node) && out->len > start && out->data[start] != '\'' && out->data[start] != '"')
		buf_adds(out, "...\n");
	regfree(&emitter.other);
	free(emitter.levels);
}
