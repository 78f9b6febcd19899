/* Every kind: its key against that of the peer's own plugin, its errors, and how plugins are recognised. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kinds/kinds_internal.h"
#include "kinds/test_rows.h"

struct fixture {
	struct graph graph;
	struct diag diag;
	struct kinds_plugin plugin;
	struct kinds_context ctx;
	char directory[64];
};

static int translate(void *data, uint32_t project, const char *url, bool primary, const char **ret, struct diag *diag)
{
	if (str_starts(url, "bad:"))
		return diag_set(diag, "source", "invalid-source-alias", "Invalid alias 'bad' specified in URL: %s", url);
	if (str_starts(url, "up:"))
		*ret = arena_printf(data, "https://up/%s", url + 3);
	return 0;
}

static int file_digest(void *data, const char *path, struct digest *ret, struct diag *diag)
{
	struct buf _cleanup_buf_ text = BUF_INIT;
	int r = fs_read_file(&text, AT_FDCWD, path, 1000);

	if (r < 0)
		return diag_errno(diag, "source", NULL, -r, "%s", path);
	digest_of(ret, text.data, text.len);
	return 0;
}

static int tree_digest(void *data, const char *path, bool mtimes, struct digest *ret, struct diag *diag)
{
	memset(ret->hash, mtimes ? 2 : 1, DIGEST_BYTES);
	ret->size_bytes = 9;
	return 0;
}

static void make_directory(struct fixture *fixture)
{
	char path[128];

	snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/millrace-kinds-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(path, sizeof(path), "%s/sub/queue", fixture->directory);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, path, 0755), 0);
	snprintf(path, sizeof(path), "%s/sub/queue/b.patch", fixture->directory);
	assert_int_equal(fs_write_file(AT_FDCWD, path, "b\n", 2, 0644), 0);
	snprintf(path, sizeof(path), "%s/sub/queue/a.patch", fixture->directory);
	assert_int_equal(fs_write_file(AT_FDCWD, path, "a\n", 2, 0644), 0);
	snprintf(path, sizeof(path), "%s/link", fixture->directory);
	assert_int_equal(symlink("sub", path), 0);
	snprintf(path, sizeof(path), "%s/out", fixture->directory);
	assert_int_equal(symlink("/usr", path), 0);
}

static int setup(void **state)
{
	static struct kinds_host host = { .translate_url = translate, .tree_digest = tree_digest,
					  .file_digest = file_digest };
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));
	struct graph *graph = &fixture->graph;

	graph_init(graph);
	graph_add_project(graph);
	for (int i = 0; i < 3; i++)
		graph_add_element(graph);
	graph->elements[0] = (struct graph_element){ .name = "x.bst", .normal_name = "x",
						     .ops = kinds_find_element("import") };
	graph->elements[1] = (struct graph_element){ .name = "y.bst", .normal_name = "y",
						     .ops = kinds_find_element("stack") };
	fixture->plugin = (struct kinds_plugin){ .artifact_version = -1, .default_url = "DEF:" };
	make_directory(fixture);
	host.data = &graph->arena;
	fixture->ctx = (struct kinds_context){ .arena = &graph->arena, .diag = &fixture->diag, .graph = graph,
					       .host = &host, .plugin = &fixture->plugin,
					       .project_directory = fixture->directory };
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	fs_remove_all(AT_FDCWD, fixture->directory);
	diag_release(&fixture->diag);
	graph_release(&fixture->graph);
	free(fixture);
	return 0;
}

static const struct yaml_node *parse(struct fixture *fixture, const char *text)
{
	const struct yaml_node *node = NULL;
	int r = yaml_parse(&fixture->graph.arena, text, strlen(text), "t.yaml", &node, &fixture->diag);

	if (r < 0)
		fail_msg("%s: %s", text, buf_text(&fixture->diag.message));
	return node;
}

/* ---- sources */

