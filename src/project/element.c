/* From a load element to an element of the graph (compat 1.6, 1.7): everything is composed from what project, kind and
 * file say, then expanded with the element's variables.  What project and kind say is composed once per kind. */
#include "project/project_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const protected_names[] = { "project-name", "element-name", "max-jobs" };
static const char *const sandbox_keys[] = { "build-uid", "build-gid", "build-os", "build-arch", "remote-apis-socket",
					    NULL };
static const char *const socket_keys[] = { "path", "action-cache-enable-update", NULL };

/* ---- what a kind's elements share ---- */

/* Defaults of a kind as its YAML file says, or an empty map. */
static int read_defaults(struct loaded_project *project, const char *kind, const char *path,
			 const struct yaml_node **ret, struct diag *diag)
{
	struct arena *arena = project->load->arena;
	const char *name = arena_printf(arena, "%s.yaml", kind), *text;
	size_t len;

	if (path)
		return load_yaml(project->load->top, path, -1, NULL, name, ret, diag);
	text = kinds_core_yaml(kind, &len);
	if (text)
		return load_builtin(project->load, text, len, name, ret, diag);
	*ret = yaml_empty_map(arena, NULL);
	return 0;
}

/* public.bst.split-rules := the project's, the kind's over them. */
static int compose_splits(struct loaded_project *project, bool first_pass, const struct yaml_node **defaults,
			  struct diag *diag)
{
	struct arena *arena = project->load->arena;
	const struct yaml_node *public_data = yaml_empty_map(arena, NULL), *bst = public_data, *splits = public_data;
	int r;

	if ((r = yaml_get_map(*defaults, "public", &public_data, diag)) < 0 ||
	    (r = yaml_get_map(public_data, "bst", &bst, diag)) < 0 ||
	    (r = yaml_get_map(bst, "split-rules", &splits, diag)) < 0)
		return r;
	if (!first_pass && (r = yaml_compose(arena, splits, project->splits, &splits, diag)) < 0)
		return r;
	bst = yaml_map_set(arena, bst, "split-rules", splits);
	public_data = yaml_map_set(arena, public_data, "bst", bst);
	*defaults = yaml_map_set(arena, *defaults, "public", public_data);
	return 0;
}

