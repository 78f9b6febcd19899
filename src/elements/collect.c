/* Kinds that write down what their dependencies say: collect_integration (one script of all integration commands) and
 * freedesktop-sdk's collect_initial_scripts (a numbered file for each dependency that has one). */
#include "elements/elements_internal.h"

#include <ctype.h>
#include <string.h>

#include "yaml/yaml.h"

static bool ignores(const struct kinds_collect_integration *config, const char *name)
{
	for (uint32_t i = 0; i < config->ignore.count; i++)
		if (str_eq(config->ignore.items[i], name))
			return true;
	return false;
}

static int add_commands(struct build *build, const struct elements_dep *dep, struct buf *out, struct diag *diag)
{
	const struct yaml_node *public_data = dep_public(build->job, dep), *bst = NULL;
	const char *const *commands;
	uint32_t count;
	int r = public_data ? yaml_get_map(public_data, "bst", &bst, diag) : 0;

	if (r <= 0 || !yaml_get(bst, "integration-commands"))
		return r;
	r = bst_strings(build->job, public_data, "integration-commands", &commands, &count, diag);
	if (r < 0)
		return r;
	buf_printf(out, "# integration commands from %s\n", build->job->graph->elements[dep->element].name);
	for (uint32_t i = 0; i < count; i++)
		buf_printf(out, "%s\n\n", commands[i]);
	return 0;
}

static int integration_assemble(struct build *build, const char **collect, struct diag *diag)
{
	const struct kinds_collect_integration *config = build->element->config;
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = 0;

	buf_adds(&text, "#!/bin/sh\nset -e\n\n");
	for (uint32_t i = 0; r >= 0 && i < build->job->dep_count; i++) {
		const struct elements_dep *dep = &build->job->deps[i];

		if (!ignores(config, build->job->graph->elements[dep->element].name))
			r = add_commands(build, dep, &text, diag);
	}
	if (r >= 0)
		r = build_put_text(build, config->script_path, buf_text(&text), text.len, true);
	*collect = "/";
	return r < 0 ? build_error(diag, r, "Failed to write the script of integration commands") : ELEMENTS_BUILT;
}

/* "<index>-<element name, every other character than letters and digits as _>" */
static char *numbered_path(struct build *build, const char *directory, unsigned index, const char *name)
{
	char *path = arena_printf(build->job->arena, "%s/%03u-%s", directory, index, name);

	for (char *p = path + strlen(path) - strlen(name); *p; p++)
		if (!isascii((unsigned char)*p) || !isalnum((unsigned char)*p))
			*p = '_';
	return path;
}

static int scripts_assemble(struct build *build, const char **collect, struct diag *diag)
{
	const struct kinds_collect_scripts *config = build->element->config;
	unsigned index = 0;
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < build->job->dep_count; i++) {
		const struct elements_dep *dep = &build->job->deps[i];
		const char *name = build->job->graph->elements[dep->element].name, *script = NULL;
		const struct yaml_node *public_data = dep_public(build->job, dep), *initial = NULL;
		_cleanup_buf_ struct buf text = BUF_INIT;

		r = public_data ? yaml_get_map(public_data, "initial-script", &initial, diag) : 0;
		if (r > 0)
			r = yaml_get_str(initial, "script", &script, diag);
		if (r <= 0)
			continue;
		buf_adds(&text, script);
		r = build_put_text(build, numbered_path(build, config->path, ++index, name), buf_text(&text),
				   text.len, true);
	}
	*collect = "/";
	return r < 0 ? build_error(diag, r, "Failed to write initial scripts") : ELEMENTS_BUILT;
}

const struct elements_kind elements_collect_integration = { "collect_integration", NULL, NULL, integration_assemble };
const struct elements_kind elements_collect_scripts = { "collect_initial_scripts", NULL, NULL, scripts_assemble };
