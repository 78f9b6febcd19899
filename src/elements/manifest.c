/* collect_manifest: what everything below it was made from, as a manifest in the style of flatpak-builder, or as SPDX
 * (spdx.c).  The same goes into its public data, where another collect_manifest takes it from. */
#include "elements/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "elements/pyjson.h"

static const char NOTE[] = "This is a generated manifest from buildstream files and not usable by flatpak-builder";

/* ---- names ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The last part of an element's name without its extension. */
static const char *product_of(struct arena *arena, const char *name)
{
	const char *base = base_name(name), *dot = strrchr(base, '.');
	size_t leading = strspn(base, ".");

	return dot && dot >= base + leading && dot > base ? arena_strndup(arena, base, (size_t)(dot - base)) : base;
}

static const char *text_of(const struct yaml_node *map, const char *key)
{
	const struct yaml_node *node = yaml_get(map, key);

	return node && yaml_is_scalar(node) ? node->text : NULL;
}

/* "pony-1.2.tar.gz" -> "pony" */
static const char *archive_name(struct arena *arena, const char *base)
{
	static const char *const ends[] = { ".tar", ".tgz", ".tbz", ".zip", ".crate" };
	size_t len = strlen(base);

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		const char *hit = strstr(base, ends[i]);

		if (hit)
			len = MIN(len, (size_t)(hit - base));
	}
	for (size_t i = 0; i + 1 < len; i++)
		if ((base[i] == '-' || base[i] == '_') && base[i + 1] >= '0' && base[i + 1] <= '9')
			len = i;
	return arena_strndup(arena, base, len);
}

int manifest_package_name(struct build *build, const struct yaml_node *info, const char **ret, struct diag *diag)
{
	struct arena *arena = build->job->arena;
	const struct yaml_node *extra = yaml_get(info, "extra-data");
	const char *crate = extra && yaml_is_map(extra) ? text_of(extra, "crate-name") : NULL;
	const char *medium = text_of(info, "medium"), *kind = text_of(info, "kind");
	const char *base = base_name(text_of(info, "url") ? text_of(info, "url") : "");
	_cleanup_buf_ struct buf text = BUF_INIT;

	*ret = NULL;
	if (crate) {
		*ret = crate;
	} else if (str_eq(medium, "git")) {
		*ret = str_ends(base, ".git") ? arena_strndup(arena, base, strlen(base) - strlen(".git")) : base;
	} else if (str_eq(medium, "remote-file") || str_eq(medium, "archive")) {
		*ret = archive_name(arena, base);
	} else if (str_eq(medium, "local")) {
		*ret = kind && str_starts(kind, "patch") ? NULL : base;
	} else {
		buf_adds(&text, "Can't extract a package name from source info ");
		pyjson_repr(&text, info);
		return build_warn(build->job, "collect_manifest:unsupported-source-info", buf_text(&text), NULL, diag);
	}
	return 0;
}

/* ---- maps ---- */

static void add(struct yaml_map_builder *map, const char *key, const struct yaml_node *value)
{
	yaml_map_add(map, key, strlen(key), value);
}

static void add_text(struct yaml_map_builder *map, struct arena *arena, const char *key, const char *text)
{
	if (text)
		add(map, key, yaml_str(arena, text, NULL));
}

static const struct yaml_node *finish(struct yaml_map_builder *map, struct arena *arena)
{
	const struct yaml_node *ret = yaml_map_build(map, arena, NULL);

	yaml_map_builder_release(map);
	return ret;
}

/* SourceInfo.serialize */
static const struct yaml_node *serialize(struct arena *arena, const char *kind, const struct kinds_source_info *info)
{
	struct yaml_map_builder map = YAML_MAP_BUILDER_INIT, extra = YAML_MAP_BUILDER_INIT;

	add_text(&map, arena, "kind", kind);
	add_text(&map, arena, "url", info->url);
	if (info->provenance) {
		add_text(&map, arena, "homepage", text_of(info->provenance, "homepage"));
		add_text(&map, arena, "issue-tracker", text_of(info->provenance, "issue-tracker"));
		add(&map, "provenance", info->provenance);
	}
	add_text(&map, arena, "medium", info->medium);
	add_text(&map, arena, "version-type", info->version_type);
	add(&map, "version", info->version ? yaml_str(arena, info->version, NULL) : &pyjson_none);
	add_text(&map, arena, "version-guess", info->version_guess);
	for (uint32_t i = 0; i < info->extra_count; i++)
		add(&extra, info->extra[i].name,
		    info->extra[i].value ? yaml_str(arena, info->extra[i].value, NULL) : &pyjson_none);
	if (info->extra_count)
		add(&map, "extra-data", yaml_map_build(&extra, arena, NULL));
	yaml_map_builder_release(&extra);
	return finish(&map, arena);
}

