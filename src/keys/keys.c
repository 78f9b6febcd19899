/* Cache keys: see keys.h.
 *
 * The text of a key is
 *   {"core-artifact-version":11,"dependencies":[...],"element-base-key":... ,"sources":[...],"weak-cache-key":"..."}
 * Its middle, from "element-base-key" on, is the same in an element's weak, strict and strong key: it is rendered once
 * (`body`) and hashed two or three times; the lists of dependencies in front of it are made in one walk over the build
 * scope.
 */
#include "keys/keys_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "kinds/kinds.h"

/* _versions.py BST_CORE_ARTIFACT_VERSION */
#define HEAD "{\"core-artifact-version\":11,\"dependencies\":["

static struct keys_name keep(struct keys *keys, struct buf *text, size_t spare_bytes)
{
	struct keys_name name = { arena_bytes(&keys->arena, text->len + spare_bytes), (uint32_t)text->len };

	memcpy(name.text, buf_text(text), text->len);
	buf_clear(text);
	return name;
}

static void render_warnings(struct keys *keys)
{
	const struct graph *graph = keys->graph;
	struct buf _cleanup_buf_ text = BUF_INIT;

	keys->warnings = ARENA_ARRAY(&keys->arena, struct keys_name, graph->project_count);
	for (uint32_t i = 0; i < graph->project_count; i++) {
		buf_addc(&text, '[');
		for (uint32_t k = 0; k < graph->projects[i].fatal_warning_count; k++) {
			json_comma(&text);
			json_str(&text, graph->projects[i].fatal_warnings[k]);
		}
		buf_addc(&text, ']');
		keys->warnings[i] = keep(keys, &text, 0);
	}
}

/* Dependencies first, as a walk gives them. */
static uint32_t *walk_order(const struct graph *graph)
{
	uint32_t count = graph->element_count;
	uint32_t *all = xreallocarray(NULL, (size_t)count + 1, sizeof(*all));
	struct graph_walk walk = { 0 };

	for (uint32_t i = 0; i < count; i++)
		all[i] = i;
	graph_walk_targets(&walk, graph, all, count, GRAPH_SCOPE_ALL);
	assert(walk.count == count);
	if (count)
		memcpy(all, walk.ids, count * sizeof(*all));
	graph_walk_release(&walk);
	return all;
}

/* The same by levels: elements of one level do not need each other, so that threads seldom wait. */
static uint32_t *find_order(const struct graph *graph)
{
	uint32_t count = graph->element_count, highest = 0;
	_cleanup_free_ uint32_t *walked = walk_order(graph);
	_cleanup_free_ uint32_t *levels = xcalloc((size_t)count + 1, sizeof(*levels));
	_cleanup_free_ uint32_t *starts = NULL;
	uint32_t *order = xreallocarray(NULL, (size_t)count + 1, sizeof(*order));

	for (uint32_t i = 0; i < count; i++) {
		const struct graph_element *element = &graph->elements[walked[i]];
		uint32_t level = 0;

		for (uint32_t k = 0; k < element->dep_count; k++)
			level = MAX(level, levels[element->deps[k].element] + 1);
		levels[walked[i]] = level;
		highest = MAX(highest, level);
	}
	starts = xcalloc((size_t)highest + 2, sizeof(*starts));
	for (uint32_t i = 0; i < count; i++)
		starts[levels[i] + 1]++;
	for (uint32_t i = 0; i <= highest; i++)
		starts[i + 1] += starts[i];
	for (uint32_t i = 0; i < count; i++)
		order[starts[levels[walked[i]]]++] = walked[i];
	return order;
}

void keys_scratch_init(struct keys_scratch *scratch, size_t count)
{
	*scratch = (struct keys_scratch){ 0 };
	scratch->scope = xreallocarray(NULL, count + 1, sizeof(uint32_t));
	scratch->marks = xcalloc(count + 1, sizeof(uint32_t));
	scratch->strict_marks = xcalloc(count + 1, sizeof(uint32_t));
	scratch->stack = xreallocarray(NULL, count + 1, sizeof(*scratch->stack));
}

void keys_scratch_release(struct keys_scratch *scratch)
{
	for (size_t i = 0; i < ARRAY_SIZE(scratch->deps); i++)
		buf_release(&scratch->deps[i]);
	buf_release(&scratch->body);
	keys_cache_release(&scratch->cache);
	free(scratch->stack);
	free(scratch->strict_marks);
	free(scratch->marks);
	free(scratch->scope);
}

