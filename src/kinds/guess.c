/* Versions read out of URLs and tags: the peer's utils.guess_version, and collect_manifest's own way to look for them. */
#include "kinds/kinds_internal.h"

#include <string.h>

#include "base/pattern.h"

/* What the groups of a match captured, joined; *count is their number.  Without groups: the whole match, as one. */
static const char *join(struct arena *arena, const struct pattern *pattern, const char *text,
			const struct pattern_match *match, size_t *count)
{
	size_t first = pattern_groups(pattern) ? 1 : 0, last = MAX(pattern_groups(pattern), first);
	_cleanup_buf_ struct buf out = BUF_INIT;

	*count = 0;
	for (size_t i = first; i <= last; i++) {
		if (match->from[i] == SIZE_MAX)
			continue;
		if ((*count)++)
			buf_addc(&out, '.');
		buf_add(&out, text + match->from[i], match->to[i] - match->from[i]);
	}
	return arena_strndup(arena, buf_text(&out), out.len);
}

static const char *search(struct arena *arena, const char *text, const char *expression, bool first_only)
{
	struct pattern *pattern = pattern_new(expression);
	const char *best = NULL;
	size_t best_count = 0, count, len = strlen(text);
	struct pattern_match match;

	for (size_t from = 0; pattern && from <= len && pattern_search(pattern, text, from, &match);) {
		const char *found = join(arena, pattern, text, &match, &count);

		if (!best || count > best_count) {
			best = found;
			best_count = count;
		}
		if (first_only)
			break;
		from = match.to[0] > match.from[0] ? match.to[0] : match.to[0] + 1;
	}
	pattern_free(pattern);
	return best;
}

const char *kinds_guess_version(struct arena *arena, const char *text, const char *pattern)
{
	return search(arena, text, pattern ? pattern : "(\\d+)\\.(\\d+)(?:\\.(\\d+))?", false);
}

const char *kinds_first_version(struct arena *arena, const char *text, const char *pattern)
{
	return search(arena, text, pattern ? pattern : "\\d+\\.\\d+(?:\\.\\d+)?", true);
}
