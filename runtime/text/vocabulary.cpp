#include "runtime/text/vocabulary.h"

#include <functional>

#include "runtime/text/oniguruma.h"

namespace dcc::text {

Result<Vocabulary> Vocabulary::read(const JsonFields& spec, std::string_view key) {
  DCC_ASSIGN(const JsonFields tokens, spec.object(key));
  const size_t count = tokens.value().size();
  std::vector<const std::string*> by_id(count, nullptr);
  for (const auto& [token, id] : tokens.value().items()) {
    if (!id.is_number_unsigned()) {
      return spec.error(
          key, "token \"" + oneLine(token) + "\" has no id; an integer from 0 is expected");
    }
    const uint64_t n = id.get<uint64_t>();
    if (n >= count) {
      return spec.error(key, "token \"" + oneLine(token) + "\" has id " + std::to_string(n) +
                                 " among " + std::to_string(count) +
                                 " tokens; ids from 0 without holes are expected");
    }
    if (by_id[n]) {
      return spec.error(key, "tokens \"" + oneLine(*by_id[n]) + "\" and \"" + oneLine(token) +
                                 "\" both have id " + std::to_string(n) +
                                 "; one token per id is expected");
    }
    by_id[n] = &token;
  }
  Vocabulary vocabulary;
  vocabulary.ends_.reserve(count);
  for (const std::string* token : by_id) vocabulary.add(*token);
  return vocabulary;
}

size_t Vocabulary::slotOf(std::string_view token) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = std::hash<std::string_view>()(token) & mask;
  while (slots_[slot] >= 0 && this->token(slots_[slot]) != token) slot = (slot + 1) & mask;
  return slot;
}

void Vocabulary::grow() {
  slots_.assign(slots_.empty() ? 64 : slots_.size() * 2, -1);
  for (int32_t id = 0; id < size(); ++id) slots_[slotOf(token(id))] = id;
}

void Vocabulary::add(std::string_view token) {
  if (2 * (ends_.size() + 1) > slots_.size()) grow();
  const size_t slot = slotOf(token);
  text_ += token;
  ends_.push_back(text_.size());
  slots_[slot] = size() - 1;
}

int32_t Vocabulary::find(std::string_view token) const {
  return slots_.empty() ? -1 : slots_[slotOf(token)];
}

}  // namespace dcc::text
