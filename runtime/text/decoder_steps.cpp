#include "runtime/text/decoder.h"
#include "runtime/text/oniguruma.h"

namespace dcc::text {

Result<std::shared_ptr<const DecoderStep>> makeDecoderStep(const JsonFields& spec) {
  DCC_ASSIGN(const std::string type, spec.string("type"));
  if (type == "ByteLevel") return makeByteLevelDecoder();
  return spec.error("type",
                    "is \"" + oneLine(type) + "\", which is not supported; ByteLevel is expected");
}

}  // namespace dcc::text
