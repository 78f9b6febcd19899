/* Overlap and unstaged-files warnings.
 *
 * A session is one staging of several artifacts at one place.  Within a session each overwritten path has the list of
 * elements that wrote it, bottom first; a list with one member overwrote something of an earlier session. */
#include "elements/elements_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "base/map.h"

struct staged { /* by stamp - 1 */
	const struct elements_dep *dep;
	uint32_t session;
	struct glob_set *whitelist; /* compiled on first need */
};

struct overlap {
	const char *path;   /* relative to the session's location */
	uint32_t session;
	uint32_t *stamps;   /* bottom first */
	uint32_t count;
	uint32_t outside;   /* stamp of an earlier session that was overwritten first, or 0 */
};

struct ignored {
	uint32_t stamp;
	const char *path;
};

struct overlaps {
	const struct elements_job *job;
	struct arena arena;
	const char **locations; /* by session */
	uint32_t session_count, session; /* session: the running one */
	size_t session_cap;
	struct staged *staged;
	size_t staged_count, staged_cap;
	struct overlap *list;
	size_t count, cap;
	struct strmap by_path;  /* of the running session, to index in list */
	struct ignored *ignored;
	size_t ignored_count, ignored_cap;
};

struct overlaps *overlaps_new(const struct elements_job *job)
{
	struct overlaps *overlaps = xcalloc(1, sizeof *overlaps);

	overlaps->job = job;
	return overlaps;
}

void overlaps_free(struct overlaps *overlaps)
{
	if (!overlaps)
		return;
	for (size_t i = 0; i < overlaps->staged_count; i++)
		glob_free(overlaps->staged[i].whitelist);
	free(overlaps->locations);
	free(overlaps->staged);
	free(overlaps->list);
	free(overlaps->ignored);
	strmap_release(&overlaps->by_path);
	arena_release(&overlaps->arena);
	free(overlaps);
}

void overlaps_begin(struct overlaps *overlaps, const char *location)
{
	overlaps->locations = util_grow(overlaps->locations, &overlaps->session_cap, overlaps->session_count + 1,
					sizeof *overlaps->locations);
	overlaps->session = overlaps->session_count++;
	overlaps->locations[overlaps->session] = arena_strdup(&overlaps->arena, location);
	strmap_clear(&overlaps->by_path);
	overlaps->ignored_count = 0;
}

uint32_t overlaps_stamp(struct overlaps *overlaps, const struct elements_dep *dep)
{
	overlaps->staged = util_grow(overlaps->staged, &overlaps->staged_cap, overlaps->staged_count + 1,
				     sizeof *overlaps->staged);
	overlaps->staged[overlaps->staged_count++] = (struct staged){ dep, overlaps->session, NULL };
	return (uint32_t)overlaps->staged_count;
}

static struct overlap *find_overlap(struct overlaps *overlaps, const char *path, uint32_t previous)
{
	size_t len = strlen(path);
	uint32_t at = strmap_get(&overlaps->by_path, path, len);
	struct overlap *overlap;

	if (at != STRMAP_NONE)
		return &overlaps->list[at];
	overlaps->list = util_grow(overlaps->list, &overlaps->cap, overlaps->count + 1, sizeof *overlaps->list);
	overlap = &overlaps->list[overlaps->count];
	*overlap = (struct overlap){ .path = arena_strdup(&overlaps->arena, path), .session = overlaps->session };
	overlap->stamps = ARENA_ARRAY(&overlaps->arena, uint32_t, 4);
	if (previous && overlaps->staged[previous - 1].session == overlaps->session)
		overlap->stamps[overlap->count++] = previous;
	else
		overlap->outside = previous;
	strmap_put(&overlaps->by_path, overlap->path, len, (uint32_t)overlaps->count++);
	return overlap;
}

void overlaps_event(struct overlaps *overlaps, uint32_t stamp, enum cas_event event, const char *path,
		    uint32_t previous)
{
	struct overlap *overlap;

	if (event == CAS_IGNORED) {
		overlaps->ignored = util_grow(overlaps->ignored, &overlaps->ignored_cap, overlaps->ignored_count + 1,
					      sizeof *overlaps->ignored);
		overlaps->ignored[overlaps->ignored_count++] =
			(struct ignored){ stamp, arena_strdup(&overlaps->arena, path) };
		return;
	}
	overlap = find_overlap(overlaps, path, previous);
	if (overlap->count >= 4 && (overlap->count & (overlap->count - 1)) == 0) {
		uint32_t *more = ARENA_ARRAY(&overlaps->arena, uint32_t, overlap->count * 2);

		memcpy(more, overlap->stamps, overlap->count * sizeof *more);
		overlap->stamps = more;
	}
	overlap->stamps[overlap->count++] = stamp;
}

/* ---- warnings ---- */

static const char *full_name(const struct overlaps *overlaps, uint32_t stamp)
{
	return overlaps->job->graph->elements[overlaps->staged[stamp - 1].dep->element].full_name;
}

/* os.path.join of the peer: location is absolute. */
static void add_path(struct buf *out, const char *location, const char *path)
{
	buf_printf(out, "%s%s%s", location, str_ends(location, "/") ? "" : "/", path);
}

