/* snap_image: dependencies by split rules, and meta/snap.yaml, as snapd wants them. */
#include "elements/elements_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "elements/pyyaml.h"

static int stage(struct build *build, struct diag *diag)
{
	const struct kinds_snap_image *config = build->element->config;
	const struct part part = { config->include, config->exclude, config->include_orphans };
	struct activity activity = build_begin(build, "Staging dependencies", NULL);
	int r = stage_parts(build->job, build->overlaps, build->tree, build_all(build), build->job->dep_count, "/", &part, diag);

	return build_end(build, &activity, r);
}

/* A directory that is not absolute is meant from where the program runs, as the plugin has it: then there is nothing but the
 * metadata in it. */
static const char *whole_path(struct build *build, const char *directory)
{
	_cleanup_free_ char *here = directory[0] == '/' ? NULL : getcwd(NULL, 0);
	_cleanup_free_ char *path = xasprintf("%s/%s", here ? here : "", directory);
	_cleanup_buf_ struct buf normal = BUF_INIT;

	fs_normpath(&normal, path);
	return arena_printf(build->job->arena, "/%s", buf_text(&normal) + strspn(buf_text(&normal), "/"));
}

static int assemble(struct build *build, const char **collect, struct diag *diag)
{
	const struct kinds_snap_image *config = build->element->config;
	struct activity activity = build_begin(build, "Creating snap image", NULL);
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r;

	pyyaml_write(&text, config->metadata);
	*collect = whole_path(build, config->directory);
	r = build_put_text(build, arena_printf(build->job->arena, "%s/meta/snap.yaml", *collect), buf_text(&text), text.len,
			   false);
	if (r < 0)
		build_error(diag, r, "Failed to write meta/snap.yaml");
	return build_end(build, &activity, r < 0 ? r : ELEMENTS_BUILT);
}

const struct elements_kind elements_snap_image = { "snap_image", NULL, stage, assemble };
