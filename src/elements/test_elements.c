/* Assembling: every kind on small graphs made by hand, warnings word by word, and with a busybox the kinds that run
 * commands. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "elements/elements.h"
#include "kinds/element_configs.h"
#include "sandbox/test_works.h"
#include "yaml/yaml.h"

static char scratch[] = "/tmp/millrace-elements-XXXXXX";
static struct cas *cas;
static struct sandbox_host *host;
static struct arena arena;

/* ---- one small graph per test ---- */

enum { ELEMENTS_MAX = 8 };
static struct graph_element elements[ELEMENTS_MAX];
static struct graph_dep dep_room[ELEMENTS_MAX][ELEMENTS_MAX];
static struct graph_project project;
static struct graph graph;
static struct elements_result results[ELEMENTS_MAX];
static struct buf messages; /* "TYPE brief\n" and "| detail" lines of the last build */

static const struct graph_pair environment[] = { { "LC_ALL", "C" }, { "PATH", "/bin" } };
static const struct graph_pair variables[] = { { "build-root", "/b/e" }, { "install-root", "/i" } };

static void new_graph(void)
{
	memset(elements, 0, sizeof elements);
	memset(results, 0, sizeof results);
	memset(dep_room, 0, sizeof dep_room);
	project = (struct graph_project){ .name = "test" };
	graph = (struct graph){ .elements = elements, .projects = &project, .project_count = 1 };
}

static const struct yaml_node *yaml(const char *text)
{
	const struct yaml_node *node;
	struct diag diag = DIAG_INIT;

	assert_int_equal(yaml_parse(&arena, text, strlen(text), "test", &node, &diag), 0);
	return node;
}

static uint32_t add(const char *kind, const char *name, void *config, const char *public_data)
{
	uint32_t id = graph.element_count++;

	assert_true(id < ELEMENTS_MAX);
	elements[id] = (struct graph_element){
		.name = name, .full_name = name, .normal_name = name, .ops = kinds_find_element(kind), .config = config,
		.deps = dep_room[id], .variables = variables, .variable_count = 2, .environment = environment,
		.environment_count = 2, .sandbox = { .build_uid = -1, .build_gid = -1 },
		.public_data = yaml(public_data ? public_data : "bst: {split-rules: {}}"), .file = name, .file_line = 1,
	};
	assert_non_null(elements[id].ops);
	return id;
}

static void depend(uint32_t element, uint32_t on, uint8_t type)
{
	dep_room[element][elements[element].dep_count++] =
		(struct graph_dep){ .element = on, .type = type, .path = elements[on].name };
}

static void on_message(void *data, enum elements_message type, uint32_t element, bool keyless, const char *brief,
		       const char *detail, int64_t elapsed_us)
{
	static const char *const names[] = { "START", "SUCCESS", "FAILURE", "STATUS", "INFO", "WARN", "LOG" };

	buf_printf(&messages, "%s %s\n", names[type], brief);
	if (detail && type != ELEMENTS_LOG)
		buf_printf(&messages, "%s%s", detail, str_ends(detail, "\n") ? "" : "\n");
}

/* A tree from "path=content *path=content path>target path/" words; kept in the store. */
static struct digest tree(const char *spec)
{
	char *copy = xstrdup(spec), *save = NULL;
	struct cas_tree *made;
	struct digest digest;

	assert_int_equal(cas_tree_new(&made, cas, NULL), 0);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		struct cas_entry entry = { .executable = word[0] == '*' };
		char *path = word + entry.executable, *end = path + strcspn(path, "=>");
		char *slash, kind = *end;

		*end = '\0';
		if (!kind) {
			assert_int_equal(cas_tree_mkdir(made, path), 0);
			continue;
		}
		slash = strrchr(path, '/');
		if (slash) {
			*slash = '\0';
			assert_int_equal(cas_tree_mkdir(made, path), 0);
			*slash = '/';
		}
		entry.type = kind == '=' ? CAS_FILE : CAS_SYMLINK;
		entry.target = end + 1;
		if (kind == '=')
			cas_put(cas, end + 1, strlen(end + 1), &entry.digest);
		assert_int_equal(cas_tree_put(made, path, &entry), 0);
	}
	assert_int_equal(cas_tree_digest(made, "", &digest), 0);
	cas_tree_free(made);
	free(copy);
	return digest;
}

