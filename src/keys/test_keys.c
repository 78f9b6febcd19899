/* Keys of a small graph made by hand against those that BuildStream 2.8.1 printed for the same project. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/diag.h"
#include "keys/keys.h"
#include "kinds/element_configs.h"
#include "yaml/vars.h"
#include "yaml/yaml.h"

/* Digest of the tree that a.bst imports: one file `hello`; and its source key. */
#define TREE_HASH "6f3ecc98dd7d293b367af8bec88240a7fe400df7bdd1ac75578fd26535eb9610"
#define SOURCE_KEY "bb2216e10b1f744006b8865707c4b9bc37636aec4ab06d9d26ccfccb3af9ee78"

/* The project "tst": one row per element, in the order of their ids.  Dependencies name ids that come before. */
enum { A, TAR, M, ST, S, NOREF, F, C, COUNT };

struct dep_row {
	uint32_t element;
	uint8_t type;
	bool strict;
	const char *config; /* YAML, NULL if none */
};

static const struct row {
	const char *name, *kind, *config, *variables, *source_kind, *source, *directory;
	struct dep_row deps[3];
	const char *key; /* as bst printed it; NULL: none */
} rows[COUNT] = {
	[A] = { "a.bst", "import", "{source: /, target: /}", "{}", "local", "path: .", "sub", { { 0 } },
		"4d8ea6e17a5b08de804a91fc63a601486fa3bba92e9f671ce86130575bca1008" },
	[TAR] = { "tar.bst", "import", "{source: /, target: /}", "{}", "tar",
		  "{\"url\": \"http://example.com/x.tar.gz\", "
		  "ref: '1111111111111111111111111111111111111111111111111111111111111111'}",
		  NULL, { { A, GRAPH_ALL, false, NULL } },
		  "f58efc7ab7a4c2543b59536bfe22ae12a892c5fab858a4e52aadb51d545e1251" },
	[M] = { "m.bst", "manual", "{build-commands: ['make \"x\"'], strip-commands: ['']}",
		"{notparallel: 'False', command-subdir: src}", NULL, NULL, NULL,
		{ { A, GRAPH_BUILD, false, "{location: /opt, digest-environment: DIG}" },
		  { TAR, GRAPH_BUILD, true, NULL } },
		"d31501c0428300c4f5907512c09b4a15f82475cb4fa3217b14be10a152572050" },
	[ST] = { "st.bst", "stack", "{}", "{}", NULL, NULL, NULL,
		 { { A, GRAPH_ALL, false, NULL }, { M, GRAPH_ALL, false, NULL } },
		 "b4cc4ba64c6e930fff8231c779f1ef46f71bebeb967bed255550a7e9bcbfabdf" },
	[S] = { "s.bst", "script", "{commands: [echo hi], root-read-only: 'False'}", "{cwd: /}", NULL, NULL, NULL,
		{ { M, GRAPH_BUILD, false, NULL }, { ST, GRAPH_BUILD, false, NULL } },
		"a1388c147787bad25240e55331089f926916acef2396dd3dd9f53e23ea0efcf5" },
	[NOREF] = { "noref.bst", "import", "{source: /, target: /}", "{}", "tar",
		    "{\"url\": \"http://example.com/x.tar.gz\"}", NULL, { { 0 } }, NULL },
	[F] = { "f.bst", "filter", "{include: [runtime, devel], exclude: [], include-orphans: 'False'}", "{}", NULL,
		NULL, NULL, { { M, GRAPH_BUILD, false, NULL }, { NOREF, GRAPH_RUNTIME, false, NULL } },
		"962c4ad86cac9a801e15753224b591a252bbf58e469df3abe9ca7b0003624298" },
	[C] = { "c.bst", "compose", "{integrate: 'True', include: [], exclude: [], include-orphans: 'True'}", "{}",
		NULL, NULL, NULL, { { F, GRAPH_BUILD, false, NULL } }, NULL },
};

