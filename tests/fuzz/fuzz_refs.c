/* tests/fuzz/fuzz_refs.c: any bytes as project.refs, junction.refs, workspaces.yml and user configuration: the first byte says
 * which. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "project/project.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(const char *root, const char *name, const void *data, size_t size)
{
	char *path = xasprintf("%s/%s", root, name), *slash = strrchr(path, '/');

	*slash = '\0';
	fs_mkdir_p(AT_FDCWD, path, 0755);
	*slash = '/';
	fs_write_file(AT_FDCWD, path, data, size, 0644);
	free(path);
}

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
	static char root[] = "/tmp/fuzz-refs-XXXXXX";
	static bool made;
	char *config = NULL;

	if (!made) {
		made = mkdtemp(root) != NULL;
		put(root, "project.conf", conf, sizeof(conf) - 1);
		put(root, "e/a.bst", element, sizeof(element) - 1);
		put(root, "e/j.bst", junction, sizeof(junction) - 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		put(root, names[i], "", 0);
	if (size > 0)
		put(root, names[data[0] % ARRAY_SIZE(names)], data + 1, size - 1);
	config = xasprintf("%s/user.conf", root);
	load(root, config);
	free(config);
	return 0;
}