static int list_entry(void *data, const char *path, const struct cas_entry *entry)
{
	struct buf content = BUF_INIT;

	buf_printf(data, "%s%s%s", ((struct buf *)data)->len ? " " : "", entry->executable ? "*" : "", path);
	if (entry->type == CAS_DIRECTORY)
		buf_addc(data, '/');
	if (entry->type == CAS_SYMLINK)
		buf_printf(data, ">%s", entry->target);
	if (entry->type == CAS_FILE && entry->digest.size_bytes < 66 && cas_get(cas, &entry->digest, &content) >= 0)
		buf_printf(data, "=%s", buf_text(&content));
	buf_release(&content);
	return 0;
}

static void assert_files(const struct digest *digest, const char *expected)
{
	struct buf out = BUF_INIT;

	assert_int_equal(cas_walk(cas, digest, list_entry, &out), 0);
	assert_string_equal(buf_text(&out), expected);
	buf_release(&out);
}

/* An element that is built already, with these files. */
static uint32_t built(const char *name, const char *files, const char *public_data)
{
	uint32_t id = add("import", name, NULL, public_data);

	results[id].has_files = true;
	results[id].files = tree(files);
	return id;
}

static struct elements_job job_for(uint32_t element, const char *sources)
{
	struct elements_job job = { .graph = &graph, .element = element, .cas = cas, .sandbox_host = host, .arena = &arena,
				    .sources = tree(sources), .hooks = { NULL, on_message, NULL } };
	struct graph_walk walk = { 0 };
	struct elements_dep *deps;

	graph_walk_scope(&walk, &graph, element, GRAPH_SCOPE_BUILD);
	deps = ARENA_ARRAY(&arena, struct elements_dep, walk.count + 1);
	for (uint32_t i = 0; i < walk.count; i++)
		deps[i] = (struct elements_dep){ walk.ids[i], results[walk.ids[i]].has_files, results[walk.ids[i]].files,
						 results[walk.ids[i]].public_data, { { 0xab } } };
	job.deps = deps;
	job.dep_count = walk.count;
	graph_walk_release(&walk);
	return job;
}

