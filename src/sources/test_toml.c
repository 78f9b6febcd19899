/* Unit tests of TOML: what Python's tomllib makes of a text, written as tomlkit 0.15 writes it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sources/toml.h"

static struct arena arena;
static struct buf why;

static int forget(void **state)
{
	arena_release(&arena);
	buf_release(&why);
	return 0;
}

static struct toml *read_ok(const char *text)
{
	struct toml *table = NULL;

	assert_int_equal(toml_read(&arena, text, strlen(text), &table, &why), 0);
	return table;
}

static void check(const char *text, const char *wanted)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	toml_write(read_ok(text), &out);
	assert_string_equal(buf_text(&out), wanted);
}

static void check_fails(const char *text, const char *message)
{
	struct toml *table;

	buf_clear(&why);
	assert_int_equal(toml_read(&arena, text, strlen(text), &table, &why), -EBADMSG);
	if (!strstr(buf_text(&why), message))
		fail_msg("'%s' says '%s'", text, buf_text(&why));
}

static void test_scalars(void **state)
{
	check("", "");
	check("a=1_000\nb = 0xff # x\nc= +7\nd=-0\ne=0o17\nf=0b1_1\ng = 123456789012345678901234567890",
	      "a = 1000\nb = 255\nc = 7\nd = 0\ne = 15\nf = 3\ng = 123456789012345678901234567890\n");
	check("a=1.50\nb=1e16\nc=1E+15\nd=1e-5\ne=0.0001\nf=-0.0\ng=+inf\nh=-nan\ni=6.02_3e2_3\nj=5e-324\nk=0.1\nl=123456.789",
	      "a = 1.5\nb = 1e+16\nc = 1000000000000000.0\nd = 1e-05\ne = 0.0001\nf = -0.0\ng = inf\nh = nan\ni = 6.023e+23\n"
	      "j = 5e-324\nk = 0.1\nl = 123456.789\n");
	check("a=1979-05-27t00:32:00.5-07:00\nb=1979-05-27 07:32:00.1234567\nc=1979-05-27\nd=07:32:00.120\ne=1979-05-27T00:32:00+00:00",
	      "a = 1979-05-27T00:32:00.500000-07:00\nb = 1979-05-27T07:32:00.123456\nc = 1979-05-27\nd = 07:32:00.12\n"
	      "e = 1979-05-27T00:32:00Z\n");
	check("a = true\r\nb = false\r\n", "a = true\nb = false\n");
}

static void test_quotes(void **state)
{
	check("a = \"\\b\\t\\n\\f\\r\\\"\\\\\\u00e9\\U0001F600\\u0000\\u007f\"",
	      "a = \"\\b\\t\\n\\f\\r\\\"\\\\\xc3\xa9\xf0\x9f\x98\x80\\u0000\\u007f\"\n");
	check("a = '\\x'\nb = '''\nx'y\n'''''\nc = \"\"\"a \\  \n\n  b\"\"\"\"\"", "a = \"\\\\x\"\nb = \"x'y\\n''\"\nc = \"a b\\\"\\\"\"\n");
	check("\"\" = 1\n'a b' = 2\n\"\\u0041\" = 3\na . \"b.c\" = 4", "\"\" = 1\n\"a b\" = 2\nA = 3\n\n[a]\n\"b.c\" = 4\n");
}

static void test_tables(void **state)
{
	check("[a.b]\nx = 1\n[a]\n[c]\n", "[a.b]\nx = 1\n\n[c]\n");
	check("[a]\nx.y = 1\nz = 2\n", "[a]\nz = 2\n\n[a.x]\ny = 1\n");
	check("[[a]]\n[[a]]\nb = 1\n[a.c]\n[[a.d]]\n[[a]]\n", "[[a]]\n[[a]]\nb = 1\n\n[[a.d]]\n\n[a.c]\n\n[[a]]\n");
	/* a list that came first has no empty line before it */
	check("a = [{b = 1}]\nc = 2\n", "c = 2\n[[a]]\nb = 1\n");
	check("c = 2\na = [{b = 1}]\n", "c = 2\n\n[[a]]\nb = 1\n");
	check("a = [{b = 1, c = {d = 1, e = [{}, {f = 1, g = 2}]}}, 3]\n",
	      "a = [{b = 1, c = {d = 1,e = [{}, {f = 1, g = 2}]}}, 3]\n");
	check("a = [ # c\n 1,\n[2, ], [],\n]\n", "a = [1, [2], []]\n");
}

