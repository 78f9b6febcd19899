/* kinds/script.h: what kinds built on the script base share (inside the room). */
#ifndef KINDS_SCRIPT_H
#define KINDS_SCRIPT_H

#include "kinds/kinds_internal.h"

/* cwd and install-root from the variables of these names, "/" where they are empty or missing. */
void kinds_script_root(struct kinds_script *script, const struct graph_element *element);
/* The whole key; element->config starts with a struct kinds_script. */
void kinds_script_key(const struct graph_element *element, struct buf *out);
/* Its members "cwd" to "root-read-only", without braces: all but the commands. */
void kinds_script_key_place(const struct kinds_script *script, struct buf *out);

#endif