/* ---- one source in flatpak-builder's words ---- */

static const struct yaml_node *extra_text(const struct yaml_node *info, const char *key)
{
	const struct yaml_node *extra = yaml_get(info, "extra-data");

	return extra ? yaml_get(extra, key) : NULL;
}

/* False: there are no words for such a medium. */
static bool add_location(struct yaml_map_builder *map, struct arena *arena, const struct yaml_node *info)
{
	const char *medium = text_of(info, "medium"), *kind = text_of(info, "kind"), *version = text_of(info, "version");
	const struct yaml_node *tag = extra_text(info, "tag-name"), *offset = extra_text(info, "commit-offset");

	if (str_eq(medium, "git")) {
		add_text(map, arena, "type", "git");
		add_text(map, arena, "url", text_of(info, "url"));
		add_text(map, arena, "commit",
			 tag && offset ? arena_printf(arena, "%s-%s-g%s", tag->text, offset->text, version) : version);
	} else if (str_eq(medium, "local")) {
		bool patch = str_eq(kind, "patch") || str_eq(kind, "patch_queue");

		add_text(map, arena, "type", patch ? "patch" : "dir");
		add_text(map, arena, "path", text_of(info, "url"));
	} else if (str_eq(medium, "workspace")) {
		add_text(map, arena, "type", "workspace");
	} else if (str_eq(medium, "remote-file")) {
		add_text(map, arena, "type", "archive");
		add_text(map, arena, "url", text_of(info, "url"));
		add(map, "sha256", yaml_get(info, "version"));
	} else {
		return false;
	}
	return true;
}

static int add_product(struct build *build, struct yaml_map_builder *map, const struct yaml_node *info, struct diag *diag)
{
	struct yaml_map_builder cpe = YAML_MAP_BUILDER_INIT;
	const char *product, *version = text_of(info, "version-guess");
	int r = manifest_package_name(build, info, &product, diag);

	add_text(&cpe, build->job->arena, "product", product);
	add_text(&cpe, build->job->arena, "version", version);
	if (product || version)
		add(map, "x-cpe", yaml_map_build(&cpe, build->job->arena, NULL));
	yaml_map_builder_release(&cpe);
	return r;
}

static int convert(struct build *build, const struct yaml_node *info, const struct yaml_node **ret, struct diag *diag)
{
	const struct kinds_collect_manifest *config = build->element->config;
	struct yaml_map_builder map = YAML_MAP_BUILDER_INIT;
	int r = 0;

	if (!add_location(&map, build->job->arena, info)) {
		char *text = arena_printf(build->job->arena, "Unsupported source info medium %s", text_of(info, "medium"));

		*ret = &pyjson_none;
		r = build_warn(build->job, "collect_manifest:unsupported-source-info", text, NULL, diag);
	} else if (!config->bare) {
		r = add_product(build, &map, info, diag);
	}
	if (map.count)
		*ret = yaml_map_build(&map, build->job->arena, NULL);
	yaml_map_builder_release(&map);
	return r;
}

/* ---- one element ---- */

struct nodes {
	const struct yaml_node **at;
	size_t count, cap;
};

static void append(struct nodes *nodes, const struct yaml_node *node)
{
	nodes->at = util_grow(nodes->at, &nodes->cap, nodes->count + 1, sizeof *nodes->at);
	nodes->at[nodes->count++] = node;
}

static const struct yaml_node *list_of(struct arena *arena, struct nodes *nodes)
{
	const struct yaml_node *list = yaml_list(arena, nodes->at, (uint32_t)nodes->count, NULL);

	free(nodes->at);
	*nodes = (struct nodes){ 0 };
	return list;
}

static int no_infos(struct build *build, const struct graph_source *source, struct diag *diag)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	buf_printf(&text, "%s source at ", source->ops->name);
	if (source->node)
		yaml_provenance(&text, source->node);
	buf_adds(&text, ": Source.collect_source_info() is not implemented in this plugin");
	return build_warn(build->job, "unavailable-source-info", buf_text(&text), NULL, diag);
}