/* A section of the defaults over the project's; below may be NULL. */
static int compose_section(struct loaded_project *project, const struct yaml_node *defaults, const char *key,
			   const struct yaml_node *below, const struct yaml_node **ret, struct diag *diag)
{
	struct arena *arena = project->load->arena;
	const struct yaml_node *section = NULL;
	int r = yaml_get_map(defaults, key, &section, diag);

	if (r < 0)
		return r;
	*ret = below ? yaml_clone(arena, below) : yaml_empty_map(arena, NULL);
	return section ? yaml_compose(arena, section, *ret, ret, diag) : 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The union of two lists of names, sorted. */
static void join_names(struct arena *arena, const char *const *a, uint32_t a_count, const char *const *b,
		       uint32_t b_count, const char *const **ret, uint32_t *ret_count)
{
	const char **all = ARENA_ARRAY(arena, const char *, a_count + b_count);
	uint32_t count = 0;

	if (a_count)
		memcpy(all, a, a_count * sizeof(*all));
	if (b_count)
		memcpy(all + a_count, b, b_count * sizeof(*all));
	qsort(all, a_count + b_count, sizeof(*all), by_text);
	for (uint32_t i = 0; i < a_count + b_count; i++)
		if (count == 0 || strcmp(all[count - 1], all[i]) != 0)
			all[count++] = all[i];
	*ret = all;
	*ret_count = count;
}

static int compose_kind(struct loaded_project *project, struct kind_base *base, bool first_pass,
			const struct yaml_node *defaults, struct diag *diag)
{
	struct arena *arena = project->load->arena;
	const struct pass *pass = first_pass ? &project->first : &project->second;
	const struct yaml_node *empty = yaml_empty_map(arena, NULL), *public_data, *bst, *splits = empty;
	const char *const *nocache = NULL;
	uint32_t nocache_count = 0;
	int r;

	if ((r = compose_section(project, defaults, "variables", pass->variables, &base->variables, diag)) < 0 ||
	    (r = compose_section(project, defaults, "environment", first_pass ? NULL : project->environment,
				 &base->environment, diag)) < 0 ||
	    (r = compose_section(project, defaults, "config", NULL, &base->config, diag)) < 0 ||
	    (r = compose_section(project, defaults, "sandbox", first_pass ? NULL : project->sandbox, &base->sandbox,
				 diag)) < 0 ||
	    (r = yaml_get_strs(arena, defaults, "environment-nocache", &nocache, &nocache_count, diag)) < 0 ||
	    (r = yaml_need_map(defaults, "public", &public_data, diag)) < 0 ||
	    (r = yaml_need_map(public_data, "bst", &bst, diag)) < 0 ||
	    (r = yaml_get_map(bst, "split-rules", &splits, diag)) < 0)
		return r;
	base->splits = yaml_clone(arena, splits);
	base->config = yaml_clone(arena, base->config);
	base->public_data = yaml_map_set(arena, empty, "bst", yaml_map_set(arena, empty, "split-rules", base->splits));
	join_names(arena, project->nocache, first_pass ? 0 : project->nocache_count, nocache, nocache_count,
		   &base->nocache, &base->nocache_count);
	return 0;
}

/* Variables of junctions and links are resolved when something refers to them; all others at once, so what kinds share
 * is prepared. */
static int prepare_kind(struct loaded_project *project, struct kind_base *base, struct diag *diag)
{
	struct arena *arena = project->load->arena;
	int r;

	if ((r = yaml_check_composited(base->variables, diag)) < 0 ||
	    (r = yaml_vars_base_new(arena, base->variables, &base->vars, diag)) < 0)
		return r;
	yaml_vars_prepare(base->vars, base->environment);
	yaml_vars_prepare(base->vars, base->public_data);
	yaml_vars_prepare(base->vars, base->config);
	yaml_vars_prepare(base->vars, base->sandbox);
	return 0;
}

int kind_base_get(struct loaded_project *project, const char *kind, const struct yaml_node *asked_by,
		  struct kind_base **ret, struct diag *diag)
{
	bool first_pass = strcmp(kind, "junction") == 0 || strcmp(kind, "link") == 0;
	const struct yaml_node *defaults, *overrides, *own = NULL;
	uint32_t known = strmap_get(&project->kind_index, kind, strlen(kind));
	struct arena *arena = project->load->arena;
	struct kind_base *base;
	const char *yaml;
	int r;

	if (known != STRMAP_NONE) {
		*ret = project->kinds.at[known];
		return 0;
	}
	base = ARENA_NEW(arena, struct kind_base);
	base->kind = arena_strdup(arena, kind);
	if ((r = plugins_identify(project, PLUGIN_ELEMENT, kind, asked_by, &base->plugin, &yaml, diag)) < 0 ||
	    (r = read_defaults(project, kind, yaml, &defaults, diag)) < 0 ||
	    (r = compose_splits(project, first_pass, &defaults, diag)) < 0)
		return r;
	base->ops = kinds_find_element(kind);
	overrides = first_pass ? project->first.element_overrides : project->second.element_overrides;
	if ((overrides && (r = yaml_get_map(overrides, kind, &own, diag)) < 0) ||
	    (own && (r = yaml_compose(arena, own, defaults, &defaults, diag)) < 0) ||
	    (r = compose_kind(project, base, first_pass, defaults, diag)) < 0 ||
	    (!first_pass && (r = prepare_kind(project, base, diag)) < 0))
		return r;
	strmap_put(&project->kind_index, base->kind, strlen(kind), (uint32_t)project->kinds.count);
	*items_add(&project->kinds) = *ret = base;
	return 0;
}

/* ---- one element ---- */

struct arena *element_arena(const struct load_element *element)
{
	const struct project_loader *load = element->project->load;

	return element->first_pass ? load->arena : bodies_arena(load);
}

struct making { /* one element on its way into the graph */
	struct load_element *from;
	struct loaded_project *project;
	struct arena *arena, *tables; /* tables: of vars, forgotten with the element */
	struct kind_base *base;
	struct yaml_vars vars;
	const struct yaml_node *lazy_variables; /* of junctions and links, instead of vars */
	struct graph_element to;
	struct diag *diag;
};

/* Will it still be there when this element is forgotten?  Only that may be remembered with the kind. */
static bool lasts(const struct making *m, const struct yaml_node *node)
{
	return m->arena == m->project->load->arena || !arena_owns(m->arena, node);
}

static int expand(struct making *m, const struct yaml_node *node, const struct yaml_node **ret)
{
	if (m->lazy_variables)
		return conf_expand(m->project->load, m->lazy_variables, node, ret, m->diag);
	return yaml_vars_expand(&m->vars, m->arena, node, ret, m->diag);
}

/* The element's own section composed over base, composited. */
static int own_section(struct making *m, const char *key, const struct yaml_node *base, const struct yaml_node **ret)
{
	const struct yaml_node *own = NULL;
	int r = yaml_get_map(m->from->node, key, &own, m->diag);

	*ret = base;
	if (r < 0)
		return r;
	if (own && own->count > 0 && (r = yaml_compose(m->arena, own, base, ret, m->diag)) < 0)
		return r;
	return yaml_check_composited(*ret, m->diag);
}

static int check_protected(struct making *m, const struct yaml_node *own)
{
	for (size_t i = 0; i < ARRAY_SIZE(protected_names); i++) {
		const struct yaml_node *node = own ? yaml_get(own, protected_names[i]) : NULL;

		if (!node)
			node = yaml_get(m->base->variables, protected_names[i]);
		if (node && node->file && node->column >= 0)
			return yaml_error(m->diag, node, "protected-variable-redefined",
					  "invalid redefinition of protected variable '%s'", protected_names[i]);
	}
	return 0;
}

static void keep_variables(struct making *m)
{
	uint32_t count = 0;
	struct arena *scratch = &m->project->load->scratch;
	const struct yaml_var *sorted = yaml_vars_sorted(&m->vars, scratch, &count);
	struct graph_pair *pairs = ARENA_ARRAY(m->arena, struct graph_pair, count);
	const char *max_jobs;

	for (uint32_t i = 0; i < count; i++)
		pairs[i] = (struct graph_pair){ sorted[i].name, sorted[i].text };
	arena_reset(scratch);
	m->to.variables = pairs;
	m->to.variable_count = count;
	max_jobs = graph_variable(&m->to, "max-jobs");
	m->to.max_jobs = max_jobs ? (uint32_t)strtoul(max_jobs, NULL, 10) : 1;
}

static int make_variables(struct making *m)
{
	const struct yaml_node *own = NULL;
	int r = yaml_get_map(m->from->node, "variables", &own, m->diag);

	if (r < 0 || (own && (r = yaml_check_composited(own, m->diag)) < 0) || (r = check_protected(m, own)) < 0)
		return r;
	if (!own)
		own = yaml_empty_map(m->arena, NULL);
	own = yaml_map_set(m->arena, own, "element-name", yaml_str(m->arena, m->from->name, NULL));
	if (m->lazy_variables) {
		if ((r = yaml_compose(m->arena, own, m->base->variables, &m->lazy_variables, m->diag)) < 0)
			return r;
		m->from->early_variables = m->lazy_variables;
		return 0;
	}
	if ((r = yaml_vars_init_in(&m->vars, m->arena, m->tables, m->base->vars, own, m->diag)) < 0)
		return r;
	keep_variables(m);
	return 0;
}

/* Of a junction, all of them if they can be resolved, else what its key needs. */
static int make_lazy_variables(struct making *m)
{
	const struct yaml_node *build_root = yaml_get(m->lazy_variables, "build-root");
	struct yaml_vars_base *base = NULL;
	struct graph_pair *pair;
	int r = yaml_vars_base_new(m->arena, m->lazy_variables, &base, NULL);

	if (r >= 0)
		r = yaml_vars_init(&m->vars, m->arena, base, NULL, NULL);
	if (r >= 0)
		keep_variables(m);
	yaml_vars_base_free(base);
	if (r >= 0 || !build_root)
		return 0;
	if ((r = conf_expand(m->project->load, m->lazy_variables, build_root, &build_root, m->diag)) < 0)
		return r;
	pair = ARENA_NEW(m->arena, struct graph_pair);
	*pair = (struct graph_pair){ "build-root", build_root->text };
	m->to.variables = pair;
	m->to.variable_count = 1;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct graph_pair *)a)->name, ((const struct graph_pair *)b)->name);
}

