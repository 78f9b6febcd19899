/* Default configuration that comes with the core: the files of data/, embedded when the program is built. */
#include "kinds/kinds_internal.h"

#include <string.h>

#define FOR_EACH_YAML(X) X(compose) X(filter) X(import) X(manual) X(script)

#define DECLARE(kind)                         \
	extern const char data_##kind##_yaml[]; \
	extern const size_t data_##kind##_yaml_len;
FOR_EACH_YAML(DECLARE)
DECLARE(project)

static const struct {
	const char *kind, *text;
	const size_t *len;
} texts[] = {
#define ROW(kind) { #kind, data_##kind##_yaml, &data_##kind##_yaml_len },
	FOR_EACH_YAML(ROW)
};

const char *kinds_core_yaml(const char *kind, size_t *ret_len)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (strcmp(texts[i].kind, kind) == 0) {
			*ret_len = *texts[i].len;
			return texts[i].text;
		}
	}
	return NULL;
}

const char *kinds_project_yaml(size_t *ret_len)
{
	*ret_len = data_project_yaml_len;
	return data_project_yaml;
}