/* What its sources tell: *infos in full, *locations in flatpak-builder's words. */
static int tell_sources(struct build *build, const struct graph_element *element, struct nodes *infos,
			struct nodes *locations, struct diag *diag)
{
	const struct kinds_collect_manifest *config = build->element->config;
	struct arena *arena = build->job->arena;
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < element->source_count; i++) {
		const struct graph_source *source = &element->sources[i];
		const struct kinds_source_info *told;
		uint32_t count;

		if (!config->source_provenance) {
			const struct yaml_node *entries = kinds_source_manifest(arena, source);

			for (uint32_t k = 0; k < entries->count; k++)
				append(locations, entries->items[k]);
			continue;
		}
		count = kinds_source_infos(arena, source, &told);
		if (!count)
			r = no_infos(build, source, diag);
		for (uint32_t k = 0; k < count; k++)
			append(infos, serialize(arena, source->ops->name, &told[k]));
	}
	for (size_t i = 0; r >= 0 && i < infos->count; i++) {
		const struct yaml_node *location = &pyjson_none;

		r = convert(build, infos->at[i], &location, diag);
		append(locations, location);
	}
	return r;
}

static const char *find_version(struct arena *arena, const struct graph_element *element, const char *pattern)
{
	for (uint32_t i = 0; i < element->source_count; i++) {
		const char *const *names, *version;
		uint32_t count = kinds_source_names(arena, &element->sources[i], &names);

		for (uint32_t k = 0; k < count; k++)
			if ((version = kinds_first_version(arena, names[k], pattern)))
				return version;
	}
	return NULL;
}

/* `cpe` of an element's public data, with what can be guessed. */
static int tell_product(struct build *build, const struct elements_dep *dep, const struct yaml_node **ret,
			struct diag *diag)
{
	const struct graph_element *element = &build->job->graph->elements[dep->element];
	const struct yaml_node *public_data = dep_public(build->job, dep), *cpe = NULL;
	struct arena *arena = build->job->arena;
	const char *pattern, *version;
	int r = public_data ? yaml_get_map(public_data, "cpe", &cpe, diag) : 0;

	if (r < 0)
		return r;
	if (!cpe)
		cpe = yaml_empty_map(arena, NULL);
	if (!yaml_get(cpe, "product"))
		cpe = yaml_map_set(arena, cpe, "product", yaml_str(arena, product_of(arena, element->name), NULL));
	pattern = text_of(cpe, "version-match");
	*ret = yaml_map_remove(arena, cpe, "version-match");
	if (yaml_get(cpe, "version") || !element->source_count)
		return 0;
	version = find_version(arena, element, pattern);
	if (version && *version) {
		*ret = yaml_map_set(arena, *ret, "version", yaml_str(arena, version, NULL));
	} else if (!version && pattern) {
		diag_set(diag, "element", NULL, "%s: %s: version match string \"%s\" did not match anything.",
			 build->element->name, element->full_name, pattern);
		return ELEMENTS_FAILED;
	} else if (!version) {
		build_message(build->job, ELEMENTS_WARN, build->job->element,
			      arena_printf(arena, "Missing version to %s.", element->name), NULL);
	}
	return 0;
}

static int tell(struct build *build, const struct elements_dep *dep, struct nodes *modules, struct nodes *elements,
		struct diag *diag)
{
	const struct kinds_collect_manifest *config = build->element->config;
	const struct graph_element *element = &build->job->graph->elements[dep->element];
	struct yaml_map_builder module = YAML_MAP_BUILDER_INIT, told = YAML_MAP_BUILDER_INIT;
	struct nodes infos = { 0 }, locations = { 0 };
	struct arena *arena = build->job->arena;
	const struct yaml_node *cpe = NULL;
	int r = tell_product(build, dep, &cpe, diag);

	if (r == 0)
		r = tell_sources(build, element, &infos, &locations, diag);
	if (r == 0) {
		add_text(&module, arena, "name", element->name);
		add(&module, "x-cpe", cpe);
		add(&module, "sources", list_of(arena, &locations));
		append(modules, yaml_map_build(&module, arena, NULL));
		add_text(&told, arena, "name", element->normal_name);
		add_text(&told, arena, "project-name", build->job->graph->projects[element->project].name);
		add(&told, "source-infos", list_of(arena, &infos));
		append(elements, config->source_provenance ? yaml_map_build(&told, arena, NULL) : &pyjson_none);
	}
	free(infos.at);
	free(locations.at);
	yaml_map_builder_release(&module);
	yaml_map_builder_release(&told);
	return r;
}

/* ---- manifests below it ---- */