static int environment_pairs(struct making *m, struct arena *arena, const struct yaml_node *node, const struct graph_pair **ret)
{
	struct graph_pair *pairs = ARENA_ARRAY(arena, struct graph_pair, node->count);

	for (uint32_t i = 0; i < node->count; i++) {
		const struct yaml_entry *entry = &node->entries[i];

		if (!yaml_is_scalar(entry->value))
			return yaml_error(m->diag, entry->value, "invalid-data",
					  "Value of '%s' is not of the expected type 'scalar'", entry->key);
		pairs[i] = (struct graph_pair){ entry->key, entry->value->text };
	}
	qsort(pairs, node->count, sizeof(*pairs), by_name);
	*ret = pairs;
	return 0;
}

static int make_environment(struct making *m)
{
	struct kind_base *base = m->base;
	const struct yaml_node *node;
	int r;

	if ((r = own_section(m, "environment", base->environment, &node)) < 0 || (r = expand(m, node, &node)) < 0)
		return r;
	m->to.environment_count = node->count;
	if (!lasts(m, node))
		return environment_pairs(m, m->arena, node, &m->to.environment);
	if (node != base->env_node) { /* else it is what the last element of this kind got */
		if ((r = environment_pairs(m, m->project->load->arena, node, &base->env)) < 0)
			return r;
		base->env_node = node;
	}
	m->to.environment = base->env;
	return 0;
}

