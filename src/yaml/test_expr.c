/* Unit tests of expressions and of what (?) and (!) do to trees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "yaml/expr.h"

static const char *const three[] = { "one", "two", "three" };
static const struct yaml_option option_table[] = {
	{ .name = "debug", .type = YAML_OPTION_BOOL, .boolean = true },
	{ .name = "opt", .type = YAML_OPTION_BOOL },
	{ .name = "arch", .type = YAML_OPTION_TEXT, .text = "x86_64" },
	{ .name = "empty", .type = YAML_OPTION_TEXT, .text = "" },
	{ .name = "num", .type = YAML_OPTION_TEXT, .text = "12" },
	{ .name = "flags", .type = YAML_OPTION_LIST, .items = three, .item_count = 3 },
	{ .name = "noflags", .type = YAML_OPTION_LIST, .items = three },
};
static const struct yaml_options options = { option_table, ARRAY_SIZE(option_table) };

/* What Jinja2 3.1 makes of each expression with these options; CRASH: an exception that the peer does not catch, where
 * any error of ours will do. */
enum outcome { NO, YES, WHY, CRASH };
static const struct { const char *text; enum outcome outcome; const char *why; } golden[] = {
	{ "x", WHY, "'x' is undefined" },
	{ "x == 1", WHY, "'x' is undefined" },
	{ "a ==", WHY, "unexpected 'end of statement block'" },
	{ "", WHY, "Expected an expression, got 'end of statement block'" },
	{ "(", WHY, "unexpected '%'" },
	{ "(a", WHY, "unexpected '}', expected ')'" },
	{ "a b", WHY, "expected token 'end of statement block', got 'b'" },
	{ "'abc", WHY, "unexpected char \"'\" at 6" },
	{ "a = b", WHY, "expected token 'end of statement block', got '='" },
	{ "a == 'x' b", WHY, "expected token 'end of statement block', got 'b'" },
	{ "a !", WHY, "unexpected char '!' at 8" },
	{ "a in", WHY, "unexpected 'end of statement block'" },
	{ "not", WHY, "unexpected 'end of statement block'" },
	{ "a[", WHY, "unexpected '%'" },
	{ "[a", WHY, "unexpected '}', expected ']'" },
	{ "a|nofilter", WHY, "No filter named 'nofilter' found." },
	{ "a is notest", WHY, "No test named 'notest' found." },
	{ "a.b", WHY, "'a' is undefined" },
	{ "debug.x", WHY, "'bool object' has no attribute 'x'" },
	{ "arch.startswith('x')", YES, NULL },
	{ "arch.foo", WHY, "'str object' has no attribute 'foo'" },
	{ "arch[0]=='x'", YES, NULL },
	{ "arch[99]", WHY, "str object has no element 99" },
	{ "flags[7]", WHY, "list object has no element 7" },
	{ "flags|length == 3", YES, NULL },
	{ "1 +", WHY, "unexpected 'end of statement block'" },
	{ "a \? b", WHY, "unexpected char '\?' at 8" },
	{ "\"\\x41\" == 'A'", YES, NULL },
	{ "'a' < 1", CRASH, NULL },
	{ "debug < arch", CRASH, NULL },
	{ "flags|join(',')=='one,two,three'", YES, NULL },
	{ "arch ~ 1 == 'x86_641'", YES, NULL },
	{ "1.5 > 1", YES, NULL },
	{ "1_000 == 1000", YES, NULL },
	{ "none is none", YES, NULL },
	{ "None is none", YES, NULL },
	{ "True", YES, NULL },
	{ "true", YES, NULL },
	{ "x is defined", NO, NULL },
	{ "x is not defined", YES, NULL },
	{ "arch is defined", YES, NULL },
	{ "x or debug", WHY, "'x' is undefined" },
	{ "debug or x", YES, NULL },
	{ "'a' 'b' == 'ab'", YES, NULL },
	{ "a if debug else b", WHY, "expected token 'end of statement block', got 'if'" },
	{ "arch if debug", WHY, "expected token 'end of statement block', got 'if'" },
	{ "arch if opt", WHY, "expected token 'end of statement block', got 'if'" },
	{ "(arch if opt) == ''", NO, NULL },
	{ "(x)", WHY, "'x' is undefined" },
	{ "x|default('a') == 'a'", YES, NULL },
	{ "not not x", WHY, "'x' is undefined" },
	{ "%}", WHY, "Expected an expression, got 'end of statement block'" },
	{ "debug %}X{% endif %}", WHY, "Encountered unknown tag 'else'." },
	{ "1 in arch", CRASH, NULL },
	{ "'x' in debug", CRASH, NULL },
	{ "-1 < 0", YES, NULL },
	{ "+1", YES, NULL },
	{ "-arch", CRASH, NULL },
	{ "2**3**2 == 512", NO, NULL },
	{ "2**-1", YES, NULL },
	{ "1/0", CRASH, NULL },
	{ "7//2==3", YES, NULL },
	{ "-7//2==-4", YES, NULL },
	{ "-7%3==2", YES, NULL },
	{ "arch is string", YES, NULL },
	{ "12 is number", YES, NULL },
	{ "[1,2] == (1,2)", NO, NULL },
	{ "[1,2]==[1,2]", YES, NULL },
	{ "()", NO, NULL },
	{ "(1,)", YES, NULL },
	{ "{}", NO, NULL },
	{ "{'a':1}", YES, NULL },
	{ "{'a':1}['a']==1", YES, NULL },
	{ "{'a':1}.a==1", YES, NULL },
	{ "a,b", YES, NULL },
	{ "debug,", YES, NULL },
	{ "range(3)", WHY, "'range' is undefined" },
	{ "arch()", CRASH, NULL },
	{ "arch.upper()=='X86_64'", YES, NULL },
	{ "arch|upper=='X86_64'", YES, NULL },
	{ "arch is in ['x86_64']", YES, NULL },
	{ "arch is in('x86_64')", YES, NULL },
	{ "debug is sameas true", YES, NULL },
	{ "arch[0:3]=='x86'", YES, NULL },
	{ "arch[::-1]=='46_68x'", YES, NULL },
	{ "flags[0]=='one'", YES, NULL },
	{ "flags.0=='one'", YES, NULL },
	{ "flags|first", YES, NULL },
	{ "noflags|first", WHY, "No first item, sequence was empty." },
	{ "flags is iterable", YES, NULL },
	{ "1<2<3", YES, NULL },
	{ "1<2>3", NO, NULL },
	{ "a not", WHY, "expected token 'end of statement block', got 'not'" },
	{ "not in a", WHY, "expected token 'end of statement block', got 'a'" },
	{ "x not in flags", WHY, "'x' is undefined" },
	{ "'one' not in flags", NO, NULL },
	{ "arch == \"x86_64\" and not debug", NO, NULL },
	{ "#", WHY, "unexpected char '#' at 6" },
	{ "a # b", WHY, "unexpected char '#' at 8" },
	{ "{# x #}debug", WHY, "unexpected char '#' at 7" },
	{ "{{ debug }}", WHY, "expected token ':', got '}'" },
	{ "debug -", WHY, "unexpected 'end of statement block'" },
	{ "@", WHY, "unexpected char '@' at 6" },
	{ "a;b", WHY, "expected token 'end of statement block', got ';'" },
	{ "$", WHY, "unexpected char '$' at 6" },
	{ "'a\nb' == 'a\nb'", YES, NULL },
	{ "'é'=='é'", YES, NULL },
	{ "é", WHY, "'é' is undefined" },
	{ "0x1f == 31", YES, NULL },
	{ "0b11==3", YES, NULL },
	{ "0o17==15", YES, NULL },
	{ "1e3==1000", YES, NULL },
	{ "1.", WHY, "expected name or number" },
	{ "1.e3", WHY, "'int object' has no attribute 'e3'" },
	{ ".5", WHY, "unexpected '.'" },
	{ "012", WHY, "expected token 'end of statement block', got 'integer'" },
	{ "debug and", WHY, "unexpected 'end of statement block'" },
	{ "and", WHY, "'and' is undefined" },
	{ "if", WHY, "'if' is undefined" },
	{ "else", WHY, "'else' is undefined" },
	{ "debug else", WHY, "expected token 'end of statement block', got 'else'" },
	{ "is defined", WHY, "expected token 'end of statement block', got 'defined'" },
	{ "arch is divisibleby 3", CRASH, NULL },
	{ "12 is divisibleby 3", YES, NULL },
	{ "12 is even", YES, NULL },
	{ "arch is eq 'x86_64'", YES, NULL },
	{ "arch is not none", YES, NULL },
	{ "debug == 1", YES, NULL },
	{ "opt == 0", YES, NULL },
	{ "'1'==1", NO, NULL },
	{ "num|int == 12", YES, NULL },
	{ "num|int > 11", YES, NULL },
	{ "arch|replace('x','y')=='y86_64'", YES, NULL },
	{ "flags|sort|join", YES, NULL },
	{ "flags == ['one','two','three']", YES, NULL },
	{ "loop", WHY, "'loop' is undefined" },
	{ "debug and arch == 'x' or true", YES, NULL },
	{ "not debug == opt", YES, NULL },
	{ "arch.split('_')[0]=='x86'", YES, NULL },
	{ "arch is defined and x is defined", NO, NULL },
	{ "x is undefined", YES, NULL },
	{ "namespace()", WHY, "'namespace' is undefined" },
	{ "*", WHY, "unexpected '*'" },
	{ "a*", WHY, "unexpected 'end of statement block'" },
	{ "debug\n", YES, NULL },
	{ "debug\n and x", WHY, "'x' is undefined" },
	{ "'", WHY, "unexpected char \"'\" at 6" },
	{ "\"", WHY, "unexpected char '\"' at 6" },
	{ "arch =='", WHY, "unexpected char \"'\" at 13" },
	{ "]", WHY, "unexpected ']'" },
	{ "}", WHY, "unexpected '}'" },
	{ "debug]", WHY, "unexpected ']'" },
	{ "(debug]", WHY, "unexpected ']', expected ')'" },
	{ "[1,2", WHY, "unexpected '}', expected ']'" },
	{ "{'a' 1}", WHY, "expected token ':', got 'integer'" },
	{ "a..b", WHY, "expected name or number" },
	{ "a.'b'", WHY, "expected name or number" },
	{ "a.", WHY, "expected name or number" },
	{ "a|", WHY, "expected token 'name', got 'end of statement block'" },
	{ "a is", WHY, "expected token 'name', got 'end of statement block'" },
	{ "a is not", WHY, "expected token 'name', got 'end of statement block'" },
	{ "x|length", WHY, "'x' is undefined" },
	{ "1 == 1.0", YES, NULL },
	{ "'abc' is lower", YES, NULL },
	{ "'ABC' is upper", YES, NULL },
	{ "arch is mapping", NO, NULL },
	{ "arch is sequence", YES, NULL },
	{ "arch is boolean", NO, NULL },
	{ "debug is boolean", YES, NULL },
	{ "debug is true", YES, NULL },
	{ "debug is false", NO, NULL },
	{ "arch is true", NO, NULL },
	{ "'%s' % arch == 'x86_64'", YES, NULL },
	{ "'%s-%d' % (arch, 3)", YES, NULL },
	{ "arch + 1", CRASH, NULL },
	{ "arch + 'b' == 'x86_64b'", YES, NULL },
	{ "arch*2=='x86_64x86_64'", YES, NULL },
	{ "[1]+[2]==[1,2]", YES, NULL },
	{ "debug + 1 == 2", YES, NULL },
	{ "flags|map('upper')|list", YES, NULL },
	{ "flags|select('eq','one')|list", YES, NULL },
	{ "flags|reject('eq','one')|list|length==2", YES, NULL },
	{ "flags|min", YES, NULL },
	{ "flags|list", YES, NULL },
	{ "arch|list", YES, NULL },
	{ "arch|length", YES, NULL },
	{ "arch|count", YES, NULL },
	{ "12|length", CRASH, NULL },
	{ "arch|trim", YES, NULL },
	{ "arch|title", YES, NULL },
	{ "arch|capitalize", YES, NULL },
	{ "flags|last=='three'", YES, NULL },
	{ "flags|reverse|first=='three'", YES, NULL },
	{ "flags|unique|list", YES, NULL },
	{ "12|abs", YES, NULL },
	{ "12|string=='12'", YES, NULL },
	{ "flags|string", YES, NULL },
	{ "arch is filter", NO, NULL },
	{ "'upper' is filter", YES, NULL },
	{ "'eq' is test", YES, NULL },
	{ "arch is callable", NO, NULL },
	{ "arch > 'a'", YES, NULL },
	{ "flags > ['a']", YES, NULL },
	{ "flags < flags", NO, NULL },
	{ "none < none", CRASH, NULL },
	{ "debug is", WHY, "expected token 'name', got 'end of statement block'" },
	{ "~", WHY, "unexpected '~'" },
	{ "arch ~", WHY, "unexpected 'end of statement block'" },
	{ "'a' ~ none == 'aNone'", YES, NULL },
	{ "'a'~true", YES, NULL },
	{ "'a'~flags == \"a['one', 'two', 'three']\"", YES, NULL },
	{ "'a'~1.0=='a1.0'", YES, NULL },
	{ "arch is string is boolean", WHY, "You cannot chain multiple tests with is" },
	{ "not arch is string", NO, NULL },
	{ "- 1 == -1", YES, NULL },
	{ "(1,2)|length", YES, NULL },
	{ "1 if", WHY, "expected token 'end of statement block', got 'if'" },
	{ "debug if x else arch", WHY, "expected token 'end of statement block', got 'if'" },
	{ "arch == 'a' if debug else x", WHY, "expected token 'end of statement block', got 'if'" },
	{ "%", WHY, "unexpected '%'" },
	{ "a % b", WHY, "'a' is undefined" },
	{ "debug%", WHY, "unexpected 'end of statement block'" },
	{ "foo(", WHY, "unexpected '%'" },
	{ "a if b else", WHY, "expected token 'end of statement block', got 'if'" },
	{ "'a' in 'abc'", YES, NULL },
	{ "[]", NO, NULL },
	{ "[,]", WHY, "unexpected ','" },
	{ "[1,]", YES, NULL },
	{ "(,)", WHY, "unexpected ','" },
	{ "1,2 == 3", YES, NULL },
	{ "debug == true == true", YES, NULL },
	{ "x[0]", WHY, "'x' is undefined" },
	{ "x.y", WHY, "'x' is undefined" },
	{ "x()", WHY, "'x' is undefined" },
	{ "arch['foo']", WHY, "'str object' has no attribute 'foo'" },
	{ "flags['a']", WHY, "'list object' has no attribute 'a'" },
	{ "arch.upper", YES, NULL },
	{ "arch.count('6')==2", YES, NULL },
	{ "arch.find('_')==3", YES, NULL },
	{ "arch.isdigit()", NO, NULL },
	{ "num.isdigit()", YES, NULL },
	{ "arch.endswith(('64','32'))", YES, NULL },
	{ "arch.replace('x','')=='86_64'", YES, NULL },
	{ "arch.lower() == arch", YES, NULL },
	{ "' a '.strip()=='a'", YES, NULL },
	{ "'a,b'.split(',')|length", YES, NULL },
	{ "','.join(flags)=='one,two,three'", YES, NULL },
	{ "debug:", YES, NULL },
	{ "target_arch", WHY, "'target_arch' is undefined" },
	{ "arch in ('ppc64','ppc64le')", NO, NULL },
	{ "(\"one\" not in flags)", NO, NULL },
	{ "arch == \"i686\" or arch == \"x86_64\"", YES, NULL },
	{ "1[:2]", CRASH, NULL },
	{ "debug|abs.x", WHY, "No filter named 'abs.x' found." },
	{ "x in noflags", NO, NULL },
	{ "x in flags", WHY, "'x' is undefined" },
	{ "empty", NO, NULL },
	{ "num", YES, NULL },
	{ "noflags", NO, NULL },
	{ "not noflags", YES, NULL },
};

