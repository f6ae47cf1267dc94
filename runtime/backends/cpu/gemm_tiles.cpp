#include "runtime/backends/cpu/gemm_tiles.h"

#include "runtime/backends/cpu/amx_tiles.h"

namespace dcc::cpu {

#if defined(__x86_64__)
const GemmUnit kAmxTiles = {2 * TileShape::kRows, packTokens,
                            [](const GemmBlock& g) { TileProduct<AmxTiles>(g).run(); }};
#else
// Never chosen.
const GemmUnit kAmxTiles = {};
#endif

}  // namespace dcc::cpu
