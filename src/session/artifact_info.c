/* `artifact log` and `artifact list-contents`: what a cached artifact has to tell. */
#include "session/session_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

static void warn(struct session *session, const char *fmt, const char *name)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	buf_printf(&text, "%s %s", name, fmt);
	session_say(session, SESSION_MESSAGE_WARN, buf_text(&text), NULL);
}

/* Loads the targets and asks the caches about them. */
static int load(struct session *session)
{
	int r = session_load(session, SESSION_LOAD_ARTIFACTS);

	return r < 0 ? r : session_query(session, &session->targets, false);
}

/* The name that the peer's warnings call it by. */
static const char *shown_name(struct session *session, uint32_t id, struct buf *name)
{
	return session_artifact_name(session, id, name) ? buf_text(name) : session->graph.elements[id].full_name;
}

/* --- artifact log --- */

static int read_log(struct session *session, const struct artifact *artifact, struct buf *ret)
{
	for (uint32_t i = 0; i < artifact->log_count; i++) {
		int r = cas_get(session->cas, &artifact->logs[i].digest, ret);

		if (r < 0)
			return r;
	}
	return 0;
}

/* --out DIR: one file for each, "dir/name.log" below it. */
static int write_log(struct session *session, const struct graph_element *element, const struct buf *text)
{
	const char *out = session->request->out, *dot = strrchr(element->name, '.');
	int stem = (int)(dot && !strchr(dot, '/') ? dot - element->name : (ptrdiff_t)strlen(element->name));
	_cleanup_free_ char *path = xasprintf("%s/%.*s.log", out, stem, element->name);
	int r = fs_mkdir_parent(AT_FDCWD, path, 0777);

	if (r == 0)
		r = fs_write_file(AT_FDCWD, path, buf_text(text), text->len, 0666);
	return r < 0 ? diag_errno(&session->diag, "app", NULL, -r, "Could not write %s", path) : 0;
}

static int show_log(struct session *session, uint32_t id)
{
	_cleanup_buf_ struct buf text = BUF_INIT, name = BUF_INIT;
	struct artifact artifact;
	struct arena arena = ARENA_INIT;
	int r = 0;

	if (!session_read_artifact(session, &arena, id, &artifact))
		warn(session, "is not cached", shown_name(session, id, &name));
	else if (!artifact.log_count || read_log(session, &artifact, &text) < 0)
		warn(session, "is cached without log files", shown_name(session, id, &name));
	else if (session->request->out)
		r = write_log(session, &session->graph.elements[id], &text);
	else
		session->frontend->page(session->frontend->data, buf_text(&text), text.len);
	arena_release(&arena);
	return r;
}

int session_artifact_log(struct session *session)
{
	const char *out = session->request->out;
	int r = load(session);

	if (r < 0)
		return r;
	if (out && mkdir(out, 0777) < 0) {
		_cleanup_free_ char *text = xasprintf("Error: %s: %s", out, errno == EEXIST ? "already exists" : strerror(errno));

		session->frontend->notice(session->frontend->data, text);
		return 1;
	}
	for (uint32_t i = 0; r == 0 && i < session->targets.count; i++)
		r = show_log(session, session->targets.ids[i]);
	return r;
}

/* --- artifact list-contents --- */

struct contents {
	struct arena arena;
	struct session_entry *entries;
	size_t count, cap;
};

static int add_entry(void *data, const char *path, const struct cas_entry *entry)
{
	static const enum session_entry_kind kinds[] = {
		[CAS_FILE] = SESSION_ENTRY_FILE,
		[CAS_DIRECTORY] = SESSION_ENTRY_DIRECTORY,
		[CAS_SYMLINK] = SESSION_ENTRY_SYMLINK,
	};
	struct contents *contents = data;
	struct session_entry *to;

	contents->entries = util_grow(contents->entries, &contents->cap, contents->count + 1, sizeof(*to));
	to = &contents->entries[contents->count++];
	*to = (struct session_entry){ .kind = kinds[entry->type], .path = arena_strdup(&contents->arena, path) };
	if (entry->type == CAS_FILE) {
		to->size_bytes = (uint64_t)entry->digest.size_bytes;
		if (entry->executable)
			to->kind = SESSION_ENTRY_EXECUTABLE;
	} else if (entry->type == CAS_SYMLINK) {
		to->target = arena_strdup(&contents->arena, entry->target);
		to->size_bytes = strlen(entry->target);
	}
	return 0;
}

/* 1: listed, 0: not cached. */
static int list_contents(struct session *session, uint32_t id)
{
	struct contents contents = { 0 };
	_cleanup_buf_ struct buf name = BUF_INIT;
	const struct session_request *request = session->request;
	struct artifact artifact;
	int r = session_read_artifact(session, &contents.arena, id, &artifact);

	if (!r)
		warn(session, "is not cached", shown_name(session, id, &name));
	if (r && artifact.has_files && cas_walk(session->cas, &artifact.files, add_entry, &contents) < 0)
		r = diag_set(&session->diag, "cas", NULL, "Part of the artifact of %s is missing from the cache",
			     session->graph.elements[id].full_name);
	if (r > 0) {
		/* Who asks for an artifact by its weak key is told its strong one. */
		session->frontend->artifact_contents(session->frontend->data,
						     session_is_artifact(session, id) ? shown_name(session, id, &name) :
											session->graph.elements[id].name,
						     contents.entries, contents.count, request->long_listing);
	}
	free(contents.entries);
	arena_release(&contents.arena);
	return r;
}

int session_artifact_list_contents(struct session *session)
{
	bool any = false;
	int r = load(session);

	for (uint32_t i = 0; r >= 0 && i < session->targets.count; i++) {
		r = list_contents(session, session->targets.ids[i]);
		any |= r > 0;
	}
	if (r < 0)
		return r;
	if (any) {
		session->frontend->output(session->frontend->data, "\n", 1);
		return 0;
	}
	session->frontend->notice(session->frontend->data, "None of the specified artifacts are cached.");
	return 1;
}
