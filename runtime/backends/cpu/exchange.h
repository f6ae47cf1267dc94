// The collectives of experts: all-to-all among the ranks, of the rows that gates ask for.
#pragma once

#include "runtime/backends/cpu/op.h"

namespace dcc::cpu {

// Of a collective with gates; `group` is that of its axis.
Op prepareExchange(PrepareContext& context, const fb::Collective& collective, Communicator& group);

}  // namespace dcc::cpu