static int build_job(struct elements_job *job, struct diag *diag)
{
	int r;

	buf_clear(&messages);
	job->log_fd = open(scratch, O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	r = elements_build(job, &results[job->element], diag);
	if (r < 0 && !diag->domain)
		fail_msg("%d without a message", r);
	close(job->log_fd);
	return r;
}

static int build(uint32_t element, const char *sources, struct diag *diag)
{
	struct elements_job job = job_for(element, sources);

	return build_job(&job, diag);
}

static void assert_builds(uint32_t element, const char *sources, const char *files)
{
	struct diag diag = DIAG_INIT;
	int r = build(element, sources, &diag);

	if (r != ELEMENTS_BUILT)
		fail_msg("%d: %s %s", r, buf_text(&diag.message), buf_text(&diag.detail));
	assert_true(results[element].success);
	assert_string_equal(results[element].error, "succeeded");
	assert_files(&results[element].files, files);
}

/* ---- import, stack, filter ---- */

static void test_import(void **state)
{
	struct kinds_import whole = { .source = "/", .target = "/" }, part = { .source = "a/b/", .target = "/usr/lib" };
	struct kinds_import missing = { .source = "c", .target = "/" };
	struct diag diag = DIAG_INIT;
	uint32_t id;

	new_graph();
	assert_builds(add("import", "whole.bst", &whole, NULL), "a/b/x=1 y=2 e/", "y=2 a/ a/b/ a/b/x=1 e/");
	assert_builds(add("import", "part.bst", &part, NULL), "a/b/x=1 a/b/c/d>e y=2",
		      "usr/ usr/lib/ usr/lib/x=1 usr/lib/c/ usr/lib/c/d>e");
	id = add("import", "missing.bst", &missing, NULL);
	assert_true(build(id, "a/b/x=1", &diag) < 0);
	assert_string_equal(diag.reason, "directory-not-found");
	diag_release(&diag);
	/* an empty directory is a build failure, and as such cached with its trees */
	assert_int_equal(build(id, "c/", &diag), ELEMENTS_FAILED);
	assert_string_equal(buf_text(&diag.message), "import element at missing.bst [line 1 column 0]: No files were found "
						     "inside directory 'c'");
	assert_false(results[id].success);
	assert_false(results[id].has_files);
	assert_true(results[id].has_buildroot && results[id].has_sources);
	assert_files(&results[id].buildroot, "input/ input/c/ output/");
	diag_release(&diag);
}

static void test_stack(void **state)
{
	struct kinds_stack config = { { 0 } };

	new_graph();
	assert_builds(add("stack", "s.bst", &config, NULL), "", "");
	assert_true(digest_eq(&results[0].files, &DIGEST_EMPTY));
}

#define STRINGS(...) { (const char *const[]){ __VA_ARGS__ }, ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })) }

static const char rules[] = "bst:\n  integration-commands: [one]\n  split-rules:\n    bin: [/bin, '/bin/*']\n    doc: ['/usr/doc/**']\n";

static void test_filter(void **state)
{
	struct kinds_filter bin = { .include = STRINGS("bin") }, not_doc = { .exclude = STRINGS("doc"), .include_orphans = true };
	struct kinds_filter unknown = { .include = STRINGS("bin", "src"), .include_node = yaml("a: b") };
	struct kinds_filter passes = { .include_orphans = true, .pass_integration = true };
	const char *files = "*bin/a=1 bin/sub/b=2 usr/doc/x=3 usr/doc/y/z=4 etc/f=5";
	const char *const *commands;
	struct diag diag = DIAG_INIT;
	uint32_t parent, id, count;
	const struct yaml_node *bst;

	new_graph();
	parent = built("parent.bst", files, rules);
	id = add("filter", "bin.bst", &bin, NULL);
	depend(id, parent, GRAPH_BUILD);
	assert_builds(id, "", "bin/ *bin/a=1 bin/sub/");
	id = add("filter", "not-doc.bst", &not_doc, NULL);
	depend(id, parent, GRAPH_BUILD);
	/* a claimed, refused directory stays out when nothing in it is taken; an orphaned one stays */
	assert_builds(id, "", "bin/ *bin/a=1 bin/sub/ bin/sub/b=2 etc/ etc/f=5 usr/ usr/doc/");
	id = add("filter", "unknown.bst", &unknown, NULL);
	depend(id, parent, GRAPH_BUILD);
	assert_true(build(id, "", &diag) < 0);
	assert_string_equal(buf_text(&diag.message), "Unknown domains declared.");
	assert_non_null(strstr(buf_text(&diag.detail), "Unknown domains were used in test [line 1 column 0]\n - src"));
	diag_release(&diag);
	id = add("filter", "passes.bst", &passes, "bst: {integration-commands: [two]}");
	depend(id, parent, GRAPH_BUILD);
	assert_int_equal(build(id, "", &diag), ELEMENTS_BUILT);
	assert_true(digest_eq(&results[id].files, &results[parent].files));
	bst = yaml_get(results[id].public_data, "bst");
	assert_int_equal(yaml_get_strs(&arena, bst, "integration-commands", &commands, &count, &diag), 1);
	assert_int_equal(count, 2);
	assert_string_equal(commands[0], "one");
	assert_string_equal(commands[1], "two");
}

static void test_split(void **state)
{
	static const char text[] = "bst: {split-rules: {a: ['/a/**'], b: ['/a/b', '/b*']}}";
	static const struct {
		const char *include, *exclude;
		bool orphans;
		const char *taken;
	} rows[] = {
		{ NULL, NULL, true, "a/x a/b b1 c" }, { NULL, NULL, false, "a/x a/b b1" }, { "a", NULL, false, "a/x a/b" },
		{ NULL, "a", true, "b1 c" }, { "a", "b", false, "a/x" }, { "zzz", NULL, true, "c" }, { "b", "zzz", false, "a/b b1" },
	};
	static const char *const paths[] = { "a/x", "a/b", "b1", "c" };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct elements_split *split;
		struct buf taken = BUF_INIT;

		assert_int_equal(elements_split_new(&split, yaml(text), &rows[i].include, rows[i].include != NULL,
						    &rows[i].exclude, rows[i].exclude != NULL, rows[i].orphans, NULL), 0);
		for (size_t j = 0; j < ARRAY_SIZE(paths); j++)
			if (elements_split_match(split, paths[j]))
				buf_printf(&taken, "%s%s", taken.len ? " " : "", paths[j]);
		assert_string_equal(buf_text(&taken), rows[i].taken);
		elements_split_free(split);
		buf_release(&taken);
	}
}

