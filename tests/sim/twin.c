/* The parent's state and its journal, and for each virtual worker a replica: the shipping code of room state, fed in the
 * order in which the virtual world lets things happen.  Checked: what a job sees is what the parent held when it was
 * dispatched, every record took effect exactly once (also the worker's own), and changes arrive whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "state/state.h"

struct twin_job {
	uint64_t job, *seen; /* seen: what the parent held, one number for each element */
	uint64_t as_of;
	uint32_t slot, incarnation, element;
	struct state_changes changes;
	bool used, begun, ended;
};

struct twin {
	struct state *parent, **replicas;
	uint32_t *incarnations; /* by slot; 0: no worker */
	uint64_t *followed;     /* by slot: how far it is known to have read */
	uint32_t elements, slots, next_incarnation, job_cap;
	uint64_t *now; /* what the parent holds, one number for each element */
	uint64_t records, turns;
	struct twin_job *jobs;
};

/* All that an element holds, as one number. */
static uint64_t fold(const struct state *state, uint32_t e)
{
	const struct state_element *el = state_get(state, e);
	uint64_t mix = el->changes, part;

	for (uint32_t source = 0; source < 2; source++) {
		const struct state_ref *ref = state_ref(state, e, source);

		mix = mix * 31 + (ref && ref->text ? strtoull(ref->text + 1, NULL, 10) : 0);
	}
	memcpy(&part, el->artifact.files.hash, sizeof(part));
	mix = random_next(&mix) ^ part;
	memcpy(&part, el->sources.hash, sizeof(part));
	mix = random_next(&mix) ^ part;
	memcpy(&part, el->weak.hash, sizeof(part));
	mix = random_next(&mix) ^ part;
	mix = mix * 31 + el->fetched * 7 + el->artifact.outcome;
	return el->workspace_key ? mix + strtoull(el->workspace_key, NULL, 10) : mix;
}

/* What the pool knows: a worker had followed to where its job was dispatched before it sent the result. */
static uint64_t oldest_reader(void *data)
{
	const struct twin *twin = data;
	uint64_t oldest = UINT64_MAX;

	for (uint32_t i = 0; i < twin->slots; i++)
		if (twin->incarnations[i] != 0 && state_epoch(twin->replicas[i]) == state_epoch(twin->parent))
			oldest = MIN(oldest, twin->followed[i]);
	return oldest;
}

struct twin *twin_new(uint32_t elements, uint32_t slots, bool may_roll)
{
	struct twin *twin = xcalloc(1, sizeof(*twin));

	twin->parent = state_new(elements);
	if (state_open(twin->parent, may_roll ? 16 * 1024 : 64 << 20) < 0)
		bug("sim: no journal");
	state_reuse(twin->parent, (size_t)256 << elements % 6, oldest_reader, twin);
	twin->elements = elements;
	twin->slots = slots;
	twin->replicas = xcalloc(slots, sizeof(*twin->replicas));
	twin->incarnations = xcalloc(slots, sizeof(*twin->incarnations));
	twin->followed = xcalloc(slots, sizeof(*twin->followed));
	twin->now = xcalloc(elements, sizeof(*twin->now));
	for (uint32_t e = 0; e < elements; e++)
		twin->now[e] = fold(twin->parent, e);
	return twin;
}

void twin_free(struct twin *twin)
{
	if (!twin)
		return;
	for (uint32_t i = 0; i < twin->slots; i++)
		state_free(twin->replicas[i]);
	for (uint32_t i = 0; i < twin->job_cap; i++) {
		free(twin->jobs[i].seen);
		state_changes_release(&twin->jobs[i].changes);
	}
	state_free(twin->parent);
	free(twin->replicas);
	free(twin->incarnations);
	free(twin->followed);
	free(twin->now);
	free(twin->jobs);
	free(twin);
}

uint64_t twin_records(const struct twin *twin)
{
	return twin->records;
}

uint64_t twin_turns(const struct twin *twin)
{
	return twin->turns;
}

void twin_spawn(struct twin *twin, uint32_t slot)
{
	twin_gone(twin, slot);
	twin->incarnations[slot] = ++twin->next_incarnation;
	twin->replicas[slot] = state_replica(twin->parent, twin->next_incarnation);
	twin->followed[slot] = state_position(twin->parent);
}

void twin_gone(struct twin *twin, uint32_t slot)
{
	state_free(twin->replicas[slot]);
	twin->replicas[slot] = NULL;
	twin->incarnations[slot] = 0;
}

static struct twin_job *find(struct twin *twin, uint64_t job)
{
	for (uint32_t i = 0; i < twin->job_cap; i++) {
		if (twin->jobs[i].used && twin->jobs[i].job == job)
			return &twin->jobs[i];
	}
	return NULL;
}

/* A free place: one of a job whose worker is gone will do, its result will not be taken any more. */
static struct twin_job *place(struct twin *twin)
{
	for (uint32_t i = 0; i < twin->job_cap; i++) {
		struct twin_job *tj = &twin->jobs[i];

		if (!tj->used || twin->incarnations[tj->slot] != tj->incarnation)
			return tj;
	}
	twin->jobs = xreallocarray(twin->jobs, twin->job_cap + 16, sizeof(*twin->jobs));
	memset(twin->jobs + twin->job_cap, 0, 16 * sizeof(*twin->jobs));
	for (uint32_t i = 0; i < 16; i++)
		twin->jobs[twin->job_cap + i].seen = xcalloc(twin->elements, sizeof(uint64_t));
	twin->job_cap += 16;
	return &twin->jobs[twin->job_cap - 16];
}

