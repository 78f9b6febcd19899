/* JSON and YAML in Python's layout: what json.dump and ruamel.yaml 0.19 write for the same trees. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/arena.h"
#include "elements/pyjson.h"
#include "elements/pyyaml.h"
#include "yaml/yaml.h"

#define TEN "word word word word word word word word word word "

static const struct {
	const char *tree, *written;
} yaml_rows[] = {
	{ "{b: 'yes', a: '1.0', d: '', c: 'null'}", "{a: '1.0', b: yes, c: 'null', d: ''}\n" },
	{ "[]", "[]\n" },
	{ "{}", "{}\n" },
	{ "{a: [], b: {}, c: [x]}", "a: []\nb: {}\nc: [x]\n" },
	{ "text", "text\n...\n" },
	{ "'true'", "'true'\n" },
	{ "[a, [b, [c]], {d: {e: f}}, {g: h}]", "- a\n- - b\n  - [c]\n- d: {e: f}\n- {g: h}\n" },
	{ "{a: ['x, y', 'x: y', '#x', \"it's\", '\"', '- x', '-x', '?', ':']}",
	  "a: ['x, y', 'x: y', '#x', it's, '\"', '- x', -x, '?', ':']\n" },
	{ "{a: ['0x1f', '010', '1_0', '.5', '1e5', '-.inf', '2020-01-01', '<<', '=', '~', '12:30', '+', '---x']}",
	  "a: ['0x1f', '010', '1_0', '.5', '1e5', '-.inf', '2020-01-01', '<<', '=', '~', \n    12:30, +, '---x']\n" },
	{ "{a: \"x\\ny\", b: \"tab\\t\\x7f\\xa0\\ufeffé\", c: \"it's #x: \"}", /* the last blank is stripped on the way in */
	  "{a: \"x\\ny\", b: \"tab\\t\\x7F\xc2\xa0\\uFEFFé\", c: \"it's #x:\"}\n" },
	{ "{a: " TEN TEN "end, b: [c]}",
	  "a: word word word word word word word word word word word word word word word \n"
	  "  word word word word word end\nb: [c]\n" },
	{ "{a: '# " TEN TEN "end', b: [c]}",
	  "a: '# word word word word word word word word word word word word word word word word\n"
	  "  word word word word end'\nb: [c]\n" },
	{ "{a: \"it's\\t" TEN TEN "end\", b: [c]}",
	  "a: \"it's\\tword word word word word word word word word word word word word word word\n"
	  "  word word word word word end\"\nb: [c]\n" },
	{ "{? \"x\\ny\" : {a: b}}", "? \"x\\ny\"\n: {a: b}\n" },
};

static const struct yaml_node *parse(struct arena *arena, const char *tree)
{
	struct buf text = BUF_INIT;
	const struct yaml_node *root = NULL;

	buf_printf(&text, "tree: %s\n", tree);
	assert_int_equal(yaml_parse(arena, buf_text(&text), text.len, "t", &root, NULL), 0);
	buf_release(&text);
	return yaml_get(root, "tree");
}

static void test_yaml(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(yaml_rows); i++) {
		_cleanup_buf_ struct buf out = BUF_INIT;
		struct arena arena = ARENA_INIT;

		pyyaml_write(&out, parse(&arena, yaml_rows[i].tree));
		assert_string_equal(buf_text(&out), yaml_rows[i].written);
		arena_release(&arena);
	}
}

static void test_json(void **state)
{
	static const char tree[] = "{a: [x, \"\\u00fc\\n\\\"/\\\\\\U0001F600\"], b: {}, c: [], d: {e: ''}}";
	struct pyjson lines = PYJSON_INIT(2), line = PYJSON_INIT(-1);
	struct arena arena = ARENA_INIT;

	pyjson_node(&lines, parse(&arena, tree));
	assert_string_equal(buf_text(&lines.text), "{\n  \"a\": [\n    \"x\",\n    \"\\u00fc\\n\\\"/\\\\\\ud83d\\ude00\"\n  ],\n"
						   "  \"b\": {},\n  \"c\": [],\n  \"d\": {\n    \"e\": \"\"\n  }\n}");
	pyjson_open(&line, '{');
	pyjson_key(&line, "n");
	pyjson_int(&line, -12);
	pyjson_key(&line, "t");
	pyjson_word(&line, "true");
	pyjson_key(&line, "l");
	pyjson_open(&line, '[');
	pyjson_node(&line, &pyjson_none);
	pyjson_text(&line, "[");
	pyjson_close(&line, ']');
	pyjson_close(&line, '}');
	assert_string_equal(buf_text(&line.text), "{\"n\": -12, \"t\": true, \"l\": [null, \"[\"]}");
	buf_release(&lines.text);
	buf_release(&line.text);
	arena_release(&arena);
}

static void test_repr(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct arena arena = ARENA_INIT;

	pyjson_repr(&out, parse(&arena, "{a: \"it's\", b: [x, '\"']}"));
	assert_string_equal(buf_text(&out), "{'a': \"it's\", 'b': ['x', '\"']}");
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_yaml),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_repr),
	};

	return cmocka_run_group_tests_name("writers", tests, NULL, NULL);
}