static void test_collect(void **state)
{
	struct kinds_collect_integration config = { .script_path = "/usr/bin/integrate", .ignore = STRINGS("no.bst") };
	struct kinds_collect_scripts scripts = { .path = "/etc/init/" };
	uint32_t ids[3], id;

	new_graph();
	ids[0] = built("a/b.bst", "x=1", "{bst: {integration-commands: [one, two]}, initial-script: {script: first}}");
	ids[1] = built("no.bst", "x=1", "{bst: {integration-commands: [three]}}");
	ids[2] = built("c.bst", "x=1", "{initial-script: {script: second}}");
	for (int kind = 0; kind < 2; kind++) {
		id = add(kind ? "collect_initial_scripts" : "collect_integration", "collect.bst",
			 kind ? (void *)&scripts : (void *)&config, NULL);
		for (int i = 0; i < 3; i++)
			depend(id, ids[i], GRAPH_BUILD);
		if (kind)
			assert_builds(id, "", "etc/ etc/init/ *etc/init/001-a_b_bst=first *etc/init/002-c_bst=second");
		else
			assert_builds(id, "", "usr/ usr/bin/ *usr/bin/integrate=#!/bin/sh\nset -e\n\n"
					      "# integration commands from a/b.bst\none\n\ntwo\n\n");
	}
}

/* ---- warnings ---- */

static struct elements_dep as_dep(uint32_t id)
{
	return (struct elements_dep){ id, true, results[id].files, NULL, { { 0xab } } };
}

static int stage(uint32_t for_element, const uint32_t *ids, uint32_t count, const char *location, const char *expected,
		 struct diag *diag)
{
	struct elements_job job = { .graph = &graph, .element = for_element, .cas = cas, .arena = &arena,
				    .hooks = { NULL, on_message, NULL } };
	struct elements_dep deps[ELEMENTS_MAX];
	struct cas_tree *into;
	struct digest digest;
	int r;

	for (uint32_t i = 0; i < count; i++)
		deps[i] = as_dep(ids[i]);
	buf_clear(&messages);
	assert_int_equal(cas_tree_new(&into, cas, NULL), 0);
	r = elements_stage(&job, into, deps, count, location, diag);
	if (expected) {
		assert_int_equal(cas_tree_digest(into, "", &digest), 0);
		assert_files(&digest, expected);
	}
	cas_tree_free(into);
	return r;
}

static void test_overlaps(void **state)
{
	struct diag diag = DIAG_INIT;
	uint32_t ids[3], top;

	new_graph();
	ids[0] = built("low.bst", "etc/a=1 etc/b=1 etc/c=1", NULL);
	ids[1] = built("mid.bst", "etc/a=2 etc/b=2 etc/d=2", "bst: {overlap-whitelist: ['/etc/b']}");
	ids[2] = built("high.bst", "etc/a=3 etc/b=3 etc/c/=3 etc/d=3", "bst: {overlap-whitelist: ['/etc/*']}");
	results[ids[2]].files = tree("etc/a=3 etc/b=3 etc/d=3");
	top = add("import", "top.bst", NULL, NULL);
	assert_int_equal(stage(top, ids, 3, "/", "etc/ etc/a=3 etc/b=3 etc/c=1 etc/d=3", &diag), 0);
	assert_string_equal(buf_text(&messages),
			    "STATUS Staging low.bst/ab000000\nSTATUS Staging mid.bst/ab000000\nSTATUS Staging high.bst/ab000000\n"
			    "WARN [overlaps]: Non-whitelisted overlaps detected\n"
			    "Staged files overwrite existing files in staging area: /\n"
			    "/etc/a: mid.bst is not permitted to overlap other elements, order high.bst above mid.bst above low.bst \n");
	/* the whitelist is asked for the path below the place of staging */
	assert_int_equal(stage(top, ids, 2, "/sys/tree", NULL, &diag), 0);
	assert_non_null(strstr(buf_text(&messages), "staging area: /sys/tree\n/sys/tree/etc/a: mid.bst is not"));
	assert_null(strstr(buf_text(&messages), "etc/b"));
	/* fatal where the project says so, with the same words */
	project.fatal_warnings = (const char *const[]){ "overlaps" };
	project.fatal_warning_count = 1;
	assert_true(stage(top, ids, 2, "/", NULL, &diag) < 0);
	assert_string_equal(diag.domain, "plugin");
	assert_string_equal(diag.reason, "overlaps");
	assert_true(str_starts(buf_text(&diag.message), "[overlaps]: Non-whitelisted overlaps detected\nStaged files"));
	diag_release(&diag);
}

