/* Versions read out of URLs and tags: the peer's utils.guess_version with POSIX's regular expressions.
 *
 * Python's syntax is translated: \d, (?:...) and (?P<name>...) have no counterpart, the rest that such patterns use is
 * common to both.  POSIX takes the longest match where Python takes the first alternative that matches; patterns for
 * versions rarely tell the two apart.
 */
#include "kinds/kinds_internal.h"

#include <ctype.h>
#include <regex.h>
#include <string.h>

enum { PATTERN_MAX = 1024, GROUPS_MAX = 32 };

struct translation {
	struct buf text;
	bool captures[GROUPS_MAX]; /* by POSIX group number; 0 is the whole match */
	size_t groups;             /* POSIX groups */
	bool in_set;
};

/* After "(": which sort of group?  Returns what to skip, or -1 for what POSIX has not. */
static int open_group(struct translation *t, const char *p)
{
	const char *end;

	if (++t->groups >= GROUPS_MAX)
		return -1;
	buf_addc(&t->text, '(');
	t->captures[t->groups] = true;
	if (*p != '?')
		return 0;
	if (p[1] == ':') {
		t->captures[t->groups] = false;
		return 2;
	}
	end = p[1] == 'P' && p[2] == '<' ? strchr(p, '>') : NULL;
	return end ? (int)(end + 1 - p) : -1;
}

static int escape(struct translation *t, char c)
{
	if (c == 'd') {
		buf_adds(&t->text, t->in_set ? "0-9" : "[0-9]");
	} else if (t->in_set && isalpha((unsigned char)c)) {
		return -1; /* \w and such inside a set */
	} else if (c == '\0' || isdigit((unsigned char)c) || (isalpha((unsigned char)c) && !strchr("wWsSbB", c))) {
		return -1;
	} else {
		/* Inside a POSIX set a backslash is itself; outside only special characters may have one. */
		if (!t->in_set && (isalpha((unsigned char)c) || strchr(".[]{}()*+?^$|\\", c)))
			buf_addc(&t->text, '\\');
		buf_addc(&t->text, c);
	}
	return 0;
}

static int translate(struct translation *t, const char *p)
{
	for (; *p; p++) {
		bool repeats = strchr("*+?}", *p) != NULL;
		int skip;

		if (*p == '\\') {
			if (escape(t, *++p) < 0)
				return -1;
			continue;
		}
		if (!t->in_set && *p == '(') {
			skip = open_group(t, p + 1);
			if (skip < 0)
				return -1;
			p += skip;
			continue;
		}
		if (!t->in_set && repeats && (p[1] == '?' || p[1] == '+'))
			return -1; /* lazy, possessive */
		if (t->in_set ? *p == ']' : *p == '[')
			t->in_set = !t->in_set;
		buf_addc(&t->text, *p);
	}
	return 0;
}

/* The captured groups of one match; their number is 0 if nothing was captured. */
static size_t join(const struct translation *t, const char *text, const regmatch_t *match, struct buf *out)
{
	size_t count = 0;

	for (size_t i = 1; i <= t->groups; i++) {
		if (!t->captures[i] || match[i].rm_so < 0)
			continue;
		if (count++)
			buf_addc(out, '.');
		buf_add(out, text + match[i].rm_so, (size_t)(match[i].rm_eo - match[i].rm_so));
	}
	return count;
}

static bool captures_any(const struct translation *t)
{
	for (size_t i = 1; i <= t->groups; i++)
		if (t->captures[i])
			return true;
	return false;
}

static const char *best_match(struct arena *arena, const struct translation *t, const regex_t *regex, const char *text,
			      bool first_only)
{
	bool whole = !captures_any(t);
	regmatch_t match[GROUPS_MAX];
	const char *best = NULL;
	size_t best_groups = 0;

	for (int flags = 0; regexec(regex, text, t->groups + 1, match, flags) == 0; flags = REG_NOTBOL) {
		_cleanup_buf_ struct buf found = BUF_INIT;
		size_t groups = join(t, text, match, &found);

		if (whole) {
			groups = 1;
			buf_add(&found, text + match[0].rm_so, (size_t)(match[0].rm_eo - match[0].rm_so));
		}
		if (!best || groups > best_groups) {
			best = arena_strndup(arena, buf_text(&found), found.len);
			best_groups = groups;
		}
		if (first_only)
			break;
		text += match[0].rm_eo;
		if (match[0].rm_eo == match[0].rm_so && !*text++)
			break;
	}
	return best;
}

static const char *search(struct arena *arena, const char *text, const char *pattern, bool first_only)
{
	struct translation t = { .text = BUF_INIT };
	const char *ret = NULL;
	regex_t regex;

	if (strlen(pattern) <= PATTERN_MAX && translate(&t, pattern) == 0 &&
	    regcomp(&regex, buf_text(&t.text), REG_EXTENDED) == 0) {
		ret = best_match(arena, &t, &regex, text, first_only);
		regfree(&regex);
	}
	buf_release(&t.text);
	return ret;
}

const char *kinds_guess_version(struct arena *arena, const char *text, const char *pattern)
{
	return search(arena, text, pattern ? pattern : "(\\d+)\\.(\\d+)(?:\\.(\\d+))?", false);
}

const char *kinds_first_version(struct arena *arena, const char *text, const char *pattern)
{
	return search(arena, text, pattern ? pattern : "\\d+\\.\\d+(?:\\.\\d+)?", true);
}
