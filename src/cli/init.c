/* `init`: writes the project.conf of a new project, word for word as the peer does. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/cli_internal.h"

static int check_name(const void *data, const char *name, struct diag *diag)
{
	static const char valid[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";

	if (*name && !name[strspn(name, valid)] && !(*name >= '0' && *name <= '9'))
		return 0;
	diag_set(diag, "load", "invalid-symbol-name", "Invalid symbol name for project name: '%s'", name);
	diag_detail(diag, "Symbol names must contain only alphanumeric characters, may not start with a digit, and may "
			  "contain underscores or dashes");
	return -EINVAL;
}

/* "2.4" and "2.4.1" are versions; so is " 2. 4", as Python's int() sees it, but nobody writes that. */
static bool parse_version(const char *text, long *major, long *minor)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*major = strtol(text, &end, 10);
	if (*end != '.' || end[1] < '0' || end[1] > '9')
		return false;
	*minor = strtol(end + 1, &end, 10);
	return *end == '\0' || *end == '.';
}

static int check_min_version(const void *data, const char *version, struct diag *diag)
{
	long major, minor;

	if (!parse_version(version, &major, &minor))
		return diag_set(diag, "app", "invalid-min-version", "Malformed version string: %s", version);
	if (major == CLI_PEER_MAJOR && minor <= CLI_PEER_MINOR)
		return 0;
	return diag_set(diag, "app", "invalid-min-version", "The minimum version must be a known version of BuildStream %d",
			CLI_PEER_MAJOR);
}

static int check_element_path(const void *data, const char *path, struct diag *diag)
{
	bool outside = path[0] == '/';

	for (const char *p = path; *p && !outside;) {
		size_t len = strcspn(p, "/");

		outside = len == 2 && strncmp(p, "..", 2) == 0;
		p += len + (p[len] == '/');
	}
	if (!outside)
		return 0;
	return diag_set(diag, "app", "invalid-element-path",
			"The element path cannot be an absolute path or contain any '..' components\n");
}

/* One question with its explanation; *value is the default and becomes the answer.  1: the person gave up. */
static int ask(struct arena *arena, bool colors, const char *title, const char *const *paragraphs, const char *prompt,
	       const char *fallback, cli_check_fn *check, const char **value)
{
	_cleanup_buf_ struct buf text = BUF_INIT, rule = BUF_INIT, label = BUF_INIT;

	buf_addc(&text, '\n');
	cli_styled(&text, colors, CLI_CONTENT, title);
	buf_addc(&text, '\n');
	for (size_t i = 0; i < strlen(title); i++)
		buf_addc(&rule, '-');
	cli_styled(&text, colors, CLI_FORMAT, buf_text(&rule));
	buf_adds(&text, "\n\n");
	for (; *paragraphs; paragraphs++) {
		_cleanup_buf_ struct buf wrapped = BUF_INIT;

		cli_wrap(&wrapped, *paragraphs, 79, "  ", "  ");
		cli_styled(&text, colors, CLI_DETAIL, buf_text(&wrapped));
		buf_adds(&text, "\n\n");
	}
	fs_write_all(STDERR_FILENO, buf_text(&text), text.len);
	cli_styled(&label, colors, CLI_CONTENT, prompt);
	_cleanup_free_ char *answer = cli_prompt(buf_text(&label), fallback, check, NULL);

	if (!answer)
		return 1;
	*value = arena_strdup(arena, answer);
	return 0;
}

