/* Project options (compat 1.3): declarations, values from four places, what expressions and variables see of them. */
#include "base/suggest.h"
#include "project/project_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* Of an option type: its name, what its declaration may hold besides type, description and variable. */
static const struct option_kind {
	const char *name;
	enum yaml_option_type value_type;
	const char *const keys[6];
} option_kinds[] = {
	[OPTION_BOOL] = { "bool", YAML_OPTION_BOOL, { "type", "description", "variable", "default", NULL } },
	[OPTION_ENUM] = { "enum", YAML_OPTION_TEXT, { "type", "description", "variable", "values", "default", NULL } },
	[OPTION_FLAGS] = { "flags", YAML_OPTION_LIST, { "type", "description", "variable", "default", "values", NULL } },
	[OPTION_ARCH] = { "arch", YAML_OPTION_TEXT, { "type", "description", "variable", "values", NULL } },
	[OPTION_OS] = { "os", YAML_OPTION_TEXT, { "type", "description", "variable", "values", NULL } },
	[OPTION_ELEMENT_MASK] = { "element-mask", YAML_OPTION_LIST, { "type", "description", "variable", "default",
								      NULL } },
};
/* In the order the peer's error message lists them. */
static const char *const kind_names[] = { "bool", "enum", "flags", "element-mask", "arch", "os", NULL };
static const enum option_type kind_of_name[] = { OPTION_BOOL, OPTION_ENUM, OPTION_FLAGS, OPTION_ELEMENT_MASK,
						 OPTION_ARCH, OPTION_OS };

static const struct {
	const char *alias, *canonical;
} architectures[] = {
	{ "aarch32", "aarch32" },       { "aarch64", "aarch64" },
	{ "aarch64-be", "aarch64-be" }, { "amd64", "x86-64" },
	{ "arm", "aarch32" },           { "armv8b", "aarch64-be" },
	{ "armv8l", "aarch64" },        { "i386", "x86-32" },
	{ "i486", "x86-32" },           { "i586", "x86-32" },
	{ "i686", "x86-32" },           { "la64v100", "la64v100" },
	{ "loong64", "la64v100" },      { "loongarch64", "la64v100" },
	{ "power-isa-be", "power-isa-be" }, { "power-isa-le", "power-isa-le" },
	{ "powerpc", "power-isa-be" },  { "powerpc64", "power-isa-be" },
	{ "powerpc64le", "power-isa-le" }, { "ppc64", "power-isa-be" },
	{ "ppc64le", "power-isa-le" },  { "riscv32", "rv32g" },
	{ "riscv64", "rv64g" },         { "rv32g", "rv32g" },
	{ "rv64g", "rv64g" },           { "sparc", "sparc-v9" },
	{ "sparc-v9", "sparc-v9" },     { "sparc64", "sparc-v9" },
	{ "sun4v", "sparc-v9" },        { "x86-32", "x86-32" },
	{ "x86-64", "x86-64" },
};

const char *arch_canonical(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(architectures); i++) {
		const char *alias = architectures[i].alias;
		size_t k = 0;

		while (name[k] && alias[k]) {
			char c = name[k] == '_' ? '-' : name[k] >= 'A' && name[k] <= 'Z' ? (char)(name[k] | 32) : name[k];

			if (c != alias[k])
				break;
			k++;
		}
		if (!name[k] && !alias[k])
			return architectures[i].canonical;
	}
	return NULL;
}

const char *machine_arch(const struct project_request *request, struct diag *diag)
{
	struct utsname host;
	const char *machine = request->machine, *canonical;

	if (!machine)
		machine = uname(&host) == 0 ? host.machine : "";
	canonical = arch_canonical(machine);
	if (!canonical)
		diag_set(diag, "platform", NULL, "Unknown architecture: %s", machine);
	return canonical;
}

const char *machine_system(struct project_loader *load)
{
	struct utsname host;

	if (load->request->system)
		return load->request->system;
	return uname(&host) == 0 ? arena_strdup(load->arena, host.sysname) : "Linux";
}

