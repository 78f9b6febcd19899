/* URLs of sources: aliases, their translation through junctions (compat 1.9), mirrors. */
#include "project/project_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const schemes[] = { "http", "https", "ftp", "file", "git", "sftp", "ssh" };

static size_t alias_length(const char *url)
{
	const char *colon = strchr(url, ':');
	size_t len = colon ? (size_t)(colon - url) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (len == strlen(schemes[i]) && strncasecmp(url, schemes[i], len) == 0)
			return 0;
	return len;
}

/* What the junction makes of an alias of its subproject, or NULL. */
static const char *parent_alias(const struct loaded_project *project, const char *alias)
{
	const struct kinds_junction *junction = project->junction_config;
	const struct yaml_node *mapped = junction->aliases ? yaml_get(junction->aliases, alias) : NULL;

	if (mapped && yaml_is_scalar(mapped))
		return mapped->text;
	return junction->map_aliases_identity ? alias : NULL;
}

static const struct yaml_node *own_alias(const struct loaded_project *project, bool first_pass, const char *alias)
{
	const struct yaml_node *aliases = first_pass ? project->first.aliases : project->second.aliases;
	const struct yaml_node *url = aliases ? yaml_get(aliases, alias) : NULL;

	return url && yaml_is_scalar(url) ? url : NULL;
}

static int source_error(const struct asking *ask, struct diag *diag, const char *reason, const char *message)
{
	diag_set(diag, "source", reason, "%s", message);
	yaml_where(diag, ask->source->node);
	diag_element(diag, ask->element->full_name);
	return -EINVAL;
}

/* 1 if the alias is declared, as far up as mappings lead. */
static int alias_exists(const struct asking *ask, const struct loaded_project *project, const char *alias,
			struct diag *diag)
{
	if (project->junction) {
		const struct loaded_project *parent = project->junction->project;
		const char *mapped = parent_alias(project, alias);
		int r;

		if (mapped) {
			if ((r = alias_exists(ask, parent, mapped, diag)) != 0)
				return r;
			return source_error(ask, diag, "invalid-source-alias",
					    arena_printf(project->load->arena,
							 "Mapped alias '%s' for subproject alias '%s' is invalid in the "
							 "parent project",
							 mapped, alias));
		}
		if (parent->disallow_uris)
			return source_error(ask, diag, "missing-alias-mapping",
					    arena_printf(project->load->arena,
							 "Parent project did not provide a mapping for alias '%s' and "
							 "disallowed usage of unmapped aliases",
							 alias));
	}
	return own_alias(project, ask->element->first_pass, alias) != NULL;
}

static const char *translate(const struct loaded_project *project, bool first_pass, const char *url)
{
	struct arena *arena = project->load->arena;
	const char *colon = strchr(url, ':'), *alias, *mapped;
	const struct yaml_node *own;

	if (!colon)
		return url;
	alias = arena_strndup(arena, url, (size_t)(colon - url));
	own = own_alias(project, first_pass, alias);
	if (!own || !*own->text)
		return url;
	mapped = project->junction ? parent_alias(project, alias) : NULL;
	if (mapped)
		return translate(project->junction->project, first_pass, arena_join(arena, mapped, colon, ""));
	return arena_join(arena, own->text, colon + 1, "");
}

static bool has_urls(const struct loaded_project *project, bool first_pass, const char *url, bool tracking);

int url_translate(void *data, uint32_t project_id, const char *url, bool primary, const char **ret,
			 struct diag *diag)
{
	const struct asking *ask = data;
	struct loaded_project *project = ask->element->project;
	size_t len = alias_length(url);
	const char *alias;
	int r;

	if (len == 0) {
		r = load_warn_token(project, "unaliased-url", diag, "%s: Use of unaliased source download URL: %s",
				    ask->element->full_name, url);
		if (r < 0) {
			yaml_where(diag, ask->source->node);
			return r;
		}
	} else {
		alias = arena_strndup(project->load->arena, url, len);
		if ((r = alias_exists(ask, project, alias, diag)) < 0)
			return r;
		if (r == 0)
			return source_error(ask, diag, "invalid-source-alias",
					    arena_printf(project->load->arena, "Invalid alias '%s' specified in URL: %s",
							 alias, url));
	}
	for (int tracking = 0; len > 0 && tracking < 2; tracking++)
		if (!has_urls(project, ask->element->first_pass, url, tracking)) {
			source_error(ask, diag, "missing-source-alias-target",
				     arena_printf(project->load->arena, "No %s URI found for alias '%.*s'",
						  tracking ? "tracking" : "fetch", (int)len, url));
			diag_detail(diag, "Check %s controls in your user configuration", tracking ? "track" : "fetch");
			return -EINVAL;
		}
	*ret = translate(project, ask->element->first_pass, url);
	return 0;
}

