/* Asking a registry: manifests, blobs, and the token that it may want to see. */
#include "sources/docker_registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "sources/transfer.h"
#include "yaml/yaml.h"

enum { UNAUTHORIZED = 401, SHA256_PREFIX = sizeof "sha256:" - 1 };

bool docker_digest_is_sane(const char *digest)
{
	uint8_t hash[DIGEST_BYTES];

	return str_starts(digest, "sha256:") && strlen(digest) == SHA256_PREFIX + DIGEST_HEX &&
	       digest_from_hex(hash, digest + SHA256_PREFIX);
}

static int failed(struct sources_context *ctx, const char *url, int r, const struct curl_answer *answer)
{
	if (r == -ECANCELED || r == -ELIBACC)
		return r;
	ctx->temporary = answer->temporary;
	return diag_set(ctx->diag, "source", NULL, "Error asking the registry for %s: %s", url,
			answer->error.len ? answer->error.data : strerror(-r));
}

/* ---- tokens ---- */

/* The value of name="..." in a challenge; empty if it has none. */
static void parameter(const char *challenge, const char *name, struct buf *ret)
{
	size_t len = strlen(name);

	buf_clear(ret);
	for (const char *at = challenge; *at;) {
		size_t key;

		at += strspn(at, " ,\t");
		key = strcspn(at, "=, \t");
		if (at[key] != '=') {
			at += key;
			continue;
		}
		if (at[key + 1] == '"') {
			const char *value = at + key + 2;
			size_t value_len = strcspn(value, "\"");

			if (key == len && strncasecmp(at, name, len) == 0)
				buf_add(ret, value, value_len);
			at = value + value_len + (value[value_len] == '"');
		} else {
			size_t value_len = strcspn(at + key + 1, ", \t");

			if (key == len && strncasecmp(at, name, len) == 0)
				buf_add(ret, at + key + 1, value_len);
			at += key + 1 + value_len;
		}
	}
}

/* Characters that would end a query's value. */
static void add_query(struct buf *url, const char *name, const struct buf *value)
{
	if (!value->len)
		return;
	buf_printf(url, "%s%s=", strchr(buf_text(url), '?') ? "&" : "?", name);
	for (const char *at = value->data; *at; at++) {
		if ((unsigned char)*at <= ' ' || strchr("&#%+\"<>", *at))
			buf_printf(url, "%%%02X", (unsigned char)*at);
		else
			buf_addc(url, *at);
	}
}

static int read_token(struct docker_registry *registry, const char *url, const struct buf *text)
{
	const struct yaml_node *root;
	struct arena arena = { 0 };
	const char *token = NULL;

	/* JSON is YAML, as far as such an answer goes */
	if (yaml_parse(&arena, buf_text(text), text->len, url, &root, NULL) == 0 && yaml_is_map(root) &&
	    yaml_get_str(root, "token", &token, NULL) <= 0)
		(void)yaml_get_str(root, "access_token", &token, NULL);
	buf_clear(&registry->token);
	if (token && !token[strcspn(token, "\r\n")])
		buf_adds(&registry->token, token);
	arena_release(&arena);
	return registry->token.len ? 0 :
				     diag_set(registry->ctx->diag, "source", NULL,
					      "The registry's answer has no token: %s", url);
}

static int ask_token(struct docker_registry *registry, const char *challenge)
{
	_cleanup_buf_ struct buf url = BUF_INIT, service = BUF_INIT, scope = BUF_INIT, text = BUF_INIT;
	struct sources_transfer transfer = { .ctx = registry->ctx, .text = &text, .fd = -1 };
	struct curl_answer answer = { 0 };
	int r;

	if (strncasecmp(challenge, "Bearer ", 7) != 0)
		return diag_set(registry->ctx->diag, "source", NULL,
				"The registry wants an authentication other than a bearer token: '%s'", challenge);
	parameter(challenge + 7, "realm", &url);
	parameter(challenge + 7, "service", &service);
	parameter(challenge + 7, "scope", &scope);
	if (!str_starts(buf_text(&url), "https://") && !str_starts(buf_text(&url), "http://"))
		return diag_set(registry->ctx->diag, "source", NULL, "The registry says of no place where a token could be had: '%s'",
				challenge);
	add_query(&url, "service", &service);
	add_query(&url, "scope", &scope);
	transfer.url = url.data;
	r = sources_transfer(&transfer, &answer);
	r = r < 0 ? failed(registry->ctx, url.data, r, &answer) : read_token(registry, url.data, &text);
	sources_answer_release(&answer);
	return r;
}

