// Every character's properties, against fingerprints of what tokenizers 0.23.3 does with it: how
// many characters have the property, and a sum over them that no plausible error leaves the same.
// Characters without a property in ICU 72 (Unicode 15) are newer than the tables here and left out.
#include "runtime/text/unicode.h"

#include <gtest/gtest.h>
#include <unicode/uchar.h>

#include <functional>

#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

struct Fingerprint {
  uint64_t count, sum;
  bool operator==(const Fingerprint&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Fingerprint& f) {
  return out << "{" << f.count << ", 0x" << std::hex << f.sum << std::dec << "u}";
}

// Over characters for which `text_of` (FNV-1a of what it gives) differs from the character.
Fingerprint changesOf(const std::function<std::string(char32_t, const std::string&)>& text_of) {
  Fingerprint print{0, 0};
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c == 0xD800) c = 0xE000;
    if (u_charType(static_cast<UChar32>(c)) == U_UNASSIGNED) continue;
    std::string self;
    appendUtf8(self, c);
    const std::string text = text_of(c, self);
    if (text == self) continue;
    uint64_t hash = 0xCBF29CE484222325u ^ c;
    for (const char byte : text) {
      hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3u;
    }
    ++print.count;
    print.sum += hash * (c + 1);
  }
  return print;
}

Fingerprint removedBy(bool (*property)(char32_t)) {
  return changesOf([&](char32_t c, const std::string& self) { return property(c) ? "" : self; });
}

TEST(Unicode, PropertiesAreTheLibrarys) {
  EXPECT_EQ(removedBy(isWhiteSpace), (Fingerprint{25, 0x56a9fbcfb225c461u}));
  EXPECT_EQ(removedBy(isNumeric), (Fingerprint{1831, 0x65d47bddf6e9b8bau}));
  EXPECT_EQ(removedBy(isWord), (Fingerprint{139612, 0x49471f1c6c139c56u}));
  EXPECT_EQ(removedBy(isPunctuation), (Fingerprint{726, 0x3a73855a9b83b309u}));
  EXPECT_EQ(removedBy(isControl), (Fingerprint{137683, 0xb5331903b43c813bu}));
  // The library shows this one only behind NFD.
  EXPECT_EQ(changesOf([](char32_t c, const std::string& self) {
              const bool stays = normalForm(NormalForm::kNfd, self) == self;
              return stays && isNonspacingMark(c) ? "" : self;
            }),
            (Fingerprint{1549, 0x65e164f3d790ca31u}));
  EXPECT_EQ(removedBy(isMark), (Fingerprint{2097, 0xd6a4b7063105b208u}));
}

TEST(Unicode, FormsAreTheLibrarys) {
  const auto form = [](NormalForm f) {
    return changesOf([f](char32_t, const std::string& self) { return normalForm(f, self); });
  };
  EXPECT_EQ(form(NormalForm::kNfc), (Fingerprint{1120, 0x31975c3f4cc5c31cu}));
  EXPECT_EQ(form(NormalForm::kNfd), (Fingerprint{13232, 0xe75699547d8e70fu}));
  EXPECT_EQ(form(NormalForm::kNfkc), (Fingerprint{4794, 0x48284d1c163126c9u}));
  EXPECT_EQ(form(NormalForm::kNfkd), (Fingerprint{16894, 0x1e18190a706db820u}));
  EXPECT_EQ(changesOf([](char32_t c, const std::string&) {
              std::string out;
              appendLowercase(out, c);
              return out;
            }),
            (Fingerprint{1433, 0xd02ca05ff85fcfa3u}));
}

TEST(Unicode, FormsOfSequences) {
  // Composition, order of marks, Hangul, and a character newer than the tables in between.
  EXPECT_EQ(normalForm(NormalForm::kNfc, "e\xCC\x81"), "\xC3\xA9");
  EXPECT_EQ(normalForm(NormalForm::kNfd, "\xE1\xBA\x9B\xCC\xA3"), "\xC5\xBF\xCC\xA3\xCC\x87");
  EXPECT_EQ(normalForm(NormalForm::kNfkc, "\xE1\xBA\x9B\xCC\xA3"), "\xE1\xB9\xA9");
  EXPECT_EQ(normalForm(NormalForm::kNfc, "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB"), "\xED\x95\x9C");
  EXPECT_EQ(normalForm(NormalForm::kNfkc, "\xF0\x9F\x85\xAC e\xCC\x81"),
            "\xF0\x9F\x85\xAC \xC3\xA9");
}

}  // namespace
}  // namespace dcc::text
