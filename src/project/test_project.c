/* Small projects written into a temporary directory and loaded: what comes out, and what goes wrong with which reason. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "keys/keys.h"
#include "project/project.h"
#include "yaml/yaml.h"

static char root[] = "/tmp/test-project-XXXXXX";

struct fixture {
	struct project_context context;
	struct project_request request;
	struct project_loader *loader;
	struct graph graph;
	struct diag diag;
	bool not_strict;
	const char *targets[8];
	struct project_option options[4];
};

/* Files as "path", "text", ..., NULL; an existing project is replaced. */
static void write_files(const char *first, ...)
{
	va_list ap;

	fs_remove_all(AT_FDCWD, root);
	va_start(ap, first);
	for (const char *name = first; name; name = va_arg(ap, const char *)) {
		const char *text = va_arg(ap, const char *);
		char *path = xasprintf("%s/%s", root, name), *slash = strrchr(path, '/');

		*slash = '\0';
		assert_int_equal(fs_mkdir_p(AT_FDCWD, path, 0755), 0);
		*slash = '/';
		assert_int_equal(fs_write_file(AT_FDCWD, path, text, strlen(text), 0644), 0);
		free(path);
	}
	va_end(ap);
}

static int load(struct fixture *f, const char *target)
{
	char *config = xasprintf("%s/user.conf", root);
	int r;

	if (access(config, F_OK) != 0)
		assert_int_equal(fs_write_file(AT_FDCWD, config, "", 0, 0644), 0);
	r = project_context_load(&f->context, config, &f->diag);
	free(config);
	if (r < 0)
		return r;
	f->request.directory = root;
	f->request.strict = f->not_strict ? 0 : -1;
	f->request.machine = "x86_64";
	f->request.system = "Linux";
	f->request.options = f->options;
	f->targets[0] = target;
	f->request.targets = f->targets;
	f->request.target_count = target != NULL;
	graph_init(&f->graph);
	f->loader = project_loader_new(&f->context, &f->request);
	return project_load(f->loader, &f->graph, &f->diag);
}

static void unload(struct fixture *f)
{
	project_loader_free(f->loader);
	graph_release(&f->graph);
	project_context_release(&f->context);
	diag_release(&f->diag);
	*f = (struct fixture){ 0 };
}

static void expect_error(const char *target, const char *domain, const char *reason, const char *text)
{
	_cleanup_buf_ struct buf shown = BUF_INIT;
	struct fixture f = { 0 };
	int r = load(&f, target);

	diag_format(&f.diag, &shown);
	if (r >= 0 || !str_eq(f.diag.domain, domain) || !str_eq(f.diag.reason, reason) ||
	    !strstr(buf_text(&shown), text))
		fail_msg("%d, [%s/%s] %s; wanted [%s/%s] %s", r, f.diag.domain, f.diag.reason, buf_text(&shown), domain,
			 reason, text);
	unload(&f);
}

static const struct graph_element *element(const struct fixture *f, const char *name)
{
	uint32_t id = project_find(f->loader, name);

	assert_true(id != GRAPH_NONE);
	return &f->graph.elements[id];
}

static void must_load(struct fixture *f, const char *target)
{
	_cleanup_buf_ struct buf shown = BUF_INIT;

	if (load(f, target) != 0) {
		diag_format(&f->diag, &shown);
		fail_msg("%s", buf_text(&shown));
	}
}

static void expect_variable(const struct fixture *f, const char *name, const char *variable, const char *value)
{
	const char *found = graph_variable(element(f, name), variable);

	assert_non_null(found);
	assert_string_equal(found, value);
}

static void expect_deps(const struct fixture *f, const char *name, const char *wanted)
{
	const struct graph_element *e = element(f, name);
	_cleanup_buf_ struct buf text = BUF_INIT;

	for (uint32_t i = 0; i < e->dep_count; i++)
		buf_printf(&text, "%s%s:%d%s", i ? " " : "", f->graph.elements[e->deps[i].element].full_name,
			   e->deps[i].type, e->deps[i].strict ? "!" : "");
	assert_string_equal(buf_text(&text), wanted);
}

