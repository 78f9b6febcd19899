/* oci: container images, for OCI or Docker.
 *
 * The key holds the images as the plugin reads them: some members are texts, some numbers, some lists.  One table says
 * which, for checking and for the key; within a level its rows stand in the order of the key (by code point).
 */
#include "kinds/kinds_internal.h"

#include <string.h>

enum kind { TEXT, NUMBER, TEXTS, MAPPING, NESTED };
enum where { ALWAYS, DOCKER_ONLY, OCI_ONLY };

struct member {
	const char *name;
	enum kind kind;
	enum where where;
	bool required;
	const struct member *below; /* NESTED */
	const char *fallback;       /* JSON text for a member that is not there, or NULL */
};

static const struct member parent_members[] = {
	{ "element", TEXT, ALWAYS, true, NULL, NULL },
	{ "image", NUMBER, ALWAYS, false, NULL, "0" },
	{ 0 },
};
static const struct member health_members[] = {
	{ "Interval", NUMBER, ALWAYS, false, NULL, NULL }, { "Retries", NUMBER, ALWAYS, false, NULL, NULL },
	{ "Test", TEXTS, ALWAYS, false, NULL, NULL },      { "Timeout", NUMBER, ALWAYS, false, NULL, NULL },
	{ 0 },
};
static const struct member config_members[] = {
	{ "Cmd", TEXTS, ALWAYS, false, NULL, NULL },
	{ "CpuShares", NUMBER, DOCKER_ONLY, false, NULL, NULL },
	{ "Entrypoint", TEXTS, ALWAYS, false, NULL, NULL },
	{ "Env", TEXTS, ALWAYS, false, NULL, NULL },
	{ "ExposedPorts", TEXTS, ALWAYS, false, NULL, NULL },
	{ "Healthcheck", NESTED, DOCKER_ONLY, false, health_members, NULL },
	{ "Labels", MAPPING, OCI_ONLY, false, NULL, NULL },
	{ "Memory", NUMBER, DOCKER_ONLY, false, NULL, NULL },
	{ "MemorySwap", NUMBER, DOCKER_ONLY, false, NULL, NULL },
	{ "StopSignal", TEXT, OCI_ONLY, false, NULL, NULL },
	{ "User", TEXT, ALWAYS, false, NULL, NULL },
	{ "Volumes", TEXTS, ALWAYS, false, NULL, NULL },
	{ "WorkingDir", TEXT, ALWAYS, false, NULL, NULL },
	{ 0 },
};
static const struct member image_members[] = {
	{ "annotations", MAPPING, ALWAYS, false, NULL, NULL },
	{ "architecture", TEXT, ALWAYS, true, NULL, NULL },
	{ "author", TEXT, ALWAYS, false, NULL, NULL },
	{ "comment", TEXT, ALWAYS, false, NULL, NULL },
	{ "config", NESTED, ALWAYS, false, config_members, NULL },
	{ "layer", TEXTS, ALWAYS, false, NULL, NULL },
	{ "os", TEXT, ALWAYS, true, NULL, NULL },
	{ "os.features", TEXTS, ALWAYS, false, NULL, NULL },
	{ "os.version", TEXT, ALWAYS, false, NULL, NULL },
	{ "parent", NESTED, ALWAYS, false, parent_members, NULL },
	{ "tags", TEXTS, DOCKER_ONLY, false, NULL, NULL },
	{ "variant", TEXT, ALWAYS, false, NULL, NULL },
	{ 0 },
};

static bool applies(const struct member *member, bool docker)
{
	return member->where == ALWAYS || (member->where == DOCKER_ONLY) == docker;
}

static int check_members(const struct kinds_context *ctx, const struct yaml_node *map, const struct member *members,
			 bool docker);

static int check_mapping(const struct kinds_context *ctx, const struct yaml_node *map, const char *key)
{
	const struct yaml_node *below;
	int r = yaml_need_map(map, key, &below, ctx->diag);

	for (uint32_t i = 0; r >= 0 && i < below->count; i++)
		if (!yaml_is_scalar(below->entries[i].value))
			r = yaml_error(ctx->diag, below->entries[i].value, "invalid-data",
				       "Value of '%s' is not of the expected type 'scalar'", below->entries[i].key);
	return r;
}

