/* Dependency lists of an element file (compat 1.8): strings, mappings, lists of file names. */
#include "project/project_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum list_type { ANY_TYPE = 0 };

static const char *const typed_keys[] = { "filename", "junction", "strict", "config", NULL };
static const char *const untyped_keys[] = { "filename", "type", "junction", "strict", "config", NULL };
static const struct {
	const char *name;
	uint8_t type;
} type_names[] = { { "build", GRAPH_BUILD }, { "runtime", GRAPH_RUNTIME }, { "all", GRAPH_ALL } };

struct extraction {
	struct project_loader *load;
	ITEMS(struct load_dep) deps;
	struct strmap seen; /* path -> index */
};

static int read_type(const struct yaml_node *node, uint8_t *ret, struct diag *diag)
{
	const struct yaml_node *scalar = NULL;
	int r = yaml_get_scalar(node, "type", &scalar, diag);

	*ret = GRAPH_ALL;
	if (r <= 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(type_names); i++)
		if (strcmp(scalar->text, type_names[i].name) == 0) {
			*ret = type_names[i].type;
			return 0;
		}
	return yaml_error(diag, scalar, "invalid-data", "Dependency type '%s' is not 'build', 'runtime' or 'all'",
			  scalar->text);
}

/* What all files of one mapping have in common. */
static int read_mapping(struct extraction *x, const struct yaml_node *node, uint8_t list_type, struct load_dep *dep,
			struct diag *diag)
{
	const struct yaml_node *config = NULL, *strict = yaml_get(node, "strict");
	int r = yaml_validate_keys(node, list_type == ANY_TYPE ? untyped_keys : typed_keys, diag);

	if (r < 0)
		return r;
	dep->type = list_type;
	if (list_type == ANY_TYPE && (r = read_type(node, &dep->type, diag)) < 0)
		return r;
	if ((r = yaml_get_bool(node, "strict", &dep->strict, diag)) < 0 ||
	    (r = yaml_get_map(node, "config", &config, diag)) < 0)
		return r;
	if (config && config->count > 0) {
		if (dep->type == GRAPH_RUNTIME)
			return yaml_error(diag, config, "invalid-data",
					  "Specifying 'config' for a runtime dependency is not allowed");
		dep->configs = ARENA_NEW(x->load->arena, const struct yaml_node *);
		dep->configs[0] = config;
		dep->config_count = 1;
	}
	/* The peer keeps the door open to a default that an explicit False could undo. */
	if (strict && !dep->strict)
		return yaml_error(diag, strict, "invalid-data", "Setting 'strict' to False is unsupported");
	return 0;
}

void deps_merge(struct arena *arena, struct load_dep *into, const struct load_dep *other)
{
	const struct yaml_node **configs;

	into->type |= other->type;
	into->strict |= other->strict;
	if (other->config_count == 0)
		return;
	configs = ARENA_ARRAY(arena, const struct yaml_node *, into->config_count + other->config_count);
	if (into->config_count > 0)
		memcpy(configs, into->configs, into->config_count * sizeof(*configs));
	memcpy(configs + into->config_count, other->configs, other->config_count * sizeof(*configs));
	into->configs = configs;
	into->config_count += other->config_count;
}

/* One file name: "name", "junction:name" (split at the last colon), or a name with a junction beside it. */
static int add_file(struct extraction *x, const struct load_dep *common, const struct yaml_node *file,
		    const char *junction, struct diag *diag)
{
	struct load_dep dep = *common;
	const char *colon = strrchr(file->text, ':');
	struct strmap_slot *slot;

	if (junction && colon)
		return yaml_error(diag, file, "invalid-data",
				  "Dependency %s contains `:` in its name. `:` characters are not allowed in filename "
				  "when junction attribute is specified.",
				  file->text);
	dep.junction = junction;
	dep.name = file->text;
	if (colon) {
		dep.junction = arena_strndup(x->load->arena, file->text, (size_t)(colon - file->text));
		dep.name = colon + 1;
	}
	if (dep.strict && dep.type == GRAPH_RUNTIME) {
		yaml_error(diag, dep.node, "invalid-data", "Runtime dependency %s specified as `strict`.", dep.name);
		diag_detail(diag, "Only dependencies required at build time may be declared `strict`.");
		return -EINVAL;
	}
	dep.path = dep.junction && !colon ? arena_join(x->load->arena, dep.junction, ":", dep.name) : file->text;
	slot = strmap_slot(&x->seen, dep.path, strlen(dep.path));
	if (slot->value == STRMAP_NONE) {
		slot->value = (uint32_t)x->deps.count;
		*items_add(&x->deps) = dep;
	} else {
		deps_merge(x->load->arena, &x->deps.at[slot->value], &dep);
	}
	return 0;
}

static int add_files(struct extraction *x, const struct load_dep *common, const struct yaml_node *node,
		     struct diag *diag)
{
	const struct yaml_node *files;
	const char *junction = NULL;
	int r;

	if ((r = yaml_get_str(node, "junction", &junction, diag)) < 0 ||
	    (r = yaml_need_node(node, "filename", &files, diag)) < 0)
		return r;
	if (yaml_is_scalar(files))
		return add_file(x, common, files, junction, diag);
	if (!yaml_is_list(files))
		return yaml_error(diag, files, "invalid-data",
				  "Value of 'filename' is not one of the following: scalar, list");
	for (uint32_t i = 0; i < files->count; i++) {
		if (!yaml_is_scalar(files->items[i]))
			return yaml_error(diag, files->items[i], "invalid-data",
					  "Expected string while parsing the filename list");
		if ((r = add_file(x, common, files->items[i], junction, diag)) < 0)
			return r;
	}
	return 0;
}

static int extract_list(struct extraction *x, const struct yaml_node *element, const char *key, uint8_t list_type,
			struct diag *diag)
{
	const struct yaml_node *list = NULL;
	int r = yaml_get_list(element, key, &list, diag);

	for (uint32_t i = 0; r >= 0 && list && i < list->count; i++) {
		const struct yaml_node *node = list->items[i];
		struct load_dep common = { .node = node, .type = list_type == ANY_TYPE ? GRAPH_ALL : list_type };

		if (yaml_is_scalar(node)) {
			r = add_file(x, &common, node, NULL, diag);
		} else if (yaml_is_map(node)) {
			if ((r = read_mapping(x, node, list_type, &common, diag)) >= 0)
				r = add_files(x, &common, node, diag);
		} else {
			r = yaml_error(diag, node, "invalid-data",
				       "Dependency is not specified as a string or a dictionary");
		}
	}
	return r < 0 ? r : 0;
}

int deps_extract(struct project_loader *load, const struct yaml_node *element, struct load_dep **ret,
		 uint32_t *ret_count, struct diag *diag)
{
	struct extraction x = { .load = load };
	int r;

	if ((r = extract_list(&x, element, "build-depends", GRAPH_BUILD, diag)) >= 0 &&
	    (r = extract_list(&x, element, "runtime-depends", GRAPH_RUNTIME, diag)) >= 0 &&
	    (r = extract_list(&x, element, "depends", ANY_TYPE, diag)) >= 0) {
		*ret = arena_memdup(load->arena, x.deps.at, x.deps.count * sizeof(*x.deps.at));
		*ret_count = (uint32_t)x.deps.count;
	}
	free(x.deps.at);
	strmap_release(&x.seen);
	return r;
}