#define CONF "name: test\nmin-version: 2.0\nelement-path: elements\n"

static void test_variables(void **state)
{
	struct fixture f = { 0 };

	write_files("project.conf",
		    CONF "variables:\n  who: world\n  greeting: 'hello %{who}'\n  (?):\n  - loud:\n      who: WORLD\n"
			 "options:\n  loud:\n    type: bool\n    description: d\n    default: False\n    variable: is-loud\n"
			 "environment:\n  WHO: '%{who}'\n",
		    "elements/sub/a.bst",
		    "kind: manual\nvariables:\n  who: '%{element-name}'\nenvironment:\n  B: b\nenvironment-nocache: [WHO, B, WHO]\n",
		    "elements/b.bst", "kind: manual\nenvironment:\n  (?):\n  - loud: {L: yes}\n", NULL);
	must_load(&f, NULL);
	assert_int_equal(f.graph.element_count, 2);
	expect_variable(&f, "b.bst", "greeting", "hello world");
	expect_variable(&f, "sub/a.bst", "greeting", "hello sub/a.bst");
	expect_variable(&f, "b.bst", "is-loud", "0");
	expect_variable(&f, "b.bst", "project-name", "test");
	assert_string_equal(element(&f, "sub/a.bst")->normal_name, "sub-a");
	assert_string_equal(element(&f, "sub/a.bst")->environment[0].name, "B");
	assert_int_equal(element(&f, "sub/a.bst")->environment_nocache_count, 2);
	assert_int_equal(element(&f, "b.bst")->environment_count + 1, element(&f, "sub/a.bst")->environment_count);
	unload(&f);

	f.options[0] = (struct project_option){ "loud", "True" };
	f.request.option_count = 1;
	must_load(&f, "b.bst");
	expect_variable(&f, "b.bst", "greeting", "hello WORLD");
	expect_variable(&f, "b.bst", "is-loud", "1");
	assert_string_equal(element(&f, "b.bst")->environment[1].name, "L");
	unload(&f);
}

static void test_dependencies(void **state)
{
	struct fixture f = { 0 };

	write_files("project.conf", CONF, "elements/z.bst", "kind: manual\n", "elements/y.bst",
		    "kind: manual\ndepends: [z.bst]\n", "elements/x.bst", "kind: manual\nruntime-depends: [y.bst]\n",
		    "elements/l.bst", "kind: link\nconfig: {target: z.bst}\n", "elements/top.bst",
		    "kind: manual\n"
		    "build-depends:\n- filename: [x.bst, y.bst]\n  strict: True\n- filename: l.bst\n  config: {location: /foo}\n"
		    "runtime-depends: [z.bst]\n"
		    "depends:\n- filename: y.bst\n  type: runtime\n- sub/../sub/m.bst\n",
		    "elements/sub/m.bst", "kind: manual\n", NULL);
	must_load(&f, "top.bst");
	/* Dependencies first, then by name; l.bst is z.bst, and what was said twice is one. */
	expect_deps(&f, "top.bst", "sub/m.bst:3 z.bst:3 y.bst:3! x.bst:1!");
	assert_string_equal(element(&f, "top.bst")->deps[1].path, "l.bst");
	assert_int_equal(element(&f, "top.bst")->deps[1].config_count, 1);
	for (uint32_t id = 0; id < f.graph.element_count; id++)
		for (uint32_t i = 0; i < f.graph.elements[id].dep_count; i++)
			assert_true(f.graph.elements[id].deps[i].element < id);
	unload(&f);
}