static int make_source(struct fixture *fixture, struct graph_source *source, const char *kind, const char *yaml)
{
	*source = (struct graph_source){ .ops = kinds_find_source(kind), .node = parse(fixture, yaml) };
	assert_non_null(source->ops);
	return kinds_configure_source(&fixture->ctx, source, source->node);
}

static void assert_source_key(struct fixture *fixture, const char *kind, const char *yaml, const char *wanted)
{
	struct graph_source source;

	if (make_source(fixture, &source, kind, yaml) < 0)
		fail_msg("%s %s: %s", kind, yaml, buf_text(&fixture->diag.message));
	assert_true(source.has_ref);
	assert_int_equal(kinds_source_key(&fixture->ctx, &source), 0);
	assert_string_equal(source.key_json, wanted);
	assert_int_equal(source.key_json_len, strlen(wanted));
}

static void test_source_keys(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(source_rows); i++)
		assert_source_key(*state, source_rows[i].kind, source_rows[i].yaml, source_rows[i].key);
}

static void test_keys_of_files(void **state)
{
	struct graph_source source;
	struct fixture *fixture = *state;

	assert_source_key(fixture, "local", "path: sub",
			  "\"0101010101010101010101010101010101010101010101010101010101010101\"");
	/* sha256sum of "a\n" and "b\n" */
	assert_source_key(fixture, "patch", "{path: sub/queue/a.patch, strip-level: '0'}",
			  "[\"sub/queue/a.patch\",\"87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7\",0]");
	assert_source_key(fixture, "patch_queue", "path: sub/queue",
			  "[\"87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7\","
			  "\"0263829989b6fd954f72baaf2fc64bc2e2f01d692d4de72986ea808f6e99813f\"]");
	assert_int_equal(kinds_workspace_source(&fixture->ctx, &source, "/ws"), 0);
	assert_int_equal(kinds_source_key(&fixture->ctx, &source), 0);
	assert_string_equal(source.key_json, "\"0202020202020202020202020202020202020202020202020202020202020202\"");
	assert_string_equal(kinds_local_path(&source), "/ws");
}

static void test_local_path(void **state)
{
	struct fixture *fixture = *state;
	struct graph_source source;
	char wanted[128];

	assert_int_equal(make_source(fixture, &source, "local", "path: ./sub//queue/"), 0);
	snprintf(wanted, sizeof(wanted), "%s/sub/queue", fixture->directory);
	assert_string_equal(kinds_local_path(&source), wanted);
}

static void test_without_ref(void **state)
{
	static const struct {
		const char *kind, *yaml;
	} rows[] = {
		{ "tar", "{\"url\": \"up:x\"}" },
		{ "git", "{\"url\": \"up:x\", track: main}" },
		{ "git_repo", "{\"url\": \"up:x\", track: main}" },
		{ "go_module", "{\"url\": \"up:x\", module: m}" },
		{ "cargo", "{}" },
		{ "cargo", "ref: []" },
		{ "cargo2", "ref: [{name: a, version: '1'}]" },
		{ "cpan", "{name: A, suffix: s}" },
		{ "pypi", "{name: A, ref: {suffix: '', sha256sum: h}}" },
		{ "docker", "image: i" },
	};
	struct graph_source source;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(make_source(*state, &source, rows[i].kind, rows[i].yaml) >= 0);
		assert_false(source.has_ref);
		assert_int_equal(kinds_source_key(&((struct fixture *)*state)->ctx, &source), 0);
		assert_null(source.key_json);
	}
}

