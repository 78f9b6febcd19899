/* Unit tests of literals as Starlark has them; written as TOML to be looked at. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sources/starlark.h"

static int reads(struct arena *arena, const char *text, struct buf *ret)
{
	_cleanup_buf_ struct buf why = BUF_INIT;
	struct toml *names;
	int r = starlark_read(arena, text, strlen(text), &names, &why);

	if (r == 0)
		toml_write(names, ret);
	else
		buf_adds(ret, buf_text(&why));
	return r;
}

static void check(int result, const char *text, const char *wanted)
{
	struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT;

	assert_int_equal(reads(&arena, text, &out), result);
	assert_string_equal(buf_text(&out), wanted);
	arena_release(&arena);
}

static void test_values(void **state)
{
	check(0, "", "");
	check(0, "# only this", "");
	check(0, "a = 'x' ; b = [1, -2.5, None, (), (3,),]\n\n'said' \nc=True # yes\n",
	      "a = \"x\"\nb = [1, -2.5, None, [], [3]]\nc = True\n");
	check(0, "a = { 'x' : {\"y\": [\n] , }, 'x': 2 }\n", "[a]\nx = 2\n");
	check(0, "a = \\\n 1\r\n", "a = 1\n");
}

static void test_texts(void **state)
{
	check(0, "a = '\\x41\\u00e9\\U0001f600\\101\\0\\q\\n\\\n|\\''", "a = \"A\xc3\xa9\xf0\x9f\x98\x80" "A\\u0000\\\\q\\n|'\"\n");
	check(0, "a = r'\\n\\''", "a = \"\\\\n\\\\'\"\n");
	check(0, "a = '''x\n'y'\n'''", "a = \"x\\n'y'\\n\"\n");
}

static void test_faults(void **state)
{
	static const char *const rows[][2] = {
		{ "a = f()", "Something that is no literal in line 1" },
		{ "a = 1(", "Something behind a value in line 1" },
		{ "a = 'x' 'y'", "Something behind a value in line 1" },
		{ "\na = 'x", "A text without an end in line 2" },
		{ "a = 'x\n'", "A text without an end in line 1" },
		{ "a = [1 2]", "A list without an end in line 1" },
		{ "a = [", "A value is missing in line 1" },
		{ "a = {1: 2}", "A key that is no text in line 1" },
		{ "a = {'x' 2}", "A key without a value in line 1" },
		{ "a = {'x': 2", "A dictionary without an end in line 1" },
		{ "a = '\\xq'", "A character that does not exist in line 1" },
		{ "a = '\\U00110000'", "A character that does not exist in line 1" },
		{ "a = ", "A value is missing in line 1" },
		{ "a.b = 1", "Something that gives no name a value in line 1" },
		{ "load('x')", "Something that gives no name a value in line 1" },
	};
	char deep[400] = "a = ";

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check(-EBADMSG, rows[i][0], rows[i][1]);
	memset(deep + 4, '[', sizeof deep - 5);
	check(-EBADMSG, deep, "Values nested too deep in line 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_values), cmocka_unit_test(test_texts),
					    cmocka_unit_test(test_faults) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
