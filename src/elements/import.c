/* import and stack: no commands, hardly any staging. */
#include "elements/elements_internal.h"

#include <errno.h>
#include <string.h>

static char *strip_slashes(struct arena *arena, const char *path)
{
	size_t len;

	path += strspn(path, "/");
	len = strlen(path);
	while (len && path[len - 1] == '/')
		len--;
	return arena_strndup(arena, path, len);
}

static int empty_source(struct build *build, const struct kinds_import *config, struct diag *diag)
{
	const struct graph_element *element = build->element;

	diag_set(diag, "element", NULL, "import element at %s [line %u column %u]: No files were found inside directory '%s'",
		 element->file, element->file_line, element->file_column, config->source);
	return ELEMENTS_FAILED;
}

static int import_assemble(struct build *build, const char **collect, struct diag *diag)
{
	const struct kinds_import *config = build->element->config;
	struct arena *arena = build->job->arena;
	struct activity activity = build_begin(build, "Staging sources", NULL);
	char *from = arena_printf(arena, "input/%s", strip_slashes(arena, config->source));
	char *to = arena_printf(arena, "output/%s", strip_slashes(arena, config->target));
	const struct cas_directory *content;
	struct cas_entry entry;
	int r = cas_tree_set(build->tree, "input", build_sources(build));

	build_end(build, &activity, r);
	if (r >= 0)
		r = cas_tree_mkdir(build->tree, to);
	if (r >= 0) {
		r = cas_tree_lookup(build->tree, from, false, &entry);
		if (r == -ENOENT)
			return diag_set(diag, "virtual-fs", "directory-not-found", "'%s' not found in [CAS://input]", from + 6);
		if (r == -ENOTDIR)
			return diag_set(diag, "virtual-fs", "not-a-directory", "Cannot open %s in the directory [CAS://input]",
					from + 6);
		if (r >= 0 && entry.type != CAS_DIRECTORY)
			return diag_set(diag, "virtual-fs", "not-a-directory",
					"Cannot open %s, which is a '%s' in the directory [CAS://input]", from + 6,
					entry.type == CAS_FILE ? "regular file" : "symlink");
	}
	if (r >= 0)
		r = cas_directory_get(build->job->cas, &entry.digest, &content);
	if (r >= 0 && content->count == 0)
		return empty_source(build, config, diag);
	if (r >= 0)
		r = cas_tree_merge(build->tree, to, &entry.digest, NULL, diag);
	*collect = "/output";
	return r < 0 ? build_error(diag, r, "Failed to import the sources") : ELEMENTS_BUILT;
}

static int stack_assemble(struct build *build, const char **collect, struct diag *diag)
{
	int r = cas_tree_mkdir(build->tree, "output");

	*collect = "/output";
	return r < 0 ? build_error(diag, r, "Failed to make an empty directory") : ELEMENTS_BUILT;
}

const struct elements_kind elements_import = { "import", NULL, NULL, import_assemble };
const struct elements_kind elements_stack = { "stack", NULL, NULL, stack_assemble };
