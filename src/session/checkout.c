/* `artifact checkout`: stages artifacts into one tree, integrates it, writes it to a directory or a tar file. */
#include "session/session_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "session/staging.h"
#include "session/tarball.h"

struct checkout {
	struct session *session;
	const char *location; /* directory, or NULL with --tar */
	struct session_staging staging;
};

bool session_directory_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool empty = dir != NULL;

	while (dir && empty && (entry = readdir(dir)))
		empty = str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..");
	if (dir)
		closedir(dir);
	return empty;
}

static int check_directory(struct session *session, const char *location)
{
	int r = fs_mkdir_p(AT_FDCWD, location, 0777);

	if (r < 0)
		return diag_errno(&session->diag, "stream", NULL, -r, "Failed to create destination directory: '%s'", location);
	if (access(location, W_OK) < 0)
		return diag_set(&session->diag, "stream", NULL, "Destination directory '%s' not writable", location);
	if (!session->request->force && !session_directory_empty(location))
		return diag_set(&session->diag, "stream", NULL, "Destination directory '%s' not empty", location);
	return 0;
}

static int check_tar(struct session *session, const char *path)
{
	if (str_eq(path, "-") || access(path, F_OK) < 0)
		return 0;
	if (access(path, W_OK) < 0)
		return diag_set(&session->diag, "stream", NULL, "Output file '%s' not writable", path);
	if (!session->request->force)
		return diag_set(&session->diag, "stream", NULL, "Output file '%s' already exists", path);
	return 0;
}

int session_check_location(struct session *session, const char *location)
{
	return session->request->tar ? check_tar(session, session->request->tar) : check_directory(session, location);
}

/* Where the files go: --directory, or the target's name without ".bst" below the current directory. */
static int find_location(struct checkout *checkout)
{
	struct session *session = checkout->session;
	const struct session_request *request = session->request;
	const char *name;
	size_t len;

	if (request->tar)
		return session_check_location(session, NULL);
	checkout->location = request->location;
	if (!checkout->location) {
		_cleanup_free_ char *cwd = getcwd(NULL, 0);

		name = request->targets.count ? request->targets.items[0] : session->graph.elements[checkout->staging.target].full_name;
		len = strlen(name) - (str_ends(name, ".bst") ? 4 : 0);
		checkout->location = arena_printf(&session->arena, "%s/%.*s", cwd ? cwd : ".", (int)len, name);
	}
	return session_check_location(session, checkout->location);
}

static int export_directory(struct checkout *checkout, const struct digest *tree)
{
	struct session *session = checkout->session;
	bool hardlinks = session->request->hardlinks;
	struct cas_checkout options = { .flags = hardlinks ? CAS_CHECKOUT_HARDLINK : 0 };
	_cleanup_free_ char *text = xasprintf("Checking out files in '%s'", checkout->location);
	struct session_activity activity = session_begin(session, text, checkout->staging.target);
	int r = cas_checkout(session->cas, tree, AT_FDCWD, checkout->location, &options, &session->diag);

	session_end(&activity, r >= 0);
	return r;
}

static int export_tar(struct checkout *checkout, const struct digest *tree)
{
	struct session *session = checkout->session;
	struct session_activity activity = session_begin(session, "Creating tarball", checkout->staging.target);
	int r = session_tarball(session, tree, "./", session->request->tar, session->request->compression);

	session_end(&activity, r >= 0);
	return r;
}

/* Whatever it was, it ends the command as an error of the stream, under the reason it had. */
static int staging_failed(struct session *session, int r)
{
	if (r < 0 && session->diag.domain && !str_eq(session->diag.domain, "stream")) {
		_cleanup_free_ char *text = xstrdup(buf_text(&session->diag.message));

		session->diag.domain = "stream";
		buf_clear(&session->diag.message);
		buf_printf(&session->diag.message, "Error while staging dependencies into a sandbox: '%s'", text);
	}
	return r;
}

static int run(struct checkout *checkout)
{
	struct session *session = checkout->session;
	const struct session_request *request = session->request;
	struct session_staging *staging = &checkout->staging;
	struct digest tree;
	int r = find_location(checkout);

	if (r == 0)
		r = session_select(session, (enum session_deps)request->deps, &staging->ids);
	if (r == 0)
		r = session_query(session, &staging->ids, false);
	if (r == 0)
		r = session_staging_init(staging);
	if (r == 0)
		r = session_staging_deps(staging);
	if (r == 0)
		r = staging_failed(session, session_staging_artifacts(staging));
	if (r == 0 && request->integrate)
		r = staging_failed(session, session_staging_integrate(staging));
	if (r == 0) {
		r = cas_tree_digest(sandbox_tree(staging->sandbox), "", &tree);
		if (r < 0)
			return diag_errno(&session->diag, "cas", NULL, -r, "Could not store the tree to check out");
	}
	if (r == 0)
		r = request->tar ? export_tar(checkout, &tree) : export_directory(checkout, &tree);
	return r;
}

int session_artifact_checkout(struct session *session)
{
	struct checkout checkout = { .session = session, .staging = { .session = session } };
	int r = session_load(session, SESSION_LOAD_ARTIFACTS | SESSION_LOAD_ONE);

	if (r == 0 && session->targets.count != 1)
		r = diag_set(&session->diag, "app", NULL, "Missing argument \"ELEMENT\".");
	if (r == 0)
		r = session_open_cache(session, true);
	if (r == 0) {
		checkout.staging.target = session->targets.ids[0];
		r = run(&checkout);
	}
	session_staging_release(&checkout.staging);
	return r;
}