struct fixture {
	struct graph graph;
	const struct yaml_node *defaults;
	struct diag diag;
};

/* The tree of the project's files/: one file, hello. */
static int tree_digest(void *data, const char *path, bool mtimes, struct digest *ret, struct diag *diag)
{
	static const char hash[] = TREE_HASH;

	ret->size_bytes = 100;
	return digest_from_hex(ret->hash, hash) ? 0 : -1;
}

static const struct yaml_node *parse(struct fixture *fixture, const char *text)
{
	const struct yaml_node *node = NULL;
	int r = yaml_parse(&fixture->graph.arena, text, strlen(text), "test", &node, &fixture->diag);

	if (r < 0)
		fail_msg("%s: %s", text, buf_text(&fixture->diag.message));
	return node;
}

static void add_variables(struct fixture *fixture, struct graph_element *element, const char *own,
			  struct yaml_vars_base **base, struct yaml_vars *vars)
{
	struct arena *arena = &fixture->graph.arena;
	const struct yaml_node *map = yaml_get(fixture->defaults, "variables"), *over = parse(fixture, own);
	const struct yaml_var *sorted;
	struct graph_pair *pairs;

	map = yaml_map_set(arena, map, "project-name", yaml_str(arena, "tst", NULL));
	map = yaml_map_set(arena, map, "max-jobs", yaml_str(arena, "4", NULL));
	over = yaml_map_set(arena, over, "element-name", yaml_str(arena, element->name, NULL));
	assert_int_equal(yaml_vars_base_new(arena, map, base, &fixture->diag), 0);
	assert_true(yaml_vars_init(vars, arena, *base, over, &fixture->diag) >= 0);
	sorted = yaml_vars_sorted(vars, arena, &element->variable_count);
	pairs = ARENA_ARRAY(arena, struct graph_pair, element->variable_count);
	for (uint32_t i = 0; i < element->variable_count; i++)
		pairs[i] = (struct graph_pair){ sorted[i].name, sorted[i].text };
	element->variables = pairs;
}

/* Public data with the default split rules, and the environment: what stands in every key. */
static void add_common(struct fixture *fixture, struct graph_element *element, const struct yaml_vars *vars)
{
	static const struct graph_pair environment[] = {
		{ "HOME", "/tmp" },	   { "JOBS", "4" },
		{ "LC_ALL", "C" },	   { "LOGNAME", "tomjon" },
		{ "PATH", "/usr/bin:/bin:/usr/sbin:/sbin" }, { "QUOTE", "a\"b\\c/\xc3\xa9" },
		{ "SHELL", "/bin/sh" },	   { "SOURCE_DATE_EPOCH", "1321009871" },
		{ "TERM", "dumb" },	   { "TZ", "UTC" },
		{ "USER", "tomjon" },	   { "USERNAME", "tomjon" },
	};
	static const char *const nocache[] = { "JOBS" };
	struct arena *arena = &fixture->graph.arena;
	const struct yaml_node *rules = yaml_get(fixture->defaults, "split-rules"), *bst;

	assert_true(yaml_vars_expand(vars, arena, rules, &rules, &fixture->diag) >= 0);
	bst = yaml_map_set(arena, yaml_empty_map(arena, NULL), "split-rules", rules);
	element->public_data = yaml_map_set(arena, yaml_empty_map(arena, NULL), "bst", bst);
	element->environment = environment;
	element->environment_count = ARRAY_SIZE(environment);
	element->environment_nocache = nocache;
	element->environment_nocache_count = ARRAY_SIZE(nocache);
	element->sandbox = (struct graph_sandbox){ "linux", "x86-64", 0, 7, "/tmp/sock", true };
}

