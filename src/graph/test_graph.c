/* Traversals against orders written down by hand from the peer's rules, and what freezing promises. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "graph/graph.h"

static void add(struct graph *graph, const char *name, const char *deps)
{
	uint32_t id = graph_add_element(graph);
	struct graph_element *element = &graph->elements[id];
	struct graph_dep *dep;

	element->name = element->full_name = arena_strdup(&graph->arena, name);
	element->deps = ARENA_ARRAY(&graph->arena, struct graph_dep, strlen(deps));
	for (; *deps; deps += 2 + (deps[2] == ' ')) {
		char wanted[2] = { deps[1], 0 };

		dep = &element->deps[element->dep_count++];
		dep->type = deps[0] == 'b' ? GRAPH_BUILD : deps[0] == 'r' ? GRAPH_RUNTIME : GRAPH_ALL;
		dep->element = graph_find(graph, wanted);
		assert_true(dep->element != GRAPH_NONE);
	}
}

static void expect(struct graph *graph, const char *targets, enum graph_scope scope, const char *want)
{
	static struct graph_walk walk; /* reused: marks of the last walk must not matter */
	uint32_t ids[8], count = 0;
	_cleanup_buf_ struct buf got = BUF_INIT;

	for (; *targets; targets++) {
		char name[2] = { *targets, 0 };
		ids[count++] = graph_find(graph, name);
	}
	graph_walk_targets(&walk, graph, ids, count, scope);
	for (uint32_t i = 0; i < walk.count; i++)
		buf_adds(&got, graph->elements[walk.ids[i]].name);
	assert_string_equal(buf_text(&got), want);
	if (scope == GRAPH_SCOPE_ALL && str_eq(want, "abcdefg"))
		graph_walk_release(&walk);
}

static void test_walks(void **state)
{
	struct graph graph;

	graph_init(&graph);
	add(&graph, "a", "");
	add(&graph, "b", "ba");
	add(&graph, "c", "ra bb");
	add(&graph, "d", "rb rc");
	add(&graph, "e", "bc ad");
	add(&graph, "f", "re ba");
	add(&graph, "g", "bf rd");

	expect(&graph, "e", GRAPH_SCOPE_NONE, "e");
	expect(&graph, "e", GRAPH_SCOPE_BUILD, "acbd");
	expect(&graph, "d", GRAPH_SCOPE_RUN, "bacd");
	expect(&graph, "e", GRAPH_SCOPE_RUN, "bacde");
	expect(&graph, "f", GRAPH_SCOPE_BUILD, "a");
	expect(&graph, "f", GRAPH_SCOPE_ALL, "abcdef");
	expect(&graph, "fc", GRAPH_SCOPE_BUILD, "ab");
	expect(&graph, "cc", GRAPH_SCOPE_RUN, "ac");
	expect(&graph, "ae", GRAPH_SCOPE_BUILD, "acbd");
	expect(&graph, "g", GRAPH_SCOPE_ALL, "abcdefg");
	graph_release(&graph);
}

static void test_deep(void **state)
{
	enum { DEEP = 200000 };
	struct graph_walk walk = { 0 };
	struct graph graph;

	graph_init(&graph);
	for (uint32_t i = 0; i < DEEP; i++) {
		uint32_t id = graph_add_element(&graph);

		if (i == 0)
			continue;
		graph.elements[id].deps = ARENA_NEW(&graph.arena, struct graph_dep);
		graph.elements[id].deps[0] = (struct graph_dep){ .element = i - 1, .type = GRAPH_ALL };
		graph.elements[id].dep_count = 1;
	}
	graph_walk_scope(&walk, &graph, DEEP - 1, GRAPH_SCOPE_RUN);
	assert_int_equal(walk.count, DEEP);
	assert_int_equal(walk.ids[0], 0);
	graph_walk_release(&walk);
	graph_release(&graph);
}

static void test_freeze(void **state)
{
	static const struct graph_pair variables[] = { { "a", "1" }, { "b-c", "2" }, { "z", "" } };
	struct graph graph;
	int status;
	pid_t child;

	graph_init(&graph);
	add(&graph, "a", "");
	graph.elements[0].variables = variables;
	graph.elements[0].variable_count = 3;
	assert_int_equal(graph_add_project(&graph), 0);
	graph_freeze(&graph);
	assert_string_equal(graph_variable(&graph.elements[0], "b-c"), "2");
	assert_null(graph_variable(&graph.elements[0], "b"));

	child = fork();
	if (child == 0) { /* writing to a frozen graph must crash */
		signal(SIGSEGV, SIG_DFL);
		graph.elements[0].max_jobs = 7;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);

	graph_thaw(&graph);
	assert_int_equal(graph.generation, 2);
	add(&graph, "b", "aa");
	graph.elements[0].max_jobs = 7;
	assert_int_equal(graph_find(&graph, "b"), 1);
	graph_freeze(&graph);
	assert_int_equal(graph.elements[0].max_jobs, 7);
	assert_int_equal(graph.elements[1].dep_count, 1);
	graph_release(&graph);
}

static void test_normal_names(void **state)
{
	struct arena arena = ARENA_INIT;

	assert_string_equal(graph_normal_name(&arena, "core/foo.bst"), "core-foo");
	assert_string_equal(graph_normal_name(&arena, "core/foo.bar.bst"), "core-foo.bar");
	assert_string_equal(graph_normal_name(&arena, "a.b/c"), "a");
	assert_string_equal(graph_normal_name(&arena, "..bst"), "..bst");
	assert_string_equal(graph_normal_name(&arena, "plain"), "plain");
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walks),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_freeze),
		cmocka_unit_test(test_normal_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