static void test_unstaged(void **state)
{
	struct diag diag = DIAG_INIT;
	uint32_t ids[2], top;

	new_graph();
	ids[0] = built("dirs.bst", "full/x=1 empty/", NULL);
	ids[1] = built("files.bst", "full=1 empty=2", NULL);
	top = add("import", "top.bst", NULL, NULL);
	assert_int_equal(stage(top, ids, 2, "/", "empty=2 full/ full/x=1", &diag), 0);
	assert_non_null(strstr(buf_text(&messages),
			       "WARN [unstaged-files]: Not staging files which would have replaced non-empty directories\n"
			       "Not staging files which would replace non-empty directories in staging area: /\n"
			       "\nFrom files.bst:\n  /full\n"));
	assert_null(strstr(buf_text(&messages), "[overlaps]"));
	ids[0] = built("file.bst", "full=1", NULL);
	ids[1] = built("dir.bst", "full/x=1", NULL);
	assert_true(stage(top, ids, 2, "/", NULL, &diag) < 0); /* a directory over a file */
	assert_non_null(diag.domain);
	diag_release(&diag);
}

/* ---- with commands ---- */

static const char base_public[] = "bst:\n  integration-commands:\n  - mkdir -p /etc && echo base >>/etc/integrated\n"
				  "  split-rules:\n    shell: [/bin, '/bin/**']\n";

static uint32_t add_base(void)
{
	uint32_t id = built("base.bst", "bin/sh>busybox bin/cat>busybox bin/mkdir>busybox bin/ls>busybox bin/rm>busybox bin/cp>busybox",
			    base_public);
	struct cas_entry busybox = { .type = CAS_FILE, .executable = true };
	struct cas_tree *made;

	assert_int_equal(cas_put_file(cas, AT_FDCWD, "/bin/busybox", &busybox.digest), 0);
	assert_int_equal(cas_tree_new(&made, cas, &results[id].files), 0);
	assert_int_equal(cas_tree_put(made, "bin/busybox", &busybox), 0);
	assert_int_equal(cas_tree_digest(made, "", &results[id].files), 0);
	cas_tree_free(made);
	return id;
}

static struct kinds_layout layout_of(const char *location, uint32_t element)
{
	struct kinds_layout_item *item = ARENA_NEW(&arena, struct kinds_layout_item);
	struct kinds_layout_place *place = ARENA_NEW(&arena, struct kinds_layout_place);

	*item = (struct kinds_layout_item){ element, elements[element].name };
	*place = (struct kinds_layout_place){ location, item, 1 };
	return (struct kinds_layout){ place, 1 };
}