static void test_dependency_errors(void **state)
{
	write_files("project.conf", CONF, "elements/a.bst", "kind: manual\ndepends: [b.bst]\n", "elements/b.bst",
		    "kind: manual\ndepends: [c.bst]\n", "elements/c.bst", "kind: manual\ndepends: [b.bst]\n",
		    "elements/missing.bst", "kind: manual\ndepends:\n- nothere.bst\n", "elements/badtype.bst",
		    "kind: manual\ndepends:\n- filename: a.bst\n  type: later\n", "elements/strict.bst",
		    "kind: manual\ndepends:\n- filename: z.bst\n  strict: False\n", "elements/config.bst",
		    "kind: stack\ndepends:\n- filename: z.bst\n  config: {a: b}\n", "elements/z.bst", "kind: manual\n",
		    "elements/kind.bst", "kind: nosuchkind\n", "elements/link.bst",
		    "kind: link\nconfig: {target: z.bst}\nsources: [{kind: local, path: elements}]\n", "elements/key.bst", "kind: manual\nfoo: bar\n", NULL);
	expect_error("a.bst", "load", "circular-dependency", "Dependency chain: b.bst -> c.bst -> b.bst");
	expect_error("missing.bst", "load", "missing-file",
		     "missing.bst [line 3 column 2]: Could not find element 'nothere.bst' in elements directory");
	expect_error("elements/z.bst", "load", "missing-file", "Did you mean 'z.bst'?");
	expect_error("badtype.bst", "load", "invalid-data", "badtype.bst [line 4 column 8]: Dependency type 'later'");
	expect_error("strict.bst", "load", "invalid-data", "Setting 'strict' to False is unsupported");
	expect_error("config.bst", "load", "invalid-dependency-config", "not supported by element plugin 'stack'");
	expect_error("kind.bst", "plugin", "plugin-not-found", "No element plugin registered for kind 'nosuchkind'");
	expect_error("key.bst", "load", "invalid-data", "key.bst [line 2 column 5]: Unexpected key: foo");
	expect_error("link.bst", "element", "element-forbidden-sources", "Sources are forbidden for 'link' elements");
	expect_error("z", "stream", "invalid-element-names", "z");
}

static void test_project_errors(void **state)
{
	write_files("sub/x", "", NULL);
	expect_error(NULL, "load", "missing-project-conf", "None of ['project.conf', '.bstproject.yaml'] found in");
	write_files("project.conf", "name: test\n", NULL);
	expect_error(NULL, "load", "invalid-data", "Dictionary did not contain expected key 'min-version'");
	write_files("project.conf", "name: test\nmin-version: 2.9\n", NULL);
	expect_error(NULL, "load", "unsupported-project", "Version mismatch");
	write_files("project.conf", "name: te/st\nmin-version: 2.0\n", NULL);
	expect_error(NULL, "load", "invalid-symbol-name", "project.conf [line 1 column 6]");
	write_files("project.conf", "name: test\nmin-version: 2.0\nelement-path: ../foo\n", NULL);
	expect_error(NULL, "load", "proj-path-invalid", "first component must not be '..'");
	write_files("project.conf", CONF "nonsense: 1\n", "elements/a.bst", "kind: manual\n", NULL);
	expect_error(NULL, "load", "invalid-data", "Unexpected key: nonsense");
	write_files("project.conf", CONF "(@): inc.yml\n", "inc.yml",
		    "plugins: [{origin: local, path: elements}]\n", "elements/a.bst", "kind: manual\n",
		    NULL);
	expect_error(NULL, "load", "invalid-data", "inc.yml [line 1 column 9]: Unexpected key: plugins");
	write_files("project.conf", CONF "variables: {max-jobs: 4}\n", "elements/a.bst", "kind: manual\n", NULL);
	expect_error(NULL, "load", "protected-variable-redefined",
		     "project.conf [line 4 column 22]: invalid redefinition of protected variable 'max-jobs'");
	write_files("project.conf", CONF, "elements/a.bst", "kind: manual\nvariables: {a: '%{b}'}\n", NULL);
	expect_error(NULL, "load", "unresolved-variable", "Reference to undefined variable 'b'");
	write_files("project.conf", CONF "plugins: [{origin: pip, package-name: 'no-such-package>1.4,A', elements: [k]}]\n",
		    "elements/a.bst", "kind: k\n", NULL);
	expect_error("a.bst", "plugin", "package-malformed-requirement", "Malformed package-name 'no-such-package>1.4,A'");
	write_files("project.conf", CONF, "user.conf", "cachedirr: /x\n", NULL);
	expect_error(NULL, "load", "invalid-data", "Unexpected key: cachedirr");
	write_files("project.conf", CONF, "user.conf", "cachedir: x\n", NULL);
	expect_error(NULL, "load", "invalid-data", "cachedir must be an absolute path");
}

