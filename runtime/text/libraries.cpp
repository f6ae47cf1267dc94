#include "runtime/text/libraries.h"

#include <unicode/uversion.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace dcc::text {

std::string icuVersion() {
  UVersionInfo version;
  char text[U_MAX_VERSION_STRING_LENGTH];
  u_getVersion(version);
  u_versionToString(version, text);
  return text;
}

// "10.42 2022-12-11"
std::string pcre2Version() {
  char text[64] = {};
  pcre2_config(PCRE2_CONFIG_VERSION, text);
  const std::string version = text;
  return version.substr(0, version.find(' '));
}

}  // namespace dcc::text