/* The peer matches the path below the session's place, not the place itself. */
static int whitelisted(struct overlaps *overlaps, uint32_t stamp, const char *path, struct diag *diag)
{
	struct staged *staged = &overlaps->staged[stamp - 1];
	_cleanup_buf_ struct buf full = BUF_INIT;

	if (!staged->whitelist) {
		const char *const *globs;
		uint32_t count;
		int r = bst_strings(overlaps->job, dep_public(overlaps->job, staged->dep), "overlap-whitelist", &globs,
				    &count, diag);

		if (r < 0)
			return r;
		staged->whitelist = glob_new();
		for (uint32_t i = 0; i < count; i++)
			if (glob_add(staged->whitelist, globs[i]) < 0)
				return diag_set(diag, "element", NULL, "Invalid glob in overlap-whitelist: %s", globs[i]);
	}
	buf_printf(&full, "/%s", path);
	return glob_match(staged->whitelist, buf_text(&full));
}

/* Adds the lines of one path; 1 if somebody was not allowed to. */
static int describe(struct overlaps *overlaps, const struct overlap *overlap, struct buf *out, struct diag *diag)
{
	_cleanup_buf_ struct buf names = BUF_INIT;
	unsigned guilty = 0;

	for (uint32_t i = 1; i < overlap->count; i++) {
		int r = whitelisted(overlaps, overlap->stamps[i], overlap->path, diag);

		if (r < 0)
			return r;
		if (!r)
			buf_printf(&names, "%s%s", guilty++ ? " and " : "", full_name(overlaps, overlap->stamps[i]));
	}
	if (!guilty)
		return 0;
	add_path(out, overlaps->locations[overlap->session], overlap->path);
	buf_printf(out, ": %s %s not permitted to overlap other elements, order ", buf_text(&names),
		   guilty == 1 ? "is" : "are");
	for (uint32_t i = overlap->count; i-- > 0;)
		buf_printf(out, "%s%s", full_name(overlaps, overlap->stamps[i]), i ? " above " : " \n");
	return 1;
}

static int warn_inside(struct overlaps *overlaps, struct diag *diag)
{
	_cleanup_buf_ struct buf detail = BUF_INIT;
	bool any = false;

	buf_printf(&detail, "Staged files overwrite existing files in staging area: %s\n",
		   overlaps->locations[overlaps->session]);
	for (size_t i = 0; i < overlaps->count; i++) {
		int r;

		if (overlaps->list[i].session != overlaps->session || overlaps->list[i].count < 2)
			continue;
		r = describe(overlaps, &overlaps->list[i], &detail, diag);
		if (r < 0)
			return r;
		any |= r;
	}
	return any ? build_warn(overlaps->job, "overlaps", "Non-whitelisted overlaps detected", buf_text(&detail), diag) : 0;
}

static int warn_ignored(struct overlaps *overlaps, struct diag *diag)
{
	const char *location = overlaps->locations[overlaps->session];
	_cleanup_buf_ struct buf detail = BUF_INIT;
	uint32_t last = 0;

	if (!overlaps->ignored_count)
		return 0;
	buf_printf(&detail, "Not staging files which would replace non-empty directories in staging area: %s\n", location);
	for (size_t i = 0; i < overlaps->ignored_count; i++) {
		if (overlaps->ignored[i].stamp != last)
			buf_printf(&detail, "\nFrom %s:\n", full_name(overlaps, overlaps->ignored[i].stamp));
		last = overlaps->ignored[i].stamp;
		buf_adds(&detail, "  ");
		add_path(&detail, location, overlaps->ignored[i].path);
		buf_addc(&detail, '\n');
	}
	return build_warn(overlaps->job, "unstaged-files", "Not staging files which would have replaced non-empty directories", buf_text(&detail),
		    diag);
}

/* Who staged the absolute path first in the session of stamp: the bottom of its overlaps there, if it had any. */
static uint32_t first_writer(const struct overlaps *overlaps, uint32_t stamp, const char *absolute)
{
	uint32_t session = overlaps->staged[stamp - 1].session;

	for (size_t i = 0; i < overlaps->count; i++) {
		_cleanup_buf_ struct buf path = BUF_INIT;

		if (overlaps->list[i].session != session)
			continue;
		add_path(&path, overlaps->locations[session], overlaps->list[i].path);
		if (str_eq(buf_text(&path), absolute))
			return overlaps->list[i].stamps[0];
	}
	return stamp;
}

static int warn_outside(struct overlaps *overlaps, struct diag *diag)
{
	const char *location = overlaps->locations[overlaps->session];
	_cleanup_buf_ struct buf detail = BUF_INIT;
	bool any = false;

	buf_printf(&detail, "Detected file overlaps while staging elements into: %s\n", location);
	for (size_t i = 0; i < overlaps->count; i++) {
		const struct overlap *overlap = &overlaps->list[i];
		_cleanup_buf_ struct buf path = BUF_INIT;
		uint32_t below;

		/* without `outside` it was an empty directory that nobody's file stood in */
		if (overlap->session != overlaps->session || overlap->count != 1 || !overlap->outside)
			continue;
		add_path(&path, location, overlap->path);
		below = first_writer(overlaps, overlap->outside, buf_text(&path));
		buf_printf(&detail, "%s: %s overlaps files previously staged by %s in: %s\n", buf_text(&path),
			   full_name(overlaps, overlap->stamps[0]), full_name(overlaps, below),
			   overlaps->locations[overlaps->staged[below - 1].session]);
		any = true;
	}
	return any ? build_warn(overlaps->job, "overlaps", "Overlaps detected", buf_text(&detail), diag) : 0;
}

int overlaps_end(struct overlaps *overlaps, struct diag *diag)
{
	int r = warn_inside(overlaps, diag);

	if (r >= 0)
		r = warn_ignored(overlaps, diag);
	return r < 0 ? r : warn_outside(overlaps, diag);
}
