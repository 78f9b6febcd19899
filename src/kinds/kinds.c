/* The tables of kinds, and what is done for every one of them: see kinds.h. */
#include "kinds/kinds_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PLUGINS "buildstream-plugins"
#define COMMUNITY "buildstream-plugins-community"

#define BUILD_FAMILY(kind, from) { kind, KINDS_DEP_CONFIG, 0, from, &kinds_build_work, 0 }
/* What the script base forbids. */
#define SCRIPT_FLAGS (KINDS_STRICT_REBUILD | KINDS_FORBID_RDEPENDS | KINDS_FORBID_SOURCES | KINDS_DEP_CONFIG)
#define NO_INPUT (KINDS_FORBID_RDEPENDS | KINDS_FORBID_SOURCES)

/* Sorted by name (a test holds it to that). */
static const struct kinds_element elements[] = {
	BUILD_FAMILY("autotools", PLUGINS),
	BUILD_FAMILY("bazel_build", COMMUNITY),
	{ "bazelize", KINDS_STRICT_REBUILD | KINDS_NO_COMMANDS | NO_INPUT, 4, COMMUNITY, &kinds_bazelize_work, 0 },
	BUILD_FAMILY("cargo", COMMUNITY),
	{ "check_forbidden", 0, 0, COMMUNITY, &kinds_check_forbidden_work, 0 },
	BUILD_FAMILY("cmake", PLUGINS),
	{ "collect_initial_scripts", NO_INPUT, 0, "freedesktop-sdk", &kinds_collect_scripts_work, 0 },
	{ "collect_integration", KINDS_FORBID_RDEPENDS, 0, COMMUNITY, &kinds_collect_integration_work, 0 },
	{ "collect_manifest", KINDS_STRICT_REBUILD | KINDS_NO_COMMANDS | NO_INPUT | KINDS_UNSTABLE, 2, COMMUNITY,
	  &kinds_collect_manifest_work, 0 },
	{ "compose", KINDS_STRICT_REBUILD | NO_INPUT | KINDS_CORE, 0, NULL, &kinds_compose_work, 0 },
	BUILD_FAMILY("dpkg_build", COMMUNITY),
	{ "dpkg_deploy", SCRIPT_FLAGS, 0, COMMUNITY, &kinds_dpkg_deploy_work, 0 },
	{ "fastboot_bootimg", SCRIPT_FLAGS, 0, COMMUNITY, &kinds_image_work, KINDS_FASTBOOT_BOOTIMG },
	{ "fastboot_ext4", SCRIPT_FLAGS, 0, COMMUNITY, &kinds_image_work, KINDS_FASTBOOT_EXT4 },
	{ "filter", KINDS_STRICT_REBUILD | KINDS_NO_COMMANDS | KINDS_FORBID_SOURCES | KINDS_CORE, 1, NULL,
	  &kinds_filter_work, 0 },
	{ "flatpak_image", KINDS_STRICT_REBUILD | NO_INPUT | KINDS_DEP_CONFIG, 0, COMMUNITY,
	  &kinds_flatpak_image_work, 0 },
	{ "flatpak_repo", SCRIPT_FLAGS, 2, COMMUNITY, &kinds_flatpak_repo_work, 0 },
	{ "import", KINDS_NO_COMMANDS | KINDS_CORE, 0, NULL, &kinds_import_work, 0 },
	{ "junction", KINDS_FORBID_BDEPENDS | KINDS_FORBID_RDEPENDS | KINDS_FIRST_PASS | KINDS_CORE, 0, NULL,
	  &kinds_junction_work, 0 },
	{ "link", KINDS_FORBID_BDEPENDS | NO_INPUT | KINDS_FIRST_PASS | KINDS_CORE, 0, NULL, &kinds_link_work, 0 },
	BUILD_FAMILY("make", PLUGINS),
	BUILD_FAMILY("makemaker", COMMUNITY),
	{ "manual", KINDS_DEP_CONFIG | KINDS_CORE, 0, NULL, &kinds_build_work, 0 },
	BUILD_FAMILY("meson", PLUGINS),
	BUILD_FAMILY("modulebuild", COMMUNITY),
	{ "oci", 0, 0, COMMUNITY, &kinds_oci_work, 0 },
	{ "ostree", KINDS_STRICT_REBUILD | NO_INPUT | KINDS_DEP_CONFIG, 0, COMMUNITY, &kinds_ostree_element_work, 0 },
	BUILD_FAMILY("pip", PLUGINS),
	BUILD_FAMILY("pyproject", COMMUNITY),
	BUILD_FAMILY("qmake", COMMUNITY),
	{ "script", SCRIPT_FLAGS | KINDS_CORE, 0, NULL, &kinds_script_work, 0 },
	BUILD_FAMILY("setuptools", PLUGINS),
	{ "snap_image", NO_INPUT, 1, COMMUNITY, &kinds_snap_image_work, 0 },
	{ "stack", KINDS_NO_COMMANDS | KINDS_FORBID_SOURCES | KINDS_NO_ARTIFACT | KINDS_CORE, 0, NULL,
	  &kinds_stack_work, 0 },
	{ "tar_element", KINDS_STRICT_REBUILD | NO_INPUT, 0, COMMUNITY, &kinds_tar_element_work, 0 },
	{ "x86image", SCRIPT_FLAGS, 0, COMMUNITY, &kinds_image_work, KINDS_X86IMAGE },
	{ 0 },
};

