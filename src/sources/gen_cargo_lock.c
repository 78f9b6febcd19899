/* gen_cargo_lock: a Cargo.lock that is kept whole, in base64, as the source's ref. */
#include <errno.h>
#include <string.h>

#include "sources/sources_internal.h"

enum { REF_MAX_BYTES = 256 << 20 };

/* Characters that are not of the alphabet are passed over, as Python does; what follows the padding is not read. */
static int decode(const char *ref, struct buf *ret)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	size_t count = 0, padding;

	for (; *ref && *ref != '='; ref++) {
		const char *at = strchr(alphabet, *ref);

		if (!at)
			continue;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		if (count % 4 != 0) /* the second to fourth of each four complete a byte */
			buf_addc(ret, (char)(bits >> (6 - 2 * (count % 4))));
		if (++count > REF_MAX_BYTES)
			return -EBADMSG;
	}
	padding = (4 - count % 4) % 4;
	return padding == 3 || strspn(ref, "=\r\n") < padding ? -EBADMSG : 0;
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