static void test_older_plugins(void **state)
{
	struct fixture *fixture = *state;
	static const char go[] = "{\"url\": \"up:r\", module: m, ref: {go-version: v1, git-ref: abc, explicit: 'True'}}";

	fixture->plugin.behaviour = KINDS_GO_EXPLICIT;
	assert_source_key(fixture, "go_module", go,
			  "{\"bugfix\":1,\"module\":\"m\",\"ref\":{\"explicit\":true,\"git-ref\":\"abc\","
			  "\"go-version\":\"v1\"}}");
	fixture->plugin.behaviour = KINDS_GO_BUGFIX_0;
	assert_source_key(fixture, "go_module", go,
			  "{\"bugfix\":0,\"module\":\"m\",\"ref\":{\"explicit\":true,\"git-ref\":\"abc\","
			  "\"go-version\":\"v1\"}}");
	fixture->plugin.behaviour = KINDS_CARGO2_X;
	assert_source_key(fixture, "cargo2", "ref: []", "[\"DEF:\",\"Cargo.lock\",\".vendored-crates\",[],\"x\"]");
	fixture->plugin.behaviour = KINDS_CARGO2_CRATES_X;
	assert_source_key(fixture, "cargo2", "ref: []", "[\"DEF:\",\"Cargo.lock\",\"crates\",[],\"x\"]");
	fixture->plugin.behaviour = KINDS_ANITYA_KDE;
	assert_source_key(fixture, "anitya",
			  "project-id: \"12\"\nurl: \"up:{major}.{minor}/{{x}}-{version}.tar\"\n"
			  "ref: {version: 1.20.3.4, sha256sum: h}",
			  "[\"up:1.20/{x}-1.20.3.4.tar\",\"h\",\"1.20.3.4\"]");
	fixture->plugin.behaviour = 0;
}

static void assert_failure(struct fixture *fixture, const char *what, int r, const char *domain, const char *reason,
			   const char *message)
{
	if (r >= 0)
		fail_msg("%s: should fail", what);
	assert_string_equal(fixture->diag.domain, domain);
	if (!str_eq(fixture->diag.reason, reason))
		fail_msg("%s: reason %s instead of %s", what, fixture->diag.reason, reason);
	if (!strstr(buf_text(&fixture->diag.message), message))
		fail_msg("%s: says %s", what, buf_text(&fixture->diag.message));
	assert_true(fixture->diag.where.len > 0);
}

static void test_source_errors(void **state)
{
	static const struct {
		const char *kind, *yaml, *domain, *reason, *message;
	} rows[] = {
		{ "local", "{path: sub, pth: x}", "load", "invalid-data", "Unexpected key: pth" },
		{ "local", "{}", "load", "invalid-data", "did not contain expected key 'path'" },
		{ "local", "path: none", "load", "missing-file", "Specified path 'none' does not exist" },
		{ "local", "path: link", "load", "proj-path-invalid-kind", "must not point to symbolic links" },
		{ "local", "path: link/", "load", "proj-path-invalid-kind", "must not point to symbolic links" },
		{ "local", "path: ../x", "load", "proj-path-invalid", "first component must not be '..'" },
		{ "local", "path: ./../x", "load", "proj-path-invalid", "first component must not be '..'" },
		{ "local", "path: sub/../../..", "load", "proj-path-invalid", "must not lead outside" },
		{ "local", "path: out/bin", "load", "proj-path-invalid", "must not lead outside" },
		{ "local", "path: /usr", "load", "proj-path-invalid", "must not lead outside" },
		{ "patch", "path: sub", "load", "proj-path-invalid-kind", "is not a regular file" },
		{ "patch_queue", "path: sub/queue/a.patch", "load", "proj-path-invalid-kind", "is not a directory" },
		{ "remote", "{\"url\": \"up:x\", filename: a/b}", "source", "filename-contains-directory",
		  "filename parameter cannot contain directories" },
		{ "tar", "{}", "load", "invalid-data", "expected key 'url'" },
		{ "tar", "{\"url\": \"up:x\", basedir: y}", "load", "invalid-data", "Unexpected key: basedir" },
		{ "git", "{\"url\": \"up:x\"}", "source", "missing-track-and-ref", "require a ref and/or track" },
		{ "git_repo", "{\"url\": \"up:x\", ref: abc}", "source", NULL, "is not in the expected format" },
		{ "go_module", "{\"url\": \"up:x\", module: m, ref: {go-version: v}}", "load", "invalid-data",
		  "expected key 'git-ref'" },
		{ "docker", "{}", "source", NULL, "Must define either 'url' or 'image'" },
		{ "docker", "{image: x, \"url\": y}", "source", NULL, "May specify either" },
		{ "pip", "{}", "source", NULL, "Either 'packages' or 'requirements-files'" },
		{ "ostree", "{\"url\": \"up:x\"}", "source", "missing-track-and-ref", "require a ref and/or track" },
	};
	struct fixture *fixture = *state;
	struct graph_source source;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int r = make_source(fixture, &source, rows[i].kind, rows[i].yaml);

		assert_failure(fixture, rows[i].yaml, r, rows[i].domain, rows[i].reason, rows[i].message);
	}
	assert_true(make_source(fixture, &source, "tar", "{\"url\": \"bad:x\"}") < 0);
	assert_string_equal(fixture->diag.reason, "invalid-source-alias");
	fixture->ctx.plugin = NULL;
	assert_true(make_source(fixture, &source, "pip", "packages: [x]") < 0);
	fixture->ctx.plugin = &fixture->plugin;
}