static void test_manual(void **state)
{
	struct kinds_build config = {
		.commands = { [KINDS_CONFIGURE] = STRINGS("echo configured >c"),
			      [KINDS_BUILD] = STRINGS("cat c src /etc/integrated >out", "cat /sys/tree/lib >>out"),
			      [KINDS_INSTALL] = STRINGS("mkdir -p /i/bin; cp out /i/bin/out; echo $D >/i/digest"),
			      [KINDS_STRIP] = STRINGS("") },
	};
	struct kinds_layout_place places[2];
	struct elements_job job;
	struct diag diag = DIAG_INIT;
	uint32_t base, lib, id;

	if (!test_sandbox_works())
		skip();
	new_graph();
	base = add_base();
	lib = built("lib.bst", "lib=lib", NULL);
	places[0] = *layout_of("/", base).places;
	places[1] = *layout_of("/sys/tree", lib).places;
	config.layout = (struct kinds_layout){ places, 2 };
	config.digest_environment = layout_of("D", lib);
	id = add("manual", "m.bst", &config, NULL);
	depend(id, base, GRAPH_BUILD);
	depend(id, lib, GRAPH_BUILD);
	assert_int_equal(build(id, "src=source", &diag), ELEMENTS_BUILT);
	/* digest is 64 digits, a slash and a size: too long to be listed */
	assert_files(&results[id].files, "digest bin/ bin/out=configured\nsourcebase\nlib");
	assert_int_equal(results[id].subsandbox_count, 1);
	assert_true(digest_eq(&results[id].subsandboxes[0], &results[lib].files));
	assert_false(results[id].has_buildtree || results[id].has_buildroot || results[id].has_sources);
	assert_int_equal(results[id].batches, 2);
	assert_true(str_starts(buf_text(&messages),
			       "START Staging dependencies for 'D' in subsandbox\nSTATUS Staging lib.bst/ab000000\n"
			       "SUCCESS Staging dependencies for 'D' in subsandbox\n"));
	assert_non_null(strstr(buf_text(&messages),
			       "LOG Build environment for element m.bst\nSTART Staging dependencies at: /\n"
			       "STATUS Staging base.bst/ab000000\nSUCCESS Staging dependencies at: /\n"
			       "START Staging dependencies at: /sys/tree\nSTATUS Staging lib.bst/ab000000\n"
			       "SUCCESS Staging dependencies at: /sys/tree\nSTART Integrating sandbox\nSTART Running commands\n"
			       "mkdir -p /etc && echo base >>/etc/integrated\nSUCCESS Running commands\nSUCCESS Integrating sandbox\n"
			       "START Staging sources\nSUCCESS Staging sources\nSTART Running commands\necho configured >c\n"));
	/* everything kept */
	job = job_for(id, "src=source");
	job.buildtrees = ELEMENTS_BUILDTREES_ALWAYS;
	assert_int_equal(build_job(&job, &diag), ELEMENTS_BUILT);
	assert_files(&results[id].buildtree, "c=configured\n out=configured\nsourcebase\nlib src=source");
	assert_true(digest_eq(&results[id].sources, &job.sources));
	assert_true(results[id].has_buildroot);
	assert_int_equal(results[id].marked_count, 2);
	assert_string_equal(results[id].working_directory, "/b/e");
	assert_string_equal(results[id].environment[0].name, "D");
}

static void test_manual_fails(void **state)
{
	struct kinds_build config = { .commands = { [KINDS_BUILD] = STRINGS("echo half >half", "exit 3", "echo never >never") } };
	struct diag diag = DIAG_INIT;
	uint32_t base, id;

	if (!test_sandbox_works())
		skip();
	new_graph();
	base = add_base();
	config.layout = layout_of("/", base);
	id = add("manual", "m.bst", &config, NULL);
	depend(id, base, GRAPH_BUILD);
	assert_int_equal(build(id, "src=source", &diag), ELEMENTS_FAILED);
	assert_string_equal(buf_text(&diag.message), "Command failed");
	assert_string_equal(diag.domain, "sandbox");
	assert_string_equal(diag.reason, "command-failed");
	assert_string_equal(results[id].error, "Command failed");
	assert_false(results[id].success || results[id].has_files);
	assert_files(&results[id].buildtree, "half=half\n src=source");
	assert_string_equal(results[id].failed_command, "exit 3");
	assert_int_equal(results[id].exit_code, 3);
	diag_release(&diag);
	/* without a shell nothing is run */
	results[base].files = tree("bin/x=1");
	elements[base].public_data = yaml("bst: {}");
	assert_int_equal(build(id, "src=source", &diag), ELEMENTS_FAILED);
	assert_string_equal(diag.reason, "missing-command");
	assert_string_equal(results[id].error, "Staged artifacts do not provide command 'sh'");
	diag_release(&diag);
	/* failing integration leaves nothing to cache */
	results[base].files = tree("bin/x=1");
	elements[base].public_data = yaml("bst: {integration-commands: [x]}");
	assert_true(build(id, "src=source", &diag) < 0);
	diag_release(&diag);
	/* sources need an empty place */
	results[base].files = tree("b/e/x=1");
	elements[base].public_data = yaml("bst: {}");
	assert_true(build(id, "src=source", &diag) < 0);
	assert_non_null(strstr(buf_text(&diag.message), "is not empty"));
	diag_release(&diag);
}

