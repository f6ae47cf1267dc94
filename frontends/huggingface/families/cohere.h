// What the Cohere families share.
#pragma once

#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {

// `theta`: where the config has none. Errors are the reader's.
DecoderSpec readCohere(const ConfigReader& config, double theta);

}  // namespace dcc::huggingface
