/* state/record.c: the kinds of record: how each is made, checked, applied and described.  One table row each. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "state/state_internal.h"

/* Payloads that are not just a key, a digest or struct state_artifact. */
struct ref_payload { /* STATE_REF: the text follows; STATE_REF_BLOB: a digest follows */
	uint32_t source, reserved;
};

_Static_assert(sizeof(struct state_record) == STATE_RECORD_HEAD, "record head has padding");
_Static_assert(sizeof(struct state_artifact) == 8 + 32 + 3 * 40, "artifact payload has padding");
_Static_assert(sizeof(struct digest) == 40 && sizeof(struct key) == 32, "digest or key has padding");

/* --- checks of payloads: sizes have been looked at already --- */

static bool digest_sane(const char *payload)
{
	struct digest digest;

	memcpy(&digest, payload, sizeof(digest));
	return digest.size_bytes >= 0;
}

static bool check_artifact(const char *payload, uint32_t bytes UNUSED)
{
	const uint32_t known = STATE_ARTIFACT_WORKSPACED | STATE_ARTIFACT_BUILDTREE | STATE_ARTIFACT_BY_WEAK_KEY;
	struct state_artifact artifact;

	memcpy(&artifact, payload, sizeof(artifact));
	return artifact.outcome < STATE_ARTIFACT_OUTCOME_END && (artifact.flags & ~known) == 0 &&
	       artifact.proto.size_bytes >= 0 && artifact.files.size_bytes >= 0 && artifact.public_data.size_bytes >= 0;
}

static bool check_digest(const char *payload, uint32_t bytes UNUSED)
{
	return digest_sane(payload);
}

static bool check_fetched(const char *payload, uint32_t bytes UNUSED)
{
	uint32_t fetched;

	memcpy(&fetched, payload, sizeof(fetched));
	return fetched < STATE_FETCHED_END;
}

static bool check_ref_head(const char *payload)
{
	struct ref_payload ref;

	memcpy(&ref, payload, sizeof(ref));
	return ref.source < STATE_SOURCES_MAX && ref.reserved == 0;
}

static bool check_ref(const char *payload, uint32_t bytes)
{
	return check_ref_head(payload) && !memchr(payload + sizeof(struct ref_payload), '\0', bytes - sizeof(struct ref_payload));
}

static bool check_ref_blob(const char *payload, uint32_t bytes UNUSED)
{
	return check_ref_head(payload) && digest_sane(payload + sizeof(struct ref_payload));
}

static bool check_text(const char *payload, uint32_t bytes)
{
	return !memchr(payload, '\0', bytes);
}

/* Whether there is such a byte, the reader sees. */
static bool check_turn(const char *payload, uint32_t bytes UNUSED)
{
	uint64_t at;

	memcpy(&at, payload, sizeof(at));
	return at >= STATE_HEADER_BYTES && at % 8 == 0;
}

/* --- applying --- */

static void apply_weak(struct state *state UNUSED, struct state_element *element, const char *payload, uint32_t bytes UNUSED)
{
	memcpy(&element->weak, payload, sizeof(element->weak));
}

static void apply_strict(struct state *state UNUSED, struct state_element *element, const char *payload, uint32_t bytes UNUSED)
{
	memcpy(&element->strict, payload, sizeof(element->strict));
}

static void apply_strong(struct state *state UNUSED, struct state_element *element, const char *payload, uint32_t bytes UNUSED)
{
	memcpy(&element->strong, payload, sizeof(element->strong));
}

static void apply_artifact(struct state *state UNUSED, struct state_element *element, const char *payload,
			   uint32_t bytes UNUSED)
{
	memcpy(&element->artifact, payload, sizeof(element->artifact));
}

static void apply_sources(struct state *state UNUSED, struct state_element *element, const char *payload,
			  uint32_t bytes UNUSED)
{
	memcpy(&element->sources, payload, sizeof(element->sources));
}

static void apply_fetched(struct state *state UNUSED, struct state_element *element, const char *payload,
			  uint32_t bytes UNUSED)
{
	memcpy(&element->fetched, payload, sizeof(element->fetched));
}

/* The list entry for a source, made if there is none. */
static struct state_ref *ref_of(struct state *state, struct state_element *element, const char *payload)
{
	struct ref_payload head;
	struct state_ref *ref;

	memcpy(&head, payload, sizeof(head));
	for (ref = (struct state_ref *)element->refs; ref; ref = (struct state_ref *)ref->next)
		if (ref->source == head.source)
			return ref;
	ref = ARENA_NEW(&state->arena, struct state_ref);
	ref->source = head.source;
	ref->next = element->refs;
	element->refs = ref;
	return ref;
}