#define EXECUTION "remote-execution: {execution-service: {url: 'http://all'}, storage-service: {url: 'http://store'}}\n"

static void test_remote_execution(void **state)
{
	struct fixture f = { 0 };
	const struct project_info *info;

	write_files("project.conf", CONF, "elements/a.bst", "kind: manual\n", "user.conf", EXECUTION, NULL);
	must_load(&f, "a.bst");
	info = project_info(f.loader, 0);
	assert_string_equal(info->execution.execution.url, "http://all");
	assert_string_equal(info->execution.storage.url, "http://store");
	assert_null(info->execution.action_cache.url);
	unload(&f);
	write_files("project.conf", CONF, "elements/a.bst", "kind: manual\n", "user.conf",
		    EXECUTION "cache: {storage-service: {url: 'http://cas'}}\n"
		    "projects: {test: {remote-execution: {action-cache-service: {url: 'http://own', push: true}}}}\n", NULL);
	must_load(&f, "a.bst");
	info = project_info(f.loader, 0);
	assert_null(info->execution.execution.url);
	assert_null(info->execution.storage.url);
	assert_string_equal(info->execution.action_cache.url, "http://own");
	assert_true(info->execution.action_cache.push);
	unload(&f);
	write_files("project.conf", CONF, "elements/a.bst", "kind: manual\n", "user.conf",
		    "projects: {test: {remote-execution: {execution-service: {url: 'http://own'}}}}\n", NULL);
	expect_error(NULL, "load", "invalid-data", "Remote execution requires 'storage-service'");
	write_files("project.conf", CONF, "user.conf", "remote-execution: {storage-service: {url: 'http://store'}}\n", NULL);
	expect_error(NULL, "load", "invalid-data", "At least one of `execution-service` or `action-cache-service`");
}

static void test_includes(void **state)
{
	struct fixture f = { 0 };

	write_files("project.conf", CONF "(@): [one.yml, two.yml]\nvariables: {c: conf}\n", "one.yml",
		    "variables: {a: one, b: one, c: one}\n", "two.yml", "variables: {b: two, (@): three.yml}\n", "three.yml",
		    "d: three\nb: three\n", "elements/a.bst", "kind: manual\n(@): [e.yml]\n", "e.yml",
		    "variables: {d: include, e: include}\nconfig:\n  build-commands: ['run %{e}']\n", NULL);
	must_load(&f, "a.bst");
	expect_variable(&f, "a.bst", "a", "one");
	expect_variable(&f, "a.bst", "b", "two");
	expect_variable(&f, "a.bst", "c", "conf");
	expect_variable(&f, "a.bst", "d", "include");
	assert_string_equal(yaml_get(element(&f, "a.bst")->config_node, "build-commands")->items[0]->text, "run include");
	unload(&f);

	write_files("project.conf", CONF, "elements/a.bst", "kind: manual\n(@): e.yml\n", "e.yml", "(@): f.yml\n", "f.yml",
		    "(@): e.yml\n", NULL);
	expect_error("a.bst", "load", "recursive-include", "trying to recursively include");
	write_files("project.conf", CONF, "elements/a.bst", "kind: manual\n(@): g.yml\n", NULL);
	expect_error("a.bst", "load", "missing-file", "a.bst [line 2 column 5]: Could not find file at");
}

static void test_options(void **state)
{
	write_files("project.conf",
		    CONF "options:\n  machine:\n    type: arch\n    description: d\n    values: [aarch64]\n", NULL);
	expect_error(NULL, "load", "missing-file", "elements");
	write_files("project.conf",
		    CONF "options:\n  machine:\n    type: arch\n    description: d\n    values: [aarch64]\n",
		    "elements/a.bst", "kind: manual\n", NULL);
	expect_error(NULL, "load", "invalid-data", "Invalid value for arch option 'machine': x86-64\nValid values: aarch64");
	write_files("project.conf",
		    CONF "options:\n  deb:\n    type: flags\n    description: d\n    values: [a, b]\n    default: [c]\n",
		    "elements/a.bst", "kind: manual\n", NULL);
	expect_error(NULL, "load", "invalid-data", "Invalid value for flags option 'deb': ['c']\nValid values: a, b");
	write_files("project.conf", CONF, "elements/a.bst", "kind: manual\n(?):\n- nope == 1: {}\n", NULL);
	expect_error(NULL, "load", "expression-failed", "'nope' is undefined");
	write_files("project.conf", CONF "(?):\n- 1 == 1: {options: {}}\n", "elements/a.bst", "kind: manual\n", NULL);
	expect_error(NULL, "load", "illegal-composite", "The 'options' key cannot be specified conditionally.");
}

