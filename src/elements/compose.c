/* compose: dependencies staged together and integrated, or a part of that by split rules and by what integration changed. */
#include "elements/elements_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"

/* The paths to keep, and what is known about each. */
enum mark { IN_MANIFEST = 1, BEFORE = 2, AFTER = 4 };

struct manifest {
	struct arena *arena;
	struct strmap by_path;               /* index in marks */
	unsigned char *marks;                /* enum mark, as bits */
	size_t count, cap;
	enum mark mark;                      /* what the running walk sets */
	const struct elements_split *split;  /* NULL: all */
};

static int mark_path(void *data, const char *path, const struct cas_entry *entry)
{
	struct manifest *manifest = data;
	size_t len = strlen(path);
	uint32_t at;

	if (manifest->split && !elements_split_match(manifest->split, path))
		return 0;
	at = strmap_get(&manifest->by_path, path, len);
	if (at == STRMAP_NONE) {
		at = (uint32_t)manifest->count++;
		manifest->marks = util_grow(manifest->marks, &manifest->cap, manifest->count, 1);
		manifest->marks[at] = 0;
		strmap_put(&manifest->by_path, arena_strndup(manifest->arena, path, len), len, at);
	}
	manifest->marks[at] |= manifest->mark;
	return 0;
}

/* What the split rules of each dependency select of its files. */
static int compute_split(struct build *build, struct manifest *manifest, struct diag *diag)
{
	const struct kinds_compose *config = build->element->config;
	struct activity activity = build_begin(build, "Computing split", NULL);
	int r = 0;

	manifest->mark = IN_MANIFEST;
	for (uint32_t i = 0; r >= 0 && i < build->job->dep_count; i++) {
		const struct elements_dep *dep = &build->job->deps[i];
		struct elements_split *split;

		if (!dep->has_files)
			continue;
		r = elements_split_new(&split, dep_public(build->job, dep), config->include.items, config->include.count,
				       config->exclude.items, config->exclude.count, config->include_orphans, diag);
		if (r < 0)
			break;
		manifest->split = split;
		r = cas_walk(build->job->cas, &dep->files, mark_path, manifest);
		elements_split_free(split);
	}
	manifest->split = NULL;
	if (r < 0)
		build_error(diag, r, "Failed to compute the split");
	return build_end(build, &activity, r);
}

static int snapshot(struct build *build, struct manifest *manifest, enum mark mark)
{
	manifest->mark = mark;
	return cas_tree_walk(build->tree, "", mark_path, manifest);
}

/* Files that integration made are taken, those that it removed are not. */
static void apply_integration(struct build *build, struct manifest *manifest)
{
	unsigned added = 0, removed = 0;

	for (size_t i = 0; i < manifest->count; i++) {
		unsigned char *mark = &manifest->marks[i];

		if ((*mark & (BEFORE | AFTER)) == AFTER) {
			*mark |= IN_MANIFEST;
			added++;
		} else if (*mark == (IN_MANIFEST | BEFORE)) {
			*mark = BEFORE;
			removed++;
		}
	}
	build_message(build->job, ELEMENTS_INFO, build->job->element,
		      arena_printf(build->job->arena, "Integration added %u and removed %u files", added, removed), NULL);
}

static int integrate_tree(struct build *build, struct manifest *manifest, bool split, struct diag *diag)
{
	struct activity activity = build_begin(build, "Integrating sandbox", NULL);
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;
	int r = split ? snapshot(build, manifest, BEFORE) : 0;

	if (r >= 0)
		r = integrate(build->job, &batch, build_all(build), build->job->dep_count, diag);
	if (r >= 0)
		r = build_run(build, &batch, diag);
	else
		sandbox_batch_release(&batch);
	if (r == 0 && split) {
		r = snapshot(build, manifest, AFTER);
		if (r >= 0)
			apply_integration(build, manifest);
	}
	return build_end(build, &activity, r);
}

static bool in_manifest(void *data, const char *path, enum cas_type type)
{
	const struct manifest *manifest = data;
	uint32_t at = strmap_get(&manifest->by_path, path, strlen(path));

	return at != STRMAP_NONE && manifest->marks[at] & IN_MANIFEST;
}

static void describe(struct buf *out, const char *one, const char *all, const struct kinds_strings *domains)
{
	buf_adds(out, domains->count ? one : all);
	for (uint32_t i = 0; i < domains->count; i++)
		buf_printf(out, "%s%s", i ? ", " : "", domains->items[i]);
	if (domains->count || *all)
		buf_addc(out, '\n');
}

/* Merges the tree, filtered, into a directory beside it.  (The peer merges it into a part of itself, leaving that part
 * out; by the digest of before, the result is the same.) */
static int create(struct build *build, struct manifest *manifest, struct diag *diag)
{
	const struct kinds_compose *config = build->element->config;
	struct cas_merge merge = { .filter = in_manifest, .data = manifest };
	_cleanup_buf_ struct buf detail = BUF_INIT;
	struct activity activity;
	struct digest whole;
	unsigned count = 0;
	int r;

	describe(&detail, "Including files from domains: ", "Including files from all domains", &config->include);
	describe(&detail, "Excluding files from domains: ", "", &config->exclude);
	buf_adds(&detail, config->include_orphans ? "Including orphaned files" : "Excluding orphaned files");
	for (size_t i = 0; i < manifest->count; i++)
		count += manifest->marks[i] & IN_MANIFEST;
	activity = build_begin(build, "Creating composition", buf_text(&detail));
	build_message(build->job, ELEMENTS_INFO, build->job->element,
		      arena_printf(build->job->arena, "Composing %u files", count), NULL);
	r = cas_tree_digest(build->tree, "", &whole);
	if (r >= 0)
		r = cas_tree_mkdir(build->tree, "buildstream/install");
	if (r >= 0)
		r = cas_tree_merge(build->tree, "buildstream/install", &whole, &merge, diag);
	if (r < 0)
		build_error(diag, r, "Failed to create the composition");
	return build_end(build, &activity, r);
}

static int stage(struct build *build, struct diag *diag)
{
	struct activity activity = build_begin(build, "Staging dependencies", NULL);
	int r = stage_artifacts(build->job, build->overlaps, build->tree, build_all(build), build->job->dep_count, "/",
				diag);

	if (r >= 0)
		r = sandbox_staged(build->sandbox, diag);
	return build_end(build, &activity, r);
}

static int assemble(struct build *build, const char **collect, struct diag *diag)
{
	const struct kinds_compose *config = build->element->config;
	struct manifest manifest = { .arena = build->job->arena };
	bool split = config->include.count || config->exclude.count || !config->include_orphans;
	int r = split ? compute_split(build, &manifest, diag) : 0;

	if (r == 0 && config->integrate)
		r = integrate_tree(build, &manifest, split, diag);
	*collect = "/";
	if (r == 0 && split) {
		r = create(build, &manifest, diag);
		*collect = "/buildstream/install";
	}
	strmap_release(&manifest.by_path);
	free(manifest.marks);
	return r < 0 ? build_error(diag, r, "Failed to compose") : r;
}

const struct elements_kind elements_compose = { "compose", NULL, stage, assemble };
