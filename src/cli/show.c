/* `show --format`: %{name} and its kin with Python format specifications ("{name: ^20}".format(name=...)).
 *
 * The peer replaces one symbol after another by regular expressions, "%(\{(name)[^%]*?\})"; for every format that it
 * prints at all the result is the same as replacing them in one pass, which is what the compiled format does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_internal.h"

#define WIDTH_MAX 100000

static const char *const field_names[SESSION_SHOW_FIELDS] = {
	[SESSION_SHOW_NAME] = "name",
	[SESSION_SHOW_KIND] = "kind",
	[SESSION_SHOW_KEY] = "key",
	[SESSION_SHOW_FULL_KEY] = "full-key",
	[SESSION_SHOW_DESCRIPTION] = "description",
	[SESSION_SHOW_STATE] = "state",
	[SESSION_SHOW_CONFIG] = "config",
	[SESSION_SHOW_VARS] = "vars",
	[SESSION_SHOW_ENV] = "env",
	[SESSION_SHOW_PUBLIC] = "public",
	[SESSION_SHOW_WORKSPACED] = "workspaced",
	[SESSION_SHOW_WORKSPACE_DIRS] = "workspace-dirs",
	[SESSION_SHOW_DEPS] = "deps",
	[SESSION_SHOW_BUILD_DEPS] = "build-deps",
	[SESSION_SHOW_RUNTIME_DEPS] = "runtime-deps",
	[SESSION_SHOW_SOURCE_INFO] = "source-info",
	[SESSION_SHOW_ARTIFACT_CAS_DIGEST] = "artifact-cas-digest",
};

static int bad_format(struct diag *diag, const char *token, size_t len, const char *why)
{
	return diag_set(diag, "app", "invalid-format", "Invalid format '%%%.*s': %s", (int)len, token, why);
}

/* Bytes of the UTF-8 character at text; 1 for bytes that begin none. */
static size_t char_len(const char *text)
{
	size_t len = 1;

	while (len < 4 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len++;
	return len;
}

static void set_fill(struct cli_show_part *part, const char *text, size_t len)
{
	memcpy(part->fill, text, len);
	part->fill[len] = '\0';
}

static const char *parse_number(const char *p, size_t *ret)
{
	size_t n = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		n = MIN(n * 10 + (size_t)(*p - '0'), (size_t)WIDTH_MAX + 1);
	*ret = n;
	return p;
}

/* [[fill]align][0][width][.precision][s]; what else Python knows is for numbers, and it refuses that for text. */
static const char *parse_spec(struct cli_show_part *part, const char *spec, const char *end)
{
	size_t first = spec < end ? char_len(spec) : 0;

	if (spec + first < end && strchr("<>^=", spec[first])) {
		set_fill(part, spec, first);
		part->align = spec[first];
		spec += first + 1;
	} else if (spec < end && strchr("<>^=", *spec)) {
		part->align = *spec++;
	}
	if (part->align == '=')
		return "'=' alignment not allowed in string format specifier";
	if (spec < end && *spec == '0') {
		if (!part->fill[0] || part->fill[0] == ' ')
			set_fill(part, "0", 1);
		spec++;
	}
	spec = parse_number(spec, &part->width);
	if (spec < end && *spec == '.') {
		if (spec[1] < '0' || spec[1] > '9')
			return "Format specifier missing precision";
		spec = parse_number(spec + 1, &part->precision);
	}
	if (spec < end && *spec == 's')
		spec++;
	if (part->width > WIDTH_MAX || (part->precision != SIZE_MAX && part->precision > WIDTH_MAX))
		return "Too many decimal digits in format string";
	return spec == end ? NULL : "Invalid format specifier for text";
}

/* One "{name...}" token; len counts both braces. */
static int parse_token(struct cli_show_part *part, const char *token, size_t len, size_t name_len, struct diag *diag)
{
	const char *p = token + 1 + name_len, *end = token + len - 1;
	const char *why = NULL;

	if (memchr(p, '{', (size_t)(end - p)))
		return bad_format(diag, token, len, "braces inside braces");
	if (*p == '!') {
		if (p + 1 >= end || !strchr("sr", p[1]) || (p + 2 < end && p[2] != ':'))
			return bad_format(diag, token, len, "only !s and !r are known conversions");
		part->conversion = p[1] == 'r' ? 'r' : 0;
		p += 2;
	}
	if (*p == ':')
		why = parse_spec(part, p + 1, end);
	else if (p < end)
		why = "there is no such symbol";
	if (!part->fill[0])
		set_fill(part, " ", 1);
	if (!part->align)
		part->align = '<';
	return why ? bad_format(diag, token, len, why) : 0;
}

/* The field of the token "%{...}" at text and the token's length; SESSION_SHOW_FIELDS if it is none of ours. */
static enum session_show_field token_field(const char *text, size_t *ret_len)
{
	size_t len = 1 + strcspn(text + 1, "}%");

	*ret_len = len + 1;
	if (text[1] == '{' && text[len] == '}')
		for (size_t i = 0; i < SESSION_SHOW_FIELDS; i++)
			if (strncmp(text + 2, field_names[i], strlen(field_names[i])) == 0)
				return (enum session_show_field)i;
	return SESSION_SHOW_FIELDS;
}

static struct cli_show_part *add_part(struct cli_show *show)
{
	show->parts = util_grow(show->parts, &show->cap, show->count + 1, sizeof(*show->parts));
	show->parts[show->count] = (struct cli_show_part){ .precision = SIZE_MAX };
	return &show->parts[show->count++];
}

static void add_literal(struct cli_show *show, const char *text, size_t len)
{
	if (!len)
		return;
	struct cli_show_part *part = add_part(show);

	part->literal = text;
	part->literal_len = len;
}

int cli_show_compile(struct cli_show *show, const char *format, struct diag *diag)
{
	cli_show_release(show);
	show->format = xstrdup(format);

	const char *literal = show->format, *p = show->format;

	while ((p = strchr(p, '%'))) {
		size_t len;

		enum session_show_field field = token_field(p, &len);

		if (field == SESSION_SHOW_FIELDS) {
			p++;
			continue;
		}
		add_literal(show, literal, (size_t)(p - literal));
		struct cli_show_part *part = add_part(show);

		part->field = field;
		show->needs |= SESSION_SHOW_BIT(field);
		int r = parse_token(part, p + 1, len - 1, strlen(field_names[field]), diag);

		if (r < 0)
			return r;
		p += len;
		literal = p;
	}
	add_literal(show, literal, strlen(literal));
	return 0;
}

void cli_show_release(struct cli_show *show)
{
	free(show->format);
	free(show->parts);
	show->format = NULL;
	show->parts = NULL;
	show->count = show->cap = 0;
	show->needs = 0;
}

static const struct {
	const char *name;
	enum cli_color color;
} states[SESSION_STATES] = {
	[SESSION_STATE_NO_REFERENCE] = { "no reference", CLI_RED },
	[SESSION_STATE_JUNCTION] = { "junction", CLI_MAGENTA },
	[SESSION_STATE_WAITING] = { "waiting", CLI_BLUE },
	[SESSION_STATE_FAILED] = { "failed", CLI_RED },
	[SESSION_STATE_CACHED] = { "cached", CLI_MAGENTA },
	[SESSION_STATE_FETCH_NEEDED] = { "fetch needed", CLI_RED },
	[SESSION_STATE_BUILDABLE] = { "buildable", CLI_GREEN },
};

static const char unknown_key[] = "????????????????????????????????????????????????????????????????";

static const char *raw_value(const struct session_element *e, enum session_show_field field)
{
	switch (field) {
	case SESSION_SHOW_NAME:
		return e->name;
	case SESSION_SHOW_KIND:
		return e->kind;
	case SESSION_SHOW_KEY:
	case SESSION_SHOW_FULL_KEY:
		return e->full_key ? e->full_key : unknown_key;
	case SESSION_SHOW_DESCRIPTION:
		return e->description;
	case SESSION_SHOW_STATE:
		return states[e->state].name;
	case SESSION_SHOW_CONFIG:
		return e->config;
	case SESSION_SHOW_VARS:
		return e->vars;
	case SESSION_SHOW_ENV:
		return e->env;
	case SESSION_SHOW_PUBLIC:
		return e->public_data;
	case SESSION_SHOW_WORKSPACED:
		return e->workspace ? "(workspaced)" : "";
	case SESSION_SHOW_WORKSPACE_DIRS:
		return e->workspace;
	case SESSION_SHOW_DEPS:
		return e->deps;
	case SESSION_SHOW_BUILD_DEPS:
		return e->build_deps;
	case SESSION_SHOW_RUNTIME_DEPS:
		return e->runtime_deps;
	case SESSION_SHOW_SOURCE_INFO:
		return e->source_info;
	case SESSION_SHOW_ARTIFACT_CAS_DIGEST:
		return e->artifact_cas_digest;
	case SESSION_SHOW_FIELDS:
		break;
	}
	return NULL;
}

/* The value as text; scratch holds it where it has to be made. */
static const char *field_value(const struct session_element *element, const struct cli_show_part *part, int key_length,
			       struct buf *scratch)
{
	const char *value = raw_value(element, part->field);

	if (!value)
		return "";
	switch ((int)part->field) {
	case SESSION_SHOW_KEY:
		buf_add(scratch, value, MIN(strlen(value), (size_t)MAX(key_length, 0)));
		return buf_text(scratch);
	case SESSION_SHOW_DESCRIPTION: /* on one line: " ".join(splitlines()) */
		buf_adds(scratch, value);
		while (str_ends(buf_text(scratch), "\n"))
			scratch->data[--scratch->len] = '\0';
		for (char *p = scratch->data; p && *p; p++)
			if (*p == '\n')
				*p = ' ';
		return buf_text(scratch);
	case SESSION_SHOW_WORKSPACE_DIRS:
		buf_printf(scratch, "Workspace: %s", value);
		return buf_text(scratch);
	case SESSION_SHOW_DEPS:
	case SESSION_SHOW_BUILD_DEPS:
	case SESSION_SHOW_RUNTIME_DEPS:
		buf_adds(scratch, value);
		while (str_ends(buf_text(scratch), "\n"))
			scratch->data[--scratch->len] = '\0';
		return buf_text(scratch);
	default:
		return value;
	}
}

static struct cli_style field_style(const struct session_element *element, enum session_show_field field)
{
	int8_t dim = element->key_weak || !element->full_key ? 1 : -1;

	switch ((int)field) {
	case SESSION_SHOW_NAME:
		return (struct cli_style){ .color = CLI_BLUE, .bold = 1 };
	case SESSION_SHOW_KIND:
		return (struct cli_style){ .color = CLI_CYAN };
	case SESSION_SHOW_KEY:
	case SESSION_SHOW_FULL_KEY:
	case SESSION_SHOW_DESCRIPTION:
		return (struct cli_style){ .color = CLI_YELLOW, .dim = dim };
	case SESSION_SHOW_STATE:
		return (struct cli_style){ .color = states[element->state].color };
	case SESSION_SHOW_WORKSPACED:
		return (struct cli_style){ .color = CLI_YELLOW };
	default:
		return (struct cli_style){ 0 };
	}
}

static void pad(struct buf *out, const char *fill, size_t count)
{
	while (count--)
		buf_adds(out, fill);
}

/* Python's format() of text. */
static void add_formatted(struct buf *out, const struct cli_show_part *part, const char *value)
{
	_cleanup_buf_ struct buf repr = BUF_INIT;
	size_t bytes = 0, columns = 0;

	if (part->conversion == 'r') {
		cli_repr(&repr, value);
		value = buf_text(&repr);
	}
	if (!part->width && part->precision == SIZE_MAX) {
		buf_adds(out, value);
		return;
	}
	while (value[bytes] && columns < part->precision) {
		bytes += char_len(value + bytes);
		columns++;
	}
	size_t room = part->width > columns ? part->width - columns : 0;
	size_t left = part->align == '>' ? room : part->align == '^' ? room / 2 : 0;

	pad(out, part->fill, left);
	buf_add(out, value, bytes);
	pad(out, part->fill, room - left);
}

void cli_show_element(struct buf *out, const struct cli_show *show, const struct session_element *element, bool colors,
		      int key_length)
{
	for (size_t i = 0; i < show->count; i++) {
		const struct cli_show_part *part = &show->parts[i];
		_cleanup_buf_ struct buf scratch = BUF_INIT, text = BUF_INIT;

		if (part->literal) {
			buf_add(out, part->literal, part->literal_len);
			continue;
		}
		const char *value = field_value(element, part, key_length, &scratch);

		if (!colors) {
			add_formatted(out, part, value);
			continue;
		}
		add_formatted(&text, part, value);
		cli_styled(out, true, field_style(element, part->field), buf_text(&text));
	}
}
