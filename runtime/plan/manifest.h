// What reading and writing a plan directory share.
#pragma once

#include <string>
#include <string_view>

#include "runtime/plan/directory.h"

namespace dcc::plan {

inline constexpr std::string_view kManifestFormat = "dcc-plan";
inline constexpr const char* kManifestFile = "manifest.json";

inline std::string rankFile(uint32_t rank) { return "rank_" + std::to_string(rank) + ".dplan"; }

// `name` begins errors.
Result<Manifest> parseManifest(std::string_view text, const std::string& name);

}  // namespace dcc::plan
