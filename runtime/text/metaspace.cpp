#include "runtime/text/metaspace.h"

#include "runtime/text/oniguruma.h"
#include "runtime/text/utf8.h"

namespace dcc::text {

Result<Metaspace> Metaspace::read(const JsonFields& spec) {
  Metaspace fields;
  DCC_ASSIGN(fields.replacement, spec.string("replacement"));
  if (countChars(fields.replacement) != 1) {
    return spec.error("replacement", "is \"" + oneLine(fields.replacement) +
                                         "\"; a string of one character is expected");
  }
  DCC_ASSIGN(const std::string scheme, spec.stringOr("prepend_scheme", ""));
  DCC_ASSIGN(const bool add_prefix_space, spec.booleanOr("add_prefix_space", true));
  if (scheme == "first") {
    fields.prepend = Prepend::kFirst;
  } else if (scheme == "never") {
    fields.prepend = Prepend::kNever;
  } else if (!scheme.empty() && scheme != "always") {
    return spec.error("prepend_scheme",
                      "is \"" + oneLine(scheme) + "\"; always, first or never is expected");
  }
  if (!add_prefix_space) {
    if (!scheme.empty() && fields.prepend != Prepend::kNever) {
      return spec.error("add_prefix_space", "contradicts prepend_scheme; never is expected there");
    }
    fields.prepend = Prepend::kNever;
  }
  DCC_ASSIGN(fields.split, spec.booleanOr("split", true));
  return fields;
}

}  // namespace dcc::text