static int make_nocache(struct making *m)
{
	const char *const *own = NULL;
	uint32_t count = 0;
	int r = yaml_get_strs(m->arena, m->from->node, "environment-nocache", &own, &count, m->diag);

	m->to.environment_nocache = m->base->nocache;
	m->to.environment_nocache_count = m->base->nocache_count;
	if (r > 0 && count > 0)
		join_names(m->arena, m->base->nocache, m->base->nocache_count, own, count, &m->to.environment_nocache,
			   &m->to.environment_nocache_count);
	return r < 0 ? r : 0;
}

/* The element's own public data; of the kind's, only split rules reach an element. */
static int make_public(struct making *m)
{
	const struct yaml_node *own = NULL, *bst = NULL, *splits = NULL, *all = m->base->public_data;
	struct arena *arena = m->arena;
	int r = yaml_get_map(m->from->node, "public", &own, m->diag);

	if (r > 0) {
		own = yaml_clone(arena, own);
		bst = yaml_empty_map(arena, NULL);
		if ((r = yaml_get_map(own, "bst", &bst, m->diag)) < 0 ||
		    (r = yaml_get_map(bst, "split-rules", &splits, m->diag)) < 0)
			return r;
		all = m->base->splits;
		if (splits && (r = yaml_compose(arena, splits, all, &all, m->diag)) < 0)
			return r;
		all = yaml_map_set(arena, own, "bst", yaml_map_set(arena, bst, "split-rules", all));
	}
	if (r < 0 || (r = yaml_check_composited(all, m->diag)) < 0)
		return r;
	return expand(m, all, &m->to.public_data);
}