static const struct kinds_element manifest_plain = { "collect_manifest", KINDS_UNSTABLE, 2, COMMUNITY,
						     &kinds_collect_manifest_work, 0 };

static const char *const ref_only[] = { "ref", NULL };
static const char *const ref_and_tags[] = { "ref", "tags", NULL };
static const char *const cpan_ref[] = { "sha256sum", "suffix", NULL };
static const char *const no_ref[] = { NULL };

#define FILES (KINDS_NEVER_REF | KINDS_NO_TRACK | KINDS_HASHES_FILES)

static const struct kinds_source sources[] = {
	{ "anitya", KINDS_SOURCE_UNSTABLE, COMMUNITY, ref_only, &kinds_anitya_work, 0 },
	{ "bazel_file", 0, COMMUNITY, ref_only, &kinds_bazel_file_work, 0 },
	{ "bazel_source", KINDS_PREVIOUS_FETCH | KINDS_PREVIOUS_TRACK, COMMUNITY, ref_only, &kinds_bazel_source_work,
	  0 },
	{ "bzr", 0, PLUGINS, ref_only, &kinds_bzr_work, 0 },
	{ "cargo", KINDS_PREVIOUS_TRACK, PLUGINS, ref_only, &kinds_cargo_work, KINDS_CARGO },
	{ "cargo2", KINDS_PREVIOUS_TRACK | KINDS_SOURCE_UNSTABLE, COMMUNITY, ref_only, &kinds_cargo_work, KINDS_CARGO2 },
	{ "cpan", 0, COMMUNITY, cpan_ref, &kinds_index_work, KINDS_CPAN },
	{ "deb", 0, COMMUNITY, ref_only, &kinds_tar_work, 0 },
	{ "docker", 0, PLUGINS, ref_only, &kinds_docker_work, 0 },
	{ "gen_cargo_lock", KINDS_PREVIOUS_TRACK, COMMUNITY, ref_only, &kinds_gen_cargo_lock_work, 0 },
	{ "git", 0, PLUGINS, ref_and_tags, &kinds_git_work, KINDS_GIT },
	{ "git_module", KINDS_PREVIOUS_TRACK, COMMUNITY, ref_only, &kinds_git_work, KINDS_GIT_MODULE },
	{ "git_repo", 0, COMMUNITY, ref_only, &kinds_git_work, KINDS_GIT_REPO },
	{ "git_tag", 0, COMMUNITY, ref_only, &kinds_git_work, KINDS_GIT_TAG },
	{ "gnu", 0, COMMUNITY, ref_only, &kinds_index_work, KINDS_GNU },
	{ "go_module", KINDS_PREVIOUS_TRACK | KINDS_PREVIOUS_STAGE | KINDS_SOURCE_UNSTABLE, COMMUNITY, ref_only,
	  &kinds_go_module_work, 0 },
	{ "local", FILES | KINDS_SOURCE_CORE, NULL, no_ref, &kinds_local_work, 0 },
	{ "ostree", 0, COMMUNITY, ref_only, &kinds_ostree_source_work, 0 },
	{ "patch", FILES | KINDS_PREVIOUS_STAGE, PLUGINS, no_ref, &kinds_patch_work, 0 },
	{ "patch_queue", FILES | KINDS_PREVIOUS_STAGE, COMMUNITY, no_ref, &kinds_patch_queue_work, 0 },
	{ "pip", KINDS_PREVIOUS_TRACK, PLUGINS, ref_only, &kinds_pip_work, 0 },
	{ "pypi", 0, COMMUNITY, ref_only, &kinds_index_work, KINDS_PYPI },
	{ "quilt", KINDS_NEVER_REF | KINDS_NO_TRACK | KINDS_PREVIOUS_STAGE, COMMUNITY, no_ref, &kinds_quilt_work, 0 },
	{ "remote", KINDS_SOURCE_CORE, NULL, ref_only, &kinds_remote_work, 0 },
	{ "tar", KINDS_SOURCE_CORE, NULL, ref_only, &kinds_tar_work, 0 },
	{ "workspace", FILES | KINDS_SOURCE_CORE, NULL, no_ref, &kinds_workspace_work, 0 },
	{ "zip", 0, COMMUNITY, ref_only, &kinds_tar_work, 0 },
	{ 0 },
};