/* ---- elements */

static struct graph_element *new_element(struct fixture *fixture, const char *kind)
{
	struct graph_element *element = &fixture->graph.elements[2];

	*element = (struct graph_element){ .name = "e.bst", .full_name = "e.bst", .file = "e.bst", .file_line = 1 };
	element->ops = kinds_find_element(kind);
	assert_non_null(element->ops);
	element->deps = ARENA_ARRAY(&fixture->graph.arena, struct graph_dep, 4);
	return element;
}

static void add_dep(struct fixture *fixture, struct graph_element *element, const char *path, unsigned type,
		    const char *config)
{
	uint32_t id = strcmp(path, "x.bst") != 0;
	struct graph_dep *dep = &element->deps[element->dep_count];
	const struct yaml_node **configs;

	/* The same element again is one more config block, as the loader merges them. */
	for (uint32_t i = 0; i < element->dep_count; i++)
		if (strcmp(element->deps[i].path, path) == 0)
			dep = &element->deps[i];
	element->dep_count += dep == &element->deps[element->dep_count];
	dep->element = id;
	dep->type |= (uint8_t)type;
	dep->path = path;
	if (!config)
		return;
	configs = ARENA_ARRAY(&fixture->graph.arena, const struct yaml_node *, dep->config_count + 1);
	for (uint32_t i = 0; i < dep->config_count; i++)
		configs[i] = dep->configs[i];
	configs[dep->config_count++] = parse(fixture, config);
	dep->configs = configs;
}

static int make_element(struct fixture *fixture, struct graph_element *element, const char *yaml)
{
	int r = kinds_configure_element(&fixture->ctx, element, parse(fixture, yaml));

	return r < 0 ? r : kinds_finish_element(&fixture->ctx, element);
}

static void check_row(struct fixture *fixture, const struct element_row *row)
{
	struct graph_element *element = new_element(fixture, row->kind);
	struct graph_pair variables[2];
	struct buf _cleanup_buf_ key = BUF_INIT;

	for (size_t i = 0; i < 2 && row->variables[i].name; i++)
		variables[element->variable_count++] =
			(struct graph_pair){ row->variables[i].name, row->variables[i].value };
	element->variables = variables;
	for (size_t i = 0; i < 3 && row->deps[i].path; i++)
		add_dep(fixture, element, row->deps[i].path, GRAPH_BUILD, row->deps[i].config);
	if (strcmp(row->kind, "import") == 0) {
		element->sources = ARENA_NEW(&fixture->graph.arena, struct graph_source);
		element->sources->ops = kinds_find_source("local");
		element->source_count = 1;
	}
	if (make_element(fixture, element, row->yaml) < 0 && strcmp(row->kind, "filter") != 0)
		fail_msg("%s %s: %s", row->kind, row->yaml, buf_text(&fixture->diag.message));
	kinds_element_key(element, &key);
	assert_string_equal(buf_text(&key), row->key);
}

