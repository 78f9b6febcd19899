/* collect_manifest as SPDX 2.3: one package for each source. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "elements/manifest.h"
#include "elements/pyjson.h"

struct package {
	const char *id, *comment, *name, *location, *version, *info;
};

struct packages {
	struct package *at;
	size_t count, cap;
};

static const char *text_of(const struct yaml_node *map, const char *key)
{
	const struct yaml_node *node = yaml_is_map(map) ? yaml_get(map, key) : NULL;

	return node && yaml_is_scalar(node) ? node->text : NULL;
}

static struct package *add_package(struct packages *packages)
{
	packages->at = util_grow(packages->at, &packages->cap, packages->count + 1, sizeof *packages->at);
	packages->at[packages->count] = (struct package){ 0 };
	return &packages->at[packages->count++];
}

/* An entry of elements: what its sources told. */
static int from_infos(struct build *build, const struct yaml_node *element, struct packages *packages, struct diag *diag)
{
	const struct yaml_node *infos;
	const char *name, *project;
	int r = yaml_need_str(element, "name", &name, diag);

	if (r >= 0)
		r = yaml_need_str(element, "project-name", &project, diag);
	if (r >= 0)
		r = yaml_need_list(element, "source-infos", &infos, diag);
	for (uint32_t i = 0; r >= 0 && i < infos->count; i++) {
		const struct yaml_node *info = infos->items[i];
		struct package *package = add_package(packages);
		const char *guess = text_of(info, "version-guess");

		if (!yaml_is_map(info))
			return yaml_error(diag, info, "invalid-data", "The information of a source is not a dictionary");
		r = manifest_package_name(build, info, &package->name, diag);
		if (!package->name || !*package->name)
			package->name = name;
		package->id = arena_printf(build->job->arena, "SPDXRef-%s-%s-%u", project, name, i);
		package->location = text_of(info, "url");
		package->version = guess ? guess : text_of(info, "version");
		package->info = text_of(info, "kind");
	}
	return r;
}

/* "url" and "medium" of an entry in flatpak-builder's words. */
static const struct yaml_node *as_info(struct arena *arena, const struct yaml_node *source)
{
	const struct yaml_node *map = yaml_map_set(arena, yaml_empty_map(arena, NULL), "url", yaml_get(source, "url"));

	return yaml_map_set(arena, map, "medium", yaml_str(arena, text_of(source, "type"), NULL));
}

static char *with_dashes(struct arena *arena, const char *name)
{
	char *ret = arena_strdup(arena, name);

	for (char *p = ret; *p; p++)
		if (*p == '/')
			*p = '-';
	return ret;
}

/* An entry of modules, where there is no more. */
static int from_words(struct build *build, const struct yaml_node *module, struct packages *packages, struct diag *diag)
{
	struct arena *arena = build->job->arena;
	const struct yaml_node *cpe, *sources;
	const char *name, *product;
	int r = yaml_need_str(module, "name", &name, diag);

	if (r >= 0)
		r = yaml_need_map(module, "x-cpe", &cpe, diag);
	if (r >= 0)
		r = yaml_need_str(cpe, "product", &product, diag);
	if (r >= 0)
		r = yaml_need_list(module, "sources", &sources, diag);
	for (uint32_t i = 0; r >= 0 && i < sources->count; i++) {
		const struct yaml_node *source = sources->items[i];
		struct package *package = add_package(packages);

		package->location = text_of(source, "url");
		package->info = text_of(source, "type");
		package->version = text_of(cpe, "version");
		package->id = arena_printf(arena, "SPDXRef-%s-%u", with_dashes(arena, name), i);
		package->comment = arena_printf(arena, "Product: %s", product);
		if (package->location && package->info)
			r = manifest_package_name(build, as_info(arena, source), &package->name, diag);
		if (!package->name)
			package->name = name;
	}
	return r;
}

static int by_id(const void *a, const void *b)
{
	const struct package *x = a, *y = b;
	int order = strcmp(x->id, y->id);

	return order;
}

static void write_text(struct pyjson *json, const char *key, const char *text)
{
	if (!text)
		return;
	pyjson_key(json, key);
	pyjson_text(json, text);
}

static void write_packages(struct pyjson *json, const struct packages *packages)
{
	pyjson_key(json, "packages");
	pyjson_open(json, '[');
	for (size_t i = 0; i < packages->count; i++) {
		const struct package *package = &packages->at[i];

		pyjson_open(json, '{');
		write_text(json, "SPDXID", package->id);
		write_text(json, "comment", package->comment);
		pyjson_key(json, "filesAnalyzed");
		pyjson_word(json, "false");
		write_text(json, "name", package->name);
		write_text(json, "downloadLocation", package->location);
		write_text(json, "versionInfo", package->version);
		write_text(json, "sourceInfo", package->info);
		pyjson_close(json, '}');
	}
	pyjson_close(json, ']');
}

static void write_relationships(struct pyjson *json, const struct packages *packages)
{
	pyjson_key(json, "relationships");
	pyjson_open(json, '[');
	for (size_t i = 0; i < packages->count; i++) {
		pyjson_open(json, '{');
		write_text(json, "spdxElementId", "SPDXRef-DOCUMENT");
		write_text(json, "relationshipType", "DESCRIBES");
		write_text(json, "relatedSpdxElement", packages->at[i].id);
		pyjson_close(json, '}');
	}
	pyjson_close(json, ']');
}

static void write_creation(struct pyjson *json, const struct kinds_collect_manifest *config)
{
	pyjson_key(json, "creationInfo");
	pyjson_open(json, '{');
	if (config->creators.count) {
		pyjson_key(json, "creators");
		pyjson_open(json, '[');
		for (uint32_t i = 0; i < config->creators.count; i++)
			pyjson_text(json, config->creators.items[i]);
		pyjson_close(json, ']');
	}
	if (config->created) {
		time_t created = config->created;
		char text[64];
		struct tm tm;

		gmtime_r(&created, &tm);
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
		write_text(json, "created", text);
	}
	pyjson_close(json, '}');
}

static const char *unless_empty(const char *text)
{
	return text && *text ? text : NULL;
}

int manifest_spdx(struct build *build, const struct yaml_node *modules, const struct yaml_node *elements,
		  struct pyjson *json, struct diag *diag)
{
	const struct kinds_collect_manifest *config = build->element->config;
	struct packages packages = { 0 };
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < modules->count; i++)
		r = elements->items[i] != &pyjson_none ? from_infos(build, elements->items[i], &packages, diag) :
							 from_words(build, modules->items[i], &packages, diag);
	if (packages.count)
		qsort(packages.at, packages.count, sizeof *packages.at, by_id);
	if (r >= 0) {
		pyjson_open(json, '{');
		write_text(json, "SPDXID", "SPDXRef-DOCUMENT");
		write_text(json, "spdxVersion", "SPDX-2.3");
		write_packages(json, &packages);
		write_relationships(json, &packages);
		write_creation(json, config);
		write_text(json, "documentNamespace", unless_empty(config->doc_namespace));
		write_text(json, "dataLicense", unless_empty(config->data_license));
		write_text(json, "name", unless_empty(config->name));
		pyjson_close(json, '}');
	}
	free(packages.at);
	return r;
}