#define SUBCONF "name: sub\nmin-version: 2.0\nelement-path: elements\n"

static void test_junctions(void **state)
{
	struct fixture f = { 0 };

	write_files("project.conf", CONF, "elements/j.bst",
		    "kind: junction\nsources: [{kind: local, path: sub}]\n"
		    "config: {options: {mode: fast}, overrides: {o.bst: mine.bst, viaproxy.bst: mine2.bst}}\n",
		    "elements/l.bst", "kind: link\nconfig: {target: 'j.bst:x.bst'}\n", "elements/mine.bst", "kind: manual\n",
		    "elements/mine2.bst", "kind: manual\n", "elements/top.bst",
		    "kind: manual\ndepends: [l.bst, 'j.bst:y.bst']\n", "sub/project.conf",
		    SUBCONF "options:\n  mode:\n    type: enum\n    description: d\n    values: [slow, fast]\n    default: slow\n"
			    "    variable: mode\n",
		    "sub/elements/x.bst", "kind: manual\n", "sub/elements/y.bst",
		    "kind: manual\ndepends: [o.bst, p.bst]\n", "sub/elements/o.bst", "kind: manual\n", "sub/elements/p.bst",
		    "kind: manual\n", "sub/elements/viaproxy.bst", "kind: link\nconfig: {target: p.bst}\n", NULL);
	must_load(&f, "top.bst");
	expect_deps(&f, "top.bst", "j.bst:x.bst:3 j.bst:y.bst:3");
	expect_deps(&f, "j.bst:y.bst", "mine.bst:3 mine2.bst:3");
	expect_variable(&f, "j.bst:x.bst", "mode", "fast");
	assert_string_equal(f.graph.projects[element(&f, "j.bst:x.bst")->project].junction, "j.bst");
	unload(&f);

	write_files("project.conf", CONF, "elements/j.bst", "kind: junction\nsources: [{kind: local, path: sub}]\n",
		    "elements/k.bst", "kind: junction\nsources: [{kind: local, path: sub}]\n", "elements/top.bst",
		    "kind: manual\ndepends: ['j.bst:x.bst', 'k.bst:x.bst']\n", "elements/on.bst",
		    "kind: manual\ndepends: [j.bst]\n", "sub/project.conf", SUBCONF, "sub/elements/x.bst", "kind: manual\n",
		    NULL);
	expect_error("top.bst", "load", "conflicting-junction", "Project 'sub' was loaded in multiple contexts");
	expect_error("on.bst", "load", "invalid-data", "on.bst [line 2 column 10]: Cannot depend on junction");
	expect_error("j.bst:nope.bst", "load", "missing-file",
		     "Could not find element 'nope.bst' in project referred to by junction element 'j.bst'");
	write_files("project.conf", CONF, "elements/j.bst", "kind: junction\nsources: [{kind: local, path: sub}]\n",
		    "sub/x", "", NULL);
	expect_error("j.bst:nope.bst", "load", "invalid-junction", "Could not find the project.conf file");
}

