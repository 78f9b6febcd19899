/* Unit tests of nodes: the dialect, reading, composing, writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "yaml/yaml.h"

static int setup(void **state)
{
	*state = xcalloc(1, sizeof(struct arena));
	return 0;
}

static int teardown(void **state)
{
	arena_release(*state);
	free(*state);
	return 0;
}

static const struct yaml_node *parse(struct arena *arena, const char *text)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	const struct yaml_node *node = NULL;
	_cleanup_buf_ struct buf why = BUF_INIT;

	if (yaml_parse(arena, text, strlen(text), "t.yaml", &node, &diag) < 0) {
		diag_format(&diag, &why);
		fail_msg("%s", buf_text(&why));
	}
	return node;
}

/* One line of flow style, quotes left out: enough to compare trees by eye. */
static void show(struct buf *out, const struct yaml_node *node)
{
	if (node->type == YAML_SCALAR) {
		buf_printf(out, "<%s>", node->text);
		return;
	}
	buf_addc(out, node->type == YAML_MAP ? '{' : '[');
	for (uint32_t i = 0; i < node->count; i++) {
		buf_adds(out, i ? "," : "");
		if (node->type == YAML_MAP)
			buf_printf(out, "%s:", node->entries[i].key);
		show(out, node->type == YAML_MAP ? node->entries[i].value : node->items[i]);
	}
	buf_addc(out, node->type == YAML_MAP ? '}' : ']');
}

#define assert_tree(node, text) do { \
	_cleanup_buf_ struct buf shown_ = BUF_INIT; \
	show(&shown_, (node)); \
	assert_string_equal(buf_text(&shown_), (text)); \
} while (0)

#define assert_diag(diag, why, text) do { \
	_cleanup_buf_ struct buf said_ = BUF_INIT; \
	diag_format((diag), &said_); \
	assert_string_equal(buf_text(&said_), (text)); \
	assert_string_equal((diag)->reason, (why)); \
	assert_string_equal((diag)->domain, "load"); \
} while (0)