struct keys *keys_begin(const struct graph *graph, size_t most_deps)
{
	struct keys *keys = xcalloc(1, sizeof(*keys));
	size_t count = graph->element_count;

	keys->graph = graph;
	keys->count = graph->element_count;
	keys->names = ARENA_ARRAY(&keys->arena, struct keys_name, count);
	keys->order = xreallocarray(NULL, count + 1, sizeof(*keys->order));
	keys->run = xcalloc(count + 1, sizeof(*keys->run));
	keys->run_deps = xreallocarray(NULL, most_deps + 1, sizeof(*keys->run_deps));
	keys->most_deps = most_deps;
	keys_scratch_init(&keys->scratch, count);
	render_warnings(keys);
	return keys;
}

void keys_feed(struct keys *keys, uint32_t id)
{
	const struct graph *graph = keys->graph;
	const struct graph_element *element = &graph->elements[id];
	uint32_t fed = atomic_load_explicit(&keys->fed, memory_order_relaxed), at = keys->run_count;

	assert(fed < keys->count && id < keys->count && element->dep_count <= keys->most_deps - keys->all_deps);
	keys->all_deps += element->dep_count;
	buf_addc(&keys->text, '[');
	json_str(&keys->text, graph->projects[element->project].name);
	buf_addc(&keys->text, ',');
	json_str(&keys->text, element->name);
	keys->names[id] = keep(keys, &keys->text, KEYS_TAIL_BYTES);
	for (uint32_t k = 0; k < element->dep_count; k++)
		if (element->deps[k].type & GRAPH_RUNTIME)
			keys->run_deps[keys->run_count++] = element->deps[k].element;
	keys->run[id] = (struct keys_range){ at, keys->run_count };
	keys->order[fed] = id;
	atomic_store_explicit(&keys->fed, fed + 1, memory_order_release);
}

struct keys *keys_new(const struct graph *graph)
{
	_cleanup_free_ uint32_t *order = find_order(graph);
	struct keys *keys;
	size_t deps = 0;

	for (uint32_t i = 0; i < graph->element_count; i++)
		deps += graph->elements[i].dep_count;
	keys = keys_begin(graph, deps);
	for (uint32_t i = 0; i < graph->element_count; i++)
		keys_feed(keys, order[i]);
	return keys;
}

void keys_free(struct keys *keys)
{
	if (!keys)
		return;
	keys_team_stop(keys);
	keys_scratch_release(&keys->scratch);
	buf_release(&keys->text);
	free(keys->run_deps);
	free(keys->run);
	free(keys->order);
	arena_release(&keys->arena);
	free(keys);
}

/* ---- the middle of the text */

static bool is_nocache(const struct graph_element *element, const char *name)
{
	for (uint32_t i = 0; i < element->environment_nocache_count; i++)
		if (strcmp(element->environment_nocache[i], name) == 0)
			return true;
	return false;
}

static void add_environment(struct buf *out, const struct graph_element *element)
{
	buf_adds(out, ",\"environment\":{");
	for (uint32_t i = 0; i < element->environment_count; i++) {
		if (is_nocache(element, element->environment[i].name))
			continue;
		json_member(out, element->environment[i].name);
		json_str(out, element->environment[i].value);
	}
	buf_addc(out, '}');
}

static void add_sandbox(struct buf *out, const struct graph_sandbox *sandbox)
{
	buf_adds(out, ",\"sandbox\":{\"build-arch\":");
	json_str(out, sandbox->build_arch);
	if (sandbox->build_gid >= 0) {
		buf_adds(out, ",\"build-gid\":");
		json_int(out, sandbox->build_gid);
	}
	buf_adds(out, ",\"build-os\":");
	json_str(out, sandbox->build_os);
	if (sandbox->build_uid >= 0) {
		buf_adds(out, ",\"build-uid\":");
		json_int(out, sandbox->build_uid);
	}
	if (sandbox->remote_apis_socket) {
		buf_adds(out, ",\"remote-apis-socket\":{");
		if (sandbox->action_cache_enable_update)
			buf_adds(out, "\"action-cache-enable-update\":true,");
		buf_adds(out, "\"path\":");
		json_str(out, sandbox->remote_apis_socket);
		buf_addc(out, '}');
	}
	buf_addc(out, '}');
}

