/* gen_cargo_lock: a Cargo.lock that is kept whole, in base64, as the source's ref. */
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "sources/sources_internal.h"

enum { REF_MAX_BYTES = 256 << 20 };

static bool in_alphabet(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* Characters that are not of the alphabet are passed over, as Python does; what follows the padding is not read. */
static int decode(const char *ref, struct buf *ret)
{
	_cleanup_buf_ struct buf clean = BUF_INIT;
	unsigned padding;
	int len;

	for (; *ref && *ref != '='; ref++)
		if (in_alphabet(*ref))
			buf_addc(&clean, *ref);
	padding = (4 - clean.len % 4) % 4;
	if (padding == 3 || strspn(ref, "=\r\n") < padding || clean.len > REF_MAX_BYTES)
		return -EBADMSG;
	buf_add(&clean, "===", padding);
	if (!clean.len)
		return 0;
	buf_room(ret, clean.len / 4 * 3 + 1);
	len = EVP_DecodeBlock((unsigned char *)ret->data, (const unsigned char *)clean.data, (int)clean.len);
	if (len < (int)padding)
		return -EBADMSG;
	ret->len = (size_t)len - padding;
	ret->data[ret->len] = '\0';
	return 0;
}

static int tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		struct digest *ret)
{
	const struct kinds_gen_cargo_lock *config = source->config;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct cas_tree *tree;
	int r = decode(config->ref, &text);

	if (r < 0) {
		diag_set(ctx->diag, "source", "invalid-ref", "The ref of a gen_cargo_lock source is a Cargo.lock in base64; this is not");
		return r;
	}
	r = cas_tree_new(&tree, ctx->cas, NULL);
	if (r < 0)
		return r;
	r = sources_put_text(ctx, tree, "Cargo.lock", &text);
	if (r == 0)
		r = cas_tree_digest(tree, "", ret);
	cas_tree_free(tree);
	return r;
}

const struct sources_ops sources_gen_cargo_lock = { .kind = "gen_cargo_lock", .tree = tree };