static void test_dialect(void **state)
{
	/* Left: input; right: the tree, as the peer's load_data reads it. */
	static const char *const table[][2] = {
		{ "", "{}" },
		{ "# c\n", "{}" },
		{ "a: 1\n", "{a:<1>}" },
		{ "a: 012\nb: true\nc: ~\nd: null\ne:\nf: ''\n", "{a:<012>,b:<true>,c:<~>,d:<null>,e:<>,f:<>}" },
		{ "a: \" x \"\n\" k \": v\n", "{a:<x>, k :<v>}" },
		{ "a: |\n  x\n  \xe2\x80\xa8  y\n", "{a:<x\n\xe2\x80\xa8y>}" },
		{ "a: \"\xe2\x80\xa8\xc2\xa0 b\\t\\x85\\u3000\\u205f\\u1680\"\n", "{a:<b>}" },
		{ "\xef\xbb\xbf" "a: 1\n", "{a:<1>}" },
		{ "a: !foo {}\nb: !!str 3\n", "{a:{},b:<3>}" },
		{ "<<: {a: b}\n", "{<<:{a:<b>}}" },
		{ "%YAML 1.2\n---\na: 1\n", "{a:<1>}" },
		{ "a:\n- b\n - c\n", "{a:[<b - c>]}" },
		{ "a:\n- - 1\n  - [2, {x: y}]\n- {}\n", "{a:[[<1>,[<2>,{x:<y>}]],{}]}" },
		{ "a: \"\\x01\"\n", "{a:<\x01>}" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		assert_tree(parse(*state, table[i][0]), table[i][1]);
}

static void test_malformed(void **state)
{
	/* Taken from the peer (2.8.1) with the file name foo.yaml. */
	static const char *const table[][2] = {
		{ "a: 1\na: 2\n", "Malformed YAML:\n\nDuplicate key a at line 1 column 0\n\n" },
		{ "{a: 1, a: 2}", "Malformed YAML:\n\nDuplicate key a at line 0 column 7\n\n" },
		{ "a: &x 1\n", "Malformed YAML:\n\nAnchors are disallowed in BuildStream at line 0 column 3\n\n" },
		{ "a: *x\n", "Malformed YAML:\n\nAnchors are disallowed in BuildStream at line 0 column 3\n\n" },
		{ "a: x\n*b : 2\n", "Malformed YAML:\n\nAnchors are disallowed in BuildStream at line 1 column 0\n\n" },
		{ "&x {a: 1}\n", "Malformed YAML:\n\nAnchors are disallowed in BuildStream at line 0 column 0\n\n" },
		{ "a: !foo 1\n", "Malformed YAML:\n\nNon-core tag expressed in input.  This is disallowed in "
				 "BuildStream. At line 0 column 3\n\n" },
		{ "- a\n", "Malformed YAML:\n\nInvalid input detected. No handler for SequenceStartEvent(implicit=True, "
			   "flow_style=False) in state 0 at line 0 column 0\n\n" },
		{ "abc\n", "Malformed YAML:\n\nInvalid input detected. No handler for ScalarEvent('abc', implicit=(True, "
			   "False), style='') in state 0 at line 0 column 0\n\n" },
		{ ">", "Malformed YAML:\n\nInvalid input detected. No handler for ScalarEvent('', implicit=(False, True), "
		       "style='>') in state 0 at line 0 column 0\n\n" },
		{ "a: 1\n---\nb: 1\n", "Malformed YAML:\n\nInvalid input detected. No handler for DocumentEndEvent() in "
				       "state 3 at line 3 column 0\n\n" },
		{ "? [a]\n: b\n", "Malformed YAML:\n\nInvalid input detected. No handler for "
				  "SequenceStartEvent(implicit=True, flow_style=True) in state 3 at line 0 column 2\n\n" },
		{ "? {a: b}\n: c\n", "Malformed YAML:\n\nInvalid input detected. No handler for "
				     "MappingStartEvent(implicit=True, flow_style=True) in state 3 at line 0 column 2\n\n" },
		{ "a: [1\n", "Severely malformed YAML:\n\nwhile parsing a flow sequence\n  in \"<unicode string>\", line 1, "
			     "column 4\ndid not find expected ',' or ']'\n  in \"<unicode string>\", line 2, column 1\n\n" },
		{ "a: b: c\n", "Severely malformed YAML:\n\nmapping values are not allowed in this context\n  in \"<unicode "
			       "string>\", line 1, column 5\n\n" },
		{ "...\n", "Severely malformed YAML:\n\nwhile parsing a block node\ndid not find expected node content\n  in "
			   "\"<unicode string>\", line 1, column 1\n\n" },
		{ "a: \x01\n", "Severely malformed YAML:\n\nunacceptable character #x0001: control characters are not "
			       "allowed\n  in \"<unicode string>\", position 3\n\n" },
		/* Ours alone: the peer dies of a UnicodeDecodeError here, and takes NUL into its strings there. */
		{ "a: \xff\n", "Severely malformed YAML:\n\nunacceptable character #x00ff: invalid leading UTF-8 octet\n  in "
			       "\"<unicode string>\", position 3\n\n" },
		{ "a: \"\\0\"\n", "Malformed YAML:\n\nNUL characters are not supported in text at line 0 column 3\n\n" },
		{ "\xff\xfe" "a", "The file is UTF-16; only UTF-8 is supported" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		_cleanup_buf_ struct buf want = BUF_INIT;
		const struct yaml_node *node = NULL;

		assert_int_equal(yaml_parse(*state, table[i][0], strlen(table[i][0]), "foo.yaml", &node, &diag), -22);
		assert_null(node);
		buf_printf(&want, "foo.yaml: %s", table[i][1]);
		assert_diag(&diag, "invalid-yaml", buf_text(&want));
	}
}

static void test_nul_bytes(void **state)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	const struct yaml_node *node = NULL;

	assert_true(yaml_parse(*state, "a: \0\n", 5, "f", &node, &diag) < 0);
	assert_diag(&diag, "invalid-yaml", "f: Severely malformed YAML:\n\nunacceptable character #x0000: control "
					   "characters are not allowed\n  in \"<unicode string>\", position 3\n\n");
}

static int parse_nested(struct arena *arena, size_t levels, struct diag *diag)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	const struct yaml_node *node = NULL;

	buf_adds(&text, "a: ");
	for (size_t i = 0; i < levels; i++)
		buf_addc(&text, '[');
	for (size_t i = 0; i < levels; i++)
		buf_addc(&text, ']');
	return yaml_parse(arena, buf_text(&text), text.len, "deep", &node, diag);
}

static void test_depth(void **state)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	assert_int_equal(parse_nested(*state, YAML_MAX_DEPTH - 2, &diag), 0);
	assert_true(parse_nested(*state, YAML_MAX_DEPTH - 1, &diag) < 0);
	assert_diag(&diag, "invalid-yaml", "deep: Malformed YAML:\n\nMaps and lists are nested more than 999 levels deep at "
					   "line 0 column 1001\n\n");
	assert_true(parse_nested(*state, 100000, &diag) < 0);
}