static void apply_ref(struct state *state, struct state_element *element, const char *payload, uint32_t bytes)
{
	struct state_ref *ref = ref_of(state, element, payload);

	ref->len = bytes - (uint32_t)sizeof(struct ref_payload);
	ref->text = arena_strndup(&state->arena, payload + sizeof(struct ref_payload), ref->len);
	ref->blob = (struct digest){ 0 };
}

static void apply_ref_blob(struct state *state, struct state_element *element, const char *payload, uint32_t bytes UNUSED)
{
	struct state_ref *ref = ref_of(state, element, payload);

	ref->len = 0;
	ref->text = NULL;
	memcpy(&ref->blob, payload + sizeof(struct ref_payload), sizeof(ref->blob));
}

static void apply_workspace(struct state *state, struct state_element *element, const char *payload, uint32_t bytes)
{
	element->workspace_key = arena_strndup(&state->arena, payload, bytes);
}

static void apply_nothing(struct state *state UNUSED, struct state_element *element UNUSED, const char *payload UNUSED,
			  uint32_t bytes UNUSED)
{
	bug("a turn of the journal is not a change");
}

/* --- describing --- */

static void describe_key(struct buf *out, const char *payload)
{
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, (const uint8_t *)payload);
	buf_printf(out, " %.8s", hex);
}

static void describe_artifact(struct buf *out, const char *payload)
{
	static const char *const outcomes[STATE_ARTIFACT_OUTCOME_END] = { "unknown", "absent", "cached", "cached failure" };
	struct state_artifact artifact;

	memcpy(&artifact, payload, sizeof(artifact));
	buf_printf(out, " %s", outcomes[artifact.outcome]);
	if (state_digest_known(&artifact.files)) {
		buf_adds(out, ", files");
		describe_key(out, (const char *)artifact.files.hash);
	}
	if (state_digest_known(&artifact.public_data)) {
		buf_adds(out, ", public data");
		describe_key(out, (const char *)artifact.public_data.hash);
	}
}

static void describe_fetched(struct buf *out, const char *payload)
{
	static const char *const words[STATE_FETCHED_END] = { "unknown", "no", "yes" };
	uint32_t fetched;

	memcpy(&fetched, payload, sizeof(fetched));
	buf_printf(out, " %s", words[fetched]);
}

static void describe_source(struct buf *out, const char *payload)
{
	struct ref_payload ref;

	memcpy(&ref, payload, sizeof(ref));
	buf_printf(out, " of source %u", ref.source);
}

/* --- the table --- */

struct kind {
	const char *name;
	uint32_t min_bytes, max_bytes; /* of the payload */
	bool from_job;
	bool (*check)(const char *payload, uint32_t bytes); /* NULL: any bytes will do */
	void (*apply)(struct state *state, struct state_element *element, const char *payload, uint32_t bytes);
	void (*describe)(struct buf *out, const char *payload); /* NULL: the name says it */
};

static const struct kind kinds[STATE_TYPE_END] = {
	[STATE_WEAK_KEY] = { "weak key", 32, 32, false, NULL, apply_weak, describe_key },
	[STATE_STRICT_KEY] = { "strict key", 32, 32, false, NULL, apply_strict, describe_key },
	[STATE_STRONG_KEY] = { "strong key", 32, 32, false, NULL, apply_strong, describe_key },
	[STATE_ARTIFACT] = { "artifact", 160, 160, true, check_artifact, apply_artifact, describe_artifact },
	[STATE_SOURCES] = { "sources", 40, 40, true, check_digest, apply_sources, describe_key },
	[STATE_FETCHED] = { "fetched", 4, 4, true, check_fetched, apply_fetched, describe_fetched },
	[STATE_REF] = { "ref", 8 + 1, 8 + STATE_REF_MAX, true, check_ref, apply_ref, describe_source },
	[STATE_REF_BLOB] = { "ref", 48, 48, true, check_ref_blob, apply_ref_blob, describe_source },
	[STATE_WORKSPACE] = { "workspace key", 1, STATE_WORKSPACE_MAX, true, check_text, apply_workspace, NULL },
	[STATE_TURN] = { "turn", 8, 8, false, check_turn, apply_nothing, NULL },
};

bool state_record_check(const struct state *state, const char *bytes, size_t size_bytes, struct state_record *ret,
			const char **ret_payload, uint32_t *ret_payload_bytes)
{
	const struct kind *kind;
	uint32_t payload_bytes;

	if (size_bytes < STATE_RECORD_LEAST)
		return false;
	memcpy(ret, bytes, sizeof(*ret));
	if (ret->length < STATE_RECORD_LEAST || ret->length > MIN(size_bytes, (size_t)STATE_RECORD_MAX) || ret->length % 8)
		return false;
	if (ret->type == 0 || ret->type >= STATE_TYPE_END || ret->element >= state->element_count || ret->padding > 7)
		return false;
	kind = &kinds[ret->type];
	payload_bytes = ret->length - STATE_RECORD_HEAD - ret->padding;
	if (payload_bytes < kind->min_bytes || payload_bytes > kind->max_bytes)
		return false;
	for (uint32_t i = 0; i < ret->padding; i++)
		if (bytes[ret->length - 1 - i] != 0)
			return false;
	*ret_payload = bytes + STATE_RECORD_HEAD;
	*ret_payload_bytes = payload_bytes;
	return !kind->check || kind->check(*ret_payload, payload_bytes);
}

