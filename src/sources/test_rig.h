/* What the test programs of room sources begin and end each test with: a store, a graph of one element, a context. */
#ifndef SOURCES_TEST_RIG_H
#define SOURCES_TEST_RIG_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "sources/sources_internal.h"

static char scratch[64];
static struct cas *cas;
static struct diag diag;
static struct graph graph;
static struct sources_context ctx;
static char *sourcedir, *tmpdir;

static int set_up(void **state)
{
	char *cache;

	strncpy(scratch, "/tmp/test-sources-XXXXXX", sizeof scratch - 1);
	assert_non_null(mkdtemp(scratch));
	cache = xasprintf("%s/cache", scratch);
	assert_int_equal(cas_new(&cas, cache, NULL), 0);
	free(cache);
	sourcedir = xasprintf("%s/sources", scratch);
	tmpdir = xasprintf("%s/tmp", scratch);
	graph_init(&graph);
	graph_add_element(&graph);
	ctx = (struct sources_context){ .cas = cas, .graph = &graph, .sourcedir = sourcedir, .tmpdir = tmpdir, .diag = &diag };
	return 0;
}

static int tear_down(void **state)
{
	cas_free(cas);
	graph_release(&graph);
	diag_release(&diag);
	memset(&diag, 0, sizeof diag);
	free(sourcedir);
	free(tmpdir);
	return fs_remove_all(AT_FDCWD, scratch);
}

static struct graph_source *set_sources(uint32_t count)
{
	struct graph_element *element = &graph.elements[0];

	element->sources = ARENA_ARRAY(&graph.arena, struct graph_source, count);
	element->source_count = count;
	return element->sources;
}

static void set_key(struct graph_source *source, const char *json)
{
	source->key_json = json;
	source->key_json_len = (uint32_t)strlen(json);
}

#endif