static void test_golden(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		_cleanup_buf_ struct buf want = BUF_INIT;
		bool holds = false;
		int r = yaml_expr_eval(golden[i].text, &options, &holds, &diag);

		if (golden[i].outcome <= YES) {
			if (r < 0 || holds != (golden[i].outcome == YES))
				fail_msg("%s: %s", golden[i].text, r < 0 ? buf_text(&diag.message) : "other value");
			continue;
		}
		if (r >= 0)
			fail_msg("%s: no error", golden[i].text);
		assert_string_equal(diag.reason, "expression-failed");
		if (golden[i].outcome == CRASH)
			continue;
		buf_printf(&want, "Failed to evaluate expression (%s): %s", golden[i].text, golden[i].why);
		assert_string_equal(buf_text(&diag.message), buf_text(&want));
	}
}

/* Depth, width and size are bounded. */
static void test_bounds(void **state)
{
	static const char *const growing[] = { "'xxxxxxxxxx' * 1000000000", "[1] * 100000000", "2 ** 100",
		"9223372036854775807 + 1", "99999999999999999999", "'a' * 1000000 * 1000000", "10.0 ** 400", "1 // 0",
		"-9223372036854775807 - 2" };
	bool holds;

	for (size_t i = 0; i < ARRAY_SIZE(growing); i++)
		assert_true(yaml_expr_eval(growing[i], &options, &holds, NULL) < 0);
	for (size_t n = 10; n <= 1000000; n *= 10) {
		static const char *const parts[] = { "(", "not ", "-", "[", "debug or ", "1 + ", "{1:", "x if y else ", "1|", "a." };
		for (size_t p = 0; p < ARRAY_SIZE(parts); p++) {
			_cleanup_buf_ struct buf text = BUF_INIT;
			for (size_t i = 0; i < n; i++)
				buf_adds(&text, parts[p]);
			buf_adds(&text, "1");
			yaml_expr_eval(buf_text(&text), &options, &holds, NULL);
		}
	}
}