/* A junction that must be fetched: loading stops, and goes on once its directory is there. */
static void test_needs(void **state)
{
	struct fixture f = { 0 };
	const struct project_need *needs;
	char *junction = xasprintf("kind: junction\nsources: [{kind: tar, url: 'https://a.b/x.tar', ref: '%064d'}]\n", 7);
	char *path;
	uint32_t count;

	write_files("project.conf", CONF, "elements/j.bst", junction, NULL);
	assert_int_equal(load(&f, "j.bst:x.bst"), PROJECT_NEEDS);
	needs = project_needs(f.loader, &count);
	assert_int_equal(count, 1);
	assert_string_equal(f.graph.elements[needs[0].element].full_name, "j.bst");
	assert_int_equal(f.graph.elements[needs[0].element].source_count, 1);
	assert_non_null(strstr(needs[0].directory, "/.bst/staged-junctions/j.bst/"));
	path = xasprintf("%s/elements", needs[0].directory);
	fs_mkdir_p(AT_FDCWD, path, 0755);
	free(path);
	path = xasprintf("%s/project.conf", needs[0].directory);
	assert_int_equal(fs_write_file(AT_FDCWD, path, SUBCONF, strlen(SUBCONF), 0644), 0);
	free(path);
	path = xasprintf("%s/elements/x.bst", needs[0].directory);
	assert_int_equal(fs_write_file(AT_FDCWD, path, "kind: manual\n", 13, 0644), 0);
	free(path);
	graph_freeze(&f.graph);
	graph_thaw(&f.graph);
	assert_int_equal(project_load(f.loader, &f.graph, &f.diag), 0);
	assert_string_equal(element(&f, "j.bst:x.bst")->name, "x.bst");
	unload(&f);
	free(junction);
}

static void test_refs(void **state)
{
	struct fixture f = { 0 };
	uint32_t count;

	write_files("project.conf", CONF "ref-storage: project.refs\n", "project.refs",
		    "projects:\n  test:\n    a.bst:\n    - {}\n    - ref: abcd\n", "elements/a.bst",
		    "kind: import\nsources:\n- {kind: local, path: elements}\n- {kind: tar, url: 'http://x/y.tar', ref: gone}\n"
		    "- {kind: tar, url: 'http://x/z.tar'}\n",
		    NULL);
	must_load(&f, "a.bst");
	assert_true(element(&f, "a.bst")->sources[0].has_ref);
	assert_non_null(strstr(element(&f, "a.bst")->sources[1].key_json, "abcd"));
	assert_false(element(&f, "a.bst")->sources[2].has_ref);
	assert_false(element(&f, "a.bst")->has_all_refs);
	project_warnings(f.loader, &count);
	assert_int_equal(count, 3); /* a redundant ref, two URLs without alias */
	unload(&f);
}

static void test_workspace(void **state)
{
	struct fixture f = { 0 };
	char *path;

	write_files("project.conf", CONF, ".bst2/workspaces.yml",
		    "format-version: 4\nworkspaces:\n  a.bst:\n    path: ws\n", "ws/file", "x", "elements/a.bst",
		    "kind: import\nsources:\n- {kind: tar, url: 'http://x/y.tar'}\n", NULL);
	must_load(&f, "a.bst");
	path = xasprintf("%s/ws", root);
	assert_string_equal(element(&f, "a.bst")->workspace, path);
	free(path);
	assert_true(element(&f, "a.bst")->has_all_refs);
	assert_int_equal(element(&f, "a.bst")->source_count, 1);
	unload(&f);
}

static void expect_urls(const struct fixture *f, const char *name, const char *url, const char *wanted)
{
	struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *const *urls = project_urls(f->loader, project_find(f->loader, name), url, "translated", false, &arena);

	for (; *urls; urls++)
		buf_printf(&text, "%s ", *urls);
	assert_string_equal(buf_text(&text), wanted);
	arena_release(&arena);
}

