/* elements/dpkg.h: what dpkg_build and dpkg_deploy share. */
#ifndef ELEMENTS_DPKG_H
#define ELEMENTS_DPKG_H

#include "elements/elements_internal.h"

/* The commands with the names of the packages, joined by blanks, for each "<PACKAGES>" in them. */
struct kinds_strings dpkg_name_packages(struct build *build, const struct kinds_strings *commands, const char *packages);

#endif