static const struct yaml_node *parse(struct arena *arena, const char *text)
{
	const struct yaml_node *node = NULL;

	assert_int_equal(yaml_parse(arena, text, strlen(text), "t.bst", &node, NULL), 0);
	return node;
}

static void test_conditions(void **state)
{
	/* input, and what it should equal */
	static const char *const table[][2] = {
		{ "a: 1\n(?):\n- debug:\n    a: 2\n- opt:\n    a: 3\n", "a: 2\n" },
		{ "l: [x]\n(?):\n- arch == 'x86_64':\n    l: {(>): [y]}\n- debug:\n    l: {(<): [w]}\n", "l: [w, x, y]\n" },
		{ "(?):\n- debug:\n    (?):\n    - not opt:\n        b: 1\n", "b: 1\n" },
		{ "m:\n- k:\n    (?):\n    - debug: {v: 1}\n- [{(?): [{opt: {v: 1}}], w: 2}]\n", "m: [{k: {v: 1}}, [{w: 2}]]\n" },
		{ "(?): []\na: 1\n", "a: 1\n" },
		{ "a: 1\n(?):\n- opt:\n    (!): no\n", "a: 1\n" },
	};
	struct arena arena = ARENA_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct yaml_node *ret = NULL;
		assert_int_equal(yaml_resolve_conditions(&arena, parse(&arena, table[i][0]), &options, NULL, &ret, NULL), 0);
		assert_true(yaml_equal(ret, parse(&arena, table[i][1])));
	}
	arena_release(&arena);
}