static int order_elements(const void *kind, const void *entry)
{
	return strcmp(kind, ((const struct kinds_element *)entry)->name);
}

static int order_sources(const void *kind, const void *entry)
{
	return strcmp(kind, ((const struct kinds_source *)entry)->name);
}

const struct kinds_element *kinds_find_element(const char *kind)
{
	return bsearch(kind, elements, ARRAY_SIZE(elements) - 1, sizeof(elements[0]), order_elements);
}

const struct kinds_element *kinds_all_elements(void)
{
	return elements;
}

const struct kinds_source *kinds_find_source(const char *kind)
{
	return bsearch(kind, sources, ARRAY_SIZE(sources) - 1, sizeof(sources[0]), order_sources);
}

const struct kinds_source *kinds_all_sources(void)
{
	return sources;
}

/* ---- elements */

/* Some properties changed from one release of a plugin to another. */
static const struct kinds_element *ops_of_version(const struct kinds_element *ops, const struct kinds_plugin *plugin)
{
	bool plain = plugin && plugin->behaviour == KINDS_MANIFEST_PLAIN;

	return plain && ops->work == &kinds_collect_manifest_work ? &manifest_plain : ops;
}

int kinds_configure_element(const struct kinds_context *ctx, struct graph_element *element,
			    const struct yaml_node *config)
{
	const struct kinds_element *ops = ops_of_version(element->ops, ctx->plugin);
	struct kinds_element_base *base = arena_alloc(ctx->arena, ops->work->config_size);

	element->ops = ops;
	base->artifact_version = ops->artifact_version;
	if (ctx->plugin && ctx->plugin->artifact_version >= 0)
		base->artifact_version = (uint32_t)ctx->plugin->artifact_version;
	base->runs_commands = !(ops->flags & KINDS_NO_COMMANDS);
	element->config = base;
	return ops->work->configure ? ops->work->configure(ctx, element, config) : 0;
}

static bool has_dependency(const struct graph_element *element, unsigned type)
{
	for (uint32_t i = 0; i < element->dep_count; i++)
		if (element->deps[i].type & type)
			return true;
	return false;
}

