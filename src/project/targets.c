/* What is to be loaded: element names and globs of the request, or the project's default targets. */
#include "project/project_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"

typedef ITEMS(const char *) name_list;

static void add_name(struct strmap *seen, name_list *list, const char *name)
{
	if (strmap_put(seen, name, strlen(name), 1) == STRMAP_NONE)
		*items_add(list) = name;
}

static bool is_glob(const char *name)
{
	return strpbrk(name, "*?[") != NULL;
}

static int invalid_targets(const char *const *targets, uint32_t count, struct diag *diag)
{
	_cleanup_buf_ struct buf names = BUF_INIT;

	for (uint32_t pass = 0; pass < 2; pass++) /* names first, then globs */
		for (uint32_t i = 0; i < count; i++)
			if (!str_ends(targets[i], ".bst") && is_glob(targets[i]) == (pass == 1))
				buf_printf(&names, "%s%s", names.len ? ", " : "", targets[i]);
	diag_set(diag, "stream", "invalid-element-names",
		 "Invalid element names or element glob patterns were specified: %s", buf_text(&names));
	diag_detail(diag, "Element names and element glob expressions must end in '.bst'");
	return -EINVAL;
}

static int expand_glob(struct project_loader *load, const char *pattern, struct strmap *seen, name_list *names,
		       struct diag *diag)
{
	struct glob_set *set = glob_new();
	path_list paths = { 0 };
	bool matched = false;
	int r = glob_add(set, *pattern == '/' ? pattern : arena_printf(load->arena, "/%s", pattern));

	if (r < 0) {
		glob_free(set);
		return diag_set(diag, "stream", "invalid-element-names", "Invalid glob expression: %s", pattern);
	}
	path_elements(load->top, false, &paths);
	for (size_t i = 0; i < paths.count; i++) {
		if (!glob_match(set, arena_join(load->arena, "/", paths.at[i], "")))
			continue;
		add_name(seen, names, paths.at[i]);
		matched = true;
	}
	if (!matched)
		load_warn(load, NULL, NULL, "No elements matched the glob expression: %s", pattern);
	free(paths.at);
	glob_free(set);
	return 0;
}

static int expand_targets(struct project_loader *load, const char *const *targets, uint32_t count, name_list *names,
			  struct diag *diag)
{
	struct strmap seen = STRMAP_INIT;
	int r = 0;

	for (uint32_t i = 0; i < count; i++)
		if (!str_ends(targets[i], ".bst"))
			return invalid_targets(targets, count, diag);
	for (uint32_t i = 0; i < count; i++)
		if (!is_glob(targets[i]))
			add_name(&seen, names, targets[i]);
	for (uint32_t i = 0; i < count && r >= 0; i++)
		if (is_glob(targets[i]))
			r = expand_glob(load, targets[i], &seen, names, diag);
	strmap_release(&seen);
	return r;
}

static int choose_targets(struct project_loader *load, name_list *names, struct diag *diag)
{
	const struct project_request *request = load->request;
	path_list paths = { 0 };
	int r;

	if (request->target_count > 0 &&
	    ((r = expand_targets(load, request->targets, request->target_count, names, diag)) < 0 ||
	     !request->with_default_targets))
		return r;
	if (load->workspace_element)
		return expand_targets(load, &load->workspace_element, 1, names, diag);
	if (request->no_default_targets)
		return 0;
	if (load->top->default_target_count > 0)
		return expand_targets(load, load->top->default_targets, load->top->default_target_count, names, diag);
	path_elements(load->top, true, &paths);
	r = expand_targets(load, paths.at, (uint32_t)paths.count, names, diag);
	free(paths.at);
	return r;
}

static void publish_ids(struct project_loader *load, struct load_element **elements, size_t targets, size_t count)
{
	struct graph *graph = load->graph;

	for (size_t i = 0; i < count; i++) {
		uint32_t id = elements[i]->id;

		if (i >= targets) {
			*items_add(&load->except) = id;
		} else if (!graph->elements[id].is_target) {
			graph->elements[id].is_target = true;
			*items_add(&load->targets) = id;
		}
	}
}

int load_targets(struct project_loader *load, struct diag *diag)
{
	ITEMS(struct load_element *) elements = { 0 };
	name_list names = { 0 };
	int64_t start_us = load_now(load);
	size_t targets;
	int r = choose_targets(load, &names, diag);

	targets = names.count;
	for (uint32_t i = 0; i < load->request->except_count; i++)
		*items_add(&names) = load->request->except[i];
	for (size_t i = 0; r >= 0 && i < names.count; i++)
		if (!strchr(names.at[i], ':'))
			load_soon(load->top, names.at[i]);
	load_go(load);
	for (size_t i = 0; r >= 0 && i < names.count; i++)
		r = loader_target(load->top, names.at[i], items_add(&elements), diag);
	yaml_cache_expect_end(load->cache); /* it reads through descriptors that are closed when a round ends */
	load->times.elements_us = load_now(load) - start_us;
	if (r >= 0)
		r = order_all(load, elements.at, elements.count, diag);
	if (r >= 0)
		r = junction_check_conflicts(load, diag);
	if (r >= 0)
		publish_ids(load, elements.at, targets, elements.count);
	free(elements.at);
	free(names.at);
	return r;
}