static void test_element_keys(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(element_rows); i++)
		check_row(*state, &element_rows[i]);
}

static void test_images_of_a_stack(void **state)
{
	struct fixture *fixture = *state;
	struct graph_element *element = new_element(fixture, "flatpak_repo"), *stack = &fixture->graph.elements[1];
	struct buf _cleanup_buf_ key = BUF_INIT;
	struct graph_dep dep = { .element = 0, .type = GRAPH_ALL, .path = "x.bst" };

	stack->deps = &dep;
	stack->dep_count = 1;
	add_dep(fixture, element, "j.bst:y.bst", GRAPH_BUILD, "flatpak-stack: 'True'");
	assert_int_equal(make_element(fixture, element, "{copy-refs: [], repo-mode: archive, arch: x, branch: b}"), 0);
	kinds_element_key(element, &key);
	assert_non_null(strstr(buf_text(&key), "\"export j.bst:y.bst (x.bst)\":[\"flatpak build-export --files=files "
					       "--arch=x /buildstream/repo /buildstream/input/x b\"]"));
	assert_non_null(strstr(buf_text(&key), "\"layout\":{\"/buildstream/input/x\":[\"j.bst:y.bst (x.bst)\"]}"));
	assert_int_equal(((struct kinds_flatpak_repo *)element->config)->image_count, 1);
	stack->dep_count = 0;
	stack->deps = NULL;
}

static void test_what_runs_commands(void **state)
{
	struct fixture *fixture = *state;
	struct graph_element *element = new_element(fixture, "compose");
	static const char with[] = "{integrate: 'True', include: [], exclude: [], include-orphans: 'True'}";
	static const char without[] = "{integrate: 'False', include: [], exclude: [], include-orphans: 'True'}";

	assert_int_equal(make_element(fixture, element, with), 0);
	assert_true(kinds_runs_commands(element));
	assert_int_equal(make_element(fixture, element, without), 0);
	assert_false(kinds_runs_commands(element));
	element = new_element(fixture, "stack");
	assert_int_equal(make_element(fixture, element, "{any: thing}"), 0);
	assert_false(kinds_runs_commands(element));
	element = new_element(fixture, "junction"); /* the peer's oddity: it counts as running commands */
	assert_int_equal(make_element(fixture, element, "{}"), 0);
	assert_true(kinds_runs_commands(element));
}

static void test_artifact_versions(void **state)
{
	static const struct {
		const char *kind;
		uint32_t version;
	} rows[] = { { "filter", 1 }, { "manual", 0 }, { "bazelize", 4 }, { "collect_manifest", 2 },
		     { "flatpak_repo", 2 }, { "snap_image", 1 } };
	struct fixture *fixture = *state;
	struct graph_element *element;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(kinds_find_element(rows[i].kind)->artifact_version, rows[i].version);
	fixture->plugin.artifact_version = 3;
	element = new_element(fixture, "bazelize");
	assert_int_equal(make_element(fixture, element, "{include: [], exclude: [], include-orphans: 'True'}"), 0);
	assert_int_equal(kinds_artifact_version(element), 3);
	fixture->plugin.artifact_version = 1;
	fixture->plugin.behaviour = KINDS_MANIFEST_PLAIN;
	element = new_element(fixture, "collect_manifest");
	assert_true(make_element(fixture, element, "path: /x") >= 0);
	assert_true(kinds_runs_commands(element));
	assert_false(element->ops->flags & KINDS_STRICT_REBUILD);
	fixture->plugin.behaviour = 0;
	fixture->plugin.artifact_version = -1;
}