static int check_forbidden(const struct kinds_context *ctx, const struct graph_element *element)
{
	unsigned flags = element->ops->flags;
	bool no_build = flags & KINDS_FORBID_BDEPENDS, no_run = flags & KINDS_FORBID_RDEPENDS;

	if (no_build && no_run && element->dep_count)
		return kinds_element_error(ctx, element, "element-forbidden-depends",
					   "Dependencies are forbidden for '%s' elements", element->ops->name);
	if (no_run && has_dependency(element, GRAPH_RUNTIME))
		return kinds_element_error(ctx, element, "element-forbidden-rdepends",
					   "Runtime dependencies are forbidden for '%s' elements", element->ops->name);
	if (no_build && has_dependency(element, GRAPH_BUILD))
		return kinds_element_error(ctx, element, "element-forbidden-bdepends",
					   "Build dependencies are forbidden for '%s' elements", element->ops->name);
	if ((flags & KINDS_FORBID_SOURCES) && element->source_count)
		return kinds_element_error(ctx, element, "element-forbidden-sources",
					   "Sources are forbidden for '%s' elements", element->ops->name);
	return 0;
}

static int check_dep_configs(const struct kinds_context *ctx, const struct graph_element *element)
{
	if (element->ops->flags & KINDS_DEP_CONFIG)
		return 0;
	for (uint32_t i = 0; i < element->dep_count; i++)
		if (element->deps[i].config_count && (element->deps[i].type & GRAPH_BUILD))
			return yaml_error(ctx->diag, element->deps[i].configs[0], "invalid-dependency-config",
					  "Custom dependency configuration is not supported by element plugin '%s'",
					  element->ops->name);
	return 0;
}

static int check_first_source(const struct kinds_context *ctx, const struct graph_element *element)
{
	const struct graph_source *first = element->sources;
	struct buf _cleanup_buf_ where = BUF_INIT;

	if (!element->source_count || !(first->ops->flags & (KINDS_PREVIOUS_TRACK | KINDS_PREVIOUS_FETCH)))
		return 0;
	if (first->node)
		yaml_provenance(&where, first->node);
	return kinds_element_error(ctx, element, NULL,
				   "%s source at %s cannot be the first source of an element as it requires access to "
				   "previous sources",
				   first->ops->name, buf_text(&where));
}

int kinds_finish_element(const struct kinds_context *ctx, struct graph_element *element)
{
	const struct kinds_element_work *work = element->ops->work;
	int r = check_dep_configs(ctx, element);

	if (r >= 0 && work->dependencies)
		r = work->dependencies(ctx, element);
	if (r >= 0)
		r = check_forbidden(ctx, element);
	if (r >= 0 && work->preflight)
		r = work->preflight(ctx, element);
	if (r >= 0)
		r = check_first_source(ctx, element);
	return r;
}

void kinds_element_key(const struct graph_element *element, struct buf *out)
{
	element->ops->work->key(element, out);
}

bool kinds_runs_commands(const struct graph_element *element)
{
	return ((const struct kinds_element_base *)element->config)->runs_commands;
}

uint32_t kinds_artifact_version(const struct graph_element *element)
{
	return ((const struct kinds_element_base *)element->config)->artifact_version;
}

/* ---- sources */

int kinds_configure_source(const struct kinds_context *ctx, struct graph_source *source,
			   const struct yaml_node *config)
{
	struct kinds_source_base *base = arena_alloc(ctx->arena, source->ops->work->config_size);

	base->plugin = ctx->plugin;
	source->config = base;
	source->key_json = NULL;
	source->key_json_len = 0;
	return source->ops->work->configure(ctx, source, config);
}

int kinds_source_key(const struct kinds_context *ctx, struct graph_source *source)
{
	const struct kinds_source_work *work = source->ops->work;
	struct buf _cleanup_buf_ text = BUF_INIT;

	if (!source->has_ref)
		return 0;
	if (work->read_files) {
		int r = work->read_files(ctx, source);

		if (r < 0)
			return r;
	}
	work->key(source, &text);
	assert(text.len && text.len < UINT32_MAX);
	source->key_json = arena_strndup(ctx->arena, text.data, text.len);
	source->key_json_len = (uint32_t)text.len;
	return 0;
}

uint32_t kinds_source_infos(struct arena *arena, const struct graph_source *source, const struct kinds_source_info **ret)
{
	*ret = NULL;
	return source->ops->work->info ? source->ops->work->info(arena, source, ret) : 0;
}

bool kinds_is_build(const struct graph_element *element)
{
	return element->ops->work == &kinds_build_work;
}
