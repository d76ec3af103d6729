#include "npy_dict.h"

#include <fmt/format.h>

#include <charconv>
#include <set>

#include "headstart/error.h"

namespace headstart {

namespace {

class Parser {
 public:
  Parser(const std::string& name, std::string_view text, std::int64_t offset) : name_(name), text_(text), offset_(offset) {}

  NpyDict parse() {
    NpyDict dict;
    std::set<std::string> keys;
    expect('{');
    while (!accept('}')) {
      const std::string key = parse_string();
      if (!keys.insert(key).second) fail(fmt::format("key '{}' is repeated", key));
      expect(':');
      if (key == "descr") {
        dict.descr = parse_descr();
      } else if (key == "fortran_order") {
        dict.fortran_order = parse_bool();
      } else if (key == "shape") {
        dict.shape = parse_tuple();
      } else {
        fail(fmt::format("unknown key '{}'", key));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_spaces();
    if (at_ != text_.size()) fail("text after the dictionary");
    for (const char* const key : {"descr", "fortran_order", "shape"}) {
      if (!keys.contains(key)) fail(fmt::format("key '{}' is missing", key));
    }
    return dict;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(name_, fmt::format("malformed npy header: {}", what), offset_ + static_cast<std::int64_t>(at_));
  }

  void skip_spaces() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }

  bool accept(char wanted) {
    skip_spaces();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  void expect(char wanted) {
    if (!accept(wanted)) fail(fmt::format("expected '{}'", wanted));
  }

  std::string parse_string() {
    skip_spaces();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') fail("expected a string");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("a string without its end");
    const std::string_view value = text_.substr(at_ + 1, end - at_ - 1);
    for (const char c : value) {
      if (c < ' ' || c > '~' || c == '\\') fail("a string with odd characters");
    }
    at_ = end + 1;
    return std::string(value);
  }

  std::string parse_descr() {
    skip_spaces();
    if (at_ < text_.size() && text_[at_] == '[') fail("structured dtypes are not supported");
    return parse_string();
  }

  bool parse_bool() {
    skip_spaces();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return value;
    }
    fail("expected True or False");
  }

  std::vector<std::int64_t> parse_tuple() {
    std::vector<std::int64_t> sizes;
    expect('(');
    while (!accept(')')) {
      skip_spaces();
      std::int64_t size = -1;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), size);
      if (error != std::errc() || size < 0) fail("expected a size");
      at_ = static_cast<std::size_t>(end - text_.data());
      // Python 2 wrote long integers with an L.
      accept('L');
      sizes.push_back(size);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return sizes;
  }

  const std::string& name_;
  std::string_view text_;
  std::int64_t offset_;
  std::size_t at_ = 0;
};

}  // namespace

NpyDict parse_npy_dict(const std::string& name, std::string_view text, std::int64_t offset) { return Parser(name, text, offset).parse(); }

}  // namespace headstart