static void test_condition_errors(void **state)
{
	static const char *const restricted[] = { "name", NULL };
	static const struct { const char *text, *reason, *message; } table[] = {
		{ "x: 1\n(?):\n- y:\n    a: 1\n", "expression-failed",
		  "t.bst [line 3 column 2]: Failed to evaluate expression (y): 'y' is undefined" },
		{ "x:\n  (!): |\n    Not good.\n", "user-assertion", "t.bst [line 2 column 7]: Not good." },
		{ "(?):\n- debug:\n    (!): no\n", "user-assertion", "t.bst [line 3 column 9]: no" },
		{ "(?):\n- debug: {}\n  opt: {}\n", "invalid-data", "t.bst [line 2 column 2]: Conditional statement has more than one key" },
		{ "(?):\n- debug: x\n", "illegal-composite", "t.bst [line 2 column 2]: Only values of type 'dict' can be composed." },
		{ "(?):\n- opt: x\n", "illegal-composite", "t.bst [line 2 column 2]: Only values of type 'dict' can be composed." },
		{ "(?):\n- opt: {name: x}\n", "illegal-composite",
		  "t.bst [line 2 column 14]: The 'name' key cannot be specified conditionally." },
		{ "(?):\n- x\n", "invalid-data", "t.bst [line 2 column 2]: Conditional statement is not of the expected type 'dict'" },
		{ "(?):\n- {}\n", "invalid-data", "t.bst [line 2 column 2]: Conditional statement has no key" },
		{ "(?): x\n", "invalid-data", "t.bst [line 1 column 5]: Value of '(?)' is not of the expected type 'list'" },
		{ "a: [b]\n(?):\n- debug: {a: c}\n", "illegal-composite",
		  "t.bst [line 3 column 9]: Failure composing ['a']: t.bst [line 3 column 13]: Cannot compose scalar on non-scalar at "
		  "t.bst [line 1 column 3]" },
	};
	struct arena arena = ARENA_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		_cleanup_buf_ struct buf said = BUF_INIT;
		const struct yaml_node *ret = NULL;

		assert_true(yaml_resolve_conditions(&arena, parse(&arena, table[i].text), &options, restricted, &ret, &diag) < 0);
		diag_format(&diag, &said);
		assert_string_equal(buf_text(&said), table[i].message);
		assert_string_equal(diag.reason, table[i].reason);
	}
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_condition_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
