/* Matching is a walk through all ways at once (a set of states per character), behind literal beginnings and ends. */
#include "base/glob.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum token_type { TOKEN_CHAR, TOKEN_ANY, TOKEN_STAR, TOKEN_STARSTAR, TOKEN_CLASS };

struct range {
	uint32_t from, to;
};

struct token {
	enum token_type type;
	uint32_t character;   /* TOKEN_CHAR */
	bool negated;         /* TOKEN_CLASS */
	struct range *ranges; /* TOKEN_CLASS; owned */
	size_t range_count;
};

/* A pattern is literal text, tokens, literal text: the ends are compared first, and the tokens see only what is between. */
struct glob {
	char *prefix, *suffix;
	size_t prefix_len, suffix_len;
	struct token *tokens;
	size_t token_count;
};

struct glob_set {
	struct glob *globs;
	size_t count, cap, most_tokens;
};

/* One code point of text (len_bytes > 0); a byte that begins no UTF-8 sequence counts as itself, out of Unicode's range. */
static size_t decode(const char *text, size_t len_bytes, uint32_t *ret)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t more = s[0] >= 0xf0 && s[0] < 0xf8 ? 3 : s[0] >= 0xe0 && s[0] < 0xf0 ? 2 : s[0] >= 0xc2 && s[0] < 0xe0 ? 1 : 0;
	uint32_t value = s[0] & (0x3fu >> more);

	*ret = s[0];
	if (s[0] < 0x80)
		return 1;
	*ret = 0x110000u + s[0];
	if (!more || more >= len_bytes)
		return 1;
	for (size_t i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 1;
		value = value << 6 | (s[i] & 0x3fu);
	}
	*ret = value;
	return more + 1;
}

static void add_range(struct token *token, uint32_t from, uint32_t to)
{
	token->ranges = xreallocarray(token->ranges, token->range_count + 1, sizeof *token->ranges);
	token->ranges[token->range_count++] = (struct range){ from, to };
}

/* The inside of [...], brackets and '!' taken off. */
static int parse_class(struct token *token, const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint32_t from, to;

		i += decode(text + i, len - i, &from);
		to = from;
		if (i + 1 < len && text[i] == '-') {
			i += 1;
			i += decode(text + i, len - i, &to);
			if (to < from)
				return -EINVAL;
		}
		add_range(token, from, to);
	}
	return 0;
}

/* Length of the class that begins after '[' at text, or 0 if it has no end. */
static size_t class_length(const char *text)
{
	size_t j = text[0] == '!';

	if (text[j] == ']')
		j++;
	while (text[j] && text[j] != ']')
		j++;
	return text[j] ? j : 0;
}

static int next_token(struct token *token, const char **pattern)
{
	const char *p = *pattern;
	size_t len;

	*token = (struct token){ .type = TOKEN_CHAR };
	if (*p == '*') {
		token->type = p[1] == '*' ? TOKEN_STARSTAR : TOKEN_STAR;
		*pattern = p + (p[1] == '*' ? 2 : 1);
		return 0;
	}
	if (*p == '?') {
		token->type = TOKEN_ANY;
		*pattern = p + 1;
		return 0;
	}
	if (*p == '[' && (len = class_length(p + 1))) {
		token->type = TOKEN_CLASS;
		token->negated = p[1] == '!';
		*pattern = p + len + 2;
		return parse_class(token, p + 1 + token->negated, len - token->negated);
	}
	*pattern = p + decode(p, strlen(p), &token->character);
	return 0;
}

static bool is_star(const struct token *token)
{
	return token->type == TOKEN_STAR || token->type == TOKEN_STARSTAR;
}

/* Stars side by side are one star (the wider of them), so that no state has two ways on. */
static bool joined(struct glob *glob, const struct token *token)
{
	struct token *last = glob->token_count ? &glob->tokens[glob->token_count - 1] : NULL;

	if (!last || !is_star(last) || !is_star(token))
		return false;
	if (token->type == TOKEN_STARSTAR)
		last->type = TOKEN_STARSTAR;
	return true;
}

static void release_glob(struct glob *glob)
{
	for (size_t i = 0; i < glob->token_count; i++)
		free(glob->tokens[i].ranges);
	free(glob->tokens);
	free(glob->prefix);
	free(glob->suffix);
}

/* Length of the literal end of pattern, from start on: all after the last star or class that has an end. */
static size_t literal_tail(const char *start)
{
	const char *tail = start;

	for (const char *p = start; *p;) {
		const char *before = p;
		struct token token;
		bool special;

		if (next_token(&token, &p) < 0)
			p = before + 1;
		special = token.type != TOKEN_CHAR;
		free(token.ranges);
		if (special)
			tail = p;
	}
	return strlen(tail);
}

