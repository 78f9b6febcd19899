/* A batch that is one command on the caller's own terminal: what is different from batches of builds. */
#include "sandbox/sandbox_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

/* An empty file to mount a file or a device on. */
static int make_file(struct sandbox *sandbox, const char *path)
{
	struct cas_entry entry = { .type = CAS_FILE };
	_cleanup_free_ char *parent = xstrndup(path, (size_t)(fs_basename(path) - path));
	int r = cas_tree_mkdir(sandbox->tree, parent);

	if (r >= 0)
		r = cas_put(sandbox->host->cas, "", 0, &entry.digest);
	return r < 0 ? r : cas_tree_put(sandbox->tree, path, &entry);
}

int sandbox_mount_points(struct sandbox *sandbox, const struct sandbox_shell *shell, struct diag *diag)
{
	for (uint32_t i = 0; i < shell->mount_count; i++) {
		const struct sandbox_mount *mount = &shell->mounts[i];
		struct cas_entry there;
		struct stat st;
		int r;

		if (mount->target[strspn(mount->target, "/")] == '\0' || cas_tree_lookup(sandbox->tree, mount->target, false, &there) >= 0)
			continue;
		r = stat(mount->source, &st) < 0 ? -errno :
		    S_ISDIR(st.st_mode)		 ? cas_tree_mkdir(sandbox->tree, mount->target) :
						   make_file(sandbox, mount->target);
		if (r < 0)
			return diag_errno(diag, "sandbox", NULL, -r, "Cannot mount '%s' at '%s' in the sandbox", mount->source,
					  mount->target);
	}
	return 0;
}
