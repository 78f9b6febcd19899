/* The Artifact message: fields by number, once for writing and once for reading. */
#include <errno.h>
#include <string.h>

#include "artifacts/artifacts.h"
#include "base/pb.h"

enum { TEXT_MAX = 16 << 20, LIST_MAX = 4 << 20 };

/* ---- writing ---- */

static void put_digest(struct buf *out, uint32_t number, bool has, const struct digest *digest)
{
	if (has)
		cas_encode_digest(out, number, digest);
}

static void put_deps(struct buf *out, const struct artifact *artifact, struct buf *scratch)
{
	for (uint32_t i = 0; i < artifact->dep_count; i++) {
		const struct artifact_dep *dep = &artifact->deps[i];

		buf_clear(scratch);
		pb_opt_string(scratch, 1, dep->project);
		pb_opt_string(scratch, 2, dep->element);
		pb_opt_string(scratch, 3, dep->key);
		pb_opt_int(scratch, 4, dep->was_workspaced);
		pb_put_bytes(out, 9, scratch->data, scratch->len);
	}
}

static void put_logs(struct buf *out, const struct artifact *artifact, struct buf *scratch)
{
	for (uint32_t i = 0; i < artifact->log_count; i++) {
		buf_clear(scratch);
		pb_opt_string(scratch, 1, artifact->logs[i].name);
		cas_encode_digest(scratch, 2, &artifact->logs[i].digest);
		pb_put_bytes(out, 11, scratch->data, scratch->len);
	}
}

static void put_sandbox(struct buf *out, const struct artifact *artifact, struct buf *scratch)
{
	_cleanup_buf_ struct buf inner = BUF_INIT;

	if (!artifact->has_sandbox)
		return;
	for (uint32_t i = 0; i < artifact->environment_count; i++) {
		buf_clear(scratch);
		pb_opt_string(scratch, 1, artifact->environment[i].name);
		pb_opt_string(scratch, 2, artifact->environment[i].value);
		pb_put_bytes(&inner, 1, scratch->data, scratch->len);
	}
	pb_opt_string(&inner, 2, artifact->working_directory);
	for (uint32_t i = 0; i < artifact->subsandbox_count; i++)
		cas_encode_digest(&inner, 3, &artifact->subsandboxes[i]);
	for (uint32_t i = 0; i < artifact->marked_directory_count; i++)
		pb_put_bytes(&inner, 4, artifact->marked_directories[i], strlen(artifact->marked_directories[i]));
	pb_put_bytes(out, 18, inner.data, inner.len);
}

void artifact_encode(const struct artifact *a, struct buf *out)
{
	_cleanup_buf_ struct buf scratch = BUF_INIT;

	pb_opt_int(out, 1, a->version);
	pb_opt_int(out, 2, a->build_success);
	pb_opt_string(out, 3, a->build_error);
	pb_opt_string(out, 4, a->build_error_details);
	pb_opt_string(out, 5, a->strong_key);
	pb_opt_string(out, 6, a->weak_key);
	pb_opt_int(out, 7, a->was_workspaced);
	put_digest(out, 8, a->has_files, &a->files);
	put_deps(out, a, &scratch);
	put_digest(out, 10, a->has_public_data, &a->public_data);
	put_logs(out, a, &scratch);
	put_digest(out, 12, a->has_buildtree, &a->buildtree);
	put_digest(out, 13, a->has_sources, &a->sources);
	put_digest(out, 14, a->has_low_meta, &a->low_meta);
	put_digest(out, 15, a->has_high_meta, &a->high_meta);
	pb_opt_string(out, 16, a->strict_key);
	put_digest(out, 17, a->has_buildroot, &a->buildroot);
	put_sandbox(out, a, &scratch);
}

/* ---- reading ---- */

static int get_text(const char **ret, struct arena *arena, const struct pb_field *field)
{
	if (field->type != PB_BYTES || field->len > TEXT_MAX || memchr(field->data, '\0', field->len))
		return -EBADMSG;
	*ret = arena_strndup(arena, (const char *)field->data, field->len);
	return 0;
}

static int get_bool(bool *ret, const struct pb_field *field)
{
	*ret = field->value != 0;
	return field->type == PB_VARINT ? 0 : -EBADMSG;
}

static int get_digest(bool *has, struct digest *ret, const struct pb_field *field)
{
	/* an empty message means what an absent one does: the peer asks for the text of it */
	if (field->type == PB_BYTES && field->len == 0)
		return 0;
	*has = true;
	return cas_decode_digest(ret, field);
}

static int get_dep(struct artifact_dep *ret, struct arena *arena, const struct pb_field *field)
{
	struct pb_reader in = pb_sub(field);
	struct pb_field part;
	int r = 0;

	*ret = (struct artifact_dep){ .project = "", .element = "", .key = "" };
	while (r == 0 && pb_next(&in, &part)) {
		if (part.number == 1)
			r = get_text(&ret->project, arena, &part);
		else if (part.number == 2)
			r = get_text(&ret->element, arena, &part);
		else if (part.number == 3)
			r = get_text(&ret->key, arena, &part);
		else if (part.number == 4)
			r = get_bool(&ret->was_workspaced, &part);
	}
	return in.bad ? -EBADMSG : r;
}

