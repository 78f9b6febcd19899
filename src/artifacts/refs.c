/* Record files: names, reading, writing, listing. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "artifacts/artifacts_internal.h"
#include "base/fs.h"
#include "base/glob.h"

static const char REFS[] = "artifacts/refs";

void artifact_name(struct buf *ret, const char *project, const char *normal, const char *key_hex)
{
	buf_printf(ret, "%s/", project);
	for (; *normal; normal++) {
		unsigned char c = (unsigned char)*normal;

		if ((c & 0xc0) == 0x80)
			continue; /* the rest of a character that is one '_' already */
		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._", c))
			buf_addc(ret, (char)c);
		else
			buf_addc(ret, '_');
	}
	buf_printf(ret, "/%s", key_hex);
}

/* project/normal/key and nothing that could lead elsewhere: names come from command lines too. */
static bool name_is_sane(const char *name)
{
	unsigned parts = 0;

	for (const char *at = name;; at++) {
		size_t len = strcspn(at, "/");

		if (len == 0 || (len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.'))
			return false;
		parts++;
		at += len;
		if (!*at)
			return parts == 3;
	}
}

static int open_record(struct cas *cas, const char *name, char **path, int *ret)
{
	struct stat st;

	if (!name_is_sane(name))
		return -ENOENT;
	*path = xasprintf("%s/%s", REFS, name);
	*ret = openat(cas_cachedir_fd(cas), *path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*ret < 0)
		return errno == ENOTDIR || errno == ELOOP ? -ENOENT : -errno;
	if (fstat(*ret, &st) < 0 || !S_ISREG(st.st_mode))
		return -ENOENT;
	if (cas_should_touch(cas, &st))
		(void)!futimens(*ret, NULL);
	return 0;
}

#ifdef JOBS_NO_LOOKUP
bool artifact_lookup_forbidden;
#endif

int artifact_read(struct artifact *ret, struct arena *arena, struct cas *cas, const char *name, struct buf *bytes)
{
	_cleanup_buf_ struct buf own = BUF_INIT;
	struct buf *in = bytes ? bytes : &own;
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r = open_record(cas, name, &path, &fd);

#ifdef JOBS_NO_LOOKUP
	if (artifact_lookup_forbidden)
		bug("a job looked up the artifact %s on disk", name);
#endif
	if (r < 0)
		return r;
	buf_clear(in);
	r = fs_read_fd(in, fd, ARTIFACT_PROTO_MAX);
	if (r == 0)
		r = artifact_decode(ret, arena, in->data, in->len);
	if (r == -EBADMSG || r == -EFBIG) {
		unlinkat(cas_cachedir_fd(cas), path, 0);
		r = -ENOENT;
	}
	return r;
}

int artifact_cached(struct artifact *ret, struct arena *arena, struct cas *cas, const char *name)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	uint8_t hash[DIGEST_BYTES];
	struct artifact artifact;
	int r = artifact_read(&artifact, arena, cas, name, &bytes);

	if (r)
		return r == -ENOENT ? 0 : r;
	if (!artifact.has_low_meta || !artifact.has_high_meta || !artifact.has_public_data)
		return 0;
	digest_sha256(hash, bytes.data, bytes.len);
	/* one look all the same: a store whose files were all cut short shows it */
	if (cas_whole_begin(cas, hash) && (!artifact.has_files || cas_has(cas, &artifact.files) > 0)) {
		*ret = artifact;
		return 1;
	}
	r = cas_has(cas, &artifact.low_meta);
	if (r > 0)
		r = cas_has(cas, &artifact.high_meta);
	if (r > 0)
		r = cas_has(cas, &artifact.public_data);
	for (uint32_t i = 0; r > 0 && i < artifact.log_count; i++)
		r = cas_has(cas, &artifact.logs[i].digest);
	if (r > 0 && artifact.has_files)
		r = cas_has_tree(cas, &artifact.files);
	if (r > 0) {
		cas_whole_note(cas, hash);
		*ret = artifact;
	}
	return r;
}

bool artifact_has_part(const struct artifact *artifact, struct cas *cas, enum artifact_part part)
{
	const struct digest *digests[] = { [ARTIFACT_BUILDTREE] = artifact->has_buildtree ? &artifact->buildtree : NULL,
					   [ARTIFACT_SOURCES] = artifact->has_sources ? &artifact->sources : NULL,
					   [ARTIFACT_BUILDROOT] = artifact->has_buildroot ? &artifact->buildroot : NULL };

	return !digests[part] || cas_has_tree(cas, digests[part]) > 0;
}

static int write_somehow(int dirfd, const char *path, const struct buf *bytes)
{
	int r = fs_write_new(dirfd, path, bytes->data, bytes->len, 0644);

	return r == 0 || r == -ENOENT ? r : fs_write_file(dirfd, path, bytes->data, bytes->len, 0644);
}

int artifact_write_record(struct cas *cas, const char *path, const struct buf *bytes)
{
	int fd = cas_cachedir_fd(cas), r = write_somehow(fd, path, bytes);

	if (r == -ENOENT) { /* the first of its directory */
		r = fs_mkdir_parent(fd, path, 0755);
		if (r == 0)
			r = write_somehow(fd, path, bytes);
	}
	return r;
}

/* All names of an artifact have the same record: further ones are links to the first.  Where a link cannot be made, or a
 * record stands there already, it is a file of its own. */
int artifact_write(const struct artifact *artifact, struct cas *cas, const char *project, const char *normal,
		   bool all_keys, struct diag *diag)
{
	const char *keys[] = { artifact->strong_key, artifact->weak_key, all_keys ? artifact->strict_key : NULL };
	_cleanup_buf_ struct buf bytes = BUF_INIT, first = BUF_INIT, path = BUF_INIT;
	int fd = cas_cachedir_fd(cas), r = 0;

	artifact_encode(artifact, &bytes);
	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(keys); i++) {
		struct buf *to = first.len ? &path : &first;
		bool again = false;

		for (unsigned j = 0; j < i; j++)
			again |= str_eq(keys[i], keys[j]);
		if (!keys[i] || !*keys[i] || again)
			continue;
		buf_clear(to);
		buf_printf(to, "%s/", REFS);
		artifact_name(to, project, normal, keys[i]);
		/* An element's first artifact, mostly: to find its directory missing costs more than to make it. */
		if (to == &first)
			(void)fs_mkdir_parent(fd, first.data, 0755);
		if (to == &first || linkat(fd, first.data, fd, path.data, 0) < 0)
			r = artifact_write_record(cas, to->data, &bytes);
	}
	if (r < 0)
		diag_errno(diag, "artifact", "cache", -r, "Cannot write the record of artifact %s/%s", project, normal);
	return r;
}