static void test_many_keys(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	const struct yaml_node *map;
	char key[32];

	for (int i = 0; i < 20000; i++)
		buf_printf(&text, "key-%d: %d\n", i, i);
	map = parse(*state, buf_text(&text));
	for (int i = 0; i < 20000; i++) {
		int value = -1;
		snprintf(key, sizeof(key), "key-%d", i);
		assert_int_equal(yaml_need_int(map, key, &value, &diag), 0);
		assert_int_equal(value, i);
	}
	assert_null(yaml_get(map, "key-20000"));
	buf_adds(&text, "key-17: again\n");
	assert_true(yaml_parse(*state, buf_text(&text), text.len, "many", &map, &diag) < 0);
	assert_diag(&diag, "invalid-yaml", "many: Malformed YAML:\n\nDuplicate key key-17 at line 20000 column 0\n\n");
}

static void test_files(void **state)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	const struct yaml_node *map = NULL;

	assert_int_equal(yaml_load_file(*state, -100, "/nonexistent/x.bst", NULL, "x.bst", 0, &map, &diag), -2);
	assert_diag(&diag, "missing-file", "Could not find file at /nonexistent/x.bst");
	assert_true(yaml_load_file(*state, -100, "/", "/shown", "x.bst", 0, &map, &diag) < 0);
	assert_diag(&diag, "loading-directory", "/shown is a directory");
	assert_int_equal(yaml_load_file(*state, -100, "/dev/null", NULL, "null", 7, &map, &diag), 0);
	assert_tree(map, "{}");
	assert_int_equal(map->file->owner, 7);
	assert_ptr_equal(map->file->root, map);
}

static void test_reading(void **state)
{
	const struct yaml_node *map = parse(*state, "s: text\nb: 'True'\ni: 0_1_0\nl: [a, b]\nm:\n  x: y\nneg: -12\nbig: 2147483648\n"
						    "bad: [a, {}]\n"), *node = NULL;
	static const char *const names[] = { "alpha", "text", NULL }, *const keys[] = { "s", "b", "i", "l", NULL };
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	const char *const *strs = NULL, *str = "default";
	bool flag = false;
	int i = 5;
	uint32_t count = 0;

	assert_int_equal(yaml_get_str(map, "none", &str, &diag), 0);
	assert_string_equal(str, "default");
	assert_int_equal(yaml_get_str(map, "s", &str, &diag), 1);
	assert_string_equal(str, "text");
	assert_int_equal(yaml_get_bool(map, "b", &flag, &diag), 1);
	assert_true(flag);
	assert_int_equal(yaml_get_int(map, "i", &i, &diag), 1);
	assert_int_equal(i, 10);
	assert_int_equal(yaml_need_int(map, "neg", &i, &diag), 0);
	assert_int_equal(i, -12);
	assert_int_equal(yaml_get_enum(map, "s", names, &i, &diag), 1);
	assert_int_equal(i, 1);
	assert_int_equal(yaml_need_strs(*state, map, "l", &strs, &count, &diag), 0);
	assert_int_equal(count, 2);
	assert_string_equal(strs[1], "b");

	assert_true(yaml_need_str(map, "zz", &str, &diag) < 0);
	assert_diag(&diag, "invalid-data", "t.yaml [line 1 column 0]: Dictionary did not contain expected key 'zz'");
	assert_true(yaml_need_map(map, "l", &node, &diag) < 0);
	assert_diag(&diag, "invalid-data", "t.yaml [line 4 column 3]: Value of 'l' is not of the expected type 'dict'");
	assert_true(yaml_get_list(map, "m", &node, &diag) < 0);
	assert_diag(&diag, "invalid-data", "t.yaml [line 6 column 2]: Value of 'm' is not of the expected type 'list'");
	assert_true(yaml_get_str(map, "m", &str, &diag) < 0);
	assert_diag(&diag, "invalid-data", "t.yaml [line 6 column 2]: Value of 'm' is not of the expected type 'scalar'");
	assert_true(yaml_get_bool(map, "s", &flag, &diag) < 0);
	assert_diag(&diag, "invalid-data", "t.yaml [line 1 column 3]: Value of 's' is not of the expected type 'boolean'");
	assert_true(yaml_get_int(map, "big", &i, &diag) < 0);
	assert_diag(&diag, "invalid-data", "t.yaml [line 8 column 5]: Value of 'big' is not of the expected type 'int'");
	assert_true(yaml_get_enum(map, "b", names, &i, &diag) < 0);
	assert_diag(&diag, "invalid-data", "t.yaml [line 2 column 3]: Value of 'b' should be one of 'alpha, text'");
	assert_true(yaml_get_strs(*state, map, "bad", &strs, &count, &diag) < 0);
	assert_diag(&diag, "invalid-data", "t.yaml [line 9 column 9]: List item is not of the expected type 'scalar'");
	assert_true(yaml_validate_keys(map, keys, &diag) < 0);
	assert_diag(&diag, "invalid-data", "t.yaml [line 6 column 2]: Unexpected key: m");
}

