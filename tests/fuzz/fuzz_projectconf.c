/* tests/fuzz/fuzz_projectconf.c: any bytes as project.conf of a project with an element, an include and a junction. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
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
	static char root[] = "/tmp/fuzz-conf-XXXXXX";
	static bool made;

	if (made)
		return root;
	made = mkdtemp(root) != NULL;
	for (size_t i = 0; made && i < ARRAY_SIZE(files); i++) {
		char *path = xasprintf("%s/%s", root, files[i][0]), *slash = strrchr(path, '/');

		*slash = '\0';
		fs_mkdir_p(AT_FDCWD, path, 0755);
		*slash = '/';
		fs_write_file(AT_FDCWD, path, files[i][1], strlen(files[i][1]), 0644);
		free(path);
	}
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

	fs_write_file(AT_FDCWD, conf, data, size, 0644);
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