static void add_deps(struct fixture *fixture, struct graph_element *element, const struct row *row)
{
	struct arena *arena = &fixture->graph.arena;

	element->deps = ARENA_ARRAY(arena, struct graph_dep, 3);
	for (size_t i = 0; i < 3 && row->deps[i].type; i++) {
		const struct dep_row *from = &row->deps[i];
		struct graph_dep *dep = &element->deps[element->dep_count++];

		*dep = (struct graph_dep){ from->element, from->type, from->strict, rows[from->element].name, NULL, 0 };
		if (from->config) {
			const struct yaml_node **configs = ARENA_ARRAY(arena, const struct yaml_node *, 1);

			configs[0] = parse(fixture, from->config);
			dep->configs = configs;
			dep->config_count = 1;
		}
	}
}

static void add_source(struct fixture *fixture, const struct kinds_context *ctx, struct graph_element *element,
		       const struct row *row)
{
	struct graph_source *source = ARENA_NEW(&fixture->graph.arena, struct graph_source);

	if (!row->source_kind)
		return;
	source->ops = kinds_find_source(row->source_kind);
	source->directory = row->directory;
	assert_int_equal(kinds_configure_source(ctx, source, parse(fixture, row->source)), 0);
	assert_int_equal(kinds_source_key(ctx, source), 0);
	element->sources = source;
	element->source_count = 1;
}

static void add_element(struct fixture *fixture, const struct row *row)
{
	static const struct kinds_host host = { .tree_digest = tree_digest };
	struct kinds_context ctx = { .arena = &fixture->graph.arena, .diag = &fixture->diag, .graph = &fixture->graph,
				     .host = &host, .project_directory = "/" };
	uint32_t id = graph_add_element(&fixture->graph);
	struct graph_element *element = &fixture->graph.elements[id];
	struct yaml_vars_base *base = NULL;
	struct yaml_vars vars = { 0 };

	element->name = element->full_name = row->name;
	element->ops = kinds_find_element(row->kind);
	assert_non_null(element->ops);
	add_variables(fixture, element, row->variables, &base, &vars);
	add_common(fixture, element, &vars);
	assert_true(kinds_configure_element(&ctx, element, parse(fixture, row->config)) >= 0);
	add_source(fixture, &ctx, element, row);
	add_deps(fixture, element, row);
	if (kinds_finish_element(&ctx, element) < 0)
		fail_msg("%s: %s", row->name, buf_text(&fixture->diag.message));
	yaml_vars_base_free(base);
}

static int setup(void **state)
{
	static const char *const warnings[] = { "a:b", "overlaps", "overlaps" };
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));
	struct graph_project *project;
	size_t len;
	const char *text = kinds_project_yaml(&len);

	graph_init(&fixture->graph);
	graph_add_project(&fixture->graph);
	project = &fixture->graph.projects[0];
	project->name = "tst";
	project->fatal_warnings = warnings;
	project->fatal_warning_count = ARRAY_SIZE(warnings);
	assert_int_equal(yaml_parse(&fixture->graph.arena, text, len, "project.conf", &fixture->defaults, NULL), 0);
	for (int i = 0; i < COUNT; i++)
		add_element(fixture, &rows[i]);
	graph_freeze(&fixture->graph); /* keys must not write there */
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	diag_release(&fixture->diag);
	graph_release(&fixture->graph);
	free(fixture);
	return 0;
}

static void assert_key(const char *name, const struct key *key, const char *wanted)
{
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, key->hash);
	if (!wanted && key_known(key))
		fail_msg("%s: there should be no key", name);
	if (wanted && strcmp(hex, wanted) != 0)
		fail_msg("%s: key is %s instead of %s", name, hex, wanted);
}

static void test_strict_keys_are_those_of_bst(void **state)
{
	struct fixture *fixture = *state;
	struct keys *keys = keys_new(&fixture->graph);
	struct keys_of_element all[COUNT];

	keys_all(keys, NULL, all);
	for (int i = 0; i < COUNT; i++) {
		assert_key(rows[i].name, &all[i].strict, rows[i].key);
		assert_true(key_eq(&all[i].strong, &all[i].strict));
	}
	keys_free(keys);
}

