/* anitya: a release archive whose URL is made from its version, unpacked without its topmost directory.
 *
 *     <sourcedir>/anitya/<mirror directory of the template>/<sha256>
 *
 * The parts of a version, and the template's language (Python's str.format with names alone), are the plugin's:
 * buildstream-plugins-community, sources/anitya.py.
 */
#include <errno.h>
#include <string.h>

#include "sources/sources_internal.h"
#include "sources/unpack.h"

enum part { WHOLE, PREFIX, MAJOR, MINOR, PATCH, PRERELEASE, METADATA, PARTS };

struct span {
	const char *at;
	size_t len;
};

static const char *const part_names[PARTS] = { "version", "prefix", "major", "minor", "patch", "prerelease", "metadata" };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t digits(const char *text)
{
	size_t len = 0;

	while (is_digit(text[len]))
		len++;
	return len;
}

/* "1.2" anywhere in it? */
static bool has_dotted_number(const char *text)
{
	for (; *text; text++)
		if (is_digit(text[0]) && text[1] == '.' && is_digit(text[2]))
			return true;
	return false;
}

/* ".12" at *at: its digits, and *at moves on. */
static bool take_dotted(const char **at, struct span *ret)
{
	size_t len = **at == '.' ? digits(*at + 1) : 0;

	if (!len)
		return false;
	if (ret)
		*ret = (struct span){ *at + 1, len };
	*at += 1 + len;
	return true;
}

/* Where the number begins that counts: the first one that is dotted, or, if none is, the first at all. */
static const char *find_major(const char *version)
{
	for (const char *at = version; *at; at++) {
		size_t len = digits(at);

		if (len && ((at[len] == '.' && is_digit(at[len + 1])) || !has_dotted_number(at + len)))
			return at;
	}
	return NULL;
}

/* Parts that a version does not have have at NULL, if it cannot be taken apart, or are empty. */
static void split(const char *version, struct span parts[PARTS])
{
	const char *major = find_major(version), *at;

	memset(parts, 0, PARTS * sizeof *parts);
	parts[WHOLE] = (struct span){ version, strlen(version) };
	parts[PREFIX] = parts[PRERELEASE] = parts[METADATA] = (struct span){ "", 0 };
	if (!major)
		return;
	parts[PREFIX] = (struct span){ version, (size_t)(major - version) };
	parts[MAJOR] = (struct span){ major, digits(major) };
	parts[MINOR] = parts[PATCH] = (struct span){ "", 0 };
	at = major + parts[MAJOR].len;
	if (take_dotted(&at, &parts[MINOR]) && take_dotted(&at, &parts[PATCH]))
		while (take_dotted(&at, NULL))
			;
	at += strspn(at, "-_.~");
	parts[PRERELEASE] = (struct span){ at, strcspn(at, "+") };
	at += parts[PRERELEASE].len;
	if (*at == '+')
		parts[METADATA] = (struct span){ at + 1, strlen(at + 1) };
}

static const char *find_part(const void *data, const char *name, size_t len, size_t *ret_len)
{
	const struct span *parts = data;

	for (unsigned i = 0; i < PARTS; i++)
		if (strlen(part_names[i]) == len && strncmp(part_names[i], name, len) == 0) {
			*ret_len = parts[i].len;
			return parts[i].at;
		}
	return NULL;
}

static int render(struct sources_context *ctx, const struct kinds_anitya *anitya, struct buf *ret)
{
	struct span parts[PARTS];
	const char *unknown;
	size_t len;
	int r;

	split(anitya->release, parts);
	r = kinds_render(anitya->url_template, find_part, parts, ret, &unknown, &len);
	if (r == 0)
		return 0;
	if (r == -ENOENT)
		diag_set(ctx->diag, "source", "invalid-url", "Version '%s' does not provide {%.*s} for the URL template '%s'",
			 anitya->release, (int)len, unknown, anitya->url_template);
	else
		diag_set(ctx->diag, "source", "invalid-url", "Not a URL template, since a brace has no partner: '%s'",
			 anitya->url_template);
	return -EINVAL;
}

/* Everything of it in arena. */
static int file_of(struct sources_context *ctx, const struct graph_source *source, struct arena *arena,
		   struct sources_file *ret)
{
	const struct kinds_anitya *anitya = source->config;
	size_t prefix_len = strcspn(anitya->url_template, "{");
	_cleanup_buf_ struct buf url = BUF_INIT, name = BUF_INIT;
	int r = 0;

	/* KDE's plugin renders in its own way, and names the directory by what comes out. */
	if (anitya->rendered)
		buf_adds(&url, anitya->rendered);
	else
		r = render(ctx, anitya, &url);
	if (r < 0)
		return r;
	sources_mirror_name(&name, anitya->rendered ? anitya->rendered : anitya->url_template);
	*ret = (struct sources_file){
		.directory = arena_printf(arena, "%s/%s/%s", ctx->sourcedir, source->ops->name, buf_text(&name)),
		.original_url = arena_strdup(arena, buf_text(&url)),
		/* only what stands before the first brace has been translated */
		.url = arena_printf(arena, "%s%s", anitya->prefix_url,
				    strncmp(buf_text(&url), anitya->url_template, prefix_len) == 0 ? url.data + prefix_len :
												     buf_text(&url)),
		.sha256 = anitya->sha256sum,
		.community = true,
	};
	return 0;
}

static struct glob_set *excluded(const struct kinds_anitya *anitya)
{
	struct glob_set *set = anitya->exclude.count ? glob_new() : NULL;

	for (uint32_t i = 0; i < anitya->exclude.count; i++) {
		const char *pattern = anitya->exclude.items[i];
		_cleanup_free_ char *rooted = xasprintf("%s%s", *pattern == '/' ? "" : "/", pattern);

		(void)glob_add(set, rooted); /* a class that makes no sense matches nothing */
	}
	return set;
}

static int tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		struct digest *ret)
{
	struct glob_set *exclude = excluded(source->config);
	struct archive_rules rules = { .format = ARCHIVE_TAR, .strip_top = true, .exclude = exclude };
	_cleanup_close_ int fd = -1;
	struct arena arena = { 0 };
	struct sources_file file;
	int r = file_of(ctx, source, &arena, &file);

	if (r == 0)
		r = fd = sources_file_open(ctx, &file);
	if (r >= 0)
		r = sources_archive_tree(ctx, fd, &rules, NULL, ret);
	glob_free(exclude);
	arena_release(&arena);
	return r;
}

const struct sources_ops sources_anitya = { .kind = "anitya", .file_of = file_of,
	.have = sources_one_file_have, .fetch = sources_one_file_fetch, .tree = tree };