void twin_dispatch(struct twin *twin, uint32_t slot, uint64_t job)
{
	struct twin_job *tj = place(twin);

	/* The journal began anew: workers of before are replaced when they are next needed. */
	if (state_epoch(twin->replicas[slot]) != state_epoch(twin->parent))
		twin_spawn(twin, slot);
	tj->used = true;
	tj->begun = tj->ended = false;
	tj->job = job;
	tj->slot = slot;
	tj->incarnation = twin->incarnations[slot];
	tj->as_of = state_position(twin->parent);
	state_changes_clear(&tj->changes);
	memcpy(tj->seen, twin->now, twin->elements * sizeof(uint64_t));
}

const char *twin_begin(struct twin *twin, uint32_t slot, uint64_t job)
{
	struct twin_job *tj = find(twin, job);

	if (state_follow(twin->replicas[slot], tj->as_of, NULL, NULL) < 0)
		return "a replica could not follow the journal";
	tj->begun = true;
	for (uint32_t e = 0; e < twin->elements; e++) {
		if (fold(twin->replicas[slot], e) != tj->seen[e])
			return "a replica at as_of differs from what the parent held then";
	}
	return NULL;
}

static void random_change(struct state_changes *changes, uint32_t e, uint64_t *random)
{
	struct state_artifact artifact = { .outcome = STATE_ARTIFACT_SUCCESS };
	uint64_t number = random_next(random) >> 32;
	struct digest digest = { .size_bytes = 1 };
	char text[32];

	memcpy(digest.hash, &number, sizeof(number));
	artifact.files = artifact.proto = digest;
	snprintf(text, sizeof(text), "\"%llu\"", (unsigned long long)number);
	switch (number % 5) {
	case 0:
		state_change_artifact(changes, e, &artifact);
		break;
	case 1:
		state_change_sources(changes, e, &digest);
		break;
	case 2:
		state_change_fetched(changes, e, number / 5 % STATE_FETCHED_END);
		break;
	case 3:
		state_change_ref(changes, e, number / 5 % 2, text, strlen(text));
		break;
	default:
		text[strlen(text) - 1] = '\0';
		state_change_workspace(changes, e, text + 1);
		break;
	}
}

void twin_end(struct twin *twin, uint32_t slot, uint64_t job, uint32_t element, uint64_t *random)
{
	struct twin_job *tj = find(twin, job);

	tj->element = element;
	tj->ended = true;
	for (uint32_t i = random_below(random, 4); element != SCHED_NONE && i > 0; i--)
		random_change(&tj->changes, element, random);
	state_keep(twin->replicas[slot], tj->changes.bytes.data, tj->changes.bytes.len);
}

static const char *commit(struct twin *twin, uint32_t origin, uint32_t e, const struct state_changes *changes)
{
	uint64_t before = state_position(twin->parent);
	int r = state_commit(twin->parent, origin, changes->bytes.data, changes->bytes.len, changes->count);

	if (r == 0) /* a turn is a record, too */
		twin->turns += state_position(twin->parent) - before > changes->bytes.len;
	if (r < 0) {
		twin_roll(twin);
		r = state_commit(twin->parent, origin, changes->bytes.data, changes->bytes.len, changes->count);
	}
	twin->records += changes->count;
	if (changes->count)
		twin->now[e] = fold(twin->parent, e);
	return r < 0 ? "the journal refused a change" : NULL;
}

const char *twin_accept(struct twin *twin, uint64_t job)
{
	struct twin_job *tj = find(twin, job);
	uint32_t changes;
	const char *wrong;

	if (!tj || !tj->ended)
		return "a result of a job that did not end";
	tj->used = false;
	if (tj->begun && twin->incarnations[tj->slot] == tj->incarnation)
		twin->followed[tj->slot] = tj->as_of;
	if (tj->element == SCHED_NONE)
		return NULL;
	if (state_validate(twin->parent, tj->element, tj->changes.bytes.data, tj->changes.bytes.len,
			   tj->changes.count) < 0)
		return "a result was refused";
	changes = state_get(twin->parent, tj->element)->changes;
	wrong = commit(twin, tj->incarnation, tj->element, &tj->changes);
	if (!wrong && state_get(twin->parent, tj->element)->changes != changes + tj->changes.count)
		wrong = "a change did not take effect once";
	return wrong;
}

void twin_parent_change(struct twin *twin, uint32_t element, uint64_t *random)
{
	struct state_changes changes = STATE_CHANGES_INIT;
	struct key key = { { 1 } };
	uint64_t number = random_next(random);

	memcpy(key.hash, &number, sizeof(number));
	state_change_weak_key(&changes, element, &key);
	if (commit(twin, STATE_ORIGIN_PARENT, element, &changes))
		bug("sim: the parent's own change was refused");
	state_changes_release(&changes);
}

void twin_roll(struct twin *twin)
{
	if (state_roll(twin->parent) < 0)
		bug("sim: no new journal");
}
