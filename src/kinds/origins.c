/* Where sources of plugin kinds come from: what the peer's get_source_info, collect_source_info and export_manifest say.
 *
 * Releases differ: before 2.1.0 of buildstream-plugins-community and 2.5.0 of buildstream-plugins there was nothing of the
 * sort, and since 2.3.2 of the former some sources name the ecosystem they belong to.
 */
#include "kinds/kinds_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct kinds_source_info info_t;

/* ---- releases */

/* a < b, a == b, a > b as a number below, equal to or above 0; texts of numbers joined by dots. */
static int order_releases(const char *a, const char *b)
{
	for (;;) {
		char *a_end, *b_end;
		long x = strtol(a, &a_end, 10), y = strtol(b, &b_end, 10);

		if (x != y)
			return x < y ? -1 : 1;
		if (*a_end != '.' && *b_end != '.')
			return 0;
		a = *a_end == '.' ? a_end + 1 : "0";
		b = *b_end == '.' ? b_end + 1 : "0";
	}
}

bool kinds_plugin_since(const struct kinds_plugin *plugin, const char *release)
{
	const char *space = plugin && plugin->package ? strchr(plugin->package, ' ') : NULL;

	return !space || space[1] < '0' || space[1] > '9' || order_releases(space + 1, release) >= 0;
}

const char *kinds_plugin_helper(const struct kinds_plugin *plugin)
{
	static const char *const kinds[] = { "bazel_file", "cpan", "gnu" };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i], plugin->kind) == 0)
			return "_utils";
	return NULL;
}

void kinds_plugin_helper_read(struct kinds_plugin *plugin, const char *py_text, size_t py_len)
{
	static const char word[] = "ecosystem";

	plugin->old_helper = !memmem(py_text, py_len, word, sizeof(word) - 1);
}

static const struct kinds_plugin *plugin_of(const struct graph_source *source)
{
	return ((const struct kinds_source_base *)source->config)->plugin;
}

static bool tells(const struct graph_source *source)
{
	const char *package = source->ops->package;

	return kinds_plugin_since(plugin_of(source), package && str_ends(package, "-community") ? "2.1.0" : "2.5.0");
}

static bool has_ecosystems(const struct graph_source *source)
{
	const struct kinds_plugin *plugin = plugin_of(source);

	if (plugin && kinds_plugin_helper(plugin))
		return !plugin->old_helper;
	return kinds_plugin_since(plugin, "2.3.2");
}

/* ---- what all have in common */

uint32_t kinds_one_info(struct arena *arena, const struct graph_source *source, const info_t *info, const info_t **ret)
{
	info_t *copy = ARENA_NEW(arena, info_t);

	*copy = *info;
	if (!copy->provenance)
		copy->provenance = source->provenance;
	*ret = copy;
	return 1;
}

static void add_extra(struct arena *arena, info_t *info, const char *name, const char *value)
{
	struct graph_pair *pairs = ARENA_ARRAY(arena, struct graph_pair, info->extra_count + 1);

	if (info->extra_count)
		memcpy(pairs, info->extra, info->extra_count * sizeof(*pairs));
	pairs[info->extra_count++] = (struct graph_pair){ name, value };
	info->extra = pairs;
}

static const char *guess(struct arena *arena, const struct kinds_version *version, const char *text)
{
	if (version && version->version)
		return version->version;
	return text ? kinds_guess_version(arena, text, version ? version->guess_pattern : NULL) : NULL;
}

/* ---- git and its kin */

struct described { /* "TAG-N-gCOMMIT" taken apart; tag and commits NULL if it is a commit alone */
	const char *tag, *commits, *commit;
};

static bool is_commit(const char *text)
{
	return strspn(text, "0123456789abcdef") >= 40;
}

/* As the community's plugins do: forty hex digits, the last place where they stand behind "-N-g". */
static struct described take_apart(struct arena *arena, const char *ref)
{
	struct described ret = { .commit = arena_strndup(arena, ref, 40) };