static void test_urls(void **state)
{
	struct fixture f = { 0 };

	write_files("project.conf",
		    CONF "aliases: {a: 'https://a/', up: 'https://up/%{project-name}/'}\n"
			 "mirrors:\n- {name: one, aliases: {a: ['http://one/', 'http://uno/']}}\n"
			 "- {name: two, aliases: {a: ['http://two/'], up: ['http://two/up/']}}\n",
		    "elements/j.bst",
		    "kind: junction\nsources: [{kind: local, path: sub}]\nconfig: {aliases: {s: up}}\n", "elements/x.bst",
		    "kind: import\nsources: [{kind: tar, url: 'a:x.tar'}]\ndepends: ['j.bst:y.bst']\n",
		    "sub/project.conf", SUBCONF "aliases: {s: 'https://s/', t: 'https://t/'}\n", "sub/elements/y.bst",
		    "kind: import\nsources: [{kind: tar, url: 's:y.tar'}, {kind: tar, url: 't:y.tar'}]\n", NULL);
	f.request.default_mirror = "two";
	must_load(&f, "x.bst");
	expect_urls(&f, "x.bst", "a:x.tar", "http://two/x.tar http://one/x.tar http://uno/x.tar https://a/x.tar ");
	expect_urls(&f, "x.bst", "https://b/x.tar", "translated ");
	expect_urls(&f, "j.bst:y.bst", "s:y.tar", "http://two/up/y.tar https://up/test/y.tar ");
	expect_urls(&f, "j.bst:y.bst", "t:y.tar", "https://t/y.tar ");
	unload(&f);
	write_files("project.conf", CONF "aliases: {a: 'https://a/'}\n", "user.conf", "fetch: {source: mirrors}\n",
		    "elements/x.bst", "kind: import\nsources: [{kind: tar, url: 'a:x.tar'}]\n", NULL);
	expect_error("x.bst", "source", "missing-source-alias-target", "No fetch URI found for alias 'a'");
	/* The junction that has the mirror's plugin cannot come from that mirror. */
	write_files("user.conf", "fetch: {source: mirrors}\n", "project.conf",
		    CONF "aliases: {a: 'https://a/'}\nmirrors: [{name: m, kind: k, config: {aliases: {a: [b]}}}]\n"
		    "plugins: [{origin: junction, junction: j.bst, source-mirrors: [k]}]\n", "elements/j.bst",
		    "kind: junction\nsources: [{kind: tar, url: 'a:x.tar', ref: r}]\n", NULL);
	expect_error("x.bst", "source", "missing-source-alias-target", "No fetch URI found for alias 'a'");
	write_files("project.conf", CONF, "elements/x.bst",
		    "kind: import\nsources: [{kind: tar, url: 'nope:x.tar'}]\n", NULL);
	expect_error("x.bst", "source", "invalid-source-alias", "Invalid alias 'nope' specified in URL: nope:x.tar");
}

static void test_targets(void **state)
{
	struct fixture f = { 0 };
	const uint32_t *targets;
	uint32_t count;

	write_files("project.conf", CONF "defaults: {targets: [b.bst]}\n", "elements/a.bst", "kind: manual\n", "elements/b.bst",
		    "kind: manual\ndepends: [a.bst]\n", "elements/sub/c.bst", "kind: manual\n", NULL);
	must_load(&f, NULL);
	targets = project_targets(f.loader, &count);
	assert_int_equal(count, 1);
	assert_string_equal(f.graph.elements[targets[0]].name, "b.bst");
	assert_int_equal(f.graph.element_count, 2);
	unload(&f);
	must_load(&f, "**.bst");
	project_targets(f.loader, &count);
	assert_int_equal(count, 3);
	unload(&f);
	must_load(&f, "*.bst");
	project_targets(f.loader, &count);
	assert_int_equal(count, 2);
	unload(&f);
}

static void test_large(void **state)
{
	enum { DEEP = 7000 }; /* beyond the bit matrix */
	struct fixture f = { 0 };
	char name[64];

	write_files("project.conf", CONF, "elements/e0.bst", "kind: stack\n", NULL);
	for (int i = 1; i <= DEEP; i++) {
		char *path = xasprintf("%s/elements/e%d.bst", root, i);
		char *text = xasprintf("kind: stack\ndepends: [e%d.bst, e%d.bst, e%d.bst]\n", i - 1, i / 2, i / 3);

		assert_int_equal(fs_write_file(AT_FDCWD, path, text, strlen(text), 0644), 0);
		free(path);
		free(text);
	}
	snprintf(name, sizeof(name), "e%d.bst", DEEP);
	must_load(&f, name);
	assert_int_equal(f.graph.element_count, DEEP + 1);
	/* Each of these depends on the one before. */
	expect_deps(&f, "e6000.bst", "e2000.bst:3 e3000.bst:3 e5999.bst:3");
	unload(&f);
}

