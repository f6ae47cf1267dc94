#include <algorithm>

#include "runtime/text/metaspace.h"
#include "runtime/text/pattern.h"
#include "runtime/text/pre_tokenizer.h"

namespace dcc::text {
namespace {

class MetaspaceSplit : public PreTokenizer {
 public:
  explicit MetaspaceSplit(Metaspace fields) : fields_(std::move(fields)) {}

  Status apply(Pieces& pieces) const override {
    return pieces.split([&](const Piece& piece, Pieces& out) {
      const std::string_view text = replaceSpaces(piece, out);
      if (!fields_.split) {
        out.add({text, -1, piece.at_start});
        return Status::success();
      }
      // A replacement begins a piece, together with what follows up to the next one.
      size_t begin = 0;
      while (begin < text.size()) {
        size_t end = text.find(fields_.replacement, begin + 1);
        if (end == std::string_view::npos) end = text.size();
        out.add({text.substr(begin, end - begin), -1, piece.at_start && begin == 0});
        begin = end;
      }
      return Status::success();
    });
  }

 private:
  std::string_view replaceSpaces(const Piece& piece, Pieces& out) const {
    const std::string_view text = piece.text;
    const auto spaces = static_cast<size_t>(std::count(text.begin(), text.end(), ' '));
    const bool may_prepend = fields_.prepend == Metaspace::Prepend::kAlways ||
                             (fields_.prepend == Metaspace::Prepend::kFirst && piece.at_start);
    const bool prepend =
        may_prepend && !text.starts_with(' ') && !text.starts_with(fields_.replacement);
    if (spaces == 0 && !prepend) return text;
    std::string& buffer = out.newBuffer(text.size() + (spaces + 1) * fields_.replacement.size());
    if (prepend) buffer += fields_.replacement;
    for (const char c : text) {
      if (c == ' ') {
        buffer += fields_.replacement;
      } else {
        buffer += c;
      }
    }
    return buffer;
  }

  Metaspace fields_;
};

}  // namespace

Result<std::unique_ptr<PreTokenizer>> makeMetaspace(const JsonFields& spec) {
  DCC_ASSIGN(Metaspace fields, Metaspace::read(spec));
  return std::unique_ptr<PreTokenizer>(std::make_unique<MetaspaceSplit>(std::move(fields)));
}

}  // namespace dcc::text
