/* cas/cas.h: bytes by digest, directories of them, and the ways in and out of the file system.
 *
 * The store is BuildStream 2's own, so that both tools can share one cache directory:
 *
 *     <cachedir>/cas/objects/xx/yyyy...   one blob per file, named by its SHA-256 (2 + 62 hex digits), mode 0444
 *     <cachedir>/cas/tmp/                 blobs being written piece by piece; renamed into objects/ when complete
 *     <cachedir>/cas/disk_usage           the peer daemon's own count; never read, and removed where it would be wrong
 *     <cachedir>/millrace/cas/            what is ours: session markers (crash recovery)
 *     <cachedir>/millrace/whole           what was found whole in earlier runs
 *     <cachedir>/millrace/usage           our count of bytes, shared by all sessions (usage.c)
 *
 * Trees are REAPI Directory messages (build/bazel/remote/execution/v2/remote_execution.proto) in canonical form, stored
 * as blobs.  Everything read back is checked: a blob whose bytes do not have its name is removed and reported as missing,
 * never as an error of its own, because another tool may expire or damage objects at any time.  "Missing" is -ENOENT
 * all over this room.
 *
 * No object is synced to disk as it is written.  A session that writes leaves a marker while it runs; where a marker is
 * found whose machine has been restarted since (a power cut), everything written since that session began is verified
 * (cas_session_begin).
 *
 * An object's mtime is the expiry clock of both tools: every object used is touched, unless that was done less than an
 * hour before this session began (with a quota: at all before it began; but objects of what was found whole in an earlier
 * run count as used with the record that names them).  A session's marker says from when on what was
 * used is its own; whoever expires objects spares that of all live sessions (cas/care.h).
 * Removing an object changes its directory, and that is how others see it: nobody may remove one in any other way.
 *
 * A struct cas may be opened before a fork and used by both sides: it holds directory descriptors and caches, no locks
 * and no file offsets.  Not thread-safe.  int results: 0 or more on success, -errno on failure.
 */
#ifndef CAS_CAS_H
#define CAS_CAS_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/digest.h"

/* ---- limits on what comes from outside ---- */
enum {
	CAS_NAME_MAX = 255,               /* bytes of one name, as in Linux */
	CAS_TARGET_MAX = 4095,            /* bytes of a symlink's target */
	CAS_DIRECTORY_MAX = 64 << 20,     /* bytes of one Directory message */
	CAS_DEPTH_MAX = 1000,             /* nesting of directories */
};

/* Below cachedir, where records are: of artifacts, of sources, of the sources of elements. */
enum { CAS_RECORDS_OF_ARTIFACTS, CAS_RECORDS_OF_SOURCES, CAS_RECORDS_OF_ELEMENTS, CAS_RECORD_DIRS };
extern const char *const cas_record_dirs[CAS_RECORD_DIRS];

/* ---- the store ---- */
struct cas;

/* Opens the store below cachedir, making what is not there.  On failure diag says which path and why ("cas" domain). */
int cas_new(struct cas **ret, const char *cachedir, struct diag *diag);
void cas_free(struct cas *cas);
/* Directory descriptor of <cachedir>, for rooms that keep their own files there.  Owned by cas. */
int cas_cachedir_fd(const struct cas *cas);
const char *cas_cachedir(const struct cas *cas);

/* A session that writes begins here, in the parent, before it forks: leaves a marker (held by a lock until the session's
 * processes are gone) and, where markers of a machine that has gone down are found, verifies all objects written since
 * they began, dropping broken ones; check_ref is then called for each file younger than that below artifacts/refs,
 * source_protos and elementsources (path relative to cachedir) and returns false if the file should be dropped.
 * Returns the number of files dropped (mostly 0).  check_ref may be NULL: those files are then checked to be non-empty.
 * What was used since the store was opened counts as used by this session: nobody expires it. */
int cas_session_begin(struct cas *cas, bool (*check_ref)(void *data, const char *path, const char *bytes, size_t len),
		      void *data, struct diag *diag);
/* What cas_session_begin is to call in that case, too, before it calls those markers settled: for what other rooms keep beside
 * the store. */
void cas_on_recovery(struct cas *cas, void (*fn)(void *data), void *data);
/* Makes all that was written durable, then removes the marker.  In a child process of its own if background is set, so
 * that the caller can exit at once. */
void cas_session_end(struct cas *cas, bool background);
/* Instead of cas_session_end where no process of the session but this one can have written: without a sync if this one has not. */
void cas_session_end_idle(struct cas *cas, bool background);