	for (const char *at = ref; (at = strstr(at, "-g")); at += 2) {
		const char *digits = at;

		while (digits > ref && digits[-1] >= '0' && digits[-1] <= '9')
			digits--;
		if (digits == at || digits == ref || digits[-1] != '-' || !is_commit(at + 2))
			continue;
		ret.tag = arena_strndup(arena, ref, (size_t)(digits - 1 - ref));
		ret.commits = arena_strndup(arena, digits, (size_t)(at - digits));
		ret.commit = arena_strndup(arena, at + 2, 40);
	}
	return ret;
}

/* git of buildstream-plugins: whatever stands behind the last "-g"; no commits beyond the tag are not worth a word. */
static struct described take_apart_git(struct arena *arena, const char *ref)
{
	struct described ret = { .commit = ref };
	const char *last = NULL, *dash;

	for (const char *at = strstr(ref, "-g"); at; at = strstr(at + 1, "-g"))
		last = at;
	dash = last;
	while (dash && dash > ref && dash[-1] != '-')
		dash--;
	if (!last || dash == ref)
		return ret;
	ret.commit = last + 2;
	ret.tag = arena_strndup(arena, ref, (size_t)(dash - 1 - ref));
	ret.commits = arena_strndup(arena, dash, (size_t)(last - dash));
	if (strcmp(ret.commits, "0") == 0)
		ret.commits = NULL;
	return ret;
}

/* The plugin of git_repo and go_module: _git_utils.GitMirror. */
static info_t mirror_info(struct arena *arena, const struct graph_source *source, const char *url, const char *ref,
			  const struct kinds_version *version)
{
	struct described described = take_apart(arena, ref);
	info_t info = { .url = url, .medium = "git", .version_type = "commit", .version = described.commit };

	info.version_guess = guess(arena, version, described.tag);
	if (described.tag && *described.tag)
		add_extra(arena, &info, "tag-name", described.tag);
	if (described.commits)
		add_extra(arena, &info, "commit-offset", described.commits);
	if (has_ecosystems(source))
		add_extra(arena, &info, "ecosystem", "GIT");
	return info;
}

uint32_t kinds_git_info(struct arena *arena, const struct graph_source *source, const info_t **ret)
{
	const struct kinds_git *git = source->config;
	info_t info = { .url = git->url, .medium = "git", .version_type = "commit" };
	struct described described;

	if (!tells(source) || !git->ref)
		return 0;
	if (git->variant == KINDS_GIT_REPO) {
		info = mirror_info(arena, source, git->url, git->ref, &git->version);
		return kinds_one_info(arena, source, &info, ret);
	}
	described = git->variant == KINDS_GIT ? take_apart_git(arena, git->ref) : take_apart(arena, git->ref);
	if (git->variant == KINDS_GIT)
		info.url = git->original_url; /* with its alias: the plugin forgets to translate it */
	info.version = described.commit;
	info.version_guess = guess(arena, &git->version, described.tag);
	if (described.commits)
		add_extra(arena, &info, "commit-offset", described.commits);
	return kinds_one_info(arena, source, &info, ret);
}

uint32_t kinds_go_info(struct arena *arena, const struct graph_source *source, const info_t **ret)
{
	const struct kinds_go_module *go = source->config;
	info_t info;

	if (!tells(source) || !go->git_ref)
		return 0;
	info = mirror_info(arena, source, go->url, go->git_ref, NULL);
	return kinds_one_info(arena, source, &info, ret);
}

uint32_t kinds_bzr_info(struct arena *arena, const struct graph_source *source, const info_t **ret)
{
	const struct kinds_bzr *bzr = source->config;
	info_t info = { .url = bzr->url,
			.medium = "bzr",
			.version_type = "commit",
			.version = bzr->ref,
			.version_guess = bzr->version };

	return tells(source) ? kinds_one_info(arena, source, &info, ret) : 0;
}

/* ---- registries */

static const char *crate_url(struct arena *arena, const struct kinds_cargo *cargo, const struct kinds_crate *crate)
{
	return crate->is_git ? crate->mirror_url :
			       arena_printf(arena, "%s%s/%s-%s.crate", cargo->url, crate->name, crate->name, crate->version);
}

