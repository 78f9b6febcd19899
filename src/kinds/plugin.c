/* Which release a plugin's Python file comes from, and what of its text reaches keys: see kinds.h. */
#include "kinds/kinds_internal.h"

#include <stdlib.h>
#include <string.h>

static const struct known {
	uint64_t digest; /* first 8 bytes of the file's SHA-256 */
	bool is_source;
	const char *kind, *package;
	uint32_t behaviour;
} known_plugins[] = {
#include "kinds/known_plugins.h"
};

static int order_known(const void *key, const void *entry)
{
	uint64_t wanted = *(const uint64_t *)key, has = ((const struct known *)entry)->digest;

	return (wanted > has) - (wanted < has);
}

static const struct known *find_known(bool is_source, const char *kind, const char *text, size_t len)
{
	uint8_t hash[DIGEST_BYTES];
	const struct known *found;
	uint64_t digest = 0;

	digest_sha256(hash, text, len);
	for (int i = 0; i < 8; i++)
		digest = digest << 8 | hash[i];
	found = bsearch(&digest, known_plugins, ARRAY_SIZE(known_plugins), sizeof(known_plugins[0]), order_known);
	return found && found->is_source == is_source && strcmp(found->kind, kind) == 0 ? found : NULL;
}

/* ---- the scanner: just enough Python to find `NAME = "text"` and `get_str("url", "text"` */

struct text {
	const char *at, *end;
};

static void skip_blanks(struct text *text)
{
	while (text->at < text->end && strchr(" \t\r\n\\", *text->at))
		text->at++;
}

