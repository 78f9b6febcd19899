/* Which make and which ninja an element builds with: what is staged for it tells, before it is.
 *
 * A jobserver whose tokens lie in a named pipe is asked by GNU make from 4.4 and by ninja from 1.13 on.  Which one a program is,
 * its bytes say: make knows an option that came together with named pipes, ninja a class and a message.  A
 * program that says nothing (older, a script, a link to who knows where) counts as old.
 */
#include "jobs/jobs.h"

#include <errno.h>
#include <string.h>

enum { PROGRAM_MAX = 64 << 20 };

static const char *const directories[] = { "usr/bin", "bin", "usr/local/bin" };
static const struct {
	const char *name;
	uint32_t old, asks;
} programs_known[] = {
	{ "make", JOBS_MAKE_OLD, JOBS_MAKE_FIFO },
	{ "gmake", JOBS_MAKE_OLD, JOBS_MAKE_FIFO },
	{ "ninja", JOBS_NINJA_OLD, JOBS_NINJA_FIFO },
	{ "ninja-build", JOBS_NINJA_OLD, JOBS_NINJA_FIFO },
};
static const struct {
	const char *text;
	uint32_t asks; /* who says this */
} signs[] = {
	{ "jobserver-style", JOBS_MAKE_FIFO },
	{ "PosixJobserverClient", JOBS_NINJA_FIFO },
	{ "Jobserver mode detected", JOBS_NINJA_FIFO },
};

static void remember(struct jobs_programs *programs, struct strmap *map, const struct digest *digest, uint32_t value)
{
	const char *key = arena_memdup(&programs->arena, digest->hash, sizeof(digest->hash));

	(void)strmap_put(map, key, sizeof(digest->hash), value);
}

static uint32_t recall(const struct strmap *map, const struct digest *digest)
{
	return strmap_get(map, (const char *)digest->hash, sizeof(digest->hash));
}

/* Who the file may be, by what it says. */
static uint32_t read_signs(struct cas *cas, const struct digest *file)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	uint32_t found = 0;

	if (file->size_bytes == 0 || file->size_bytes > PROGRAM_MAX || cas_get(cas, file, &bytes) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
		if (memmem(bytes.data, bytes.len, signs[i].text, strlen(signs[i].text)))
			found |= signs[i].asks;
	return found;
}

static uint32_t look_at(struct jobs_programs *programs, struct cas *cas, size_t which, const struct digest *file)
{
	uint32_t found = recall(&programs->files, file);

	if (found == STRMAP_NONE) {
		found = read_signs(cas, file);
		remember(programs, &programs->files, file, found);
	}
	return found & programs_known[which].asks ? programs_known[which].asks : programs_known[which].old;
}

/* A link from one of the names to another, beside it: that other is looked at anyway. */
static bool leads_to_known(const char *target)
{
	for (size_t i = 0; i < ARRAY_SIZE(programs_known); i++)
		if (str_eq(target, programs_known[i].name))
			return true;
	return false;
}

static uint32_t look_into(struct jobs_programs *programs, struct cas *cas, const struct cas_directory *directory)
{
	uint32_t found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(programs_known); i++) {
		const char *name = programs_known[i].name;
		const struct cas_entry *entry = cas_directory_find(directory, name, strlen(name));

		if (entry && entry->type == CAS_FILE)
			found |= look_at(programs, cas, i, &entry->digest);
		else if (entry && !(entry->type == CAS_SYMLINK && leads_to_known(entry->target)))
			found |= programs_known[i].old;
	}
	return found;
}

/* The directory at path below another; NULL if there is none, or it is a link: then it is another of ours. */
static const struct cas_directory *descend(struct cas *cas, const struct digest *tree, const char *path)
{
	const struct cas_directory *directory;
	struct digest digest = *tree;

	for (;;) {
		size_t len = strcspn(path, "/");
		const struct cas_entry *entry;

		if (cas_directory_get(cas, &digest, &directory) < 0)
			return NULL;
		if (len == 0)
			return directory;
		entry = cas_directory_find(directory, path, len);
		if (!entry || entry->type != CAS_DIRECTORY)
			return NULL;
		digest = entry->digest;
		path += len + (path[len] == '/');
	}
}

uint32_t jobs_programs_in(struct jobs_programs *programs, struct cas *cas, const struct digest *tree)
{
	uint32_t found = recall(&programs->trees, tree);

	if (found != STRMAP_NONE)
		return found;
	found = 0;
	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		const struct cas_directory *directory = descend(cas, tree, directories[i]);

		if (directory)
			found |= look_into(programs, cas, directory);
	}
	remember(programs, &programs->trees, tree, found);
	return found;
}

uint32_t jobs_programs_of(struct jobs_programs *programs, struct cas *cas, const struct graph *graph, const struct state *state,
			  uint32_t element)
{
	struct graph_walk walk = { 0 };
	uint32_t found = 0;

	graph_walk_scope(&walk, graph, element, GRAPH_SCOPE_BUILD);
	for (uint32_t i = 0; i < walk.count; i++) {
		const struct state_artifact *artifact = &state_get(state, walk.ids[i])->artifact;

		if (artifact->outcome == STATE_ARTIFACT_SUCCESS && state_digest_known(&artifact->files))
			found |= jobs_programs_in(programs, cas, &artifact->files);
	}
	graph_walk_release(&walk);
	return found;
}

void jobs_programs_release(struct jobs_programs *programs)
{
	strmap_release(&programs->trees);
	strmap_release(&programs->files);
	arena_release(&programs->arena);
}
