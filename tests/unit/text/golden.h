// Goldens of tokenizers: what the `tokenizers` library gives for a list of difficult strings.
#pragma once

#include <string>
#include <vector>

#include "runtime/text/tokenizer.h"

namespace dcc::text {

struct GoldenCase {
  std::string text;
  std::vector<int32_t> ids;        // with special tokens
  std::vector<int32_t> ids_plain;  // without
  std::string decoded;             // of ids, special tokens skipped
  // Of ids (raw) or of ids_plain (plain), special tokens kept; each format has one of them.
  std::vector<int32_t> kept_ids;
  std::string decoded_kept;
};

// Both formats (../shared/reference/README.md): {"cases": [...]} and [...]. Fails the test when the
// file can't be read.
std::vector<GoldenCase> readGolden(const std::string& path);

// Encode, decode and stream of every case, byte for byte.
void expectGolden(const Tokenizer& tokenizer, const std::vector<GoldenCase>& cases);

}  // namespace dcc::text