static bool listed(const struct option *option, const char *value)
{
	for (uint32_t i = 0; i < option->allowed_count; i++)
		if (strcmp(option->allowed[i], value) == 0)
			return true;
	return false;
}

static void add_joined(struct buf *out, const char *const *items, uint32_t count, const char *separator,
		       const char *quote)
{
	for (uint32_t i = 0; i < count; i++)
		buf_printf(out, "%s%s%s%s", i ? separator : "", quote, items[i], quote);
}

/* node: for provenance, or NULL for values from the command line or the machine. */
static int invalid_value(const struct option *option, const char *shown, const struct yaml_node *node,
			 struct diag *diag)
{
	_cleanup_buf_ struct buf valid = BUF_INIT;

	add_joined(&valid, option->allowed, option->allowed_count, ", ", "");
	diag_set(diag, "load", "invalid-data", "Invalid value for %s option '%s': %s\nValid values: %s",
		 option->value->type == YAML_OPTION_LIST ? "flags" : option_kinds[option->type].name, option->name, shown,
		 buf_text(&valid));
	if (node)
		yaml_where(diag, node);
	return -EINVAL;
}

static int check_text(const struct option *option, const struct yaml_node *node, struct diag *diag)
{
	return listed(option, option->value->text) ? 0 : invalid_value(option, option->value->text, node, diag);
}

static int check_flags(const struct option *option, const struct yaml_node *node, struct diag *diag)
{
	const struct yaml_option *value = option->value;

	for (uint32_t i = 0; i < value->item_count; i++)
		if (!listed(option, value->items[i])) {
			_cleanup_buf_ struct buf shown = BUF_INIT;

			buf_addc(&shown, '[');
			add_joined(&shown, value->items, value->item_count, ", ", "'");
			buf_addc(&shown, ']');
			return invalid_value(option, buf_text(&shown), node, diag);
		}
	return 0;
}

/* ---- declarations ---- */

/* The first value that means this machine's architecture; all values are checked. */
static int default_arch(struct loaded_project *project, struct option *option, const struct yaml_node *node,
			struct diag *diag)
{
	const struct yaml_node *values = yaml_get(node, "values");

	for (uint32_t i = 0; i < option->allowed_count; i++) {
		const char *canonical = arch_canonical(option->allowed[i]);

		if (!canonical)
			return yaml_error(diag, values->items[i], "invalid-data",
					  "Invalid value for %s option '%s': Unknown architecture: %s", "arch",
					  option->name, option->allowed[i]);
		if (!option->value->text && strcmp(canonical, project->load->host_arch) == 0)
			option->value->text = option->allowed[i];
	}
	/* Not supported by the project: no error yet, the user may say otherwise. */
	if (!option->value->text)
		option->value->text = project->load->host_arch;
	return 0;
}

static int read_default(struct loaded_project *project, struct option *option, const struct yaml_node *node,
			struct diag *diag)
{
	struct yaml_option *value = option->value;
	const struct yaml_node *given = NULL;
	int r;

	switch (option->type) {
	case OPTION_BOOL:
		return yaml_need_bool(node, "default", &value->boolean, diag);
	case OPTION_ENUM:
		if ((r = yaml_need_scalar(node, "default", &given, diag)) < 0)
			return r;
		value->text = given->text;
		return check_text(option, given, diag);
	case OPTION_ARCH:
		return default_arch(project, option, node, diag);
	case OPTION_OS:
		value->text = project->load->host_system;
		return 0;
	case OPTION_FLAGS:
	case OPTION_ELEMENT_MASK:
		value->items = NULL;
		r = yaml_get_strs(project->load->arena, node, "default", &value->items, &value->item_count, diag);
		return r < 0 ? r : check_flags(option, yaml_get(node, "default"), diag);
	}
	return 0;
}

static int read_allowed(struct loaded_project *project, struct option *option, const struct yaml_node *node,
			struct diag *diag)
{
	path_list paths = { 0 };
	int r;

