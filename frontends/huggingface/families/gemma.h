// What the Gemma families share.
#pragma once

#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {

// Gemma's norms and embeddings. Errors are the reader's.
DecoderSpec readGemma(const ConfigReader& config, const Defaults& defaults);
// From Gemma 2 on: norms before and after attention and MLP, and a scale of its own.
void readSandwich(const ConfigReader& config, DecoderSpec& spec);

}  // namespace dcc::huggingface
