// The plan dialect: what one rank executes.
#pragma once

#include "dialects/nn/NN.h"

#include "dialects/plan/PlanBaseDialect.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/plan/PlanBaseTypes.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/plan/PlanBaseAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/plan/PlanOps.h.inc"
