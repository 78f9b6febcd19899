/* elements/pyyaml.h: YAML as Python's ruamel.yaml writes plain data: what yaml_write writes for ourselves has another layout.
 *
 * Lists and maps that hold only scalars are written in one line, in brackets, wrapped at 80 columns; keys are sorted.
 */
#ifndef ELEMENTS_PYYAML_H
#define ELEMENTS_PYYAML_H

#include "base/buf.h"

struct yaml_node;

/* Adds the tree as a document of its own: YAML(typ="unsafe", pure=True).dump() of ruamel.yaml 0.17 to 0.19. */
void pyyaml_write(struct buf *out, const struct yaml_node *node);

#endif