uint32_t kinds_cargo_info(struct arena *arena, const struct graph_source *source, const info_t **ret)
{
	const struct kinds_cargo *cargo = source->config;
	bool ecosystems = cargo->second && has_ecosystems(source);
	bool provenance = kinds_plugin_since(plugin_of(source), cargo->second ? "2.3.0" : "2.7.0");
	info_t *infos;

	if (!tells(source) || !cargo->crate_count)
		return 0;
	infos = ARENA_ARRAY(arena, info_t, cargo->crate_count);
	for (uint32_t i = 0; i < cargo->crate_count; i++) {
		const struct kinds_crate *crate = &cargo->crates[i];

		infos[i] = (info_t){ .url = crate_url(arena, cargo, crate),
				     .medium = crate->is_git ? "git" : "remote-file",
				     .version_type = crate->is_git ? "commit" : "sha256",
				     .version = crate->is_git ? crate->commit : crate->sha,
				     .version_guess = crate->version,
				     .provenance = provenance && crate->provenance ? crate->provenance : source->provenance };
		if (crate->is_git)
			add_extra(arena, &infos[i], "crate-name", crate->name);
		if (ecosystems)
			add_extra(arena, &infos[i], "ecosystem", crate->is_git ? "GIT" : "crates.io");
	}
	*ret = infos;
	return cargo->crate_count;
}

/* _utils.HTTPFetcher */
static uint32_t fetcher_info(struct arena *arena, const struct graph_source *source, const char *url,
			     const char *sha256sum, const struct kinds_version *version, const char *ecosystem,
			     const info_t **ret)
{
	info_t info = { .url = url, .medium = "remote-file", .version_type = "sha256", .version = sha256sum };

	if (!tells(source) || !sha256sum)
		return 0;
	info.version_guess = version ? guess(arena, version, url) : NULL;
	if (has_ecosystems(source))
		add_extra(arena, &info, "ecosystem", ecosystem);
	return kinds_one_info(arena, source, &info, ret);
}

uint32_t kinds_index_info(struct arena *arena, const struct graph_source *source, const info_t **ret)
{
	const struct kinds_index_file *file = source->config;
	bool gnu = source->ops->variant == KINDS_GNU;

	return fetcher_info(arena, source, arena_printf(arena, "%s%s", file->url, file->suffix ? file->suffix : ""),
			    file->sha256sum, gnu ? NULL : &file->version, source->ops->variant == KINDS_PYPI ? "PyPI" : NULL,
			    ret);
}

uint32_t kinds_bazel_info(struct arena *arena, const struct graph_source *source, const info_t **ret)
{
	const struct kinds_bazel_file *file = source->config;

	return fetcher_info(arena, source, file->url, file->ref, &file->version, NULL, ret);
}

uint32_t kinds_pip_info(struct arena *arena, const struct graph_source *source, const info_t **ret)
{
	const struct kinds_pip *pip = source->config;
	uint32_t count = 0, lines = 1;
	info_t *infos;

	if (!tells(source) || !pip->ref || !*pip->ref)
		return 0;
	for (const char *at = pip->ref; (at = strchr(at, '\n')); at++)
		lines++;
	infos = ARENA_ARRAY(arena, info_t, lines);
	for (const char *line = pip->ref; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		char *package = arena_strndup(arena, line, strcspn(line, "\n")), *version = strstr(package, "=="), *more;
		info_t *info = &infos[count];

		if (!version)
			return 0;
		*version = '\0';
		version += 2;
		more = strstr(version, "==");
		if (more)
			*more = '\0';
		*info = (info_t){ .url = pip->url,
				  .medium = "pypi",
				  .version_type = "indexed-version",
				  .version = version,
				  .version_guess = version,
				  .provenance = source->provenance };
		add_extra(arena, info, "package-name", package);
		count++;
	}
	*ret = infos;
	return count;
}