static size_t literal_head(const char *pattern)
{
	size_t len = 0;

	while (pattern[len] && !strchr("*?[", pattern[len]))
		len++;
	if (pattern[len] == '[' && !class_length(pattern + len + 1))
		return len + 1 + literal_head(pattern + len + 1);
	return len;
}

int glob_add(struct glob_set *set, const char *pattern)
{
	struct glob glob = { .prefix_len = literal_head(pattern) };
	const char *p = pattern + glob.prefix_len, *end;
	size_t cap = 0;

	glob.suffix_len = literal_tail(p);
	glob.prefix = xstrndup(pattern, glob.prefix_len);
	end = p + strlen(p) - glob.suffix_len;
	glob.suffix = xstrdup(end);
	while (p < end) {
		struct token token;
		int r = next_token(&token, &p);

		if (r >= 0 && joined(&glob, &token))
			continue;
		glob.tokens = util_grow(glob.tokens, &cap, glob.token_count + 1, sizeof *glob.tokens);
		glob.tokens[glob.token_count++] = token;
		if (r < 0) {
			release_glob(&glob);
			return r;
		}
	}
	set->globs = util_grow(set->globs, &set->cap, set->count + 1, sizeof *set->globs);
	set->globs[set->count++] = glob;
	set->most_tokens = MAX(set->most_tokens, glob.token_count);
	return 0;
}

static bool accepts(const struct token *token, uint32_t c)
{
	switch (token->type) {
	case TOKEN_CHAR:
		return c == token->character;
	case TOKEN_ANY:
	case TOKEN_STAR:
		return c != '/';
	case TOKEN_STARSTAR:
		return true;
	case TOKEN_CLASS:
		for (size_t i = 0; i < token->range_count; i++)
			if (c >= token->ranges[i].from && c <= token->ranges[i].to)
				return !token->negated;
		return token->negated;
	}
	return false;
}

/* States are numbers of tokens behind us; a set of them, in ascending order and without repetition. */
struct states {
	uint32_t *list;
	size_t count;
};

static void enter(struct states *states, const struct glob *glob, uint32_t state)
{
	if (states->count && states->list[states->count - 1] >= state)
		return;
	states->list[states->count++] = state;
	if (state < glob->token_count && is_star(&glob->tokens[state]))
		states->list[states->count++] = state + 1; /* a star may match nothing */
}

/* All ways through the tokens at once: no backtracking, so no pattern is slow. */
static bool run(const struct glob *glob, const char *text, size_t len, struct states now, struct states next)
{
	enter(&now, glob, 0);
	for (size_t at = 0; at < len && now.count;) {
		struct states swap;
		uint32_t c;

		at += decode(text + at, len - at, &c);
		next.count = 0;
		for (size_t i = 0; i < now.count; i++) {
			uint32_t state = now.list[i];

			if (state < glob->token_count && accepts(&glob->tokens[state], c))
				enter(&next, glob, is_star(&glob->tokens[state]) ? state : state + 1);
		}
		swap = now;
		now = next;
		next = swap;
	}
	return now.count && now.list[now.count - 1] == glob->token_count;
}

static bool match_one(const struct glob *glob, const char *text, size_t len)
{
	uint32_t small[2][64];
	struct states now = { small[0] }, next = { small[1] };
	bool matched;

	if (len < glob->prefix_len + glob->suffix_len || memcmp(text, glob->prefix, glob->prefix_len) != 0 ||
	    memcmp(text + len - glob->suffix_len, glob->suffix, glob->suffix_len) != 0)
		return false;
	text += glob->prefix_len;
	len -= glob->prefix_len + glob->suffix_len;
	if (glob->token_count == 0)
		return len == 0;
	if (glob->token_count == 1 && glob->tokens[0].type == TOKEN_STARSTAR)
		return true;
	if (glob->token_count == 1 && glob->tokens[0].type == TOKEN_STAR)
		return !memchr(text, '/', len);
	if (glob->token_count + 2 > ARRAY_SIZE(small[0])) {
		now.list = xmalloc((glob->token_count + 2) * sizeof(uint32_t));
		next.list = xmalloc((glob->token_count + 2) * sizeof(uint32_t));
	}
	matched = run(glob, text, len, now, next);
	if (now.list != small[0]) {
		free(now.list);
		free(next.list);
	}
	return matched;
}

struct glob_set *glob_new(void)
{
	return xcalloc(1, sizeof(struct glob_set));
}

bool glob_match(const struct glob_set *set, const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < set->count; i++)
		if (match_one(&set->globs[i], text, len))
			return true;
	return false;
}

void glob_free(struct glob_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->count; i++)
		release_glob(&set->globs[i]);
	free(set->globs);
	free(set);
}
