/* oci: container images.  Under BuildStream 2 no release of the plugin can build one: it stages layers where staging is over,
 * and names directories in ways that the virtual file system refuses.  What it can write is a list without images, and so do
 * we; for images it takes a script element and a tool in the sandbox. */
#include "elements/elements_internal.h"

#include <string.h>

#include "yaml/yaml.h"

static int put(struct build *build, const char *path, const char *text)
{
	return build_put_text(build, path, text, strlen(text), false);
}

static int assemble(struct build *build, const char **collect, struct diag *diag)
{
	const struct kinds_oci *config = build->element->config;
	int r = cas_tree_mkdir(build->tree, "output");

	*collect = "output";
	if (config->images->count)
		return diag_set(diag, "element", NULL,
				"No release of the plugin that provides kind 'oci' builds images under BuildStream 2, and we do "
				"not know what they would have to be; please use a script element with a tool for images");
	if (r >= 0)
		r = config->docker ? put(build, "output/manifest.json", "[]") :
				     put(build, "output/index.json", "{\"schemaVersion\": 2, \"manifests\": []}");
	if (r >= 0)
		r = config->docker ? put(build, "output/repositories", "{}") :
				     put(build, "output/oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}");
	return r < 0 ? build_error(diag, r, "Failed to write the list of images") : ELEMENTS_BUILT;
}

const struct elements_kind elements_oci = { "oci", NULL, NULL, assemble };
