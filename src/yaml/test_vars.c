/* Unit tests of variables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "yaml/vars.h"

struct fixture {
	struct arena arena;
	struct yaml_vars_base *base;
	struct yaml_vars vars;
	struct diag diag;
};

static int setup(void **state)
{
	*state = xcalloc(1, sizeof(struct fixture));
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	yaml_vars_base_free(f->base);
	diag_release(&f->diag);
	arena_release(&f->arena);
	free(f);
	return 0;
}

static const struct yaml_node *parse(struct fixture *f, const char *name, const char *text)
{
	const struct yaml_node *node = NULL;

	if (yaml_parse(&f->arena, text, strlen(text), name, &node, &f->diag) < 0)
		fail_msg("%s", buf_text(&f->diag.message));
	return node;
}

static int load(struct fixture *f, const char *base, const char *over)
{
	assert_int_equal(yaml_vars_base_new(&f->arena, parse(f, "project.conf", base), &f->base, &f->diag), 0);
	return yaml_vars_init(&f->vars, &f->arena, f->base, over ? parse(f, "e.bst", over) : NULL, &f->diag);
}

static void assert_error(struct fixture *f, const char *reason, const char *text)
{
	_cleanup_buf_ struct buf said = BUF_INIT;

	diag_format(&f->diag, &said);
	assert_string_equal(buf_text(&said), text);
	assert_string_equal(f->diag.reason, reason);
}

#define BASE "prefix: /usr\nbindir: '%{prefix}/bin'\nlib: lib\nlibdir: '%{prefix}/%{lib}'\nplugins: '%{libdir}/plugins'\n" \
	     "build-root: /buildstream/%{project-name}/%{element-name}\nproject-name: p\n"

static void test_values(void **state)
{
	struct fixture *f = *state;
	uint32_t len, count;
	const struct yaml_var *all;
	_cleanup_buf_ struct buf text = BUF_INIT;

	assert_int_equal(load(f, BASE, "element-name: a/b.bst\nlib: lib64\nown: '%{plugins}:%{element-name}'\n"), 0);
	assert_string_equal(yaml_vars_get(&f->vars, "plugins", &len), "/usr/lib64/plugins");
	assert_int_equal(len, 18);
	assert_string_equal(yaml_vars_get(&f->vars, "build-root", NULL), "/buildstream/p/a/b.bst");
	assert_string_equal(yaml_vars_get(&f->vars, "own", NULL), "/usr/lib64/plugins:a/b.bst");
	assert_null(yaml_vars_get(&f->vars, "nothing", NULL));
	assert_int_equal(yaml_vars_definition(&f->vars, "lib")->line, 1);
	all = yaml_vars_sorted(&f->vars, &f->arena, &count);
	for (uint32_t i = 0; i < count; i++)
		buf_printf(&text, "%s ", all[i].name);
	assert_string_equal(buf_text(&text), "bindir build-root element-name lib libdir own plugins prefix project-name ");
}

/* A second element on the same base sees nothing of the first. */
static void test_layers(void **state)
{
	struct fixture *f = *state;
	struct yaml_vars other;

	assert_int_equal(load(f, BASE, "element-name: a\nprefix: /opt\n"), 0);
	assert_int_equal(yaml_vars_init(&other, &f->arena, f->base, parse(f, "f.bst", "element-name: b\n"), &f->diag), 0);
	assert_string_equal(yaml_vars_get(&f->vars, "plugins", NULL), "/opt/lib/plugins");
	assert_string_equal(yaml_vars_get(&other, "plugins", NULL), "/usr/lib/plugins");
	assert_string_equal(yaml_vars_get(&other, "build-root", NULL), "/buildstream/p/b");
}

static void test_undefined(void **state)
{
	struct fixture *f = *state;

	assert_true(load(f, "a: '%{b}'\nb: x%{nope}y\n", NULL) < 0);
	assert_error(f, "unresolved-variable", "project.conf [line 2 column 3]: Reference to undefined variable 'nope'");
	assert_true(yaml_vars_init(&f->vars, &f->arena, f->base, parse(f, "e.bst", "c: '%{no}'\nnope: 1\n"), &f->diag) < 0);
	assert_error(f, "unresolved-variable", "e.bst [line 1 column 3]: Reference to undefined variable 'no'\n\n    Did you mean 'nope'?");
	assert_int_equal(yaml_vars_init(&f->vars, &f->arena, f->base, parse(f, "e.bst", "nope: 1\n"), &f->diag), 0);
	assert_string_equal(yaml_vars_get(&f->vars, "a", NULL), "x1y");
}

