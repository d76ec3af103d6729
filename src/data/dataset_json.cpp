#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <unordered_map>

#include "headstart/error.h"
#include "pictures.h"

namespace headstart {

namespace {

using Json = nlohmann::json;

Json parse_json(ByteSource& source) {
  const std::vector<std::byte> bytes = read_rest(source);
  const auto* const begin = reinterpret_cast<const char*>(bytes.data());
  try {
    return Json::parse(begin, begin + bytes.size());
  } catch (const Json::parse_error& error) {
    throw DataError(source.name(), "is not valid JSON", static_cast<std::int64_t>(error.byte));
  }
}

bool is_label(const Json& entry) {
  return entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_number_integer() &&
         (entry[1].is_number_unsigned() || entry[1].get<std::int64_t>() >= 0) && entry[1].get<std::uint64_t>() <= INT32_MAX;
}

}  // namespace

std::vector<std::int64_t> read_dataset_labels(ByteSource& source, const std::vector<std::string>& names) {
  const Json json = parse_json(source);
  if (!json.is_object() || !json.contains("labels")) throw DataError(source.name(), "expected an object with the key labels");
  const Json& entries = json["labels"];
  if (entries.is_null()) return {};
  if (!entries.is_array()) throw DataError(source.name(), "expected labels to be a list of [name, class], or null");

  std::unordered_map<std::string, std::int64_t> label_of;
  for (const Json& entry : entries) {
    if (!is_label(entry)) {
      throw DataError(source.name(), fmt::format("expected labels [name, class] with a class >= 0, got {}",
                                                 entry.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 100)));
    }
    const auto& name = entry[0].get_ref<const std::string&>();
    if (!label_of.emplace(name, entry[1].get<std::int64_t>()).second) {
      throw DataError(source.name(), fmt::format("has two labels of {}", name));
    }
  }
  std::vector<std::int64_t> labels;
  for (const std::string& name : names) {
    const auto at = label_of.find(name);
    if (at == label_of.end()) throw DataError(source.name(), fmt::format("has no label of {}", name));
    labels.push_back(at->second);
    label_of.erase(at);
  }
  if (!label_of.empty()) throw DataError(source.name(), fmt::format("has a label of {}, which is not there", label_of.begin()->first));
  return labels;
}

}  // namespace headstart