/* ---- how much may be in it ---- */

#define CAS_QUOTA_INFINITE INT64_MAX
struct cas_limits {
	int64_t quota_bytes;    /* of all objects and layers together; CAS_QUOTA_INFINITE: as many as the disk holds */
	int64_t reserved_bytes; /* of the disk, never to be filled */
	double low_watermark;   /* 0 .. 1: down to that part of the quota it is emptied when it is full */
};
/* Says how much may be stored; without it, no limit.  To be called before anything is looked up: with a quota every object
 * used is touched, however recently that was done, so that it is known exactly what was used last. */
void cas_set_limits(struct cas *cas, const struct cas_limits *limits);
/* make_room is called before an object is stored for which there is no room, in whatever process does that; it should
 * remove what is not needed until need_bytes more fit (cas_lacking), and returns <0 if it could not be done.  Without it, or if
 * there is no room afterwards, storing fails with -EDQUOT. */
void cas_on_full(struct cas *cas, int (*make_room)(void *data, struct cas *cas, int64_t need_bytes), void *data);
/* How many bytes of objects have to go so that need_bytes more fit within the limits; 0 or less: none, there is room.
 * Layers are not counted: they may be there if there is room for them. */
int64_t cas_lacking(struct cas *cas, int64_t need_bytes);
/* To how many bytes of objects and layers an expiry should come down: the low watermark, need_bytes more included. */
int64_t cas_low_bytes(struct cas *cas, int64_t need_bytes);
/* What is known of the bytes of objects and of layers; false if they were not counted within the last hour.  After
 * cas_session_begin. */
bool cas_usage(const struct cas *cas, int64_t *objects_bytes, int64_t *layers_bytes);
/* What a count found; negative: leave as it is.  And what was added (or removed) since, of layers. */
void cas_counted(struct cas *cas, int64_t objects_bytes, int64_t layers_bytes);
void cas_add_layers(struct cas *cas, int64_t bytes);
/* Has something not been stored for want of room, by this process, since this was asked last?  text (may be NULL) then gets a
 * sentence with numbers. */
bool cas_was_full(struct cas *cas, struct buf *text);
/* Whoever reads a record that st describes should touch it. */
bool cas_should_touch(const struct cas *cas, const struct stat *st);

/* Is the blob there, with the right size?  1 or 0; touches it.  (Memory of this process answers for objects seen before
 * in this session, but not after cas_forget.) */
int cas_has(struct cas *cas, const struct digest *digest);
/* Adds the whole blob to ret.  -ENOENT if it is missing or was broken (and is now removed). */
int cas_get(struct cas *cas, const struct digest *digest, struct buf *ret);
/* A read-only descriptor of a blob, size checked, bytes not.  -ENOENT if missing. Never write through it. */
int cas_object_fd(struct cas *cas, const struct digest *digest);
/* Path relative to cachedir: "cas/objects/xx/yyyy...". */
enum { CAS_PATH_BYTES = sizeof "cas/objects/xx/" + 62 };
void cas_object_path(char ret[CAS_PATH_BYTES], const struct digest *digest);
/* Stores bytes; ret (may be NULL) is their digest.  One system call if the object is there already. */
int cas_put(struct cas *cas, const void *data, size_t len, struct digest *ret);
/* The same for bytes that the caller has hashed. */
int cas_put_known(struct cas *cas, const void *data, size_t len, const struct digest *digest);
/* Stores what fd has from offset 0 to its end. */
int cas_put_fd(struct cas *cas, int fd, struct digest *ret);
/* The same for a file by name; -ELOOP for a symlink, -EINVAL for what is not a regular file. */
int cas_put_file(struct cas *cas, int dirfd, const char *path, struct digest *ret);
/* The same for a file of our own that nobody needs any more, open at offset 0 as fd and named name in dirfd: large ones
 * become the object themselves instead of being copied. */
int cas_take_fd(struct cas *cas, int dirfd, const char *name, int fd, struct digest *ret);
/* Reads and hashes the object: 0 if sound, -ENOENT if missing or dropped because it was not. */
int cas_verify(struct cas *cas, const struct digest *digest);

/* Incremental store (a download, a log, a stream from a remote).  Nothing is visible before _end. */
struct cas_writer;
int cas_writer_new(struct cas_writer **ret, struct cas *cas);
int cas_writer_add(struct cas_writer *writer, const void *data, size_t len);
/* Finishes and frees.  expect (may be NULL): refuse with -EBADMSG unless this is the digest. */
int cas_writer_end(struct cas_writer *writer, const struct digest *expect, struct digest *ret);
void cas_writer_free(struct cas_writer *writer); /* gives up; NULL accepted */

