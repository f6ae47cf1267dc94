// The dist dialect: meshes, placements and collectives.
#pragma once

#include "dialects/nn/NNTypes.h"

#define GET_OP_CLASSES
#include "dialects/dist/DistOps.h.inc"