static void test_element_errors(void **state)
{
	static const struct {
		const char *kind, *yaml;
		unsigned type;
		const char *dep_config, *domain, *reason, *message;
	} rows[] = {
		{ "manual", "{run-commands: []}", 0, NULL, "load", "invalid-data", "Unexpected key: run-commands" },
		{ "manual", "{build-commands: x}", 0, NULL, "load", "invalid-data", "not of the expected type 'list'" },
		{ "manual", "{}", GRAPH_BUILD, "{place: /}", "load", "invalid-data", "Unexpected key: place" },
		{ "script", "{}", 0, NULL, "load", "invalid-data", "expected key 'commands'" },
		{ "script", "commands: []", GRAPH_RUNTIME, NULL, "element", "element-forbidden-rdepends",
		  "Runtime dependencies are forbidden for 'script' elements" },
		{ "import", "{source: /, target: /}", 0, NULL, "element", NULL, "must have at least one source" },
		{ "import", "{source: /}", 0, NULL, "load", "invalid-data", "expected key 'target'" },
		{ "import", "{source: /, target: /}", GRAPH_BUILD, "{location: /}", "load", "invalid-dependency-config",
		  "Custom dependency configuration is not supported by element plugin 'import'" },
		{ "stack", "{}", GRAPH_BUILD, NULL, "element", "stack-requires-build-and-run",
		  "All dependencies of 'stack' elements must be both build and runtime dependencies" },
		{ "filter", "{include: [], exclude: [], include-orphans: 'True'}", 0, NULL, "element",
		  "filter-bdepend-wrong-count", "must have exactly 1 build-dependency, actually have 0" },
		{ "filter", "{include: [], exclude: [], include-orphans: 'True'}", GRAPH_ALL, NULL, "element",
		  "filter-bdepend-also-rdepend", "must not also be a runtime dependency" },
		{ "link", "target: y.bst", GRAPH_BUILD, NULL, "element", "element-forbidden-depends",
		  "Dependencies are forbidden for 'link' elements" },
		{ "junction", "overrides: {sub.bst: e.bst}", 0, NULL, "element", "override-junction-with-self",
		  "Attempt to override subproject junction 'sub.bst' with the overriding junction 'e.bst' itself" },
		{ "junction", "map-aliases: all", 0, NULL, "load", "invalid-data", "map-aliases" },
		{ "tar_element", "{filename: f, compression: zip}", 0, NULL, "element", NULL,
		  "Invalid compression option zip" },
		{ "x86image", "final-commands: []", 0, NULL, "element", NULL,
		  "Unexpectedly missing command step 'filesystem-tree-setup-commands'" },
		{ "collect_integration", "{script-path: /x, ignore: [z.bst]}", GRAPH_BUILD, NULL, "element", NULL,
		  "element z.bst is not in dependencies" },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct graph_element *element = new_element(fixture, rows[i].kind);

		if (rows[i].type)
			add_dep(fixture, element, "x.bst", rows[i].type, rows[i].dep_config);
		assert_failure(fixture, rows[i].yaml, make_element(fixture, element, rows[i].yaml), rows[i].domain,
			       rows[i].reason, rows[i].message);
	}
	assert_string_equal(buf_text(&fixture->diag.where), "collect_integration element at e.bst [line 1 column 0]");
}