static void test_circular(void **state)
{
	struct fixture *f = *state;

	assert_true(load(f, "a: '%{b}'\nb: '%{c}'\nc: '%{a}'\n", NULL) < 0);
	assert_error(f, "circular-reference-variable",
		     "Circular dependency detected on variable 'a'\n\n"
		     "    project.conf [line 1 column 3]: Variable 'a' refers to variable 'b'\n"
		     "    project.conf [line 2 column 3]: Variable 'b' refers to variable 'c'\n"
		     "    project.conf [line 3 column 3]: Variable 'c' refers to variable 'a'");
	assert_int_equal(yaml_vars_init(&f->vars, &f->arena, f->base, parse(f, "e.bst", "c: z\n"), &f->diag), 0);
	assert_string_equal(yaml_vars_get(&f->vars, "a", NULL), "z");
	assert_true(yaml_vars_init(&f->vars, &f->arena, f->base, parse(f, "e.bst", "c: '%{c}'\n"), &f->diag) < 0);
	assert_error(f, "circular-reference-variable",
		     "Circular dependency detected on variable 'c'\n\n"
		     "    e.bst [line 1 column 3]: Variable 'c' refers to variable 'c'");
}

static void test_wrong_values(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "a: 1\n", NULL), 0);
	assert_true(yaml_vars_init(&f->vars, &f->arena, f->base, parse(f, "e.bst", "b: [x]\n"), &f->diag) < 0);
	assert_error(f, "invalid-data", "e.bst [line 1 column 3]: Value of 'b' is not of the expected type 'scalar'");
	assert_true(yaml_vars_init(&f->vars, &f->arena, f->base, parse(f, "e.bst", "a: [x]\n"), &f->diag) < 0);
	assert_error(f, "illegal-composite",
		     "e.bst [line 1 column 0]: Failure composing ['a']: e.bst [line 1 column 3]: List cannot overwrite a at: "
		     "project.conf [line 1 column 3]");
	assert_true(yaml_vars_init(&f->vars, &f->arena, f->base, parse(f, "e.bst", "b: [x]\nnotparallel: x\n"), &f->diag) < 0);
	assert_error(f, "invalid-data",
		     "e.bst [line 2 column 13]: Value of 'notparallel' is not of the expected type 'boolean'");
	assert_true(yaml_vars_init(&f->vars, &f->arena, f->base, parse(f, "e.bst", "notparallel: x\n"), &f->diag) < 0);
	assert_error(f, "invalid-data",
		     "e.bst [line 1 column 13]: Value of 'notparallel' is not of the expected type 'boolean'");
}

static void test_notparallel(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "max-jobs: 8\njobs: -j%{max-jobs}\nnotparallel: True\n", NULL), 0);
	assert_string_equal(yaml_vars_get(&f->vars, "jobs", NULL), "-j1");
	assert_int_equal(yaml_vars_init(&f->vars, &f->arena, f->base, parse(f, "e.bst", "notparallel: 0\n"), &f->diag), 0);
	assert_string_equal(yaml_vars_get(&f->vars, "jobs", NULL), "-j8");
}

/* Trap 3: the result of an expansion keeps its blanks until it is cloned. */
static void test_blanks(void **state)
{
	struct fixture *f = *state;
	const struct yaml_node *ret = NULL, *tree;

	assert_int_equal(load(f, "a: x\nempty: ''\n", NULL), 0);
	tree = parse(f, "t", "k: '%{a} '\nl: ['%{a} %{empty}']\n");
	assert_int_equal(yaml_vars_expand(&f->vars, &f->arena, tree, &ret, &f->diag), 0);
	assert_string_equal(yaml_get(ret, "k")->text, "x");
	assert_string_equal(yaml_get(ret, "l")->items[0]->text, "x ");
	ret = yaml_clone(&f->arena, ret);
	assert_string_equal(yaml_get(ret, "l")->items[0]->text, "x");
}

