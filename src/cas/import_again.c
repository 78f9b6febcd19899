/* A tree that was hashed while the project was loaded, into the store.
 *
 * What the stat cache noted says which names there are, so only the files themselves are opened: of a small import's
 * system calls that is two thirds less.  Nothing that was noted is believed: the result must have the digest that was
 * asked for, and so must each file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "cas/statcache_internal.h"

struct again {
	struct cas *cas;
	struct statcache_items items;
	struct buf path;    /* of what is being read */
	struct buf scratch; /* an encoded directory */
};

static bool read_file(struct again *again, const struct digest *expect, struct cas_entry *entry)
{
	/* O_NONBLOCK: a FIFO put in the file's place must not make us wait */
	_cleanup_close_ int fd = fs_open_read(AT_FDCWD, again->path.data, O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != expect->size_bytes ||
	    cas_put_open(again->cas, fd, &st, &entry->digest) < 0)
		return false;
	entry->executable = st.st_mode & S_IXUSR;
	return digest_eq(&entry->digest, expect);
}

static bool read_symlink(struct again *again, struct cas_entry *entry)
{
	char target[CAS_TARGET_MAX + 1];
	ssize_t n = readlink(again->path.data, target, sizeof target);

	if (n < 0 || n > CAS_TARGET_MAX)
		return false;
	entry->target = xstrndup(target, (size_t)n);
	return true;
}

static bool read_directory(struct again *again, unsigned depth, struct digest *ret);

static bool read_entry(struct again *again, const struct statcache_item *item, unsigned depth, struct cas_entry *entry)
{
	switch ((enum cas_type)item->type) {
	case CAS_FILE:
		return read_file(again, &item->digest, entry);
	case CAS_SYMLINK:
		return read_symlink(again, entry);
	case CAS_DIRECTORY:
		return depth < CAS_DEPTH_MAX && read_directory(again, depth + 1, &entry->digest);
	case CAS_NONE:
		break;
	}
	return false;
}

static bool keep(struct again *again, struct cas_directory *directory, struct digest *ret)
{
	cas_sort_entries(directory->entries, directory->count);
	for (uint32_t i = 1; i < directory->count; i++)
		if (str_eq(directory->entries[i - 1].name, directory->entries[i].name))
			return false;
	buf_clear(&again->scratch);
	cas_directory_encode(directory, &again->scratch);
	return cas_put(again->cas, buf_text(&again->scratch), again->scratch.len, ret) == 0;
}

/* What is noted of one directory, up to its end; the directory is stored after all below it. */
static bool read_directory(struct again *again, unsigned depth, struct digest *ret)
{
	struct cas_directory directory = { 0 };
	size_t base = again->path.len, cap = 0;
	struct statcache_item item = { .type = CAS_NONE };
	bool good = true;

	while (good && (good = statcache_next(&again->items, &item)) && item.type != CAS_NONE) {
		struct cas_entry *entry;

		directory.entries = util_grow(directory.entries, &cap, directory.count + 1, sizeof(*directory.entries));
		entry = &directory.entries[directory.count++];
		*entry = (struct cas_entry){ .type = (enum cas_type)item.type, .name = item.name,
					     .name_len = (uint32_t)item.name_len };
		buf_addc(&again->path, '/');
		buf_add(&again->path, item.name, item.name_len);
		good = read_entry(again, &item, depth, entry);
		again->path.len = base;
		again->path.data[base] = '\0';
	}
	good = good && keep(again, &directory, ret);
	for (uint32_t i = 0; i < directory.count; i++)
		free((char *)directory.entries[i].target);
	free(directory.entries);
	return good;
}

bool cas_import_again(struct cas *cas, const char *path, struct cas_statcache *statcache, const struct digest *expect)
{
	struct again again = { .cas = cas };
	struct digest digest;
	bool good = statcache_recorded(statcache, 't', path, &again.items, &digest) && digest_eq(&digest, expect);

	buf_adds(&again.path, path);
	good = good && read_directory(&again, 0, &digest) && digest_eq(&digest, expect);
	buf_release(&again.path);
	buf_release(&again.scratch);
	return good;
}