static void test_sources_where_none_belong(void **state)
{
	struct fixture *fixture = *state;
	struct graph_source sources[1];
	struct graph_element *element;

	assert_true(make_source(fixture, &sources[0], "cargo2", "ref: []") >= 0);
	element = new_element(fixture, "script");
	element->sources = sources;
	element->source_count = 1;
	assert_failure(fixture, "script", make_element(fixture, element, "commands: []"), "element",
		       "element-forbidden-sources", "Sources are forbidden for 'script' elements");
	element = new_element(fixture, "manual");
	element->sources = sources;
	element->source_count = 1;
	assert_failure(fixture, "manual", make_element(fixture, element, "{}"), "element", NULL,
		       "cannot be the first source of an element as it requires access to previous sources");
	element = new_element(fixture, "filter");
	add_dep(fixture, element, "y.bst", GRAPH_BUILD, NULL);
	assert_failure(fixture, "filter",
		       make_element(fixture, element, "{include: [], exclude: [], include-orphans: 'True'}"), "element",
		       "filter-bdepend-no-artifact", "build dependency must produce an artifact");
}

static void test_junction(void **state)
{
	struct fixture *fixture = *state;
	struct graph_element *element = new_element(fixture, "junction");
	const struct kinds_junction *junction;

	assert_int_equal(make_element(fixture, element,
				      "{path: sub, options: {a: b}, map-aliases: identity, "
				      "overrides: {\"a.bst:b.bst\": c.bst}}"), 0);
	junction = element->config;
	assert_string_equal(junction->path, "sub");
	assert_true(junction->map_aliases_identity);
	assert_int_equal(junction->override_count, 1);
	assert_string_equal(junction->overrides[0].path, "a.bst:b.bst");
	assert_string_equal(junction->overrides[0].target, "c.bst");
	assert_null(junction->aliases);
}

/* ---- tables, plugins, defaults */

static void test_tables_are_sorted(void **state)
{
	const struct kinds_element *element = kinds_all_elements();
	const struct kinds_source *source = kinds_all_sources();

	for (; element->name; element++) {
		assert_true(!element[1].name || strcmp(element->name, element[1].name) < 0);
		assert_ptr_equal(kinds_find_element(element->name), element);
		assert_true((element->package == NULL) == !!(element->flags & KINDS_CORE));
	}
	for (; source->name; source++) {
		assert_true(!source[1].name || strcmp(source->name, source[1].name) < 0);
		assert_ptr_equal(kinds_find_source(source->name), source);
		assert_true((source->package == NULL) == !!(source->flags & KINDS_SOURCE_CORE));
	}
	assert_null(kinds_find_element("nothing"));
	assert_null(kinds_find_source(""));
}

static void identify(struct fixture *fixture, struct kinds_plugin *plugin, bool is_source, const char *kind,
		     const char *text)
{
	kinds_plugin_identify(plugin, &fixture->graph.arena, is_source, kind, text, strlen(text));
}

static void test_plugin_texts(void **state)
{
	struct kinds_plugin plugin;

	identify(*state, &plugin, true, "cargo2",
		 "x.get_str( 'other' , 'y')\n self.u = node.get_str(\n   \"url\", \"https://a/b\"\n )\n");
	assert_string_equal(plugin.default_url, "https://a/b");
	assert_int_equal(plugin.state, KINDS_PLUGIN_UNSTABLE);
	assert_int_equal(plugin.artifact_version, -1);
	identify(*state, &plugin, true, "pip", "MY_PYPI_INDEX_URL = 'no'\n_PYPI_INDEX_URL = 'https://i/'\n");
	assert_string_equal(plugin.default_url, "https://i/");
	assert_int_equal(plugin.state, KINDS_PLUGIN_STABLE);
	identify(*state, &plugin, true, "docker", "_DOCKER_HUB_URL");
	assert_null(plugin.default_url);
	identify(*state, &plugin, false, "bazelize", "# BST_ARTIFACT_VERSION\n  BST_ARTIFACT_VERSION = 17\n");
	assert_int_equal(plugin.artifact_version, 17);
	identify(*state, &plugin, false, "cargo", "get_str('url', 'x'");
	assert_null(plugin.default_url); /* an element of that name has none */
	identify(*state, &plugin, true, "cargo", "");
	assert_null(plugin.default_url);
}