static void test_ints(void **state)
{
	static const struct { const char *text; int value; bool ok; } table[] = {
		{ "0", 0, true }, { "+7", 7, true }, { "-0", 0, true }, { "1_000", 1000, true }, { "2147483647", 2147483647, true },
		{ "-2147483648", -2147483647 - 1, true }, { "", 0, false }, { "-", 0, false }, { "1__0", 0, false },
		{ "_1", 0, false }, { "1_", 0, false }, { "0x10", 0, false }, { "1.0", 0, false }, { "1 2", 0, false },
		{ "99999999999999999999999", 0, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct yaml_node *node = yaml_str(*state, table[i].text, NULL);
		int value = 77;
		assert_int_equal(yaml_as_int(node, "k", &value, NULL) == 0, table[i].ok);
		assert_int_equal(value, table[i].ok ? table[i].value : 77);
	}
}

static void test_symbols(void **state)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	assert_int_equal(yaml_check_symbol("a_1-b", "variable", NULL, true, &diag), 0);
	assert_true(yaml_check_symbol("", "variable", NULL, true, &diag) < 0);
	assert_true(yaml_check_symbol("1a", "variable", NULL, true, &diag) < 0);
	assert_true(yaml_check_symbol("a-b", "option name", yaml_get(parse(*state, "k: a-b\n"), "k"), false, &diag) < 0);
	assert_diag(&diag, "invalid-symbol-name",
		    "t.yaml [line 1 column 3]: Invalid symbol name for option name: 'a-b'\n\n    Symbol names must contain only "
		    "alphanumeric characters, may not start with a digit, and may contain underscores");
}

/* ---- Composition ---- */

