/* What is asked of a registry of container images.
 * The protocol: https://distribution.github.io/distribution/spec/api/ and .../spec/auth/token/. */
#ifndef SOURCES_DOCKER_REGISTRY_H
#define SOURCES_DOCKER_REGISTRY_H

#include "sources/sources_internal.h"

struct docker_registry {
	struct sources_context *ctx;
	const char *endpoint; /* "https://registry.example" */
	const char *image;    /* "library/alpine" */
	struct buf token;     /* once one was asked for; to be released */
};

/* The manifest with this digest ("sha256:<hex>"), verified.  <0 with diag set. */
int docker_get_manifest(struct docker_registry *registry, const char *digest, struct buf *ret);
/* Brings a blob to <directory>/<digest>.tar.gz, verified. */
int docker_get_blob(struct docker_registry *registry, const char *digest, const char *directory);
/* The digest ("sha256:<hex>") that text claims to be?  Nothing else may become a file name or a part of a URL. */
bool docker_digest_is_sane(const char *digest);

#endif
