/* state/state.c: the array of elements, and readers of it. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "state/state_internal.h"

struct state *state_new(uint32_t element_count)
{
	struct state *state = xcalloc(1, sizeof(*state));
	size_t bytes = MAX((size_t)element_count, 1) * sizeof(*state->elements);

	/* Fresh zero pages: a million elements that are never looked at cost nothing, and workers share what the parent
	 * filled in before they were forked. */
	state->elements = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (state->elements == MAP_FAILED)
		bug("state of %u elements: %s", element_count, strerror(errno));
	state->element_count = element_count;
	state->fd = -1;
	state->writer = true;
	return state;
}

struct state_element *state_preload(struct state *state, uint32_t element)
{
	assert(state->writer && !state->journal && element < state->element_count);
	return &state->elements[element];
}

const struct state_element *state_get(const struct state *state, uint32_t element)
{
	assert(element < state->element_count);
	return &state->elements[element];
}

uint32_t state_element_count(const struct state *state)
{
	return state->element_count;
}

static const struct state_ref *find_ref(const struct state_element *element, uint32_t source)
{
	for (const struct state_ref *ref = element->refs; ref; ref = ref->next)
		if (ref->source == source)
			return ref;
	return NULL;
}

const struct state_ref *state_ref(const struct state *state, uint32_t element, uint32_t source)
{
	return find_ref(state_get(state, element), source);
}

/* --- comparing and copying --- */

static uint32_t count_refs(const struct state_element *element)
{
	uint32_t count = 0;

	for (const struct state_ref *ref = element->refs; ref; ref = ref->next)
		count++;
	return count;
}

static bool refs_equal(const struct state_element *a, const struct state_element *b)
{
	if (count_refs(a) != count_refs(b))
		return false;
	for (const struct state_ref *ref = a->refs; ref; ref = ref->next) {
		const struct state_ref *other = find_ref(b, ref->source);

		if (!other || !str_eq(ref->text, other->text) || !digest_eq(&ref->blob, &other->blob))
			return false;
	}
	return true;
}

static bool element_equal(const struct state_element *a, const struct state_element *b)
{
	return key_eq(&a->weak, &b->weak) && key_eq(&a->strict, &b->strict) && key_eq(&a->strong, &b->strong) &&
	       memcmp(&a->artifact, &b->artifact, sizeof(a->artifact)) == 0 && digest_eq(&a->sources, &b->sources) &&
	       a->fetched == b->fetched && a->changes == b->changes && str_eq(a->workspace_key, b->workspace_key) &&
	       refs_equal(a, b);
}

bool state_equal(const struct state *a, const struct state *b, uint32_t *ret_element)
{
	assert(a->element_count == b->element_count);
	for (uint32_t i = 0; i < a->element_count; i++)
		if (!element_equal(&a->elements[i], &b->elements[i])) {
			*ret_element = i;
			return false;
		}
	return true;
}

struct state *state_replica(const struct state *parent, uint32_t incarnation)
{
	struct state *state = state_new(parent->element_count);

	assert(parent->writer && parent->journal && incarnation != STATE_ORIGIN_PARENT);
	for (uint32_t i = 0; i < state->element_count; i++) {
		struct state_element *element = &state->elements[i];

		*element = parent->elements[i];
		element->refs = NULL;
		for (const struct state_ref *ref = parent->elements[i].refs; ref; ref = ref->next) {
			struct state_ref *copy = arena_memdup(&state->arena, ref, sizeof(*ref));

			copy->text = ref->text ? arena_strdup(&state->arena, ref->text) : NULL;
			copy->next = element->refs;
			element->refs = copy;
		}
		if (element->workspace_key)
			element->workspace_key = arena_strdup(&state->arena, element->workspace_key);
	}
	state->journal_bytes = parent->journal_bytes;
	state->position = parent->position;
	state->at = parent->at;
	state->epoch = parent->epoch;
	state->incarnation = incarnation;
	state->writer = false;
	state->fd = fcntl(parent->fd, F_DUPFD_CLOEXEC, 0);
	if (state->fd < 0)
		bug("state_replica: %s", strerror(errno));
	return state;
}