static const char *source_key(const struct keys *keys, const struct keys_view *view, uint32_t id, uint32_t i,
			      uint32_t *ret_len)
{
	const struct graph_source *source = &keys->graph->elements[id].sources[i];

	if (view && view->source_key)
		return view->source_key(view->data, id, i, ret_len);
	*ret_len = source->key_json_len;
	return source->key_json;
}

/* The list of sources; false if one has no ref. */
static bool add_sources(const struct keys *keys, const struct keys_view *view, uint32_t id, struct buf *out)
{
	const struct graph_element *element = &keys->graph->elements[id];

	buf_addc(out, '[');
	for (uint32_t i = 0; i < element->source_count; i++) {
		uint32_t len = 0;
		const char *key = source_key(keys, view, id, i, &len);

		if (!key)
			return false;
		buf_adds(out, i ? ",{" : "{");
		if (element->sources[i].directory && *element->sources[i].directory) {
			buf_adds(out, "\"directory\":");
			json_str(out, element->sources[i].directory);
			buf_addc(out, ',');
		}
		buf_adds(out, "\"key\":");
		buf_add(out, key, len);
		buf_adds(out, ",\"name\":");
		json_str(out, element->sources[i].ops->name);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
	return true;
}

/* All from "element-base-key" to "sources", into scratch->body; false if a source has no ref. */
bool keys_render_body(const struct keys *keys, struct keys_scratch *scratch, const struct keys_view *view, uint32_t id)
{
	const struct graph_element *element = &keys->graph->elements[id];
	const struct keys_name *warnings = &keys->warnings[element->project];
	bool runs = kinds_runs_commands(element);
	struct buf *out = &scratch->body;

	buf_clear(out);
	buf_adds(out, "],\"element-base-key\":{\"build-root\":");
	json_str(out, graph_variable(element, "build-root"));
	buf_adds(out, "},\"element-plugin-key\":");
	kinds_element_key(element, out);
	buf_adds(out, ",\"element-plugin-name\":");
	json_str(out, element->ops->name);
	buf_adds(out, ",\"element-plugin-version\":");
	json_int(out, kinds_artifact_version(element));
	if (runs)
		add_environment(out, element);
	buf_adds(out, ",\"fatal-warnings\":");
	buf_add(out, warnings->text, warnings->len_bytes);
	buf_adds(out, ",\"public\":");
	keys_json_public(&scratch->cache, out, element->public_data);
	if (runs)
		add_sandbox(out, &element->sandbox);
	buf_adds(out, ",\"sources\":");
	return add_sources(keys, view, id, out);
}

/* ---- dependencies */

static void add_dep(struct buf *out, const struct keys_name *name, const struct key *key)
{
	if (out->len && out->data[out->len - 1] == ']')
		buf_addc(out, ',');
	buf_add(out, name->text, name->len_bytes);
	if (key) {
		char *to = buf_room(out, DIGEST_HEX + 5);
		char hex[DIGEST_HEX + 1];

		digest_to_hex(hex, key->hash);
		memcpy(to, ",\"", 2);
		memcpy(to + 2, hex, DIGEST_HEX);
		memcpy(to + 2 + DIGEST_HEX, "\"]", 3);
		out->len += DIGEST_HEX + 4;
	} else {
		buf_addc(out, ']');
	}
}

static void render_tail(const struct keys *keys, uint32_t id, const struct key *strict)
{
	char *to = keys->names[id].text + keys->names[id].len_bytes, hex[DIGEST_HEX + 1];

	digest_to_hex(hex, strict->hash);
	memcpy(to, ",\"", 2);
	memcpy(to + 2, hex, DIGEST_HEX);
	memcpy(to + 2 + DIGEST_HEX, "\"],", 3);
}

static void mark_strict(const struct keys *keys, struct keys_scratch *scratch, uint32_t id)
{
	const struct graph_element *element = &keys->graph->elements[id];

	for (uint32_t i = 0; i < element->dep_count; i++)
		if (element->deps[i].strict)
			scratch->strict_marks[element->deps[i].element] = id + 1;
}

/* Post-order over runtime dependencies from an element that is marked already. */
static void descend(const struct keys *keys, struct keys_scratch *scratch, uint32_t start)
{
	struct keys_frame *top = scratch->stack;

	*top = (struct keys_frame){ start, keys->run[start].from };
	while (top >= scratch->stack) {
		if (top->next == keys->run[top->element].to) {
			scratch->scope[scratch->scope_count++] = top->element;
			top--;
		} else {
			uint32_t dep = keys->run_deps[top->next++];

			if (scratch->marks[dep] == scratch->mark)
				continue;
			scratch->marks[dep] = scratch->mark;
			*++top = (struct keys_frame){ dep, keys->run[dep].from };
		}
	}
}

/* The peer's BUILD scope, as graph_walk_scope gives it. */
static void walk_scope(const struct keys *keys, struct keys_scratch *scratch, uint32_t id)
{
	const struct graph_element *element = &keys->graph->elements[id];

	if (++scratch->mark == 0) { /* wrapped */
		memset(scratch->marks, 0, keys->count * sizeof(*scratch->marks));
		scratch->mark = 1;
	}
	scratch->scope_count = 0;
	for (uint32_t i = 0; i < element->dep_count; i++) {
		uint32_t dep = element->deps[i].element;

		if (!(element->deps[i].type & GRAPH_BUILD) || scratch->marks[dep] == scratch->mark)
			continue;
		scratch->marks[dep] = scratch->mark;
		descend(keys, scratch, dep);
	}
}

/* Which of the strengths can be known at all, and whether strong must be computed apart from strict. */
struct known {
	bool weak, strict, strong, strong_differs;
};

/* The usual case, in which nobody is strict about anything and strong is strict: just copying.  False: it is another. */
static bool copy_deps(const struct keys *keys, struct keys_scratch *scratch, uint32_t id)
{
	struct buf *weak = &scratch->deps[KEYS_WEAK], *strict = &scratch->deps[KEYS_STRICT];
	size_t most = 0;
	char *w, *s;

	for (uint32_t i = 0; i < scratch->scope_count; i++) {
		if (scratch->strict_marks[scratch->scope[i]] == id + 1)
			return false;
		most += keys->names[scratch->scope[i]].len_bytes + (size_t)KEYS_TAIL_BYTES;
	}
	w = buf_room(weak, most);
	s = buf_room(strict, most);
	for (uint32_t i = 0; i < scratch->scope_count; i++) {
		const struct keys_name *name = &keys->names[scratch->scope[i]];

		memcpy(w, name->text, name->len_bytes);
		memcpy(w + name->len_bytes, "],", 2);
		w += name->len_bytes + 2;
		memcpy(s, name->text, name->len_bytes + (size_t)KEYS_TAIL_BYTES);
		s += name->len_bytes + (size_t)KEYS_TAIL_BYTES;
	}
	/* without the last comma */
	weak->len = (size_t)(w - weak->data) - (scratch->scope_count > 0);
	strict->len = (size_t)(s - strict->data) - (scratch->scope_count > 0);
	return true;
}

static bool all_known(const struct keys_scratch *scratch, const struct keys_of_element *all)
{
	for (uint32_t i = 0; i < scratch->scope_count; i++)
		if (!key_known(&all[scratch->scope[i]].strict))
			return false;
	return true;
}

/* One walk over the build scope fills all three lists. */
static struct known render_deps(const struct keys *keys, struct keys_scratch *scratch, uint32_t id, bool non_strict,
				const struct keys_of_element *all)
{
	struct known known = { true, true, true, false };
	bool always = keys->graph->elements[id].ops->flags & KINDS_STRICT_REBUILD;

	assert(all);
	for (size_t i = 0; i < ARRAY_SIZE(scratch->deps); i++) {
		buf_clear(&scratch->deps[i]);
		buf_adds(&scratch->deps[i], HEAD);
	}
	mark_strict(keys, scratch, id);
	walk_scope(keys, scratch, id);
	if (keys->have_tails && !non_strict && !always && all_known(scratch, all) && copy_deps(keys, scratch, id))
		return known;
	for (uint32_t i = 0; i < scratch->scope_count; i++) {
		uint32_t dep = scratch->scope[i];
		bool with_key = always || scratch->strict_marks[dep] == id + 1;
		const struct keys_of_element *has = &all[dep];

		if (with_key && !key_known(&has->weak))
			known.weak = false;
		known.strict = known.strict && key_known(&has->strict);
		add_dep(&scratch->deps[KEYS_WEAK], &keys->names[dep], with_key ? &has->weak : NULL);
		add_dep(&scratch->deps[KEYS_STRICT], &keys->names[dep], &has->strict);
		if (non_strict) {
			known.strong = known.strong && key_known(&has->strong);
			known.strong_differs = known.strong_differs || !key_eq(&has->strong, &has->strict);
			add_dep(&scratch->deps[KEYS_STRONG], &keys->names[dep], &has->strong);
		}
	}
	return known;
}

/* ---- hashing */

static void render_end(struct buf *out, const struct key *weak)
{
	if (weak) {
		char hex[DIGEST_HEX + 1];

		digest_to_hex(hex, weak->hash);
		buf_adds(out, ",\"weak-cache-key\":\"");
		buf_add(out, hex, DIGEST_HEX);
		buf_addc(out, '"');
	}
	buf_addc(out, '}');
}

static void hash(const struct keys_scratch *scratch, struct buf *deps, const struct key *weak, struct key *ret)
{
	/* One text in one piece: copying the body costs a twentieth of hashing it. */
	buf_add(deps, scratch->body.data, scratch->body.len);
	render_end(deps, weak);
	digest_sha256(ret->hash, deps->data, deps->len);
}

static void strong_key(struct keys_scratch *scratch, const struct keys_view *view, uint32_t id,
		       const struct known *known, struct keys_of_element *own)
{
	if (!view || !view->non_strict) {
		own->strong = own->strict;
		return;
	}
	if (view->cached && view->cached(view->data, id, own, &own->strong))
		return;
	if (!known->strong)
		return;
	if (!known->strong_differs)
		own->strong = own->strict;
	else
		hash(scratch, &scratch->deps[KEYS_STRONG], &own->weak, &own->strong);
}

/* What remains when the body is rendered and all dependencies have their keys. */
void keys_hash_all(const struct keys *keys, struct keys_scratch *scratch, const struct keys_view *view, uint32_t id,
		   struct keys_of_element *all)
{
	struct known known = render_deps(keys, scratch, id, view && view->non_strict, all);
	struct keys_of_element own = { 0 };

	if (!known.weak)
		return;
	hash(scratch, &scratch->deps[KEYS_WEAK], NULL, &own.weak);
	if (known.strict)
		hash(scratch, &scratch->deps[KEYS_STRICT], &own.weak, &own.strict);
	strong_key(scratch, view, id, &known, &own);
	all[id] = own;
	if (keys->have_tails)
		render_tail(keys, id, &own.strict);
}

void keys_one(struct keys *keys, const struct keys_view *view, uint32_t element, struct keys_of_element *all)
{
	assert(element < keys->count);
	all[element] = (struct keys_of_element){ 0 };
	if (keys_render_body(keys, &keys->scratch, view, element))
		keys_hash_all(keys, &keys->scratch, view, element, all);
}

void keys_all(struct keys *keys, const struct keys_view *view, struct keys_of_element *all)
{
	memset(all, 0, keys->count * sizeof(*all));
	/* The functions of a view are the caller's, and need not bear two threads. */
	if (!view && keys_start(keys, all)) {
		keys_finish(keys);
		return;
	}
	keys->have_tails = true;
	for (uint32_t i = 0; i < keys->count; i++)
		keys_one(keys, view, keys->order[i], all);
	/* From now on the caller may change keys one by one. */
	keys->have_tails = false;
}

bool keys_text(struct keys *keys, const struct keys_view *view, uint32_t element, enum keys_strength strength,
	       const struct keys_of_element *all, struct buf *out)
{
	struct keys_scratch *scratch = &keys->scratch;
	struct known known;

	if (!keys_render_body(keys, scratch, view, element))
		return false;
	known = render_deps(keys, scratch, element, true, all);
	if (!known.weak || (strength == KEYS_STRICT && !known.strict) || (strength == KEYS_STRONG && !known.strong))
		return false;
	buf_add(out, scratch->deps[strength].data, scratch->deps[strength].len);
	buf_add(out, scratch->body.data, scratch->body.len);
	render_end(out, strength == KEYS_WEAK ? NULL : &all[element].weak);
	return true;
}

void keys_source(struct key *ret, const char *key_json, size_t len_bytes)
{
	digest_sha256(ret->hash, key_json, len_bytes);
}

bool keys_element_sources(struct keys *keys, const struct keys_view *view, uint32_t element, struct key *ret)
{
	struct buf _cleanup_buf_ text = BUF_INIT;

	if (!add_sources(keys, view, element, &text))
		return false;
	digest_sha256(ret->hash, text.data, text.len);
	return true;
}
