/* Split rules: which domains claim a path, and what follows from that. */
#include "elements/elements_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "yaml/yaml.h"

struct domain {
	struct glob_set *globs;
	bool included, excluded;
};

struct elements_split {
	bool everything; /* nothing is filtered */
	bool orphans;
	uint32_t count;
	struct domain domains[];
};

static bool listed(const char *const *names, uint32_t count, const char *name)
{
	for (uint32_t i = 0; i < count; i++)
		if (str_eq(names[i], name))
			return true;
	return false;
}

static int read_domain(struct domain *domain, const struct yaml_entry *entry, struct diag *diag)
{
	domain->globs = glob_new();
	if (!yaml_is_list(entry->value))
		return yaml_error(diag, entry->value, "invalid-data",
				  "Value of '%s' is not of the expected type 'Sequence'", entry->key);
	for (uint32_t i = 0; i < entry->value->count; i++) {
		const struct yaml_node *item = entry->value->items[i];

		if (!yaml_is_scalar(item))
			return yaml_error(diag, item, "invalid-data", "List item is not of the expected type 'scalar'");
		if (glob_add(domain->globs, item->text) < 0)
			return yaml_error(diag, item, "invalid-data", "Invalid glob: %s", item->text);
	}
	return 0;
}

int elements_split_new(struct elements_split **ret, const struct yaml_node *public_data, const char *const *include,
		       uint32_t include_count, const char *const *exclude, uint32_t exclude_count, bool orphans,
		       struct diag *diag)
{
	const struct yaml_node *bst = NULL, *rules = NULL;
	struct elements_split *split;
	int r = public_data ? yaml_get_map(public_data, "bst", &bst, diag) : 0;

	if (r >= 0 && bst)
		r = yaml_get_map(bst, "split-rules", &rules, diag);
	if (r < 0)
		return r;
	split = xcalloc(1, sizeof *split + (rules ? rules->count : 0) * sizeof *split->domains);
	split->orphans = orphans;
	split->everything = orphans && !include_count && !exclude_count;
	r = 0;
	for (uint32_t i = 0; rules && !split->everything && r >= 0 && i < rules->count; i++) {
		struct domain *domain = &split->domains[split->count++];

		domain->included = !include_count || listed(include, include_count, rules->entries[i].key);
		domain->excluded = listed(exclude, exclude_count, rules->entries[i].key);
		r = read_domain(domain, &rules->entries[i], diag);
	}
	if (r < 0)
		elements_split_free(split);
	else
		*ret = split;
	return r;
}

bool elements_split_match(const struct elements_split *split, const char *path)
{
	bool claimed = false, included = false, excluded = false;
	char small[512], *full = small;
	size_t len = strlen(path);

	if (split->everything)
		return true;
	if (len + 2 > sizeof small)
		full = xmalloc(len + 2);
	full[0] = '/';
	memcpy(full + 1, path, len + 1);
	for (uint32_t i = 0; i < split->count; i++) {
		if (!glob_match(split->domains[i].globs, full))
			continue;
		claimed = true;
		included |= split->domains[i].included;
		excluded |= split->domains[i].excluded;
	}
	if (full != small)
		free(full);
	return (included || (split->orphans && !claimed)) && !excluded;
}

void elements_split_free(struct elements_split *split)
{
	if (!split)
		return;
	for (uint32_t i = 0; i < split->count; i++)
		glob_free(split->domains[i].globs);
	free(split);
}