static void test_text_is_what_was_hashed(void **state)
{
	struct fixture *fixture = *state;
	struct keys *keys = keys_new(&fixture->graph);
	struct keys_of_element all[COUNT];
	struct buf text = BUF_INIT;
	struct key key;

	keys_all(keys, NULL, all);
	for (uint32_t i = 0; i < COUNT; i++) {
		buf_clear(&text);
		assert_int_equal(keys_text(keys, NULL, i, KEYS_STRICT, all, &text), rows[i].key != NULL);
		if (!rows[i].key) {
			assert_int_equal(text.len, 0);
			continue;
		}
		digest_sha256(key.hash, text.data, text.len);
		assert_true(key_eq(&key, &all[i].strict));
		buf_clear(&text);
		assert_true(keys_text(keys, NULL, i, KEYS_WEAK, all, &text));
		digest_sha256(key.hash, text.data, text.len);
		assert_true(key_eq(&key, &all[i].weak));
		assert_null(strstr(text.data, "weak-cache-key"));
	}
	buf_release(&text);
	keys_free(keys);
}

/* Weak entries have a key only where a dependency is strict. */
static void test_weak_text(void **state)
{
	struct fixture *fixture = *state;
	struct keys *keys = keys_new(&fixture->graph);
	struct keys_of_element all[COUNT];
	struct buf text = BUF_INIT, wanted = BUF_INIT;
	char hex[DIGEST_HEX + 1];

	keys_all(keys, NULL, all);
	assert_true(keys_text(keys, NULL, M, KEYS_WEAK, all, &text));
	digest_to_hex(hex, all[TAR].weak.hash);
	buf_printf(&wanted, "{\"core-artifact-version\":11,\"dependencies\":[[\"tst\",\"a.bst\"],[\"tst\",\"tar.bst\","
			    "\"%s\"]],\"element-base-key\":{\"build-root\":\"/buildstream/tst/m.bst\"},", hex);
	assert_int_equal(strncmp(text.data, wanted.data, wanted.len), 0);
	assert_non_null(strstr(text.data, "\"QUOTE\":\"a\\\"b\\\\c/\\u00e9\""));
	assert_null(strstr(text.data, "JOBS"));
	buf_release(&wanted);
	buf_release(&text);
	keys_free(keys);
}

/* A changed source key changes its element and those above, and only those. */
static const char *other_source(void *data, uint32_t element, uint32_t source, uint32_t *ret_len)
{
	const struct fixture *fixture = data;
	const struct graph_source *from = &fixture->graph.elements[element].sources[source];
	static const char tracked[] = "[\"http://example.com/x.tar.gz\",\"22\",\"*\"]";

	*ret_len = element == NOREF ? sizeof(tracked) - 1 : from->key_json_len;
	return element == NOREF ? tracked : from->key_json;
}

static void test_refs_found_later(void **state)
{
	struct fixture *fixture = *state;
	struct keys_view view = { .data = fixture, .source_key = other_source };
	struct keys *keys = keys_new(&fixture->graph);
	struct keys_of_element all[COUNT];

	keys_all(keys, &view, all);
	assert_true(key_known(&all[NOREF].strict));
	assert_true(key_known(&all[C].strict));
	assert_key("f.bst", &all[F].strict, rows[F].key); /* runtime dependencies are in no key of one's own */
	keys_all(keys, NULL, all);
	assert_false(key_known(&all[C].weak) && key_known(&all[C].strict));
	keys_one(keys, &view, NOREF, all);
	keys_one(keys, &view, C, all);
	assert_true(key_known(&all[C].strict));
	keys_free(keys);
}

static bool cached_weakly(void *data, uint32_t element, const struct keys_of_element *own, struct key *ret_strong)
{
	if (element != TAR)
		return false;
	memset(ret_strong->hash, 0xab, sizeof(ret_strong->hash));
	return true;
}