static bool is_name(char c)
{
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Goes behind word if the text starts with it, blanks aside.  A double quote in word stands for either quote. */
static bool take(struct text *text, const char *word)
{
	struct text at = *text;

	skip_blanks(&at);
	for (; *word; word++, at.at++)
		if (at.at == at.end || (*at.at != *word && !(*word == '"' && *at.at == '\'')))
			return false;
	*text = at;
	return true;
}

/* A string literal without prefix and escapes, or NULL. */
static const char *take_literal(struct text *text, struct arena *arena)
{
	const char *close;

	skip_blanks(text);
	if (text->at == text->end || (*text->at != '"' && *text->at != '\''))
		return NULL;
	close = memchr(text->at + 1, *text->at, (size_t)(text->end - text->at - 1));
	if (!close || memchr(text->at, '\\', (size_t)(close - text->at)) ||
	    memchr(text->at, '\n', (size_t)(close - text->at)))
		return NULL;
	return arena_strndup(arena, text->at + 1, (size_t)(close - text->at - 1));
}

/* The literal behind words, which follow upon one another; the first place where that is so. */
static const char *find_literal(struct arena *arena, const char *py, size_t len, const char *const *words)
{
	size_t first = strlen(words[0]);
	const char *end = py + len, *hit = py;

	while ((hit = memmem(hit, (size_t)(end - hit), words[0], first))) {
		struct text text = { hit + first, end };
		bool matches = (hit == py || !is_name(hit[-1]));
		const char *literal;

		for (const char *const *word = words + 1; matches && *word; word++)
			matches = take(&text, *word);
		literal = matches ? take_literal(&text, arena) : NULL;
		if (literal)
			return literal;
		hit += first;
	}
	return NULL;
}

static const char *default_url(struct arena *arena, bool is_source, const char *kind, const char *py, size_t len)
{
	static const char *const get_url[] = { "get_str", "(", "\"url\"", ",", NULL };
	static const char *const docker[] = { "_DOCKER_HUB_URL", "=", NULL };
	static const char *const pip[] = { "_PYPI_INDEX_URL", "=", NULL };
	static const struct {
		const char *kind;
		const char *const *words;
	} kinds[] = { { "cargo", get_url }, { "cargo2", get_url }, { "docker", docker }, { "pip", pip } };

	for (size_t i = 0; is_source && i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return find_literal(arena, py, len, kinds[i].words);
	return NULL;
}

/* `    BST_ARTIFACT_VERSION = 4`; -1 if there is no such line. */
static int64_t artifact_version(const char *py, size_t len)
{
	static const char name[] = "BST_ARTIFACT_VERSION";
	const char *end = py + len, *hit = py;

	while ((hit = memmem(hit, (size_t)(end - hit), name, sizeof(name) - 1))) {
		struct text text = { hit + sizeof(name) - 1, end };
		int64_t value = 0;

		hit = text.at;
		if (!take(&text, "="))
			continue;
		skip_blanks(&text);
		if (text.at == text.end || *text.at < '0' || *text.at > '9')
			continue;
		while (text.at < text.end && *text.at >= '0' && *text.at <= '9' && value < UINT32_MAX / 10)
			value = value * 10 + (*text.at++ - '0');
		return value;
	}
	return -1;
}

/* The message of `BST_PLUGIN_DEPRECATED = True`; NULL if it is not. */
static const char *deprecation(struct arena *arena, const char *py, size_t len)
{
	static const char *const message[] = { "BST_PLUGIN_DEPRECATION_MESSAGE", "=", NULL };
	static const char name[] = "BST_PLUGIN_DEPRECATED";
	const char *end = py + len, *hit = memmem(py, len, name, sizeof(name) - 1), *said;
	struct text text = { hit ? hit + sizeof(name) - 1 : end, end };

	if (!hit || !take(&text, "="))
		return NULL;
	skip_blanks(&text);
	if (!take(&text, "True"))
		return NULL;
	said = find_literal(arena, py, len, message);
	return said ? said : "";
}

static bool is_unstable(bool is_source, const char *kind)
{
	const struct kinds_source *source = is_source ? kinds_find_source(kind) : NULL;
	const struct kinds_element *element = is_source ? NULL : kinds_find_element(kind);

	return (source && (source->flags & KINDS_SOURCE_UNSTABLE)) || (element && (element->flags & KINDS_UNSTABLE));
}

/* A copy that somebody changed or reformatted is still told from its older releases by what it mentions; -1: it is not. */
static int by_words(bool is_source, const char *kind, const char *py, size_t len)
{
	static const struct {
		const char *kind, *word;
		int without; /* the behaviour of a plugin that does not have the word */
	} words[] = {
		{ "collect_manifest", "use-source-provenance", KINDS_MANIFEST_PLAIN },
		{ "collect_manifest", "source_location[\"x-cpe\"]", KINDS_MANIFEST_BARE },
	};
	int ret = -1;

	for (size_t i = 0; !is_source && i < ARRAY_SIZE(words); i++) {
		if (strcmp(words[i].kind, kind) != 0)
			continue;
		if (!memmem(py, len, words[i].word, strlen(words[i].word)))
			return words[i].without;
		ret = 0;
	}
	return ret;
}

void kinds_plugin_identify(struct kinds_plugin *ret, struct arena *arena, bool is_source, const char *kind,
			   const char *py_text, size_t py_len)
{
	const struct known *known = find_known(is_source, kind, py_text, py_len);
	int guessed;

	*ret = (struct kinds_plugin){ .kind = arena_strdup(arena, kind) };
	if (known) {
		ret->state = KINDS_PLUGIN_KNOWN;
		ret->package = known->package;
		ret->behaviour = known->behaviour;
	} else if ((guessed = by_words(is_source, kind, py_text, py_len)) >= 0) {
		ret->state = KINDS_PLUGIN_STABLE;
		ret->behaviour = (uint32_t)guessed;
	} else {
		ret->state = is_unstable(is_source, kind) ? KINDS_PLUGIN_UNSTABLE : KINDS_PLUGIN_STABLE;
	}
	ret->artifact_version = is_source ? -1 : artifact_version(py_text, py_len);
	ret->deprecated = deprecation(arena, py_text, py_len);
	ret->default_url = default_url(arena, is_source, kind, py_text, py_len);
}
