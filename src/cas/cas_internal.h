/* What the files of room cas share. */
#ifndef CAS_CAS_INTERNAL_H
#define CAS_CAS_INTERNAL_H

#include "base/pb.h"
#include "cas/cas.h"

#endif