static int ask_all(struct arena *arena, struct session_request *request)
{
	static const char *const about_name[] = {
		"The name tells this project from all others: in your user configuration, and in caches that several "
		"projects share.",
		"It may contain letters, digits, dashes and underscores, and does not begin with a digit.", NULL
	};
	static const char *const about_version[] = {
		"Whoever builds the project with a tool that is older than this is told so.",
		"The lowest version allowed is 2.0; this Millrace understands everything up to 2.8.", NULL
	};
	static const char *const about_path[] = {
		"The element path is the subdirectory of the project that holds its elements, the .bst files.",
		"Elements are called by their file names below it, in logs as well as in dependencies.", NULL
	};
	bool colors = request->globals.colors;
	int r = ask(arena, colors, "Choose a unique name for your project", about_name, "Project name", NULL, check_name,
		    &request->project_name);

	if (r == 0)
		r = ask(arena, colors, "Select the minimum required BuildStream version for your project", about_version,
			"Minimum version", request->min_version, check_min_version, &request->min_version);
	if (r == 0)
		r = ask(arena, colors, "Select the element path", about_path, "Element path", request->element_path,
			check_element_path, &request->element_path);
	return r;
}

static const char *absolute(struct arena *arena, const char *path)
{
	_cleanup_buf_ struct buf whole = BUF_INIT, normal = BUF_INIT;
	char cwd[PATH_MAX];

	if (path[0] != '/')
		buf_printf(&whole, "%s/", getcwd(cwd, sizeof(cwd)) ? cwd : "");
	buf_adds(&whole, path);
	fs_normpath(&normal, buf_text(&whole));
	return arena_strdup(arena, buf_text(&normal));
}

static int write_project(const struct session_request *request, const char *directory, const char *conf,
			 struct diag *diag)
{
	_cleanup_buf_ struct buf elements = BUF_INIT, text = BUF_INIT;
	_cleanup_close_ int fd = -1;
	int r = fs_mkdir_p(AT_FDCWD, directory, 0777);

	if (r < 0)
		return diag_errno(diag, "app", NULL, -r, "Error creating project directory %s", directory);
	buf_printf(&elements, "%s/%s", directory, request->element_path);
	r = fs_mkdir_p(AT_FDCWD, buf_text(&elements), 0777);
	if (r < 0)
		return diag_errno(diag, "app", NULL, -r, "Error creating elements sub-directory %s", buf_text(&elements));
	buf_printf(&text,
		   "# Unique project name\n"
		   "name: %s\n\n"
		   "# Required BuildStream version\n"
		   "min-version: %s\n\n"
		   "# Subdirectory where elements are stored\n"
		   "element-path: %s\n",
		   request->project_name, request->min_version, request->element_path);
	fd = open(conf, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	r = fd < 0 ? -errno : fs_write_all(fd, buf_text(&text), text.len);
	if (r < 0)
		return diag_errno(diag, "app", NULL, -r, "Error writing %s", conf);
	return 0;
}

static int check_all(const struct session_request *request, struct diag *diag)
{
	int r = check_name(NULL, request->project_name, diag);

	if (r == 0)
		r = check_min_version(NULL, request->min_version, diag);
	return r == 0 ? check_element_path(NULL, request->element_path, diag) : r;
}

int cli_init(struct cli_values *values, struct buf *created, struct diag *diag)
{
	struct session_request *request = &values->request;
	struct arena arena = ARENA_INIT;
	const char *given = request->targets.count ? request->targets.items[0] : NULL;
	const char *directory = absolute(&arena, given		       ? given :
						 request->globals.directory ? request->globals.directory :
									       ".");
	const char *conf = arena_printf(&arena, "%s/project.conf", directory);
	int r = 0;

	if (request->globals.directory) {
		r = diag_set(diag, "app", "init-with-set-directory", "Attempted to use -C or --directory with init.");
		diag_detail(diag, "Please use 'bst init %s' instead.", directory);
	} else if (!request->force && access(conf, F_OK) == 0) {
		r = diag_set(diag, "app", "project-exists", "A project.conf already exists at: %s", conf);
	} else if (request->project_name && *request->project_name) {
		r = check_all(request, diag);
	} else if (!request->globals.interactive) {
		r = diag_set(diag, "app", "unspecified-project-name",
			     "Cannot initialize a new project without specifying the project name");
	} else {
		r = ask_all(&arena, request);
	}
	if (r == 0)
		r = write_project(request, directory, conf, diag);
	if (r == 0)
		buf_printf(created, "\nCreated project.conf at: %s\n", conf);
	arena_release(&arena);
	return r;
}