	if (option->type == OPTION_BOOL)
		return 0;
	if (option->type == OPTION_ELEMENT_MASK) {
		path_relative(project->load->arena, project->element_path, &paths);
		option->allowed = ARENA_ARRAY(project->load->arena, const char *, paths.count + 1);
		for (size_t i = 0; i < paths.count; i++)
			if (str_ends(paths.at[i], ".bst"))
				((const char **)option->allowed)[option->allowed_count++] = paths.at[i];
		free(paths.at);
	} else if ((r = yaml_get_strs(project->load->arena, node, "values", &option->allowed, &option->allowed_count,
				      diag)) < 0) {
		return r;
	}
	if (option->allowed_count == 0)
		return yaml_error(diag, node, "invalid-data", "No values specified for %s option '%s'",
				  option_kinds[option->type].name, option->name);
	return 0;
}

static int declare(struct loaded_project *project, struct option *option, const struct yaml_node *node,
		   struct diag *diag)
{
	const struct yaml_node *variable = NULL;
	const char *description;
	int r, type;

	if (!yaml_is_map(node))
		return yaml_error(diag, node, "invalid-data", "Value of '%s' is not of the expected type 'dict'",
				  option->name);
	if ((r = yaml_check_symbol(option->name, "option name", node, false, diag)) < 0 ||
	    (r = yaml_need_enum(node, "type", kind_names, &type, diag)) < 0 ||
	    (r = yaml_need_str(node, "description", &description, diag)) < 0 ||
	    (r = yaml_get_scalar(node, "variable", &variable, diag)) < 0)
		return r;
	option->type = kind_of_name[type];
	option->value->type = option_kinds[option->type].value_type;
	if (variable) {
		option->variable = variable->text;
		if ((r = yaml_check_symbol(variable->text, "variable name", variable, true, diag)) < 0)
			return r;
	}
	if ((r = yaml_validate_keys(node, option_kinds[option->type].keys, diag)) < 0 ||
	    (r = read_allowed(project, option, node, diag)) < 0)
		return r;
	return read_default(project, option, node, diag);
}

int options_declare(struct loaded_project *project, struct option_pool *pool, const struct yaml_node *node,
		    struct diag *diag)
{
	struct arena *arena = project->load->arena;
	struct yaml_option *values;
	int r;

	*pool = (struct option_pool){ 0 };
	if (!node)
		return 0;
	values = ARENA_ARRAY(arena, struct yaml_option, node->count);
	pool->options = ARENA_ARRAY(arena, struct option, node->count);
	pool->count = node->count;
	pool->values = (struct yaml_options){ .options = values, .count = node->count };
	for (uint32_t i = 0; i < node->count; i++) {
		pool->options[i].name = values[i].name = node->entries[i].key;
		pool->options[i].value = &values[i];
		if ((r = declare(project, &pool->options[i], node->entries[i].value, diag)) < 0)
			return r;
	}
	return 0;
}

/* ---- values ---- */

static struct option *find(const struct option_pool *pool, const char *name)
{
	for (uint32_t i = 0; i < pool->count; i++)
		if (strcmp(pool->options[i].name, name) == 0)
			return &pool->options[i];
	return NULL;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int set_yaml(struct loaded_project *project, struct option *option, const struct yaml_node *map,
		    struct diag *diag)
{
	struct yaml_option *value = option->value;
	const struct yaml_node *node = NULL;
	int r;

