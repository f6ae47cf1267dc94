#include "runtime/text/pattern.h"
#include "runtime/text/pre_tokenizer.h"

namespace dcc::text {
namespace {

class Split : public PreTokenizer {
 public:
  Split(Pattern pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  Status apply(Pieces& pieces) const override {
    Pattern::Searcher searcher(pattern_);
    std::vector<Span> matches, kept;
    std::vector<Part> parts;
    return pieces.split([&](const Piece& piece, Pieces& out) -> Status {
      DCC_RETURN_IF_ERROR(searcher.findAll(piece.text, matches));
      coverText(matches, piece.text.size(), parts);
      if (invert_) {
        for (Part& part : parts) part.match = !part.match;
      }
      splitParts(parts, behavior_, kept);
      for (const Span& span : kept) out.addPart(piece, span.begin, span.end);
      return Status::success();
    });
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

}  // namespace

Result<std::unique_ptr<PreTokenizer>> makeSplit(const JsonFields& spec) {
  DCC_ASSIGN(Pattern pattern, Pattern::read(spec));
  DCC_ASSIGN(const SplitBehavior behavior, splitBehavior(spec));
  DCC_ASSIGN(const bool invert, spec.booleanOr("invert", false));
  return std::unique_ptr<PreTokenizer>(
      std::make_unique<Split>(std::move(pattern), behavior, invert));
}

}  // namespace dcc::text