/* The file is the same in every release since 1.95.7, but for its licence head. */
static void test_known_plugin(void **state)
{
	const char *shared = getenv("MILLRACE_SITE_PACKAGES");
	struct buf _cleanup_buf_ path = BUF_INIT, text = BUF_INIT;
	struct kinds_plugin plugin;

	if (!shared)
		skip();
	buf_printf(&path, "%s/buildstream_plugins_community/sources/go_module.py", shared);
	assert_true(fs_read_file(&text, AT_FDCWD, buf_text(&path), 1 << 20) >= 0);
	identify(*state, &plugin, true, "go_module", buf_text(&text));
	assert_int_equal(plugin.state, KINDS_PLUGIN_KNOWN);
	assert_true(str_starts(plugin.package, "buildstream-plugins-community "));
	identify(*state, &plugin, true, "git_repo", buf_text(&text)); /* right file, wrong kind */
	assert_int_equal(plugin.state, KINDS_PLUGIN_STABLE);
}

static void test_defaults(void **state)
{
	static const char *const kinds[] = { "compose", "filter", "import", "manual", "script" };
	struct fixture *fixture = *state;
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *text = kinds_core_yaml(kinds[i], &len);

		assert_int_equal(len, strlen(text));
		assert_non_null(yaml_get(parse(fixture, text), "config"));
	}
	assert_null(kinds_core_yaml("stack", &len));
	assert_non_null(yaml_get(parse(fixture, kinds_project_yaml(&len)), "split-rules"));
}

static void test_guess_version(void **state)
{
	static const struct {
		const char *text, *pattern, *want;
	} rows[] = {
		{ "https://x.com/releases/1.2/pony-1.2.3.tgz", NULL, "1.2.3" },
		{ "https://x.com/releases/pony-1.2.tgz", NULL, "1.2" },
		{ "pony.tgz", NULL, NULL },
		{ "pony_v2_4_93.tgz", "(\\d+)_(\\d+)_(\\d+)", "2.4.93" },
		{ "release-1_2_3-r2", "(\\d+)_(\\d+)(?:_(\\d+))?(?:\\-(r\\d+))?", "1.2.3.r2" },
		{ "v20240131", "(?P<year>\\d{4})(\\d\\d)(\\d\\d)", "2024.01.31" },
		{ "a-77b", "[\\d]+", "77" },
		{ "1.2", "^(\\d)\\.(\\d)$", "1.2" },
		{ "1.2", "x*", "" },
		{ "1.2", "(\\d+?)", "1" },
		{ "1.2", "(?=1)", "" },
		{ "less-r62.tar", "(?<=r)\\d{2}", "62" },
		{ "1.2", "(?>1)", NULL },
		{ "1.2", "(((", NULL },
		{ "1.2", "\\", NULL },
	};
	struct arena arena = ARENA_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *got = kinds_guess_version(&arena, rows[i].text, rows[i].pattern);

		if (rows[i].want)
			assert_string_equal(got, rows[i].want);
		else
			assert_null(got);
	}
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guess_version),
		cmocka_unit_test(test_source_keys),	 cmocka_unit_test(test_keys_of_files),
		cmocka_unit_test(test_local_path),	 cmocka_unit_test(test_without_ref),
		cmocka_unit_test(test_older_plugins),	 cmocka_unit_test(test_source_errors),
		cmocka_unit_test(test_element_keys),	 cmocka_unit_test(test_images_of_a_stack),
		cmocka_unit_test(test_what_runs_commands), cmocka_unit_test(test_artifact_versions),
		cmocka_unit_test(test_element_errors),	 cmocka_unit_test(test_sources_where_none_belong),
		cmocka_unit_test(test_junction),	 cmocka_unit_test(test_tables_are_sorted),
		cmocka_unit_test(test_plugin_texts),	 cmocka_unit_test(test_known_plugin),
		cmocka_unit_test(test_defaults),
	};

	return cmocka_run_group_tests_name("kinds", tests, setup, teardown);
}