static int get_log(struct artifact_log *ret, struct arena *arena, const struct pb_field *field)
{
	struct pb_reader in = pb_sub(field);
	struct pb_field part;
	bool has = false;
	int r = 0;

	ret->name = "";
	while (r == 0 && pb_next(&in, &part)) {
		if (part.number == 1)
			r = get_text(&ret->name, arena, &part);
		else if (part.number == 2)
			r = get_digest(&has, &ret->digest, &part);
	}
	return in.bad || !has || strchr(ret->name, '/') ? -EBADMSG : r;
}

static int get_pair(struct graph_pair *ret, struct arena *arena, const struct pb_field *field)
{
	struct pb_reader in = pb_sub(field);
	struct pb_field part;
	int r = field->type == PB_BYTES ? 0 : -EBADMSG;

	*ret = (struct graph_pair){ "", "" };
	while (r == 0 && pb_next(&in, &part)) {
		if (part.number == 1)
			r = get_text(&ret->name, arena, &part);
		else if (part.number == 2)
			r = get_text(&ret->value, arena, &part);
	}
	return in.bad ? -EBADMSG : r;
}

/* How many fields of each number below 32, so that arrays are made once. */
static int count_fields(struct pb_reader in, uint32_t counts[32])
{
	struct pb_field field;

	while (pb_next(&in, &field))
		if (field.number < 32 && ++counts[field.number] > LIST_MAX)
			return -EBADMSG;
	return in.bad ? -EBADMSG : 0;
}

static int get_sandbox(struct artifact *ret, struct arena *arena, const struct pb_field *field)
{
	struct pb_reader in = pb_sub(field);
	uint32_t counts[32] = { 0 };
	struct pb_field part;
	bool has = false;
	int r = field->type == PB_BYTES ? count_fields(in, counts) : -EBADMSG;

	if (r < 0)
		return r;
	ret->has_sandbox = true;
	ret->environment = ARENA_ARRAY(arena, struct graph_pair, counts[1]);
	ret->subsandboxes = ARENA_ARRAY(arena, struct digest, counts[3]);
	ret->marked_directories = ARENA_ARRAY(arena, const char *, counts[4]);
	ret->environment_count = ret->subsandbox_count = ret->marked_directory_count = 0;
	while (r == 0 && pb_next(&in, &part)) {
		if (part.number == 1)
			r = get_pair(&ret->environment[ret->environment_count++], arena, &part);
		else if (part.number == 2)
			r = get_text(&ret->working_directory, arena, &part);
		else if (part.number == 3)
			r = get_digest(&has, &ret->subsandboxes[ret->subsandbox_count++], &part);
		else if (part.number == 4)
			r = get_text(&ret->marked_directories[ret->marked_directory_count++], arena, &part);
	}
	return r;
}

static int get_field(struct artifact *a, struct arena *arena, const struct pb_field *field)
{
	switch (field->number) {
	case 1:
		a->version = (int32_t)field->value;
		return field->type == PB_VARINT ? 0 : -EBADMSG;
	case 2:
		return get_bool(&a->build_success, field);
	case 3:
		return get_text(&a->build_error, arena, field);
	case 4:
		return get_text(&a->build_error_details, arena, field);
	case 5:
		return get_text(&a->strong_key, arena, field);
	case 6:
		return get_text(&a->weak_key, arena, field);
	case 7:
		return get_bool(&a->was_workspaced, field);
	case 8:
		return get_digest(&a->has_files, &a->files, field);
	case 9:
		return field->type == PB_BYTES ? get_dep(&a->deps[a->dep_count++], arena, field) : -EBADMSG;
	case 10:
		return get_digest(&a->has_public_data, &a->public_data, field);
	case 11:
		return field->type == PB_BYTES ? get_log(&a->logs[a->log_count++], arena, field) : -EBADMSG;
	case 12:
		return get_digest(&a->has_buildtree, &a->buildtree, field);
	case 13:
		return get_digest(&a->has_sources, &a->sources, field);
	case 14:
		return get_digest(&a->has_low_meta, &a->low_meta, field);
	case 15:
		return get_digest(&a->has_high_meta, &a->high_meta, field);
	case 16:
		return get_text(&a->strict_key, arena, field);
	case 17:
		return get_digest(&a->has_buildroot, &a->buildroot, field);
	case 18:
		return get_sandbox(a, arena, field);
	default:
		return 0;
	}
}

int artifact_decode(struct artifact *ret, struct arena *arena, const void *bytes, size_t len)
{
	struct artifact artifact = { .build_error = "", .build_error_details = "", .strong_key = "", .weak_key = "",
				     .strict_key = "", .working_directory = "" };
	struct pb_reader in = pb_reader(bytes, len);
	uint32_t counts[32] = { 0 };
	struct pb_field field;
	int r = len > ARTIFACT_PROTO_MAX ? -EBADMSG : count_fields(in, counts);

	if (r < 0)
		return r;
	artifact.deps = ARENA_ARRAY(arena, struct artifact_dep, counts[9]);
	artifact.logs = ARENA_ARRAY(arena, struct artifact_log, counts[11]);
	while (r == 0 && pb_next(&in, &field))
		r = get_field(&artifact, arena, &field);
	if (r == 0)
		*ret = artifact;
	return r;
}