int artifact_remove(struct cas *cas, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", REFS, name);

	if (!name_is_sane(name))
		return -ENOENT;
	if (unlinkat(cas_cachedir_fd(cas), path, 0) < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	/* Directories of an element and of a project go with their last record. */
	for (int up = 0; up < 2; up++) {
		*strrchr(path, '/') = '\0';
		if (unlinkat(cas_cachedir_fd(cas), path, AT_REMOVEDIR) < 0)
			break;
	}
	return 0;
}

/* What an artifact cannot do without: build trees and sources may have gone, as under the peer. */
static bool has_all(struct cas *cas, const struct artifact *artifact)
{
	const struct {
		bool named;
		const struct digest *digest;
	} blobs[] = {
		{ artifact->has_public_data, &artifact->public_data },
		{ artifact->has_low_meta, &artifact->low_meta },
		{ artifact->has_high_meta, &artifact->high_meta },
	};

	if (artifact->has_files && cas_has_tree(cas, &artifact->files) != 1)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(blobs); i++)
		if (blobs[i].named && cas_has(cas, blobs[i].digest) != 1)
			return false;
	for (uint32_t i = 0; i < artifact->log_count; i++)
		if (cas_has(cas, &artifact->logs[i].digest) != 1)
			return false;
	return true;
}

bool artifact_check_ref(void *data, const char *path, const char *bytes, size_t len)
{
	struct arena arena = ARENA_INIT;
	struct artifact artifact;
	struct digest digest;
	bool good;

	if (str_starts(path, REFS))
		good = artifact_decode(&artifact, &arena, bytes, len) == 0 && has_all(data, &artifact);
	else
		good = source_decode(&digest, bytes, len) == 0 && cas_has_tree(data, &digest) == 1;
	arena_release(&arena);
	return good;
}

/* ---- listing ---- */

struct found {
	char *name;
	int64_t mtime_s;
};

struct listing {
	struct glob_set *glob; /* NULL: all */
	struct found *found;
	size_t count, cap;
	struct buf path;
	unsigned level;
};

static int list_name(void *data, int dirfd, const char *name)
{
	struct listing *listing = data;
	size_t base = listing->path.len;
	struct stat st;

	buf_printf(&listing->path, "%s%s", base ? "/" : "", name);
	if (listing->level < 2) {
		listing->level++;
		(void)fs_each_name(dirfd, name, list_name, listing); /* what cannot be read is not listed */
		listing->level--;
	} else if ((!listing->glob || glob_match(listing->glob, listing->path.data)) &&
		   fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
		listing->found = util_grow(listing->found, &listing->cap, listing->count + 1, sizeof *listing->found);
		listing->found[listing->count++] = (struct found){ xstrdup(listing->path.data), st.st_mtime };
	}
	listing->path.len = base;
	listing->path.data[base] = '\0';
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

int artifact_list(struct cas *cas, const char *glob, int (*visit)(void *data, const char *name, int64_t mtime_s),
		  void *data)
{
	struct listing listing = { 0 };
	int r = 0;

	if (glob) {
		listing.glob = glob_new();
		r = glob_add(listing.glob, glob);
	}
	if (r == 0)
		(void)fs_each_name(cas_cachedir_fd(cas), REFS, list_name, &listing);
	if (listing.count)
		qsort(listing.found, listing.count, sizeof *listing.found, by_name);
	for (size_t i = 0; i < listing.count; i++) {
		if (r == 0)
			r = visit(data, listing.found[i].name, listing.found[i].mtime_s);
		free(listing.found[i].name);
	}
	free(listing.found);
	buf_release(&listing.path);
	glob_free(listing.glob);
	return r;
}