static int legacy(struct build *build, const struct graph_element *element, struct diag *diag)
{
	const struct graph_project *project = &build->job->graph->projects[element->project];

	return build_warn(build->job, "collect_manifest:legacy-manifest",
			  arena_printf(build->job->arena,
				       "Dependency \"%s\" from project \"%s\" doesn't use the source provenance API",
				       element->name, project->name),
			  NULL, diag);
}

/* Takes over what another collect_manifest found; 1 if dep is one. */
static int import_manifest(struct build *build, const struct elements_dep *dep, struct nodes *modules,
			   struct nodes *elements, struct diag *diag)
{
	const struct kinds_collect_manifest *config = build->element->config;
	const struct yaml_node *public_data = dep_public(build->job, dep), *manifest = NULL, *told = NULL, *list, *infos = NULL;
	int r = public_data ? yaml_get_map(public_data, "cpe-manifest", &manifest, diag) : 0;

	if (r > 0)
		r = yaml_get_map(public_data, "source-info-manifest", &told, diag);
	if (r < 0 || !manifest)
		return r;
	if ((r = yaml_need_list(manifest, "modules", &list, diag)) < 0)
		return r;
	if (config->source_provenance && told && (r = yaml_need_list(told, "element-infos", &infos, diag)) < 0)
		return r;
	if (config->source_provenance && !told &&
	    (r = legacy(build, &build->job->graph->elements[dep->element], diag)) < 0)
		return r;
	if (infos && infos->count != list->count)
		return diag_set(diag, "element", NULL, "The manifests in the public data of %s do not fit each other",
				build->job->graph->elements[dep->element].full_name);
	for (uint32_t i = 0; i < list->count; i++) {
		bool known = infos && yaml_is_map(infos->items[i]);

		append(modules, list->items[i]);
		append(elements, known ? infos->items[i] : &pyjson_none);
	}
	return 1;
}

/* ---- the result ---- */

static int gather(struct build *build, struct nodes *modules, struct nodes *elements, struct diag *diag)
{
	int r = 0;

	for (uint32_t i = 0; r >= 0 && r != ELEMENTS_FAILED && i < build->job->dep_count; i++) {
		const struct elements_dep *dep = &build->job->deps[i];

		r = import_manifest(build, dep, modules, elements, diag);
		if (r == 0)
			r = tell(build, dep, modules, elements, diag);
		else if (r == 1)
			r = 0;
	}
	return r;
}

static void publish(struct build *build, const char *domain, const struct yaml_node *value)
{
	const struct yaml_node *public_data = build->result->public_data;
	struct arena *arena = build->job->arena;

	build->result->public_data =
		yaml_map_set(arena, public_data ? public_data : yaml_empty_map(arena, NULL), domain, value);
}

static int write_manifest(struct build *build, const struct yaml_node *manifest, const struct yaml_node *modules,
			  const struct yaml_node *elements, struct diag *diag)
{
	const struct kinds_collect_manifest *config = build->element->config;
	struct pyjson json = PYJSON_INIT(2);
	int r = 0;

	if (config->spdx)
		r = manifest_spdx(build, modules, elements, &json, diag);
	else
		pyjson_node(&json, manifest);
	if (r >= 0)
		r = build_put_text(build, config->path + strspn(config->path, "/"), buf_text(&json.text), json.text.len, false);
	buf_release(&json.text);
	return r < 0 ? build_error(diag, r, "Failed to write the manifest") : 0;
}

static int assemble(struct build *build, const char **collect, struct diag *diag)
{
	const struct kinds_collect_manifest *config = build->element->config;
	struct yaml_map_builder map = YAML_MAP_BUILDER_INIT, told = YAML_MAP_BUILDER_INIT;
	struct nodes found = { 0 }, found_infos = { 0 };
	struct arena *arena = build->job->arena;
	const struct yaml_node *manifest, *modules, *elements;
	int r = gather(build, &found, &found_infos, diag);

	modules = list_of(arena, &found);
	elements = list_of(arena, &found_infos);
	*collect = "/";
	if (r != 0)
		return r;
	add_text(&map, arena, "//NOTE", NOTE);
	add(&map, "modules", modules);
	manifest = finish(&map, arena);
	publish(build, "cpe-manifest", manifest);
	if (config->source_provenance) {
		add(&told, "element-infos", elements);
		publish(build, "source-info-manifest", finish(&told, arena));
	}
	return config->path ? write_manifest(build, manifest, modules, elements, diag) : ELEMENTS_BUILT;
}

const struct elements_kind elements_collect_manifest = { "collect_manifest", NULL, NULL, assemble };
