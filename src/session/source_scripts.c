/* Shell scripts that build elements without BuildStream or Millrace: `source checkout --include-build-scripts`.
 *
 * What a script expects: SRCDIR names the directory of the checkout; it runs as root on the system it builds for, whose
 * root is where things are installed. */
#include "session/session_internal.h"

#include <string.h>

#include "kinds/element_configs.h"
#include "sandbox/sandbox.h"

/* Steps as `(set -ex; COMMAND) || exit 1`, as the peer's generate_script() writes them. */
static void add_step(struct buf *out, const char *command)
{
	buf_printf(out, "(set -ex; %s\n) || exit 1\n", command);
}

static void build_steps(const struct graph_element *element, struct buf *out)
{
	const struct kinds_build *config = element->config;

	for (int step = 0; step < KINDS_STEPS; step++)
		for (uint32_t i = 0; i < config->commands[step].count; i++)
			add_step(out, config->commands[step].items[i]);
}

/* path below root, without slashes at its ends. */
static char *below(const char *root, const char *path)
{
	const char *start = path + strspn(path, "/");
	size_t len = strlen(start);

	while (len && start[len - 1] == '/')
		len--;
	return len ? xasprintf("%s/%.*s", root, (int)len, start) : xstrdup(root);
}

static void add_quoted(struct buf *out, const char *before, const char *text)
{
	buf_adds(out, before);
	sandbox_quote(out, text);
}

static void import_steps(const struct graph_element *element, struct buf *out)
{
	const struct kinds_import *config = element->config;
	_cleanup_free_ char *from = below(graph_variable(element, "build-root"), config->source);
	_cleanup_free_ char *to = below(graph_variable(element, "install-root"), config->target);
	_cleanup_buf_ struct buf command = BUF_INIT;

	add_quoted(&command, "mkdir -p ", to);
	add_step(out, buf_text(&command));
	buf_clear(&command);
	add_quoted(&command, "cp -a ", from);
	add_quoted(&command, "/. ", to);
	add_step(out, buf_text(&command));
}

static int put_script(struct session *session, struct cas_tree *tree, const char *name, const struct buf *text)
{
	struct cas_entry entry = { .type = CAS_FILE, .executable = true };
	int r = cas_put(session->cas, text->data, text->len, &entry.digest);

	if (r >= 0)
		r = cas_tree_put(tree, name, &entry);
	return r < 0 ? diag_errno(&session->diag, "stream", NULL, -r, "Error while writing sources: '%s'", name) : 0;
}

static void add_head(struct buf *out, const struct graph_element *element)
{
	const char *build_root = graph_variable(element, "build-root"), *install_root = graph_variable(element, "install-root");

	buf_printf(out, "#!/bin/sh\n# Builds %s and installs it into the running system.\nset -e\n", element->full_name);
	add_quoted(out, ": \"${SRCDIR:?the directory with all the sources}\"\nname=", element->normal_name);
	add_quoted(out, "\nbuild=", build_root);
	add_quoted(out, "\nPREFIX=", install_root);
	buf_adds(out, "\nexport PREFIX\n");
	for (uint32_t i = 0; i < element->environment_count; i++) {
		buf_printf(out, "export %s=", element->environment[i].name);
		sandbox_quote(out, element->environment[i].value);
		buf_addc(out, '\n');
	}
	buf_adds(out, "\necho \"Building $name\"\n"
		      "rm -rf \"$build\" \"$PREFIX\"\n"
		      "mkdir -p \"$build\" \"$PREFIX\"\n"
		      "if [ -d \"$SRCDIR/$name\" ]; then cp -a \"$SRCDIR/$name/.\" \"$build\"; fi\n"
		      "cd \"$build\"\n\n");
}

int session_script(struct session *session, struct cas_tree *tree, uint32_t id)
{
	const struct graph_element *element = &session->graph.elements[id];
	_cleanup_free_ char *name = xasprintf("build-%s", element->normal_name);
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct session_activity activity;
	bool import = str_eq(element->ops->name, "import");
	int r;

	if (!import && !kinds_is_build(element))
		return 0;
	activity = session_begin(session, "Writing build script", id);
	add_head(&text, element);
	if (import)
		import_steps(element, &text);
	else
		build_steps(element, &text);
	buf_adds(&text, "\ncd /\nrm -rf \"$build\"\n"
			"echo \"Installing $name\"\n"
			"(cd \"$PREFIX\" && find . | cpio -umdp /)\n");
	r = put_script(session, tree, name, &text);
	session_end(&activity, r == 0);
	return r < 0 ? r : 1;
}

int session_script_all(struct session *session, struct cas_tree *tree, const struct session_ids *elements)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	buf_adds(&text, "#!/bin/sh\n# Builds everything whose sources lie beside this script, in order.\nset -eu\n"
			"SRCDIR=${SRCDIR:-$(cd \"$(dirname \"$0\")\" && pwd)}\nexport SRCDIR\n\n"
			"for name in");
	for (uint32_t i = 0; i < elements->count; i++) {
		buf_addc(&text, ' ');
		sandbox_quote(&text, session->graph.elements[elements->ids[i]].normal_name);
	}
	buf_adds(&text, "; do\n"
			"\t\"$SRCDIR/build-$name\" || { echo \"Error building $name\" >&2; exit 1; }\n"
			"\tif [ -e /sbin/ldconfig ]; then /sbin/ldconfig || true; fi\n"
			"done\necho Done\n");
	return put_script(session, tree, "build.sh", &text);
}