static int read_id(const struct yaml_node *node, const char *key, int64_t *ret, struct diag *diag)
{
	int value, r = yaml_get_int(node, key, &value, diag);

	*ret = r > 0 ? value : -1;
	return r < 0 ? r : 0;
}

static const char *lower(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);

	for (char *c = copy; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 32) : *c;
	return copy;
}

int sandbox_read(struct project_loader *load, const struct yaml_node *node, struct graph_sandbox *ret,
		 struct diag *diag)
{
	const struct yaml_node *socket = NULL;
	const char *os = NULL, *arch = NULL;
	int r;

	*ret = (struct graph_sandbox){ .build_arch = load->host_arch };
	if ((r = yaml_validate_keys(node, sandbox_keys, diag)) < 0 ||
	    (r = yaml_get_str(node, "build-os", &os, diag)) < 0 || (r = yaml_get_str(node, "build-arch", &arch, diag)) < 0)
		return r;
	ret->build_os = lower(load->arena, os && *os ? os : load->host_system);
	if (arch && *arch) {
		ret->build_arch = arch_canonical(arch);
		if (!ret->build_arch)
			return diag_set(diag, "platform", NULL, "Unknown architecture: %s", arch);
	}
	if ((r = read_id(node, "build-uid", &ret->build_uid, diag)) < 0 ||
	    (r = read_id(node, "build-gid", &ret->build_gid, diag)) < 0 ||
	    (r = yaml_get_map(node, "remote-apis-socket", &socket, diag)) < 0)
		return r;
	if (!socket || socket->count == 0)
		return 0;
	if ((r = yaml_validate_keys(socket, socket_keys, diag)) < 0 ||
	    (r = yaml_need_str(socket, "path", &ret->remote_apis_socket, diag)) < 0)
		return r;
	r = yaml_get_bool(socket, "action-cache-enable-update", &ret->action_cache_enable_update, diag);
	return r < 0 ? r : 0;
}

static int make_sandbox(struct making *m)
{
	const struct yaml_node *node;
	int r;

	if ((r = own_section(m, "sandbox", m->base->sandbox, &node)) < 0 || (r = expand(m, node, &node)) < 0)
		return r;
	if (!lasts(m, node))
		return sandbox_read(m->project->load, node, &m->to.sandbox, m->diag);
	if (node != m->base->sandbox_node) {
		if ((r = sandbox_read(m->project->load, node, &m->base->sandbox_value, m->diag)) < 0)
			return r;
		m->base->sandbox_node = node;
	}
	m->to.sandbox = m->base->sandbox_value;
	return 0;
}

static struct kinds_context context_of(struct making *m)
{
	return (struct kinds_context){ .arena = m->arena, .diag = m->diag, .graph = m->project->load->graph,
				       .project = m->project->id, .plugin = m->base->plugin,
				       .project_directory = m->project->directory };
}

static int make_config(struct making *m)
{
	struct kinds_context ctx = context_of(m);
	const struct yaml_node *node;
	int r;

	if ((r = own_section(m, "config", m->base->config, &node)) < 0 || (r = expand(m, node, &node)) < 0)
		return r;
	m->to.config_node = node;
	return kinds_configure_element(&ctx, &m->to, node);
}

static void make_names(struct making *m)
{
	const struct load_element *from = m->from;

	m->to.name = from->name;
	m->to.full_name = from->full_name;
	m->to.normal_name = graph_normal_name(m->project->load->arena, from->name);
	m->to.project = m->project->id;
	m->to.ops = m->base->ops;
	m->to.file = from->node->file ? from->node->file->name : from->name;
	m->to.file_line = 1;
}