/* Is the whole tree under this Directory there, files and all?  1 or 0; touches what it finds.  Trees found complete are
 * remembered for the session.  Files listed in several trees are looked up once. */
int cas_has_tree(struct cas *cas, const struct digest *directory);
/* Is a thing (a tree, or a record that names several) known to be whole, because nothing has changed where its objects are
 * since an earlier look, in this run or another?  hash names it: the tree's digest, or that of the record's bytes.  If false, the
 * caller looks at all its objects (cas_has, cas_has_tree) and, if they are there, calls cas_whole_note before another
 * _begin.  Always false before cas_whole_load. */
bool cas_whole_begin(struct cas *cas, const uint8_t hash[DIGEST_BYTES]);
void cas_whole_note(struct cas *cas, const uint8_t hash[DIGEST_BYTES]);
/* Reads and writes the file of such things; in the parent, before and after it asks for many.  Failures only cost time. */
void cas_whole_load(struct cas *cas);
void cas_whole_save(struct cas *cas);
/* Calls missing() for each object below (and including) directory that is not there; a directory that is missing hides
 * what is below it.  directories tells which kind it is. Stops at the first non-zero result and returns it. */
int cas_missing(struct cas *cas, const struct digest *directory,
		int (*missing)(void *data, const struct digest *digest, bool is_directory), void *data);
/* Forgets what this process remembers about objects being there and about decoded directories.  Between jobs this may be
 * called with keep_bytes > 0: decoded directories are then dropped only when they take more than that. */
void cas_forget(struct cas *cas, size_t keep_bytes);

/* ---- Directory messages ---- */
struct cas_mtime {
	int64_t seconds;
	int32_t nanos;
};

enum cas_type { CAS_NONE, CAS_FILE, CAS_DIRECTORY, CAS_SYMLINK };

enum cas_read_only { CAS_UNSET, CAS_READ_WRITE, CAS_READ_ONLY }; /* SubtreeReadOnly: absent, "false", "true" */

struct cas_entry {
	const char *name;       /* NUL-terminated */
	uint32_t name_len;
	uint8_t type;           /* enum cas_type */
	bool executable;        /* CAS_FILE */
	bool has_mtime;         /* CAS_FILE */
	uint32_t stamp;         /* in a cas_tree: who staged it (see cas_tree_merge); elsewhere 0 */
	struct digest digest;   /* CAS_FILE; CAS_DIRECTORY unless node is set */
	const char *target;     /* CAS_SYMLINK */
	struct cas_mtime mtime; /* if has_mtime */
	struct cas_node *node;  /* CAS_DIRECTORY in a cas_tree: loaded form; private */
};

/* One decoded Directory; entries of all three kinds in one array, sorted by name (bytes). */
struct cas_directory {
	struct cas_entry *entries;
	uint32_t count;
	uint8_t read_only;      /* enum cas_read_only */
	bool has_mtime;
	struct cas_mtime mtime;
};

/* Decodes bytes into ret, memory in arena.  -EBADMSG for anything that is not a sound Directory: bad wire format, names
 * empty, "." or "..", with '/' or NUL, too long, twice, or not sorted within their kind; digests that are no SHA-256;
 * negative sizes.  Unknown fields are skipped. */
int cas_directory_decode(struct cas_directory *ret, struct arena *arena, const void *bytes, size_t len);
/* Adds the canonical encoding to out.  Entries must be sorted by name (asserted). */
void cas_directory_encode(const struct cas_directory *directory, struct buf *out);
/* The decoded directory from the store; shared, read-only, owned by cas, valid until cas_forget.  -ENOENT if missing or
 * broken. */
int cas_directory_get(struct cas *cas, const struct digest *digest, const struct cas_directory **ret);
/* Entry by name, or NULL. */
const struct cas_entry *cas_directory_find(const struct cas_directory *directory, const char *name, size_t len);

/* A Digest message { string hash = 1; int64 size_bytes = 2; } as field `number` of another message, for the rooms that
 * write and read records.  decode: -EBADMSG if it is not a digest of ours. */
struct pb_field;
void cas_encode_digest(struct buf *out, uint32_t number, const struct digest *digest);
int cas_decode_digest(struct digest *ret, const struct pb_field *field);

/* ---- from the file system into the store ---- */
struct cas_statcache; /* (path, size, mtime, ctime, inode) -> digest */