enum { MANY = 2500 }; /* elements that take several pages (bodies.c) */

/* Elements that share most of what their kind says, or next to nothing of it. */
static void write_many(void)
{
	_cleanup_buf_ struct buf top = BUF_INIT;
	char *path;

	write_files("project.conf", CONF "variables:\n  x: '0'\nenvironment:\n  X: '%{x}'\n  Y: y\n", NULL);
	path = xasprintf("%s/elements", root);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, path, 0755), 0);
	free(path);
	buf_adds(&top, "kind: stack\ndepends:\n");
	for (int i = 0; i < MANY; i++) {
		_cleanup_buf_ struct buf text = BUF_INIT;

		buf_printf(&text, "kind: manual\nsources:\n- kind: remote\n  url: https://example.org/%d\n  ref: %064d\n", i, i);
		if (i % 3)
			buf_printf(&text, "variables:\n  x: '%d'\n", i);
		if (i % 4 == 1)
			buf_printf(&text, "environment:\n  Z: 'z%d %%{x}'\n", i);
		if (i % 5 == 1)
			buf_printf(&text, "sandbox:\n  build-uid: %d\n", i);
		buf_printf(&text, "public:\n  bst:\n    integration-commands: [c%d]\n  own: {a: [%d, '%%{x}'], b: {c: d}}\n", i % 7, i);
		if (i > 8)
			buf_printf(&text, "build-depends: [e%d.bst]\ndepends: [e%d.bst]\n", i - 8, i / 2);
		buf_printf(&top, "- e%d.bst\n", i);
		path = xasprintf("%s/elements/e%d.bst", root, i);
		assert_int_equal(fs_write_file(AT_FDCWD, path, text.data, text.len, 0644), 0);
		free(path);
	}
	path = xasprintf("%s/elements/all.bst", root);
	assert_int_equal(fs_write_file(AT_FDCWD, path, top.data, top.len, 0644), 0);
	free(path);
}

/* Memory of elements that is used again must not be seen in anybody's key. */
static void test_brief(void **state)
{
	struct fixture whole = { 0 }, brief = { .request.brief = true };
	struct keys_of_element *all, *same;
	struct keys *keys;

	write_many();
	must_load(&whole, "all.bst");
	keys_free(project_take_keys(whole.loader, &all));
	for (int i = 0; i < 3; i++) {
		brief.request.brief = true;
		must_load(&brief, "all.bst");
		keys = project_take_keys(brief.loader, &same);
		assert_non_null(keys);
		keys_free(keys);
		assert_int_equal(brief.graph.element_count, MANY + 1);
		for (uint32_t id = 0; id <= MANY; id++) {
			assert_string_equal(brief.graph.elements[id].full_name, whole.graph.elements[id].full_name);
			assert_memory_equal(&same[id], &all[id], sizeof(*all));
			assert_null(brief.graph.elements[id].variables);
			assert_int_equal(brief.graph.elements[id].source_count, 0);
		}
		free(same);
		unload(&brief);
	}
	/* Where a plan is not strict, keys are computed again later. */
	brief.request.brief = true;
	brief.not_strict = true;
	must_load(&brief, "all.bst");
	assert_non_null(brief.graph.elements[0].variables);
	unload(&brief);
	free(all);
	unload(&whole);
}

static int teardown(void **state)
{
	fs_remove_all(AT_FDCWD, root);
	return 0;
}

static int setup(void **state)
{
	return mkdtemp(root) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_variables),      cmocka_unit_test(test_dependencies),
		cmocka_unit_test(test_dependency_errors), cmocka_unit_test(test_project_errors),
		cmocka_unit_test(test_remote_execution), cmocka_unit_test(test_includes),       cmocka_unit_test(test_options),
		cmocka_unit_test(test_junctions),      cmocka_unit_test(test_needs),
		cmocka_unit_test(test_refs),           cmocka_unit_test(test_workspace),
		cmocka_unit_test(test_targets),        cmocka_unit_test(test_urls),        cmocka_unit_test(test_large),
		cmocka_unit_test(test_brief),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
