/* Finding and opening modules: see module.h. */
#include "base/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef MILLRACE_LIBDIR
#define MILLRACE_LIBDIR "/usr/local/lib/millrace"
#endif

/* Relative to the directory of the executable: installed beside it, or in the build tree. */
static const char *const places[] = { "../lib/millrace", ".", "sources", "session", "remote", "../sources", "../session", "../remote",
				      "../src/sources", "../src/session", "../src/remote", "../../src/sources",
				      "../../src/session", "../../src/remote" };

static void *try_open(const char *directory, const char *place, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/millrace-%s.so", directory, place, name);

	return access(path, R_OK) == 0 ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
}

static void *find(const char *name)
{
	const char *given = getenv("MILLRACE_MODULES");
	char directory[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", directory, sizeof directory - 1);
	void *handle = NULL;
	char *slash;

	if (given)
		return try_open(given, ".", name);
	if (len > 0) {
		directory[len] = '\0';
		slash = strrchr(directory, '/');
		if (slash)
			*slash = '\0';
		for (unsigned i = 0; !handle && i < ARRAY_SIZE(places); i++)
			handle = try_open(directory, places[i], name);
	}
	return handle ? handle : try_open(MILLRACE_LIBDIR, ".", name);
}

const void *module_open(const char *name, const char *symbol, struct diag *diag)
{
	void *handle = find(name);
	const void *found = handle ? dlsym(handle, symbol) : NULL;

	if (!found) {
		const char *why = dlerror();

		diag_set(diag, "module", "missing-module", "Cannot open the module millrace-%s.so", name);
		diag_detail(diag, "%s", why ? why : "It is neither beside the program nor in " MILLRACE_LIBDIR);
	}
	return found;
}
