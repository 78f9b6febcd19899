/* castool: look into a cache directory by hand, and compare with what BuildStream makes of the same input.
 *
 *     castool CACHEDIR import|hash|hash-mtimes PATH     digest of a directory
 *     castool CACHEDIR checkout HASH/SIZE DIR           castool CACHEDIR tar HASH/SIZE >FILE
 *     castool CACHEDIR list HASH/SIZE                   castool CACHEDIR has HASH/SIZE
 *     castool CACHEDIR merge HASH/SIZE...               merged in order
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "artifacts/artifacts.h"
#include "base/fs.h"

static void print_digest(const struct digest *digest)
{
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, digest->hash);
	printf("%s/%lld\n", hex, (long long)digest->size_bytes);
}

static struct digest parse_digest(const char *text)
{
	struct digest digest = { 0 };

	if (!digest_from_hex(digest.hash, text) || text[DIGEST_HEX] != '/') {
		fprintf(stderr, "castool: not a digest: %s\n", text);
		exit(2);
	}
	digest.size_bytes = strtoll(text + DIGEST_HEX + 1, NULL, 10);
	return digest;
}

static int print_entry(void *data, const char *path, const struct cas_entry *entry)
{
	static const char types[] = "?fdl";
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, entry->digest.hash);
	printf("%c%c %s %.12s %lld%s%s\n", types[entry->type], entry->executable ? 'x' : '-', path,
	       entry->type == CAS_SYMLINK ? "" : hex, (long long)entry->digest.size_bytes,
	       entry->type == CAS_SYMLINK ? " -> " : "", entry->type == CAS_SYMLINK ? entry->target : "");
	return 0;
}

static int write_out(void *data, const void *bytes, size_t len)
{
	return fs_write_all(STDOUT_FILENO, bytes, len);
}

static int cmd_import(struct cas *cas, unsigned flags, const char *path, struct diag *diag)
{
	struct digest digest;
	int r = cas_import(cas, AT_FDCWD, path, flags, NULL, &digest, diag);

	if (r == 0)
		print_digest(&digest);
	return r;
}

static int cmd_merge(struct cas *cas, char **digests, struct diag *diag)
{
	struct digest digest;
	struct cas_tree *tree;
	int r = cas_tree_new(&tree, cas, NULL);

	for (; r == 0 && *digests; digests++) {
		digest = parse_digest(*digests);
		r = cas_tree_merge(tree, "", &digest, NULL, diag);
	}
	if (r == 0)
		r = cas_tree_digest(tree, "", &digest);
	if (r == 0)
		print_digest(&digest);
	cas_tree_free(tree);
	return r;
}

static int run(struct cas *cas, const char *verb, char **args, struct diag *diag)
{
	struct digest digest;

	if (str_eq(verb, "import"))
		return cmd_import(cas, 0, args[0], diag);
	if (str_eq(verb, "hash"))
		return cmd_import(cas, CAS_IMPORT_HASH_ONLY, args[0], diag);
	if (str_eq(verb, "hash-mtimes"))
		return cmd_import(cas, CAS_IMPORT_HASH_ONLY | CAS_IMPORT_MTIMES, args[0], diag);
	if (str_eq(verb, "merge"))
		return cmd_merge(cas, args, diag);
	digest = parse_digest(args[0]);
	if (str_eq(verb, "list"))
		return cas_walk(cas, &digest, print_entry, NULL);
	if (str_eq(verb, "has")) {
		printf("%d\n", cas_has_tree(cas, &digest));
		return 0;
	}
	if (str_eq(verb, "tar"))
		return cas_tar(cas, &digest, "./", CAS_ARBITRARY_MTIME, write_out, NULL, diag);
	if (str_eq(verb, "checkout") && args[1])
		return cas_checkout(cas, &digest, AT_FDCWD, args[1], NULL, diag);
	return -EINVAL;
}

int main(int argc, char **argv)
{
	struct diag diag = DIAG_INIT;
	struct buf text = BUF_INIT;
	struct cas *cas;
	int r;

	if (argc < 4) {
		fprintf(stderr, "usage: castool CACHEDIR VERB ARGUMENT...\n");
		return 2;
	}
	r = cas_new(&cas, argv[1], &diag);
	if (r == 0) {
		r = run(cas, argv[2], argv + 3, &diag);
		cas_free(cas);
	}
	if (r < 0) {
		diag_format(&diag, &text);
		fprintf(stderr, "castool: %s (%s)\n", strerror(-r), buf_text(&text));
	}
	buf_release(&text);
	diag_release(&diag);
	return r < 0;
}