uint32_t kinds_docker_info(struct arena *arena, const struct graph_source *source, const info_t **ret)
{
	const struct kinds_docker *docker = source->config;
	const char *image = docker->image, *registry = docker->url, *host;
	info_t info = { .medium = "oci-image", .version_type = "oci-digest", .version_guess = docker->version };

	if (!tells(source) || !docker->ref)
		return 0;
	host = docker->original_url ? strstr(docker->url, "://") : NULL;
	if (host) { /* one address: the registry is its host, the image what comes behind, up to a query */
		size_t len = strcspn(host + 3, "/?#");

		registry = arena_strndup(arena, docker->url, (size_t)(host + 3 - docker->url) + len);
		image = host + 3 + len;
		image = arena_strndup(arena, image, strcspn(image, "?#"));
	}
	info.url = registry;
	info.version = arena_printf(arena, "sha256:%s", docker->ref);
	if (image)
		add_extra(arena, &info, "image-name", image + strspn(image, "/"));
	return kinds_one_info(arena, source, &info, ret);
}

/* ---- patches */

static info_t patch_info(struct arena *arena, const char *path, const struct digest *digest)
{
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, digest->hash);
	return (info_t){ .url = path, .medium = "local", .version_type = "sha256", .version = arena_strdup(arena, hex) };
}

uint32_t kinds_patch_info(struct arena *arena, const struct graph_source *source, const info_t **ret)
{
	const struct kinds_patch *patch = source->config;
	info_t info = patch_info(arena, patch->path, &patch->digest);

	return tells(source) ? kinds_one_info(arena, source, &info, ret) : 0;
}

uint32_t kinds_queue_info(struct arena *arena, const struct graph_source *source, const info_t **ret)
{
	const struct kinds_patch_queue *queue = source->config;
	const char *slash = str_ends(queue->path, "/") ? "" : "/";
	info_t *infos;

	if (!tells(source))
		return 0;
	infos = ARENA_ARRAY(arena, info_t, queue->count + 1);
	for (uint32_t i = 0; i < queue->count; i++) {
		infos[i] = patch_info(arena, arena_printf(arena, "%s%s%s", queue->path, slash, queue->names[i]),
				      &queue->digests[i]);
		infos[i].provenance = source->provenance;
	}
	*ret = infos;
	return queue->count;
}

/* ---- flatpak-builder's words */

static void add_text(struct yaml_map_builder *map, struct arena *arena, const char *key, const char *text)
{
	yaml_map_add(map, key, strlen(key), yaml_str(arena, text ? text : "", NULL));
}

static void add_texts(struct yaml_map_builder *map, struct arena *arena, const char *key, const char *const *texts,
		      uint32_t count)
{
	const struct yaml_node **items = ARENA_ARRAY(arena, const struct yaml_node *, count);

	for (uint32_t i = 0; i < count; i++)
		items[i] = yaml_str(arena, texts[i], NULL);
	yaml_map_add(map, key, strlen(key), yaml_list(arena, items, count, NULL));
}

struct words { /* of one entry */
	const char *type, *url, *ref_name, *ref;
	const char *original_url; /* NULL: no alias is told */
	const struct kinds_strings *canonical_ids;
	const char *track;
};

static const struct yaml_node *entry(struct arena *arena, const struct words *words)
{
	struct yaml_map_builder map = YAML_MAP_BUILDER_INIT;
	const struct yaml_node *ret;

	add_text(&map, arena, "type", words->type);
	if (words->url)
		add_text(&map, arena, "url", words->url);
	if (words->canonical_ids)
		add_texts(&map, arena, "canonical-ids", words->canonical_ids->items, words->canonical_ids->count);
	add_text(&map, arena, words->ref_name, words->ref);
	if (words->track && *words->track) {
		const char *specs[] = { arena_printf(arena, "refs/heads/%s", words->track),
					arena_printf(arena, "refs/tags/%s", words->track) };

		if (str_starts(words->track, "refs/"))
			add_texts(&map, arena, "refspecs", &words->track, 1);
		else
			add_texts(&map, arena, "refspecs", specs, ARRAY_SIZE(specs));
	}
	if (words->original_url && !str_starts(words->url, words->original_url))
		add_text(&map, arena, "alias",
			 arena_strndup(arena, words->original_url, strcspn(words->original_url, ":")));
	ret = yaml_map_build(&map, arena, NULL);
	yaml_map_builder_release(&map);
	return ret;
}

static struct words git_words(const struct kinds_git *git)
{
	struct words words = { "git", git->url, "commit", git->ref, NULL, NULL, NULL };

