/* tests/fuzz/fuzz_refs.c: any bytes as project.refs, junction.refs, workspaces.yml and user configuration: the first byte says
 * which. */
#include <stdlib.h>
#include <string.h>

#include "place.h"
#include "project/project.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void load(const char *root, const char *config)
{
	struct project_request request = { .directory = root, .strict = -1, .machine = "x86_64", .system = "Linux" };
	struct project_context context = { 0 };
	struct project_loader *loader;
	struct diag diag = DIAG_INIT;
	struct graph graph;

	if (project_context_load(&context, config, &diag) >= 0) {
		graph_init(&graph);
		loader = project_loader_new(&context, &request);
		project_load(loader, &graph, &diag);
		project_loader_free(loader);
		graph_release(&graph);
	}
	project_context_release(&context);
	diag_release(&diag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char conf[] = "name: test\nmin-version: 2.0\nelement-path: e\nref-storage: project.refs\n"
				   "options: {o: {type: bool, description: d, default: True}}\n";
	static const char element[] = "kind: import\nsources:\n- {kind: tar, url: 'a:b', ref: x}\n"
				      "- {kind: remote, url: 'http://c/d'}\n";
	static const char junction[] = "kind: junction\nsources: [{kind: tar, url: 'http://c/d'}]\n";
	static const char *const names[] = { "project.refs", "junction.refs", ".bst2/workspaces.yml", "user.conf" };
	static const char *root;
	static size_t last; /* the file that is not empty */
	char *path, *config;

	if (!root) {
		root = place_new();
		if (!root)
			return 0;
		place_file(root, "project.conf", conf, sizeof(conf) - 1);
		place_file(root, "e/a.bst", element, sizeof(element) - 1);
		place_file(root, "e/j.bst", junction, sizeof(junction) - 1);
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			place_file(root, names[i], "", 0);
	}
	path = xasprintf("%s/%s", root, names[last]);
	place_change(path, "", 0);
	free(path);
	if (size > 0) {
		last = data[0] % ARRAY_SIZE(names);
		path = xasprintf("%s/%s", root, names[last]);
		place_change(path, data + 1, size - 1);
		free(path);
	}
	config = xasprintf("%s/user.conf", root);
	load(root, config);
	free(config);
	return 0;
}