/* Expanded while the dependencies are still those of the file: config blocks, then their place in the graph. */
static int make_deps(struct making *m)
{
	const struct load_element *from = m->from;
	int r;

	m->to.deps = ARENA_ARRAY(m->project->load->arena, struct graph_dep, from->dep_count);
	m->to.dep_count = from->dep_count;
	for (uint32_t i = 0; i < from->dep_count; i++) {
		const struct load_dep *dep = &from->deps[i];
		const struct yaml_node **configs = ARENA_ARRAY(m->arena, const struct yaml_node *, dep->config_count);

		for (uint32_t k = 0; k < dep->config_count; k++)
			if ((r = expand(m, dep->configs[k], &configs[k])) < 0)
				return r;
		m->to.deps[i] = (struct graph_dep){ .element = dep->element->id, .type = dep->type,
						    .strict = dep->strict, .path = dep->path, .configs = configs,
						    .config_count = dep->config_count };
	}
	return 0;
}

static int make(struct making *m)
{
	struct load_element *from = m->from;
	int r;

	make_names(m);
	if ((r = yaml_get_str(from->node, "description", &m->to.description, m->diag)) < 0 ||
	    (r = make_variables(m)) < 0 || (r = make_environment(m)) < 0 || (r = make_nocache(m)) < 0 ||
	    (r = make_public(m)) < 0 || (r = make_config(m)) < 0 || (r = make_sandbox(m)) < 0 ||
	    (m->lazy_variables && (r = make_lazy_variables(m)) < 0) ||
	    (r = sources_configure(from, &m->vars, &m->to, m->diag)) < 0)
		return r;
	return make_deps(m);
}

static int place(struct making *m)
{
	struct load_element *from = m->from;
	struct graph *graph = m->project->load->graph;
	struct kinds_context ctx = context_of(m);
	int r = 0;

	if (!m->to.description)
		m->to.description = "";
	if (from->first_pass) {
		from->early = arena_memdup(m->arena, &m->to, sizeof(m->to));
		if (strcmp(from->kind, "link") == 0)
			from->link_target = ((const struct kinds_link *)m->to.config)->target_node;
		r = kinds_finish_element(&ctx, from->early);
	}
	if (from->id != GRAPH_NONE)
		graph->elements[from->id] = m->to;
	return r;
}

int element_configure(struct load_element *element, struct diag *diag)
{
	struct loaded_project *project = element->project;
	struct making m = { .from = element, .project = project, .arena = element_arena(element), .diag = diag };
	int r = 0;

	if (element->early) { /* it was needed while loading */
		if (element->id != GRAPH_NONE)
			project->load->graph->elements[element->id] = *element->early;
		return 0;
	}
	if (element->first_pass)
		m.lazy_variables = project->first.variables;
	else
		r = conf_ensure_full(project, diag);
	if (r >= 0)
		r = kind_base_get(project, element->kind, element->node, &m.base, diag);
	/* Making one element may lead to a junction that must be made first. */
	m.tables = project->load->making++ ? m.arena : &project->load->tables;
	if (r >= 0)
		r = make(&m);
	if (--project->load->making == 0)
		arena_reset(&project->load->tables);
	if (r >= 0)
		r = place(&m);
	if (r < 0)
		diag_element(diag, element->full_name);
	return r;
}

int element_finish(struct load_element *element, struct diag *diag)
{
	struct project_loader *load = element->project->load;
	struct making m = { .from = element, .project = element->project, .arena = element_arena(element), .diag = diag };
	struct graph_element *to = &load->graph->elements[element->id];
	int64_t start_us;
	int r = kind_base_get(element->project, element->kind, element->node, &m.base, diag);

	if (r >= 0) {
		struct kinds_context ctx = context_of(&m);

		r = kinds_finish_element(&ctx, to);
	}
	start_us = load_now(load);
	if (r >= 0 && !load->request->no_keys)
		r = sources_keys(element, to, diag);
	load->times.digests_us += load_now(load) - start_us;
	if (r < 0)
		diag_element(diag, element->full_name);
	return r;
}