	switch (value->type) {
	case YAML_OPTION_BOOL:
		return yaml_need_bool(map, option->name, &value->boolean, diag);
	case YAML_OPTION_TEXT:
		if ((r = yaml_need_scalar(map, option->name, &node, diag)) < 0)
			return r;
		value->text = node->text;
		return check_text(option, node, diag);
	case YAML_OPTION_LIST:
		if ((r = yaml_need_strs(project->load->arena, map, option->name, &value->items, &value->item_count,
					diag)) < 0)
			return r;
		qsort((void *)value->items, value->item_count, sizeof(*value->items), by_text);
		return check_flags(option, yaml_get(map, option->name), diag);
	}
	return 0;
}

int options_set_yaml(struct loaded_project *project, struct option_pool *pool, const struct yaml_node *node,
		     struct diag *diag)
{
	for (uint32_t i = 0; node && i < node->count; i++) {
		struct option *option = find(pool, node->entries[i].key);
		int r;

		if (!option)
			return yaml_error(diag, node->entries[i].value, "invalid-data", "Unknown option '%s' specified",
					  node->entries[i].key);
		if ((r = set_yaml(project, option, node, diag)) < 0)
			return r;
	}
	return 0;
}

/* "a, b": all blanks are dropped, then it is split at commas. */
static void split_flags(struct arena *arena, const char *text, struct yaml_option *value)
{
	char *copy = arena_strdup(arena, text), *to = copy;
	const char **items;
	uint32_t count = 1;

	for (const char *from = text; *from; from++)
		if (!strchr(" \t\n\r\v\f", *from))
			*to++ = *from;
	*to = '\0';
	for (const char *c = copy; *c; c++)
		count += *c == ',';
	items = ARENA_ARRAY(arena, const char *, count);
	for (uint32_t i = 0; i < count; i++)
		items[i] = strsep(&copy, ",");
	value->items = items;
	value->item_count = count;
}

static int set_text(struct loaded_project *project, struct option *option, const char *text, struct diag *diag)
{
	struct yaml_option *value = option->value;
	int r;

	switch (value->type) {
	case YAML_OPTION_BOOL:
		if (strcmp(text, "True") == 0 || strcmp(text, "true") == 0)
			value->boolean = true;
		else if (strcmp(text, "False") == 0 || strcmp(text, "false") == 0)
			value->boolean = false;
		else
			return diag_set(diag, "load", "invalid-data", "Invalid value for boolean option %s: %s",
					option->name, text);
		return 0;
	case YAML_OPTION_TEXT:
		value->text = text;
		return check_text(option, NULL, diag);
	case YAML_OPTION_LIST:
		split_flags(project->load->arena, text, value);
		if ((r = check_flags(option, NULL, diag)) < 0)
			return r;
		qsort((void *)value->items, value->item_count, sizeof(*value->items), by_text);
		return 0;
	}
	return 0;
}

static int unknown_option(const struct option_pool *pool, const char *name, struct diag *diag)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct suggest suggest;

	suggest_init(&suggest, name);
	for (uint32_t i = 0; i < pool->count; i++)
		suggest_offer(&suggest, pool->options[i].name);
	suggest_format(&suggest, &text);
	diag_set(diag, "load", "invalid-data", "Unknown option '%s' specified on the command line", name);
	if (text.len)
		diag_detail(diag, "%s", buf_text(&text));
	return -EINVAL;
}

int options_set_cli(struct loaded_project *project, struct option_pool *pool, bool ignore_unknown, struct diag *diag)
{
	const struct project_request *request = project->load->request;

	for (uint32_t i = 0; i < request->option_count; i++) {
		struct option *option = find(pool, request->options[i].name);
		int r;

		if (!option && !ignore_unknown)
			return unknown_option(pool, request->options[i].name, diag);
		if (option && (r = set_text(project, option, request->options[i].value, diag)) < 0)
			return r;
	}
	return 0;
}

int options_resolve(struct option_pool *pool, struct diag *diag)
{
	for (uint32_t i = 0; i < pool->count; i++) {
		const struct option *option = &pool->options[i];
		int r = 0;

		if (option->type == OPTION_ARCH || option->type == OPTION_OS)
			r = check_text(option, NULL, diag);
		if (r < 0)
			return r;
	}
	return 0;
}

const char *option_text(struct arena *arena, const struct option *option)
{
	_cleanup_buf_ struct buf joined = BUF_INIT;

	switch (option->value->type) {
	case YAML_OPTION_BOOL:
		return option->value->boolean ? "1" : "0";
	case YAML_OPTION_TEXT:
		return option->value->text;
	case YAML_OPTION_LIST:
		break;
	}
	add_joined(&joined, option->value->items, option->value->item_count, ",", "");
	return arena_strdup(arena, buf_text(&joined));
}
