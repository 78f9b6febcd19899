/* tests/fuzz/fuzz_projectconf.c: any bytes as project.conf of a project with an element, an include and a junction. */
#include <stdlib.h>
#include <string.h>

#include "place.h"
#include "project/project.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const files[][2] = {
	{ "e/a.bst", "kind: manual\ndepends: [b.bst, 'j.bst:x.bst']\n(?):\n- flag: {environment: {A: '%{v}'}}\n" },
	{ "e/b.bst", "kind: import\nsources: [{kind: local, path: e}]\n(@): inc.yml\n" },
	{ "e/j.bst", "kind: junction\nsources: [{kind: local, path: sub}]\n" },
	{ "inc.yml", "variables: {v: included}\n" },
	{ "sub/project.conf", "name: sub\nmin-version: 2.0\n" },
	{ "sub/x.bst", "kind: stack\n" },
	{ "sub/inc.yml", "variables: {w: '%{project-name}'}\n" },
	{ "user.conf", "cachedir: /nowhere\n" },
};

/* A directory of our own for as long as the process lives. */
static const char *directory(void)
{
	static const char *root;

	if (root)
		return root;
	root = place_new();
	for (size_t i = 0; root && i < ARRAY_SIZE(files); i++)
		place_file(root, files[i][0], files[i][1], strlen(files[i][1]));
	if (root)
		place_file(root, "project.conf", "", 0);
	return root;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *root = directory();
	char *conf = xasprintf("%s/project.conf", root), *user = xasprintf("%s/user.conf", root);
	struct project_option option = { "flag", "True" };
	struct project_request request = { .directory = root, .strict = -1, .machine = "x86_64", .system = "Linux",
					   .options = &option, .option_count = size % 2 };
	struct project_context context = { 0 };
	struct project_loader *loader;
	struct diag diag = DIAG_INIT;
	struct graph graph;

	place_change(conf, data, size);
	if (project_context_load(&context, user, &diag) >= 0) {
		graph_init(&graph);
		loader = project_loader_new(&context, &request);
		project_load(loader, &graph, &diag);
		project_loader_free(loader);
		graph_release(&graph);
	}
	project_context_release(&context);
	diag_release(&diag);
	free(conf);
	free(user);
	return 0;
}