static int check_member(const struct kinds_context *ctx, const struct yaml_node *map, const struct member *member,
			bool docker)
{
	const struct yaml_node *below;
	struct kinds_strings texts;
	const char *text;
	int number, r;

	switch (member->kind) {
	case TEXT:
		return yaml_need_str(map, member->name, &text, ctx->diag);
	case NUMBER:
		return yaml_need_int(map, member->name, &number, ctx->diag);
	case TEXTS:
		return kinds_need_strings(ctx, map, member->name, &texts);
	case MAPPING:
		return check_mapping(ctx, map, member->name);
	case NESTED:
		r = yaml_need_map(map, member->name, &below, ctx->diag);
		if (r >= 0 && !below->count)
			return 0; /* an empty parent counts as none */
		return r < 0 ? r : check_members(ctx, below, member->below, docker);
	}
	return 0;
}

static int check_members(const struct kinds_context *ctx, const struct yaml_node *map, const struct member *members,
			 bool docker)
{
	const char *names[32];
	size_t count = 0;
	int r;

	for (const struct member *member = members; member->name; member++)
		if (applies(member, docker))
			names[count++] = member->name;
	names[count] = NULL;
	r = yaml_validate_keys(map, names, ctx->diag);
	for (const struct member *member = members; r >= 0 && member->name; member++)
		if (applies(member, docker) && (member->required || yaml_get(map, member->name)))
			r = check_member(ctx, map, member, docker);
	return r;
}

static int check_image(const struct kinds_context *ctx, const struct yaml_node *image, bool docker)
{
	const char *variant;
	int r = check_members(ctx, image, image_members, docker);

	/* The plugin asks for `variant` exactly when there are `os.features`. */
	if (r >= 0 && yaml_get(image, "os.features"))
		r = yaml_need_str(image, "variant", &variant, ctx->diag);
	return r;
}

static int configure(const struct kinds_context *ctx, struct graph_element *element, const struct yaml_node *config)
{
	static const char *const names[] = { "mode", "gzip", "images", "annotations", NULL };
	static const char *const modes[] = { "docker", "oci", NULL };
	struct kinds_oci *oci = element->config;
	const struct yaml_node *image;
	int mode = 1;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_get_enum(config, "mode", modes, &mode, ctx->diag);
	oci->docker = mode == 0;
	oci->gzip = !oci->docker;
	if (r >= 0)
		r = yaml_get_bool(config, "gzip", &oci->gzip, ctx->diag);
	/* With annotations the plugin reads the list of images as a map, and fails. */
	if (r >= 0 && yaml_get(config, "annotations"))
		r = yaml_need_map(config, "images", &image, ctx->diag);
	if (r >= 0)
		r = yaml_need_list(config, "images", &oci->images, ctx->diag);
	for (uint32_t i = 0; r >= 0 && i < oci->images->count; i++) {
		r = yaml_item_map(oci->images, i, &image, ctx->diag);
		if (r >= 0)
			r = check_image(ctx, image, oci->docker);
	}
	return r;
}

static void json_members(struct buf *out, const struct yaml_node *map, const struct member *members);

static void json_value(struct buf *out, const struct yaml_node *value, const struct member *member)
{
	int number = 0;

	switch (member->kind) {
	case NUMBER:
		yaml_as_int(value, member->name, &number, NULL);
		json_int(out, number);
		break;
	case NESTED:
		json_members(out, value, member->below);
		break;
	case TEXT:
	case TEXTS:
	case MAPPING:
		kinds_json_node(out, value);
		break;
	}
}

static void json_members(struct buf *out, const struct yaml_node *map, const struct member *members)
{
	buf_addc(out, '{');
	for (const struct member *member = members; member->name; member++) {
		const struct yaml_node *value = yaml_get(map, member->name);

		if (strcmp(member->name, "variant") == 0 && !yaml_get(map, "os.features"))
			continue; /* the plugin forgets it otherwise */
		if (strcmp(member->name, "parent") == 0 && value && !value->count)
			continue;
		if (value) {
			json_member(out, member->name);
			json_value(out, value, member);
		} else if (member->fallback) {
			json_member(out, member->name);
			buf_adds(out, member->fallback);
		}
	}
	buf_addc(out, '}');
}

static void key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_oci *oci = element->config;

	buf_adds(out, "{\"annotations\":null,\"gzip\":");
	json_bool(out, oci->gzip);
	buf_adds(out, ",\"images\":[");
	for (uint32_t i = 0; i < oci->images->count; i++) {
		if (i > 0)
			buf_addc(out, ',');
		json_members(out, oci->images->items[i], image_members);
	}
	buf_adds(out, "]}");
}

const struct kinds_element_work kinds_oci_work = {
	.config_size = sizeof(struct kinds_oci),
	.configure = configure,
	.key = key,
};