static void test_faults(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "a", "Expected '='" },
		{ "a = ", "Invalid value (at line 1)" },
		{ "\n\na = 1 b", "Expected newline or end of document after a statement (at line 3)" },
		{ "a = 1\na = 2", "Cannot overwrite a value" },
		{ "[a]\n[a]", "Cannot declare 'a' twice" },
		{ "a.b = 1\n[a]", "Cannot declare 'a' twice" },
		{ "[a]\n[[a]]", "Cannot overwrite a value" },
		{ "a = {}\n[a.b]", "Cannot overwrite a value" },
		{ "a = {}\na.b = 1", "Cannot redefine namespace 'a'" },
		{ "a = [{}]\n[[a]]", "Cannot overwrite a value" },
		{ "[a.b]\n[a]\nb.c = 1", "Cannot redefine namespace 'b'" },
		{ "a = {b = {}, b.c = 1}", "Cannot overwrite a value" },
		{ "[a", "Expected ']'" },
		{ "[[a]", "Expected ']]'" },
		{ "= 1", "Invalid initial character" },
		{ "a = [1 2]", "Unclosed array" },
		{ "a = {b = 1", "Unclosed inline table" },
		{ "a = 'x", "Unterminated string" },
		{ "a = \"\n\"", "Illegal character" },
		{ "a = \"\\x\"", "Unescaped" },
		{ "a = \"\\ud800\"", "not a Unicode scalar" },
		{ "a = \"\\u00g0\"", "Invalid hex" },
		{ "a = 2021-02-29", "Invalid date" },
		{ "a = 01", "Expected newline" },
		{ "a = 1__0", "Expected newline" },
		{ "a = 0xffffffffffffffffff", "too large" },
		{ "# \x01", "invalid character in a comment" },
		{ "a = '\xff'", "not UTF-8" },
		{ "a = '\xed\xa0\x80'", "not UTF-8" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_fails(rows[i].text, rows[i].message);
}

static void test_limits(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	buf_adds(&text, "a = ");
	for (unsigned i = 0; i < 70; i++)
		buf_addc(&text, '[');
	check_fails(text.data, "nested too deep");
	buf_clear(&text);
	for (unsigned i = 0; i < 70; i++)
		buf_adds(&text, "a.");
	buf_adds(&text, "b = 1");
	check_fails(text.data, "Too many names");
	buf_clear(&text);
	for (unsigned i = 0; i < 20001; i++)
		buf_printf(&text, "a%u = 1\n", i);
	check_fails(text.data, "Too many names");
}

static void test_values(void **state)
{
	struct toml *table = read_ok("a = 'x'\nb = 0\nc = [1]\nd = false\n[e]\nf = ''\n");
	_cleanup_buf_ struct buf out = BUF_INIT;

	assert_true(toml_is(toml_get(table, "a"), "x"));
	assert_false(toml_is(toml_get(table, "b"), "0"));
	assert_true(toml_is_true(toml_get(table, "c")));
	assert_false(toml_is_true(toml_get(table, "b")));
	assert_false(toml_is_true(toml_get(table, "d")));
	assert_false(toml_is_true(toml_get(toml_get(table, "e"), "f")));
	assert_null(toml_get(toml_get(table, "a"), "x"));
	assert_null(toml_get_type(table, "a", TOML_ARRAY));
	toml_remove(table, "b");
	toml_remove(table, "gone");
	toml_put_string(&arena, table, "a", "y");
	toml_put_string(&arena, table, "z", "new");
	toml_append(&arena, toml_get(table, "c"), toml_new_string(&arena, "2"));
	toml_write(table, &out);
	assert_string_equal(buf_text(&out), "a = \"y\"\nc = [1, \"2\"]\nd = false\nz = \"new\"\n\n[e]\nf = \"\"\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_scalars, forget), cmocka_unit_test_teardown(test_quotes, forget),
		cmocka_unit_test_teardown(test_tables, forget),	 cmocka_unit_test_teardown(test_faults, forget),
		cmocka_unit_test_teardown(test_limits, forget),	 cmocka_unit_test_teardown(test_values, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
