/* JSON texts as flat lists of facts: see facts.h. */
#include "session/facts.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 2000 };

struct scan {
	struct facts *facts;
	struct arena *arena;
	const char *at;
	struct buf path;
	unsigned depth;
};

void facts_add(struct facts *facts, const char *path, const char *value)
{
	facts->items = util_grow(facts->items, &facts->cap, facts->count + 1, sizeof(*facts->items));
	facts->items[facts->count++] = (struct fact){ path, value };
}

/* Where the string that begins at text ends: behind its closing quote, or NULL. */
static const char *string_end(const char *text)
{
	for (text++; *text && *text != '"'; text++)
		if (*text == '\\' && !*++text)
			return NULL;
	return *text ? text + 1 : NULL;
}

static const char *scalar_end(const char *text)
{
	return *text == '"' ? string_end(text) : text + strcspn(text, ",]}");
}

static bool scan_value(struct scan *scan);

static bool scan_map(struct scan *scan)
{
	size_t base = scan->path.len;

	for (scan->at++; *scan->at == '"'; scan->at += *scan->at == ',') {
		const char *end = string_end(scan->at);

		if (!end || *end != ':')
			return false;
		if (base)
			buf_addc(&scan->path, '.');
		buf_add(&scan->path, scan->at + 1, (size_t)(end - scan->at) - 2);
		scan->at = end + 1;
		if (!scan_value(scan))
			return false;
		scan->path.len = base;
		scan->path.data[base] = '\0';
	}
	return *scan->at++ == '}';
}

/* ["project","element"] or ["project","element","key"] */
static bool scan_dependency(struct scan *scan)
{
	const char *parts[3] = { 0 }, *end;
	size_t lens[3] = { 0 };

	for (unsigned i = 0; i < 3 && *++scan->at == '"'; i++) {
		if (!(end = string_end(scan->at)))
			return false;
		parts[i] = scan->at + 1;
		lens[i] = (size_t)(end - scan->at) - 2;
		scan->at = end;
	}
	if (!parts[1] || *scan->at++ != ']')
		return false;
	facts_add(scan->facts,
		  arena_printf(scan->arena, "dependencies.%.*s:%.*s", (int)lens[0], parts[0], (int)lens[1], parts[1]),
		  arena_strndup(scan->arena, parts[2] ? parts[2] : "", lens[2]));
	return true;
}

static bool scan_list(struct scan *scan)
{
	bool dependencies = strcmp(buf_text(&scan->path), "dependencies") == 0;
	size_t base = scan->path.len;

	scan->at++;
	for (unsigned i = 0; *scan->at && *scan->at != ']'; i++) {
		if (dependencies && *scan->at == '[') {
			if (!scan_dependency(scan))
				return false;
		} else {
			buf_printf(&scan->path, "[%u]", i);
			if (!scan_value(scan))
				return false;
			scan->path.len = base;
			scan->path.data[base] = '\0';
		}
		scan->at += *scan->at == ',';
	}
	return *scan->at++ == ']';
}

static bool scan_value(struct scan *scan)
{
	const char *end;
	bool good;

	if (*scan->at == '{' || *scan->at == '[') {
		if (++scan->depth > DEPTH_MAX)
			return false;
		good = *scan->at == '{' ? scan_map(scan) : scan_list(scan);
		scan->depth--;
		return good;
	}
	end = scalar_end(scan->at);
	if (!end || end == scan->at)
		return false;
	facts_add(scan->facts, arena_strdup(scan->arena, buf_text(&scan->path)),
		  arena_strndup(scan->arena, scan->at, (size_t)(end - scan->at)));
	scan->at = end;
	return true;
}

void facts_add_json(struct facts *facts, struct arena *arena, const char *prefix, const char *json)
{
	struct scan scan = { .facts = facts, .arena = arena, .at = json };

	buf_adds(&scan.path, prefix);
	scan_value(&scan);
	buf_release(&scan.path);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct fact *)a)->path, ((const struct fact *)b)->path);
}

void facts_sort(struct facts *facts)
{
	if (facts->count)
		qsort(facts->items, facts->count, sizeof(*facts->items), by_path);
}

void facts_release(struct facts *facts)
{
	free(facts->items);
	*facts = (struct facts){ 0 };
}

void facts_compare(const struct facts *before, const struct facts *after,
		   void (*fn)(void *data, const char *path, const char *before, const char *after), void *data)
{
	size_t b = 0, a = 0;

	while (b < before->count || a < after->count) {
		int order = b == before->count ? 1 :
			    a == after->count  ? -1 :
						 strcmp(before->items[b].path, after->items[a].path);

		if (order < 0)
			fn(data, before->items[b].path, before->items[b].value, NULL);
		else if (order > 0)
			fn(data, after->items[a].path, NULL, after->items[a].value);
		else if (strcmp(before->items[b].value, after->items[a].value) != 0)
			fn(data, after->items[a].path, before->items[b].value, after->items[a].value);
		b += order <= 0;
		a += order >= 0;
	}
}