/* ---- where to fetch from ---- */

struct collecting {
	struct arena *arena;
	const char *rest; /* of the URL, behind the alias */
	ITEMS(const char *) urls;
};

static void add_url(struct collecting *c, const char *prefix)
{
	*items_add(&c->urls) = arena_join(c->arena, prefix, c->rest, "");
}

static void add_mirror(struct collecting *c, const struct yaml_node *mirror, const char *alias)
{
	const struct yaml_node *aliases = yaml_get(mirror, "aliases"), *list;

	list = aliases && yaml_is_map(aliases) ? yaml_get(aliases, alias) : NULL;
	for (uint32_t i = 0; list && yaml_is_list(list) && i < list->count; i++)
		if (yaml_is_scalar(list->items[i]))
			add_url(c, list->items[i]->text);
}

static bool is_named(const struct yaml_node *mirror, const char *name)
{
	const struct yaml_node *own = yaml_get(mirror, "name");

	return name && own && yaml_is_scalar(own) && strcmp(own->text, name) == 0;
}

/* The default mirror first, then the others in order, the alias itself last; each as far as the user's policy goes. */
static void collect(struct collecting *c, const struct loaded_project *project, bool first_pass, const char *alias,
		    bool tracking)
{
	const struct project_context *context = project->load->context;
	enum project_uri_policy policy = tracking ? context->track_source : context->fetch_source;
	const struct pass *pass = first_pass ? &project->first : &project->second;
	const struct yaml_node *own = own_alias(project, first_pass, alias);
	bool mirrors = policy == PROJECT_URI_ALL || policy == PROJECT_URI_MIRRORS ||
		       (policy == PROJECT_URI_USER && pass->user_mirrors);

	for (unsigned others = 0; mirrors && pass->mirrors && others < 2; others++)
		for (uint32_t i = 0; i < pass->mirrors->count; i++)
			if (is_named(pass->mirrors->items[i], pass->default_mirror) != (others == 1))
				add_mirror(c, pass->mirrors->items[i], alias);
	if (own && (policy == PROJECT_URI_ALL || policy == PROJECT_URI_ALIASES))
		add_url(c, own->text);
}

/* False: the URL has no alias of this project, or one that the parent does not let be used. */
static bool collect_urls(struct collecting *c, const struct loaded_project *project, bool first_pass, const char *url,
			 bool tracking)
{
	size_t len = alias_length(url);
	const char *alias = arena_strndup(c->arena, url, len);

	if (len == 0 || !own_alias(project, first_pass, alias))
		return false;
	for (; project->junction; project = project->junction->project) {
		const char *mapped = parent_alias(project, alias);

		if (!mapped && project->junction->project->disallow_uris)
			return false;
		if (!mapped)
			break;
		alias = mapped;
		if (!own_alias(project->junction->project, first_pass, alias))
			return false;
	}
	c->rest = url + len + 1;
	collect(c, project, first_pass, alias, tracking);
	return true;
}

/* Does the user's policy leave anything to try? */
static bool has_urls(const struct loaded_project *project, bool first_pass, const char *url, bool tracking)
{
	const struct project_context *context = project->load->context;
	enum project_uri_policy policy = tracking ? context->track_source : context->fetch_source;
	struct collecting c = { .arena = project->load->arena };
	bool found;

	if (policy == PROJECT_URI_ALL || policy == PROJECT_URI_ALIASES)
		return true; /* the alias itself is */
	found = !collect_urls(&c, project, first_pass, url, tracking) || c.urls.count > 0;
	free(c.urls.at);
	return found;
}

const char *const *project_urls(const struct project_loader *load, uint32_t element, const char *original,
				const char *translated, bool tracking, struct arena *arena)
{
	const struct graph_element *from = &load->graph->elements[element];
	const struct loaded_project *project = load->projects.at[from->project];
	struct collecting c = { .arena = arena };
	const char **ret;

	if (!collect_urls(&c, project, from->ops->flags & KINDS_FIRST_PASS, original, tracking))
		*items_add(&c.urls) = arena_strdup(arena, translated);
	ret = ARENA_ARRAY(arena, const char *, c.urls.count + 1);
	if (c.urls.count > 0)
		memcpy(ret, c.urls.at, c.urls.count * sizeof(*ret));
	free(c.urls.at);
	return ret;
}
