// Jinja templates, as far as chat templates use them, with the results that jinja2 3.1 gives in the
// environment of transformers: a sandbox in which nothing can be changed, trim_blocks and
// lstrip_blocks, break and continue, `generation`, and transformers' own tojson. Written from
// https://jinja.palletsprojects.com/en/stable/templates/ and compared with jinja2.
//
// A template is untrusted: it takes bounded time and memory, whatever it says.
#pragma once

#include <ctime>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/status.h"
#include "runtime/text/jinja/run.h"

namespace dcc::jinja {

struct Rendering {
  std::string text;
  // Instead of a text, where the template does not take what it is given: the words of
  // raise_exception, or where and why Python would have failed.
  std::optional<std::string> refusal;
};

using Variables = std::map<std::string, nlohmann::ordered_json>;

// Immutable; may be used by several threads at once.
class Template {
 public:
  // `name` is for messages: "<name>:<line>: what is wrong". Errors (user): no Jinja, or a tag or
  // form that is not supported.
  static Result<Template> parse(std::string_view source, std::string name);

  // `now`: local time, for strftime_now. Errors (user): something that this
  // engine lacks, a limit.
  Result<Rendering> render(const Variables& variables, const std::tm& now,
                           const Limits& limits = {}) const;

 private:
  struct Parsed;
  std::shared_ptr<const Parsed> parsed_;
};

}  // namespace dcc::jinja