enum {
	CAS_IMPORT_HASH_ONLY = 1, /* compute the digest, store nothing (keys of `local` sources) */
	CAS_IMPORT_MTIMES = 2,    /* node_properties.mtime on files and sub-directories, in microseconds (workspaces) */
	CAS_IMPORT_MOVE = 4,      /* the tree is ours and is thrown away afterwards: files may be moved instead of copied */
};

/* The REAPI digest of the directory path (relative to dirfd; its last component may not be a symlink), stored with all
 * below unless CAS_IMPORT_HASH_ONLY.  The peer's rules: names sorted, the owner's execute bit, symlinks as they are,
 * empty directories kept; sockets, FIFOs and devices are left out (as its daemon does).  If path is a regular file: a
 * directory with just that file under its base name.  With CAS_IMPORT_HASH_ONLY cas may be NULL, and statcache (may be
 * NULL; for absolute paths) answers for trees that have not changed, without reading a file or a directory; then several
 * threads may call this with one statcache.
 * diag ("cas" domain) names the file that could not be read. */
int cas_import(struct cas *cas, int dirfd, const char *path, unsigned flags, struct cas_statcache *statcache,
	       struct digest *ret, struct diag *diag);

/* The tree at an absolute path once more, into the store, after it was hashed with this statcache and found to be `expect`: no
 * directory is read, since their names are known.  False if it is not recorded so, is not the same any more, or could not
 * be read or stored; then cas_import does it, or says why not. */
bool cas_import_again(struct cas *cas, const char *path, struct cas_statcache *statcache, const struct digest *expect);

/* The stat cache, one file (<cachedir>/millrace/statcache), mapped at open, written back as a whole at _save through a
 * rename, so that concurrent sessions lose at most entries, never correctness.  A file whose ctime is not clearly older
 * than the moment it was hashed is never remembered (git's racy timestamps).  _get and _put are for single files (patches);
 * trees go through cas_import.  get, put and both imports may be called from several threads; new, save and free not.
 * _new never fails for a missing or damaged file: the cache is empty then. */
int cas_statcache_new(struct cas_statcache **ret, const char *cachedir);
/* Digest of the regular file described by st at this absolute path; false if not known or changed. */
bool cas_statcache_get(struct cas_statcache *cache, const char *path, const struct stat *st, struct digest *ret);
/* asked_ns: CLOCK_REALTIME in nanoseconds before the file was read. */
void cas_statcache_put(struct cas_statcache *cache, const char *path, const struct stat *st, int64_t asked_ns,
		       const struct digest *digest);
int cas_statcache_save(struct cas_statcache *cache); /* no-op if nothing changed */
void cas_statcache_free(struct cas_statcache *cache);

/* ---- trees in memory ----
 *
 * A cas_tree starts empty or from a digest, is changed by merging other trees into it, and is written back to a digest.
 * Directories are loaded only when a change needs them; a whole directory merged over nothing is taken by digest.  The
 * results are, bit by bit, what BuildStream's CasBasedDirectory makes of the same calls.
 * Paths are relative to the root, components separated by '/'; leading and double slashes are ignored, "" is the root;
 * ".." is refused (-EINVAL), symlinks are not followed (-ENOTDIR) unless told.
 */
struct cas_tree;

/* digest NULL: empty.  -ENOENT if the directory is missing. */
int cas_tree_new(struct cas_tree **ret, struct cas *cas, const struct digest *digest);
void cas_tree_free(struct cas_tree *tree);

enum cas_event { CAS_OVERWRITTEN, CAS_IGNORED };

struct cas_merge {
	/* Filter: should this path (relative to the merged tree, no leading slash) be taken?  Directories are asked too,
	 * after their content: one that is refused is dropped if nothing in it was taken.  NULL: everything. */
	bool (*filter)(void *data, const char *path, enum cas_type type);
	/* OVERWRITTEN: path replaced a file or symlink that stamp `previous` had put there (an overlap if that is another
	 * element), or an empty directory (previous is 0 then); IGNORED: it would have replaced a directory that is not empty.  path as above; may be NULL. */
	void (*event)(void *data, enum cas_event event, const char *path, uint32_t previous);
	void *data;
	uint32_t stamp; /* marks all entries taken in this merge, also those in directories not loaded yet */
};

/* Merges the tree from (a Directory digest) into the directory at path (made, with parents, if absent), by the peer's
 * rules: directory over nothing taken whole, directory over directory merged, file or symlink over anything but a
 * non-empty directory replaces it, a directory over a file or symlink is an error.  merge may be NULL.
 * diag ("directory" domain) on error: -ENOTDIR for the last, -ENOENT for missing objects. */