	if (git->variant == KINDS_GIT_REPO) {
		words.original_url = git->original_url;
		words.track = git->track;
	}
	return words;
}

/* Everything but cargo2 has one entry at most; type NULL: none. */
static struct words words_of(struct arena *arena, const struct graph_source *source)
{
	const struct kinds_source_work *work = source->ops->work;
	const void *config = source->config;

	assert(config);
	if (work == &kinds_git_work && source->ops->variant != KINDS_GIT_MODULE)
		return git_words(config);
	if (work == &kinds_go_module_work) {
		const struct kinds_go_module *go = config;

		return (struct words){ "git", go->url, "commit", go->git_ref, NULL, NULL, NULL };
	}
	if (work == &kinds_index_work && source->ops->variant != KINDS_GNU) {
		const struct kinds_index_file *file = config;

		return (struct words){ "archive", arena_printf(arena, "%s%s", file->url, file->suffix ? file->suffix : ""),
				       "sha256", file->sha256sum, file->base_url, NULL, NULL };
	}
	if (work == &kinds_bazel_file_work) {
		const struct kinds_bazel_file *file = config;

		return (struct words){ "archive", file->url, "sha256", file->ref, file->original_url, &file->canonical_ids,
				       NULL };
	}
	if (work == &kinds_patch_queue_work)
		return (struct words){ "patch", NULL, "path", ((const struct kinds_patch_queue *)config)->path, NULL, NULL,
				       NULL };
	if (work == &kinds_patch_work) {
		const char *path = ((const struct kinds_patch *)config)->path, *slash = strrchr(path, '/');

		return (struct words){ "patch", NULL, "path", slash ? slash + 1 : path, NULL, NULL, NULL };
	}
	if (work == &kinds_tar_work && strcmp(source->ops->name, "deb") != 0) {
		const struct kinds_download *download = config;

		return (struct words){ "archive", download->url, "sha256", download->ref, NULL, NULL, NULL };
	}
	return (struct words){ NULL };
}

static struct words crate_words(struct arena *arena, const struct kinds_cargo *cargo, const struct kinds_crate *crate)
{
	const char *url = crate_url(arena, cargo, crate);

	if (crate->is_git)
		return (struct words){ "git", url, "commit", crate->commit, crate->mirror, NULL, NULL };
	return (struct words){ "archive", url, "sha256", crate->sha, cargo->base_url, NULL, NULL };
}

const struct yaml_node *kinds_source_manifest(struct arena *arena, const struct graph_source *source)
{
	const struct kinds_cargo *cargo = source->ops->work == &kinds_cargo_work && source->ops->variant == KINDS_CARGO2 ?
						  source->config :
						  NULL;
	uint32_t count = cargo ? cargo->crate_count : 1;
	const struct yaml_node **items = ARENA_ARRAY(arena, const struct yaml_node *, count);

	for (uint32_t i = 0; i < count; i++) {
		struct words words = cargo ? crate_words(arena, cargo, &cargo->crates[i]) : words_of(arena, source);

		if (!words.type)
			return yaml_list(arena, NULL, 0, NULL);
		items[i] = entry(arena, &words);
	}
	return yaml_list(arena, items, count, NULL);
}

static const char *name_in(const struct yaml_node *map)
{
	const struct yaml_node *commit = yaml_get(map, "commit"), *url = yaml_get(map, "url");
	const char *slash = url ? strrchr(url->text, '/') : NULL;

	if (commit)
		return commit->text;
	return slash ? slash + 1 : url ? url->text : NULL;
}

uint32_t kinds_source_names(struct arena *arena, const struct graph_source *source, const char *const **ret)
{
	const struct yaml_node *list = kinds_source_manifest(arena, source);
	const char **names = ARENA_ARRAY(arena, const char *, list->count + 1);
	uint32_t count = 0;

	for (uint32_t i = 0; i < list->count; i++)
		if (name_in(list->items[i]))
			names[count++] = name_in(list->items[i]);
	if (!list->count && source->ops->work == &kinds_git_work && ((const struct kinds_git *)source->config)->ref)
		names[count++] = ((const struct kinds_git *)source->config)->ref; /* git_module, which has no words */
	*ret = names;
	return count;
}