static void test_script(void **state)
{
	struct kinds_command_group group = { "commands", STRINGS("cat /etc/integrated >/i/out; rm -r /etc; echo x >/new", "ls /etc || ls / >/i/list") };
	struct kinds_script config = { .groups = &group, .group_count = 1, .cwd = "/", .install_root = "/i" };
	struct diag diag = DIAG_INIT;
	uint32_t base, id;

	if (!test_sandbox_works())
		skip();
	new_graph();
	base = add_base();
	id = add("script", "s.bst", &config, NULL);
	depend(id, base, GRAPH_BUILD);
	assert_builds(id, "", "list=bin\ndev\ni\nnew\nproc\ntmp\n out=base\n");
	group.commands = (struct kinds_strings)STRINGS("echo part >/i/part; exit 2");
	config.root_read_only = true;
	/* what a failed script had installed is kept */
	assert_int_equal(build(id, "", &diag), ELEMENTS_FAILED);
	assert_true(results[id].has_files && !results[id].success);
	assert_files(&results[id].files, "part=part\n");
	diag_release(&diag);
	/* an install root that is gone afterwards */
	group.commands = (struct kinds_strings)STRINGS("rm -r /i");
	config.root_read_only = false;
	assert_int_equal(build(id, "", &diag), ELEMENTS_NOT_COLLECTED);
	assert_string_equal(buf_text(&diag.message),
			    "Directory '/i' was not found inside the sandbox, unable to collect artifact contents");
	assert_true(results[id].success && !results[id].has_files);
	diag_release(&diag);
}

static void test_compose(void **state)
{
	struct kinds_compose part = { .integrate = true, .include = STRINGS("shell") };
	struct kinds_compose orphans = { .integrate = false, .exclude = STRINGS("shell"), .include_orphans = true };
	uint32_t base, more, id;

	if (!test_sandbox_works())
		skip();
	new_graph();
	base = add_base();
	more = built("more.bst", "bin/tool=1 share/doc=2 bin/d/", "bst:\n  integration-commands: [rm /bin/tool]\n  split-rules: {shell: ['/bin/*'], x: ['/nowhere']}");
	id = add("compose", "part.bst", &part, NULL);
	depend(id, base, GRAPH_BUILD);
	depend(id, more, GRAPH_BUILD);
	/* the split, less what integration removed, and what it added: also the directories of the sandbox itself */
	assert_builds(id, "", "bin/ *bin/busybox bin/cat>busybox bin/cp>busybox bin/ls>busybox bin/mkdir>busybox bin/rm>busybox "
			      "bin/sh>busybox bin/d/ dev/ etc/ etc/integrated=base\n proc/ tmp/");
	assert_non_null(strstr(buf_text(&messages), "INFO Integration added 5 and removed 1 files\n"));
	assert_non_null(strstr(buf_text(&messages), "Including files from domains: shell\nExcluding orphaned files\n"));
	id = add("compose", "orphans.bst", &orphans, NULL);
	depend(id, base, GRAPH_BUILD);
	depend(id, more, GRAPH_BUILD);
	assert_builds(id, "", "bin/ share/ share/doc=2"); /* its "bin" is claimed by no rule of more.bst */
}

static int set_up(void **state)
{
	struct diag diag = DIAG_INIT;

	if (!mkdtemp(scratch) || cas_new(&cas, scratch, &diag) < 0)
		return -1;
	return sandbox_host_new(&host, &(struct sandbox_host_options){ .cas = cas }, &diag);
}

static int tear_down(void **state)
{
	sandbox_host_free(host);
	cas_free(cas);
	arena_release(&arena);
	buf_release(&messages);
	return fs_remove_all(AT_FDCWD, scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_import),	      cmocka_unit_test(test_stack),   cmocka_unit_test(test_filter),
		cmocka_unit_test(test_split),	      cmocka_unit_test(test_overlaps), cmocka_unit_test(test_unstaged),
		cmocka_unit_test(test_manual),	      cmocka_unit_test(test_manual_fails), cmocka_unit_test(test_script),
		cmocka_unit_test(test_compose),	      cmocka_unit_test(test_collect),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