bool state_record_from_job(uint32_t type)
{
	return kinds[type].from_job;
}

void state_record_apply(struct state *state, const struct state_record *record, const char *payload,
			uint32_t payload_bytes)
{
	struct state_element *element = &state->elements[record->element];

	kinds[record->type].apply(state, element, payload, payload_bytes);
	element->changes++;
}

void state_record_describe(struct buf *out, const struct state_record *record, const char *payload,
			   uint32_t payload_bytes UNUSED)
{
	buf_adds(out, kinds[record->type].name);
	if (kinds[record->type].describe)
		kinds[record->type].describe(out, payload);
	if (record->origin == STATE_ORIGIN_PARENT)
		buf_adds(out, ", by the scheduler");
	else
		buf_printf(out, ", by worker %u", record->origin);
}

/* --- making changes --- */

/* Adds one record whose payload is two pieces, the second possibly empty. */
static int change_add(struct state_changes *changes, uint32_t element, enum state_type type, const void *payload,
		      size_t payload_bytes, const void *more, size_t more_bytes)
{
	static const char zeros[8];
	size_t bytes = payload_bytes + more_bytes;
	struct state_record record = { .type = (uint16_t)type, .element = element, .origin = STATE_ORIGIN_PARENT };

	assert(bytes >= kinds[type].min_bytes);
	if (bytes > kinds[type].max_bytes)
		return -E2BIG;
	record.padding = (uint16_t)(-bytes % 8);
	record.length = (uint32_t)(STATE_RECORD_HEAD + bytes + record.padding);
	if (changes->bytes.len + record.length > STATE_CHANGES_MAX)
		return -E2BIG;
	buf_add(&changes->bytes, &record, sizeof(record));
	buf_add(&changes->bytes, payload, payload_bytes);
	buf_add(&changes->bytes, more, more_bytes);
	buf_add(&changes->bytes, zeros, record.padding);
	changes->count++;
	return 0;
}

int state_change_weak_key(struct state_changes *changes, uint32_t element, const struct key *key)
{
	return change_add(changes, element, STATE_WEAK_KEY, key, sizeof(*key), NULL, 0);
}

int state_change_strict_key(struct state_changes *changes, uint32_t element, const struct key *key)
{
	return change_add(changes, element, STATE_STRICT_KEY, key, sizeof(*key), NULL, 0);
}

int state_change_strong_key(struct state_changes *changes, uint32_t element, const struct key *key)
{
	return change_add(changes, element, STATE_STRONG_KEY, key, sizeof(*key), NULL, 0);
}

int state_change_artifact(struct state_changes *changes, uint32_t element, const struct state_artifact *artifact)
{
	return change_add(changes, element, STATE_ARTIFACT, artifact, sizeof(*artifact), NULL, 0);
}

int state_change_sources(struct state_changes *changes, uint32_t element, const struct digest *tree)
{
	return change_add(changes, element, STATE_SOURCES, tree, sizeof(*tree), NULL, 0);
}

int state_change_fetched(struct state_changes *changes, uint32_t element, enum state_fetched fetched)
{
	uint32_t value = fetched;

	return change_add(changes, element, STATE_FETCHED, &value, sizeof(value), NULL, 0);
}

int state_change_ref(struct state_changes *changes, uint32_t element, uint32_t source, const char *text, size_t len)
{
	struct ref_payload head = { .source = source };

	assert(len > 0 && source < STATE_SOURCES_MAX && !memchr(text, '\0', len));
	return change_add(changes, element, STATE_REF, &head, sizeof(head), text, len);
}

int state_change_ref_blob(struct state_changes *changes, uint32_t element, uint32_t source, const struct digest *blob)
{
	struct ref_payload head = { .source = source };

	assert(source < STATE_SOURCES_MAX);
	return change_add(changes, element, STATE_REF_BLOB, &head, sizeof(head), blob, sizeof(*blob));
}

int state_change_workspace(struct state_changes *changes, uint32_t element, const char *key_text)
{
	return change_add(changes, element, STATE_WORKSPACE, key_text, strlen(key_text), NULL, 0);
}

void state_changes_clear(struct state_changes *changes)
{
	buf_clear(&changes->bytes);
	changes->count = 0;
}

void state_changes_release(struct state_changes *changes)
{
	buf_release(&changes->bytes);
	changes->count = 0;
}