static void test_compose(void **state)
{
	/* source, target, source over target */
	static const char *const table[][3] = {
		{ "a: 1", "b: 2", "{b:<2>,a:<1>}" },
		{ "a: 1", "a: 2\nc: 3", "{a:<1>,c:<3>}" },
		{ "m: {x: 1}", "m: {y: 2, x: 3}", "{m:{y:<2>,x:<1>}}" },
		{ "m: {x: {z: 1}}", "a: b", "{a:<b>,m:{x:{z:<1>}}}" },
		{ "l: [1]", "l: [2, 3]", "{l:[<1>]}" },
		{ "l: {(>): [1], (<): [0]}", "l: [2, 3]", "{l:[<0>,<2>,<3>,<1>]}" },
		{ "l: {(=): [9], (>): [1], (<): [0]}", "l: [2, 3]", "{l:[<0>,<9>,<1>]}" },
		{ "l: {(>): [1]}", "x: y", "{x:<y>,l:{(>):[<1>]}}" },
		{ "l: [1]", "l: {(>): [2]}", "{l:[<1>]}" },
		{ "l: {(>): [1]}", "l: {(>): [2], (<): [3]}", "{l:{(>):[<2>,<1>],(<):[<3>]}}" },
		{ "l: {(<): [1]}", "l: {(>): [2], (<): [3]}", "{l:{(>):[<2>],(<):[<1>,<3>]}}" },
		{ "l: {(=): [1]}", "l: {(>): [2], (<): [3]}", "{l:{(>):[],(<):[],(=):[<1>]}}" },
		{ "l: {(=): [1], (>): [4]}", "l: {(>): [2]}", "{l:{(>):[<4>],(=):[<1>]}}" },
		{ "(?): [{x: {}}]", "(?): [{y: {}}]", "{(?):[{y:{}},{x:{}}]}" },
		{ "m: {}", "m: {a: b}", "{m:{a:<b>}}" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct yaml_node *ret = NULL, *source = parse(*state, table[i][0]), *target = parse(*state, table[i][1]);

		assert_int_equal(yaml_compose(*state, source, target, &ret, NULL), 0);
		assert_tree(ret, table[i][2]);
	}
}

static void test_compose_under(void **state)
{
	const struct yaml_node *target = parse(*state, "t: 1\nl: {(>): [x]}\nm: {a: mine}\n"), *ret = NULL;
	const struct yaml_node *source = parse(*state, "\nm: {b: 2, a: 1}\ns: 0\nl: [y]\n");

	assert_int_equal(yaml_compose_under(*state, source, target, &ret, NULL), 0);
	assert_tree(ret, "{t:<1>,l:[<y>,<x>],m:{b:<2>,a:<mine>},s:<0>}");
	assert_int_equal(ret->line, 0);
}

static void test_compose_errors(void **state)
{
	static const struct { const char *source, *target, *reason, *message; } table[] = {
		{ "a: {b: x}", "a: {b: [y]}", "illegal-composite",
		  "t.yaml [line 1 column 0]: Failure composing ['a', 'b']: t.yaml [line 1 column 7]: Cannot compose scalar on "
		  "non-scalar at t.yaml [line 1 column 7]" },
		{ "a: [x]", "a: y", "illegal-composite",
		  "t.yaml [line 1 column 0]: Failure composing ['a']: t.yaml [line 1 column 3]: List cannot overwrite a at: "
		  "t.yaml [line 1 column 3]" },
		{ "it's: {(>): [x]}", "it's: y", "illegal-composite",
		  "t.yaml [line 1 column 0]: Failure composing [\"it's\"]: t.yaml [line 1 column 6]: Cannot compose lists onto "
		  "t.yaml [line 1 column 6]" },
		{ "a: {b: c}", "a: y", "illegal-composite",
		  "t.yaml [line 1 column 0]: Failure composing ['a']: t.yaml [line 1 column 3]: Cannot compose dict on "
		  "non-dict at t.yaml [line 1 column 3]" },
		{ "a: {(>): [x], y: z}", "b: c", "invalid-data",
		  "t.yaml [line 1 column 3]: Dictionary contains list composition directives and arbitrary keys" },
		{ "a: {(>): x}", "a: [c]", "invalid-data",
		  "t.yaml [line 1 column 9]: Value of '(>)' is not of the expected type 'list'" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		const struct yaml_node *ret = NULL;

		assert_true(yaml_compose(*state, parse(*state, table[i].source), parse(*state, table[i].target), &ret,
					 &diag) < 0);
		assert_diag(&diag, table[i].reason, table[i].message);
	}
}

static void test_check_composited(void **state)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	assert_int_equal(yaml_check_composited(parse(*state, "a: {b: [c]}"), &diag), 0);
	assert_true(yaml_check_composited(parse(*state, "a:\n- b:\n    (<): [c]\n"), &diag) < 0);
	assert_diag(&diag, "trailing-list-directive", "t.yaml [line 3 column 9]: Attempt to override non-existing list");
}

/* Composition leaves both sides as they were and shares what it does not change. */
static void test_sharing(void **state)
{
	const struct yaml_node *target = parse(*state, "keep: {x: [1, 2]}\nchange: {l: [a]}\n"), *ret = NULL;
	const struct yaml_node *source = parse(*state, "change: {l: {(>): [b]}}\nnew: {deep: {er: 1}}\n");

	assert_int_equal(yaml_compose(*state, source, target, &ret, NULL), 0);
	assert_tree(target, "{keep:{x:[<1>,<2>]},change:{l:[<a>]}}");
	assert_tree(source, "{change:{l:{(>):[<b>]}},new:{deep:{er:<1>}}}");
	assert_tree(ret, "{keep:{x:[<1>,<2>]},change:{l:[<a>,<b>]},new:{deep:{er:<1>}}}");
	assert_ptr_equal(yaml_get(ret, "keep"), yaml_get(target, "keep"));
	assert_ptr_equal(yaml_get(ret, "new"), yaml_get(source, "new"));
}

static int drop_mark(struct arena *arena, const struct yaml_node **map, unsigned depth, void *data, struct diag *diag)
{
	int *calls = data;

	(*calls)++;
	if (yaml_get(*map, "(@)"))
		*map = yaml_map_set(arena, yaml_map_remove(arena, *map, "(@)"), "done", yaml_str(arena, "yes", *map));
	return 0;
}

static void test_making(void **state)
{
	const struct yaml_node *map = parse(*state, "a: 1\nb: {(@): x, c: [{(@): y}, d]}\ne: {f: {g: h}}\n"), *ret = NULL;
	_cleanup_buf_ struct buf where = BUF_INIT;
	int calls = 0;

	assert_tree(yaml_map_set(*state, map, "a", yaml_str(*state, " 2 ", NULL)), "{a:<2>,b:{(@):<x>,c:[{(@):<y>},<d>]},e:{f:{g:<h>}}}");
	assert_tree(yaml_map_remove(*state, yaml_map_remove(*state, map, "b"), "zz"), "{a:<1>,e:{f:{g:<h>}}}");
	assert_int_equal(yaml_rewrite(*state, map, YAML_HAS_INCLUDE, drop_mark, &calls, &ret, NULL), 0);
	assert_tree(ret, "{a:<1>,b:{c:[{done:<yes>},<d>],done:<yes>},e:{f:{g:<h>}}}");
	assert_int_equal(calls, 3);
	assert_ptr_equal(yaml_get(ret, "e"), yaml_get(map, "e"));
	yaml_provenance(&where, yaml_get(yaml_get(ret, "b"), "done"));
	assert_string_equal(buf_text(&where), "t.yaml [synthetic node]");
	assert_true(yaml_equal(yaml_copy(*state, map), map));
	assert_false(yaml_equal(ret, map));
}

/* ---- Writing ---- */

static const struct yaml_node *random_scalar(struct arena *arena, uint64_t *seed)
{
	static const char *const bits[] = { "a", "Z", "0", " ", "  ", "\n", ":", ": ", " #", "#", "-", "- ", "?", "\"", "'", "\\",
		"{", "[", ",", "&", "*", "!", "|", ">", "%", "@", "`", "\t", "\r", "\x01", "\x7f", "\xc2\x85", "\xc3\xa9", "\xe2\x80\xa8",
		"\xef\xbb\xbf", "\xf0\x9f\x98\x80", "~", "null", "---", "...", "=", "<<", "\xef\xbf\xbe", "\xc2\xa0" };
	_cleanup_buf_ struct buf text = BUF_INIT;

	for (uint32_t n = random_below(seed, 6); n; n--)
		buf_adds(&text, bits[random_below(seed, ARRAY_SIZE(bits))]);
	if (random_below(seed, 100) == 0)
		for (int i = 0; i < 1500; i++)
			buf_adds(&text, "x\xc3\xa9");
	return yaml_scalar(arena, buf_text(&text), text.len, NULL);
}

static const struct yaml_node *random_tree(struct arena *arena, uint64_t *seed, unsigned depth)
{
	uint32_t kind = depth ? random_below(seed, 4) : 0, count = random_below(seed, 4);
	const struct yaml_node *items[4];
	struct yaml_map_builder builder = YAML_MAP_BUILDER_INIT;
	const struct yaml_node *map;

	if (kind == 0)
		return random_scalar(arena, seed);
	for (uint32_t i = 0; i < count; i++)
		items[i] = random_tree(arena, seed, depth - 1);
	if (kind == 1)
		return yaml_list(arena, items, count, NULL);
	for (uint32_t i = 0; i < count; i++) {
		const struct yaml_node *key = random_scalar(arena, seed);
		yaml_map_put(&builder, key->text, key->count, items[i]);
	}
	map = yaml_map_build(&builder, arena, NULL);
	yaml_map_builder_release(&builder);
	return map;
}

static void test_round_trip(void **state)
{
	uint64_t seed = 42;

	for (int i = 0; i < 3000; i++) {
		_cleanup_buf_ struct buf text = BUF_INIT;
		struct yaml_map_builder builder = YAML_MAP_BUILDER_INIT;
		const struct yaml_node *map, *back;

		yaml_map_put(&builder, "top", 3, random_tree(*state, &seed, 4));
		yaml_map_put(&builder, "next", 4, random_tree(*state, &seed, 3));
		map = yaml_map_build(&builder, *state, NULL);
		yaml_map_builder_release(&builder);
		yaml_write(&text, map);
		back = parse(*state, buf_text(&text));
		if (!yaml_equal(map, back))
			fail_msg("does not read back:\n%s", buf_text(&text));
		arena_reset(*state);
	}
}

static void test_write(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	yaml_write(&text, parse(*state, "bst:\n  split-rules: {devel: [/usr/include/**, '%{x}: y']}\n  empty: {}\n  l: []\n  t: \"\"\n"
				       "  ll: [[a, b], {c: d, e: [f]}]\n"));
	assert_string_equal(buf_text(&text),
			    "bst:\n  split-rules:\n    devel:\n    - /usr/include/**\n    - '%{x}: y'\n  empty: {}\n  l: []\n"
			    "  t:\n  ll:\n  - - a\n    - b\n  - c: d\n    e:\n    - f\n");
}

/* What the peer's writer makes of them; it wrote the right-hand column. */
static void test_write_scalars(void **state)
{
	static const char *const pairs[][2] = {
		{ "", "" },           { ".", "." },            { "..", ".." },           { "-", "'-'" },        { "- a", "'- a'" },
		{ "-a", "-a" },       { "a: b", "'a: b'" },    { "a:", "'a:'" },         { ": a", "': a'" },    { "a:b", "a:b" },
		{ "a #b", "'a #b'" }, { "a#b", "a#b" },        { "#b", "'#b'" },         { "~", "~" },          { "true", "true" },
		{ "?", "'?'" },       { "? a", "'? a'" },      { "?a", "?a" },           { "*a", "'*a'" },      { "&a", "'&a'" },
		{ "!a", "'!a'" },     { "@a", "'@a'" },        { "`a", "'`a'" },         { "[a]", "'[a]'" },    { "{a}", "'{a}'" },
		{ "a, b", "a, b" },   { "=", "=" },            { "<<", "<<" },           { "---", "'---'" },    { "...", "'...'" },
		{ "%a", "'%a'" },     { "|", "'|'" },          { ">", "'>'" },           { "quote'd", "quote'd" }, { "dq\"d", "dq\"d" },
		{ "a\\b", "a\\b" },   { "\xc3\xa9", "\xc3\xa9" }, { " a", "' a'" },         { "a ", "'a '" },      { "- it's", "\"- it's\"" },
		{ "tab\there", "\"tab\\there\"" }, { "two\nlines", "\"two\\nlines\"" }, { "\x1b[0m", "\"\\e[0m\"" }, { "\x7f", "\"\\x7F\"" },
		{ "\"", "'\"'" },     { "'", "\"'\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		_cleanup_buf_ struct buf out = BUF_INIT;

		yaml_write_scalar(&out, pairs[i][0], strlen(pairs[i][0]));
		assert_string_equal(buf_text(&out), pairs[i][1]);
		buf_clear(&out);
		yaml_write_pair(&out, "key", pairs[i][0]);
		if (!strchr(" ", pairs[i][0][0]) && !str_ends(pairs[i][0], " ")) /* reading strips */
			assert_string_equal(yaml_get(parse(*state, buf_text(&out)), "key")->text, pairs[i][0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dialect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nul_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_depth, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ints, setup, teardown),
		cmocka_unit_test_setup_teardown(test_symbols, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compose, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compose_under, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compose_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check_composited, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sharing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_making, setup, teardown),
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_scalars, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
