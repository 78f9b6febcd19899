/* Any YAML as the configuration of any kind, and any text as its plugin's Python file.
 *
 * Input: the kind's name up to a newline ("source tar", "element manual"), then YAML, which is also scanned as if it
 * were Python.
 */
#include <stdlib.h>
#include <string.h>

#include "kinds/kinds.h"
#include "yaml/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int tree_digest(void *data, const char *path, bool mtimes, struct digest *ret, struct diag *diag)
{
	*ret = DIGEST_EMPTY;
	return 0;
}

static int file_digest(void *data, const char *path, struct digest *ret, struct diag *diag)
{
	*ret = DIGEST_EMPTY;
	return 0;
}

static void try_source(const struct kinds_context *ctx, const struct kinds_source *ops, const struct yaml_node *node)
{
	struct graph_source source = { .ops = ops, .node = node };

	if (!ops || kinds_configure_source(ctx, &source, node) < 0 || kinds_source_key(ctx, &source) < 0)
		return;
	if (source.has_ref && (!source.key_json || source.key_json_len != strlen(source.key_json)))
		abort();
}

/* The node serves as the configuration of a dependency, too. */
static void try_element(const struct kinds_context *ctx, struct graph *graph, const struct kinds_element *ops,
			const struct yaml_node *node)
{
	struct graph_element *element = &graph->elements[1];
	struct graph_dep dep = { .element = 0, .type = GRAPH_ALL, .path = "j.bst:x.bst", .configs = &node,
				 .config_count = 1 };
	struct buf _cleanup_buf_ key = BUF_INIT;

	if (!ops)
		return;
	element->ops = ops;
	element->deps = &dep;
	element->dep_count = 1;
	if (kinds_configure_element(ctx, element, node) < 0 || kinds_finish_element(ctx, element) < 0)
		return;
	kinds_element_key(element, &key);
	if (!key.len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct kinds_host host = { .tree_digest = tree_digest, .file_digest = file_digest };
	const uint8_t *line = memchr(data, '\n', MIN(size, (size_t)64));
	const char *text = line ? (const char *)line + 1 : (const char *)data;
	size_t len = size - (size_t)((const uint8_t *)text - data);
	struct diag diag = DIAG_INIT;
	struct kinds_plugin plugin;
	struct graph graph;
	struct kinds_context ctx = { .arena = &graph.arena, .diag = &diag, .graph = &graph, .host = &host,
				     .plugin = &plugin, .project_directory = "/nowhere" };
	const struct yaml_node *node;
	char *name;

	if (!line)
		return 0;
	graph_init(&graph);
	graph_add_project(&graph);
	for (int i = 0; i < 2; i++) {
		uint32_t id = graph_add_element(&graph);

		graph.elements[id] = (struct graph_element){ .name = "x.bst", .normal_name = "x",
							     .ops = kinds_find_element("stack") };
	}
	name = arena_strndup(&graph.arena, (const char *)data, (size_t)(line - data));
	kinds_plugin_identify(&plugin, &graph.arena, str_starts(name, "source "), strchr(name, ' ') ? strchr(name, ' ') + 1 : name,
			      text, len);
	plugin.behaviour = len % 3;
	if (yaml_parse(&graph.arena, text, len, "fuzz", &node, &diag) >= 0) {
		if (str_starts(name, "source "))
			try_source(&ctx, kinds_find_source(name + 7), node);
		else if (str_starts(name, "element "))
			try_element(&ctx, &graph, kinds_find_element(name + 8), node);
	}
	diag_release(&diag);
	graph_release(&graph);
	return 0;
}