static void test_non_strict(void **state)
{
	struct fixture *fixture = *state;
	struct keys_view view = { .data = fixture, .non_strict = true };
	struct keys *keys = keys_new(&fixture->graph);
	struct keys_of_element all[COUNT];
	struct buf text = BUF_INIT;
	struct key key;

	keys_all(keys, &view, all);
	assert_true(key_eq(&all[M].strong, &all[M].strict)); /* nothing cached: all is built as it stands */
	view.cached = cached_weakly;
	keys_all(keys, &view, all);
	assert_key("m.bst", &all[M].strict, rows[M].key);
	assert_false(key_eq(&all[M].strong, &all[M].strict));
	assert_true(keys_text(keys, &view, M, KEYS_STRONG, all, &text));
	digest_sha256(key.hash, text.data, text.len);
	assert_true(key_eq(&key, &all[M].strong));
	assert_non_null(strstr(text.data, "\"tar.bst\",\"abab"));
	buf_release(&text);
	keys_free(keys);
}

static void test_source_keys(void **state)
{
	struct fixture *fixture = *state;
	struct keys *keys = keys_new(&fixture->graph);
	struct key key, wanted;
	static const char text[] = "[{\"directory\":\"sub\",\"key\":\"" TREE_HASH "\",\"name\":\"local\"}]";

	assert_true(keys_element_sources(keys, NULL, A, &key));
	digest_sha256(wanted.hash, text, strlen(text));
	assert_true(key_eq(&key, &wanted));
	keys_source(&key, "\"" TREE_HASH "\"", strlen(TREE_HASH) + 2);
	assert_key("source", &key, SOURCE_KEY);
	assert_false(keys_element_sources(keys, NULL, NOREF, &key));
	assert_true(keys_element_sources(keys, NULL, S, &key)); /* no sources: the hash of an empty list */
	keys_free(keys);
}

/* ---- a graph large enough for two threads */

enum { MANY = 700 };

static void make_large(struct graph *graph, const struct yaml_node *public_data)
{
	static struct kinds_stack config;
	uint32_t seed = 7;

	graph_init(graph);
	graph_add_project(graph);
	graph->projects[0].name = "p";
	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t id = graph_add_element(graph), count;
		struct graph_element *element = &graph->elements[id];

		seed = seed * 1664525 + 1013904223;
		count = MIN(i, seed >> 29);
		element->name = arena_printf(&graph->arena, "e%u.bst", i);
		element->ops = kinds_find_element(i % 7 ? "stack" : "filter"); /* some are strict about all */
		element->config = &config;
		element->public_data = public_data;
		element->deps = ARENA_ARRAY(&graph->arena, struct graph_dep, count);
		for (uint32_t k = 0; k < count; k++) {
			seed = seed * 1664525 + 1013904223;
			element->deps[element->dep_count++] = (struct graph_dep){
				.element = (seed >> 8) % i, .type = (uint8_t)(1 + (seed >> 28) % 3), .path = "x",
				.strict = (seed >> 20) % 5 == 0 };
		}
	}
	/* Stacks have no text of their own; filters need theirs. */
	for (uint32_t i = 0; i < MANY; i += 7)
		graph->elements[i].config = arena_alloc(&graph->arena, sizeof(struct kinds_filter));
}

static void test_two_threads_agree_with_one(void **state)
{
	struct fixture *fixture = *state;
	const struct keys_view plain = { 0 }; /* any view means one thread */
	struct graph graph;
	struct keys *keys;
	static struct keys_of_element one[MANY], two[MANY];

	make_large(&graph, fixture->graph.elements[A].public_data);
	keys = keys_new(&graph);
	keys_all(keys, &plain, one);
	for (int round = 0; round < 5; round++) {
		keys_all(keys, NULL, two);
		assert_memory_equal(one, two, sizeof(one));
	}
	assert_true(key_known(&one[MANY - 1].strict));
	keys_free(keys);
	graph_release(&graph);
}

