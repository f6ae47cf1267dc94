// Reading FlatBuffers tables whose vectors and strings may be absent: absent means empty.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "plan_generated.h"
#include "runtime/base/hash.h"

namespace dcc::plan {

inline std::string_view text(const flatbuffers::String* s) {
  return s ? std::string_view(s->c_str(), s->size()) : std::string_view();
}

// A table's vector as a range with an index.
template <class T>
class Rows {
 public:
  explicit Rows(const flatbuffers::Vector<T>* vector) : vector_(vector) {}

  uint32_t size() const { return vector_ ? vector_->size() : 0; }
  bool empty() const { return size() == 0; }
  // i < size().
  auto operator[](uint32_t i) const { return vector_->Get(i); }
  auto begin() const { return vector_ ? vector_->begin() : Iterator(); }
  auto end() const { return vector_ ? vector_->end() : Iterator(); }

 private:
  using Iterator = typename flatbuffers::Vector<T>::const_iterator;
  const flatbuffers::Vector<T>* vector_;
};

template <class T>
Rows<T> rows(const flatbuffers::Vector<T>* vector) {
  return Rows<T>(vector);
}

// Whether the elements lie where they may be read; FlatBuffers' verifier looks only at the length
// in front of them.
template <class T>
bool aligned(const flatbuffers::Vector<T>* vector) {
  using Element = std::remove_cv_t<std::remove_pointer_t<T>>;
  return !vector || reinterpret_cast<uintptr_t>(vector->Data()) % alignof(Element) == 0;
}

// An integer attribute; 0 where it is not given.
inline int64_t integerAttr(const fb::Kernel& kernel, fb::AttrKey key) {
  for (const fb::Attr* attr : rows(kernel.attrs())) {
    if (attr->key() == key) return attr->i();
  }
  return 0;
}

inline Hash hashOf(const fb::Hash128& hash) { return {hash.lo(), hash.hi()}; }

}  // namespace dcc::plan
