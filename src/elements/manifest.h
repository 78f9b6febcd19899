/* elements/manifest.h: what manifest.c and spdx.c share. */
#ifndef ELEMENTS_MANIFEST_H
#define ELEMENTS_MANIFEST_H

#include "elements/elements_internal.h"
#include "yaml/yaml.h"

struct pyjson;

/* The name of the package that a source brings, from its serialized information (url, medium, kind, extra-data); NULL if it
 * brings none or none can be found, which is warned about. */
int manifest_package_name(struct build *build, const struct yaml_node *info, const char **ret, struct diag *diag);
/* Writes modules as an SPDX 2.3 document: with what their sources tell where elements has it, else from their words. */
int manifest_spdx(struct build *build, const struct yaml_node *modules, const struct yaml_node *elements,
		  struct pyjson *json, struct diag *diag);

#endif