/* Elements are made one after the other, as loading does, while the keys of those before are computed. */
static void test_beside_loading(void **state)
{
	struct fixture *fixture = *state;
	const struct timespec pause = { .tv_nsec = 300000 };
	static struct keys_of_element one[MANY], beside[MANY];
	struct graph graph, made = { 0 };
	struct keys *keys;

	make_large(&graph, fixture->graph.elements[A].public_data);
	keys = keys_new(&graph);
	keys_all(keys, &(struct keys_view){ 0 }, one);
	keys_free(keys);
	made = graph;
	made.elements = xcalloc(MANY, sizeof(*made.elements));
	for (int stop_at = MANY; stop_at > 0; stop_at -= MANY / 3) {
		memset(made.elements, 0, MANY * sizeof(*made.elements));
		memset(beside, 0, sizeof(beside));
		keys = keys_begin(&made, (size_t)8 * MANY);
		assert_true(keys_start(keys, beside));
		for (int i = 0; i < stop_at; i++) {
			made.elements[i] = graph.elements[i];
			if (i % 100 == 99)
				nanosleep(&pause, NULL); /* let it wait for us now and then */
			keys_feed(keys, (uint32_t)i);
		}
		if (stop_at == MANY) {
			keys_finish(keys);
			assert_memory_equal(one, beside, sizeof(one));
			memset(beside, 0, sizeof(beside));
			keys_all(keys, NULL, beside);
			assert_memory_equal(one, beside, sizeof(one));
		}
		keys_free(keys); /* also with a thread that still waits for more */
	}
	free(made.elements);
	graph_release(&graph);
}

/* The walk of this room gives what the graph's own gives, in the same order. */
static void test_build_scope(void **state)
{
	struct fixture *fixture = *state;
	struct buf text = BUF_INIT, wanted = BUF_INIT;
	struct graph_walk walk = { 0 };
	struct graph graph;
	struct keys *keys;
	static struct keys_of_element all[MANY];

	make_large(&graph, fixture->graph.elements[A].public_data);
	keys = keys_new(&graph);
	keys_all(keys, NULL, all);
	for (uint32_t i = 0; i < MANY; i++) {
		const char *at;

		buf_clear(&text);
		assert_true(keys_text(keys, NULL, i, KEYS_STRICT, all, &text));
		at = strstr(text.data, "\"dependencies\":[") + strlen("\"dependencies\":[");
		graph_walk_scope(&walk, &graph, i, GRAPH_SCOPE_BUILD);
		for (uint32_t k = 0; k < walk.count; k++) {
			char hex[DIGEST_HEX + 1];

			buf_clear(&wanted);
			digest_to_hex(hex, all[walk.ids[k]].strict.hash);
			buf_printf(&wanted, "%s[\"p\",\"e%u.bst\",\"%s\"]", k ? "," : "", walk.ids[k], hex);
			assert_int_equal(strncmp(at, wanted.data, wanted.len), 0);
			at += wanted.len;
		}
		assert_int_equal(*at, ']');
	}
	graph_walk_release(&walk);
	buf_release(&wanted);
	buf_release(&text);
	keys_free(keys);
	graph_release(&graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strict_keys_are_those_of_bst), cmocka_unit_test(test_text_is_what_was_hashed),
		cmocka_unit_test(test_weak_text),		      cmocka_unit_test(test_refs_found_later),
		cmocka_unit_test(test_non_strict),		      cmocka_unit_test(test_source_keys),
		cmocka_unit_test(test_two_threads_agree_with_one), cmocka_unit_test(test_build_scope),
		cmocka_unit_test(test_beside_loading),
	};

	return cmocka_run_group_tests_name("keys", tests, setup, teardown);
}