int cas_tree_merge(struct cas_tree *tree, const char *path, const struct digest *from, const struct cas_merge *merge,
		   struct diag *diag);
/* Makes directory path with parents; 0 also if it is there.  -ENOTDIR if something else is in the way. */
int cas_tree_mkdir(struct cas_tree *tree, const char *path);
/* Puts one entry (name is ignored) at path, replacing what is there; the parent must exist. */
int cas_tree_put(struct cas_tree *tree, const char *path, const struct cas_entry *entry);
/* Replaces the directory at path by another tree, or adds it; parents are made. */
int cas_tree_set(struct cas_tree *tree, const char *path, const struct digest *directory);
/* Removes whatever is at path.  -ENOENT if nothing is. */
int cas_tree_remove(struct cas_tree *tree, const char *path);
/* SubtreeReadOnly of the directory at path. */
int cas_tree_set_read_only(struct cas_tree *tree, const char *path, enum cas_read_only value);
/* The entry at path (type CAS_NONE never returned: -ENOENT instead); ret's texts are valid until the tree changes; for a
 * directory digest is filled too, so this may encode.  follow: symlinks are followed inside the tree, ".." at the root
 * staying there; -ELOOP after 40. */
int cas_tree_lookup(struct cas_tree *tree, const char *path, bool follow, struct cas_entry *ret);
/* Only the kind of what stands at path, no symlink followed: enum cas_type, or <0 as above.  Cheap. */
int cas_tree_type(struct cas_tree *tree, const char *path);
/* Digest of the directory at path, everything below stored.  With hash_only nothing is written. */
int cas_tree_digest(struct cas_tree *tree, const char *path, struct digest *ret);
int cas_tree_hash(struct cas_tree *tree, const char *path, struct digest *ret);
/* Calls visit for every entry below path, sorted as the peer lists them: in each directory first files and symlinks by
 * name, then directories by name, each followed by what it holds.  path as above, no leading slash.  Stops at the first
 * non-zero result and returns it. */
int cas_tree_walk(struct cas_tree *tree, const char *path,
		  int (*visit)(void *data, const char *path, const struct cas_entry *entry), void *data);
/* The same for a stored tree. */
int cas_walk(struct cas *cas, const struct digest *directory,
	     int (*visit)(void *data, const char *path, const struct cas_entry *entry), void *data);
/* What changed from one tree to the other, for every file, symlink and (empty or not) directory by path: visit gets the
 * entry before and after, NULL where absent.  Directories of equal digest are not entered. */
int cas_diff(struct cas *cas, const struct digest *before, const struct digest *after,
	     int (*visit)(void *data, const char *path, const struct cas_entry *before, const struct cas_entry *after),
	     void *data);

/* ---- out of the store ---- */
enum {
	CAS_CHECKOUT_HARDLINK = 1, /* link to objects where the mode allows (peer's --hardlinks); else reflink or copy */
	CAS_CHECKOUT_MTIME = 2,    /* files, symlinks and directories get options.mtime; node mtimes win; else: now */
	CAS_CHECKOUT_VERIFY = 4,   /* hash what is copied; a broken object is dropped and -ENOENT returned */
};
#define CAS_ARBITRARY_MTIME 1321009871 /* 2011-11-11 11:11:11 UTC: what staged files show (peer: BST_ARBITRARY_TIMESTAMP) */

struct cas_checkout {
	unsigned flags;
	int64_t mtime; /* seconds, with CAS_CHECKOUT_MTIME */
};

/* Writes the tree into the directory path (relative to dirfd; made if absent; what is there already is kept, files of
 * the same name are replaced, symlinks in the way never followed).  Modes 0755 and 0644 whatever the umask; inodes of
 * their own unless CAS_CHECKOUT_HARDLINK.  diag names the file that failed. */
int cas_checkout(struct cas *cas, const struct digest *directory, int dirfd, const char *path,
		 const struct cas_checkout *options, struct diag *diag);

/* Writes the tree as a tar stream, byte for byte in the peer's order: members prefix + "path" (prefix: "./" for artifacts,
 * "" for sources), sorted by name in each directory, no "./" itself; uid and gid 0 without names, constant mtime, 0755/0644/0777; ends with two zero blocks and padding to
 * 10,240 bytes.  write gets the bytes in order and returns <0 to stop (compression and files are the caller's business). */
int cas_tar(struct cas *cas, const struct digest *directory, const char *prefix, int64_t mtime,
	    int (*write)(void *data, const void *bytes, size_t len), void *data, struct diag *diag);

#endif