static void test_expand(void **state)
{
	struct fixture *f = *state;
	const struct yaml_node *ret = NULL, *tree;
	const char *text = NULL;

	assert_int_equal(load(f, "a: x\nb: '{a}'\n", NULL), 0);
	tree = parse(f, "t", "k: 'a%{a}%{a}b %{1} %{ %%{a}%{b}'\n'%{a}': [{m: '%{a}'}, plain]\nplain: {z: y}\n");
	assert_int_equal(yaml_vars_expand(&f->vars, &f->arena, tree, &ret, &f->diag), 0);
	assert_string_equal(yaml_get(ret, "k")->text, "axxb %{1} %{ %x{a}");
	assert_string_equal(yaml_get(yaml_get(ret, "%{a}")->items[0], "m")->text, "x");
	assert_ptr_equal(yaml_get(ret, "plain"), yaml_get(tree, "plain"));
	assert_true(yaml_vars_expand_str(&f->vars, &f->arena, yaml_get(parse(f, "u", "q: '%{w}'\n"), "q"), &text,
					 &f->diag) < 0);
	assert_error(f, "unresolved-variable", "u [line 1 column 3]: Reference to undefined variable 'w'");
}

/* Prepared subtrees are the same node for every element that changes nothing in them. */
static void test_prepared(void **state)
{
	struct fixture *f = *state;
	const struct yaml_node *one = NULL, *two = NULL, *three = NULL;
	const struct yaml_node *tree = parse(f, "t", "rules: ['%{bindir}/*', '%{prefix}']\nroot: '%{build-root}'\nlib: ['%{libdir}']\n");
	struct yaml_vars b, c;

	assert_int_equal(load(f, BASE, "element-name: a\n"), 0);
	yaml_vars_prepare(f->base, tree);
	assert_int_equal(yaml_vars_init(&b, &f->arena, f->base, parse(f, "b", "element-name: b\nlib: lib\n"), NULL), 0);
	assert_int_equal(yaml_vars_init(&c, &f->arena, f->base, parse(f, "c", "element-name: c\nlib: l\n"), NULL), 0);
	assert_int_equal(yaml_vars_expand(&f->vars, &f->arena, tree, &one, &f->diag), 0);
	assert_int_equal(yaml_vars_expand(&b, &f->arena, tree, &two, &f->diag), 0);
	assert_int_equal(yaml_vars_expand(&c, &f->arena, tree, &three, &f->diag), 0);
	assert_string_equal(yaml_get(one, "root")->text, "/buildstream/p/a");
	assert_string_equal(yaml_get(two, "root")->text, "/buildstream/p/b");
	assert_string_equal(yaml_get(one, "rules")->items[0]->text, "/usr/bin/*");
	assert_ptr_equal(yaml_get(one, "rules"), yaml_get(two, "rules"));
	assert_ptr_equal(yaml_get(one, "rules"), yaml_get(three, "rules"));
	assert_ptr_equal(yaml_get(one, "lib"), yaml_get(two, "lib"));
	assert_string_equal(yaml_get(three, "lib")->items[0]->text, "/usr/l");
}

/* A chain of 100,000 variables, and a circle of as many. */
static void test_long_chain(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf text = BUF_INIT;
	enum { LENGTH = 100000 };

	for (int i = 0; i < LENGTH; i++)
		buf_printf(&text, "v%d: '%%{v%d}'\n", i, i + 1);
	buf_printf(&text, "v%d: '%%{end}'\n", LENGTH);
	assert_int_equal(load(f, buf_text(&text), "end: x\n"), 0);
	assert_string_equal(yaml_vars_get(&f->vars, "v0", NULL), "x");
	assert_true(yaml_vars_init(&f->vars, &f->arena, f->base, parse(f, "e", "end: '%{v0}'\n"), &f->diag) < 0);
	assert_string_equal(f->diag.reason, "circular-reference-variable");
}

/* Text that doubles with every variable ends in an error, not in all of memory. */
static void test_doubling(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf text = BUF_INIT;

	buf_adds(&text, "v0: xxxxxxxxxxxxxxxx\n");
	for (int i = 1; i < 60; i++)
		buf_printf(&text, "v%d: '%%{v%d}%%{v%d}'\n", i, i - 1, i - 1);
	assert_true(load(f, buf_text(&text), NULL) < 0);
	assert_string_equal(buf_text(&f->diag.message), "Variables expand to more than 64 MiB of text");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_layers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_undefined, setup, teardown),
		cmocka_unit_test_setup_teardown(test_circular, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_notparallel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blanks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expand, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prepared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_doubling, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
