#include "runtime/text/normalizer.h"
#include "runtime/text/pattern.h"

namespace dcc::text {
namespace {

class Replace : public Normalizer {
 public:
  Replace(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  Status apply(std::string& text) const override {
    return Replacer(pattern_, content_).apply(text);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

}  // namespace

Result<std::unique_ptr<Normalizer>> makeReplace(const JsonFields& spec) {
  DCC_ASSIGN(Pattern pattern, Pattern::read(spec));
  DCC_ASSIGN(std::string content, spec.string("content"));
  return std::unique_ptr<Normalizer>(
      std::make_unique<Replace>(std::move(pattern), std::move(content)));
}

}  // namespace dcc::text