/* ---- requests ---- */

static int start_over(struct sources_transfer *transfer)
{
	if (transfer->text) {
		buf_clear(transfer->text);
	} else if (ftruncate(transfer->fd, 0) < 0 || lseek(transfer->fd, 0, SEEK_SET) < 0) {
		return -errno;
	}
	digest_stream_free(transfer->stream);
	transfer->stream = digest_stream_new();
	return 0;
}

/* GET <endpoint>/v2/<image>/<what>/<digest>; once more with a token if the registry asks for one. */
static int get(struct docker_registry *registry, const char *what, const char *digest, struct sources_transfer *transfer)
{
	static const char ACCEPT[] = "Accept: application/vnd.docker.distribution.manifest.v2+json,"
				     "application/vnd.docker.distribution.manifest.list.v2+json,"
				     "application/vnd.oci.image.index.v1+json,application/vnd.oci.image.manifest.v1+json";
	const char *endpoint = registry->endpoint, *image = registry->image + strspn(registry->image, "/");
	size_t len = strlen(endpoint);
	_cleanup_free_ char *url = xasprintf("%s%sv2/%s/%s/sha256%%3A%s", endpoint, len && endpoint[len - 1] == '/' ? "" : "/",
					     image, what, digest + SHA256_PREFIX);
	struct curl_answer answer = { 0 };
	int r = 0;

	for (unsigned tries = 0; tries < 2; tries++) {
		_cleanup_free_ char *bearer = registry->token.len ?
						      xasprintf("Authorization: Bearer %s", registry->token.data) : NULL;
		const char *headers[] = { str_eq(what, "manifests") ? ACCEPT : bearer,
					  str_eq(what, "manifests") ? bearer : NULL, NULL };

		sources_answer_release(&answer);
		answer = (struct curl_answer){ 0 };
		r = start_over(transfer);
		transfer->url = url;
		transfer->headers = headers;
		if (r == 0)
			r = sources_transfer(transfer, &answer);
		if (answer.status != UNAUTHORIZED || tries > 0 || !answer.challenge.len)
			break;
		r = ask_token(registry, answer.challenge.data);
		if (r < 0)
			goto out;
	}
	if (r < 0)
		r = failed(registry->ctx, url, r, &answer);
out:
	transfer->url = NULL; /* they end here */
	transfer->headers = NULL;
	sources_answer_release(&answer);
	return r;
}

/* Ends the body's hash: is it what was asked for? */
static int check(struct sources_context *ctx, struct sources_transfer *transfer, const char *digest)
{
	char hex[DIGEST_HEX + 1];
	struct digest came;

	digest_stream_end(transfer->stream, &came);
	transfer->stream = NULL;
	digest_to_hex(hex, came.hash);
	if (strcmp(hex, digest + SHA256_PREFIX) == 0)
		return 0;
	ctx->temporary = false;
	return diag_set(ctx->diag, "source", NULL, "Requested %s, got content with digest sha256:%s", digest, hex);
}

int docker_get_manifest(struct docker_registry *registry, const char *digest, struct buf *ret)
{
	struct sources_transfer transfer = { .ctx = registry->ctx, .text = ret, .fd = -1 };
	int r = get(registry, "manifests", digest, &transfer);

	if (r >= 0)
		r = check(registry->ctx, &transfer, digest);
	digest_stream_free(transfer.stream);
	return r;
}

int docker_get_blob(struct docker_registry *registry, const char *digest, const char *directory)
{
	_cleanup_free_ char *part = xasprintf("%s/.part-XXXXXX", directory);
	_cleanup_free_ char *path = xasprintf("%s/%s.tar.gz", directory, digest);
	struct sources_transfer transfer = { .ctx = registry->ctx, .fd = mkostemp(part, O_CLOEXEC) };
	int r;

	if (transfer.fd < 0)
		return diag_errno(registry->ctx->diag, "source", NULL, errno, "Cannot write in %s", directory);
	r = get(registry, "blobs", digest, &transfer);
	if (r >= 0)
		r = check(registry->ctx, &transfer, digest);
	if (r >= 0 && (fchmod(transfer.fd, 0644) < 0 || rename(part, path) < 0))
		r = diag_errno(registry->ctx->diag, "source", NULL, errno, "Cannot keep the download %s", path);
	if (r < 0)
		unlink(part);
	digest_stream_free(transfer.stream);
	close_fd(transfer.fd);
	return r;
}
